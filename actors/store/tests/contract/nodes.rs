//! Nodes with their items, and what accounts keep under names.

use klatsch_protocol::features::presence::wish;
use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{
    Action, Affiliation, Ask, Found, FoundNode, Item, NodeChange, ROW_BYTES, Subscription,
    SubscriptionState, Wanted,
};
use klatsch_protocol::features::pubsub::options::Options;
use klatsch_store::{Store, StoreError};

use crate::support::{
    ask_node, at, bare, couple, find_node, jid, node_change, on_every_backend, subscription,
};

on_every_backend!(
    a_node_is_made_once_and_found_as_it_was_made,
    a_change_needs_the_version_it_was_decided_on,
    items_lie_in_the_order_in_which_they_were_published,
    so_many_items_are_kept,
    pages_are_next_to_items_that_are_there,
    an_item_takes_the_place_of_its_predecessor_or_of_the_oldest,
    subscriptions_and_affiliations_are_found_from_both_sides,
    last_items_come_in_the_order_of_their_services_as_far_as_they_fit,
    a_snapshot_has_the_last_of_the_avatar,
    a_snapshot_has_what_the_account_wishes_to_show,
    usage_is_counted_by_who_has_made_the_node,
    c15_nothing_of_a_removed_account_is_left_at_nodes,
    what_was_deleted_is_swept,
    items_go_when_their_time_is_over,
    a_new_time_is_for_the_items_that_are_there_too,
    values_are_kept_under_names,
);

const SERVICE: &str = "pubsub.example.org";
const JULIET: &str = "juliet@example.org";
const ROMEO: &str = "romeo@example.org";

/// What the creator of a node is to it takes so much.
const OWNER_BYTES: u64 = JULIET.len() as u64 + ROW_BYTES;

fn create(who: &str) -> Action {
    Action::Create(bare(who), Config::of_service())
}

fn item(id: &str, payload: &str) -> Item {
    Item {
        id: id.into(),
        publisher: jid("juliet@example.org/balcony"),
        stamp: at(1),
        payload: payload.to_owned().into_bytes().into(),
    }
}

fn publish(ids: &[&str], keep: u32) -> Action {
    Action::Publish(ids.iter().map(|id| item(id, "<e/>")).collect(), keep)
}

async fn change(store: &Store, service: &str, expected: Option<u64>, actions: Vec<Action>) {
    done(store, node_change(service, expected, actions)).await;
}

async fn done(store: &Store, change: NodeChange) {
    store.change_node(&change, at(5)).await.unwrap();
}

/// A node of Juliet's that keeps so many of these items.
async fn make(store: &Store, service: &str, ids: &[&str], keep: u32) {
    let actions = vec![create(JULIET), publish(ids, keep)];
    change(store, service, None, actions).await;
}

async fn find(store: &Store, service: &str, items: Wanted) -> FoundNode {
    find_at(store, service, items, 5).await
}

async fn find_at(store: &Store, service: &str, items: Wanted, now: i64) -> FoundNode {
    find_node(store, service, &ask_node(items, JULIET), now).await
}

async fn version(store: &Store, service: &str) -> Option<u64> {
    let found = find(store, service, Wanted::Nothing).await;
    found.node.map(|node| node.version)
}

async fn ids(store: &Store, wanted: Wanted) -> Vec<String> {
    let found = find(store, SERVICE, wanted).await;
    found.items.into_iter().map(|item| item.id).collect()
}

fn all() -> Wanted {
    Wanted::After(None, 100)
}

async fn a_node_is_made_once_and_found_as_it_was_made(store: &Store) {
    couple(store).await;
    for service in [SERVICE, JULIET] {
        change(store, service, None, vec![create(JULIET)]).await;
        let again = node_change(service, None, vec![create(ROMEO)]);
        assert_eq!(
            store.change_node(&again, at(6)).await,
            Err(StoreError::Conflict)
        );
        let node = find(store, service, all()).await.node.unwrap();
        assert_eq!(node.creator, bare(JULIET));
        assert_eq!(node.created, at(5));
        assert_eq!(
            node.affiliations,
            [(bare(JULIET), Affiliation::Owner)].into()
        );
        let defaults = Config::of_service();
        assert_eq!(node.config, defaults);
    }
    let nobody = node_change("nobody@example.org", None, vec![create(JULIET)]);
    assert_eq!(
        store.change_node(&nobody, at(6)).await,
        Err(StoreError::NoSuchAccount)
    );
    assert_eq!(find(store, ROMEO, all()).await, FoundNode::default());
}

async fn a_change_needs_the_version_it_was_decided_on(store: &Store) {
    change(store, SERVICE, None, vec![create(JULIET)]).await;
    let first = version(store, SERVICE).await.unwrap();
    // Publishing leaves the version, configuration and affiliations raise it.
    change(store, SERVICE, Some(first), vec![publish(&["a"], 9)]).await;
    assert_eq!(version(store, SERVICE).await, Some(first));
    let title = Config {
        title: "T".into(),
        ..Config::of_service()
    };
    change(store, SERVICE, Some(first), vec![Action::Configure(title)]).await;
    let stale = node_change(SERVICE, Some(first), vec![publish(&["b"], 9)]);
    assert_eq!(
        store.change_node(&stale, at(6)).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(ids(store, all()).await, ["a"], "nothing of it has happened");
    let second = version(store, SERVICE).await.unwrap();
    assert!(second > first);
    let affiliate = Action::Affiliate(vec![(bare(ROMEO), Affiliation::Member)]);
    change(store, SERVICE, Some(second), vec![affiliate]).await;
    let third = version(store, SERVICE).await.unwrap();
    assert!(third > second);
    // A node of the same name later has no version of an earlier one.
    change(store, SERVICE, Some(third), vec![Action::Delete]).await;
    assert_eq!(version(store, SERVICE).await, None);
    make(store, SERVICE, &["z"], 9).await;
    assert!(version(store, SERVICE).await.unwrap() > third);
    assert_eq!(ids(store, all()).await, ["z"]);
}

async fn items_lie_in_the_order_in_which_they_were_published(store: &Store) {
    make(store, SERVICE, &["a", "b", "c"], 9).await;
    let version = version(store, SERVICE).await;
    change(store, SERVICE, version, vec![publish(&["a"], 9)]).await;
    assert_eq!(ids(store, all()).await, ["b", "c", "a"]);
    let retract = Action::Retract(vec!["c".into(), "never".into()]);
    change(store, SERVICE, version, vec![retract]).await;
    assert_eq!(ids(store, all()).await, ["b", "a"]);
    assert_eq!(find(store, SERVICE, Wanted::Nothing).await.count, 2);
    change(store, SERVICE, version, vec![Action::Purge]).await;
    let found = find(store, SERVICE, all()).await;
    assert_eq!(
        (found.count, found.items.len(), found.usage.bytes),
        (0, 0, OWNER_BYTES)
    );
}

async fn so_many_items_are_kept(store: &Store) {
    make(store, SERVICE, &["a", "b", "c"], 2).await;
    assert_eq!(ids(store, all()).await, ["b", "c"]);
    let version = version(store, SERVICE).await;
    change(store, SERVICE, version, vec![publish(&["d"], 2)]).await;
    assert_eq!(ids(store, all()).await, ["c", "d"]);
    change(store, SERVICE, version, vec![publish(&[], 1)]).await;
    assert_eq!(ids(store, all()).await, ["d"]);
}

async fn pages_are_next_to_items_that_are_there(store: &Store) {
    let five = ["1", "2", "3", "4", "5"];
    make(store, SERVICE, &five, 9).await;
    let after = |id: &str, max| Wanted::After(Some(id.to_owned()), max);
    let before = |id: &str, max| Wanted::Before(Some(id.to_owned()), max);
    assert_eq!(ids(store, Wanted::After(None, 2)).await, ["1", "2"]);
    assert_eq!(ids(store, after("2", 2)).await, ["3", "4"]);
    assert_eq!(ids(store, after("5", 2)).await, [""; 0]);
    assert_eq!(ids(store, Wanted::Before(None, 2)).await, ["4", "5"]);
    assert_eq!(ids(store, before("4", 2)).await, ["2", "3"]);
    assert_eq!(
        ids(store, Wanted::Ids(vec!["4".into(), "x".into()])).await,
        ["4"]
    );
    for wanted in [after("x", 2), before("' OR 1=1--", 2)] {
        let ask = ask_node(wanted, JULIET);
        let found = store.nodes(&bare(SERVICE), &ask, at(5)).await;
        assert_eq!(found, Err(StoreError::NoSuchItem));
    }
}

async fn an_item_takes_the_place_of_its_predecessor_or_of_the_oldest(store: &Store) {
    make(store, SERVICE, &["a", "b"], 9).await;
    let replaced = |id: &str| Wanted::Replaced(Some(id.to_owned()));
    assert_eq!(ids(store, replaced("b")).await, ["b"]);
    assert_eq!(ids(store, replaced("c")).await, ["a"]);
    assert_eq!(ids(store, Wanted::Replaced(None)).await, ["a"]);
}

async fn subscriptions_and_affiliations_are_found_from_both_sides(store: &Store) {
    couple(store).await;
    let options = Options::read_kept("online off");
    let subscription = |who: &str, state| Subscription {
        jid: jid(who),
        state,
        options: options.clone(),
    };
    let phone = subscription("romeo@example.org/phone", SubscriptionState::Pending);
    let account = subscription(ROMEO, SubscriptionState::Subscribed);
    let actions = vec![
        create(JULIET),
        Action::Subscribe(phone.clone()),
        Action::Subscribe(account.clone()),
        Action::Affiliate(vec![
            (bare(ROMEO), Affiliation::Outcast),
            (bare("nurse@example.org"), Affiliation::PublishOnly),
        ]),
    ];
    change(store, SERVICE, None, actions).await;
    let node = find(store, SERVICE, Wanted::Nothing).await.node.unwrap();
    assert_eq!(node.subscriptions, [account.clone(), phone.clone()]);
    assert_eq!(node.affiliations[&bare(ROMEO)], Affiliation::Outcast);
    let service = bare(SERVICE);
    let found = store
        .nodes(&service, &Ask::Subscriptions(bare(ROMEO)), at(5))
        .await;
    let both = vec![("n".to_owned(), account), ("n".to_owned(), phone.clone())];
    assert_eq!(found, Ok(Found::Subscriptions(both)));
    let found = store
        .nodes(&bare(JULIET), &Ask::Subscriptions(bare(ROMEO)), at(5))
        .await;
    assert_eq!(
        found,
        Ok(Found::Subscriptions(Vec::new())),
        "at another service"
    );
    let found = store
        .nodes(&service, &Ask::Affiliations(bare(ROMEO)), at(5))
        .await;
    let outcast = vec![("n".to_owned(), Affiliation::Outcast)];
    assert_eq!(found, Ok(Found::Affiliations(outcast)));
    let actions = vec![
        Action::Unsubscribe(jid(ROMEO)),
        Action::Affiliate(vec![(bare(ROMEO), Affiliation::None)]),
    ];
    change(store, SERVICE, Some(node.version), actions).await;
    let node = find(store, SERVICE, Wanted::Nothing).await.node.unwrap();
    assert_eq!(node.subscriptions, [phone]);
    assert!(!node.affiliations.contains_key(&bare(ROMEO)));
}

async fn last(store: &Store, bytes_max: usize) -> Vec<(String, Option<String>)> {
    let ask = Ask::LastItems {
        services: vec![bare(ROMEO), bare("nobody@example.org"), bare(JULIET)],
        nodes: vec!["n".into(), "other 'n'".into()],
        bytes_max,
    };
    let Ok(Found::LastItems(found)) = store.nodes(&bare(ROMEO), &ask, at(5)).await else {
        panic!("no items")
    };
    for last in &found {
        assert!(!last.node.affiliations.is_empty());
    }
    let shown = found
        .into_iter()
        .map(|last| (last.service.to_string(), last.item.map(|item| item.id)));
    shown.collect()
}

async fn last_items_come_in_the_order_of_their_services_as_far_as_they_fit(store: &Store) {
    couple(store).await;
    make(store, JULIET, &["a", "b"], 9).await;
    change(store, ROMEO, None, vec![create(ROMEO), publish(&["c"], 9)]).await;
    let (romeo, juliet) = (ROMEO.to_owned(), JULIET.to_owned());
    let both = vec![
        (romeo.clone(), Some("c".to_owned())),
        (juliet.clone(), Some("b".to_owned())),
    ];
    assert_eq!(last(store, 1000).await, both);
    assert_eq!(last(store, 4).await, both[..1]);
    // A node without items is there all the same.
    let version = version(store, ROMEO).await;
    change(store, ROMEO, version, vec![Action::Purge]).await;
    assert_eq!(last(store, 1000).await, [(romeo, None), both[1].clone()]);
}

async fn a_snapshot_has_the_last_of_the_avatar(store: &Store) {
    couple(store).await;
    let avatar = || async { store.snapshot(&bare(ROMEO)).await.unwrap().avatar };
    assert_eq!(avatar().await, None);
    let shown = |service, payload| NodeChange {
        node: "urn:xmpp:avatar:metadata".into(),
        ..node_change(
            service,
            None,
            vec![
                create(service),
                Action::Publish(vec![item("a", "<old/>"), item("b", payload)], 9),
            ],
        )
    };
    done(store, shown(ROMEO, "<romeo/>")).await;
    done(store, shown(JULIET, "<juliet/>")).await;
    assert_eq!(avatar().await.as_deref(), Some(&b"<romeo/>"[..]));
}

async fn a_snapshot_has_what_the_account_wishes_to_show(store: &Store) {
    couple(store).await;
    let wish = || async { store.snapshot(&bare(ROMEO)).await.unwrap().wish };
    assert_eq!(wish().await, None);
    for (account, name, value) in [
        (ROMEO, wish::NAME, "1 away "),
        (ROMEO, wish::NAME, "2 dnd at work"),
        (ROMEO, "another name", "no wish"),
        (JULIET, wish::NAME, "3 chat "),
    ] {
        let value = Some(value.into());
        store.keep(&bare(account), name, value).await.unwrap();
    }
    assert_eq!(wish().await.as_deref(), Some(&b"2 dnd at work"[..]));
}

async fn usage_is_counted_by_who_has_made_the_node(store: &Store) {
    couple(store).await;
    make(store, SERVICE, &["a", "b"], 9).await;
    let usage = find(store, SERVICE, Wanted::Nothing).await.usage;
    // Two items of four bytes with ids of one.
    let items = 2 * (4 + 1 + ROW_BYTES);
    assert_eq!((usage.nodes, usage.bytes), (1, OWNER_BYTES + items));
    // Who is subscribed or affiliated takes space, too.
    let subscriber = jid("é@example.org");
    let version = version(store, SERVICE).await;
    let subscribe = Action::Subscribe(subscription(subscriber.as_str()));
    let affiliate = Action::Affiliate(vec![(bare(ROMEO), Affiliation::Member)]);
    change(store, SERVICE, version, vec![subscribe, affiliate]).await;
    let more = (subscriber.as_str().len() + ROMEO.len()) as u64 + 2 * ROW_BYTES;
    let usage = find(store, SERVICE, Wanted::Nothing).await.usage;
    assert_eq!(usage.bytes, OWNER_BYTES + items + more);
    let ask = Ask::Node {
        node: "not there".into(),
        items: Wanted::Nothing,
        creator: bare(ROMEO),
    };
    let usage = find_node(store, SERVICE, &ask, 5).await.usage;
    assert_eq!((usage.nodes, usage.bytes), (0, 0));
}

async fn c15_nothing_of_a_removed_account_is_left_at_nodes(store: &Store) {
    couple(store).await;
    make(store, JULIET, &["secret"], 9).await;
    let at_romeos = vec![
        create(ROMEO),
        Action::Affiliate(vec![(bare(JULIET), Affiliation::Publisher)]),
        Action::Subscribe(subscription("juliet@example.org/balcony")),
    ];
    change(store, ROMEO, None, at_romeos).await;
    change(store, SERVICE, None, vec![create(JULIET)]).await;
    let juliet = bare(JULIET);
    let value = Some("v".to_owned().into_bytes().into());
    store.keep(&juliet, "vcard", value).await.unwrap();
    store.remove_account(&juliet, at(9)).await.unwrap();
    crate::support::create(store, &[JULIET]).await;
    assert_eq!(find(store, JULIET, all()).await.node, None);
    assert_eq!(
        find(store, SERVICE, all()).await.node,
        None,
        "nobody owns it any more"
    );
    let romeos = find(store, ROMEO, all()).await.node.unwrap();
    assert!(romeos.subscriptions.is_empty() && !romeos.affiliations.contains_key(&juliet));
    assert_eq!(store.kept(&juliet, "vcard").await.unwrap().value, None);
}

async fn what_was_deleted_is_swept(store: &Store) {
    let many: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    make(store, SERVICE, &many, 1000).await;
    let version = version(store, SERVICE).await;
    change(store, SERVICE, version, vec![Action::Delete]).await;
    let mut rounds = 0;
    while store.sweep(at(0)).await.unwrap() {
        rounds += 1;
        assert!(rounds < 10, "it ends");
    }
    assert_eq!(store.sweep(at(0)).await, Ok(false));
}

/// A node whose items live so long.
fn living(item_expire: Option<u32>) -> Config {
    Config {
        item_expire,
        ..Config::of_service()
    }
}

async fn items_go_when_their_time_is_over(store: &Store) {
    couple(store).await;
    let create = Action::Create(bare(JULIET), living(Some(60)));
    let mut late = item("late", "<e/>");
    late.stamp = at(31);
    let actions = vec![
        create,
        publish(&["a", "b"], 10),
        Action::Publish(vec![late], 10),
    ];
    change(store, SERVICE, None, actions).await;
    let ids = async |now| {
        let found = find_at(store, SERVICE, all(), now).await;
        assert_eq!(found.count, found.items.len() as u64);
        let ids = found.items.iter().map(|item| item.id.clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(60).await, ["a", "b", "late"]);
    assert_eq!(ids(61).await, ["late"]);
    // Nor is one of them read by its id, paged from, or the last one.
    for wanted in [
        Wanted::Ids(vec!["a".into()]),
        Wanted::Replaced(Some("a".into())),
    ] {
        let found = find_at(store, SERVICE, wanted, 90).await;
        assert!(
            found.items.iter().all(|item| item.id == "late"),
            "{found:?}"
        );
    }
    let page = ask_node(Wanted::After(Some("a".into()), 5), JULIET);
    let found = store.nodes(&bare(SERVICE), &page, at(90)).await;
    assert_eq!(found, Err(StoreError::NoSuchItem));
    let last = Ask::LastItems {
        services: vec![bare(SERVICE)],
        nodes: vec!["n".into()],
        bytes_max: 100,
    };
    for (now, is_there) in [(90, true), (91, false)] {
        let Ok(Found::LastItems(found)) = store.nodes(&bare(SERVICE), &last, at(now)).await else {
            panic!()
        };
        assert_eq!(found[0].item.is_some(), is_there, "{now}");
    }
    assert!(ids(91).await.is_empty());
    // What is swept counts no more for its creator.
    while store.sweep(at(91)).await.unwrap() {}
    assert_eq!(find(store, SERVICE, all()).await.usage.bytes, OWNER_BYTES);
}

async fn a_new_time_is_for_the_items_that_are_there_too(store: &Store) {
    couple(store).await;
    let made = vec![create(JULIET), publish(&["a"], 10)];
    change(store, SERVICE, None, made).await;
    let configure = async |item_expire, now| {
        let actions = vec![Action::Configure(living(item_expire))];
        let change = node_change(SERVICE, version(store, SERVICE).await, actions);
        store.change_node(&change, at(now)).await.unwrap();
    };
    let count = async |now| find_at(store, SERVICE, all(), now).await.count;
    configure(Some(1000), 5).await;
    assert_eq!(
        (count(1000).await, find(store, SERVICE, all()).await.count),
        (1, 1)
    );
    configure(Some(10), 6).await;
    assert_eq!(count(11).await, 0);
    // What is over does not come back.
    configure(None, 11).await;
    assert_eq!(count(11).await, 0);
}

async fn values_are_kept_under_names(store: &Store) {
    couple(store).await;
    let juliet = bare(JULIET);
    let value = |text: &str| Some(text.to_owned().into_bytes().into());
    store.keep(&juliet, "a", value("12345")).await.unwrap();
    store.keep(&juliet, "b", value("123")).await.unwrap();
    store.keep(&juliet, "a", value("12")).await.unwrap();
    let kept = store.kept(&juliet, "a").await.unwrap();
    assert_eq!((kept.value, kept.count, kept.bytes), (value("12"), 2, 5));
    store.keep(&juliet, "b", None).await.unwrap();
    let kept = store.kept(&juliet, "b").await.unwrap();
    assert_eq!((kept.value, kept.count, kept.bytes), (None, 1, 2));
    assert_eq!(store.kept(&bare(ROMEO), "a").await.unwrap().count, 0);
    let nobody = bare("nobody@example.org");
    assert_eq!(
        store.kept(&nobody, "a").await,
        Err(StoreError::NoSuchAccount)
    );
    assert_eq!(
        store.keep(&nobody, "a", None).await,
        Err(StoreError::NoSuchAccount)
    );
}
