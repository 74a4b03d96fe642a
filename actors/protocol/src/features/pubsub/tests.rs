//! Requests against nodes as the store has found them.

use super::access::Operation;
use super::config::PublishModel;
use super::node::{Affiliation, Item, Subscription, SubscriptionState, Usage};
use super::*;
use crate::features::roster::Subscription as Seen;
use crate::jid::BareJid;
use crate::testkit::*;
use crate::time::Timestamp;

const SERVICE: &str = "pubsub.example.org";
const JULIET: &str = "juliet@example.org/balcony";

/// The service at `pubsub.example.org`.
fn service() -> Given {
    let mut given = facts();
    given.account = bare(SERVICE);
    given
}

fn node(config: Config, affiliations: &[(&str, Affiliation)]) -> Node {
    let affiliations = affiliations.iter().map(|(jid, it)| (bare(jid), *it));
    Node {
        name: "n".into(),
        version: 7,
        creator: bare("owner@example.org"),
        created: Timestamp(0),
        config,
        affiliations: affiliations.collect(),
        subscriptions: Vec::new(),
    }
}

fn item(id: &str) -> Item {
    Item {
        id: id.into(),
        publisher: jid(JULIET),
        stamp: Timestamp(0),
        payload: "<e xmlns='e'/>".into(),
    }
}

fn found(node: Option<Node>) -> FoundNode {
    FoundNode {
        count: 1,
        items: vec![item("one")],
        node,
        usage: Usage::default(),
    }
}

/// What is done when Juliet asks this and the store has found that.
fn asks(given: &Given, kind: &str, payload: &str, found: FoundNode) -> Vec<Effect> {
    let iq = format!(
        "<iq type='{kind}' id='1' from='{JULIET}' to='{}'>{payload}</iq>",
        given.account
    );
    let stanza = parse(&iq);
    let Stanza::Iq(asked) = &stanza else { panic!() };
    match decide(asked, &given.account_facts()).as_slice() {
        [Effect::Load(Query::Pubsub(..) | Query::Shown(..), go_on)] => {
            let found = Answer::Pubsub(Box::new(Found::Node(found)));
            go_on(&stanza, found, &given.account_facts())
        }
        done => done.to_vec(),
    }
}

fn is_refused(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::Reply(Stanza::Iq(iq))] if iq.kind == crate::stanza::IqKind::Error)
}

/// The error as text.
#[track_caller]
fn error(effects: &[Effect]) -> String {
    assert!(is_refused(effects), "{effects:?}");
    let [Effect::Reply(stanza)] = effects else {
        panic!()
    };
    String::from_utf8(stanza.to_bytes().to_vec()).unwrap()
}

fn plain(verb: &str) -> String {
    format!("<pubsub xmlns='{NS}'>{verb}</pubsub>")
}

fn owner(verb: &str) -> String {
    format!("<pubsub xmlns='{NS_OWNER}'>{verb}</pubsub>")
}

const PUBLISH: &str = "<publish node='n'><item id='two'><e xmlns='e'/></item></publish>";

/// A request for each operation.
fn requests() -> Vec<(Operation, &'static str, String)> {
    let me = "juliet@example.org";
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{NS_CONFIG}</value></field></x>"
    );
    vec![
        (Operation::Retrieve, "get", plain("<items node='n'/>")),
        (
            Operation::Retrieve,
            "get",
            plain("<items node='n' max_items='1'/>"),
        ),
        (
            Operation::Retrieve,
            "get",
            plain("<items node='n'><item id='one'/></items>"),
        ),
        (
            Operation::Retrieve,
            "get",
            plain("<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><before/></set>"),
        ),
        (
            Operation::Subscribe,
            "set",
            plain(&format!("<subscribe node='n' jid='{me}'/>")),
        ),
        (Operation::Publish, "set", plain(PUBLISH)),
        (
            Operation::RetractOwn,
            "set",
            plain("<retract node='n'><item id='one'/></retract>"),
        ),
        (Operation::Purge, "set", owner("<purge node='n'/>")),
        (Operation::Configure, "get", owner("<configure node='n'/>")),
        (
            Operation::Configure,
            "set",
            owner(&format!("<configure node='n'>{form}</configure>")),
        ),
        (Operation::Delete, "set", owner("<delete node='n'/>")),
        (
            Operation::ManageSubscriptions,
            "get",
            owner("<subscriptions node='n'/>"),
        ),
        (
            Operation::ManageSubscriptions,
            "set",
            owner("<subscriptions node='n'/>"),
        ),
        (
            Operation::ManageAffiliations,
            "get",
            owner("<affiliations node='n'/>"),
        ),
        (
            Operation::ManageAffiliations,
            "set",
            owner("<affiliations node='n'/>"),
        ),
    ]
}

#[test]
fn r10_no_request_does_what_the_access_of_its_operation_forbids() {
    for given in [facts_of("owner@example.org/x"), service()] {
        for model in access_models(&given.account_facts()) {
            for affiliation in Affiliation::ALL {
                let config = Config {
                    access_model: *model,
                    ..default_config(&given.account_facts())
                };
                let affiliations = [("juliet@example.org", affiliation)];
                let node = node(config.clone(), &affiliations);
                let relation = Relation::of(&jid(JULIET), &node, &given.account_facts());
                for (operation, kind, payload) in requests() {
                    let effects = asks(&given, kind, &payload, found(Some(node.clone())));
                    let allowed = allow(operation, &relation, &config).is_ok();
                    assert_eq!(
                        !is_refused(&effects),
                        allowed,
                        "{model:?} {affiliation:?} {payload}: {effects:?}"
                    );
                    let changes = effects.iter().any(|it| matches!(it, Effect::Change(_)));
                    assert!(allowed || !changes, "{payload}");
                }
            }
        }
    }
}

#[test]
fn r10_item_of_somebody_else_is_not_retracted_by_a_publisher() {
    let affiliations = [("juliet@example.org", Affiliation::Publisher)];
    let mut found = found(Some(node(Config::of_service(), &affiliations)));
    found.items[0].publisher = jid("romeo@example.org");
    let retract = plain("<retract node='n'><item id='one'/></retract>");
    assert!(error(&asks(&service(), "set", &retract, found)).contains("<forbidden"));
}

#[test]
fn r14_accounts_of_another_domain_make_no_nodes_here() {
    let mut given = service();
    given.host.domains.push(bare("example.net"));
    given.account = bare("pubsub.example.net");
    for payload in [
        plain("<create node='n'/>"),
        plain(PUBLISH),
        plain("<create/>"),
    ] {
        let effects = asks(&given, "set", &payload, FoundNode::default());
        assert!(error(&effects).contains("<forbidden"), "{payload}");
    }
    assert!(!is_refused(&asks(
        &service(),
        "set",
        &plain(PUBLISH),
        FoundNode::default()
    )));
}

#[test]
fn what_an_account_keeps_at_a_service_has_limits_with_names() {
    let mut given = service();
    given.host.pubsub = Settings {
        nodes_max: 2,
        items_max: 10,
        item_bytes_max: 20,
        bytes_max: 100,
        subscriptions_max: 1,
    };
    let with_usage = |nodes, bytes| FoundNode {
        usage: Usage { nodes, bytes },
        ..FoundNode::default()
    };
    for (payload, found, words) in [
        (
            plain("<create node='n'/>"),
            with_usage(2, 0),
            ["policy-violation", "max-nodes-exceeded"],
        ),
        (
            plain(PUBLISH),
            with_usage(1, 99),
            ["policy-violation", "no space"],
        ),
        (
            plain("<publish node='n'><item><e xmlns='e'>a long text</e></item></publish>"),
            with_usage(0, 0),
            ["not-acceptable", "payload-too-big"],
        ),
    ] {
        let text = error(&asks(&given, "set", &payload, found));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let mut full = node(Config::of_service(), &[]);
    full.subscriptions.push(subscribed("romeo@example.org"));
    let subscribe = plain("<subscribe node='n' jid='juliet@example.org'/>");
    let text = error(&asks(&given, "set", &subscribe, found(Some(full))));
    assert!(text.contains("too-many-subscriptions"), "{text}");
    let mut full = found(Some(node(Config::of_service(), &[])));
    full.usage.bytes = 100;
    let text = error(&asks(&given, "set", &subscribe, full));
    assert!(text.contains("too-many-subscriptions"), "{text}");
}

fn subscribed(who: &str) -> Subscription {
    Subscription {
        jid: jid(who),
        state: SubscriptionState::Subscribed,
        options: Default::default(),
    }
}

/// Romeo's account with a contact who is online and wants to hear of the node `n`.
fn romeo() -> Given {
    let caps = caps_of(&["n+notify"]);
    facts()
        .contact("juliet@example.org", Seen::Both)
        .online(JULIET, Some(&caps))
        .knows("ver", &["n+notify"])
}

fn caps_of(_features: &[&str]) -> String {
    "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='ver'/></presence>".into()
}

/// Who is told when Romeo publishes at his node.
fn told(given: &Given, config: Config) -> Vec<String> {
    let iq = format!("<iq type='set' id='1' from='{ME}'>{}</iq>", plain(PUBLISH));
    let stanza = parse(&iq);
    let mut found = found(Some(node(config, &[])));
    found.node.as_mut().unwrap().subscriptions = vec![subscribed("nurse@example.org")];
    let answer = Answer::Pubsub(Box::new(Found::Node(found)));
    let effects = go_on(&stanza, answer, &given.account_facts());
    let to = effects.iter().filter_map(|effect| match effect {
        Effect::Route(stanza) => stanza.to().map(ToString::to_string),
        _ => None,
    });
    to.collect()
}

#[test]
fn contacts_hear_of_nodes_that_let_them_in() {
    let open = || Config {
        access_model: AccessModel::Open,
        ..Config::of_account()
    };
    let presence = Config::of_account();
    let closed = Config {
        access_model: AccessModel::Whitelist,
        ..Config::of_account()
    };
    let silent = Config {
        deliver_notifications: false,
        ..open()
    };
    // A subscriber whom the node lets in no more hears no more.
    assert_eq!(told(&romeo(), open()), [JULIET, "nurse@example.org"]);
    assert_eq!(told(&romeo(), presence), [JULIET]);
    assert!(told(&romeo(), closed).is_empty());
    assert!(told(&romeo(), silent).is_empty());
    let one_way = facts()
        .contact("juliet@example.org", Seen::To)
        .online(JULIET, Some(&caps_of(&[])))
        .knows("ver", &["n+notify"]);
    assert_eq!(told(&one_way, open()), ["nurse@example.org"]);
}

#[test]
fn r16_nobody_who_is_blocked_hears_of_anything() {
    let given = romeo()
        .blocks("juliet@example.org")
        .blocks("nurse@example.org");
    let open = Config {
        access_model: AccessModel::Open,
        ..Config::of_account()
    };
    assert!(told(&given, open).is_empty());
}

#[test]
fn a_publisher_hears_which_id_an_item_has_got() {
    let config = Config {
        publish_model: PublishModel::Open,
        ..Config::of_service()
    };
    let payload = plain("<publish node='n'><item><e xmlns='e'/></item></publish>");
    let effects = asks(&service(), "set", &payload, found(Some(node(config, &[]))));
    let [
        Effect::Change(Change::Pubsub(change)),
        Effect::Reply(reply),
        ..,
    ] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(change.expected, Some(7));
    let [Action::Publish(items, 20)] = &change.actions[..] else {
        panic!("{change:?}")
    };
    let text = String::from_utf8(reply.to_bytes().to_vec()).unwrap();
    assert!(
        text.contains(&format!("<item id='{}'/>", items[0].id)),
        "{text}"
    );
    assert_eq!(items[0].publisher, jid(JULIET));
}

#[test]
fn a_full_node_lets_the_oldest_go_or_takes_nothing_more() {
    let publish = |node_full| {
        let config = Config {
            publish_model: PublishModel::Open,
            max_items: Some(2),
            node_full,
            ..Config::of_service()
        };
        let mut node = node(config, &[]);
        node.subscriptions = vec![subscribed("nurse@example.org")];
        let found = FoundNode {
            count: 2,
            ..found(Some(node))
        };
        asks(&service(), "set", &plain(PUBLISH), found)
    };
    let retracts = |effects: &[Effect]| {
        routed(effects)
            .iter()
            .any(|it| it.contains("<retract id='one'/>"))
    };
    assert!(retracts(&publish(config::NodeFull::RetractOldest)));
    assert!(!retracts(&publish(config::NodeFull::DiscardOldest)));
    assert!(error(&publish(config::NodeFull::Reject)).contains("node-full"));
}

#[test]
fn names_that_are_too_long_are_refused() {
    let long = "x".repeat(4000);
    for payload in [
        plain(&format!("<items node='{long}'/>")),
        plain(&format!("<create node='{long}'/>")),
        plain(&format!(
            "<publish node='n'><item id='{long}'><e xmlns='e'/></item></publish>"
        )),
    ] {
        let kind = if payload.contains("<items") {
            "get"
        } else {
            "set"
        };
        let effects = asks(&service(), kind, &payload, FoundNode::default());
        assert!(error(&effects).contains("not-acceptable"));
    }
}

#[test]
fn an_account_keeps_its_own_nodes_whoever_else_owns_them() {
    let given = facts();
    let resign = owner(
        "<affiliations node='n'><affiliation jid='romeo@example.org' affiliation='none'/></affiliations>",
    );
    let owners = [
        ("romeo@example.org", Affiliation::Owner),
        ("juliet@example.org", Affiliation::Owner),
    ];
    let effects = asks(
        &given,
        "set",
        &resign,
        found(Some(node(Config::of_account(), &owners))),
    );
    assert!(error(&effects).contains("not-acceptable"));
    let account: BareJid = bare("romeo@example.org");
    assert_eq!(given.account, account);
}
