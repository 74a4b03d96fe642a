//! What the directory shows of pictures.

use std::sync::Arc;

use super::item;
use super::*;
use crate::colleagues::{Book, Card, Change, Entry};
use crate::features::pubsub;
use crate::features::pubsub::config::{AccessModel, SendLast};
use crate::features::roster::Subscription;
use crate::testkit::*;

/// A client that wants to hear of avatars.
const WANTING: &str = "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
                       node='n' ver='ver'/></presence>";
const HASH: &str = "111f4b3c50d7b0df729d299bc6f8e9ef9066971f";

fn romeo() -> Person {
    Person {
        account: bare(ACCOUNT),
        aliases: Vec::new(),
        name: "Romeo Montague".into(),
        tenant: "example.org".into(),
        is_disabled: false,
        is_admin: false,
        card: Card::default(),
        photo: Some(Photo {
            hash: HASH.into(),
            media_type: "image/jpeg".into(),
            bytes: 5,
            width: 96,
            height: 96,
            source: "0".into(),
        }),
    }
}

fn given() -> Given {
    let mut given = facts();
    let romeo = Change {
        id: "romeo".into(),
        entry: Some(Entry::Person(romeo())),
    };
    given.online.2 = Arc::new(Book::default().after(1, vec![romeo]));
    given
}

fn ask(node: &str, items: Wanted) -> Ask {
    Ask::Node {
        node: node.to_owned(),
        items,
        creator: bare("juliet@example.org"),
    }
}

fn shown(ask: &Ask, mut found: Found, has_own_avatar: bool) -> Found {
    let person = romeo();
    let shown = Shown {
        person: &person,
        image: wants_image(ask).then(|| b"image".to_vec()),
        has_own_avatar,
        now: Timestamp(0),
    };
    shown.add_to(ask, &mut found);
    found
}

fn of_node(node: &str, items: Wanted, has_own_avatar: bool) -> FoundNode {
    let found = Found::Node(FoundNode::default());
    match shown(&ask(node, items), found, has_own_avatar) {
        Found::Node(found) => found,
        other => panic!("{other:?}"),
    }
}

fn text(item: &Item) -> String {
    String::from_utf8(item.payload.to_vec()).unwrap()
}

#[test]
fn picture_of_the_directory_is_in_the_nodes_of_whom_it_shows() {
    let found = of_node(NS_METADATA, Wanted::Before(None, 1), false);
    let info = format!("<info bytes='5' id='{HASH}' type='image/jpeg' width='96' height='96'/>");
    assert!(text(&found.items[0]).contains(&info), "{found:?}");
    assert_eq!(found.items[0].id, HASH);
    let config = found.node.unwrap().config;
    assert_eq!(config.access_model, AccessModel::Open);
    let found = of_node(NS_DATA, Wanted::Ids(vec![HASH.into()]), false);
    assert!(text(&found.items[0]).contains(">aW1hZ2U=<"), "{found:?}");
    let other = of_node(NS_DATA, Wanted::Ids(vec!["00".into()]), false);
    assert!(other.items.is_empty());
}

#[test]
fn picture_of_the_directory_gives_way_to_an_avatar_of_ones_own() {
    for node in [NS_METADATA, NS_DATA] {
        let found = of_node(node, Wanted::Before(None, 1), true);
        assert_eq!(found, FoundNode::default());
    }
}

#[test]
fn card_of_the_directory_is_laid_over_the_published_one() {
    let found = of_node(NODE_4, Wanted::After(None, 10), false);
    assert!(text(&found.items[0]).contains("<fn><text>Romeo Montague</text></fn>"));
    let own = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>R</text></fn>\
               <note><text>wherefore</text></note></vcard>";
    let found = FoundNode {
        node: Some(pubsub::blank(NODE_4, &facts().account_facts())),
        items: vec![item(
            &bare(ACCOUNT),
            "mine",
            to_payload(&element(own)),
            Timestamp(5),
        )],
        count: 1,
        ..FoundNode::default()
    };
    let ask = ask(NODE_4, Wanted::After(None, 10));
    let Found::Node(found) = shown(&ask, Found::Node(found), false) else {
        panic!()
    };
    assert_eq!(found.items[0].id, "mine");
    let text = text(&found.items[0]);
    assert!(
        text.contains("Romeo Montague") && text.contains("wherefore"),
        "{text}"
    );
    assert!(!text.contains("<text>R</text>"), "{text}");
}

#[test]
fn other_nodes_are_as_they_are() {
    let found = of_node("urn:xmpp:bookmarks:1", Wanted::After(None, 10), false);
    assert_eq!(found, FoundNode::default());
}

fn last_items(found: Vec<LastItem>, bytes_max: usize) -> Vec<LastItem> {
    let ask = Ask::LastItems {
        services: vec![bare("juliet@example.org"), bare(ACCOUNT)],
        nodes: vec![NS_METADATA.into(), NODE_4.into()],
        bytes_max,
    };
    match shown(&ask, Found::LastItems(found), false) {
        Found::LastItems(found) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_comes_online_gets_it_as_the_last_items_within_the_limit() {
    let found = last_items(Vec::new(), 10_000);
    let names: Vec<&str> = found.iter().map(|last| last.node.name.as_str()).collect();
    assert_eq!(names, [NS_METADATA, NODE_4]);
    assert!(found.iter().all(|last| last.service == bare(ACCOUNT)));
    assert_eq!(found[0].node.config.send_last, SendLast::OnSubAndPresence);
    assert_eq!(last_items(Vec::new(), 200).len(), 1);
    // An avatar of one's own, also one that says that there is none, stays.
    let none = to_payload(&super::super::metadata(None));
    let own = LastItem {
        service: bare(ACCOUNT),
        node: pubsub::blank(NS_METADATA, &facts().account_facts()),
        item: Some(item(&bare(ACCOUNT), "none", none, Timestamp(0))),
        groups: Vec::new(),
    };
    let found = last_items(vec![own.clone()], 10_000);
    assert_eq!(found[0], own);
}

#[test]
fn new_picture_is_told_to_those_who_want_to_hear_of_avatars() {
    let photo = romeo().photo.unwrap();
    let given = given()
        .contact("juliet@example.org", Subscription::Both)
        .online("juliet@example.org/chamber", Some(WANTING))
        .knows("ver", &["urn:xmpp:avatar:metadata+notify"]);
    let effects = decide_changed(Some(&photo), &given.account_facts());
    let told = routed(&effects);
    assert!(
        told.iter()
            .any(|it| it.contains(HASH) && it.contains("juliet@example.org/chamber"))
    );
    assert_eq!(effects.last(), Some(&Effect::ShowAvatar(HASH.into())));
    let gone = decide_changed(None, &given.account_facts());
    assert_eq!(gone.last(), Some(&Effect::ShowAvatar("".into())));
    let mut given = given;
    given.data.avatar = Some("".into());
    let effects = decide_changed(Some(&photo), &given.account_facts());
    assert!(
        matches!(effects.as_slice(), [Effect::Trace(..)]),
        "{effects:?}"
    );
}

#[test]
fn presence_carries_the_hash_of_the_directory_unless_there_is_another() {
    let hash = |own: Option<&str>| {
        let mut given = given();
        given.data.avatar = own.map(Into::into);
        let facts = given.facts();
        facts.avatar().map(String::from)
    };
    assert_eq!(hash(None).as_deref(), Some(HASH));
    assert_eq!(hash(Some("22")).as_deref(), Some("22"));
    assert_eq!(hash(Some("")).as_deref(), Some(""));
    let effects = given().sends("<presence/>");
    let published = effects.iter().find_map(|effect| match effect {
        Effect::Publish(Some(presence)) => Some(presence.payloads.bytes().to_vec()),
        _ => None,
    });
    assert!(
        String::from_utf8(published.unwrap())
            .unwrap()
            .contains(HASH)
    );
}
