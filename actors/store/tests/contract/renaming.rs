//! Accounts that get another address, on every backend.

use bytes::Bytes;
use klatsch_protocol::colleagues::Change;
use klatsch_protocol::features::archive_preferences::{Otherwise, Preferences};
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation, AffiliationChange};
use klatsch_protocol::features::muc::record::RoomChange;
use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{Action, Affiliation as Standing, Node, Wanted};
use klatsch_protocol::features::roster::{RosterChange, RosterItem, Subscription as Direction};
use klatsch_protocol::jid::BareJid;
use klatsch_store::{Account, PutAway, Store, StoreError, WaitingSession};

use crate::support::{
    append, ask_node, at, bare, create, find_node, found_room, jid, message, node_change,
    on_every_backend, subscription,
};

on_every_backend![
    account_keeps_what_it_has,
    messages_go_on_after_the_last_id,
    nobody_and_somebody_elses_name_are_refused,
    old_name_is_free_and_begins_with_nothing,
    contacts_of_others_get_the_new_address,
    who_was_blocked_stays_blocked,
    preferences_of_others_get_the_new_address,
    nodes_get_the_new_address,
    rooms_get_the_new_address,
    what_is_there_of_the_new_address_gives_way,
    nothing_of_the_old_name_is_good_any_more,
    name_may_come_back,
    former_addresses_are_known_until_somebody_else_has_them,
    two_get_each_others_addresses_with_all_they_have,
    three_in_a_circle_get_the_address_of_the_next,
    circle_with_nobody_in_it_changes_nothing,
    address_that_was_exchanged_is_nobodys_former_one,
];

const OLD: &str = "jane.roe@example.org";
const NEW: &str = "jane.doe@example.net";
const OTHER: &str = "poe@example.org";

async fn people(store: &Store) {
    create(store, &[OLD, OTHER]).await;
}

async fn rename(store: &Store) {
    store
        .rename_account(&bare(OLD), &bare(NEW), at(100))
        .await
        .unwrap();
}

async fn epoch(store: &Store, account: &str) -> u64 {
    let found = store.credentials(&bare(account)).await.unwrap();
    found.unwrap().epoch
}

fn contact(address: &str, direction: Direction) -> RosterChange {
    RosterChange::Put(RosterItem {
        subscription: direction,
        listed: true,
        ..RosterItem::new(bare(address))
    })
}

async fn account_keeps_what_it_has(store: &Store) {
    people(store).await;
    let (old, new) = (bare(OLD), bare(NEW));
    store.set_admin(&old, true).await.unwrap();
    append(store, message(&format!("{OTHER}/o"), OLD, 1)).await;
    let contacts = vec![contact(OTHER, Direction::Both)];
    store.change_roster(&old, 0, contacts).await.unwrap();
    let blocked = vec![jid("spam.example")];
    store
        .change_blocklist(&old, 0, blocked, Vec::new())
        .await
        .unwrap();
    let kept = Some(Bytes::from_static(b"<x/>"));
    store.keep(&old, "a", kept.clone()).await.unwrap();
    store.set_cursors(vec![(old.clone(), 1)]).await.unwrap();
    rename(store).await;
    let snapshot = store.snapshot(&new).await.unwrap();
    let item = &snapshot.roster.items[&bare(OTHER)];
    assert_eq!(item.subscription, Direction::Both);
    assert!(snapshot.blocklist.jids.contains(&jid("spam.example")));
    assert_eq!((snapshot.head, snapshot.cursor), (1, 1));
    assert_eq!(store.kept(&new, "a").await.unwrap().value, kept);
    assert_eq!(store.entries(&new, 0, 10).await.unwrap().len(), 1);
    let listed = store.list_accounts("example.net", None, 10).await.unwrap();
    let [Account { jid, admin, .. }] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!((jid, *admin), (&new, true));
    let left = store.list_accounts("example.org", None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(store.count_accounts().await, Ok(2));
}

async fn messages_go_on_after_the_last_id(store: &Store) {
    people(store).await;
    let from = format!("{OTHER}/o");
    append(store, message(&from, OLD, 1)).await;
    append(store, message(&from, OLD, 2)).await;
    rename(store).await;
    append(store, message(&from, NEW, 3)).await;
    append(store, message(&format!("{NEW}/o"), OTHER, 4)).await;
    let entries = store.entries(&bare(NEW), 0, 10).await.unwrap();
    let ids: Vec<u64> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(store.head(&bare(NEW)).await, Ok(4));
    assert_eq!(store.heads(&[bare(NEW), bare(OLD)]).await, Ok(vec![4, 0]));
    let gone = Err(StoreError::NoSuchAccount);
    assert_eq!(store.head(&bare(OLD)).await, gone);
}

async fn nobody_and_somebody_elses_name_are_refused(store: &Store) {
    people(store).await;
    let renamed = |from: &'static str, to: &'static str| async move {
        store.rename_account(&bare(from), &bare(to), at(1)).await
    };
    let nobody = Err(StoreError::NoSuchAccount);
    assert_eq!(renamed("nobody@example.org", NEW).await, nobody);
    assert_eq!(renamed(OLD, OTHER).await, Err(StoreError::Conflict));
    assert_eq!(renamed(OLD, OLD).await, Err(StoreError::Conflict));
    assert!(store.snapshot(&bare(OLD)).await.is_ok());
}

async fn old_name_is_free_and_begins_with_nothing(store: &Store) {
    people(store).await;
    let contacts = vec![contact(OTHER, Direction::Both)];
    let version = store.change_roster(&bare(OLD), 0, contacts).await.unwrap();
    append(store, message(&format!("{OTHER}/o"), OLD, 1)).await;
    rename(store).await;
    create(store, &[OLD]).await;
    let snapshot = store.snapshot(&bare(OLD)).await.unwrap();
    assert!(snapshot.roster.items.is_empty());
    // Whoever remembers the roster of the former does not take it for this one.
    assert!(snapshot.roster.version > version);
    assert_eq!(snapshot.head, 0);
    assert!(epoch(store, OLD).await > epoch(store, NEW).await);
    // What the former has left is swept, and nothing of the latter.
    while store.sweep(at(1000)).await.unwrap() {}
    assert_eq!(store.head(&bare(NEW)).await, Ok(1));
    assert_eq!(store.head(&bare(OLD)).await, Ok(0));
}

async fn contacts_of_others_get_the_new_address(store: &Store) {
    people(store).await;
    let third = bare("third@example.org");
    create(store, &["third@example.org"]).await;
    for (account, direction) in [
        (bare(OTHER), Direction::Both),
        (third.clone(), Direction::To),
    ] {
        let contacts = vec![contact(OLD, direction)];
        store.change_roster(&account, 0, contacts).await.unwrap();
    }
    rename(store).await;
    for (account, direction) in [(bare(OTHER), Direction::Both), (third, Direction::To)] {
        let roster = store.roster(&account).await.unwrap();
        assert_eq!(roster.version, 2);
        assert_eq!(roster.items.len(), 1);
        let item = &roster.items[&bare(NEW)];
        assert_eq!((item.subscription, item.version), (direction, 2));
        assert_eq!(roster.removed, [(bare(OLD), 2)]);
    }
    let shows = store.who_shows(&jid(NEW)).await.unwrap();
    assert_eq!(shows, [bare(OTHER)]);
}

async fn who_was_blocked_stays_blocked(store: &Store) {
    people(store).await;
    let blocked = vec![
        jid(OLD),
        jid(&format!("{OLD}/phone")),
        jid("jane.roe@example.orga"),
    ];
    let version = store
        .change_blocklist(&bare(OTHER), 0, blocked, Vec::new())
        .await
        .unwrap();
    rename(store).await;
    let list = store.blocklist(&bare(OTHER)).await.unwrap();
    let expected = [
        jid(NEW),
        jid(&format!("{NEW}/phone")),
        jid("jane.roe@example.orga"),
    ];
    assert_eq!(list.jids, expected.into());
    assert_eq!(list.version, version + 1);
    append(store, message(&format!("{NEW}/o"), OTHER, 1)).await;
    assert_eq!(store.head(&bare(OTHER)).await, Ok(0), "kept from them");
}

async fn preferences_of_others_get_the_new_address(store: &Store) {
    people(store).await;
    let wanted = |always: &str, never: &str| Preferences {
        otherwise: Otherwise::Always,
        always: [jid(always)].into(),
        never: [jid(never)].into(),
    };
    let before = wanted(&format!("{OLD}/phone"), OLD);
    store.prefer(&bare(OTHER), before).await.unwrap();
    rename(store).await;
    let after = store.archive_preferences(&bare(OTHER)).await;
    assert_eq!(after, Ok(wanted(&format!("{NEW}/phone"), NEW)));
}

async fn make_node(store: &Store, service: &str, creator: &str, actions: Vec<Action>) {
    let config = match bare(service).localpart() {
        Some(_) => Config::of_account(),
        None => Config::of_service(),
    };
    let mut all = vec![Action::Create(bare(creator), config)];
    all.extend(actions);
    let change = node_change(service, None, all);
    store.change_node(&change, at(1)).await.unwrap();
}

async fn node(store: &Store, service: &str) -> Option<Node> {
    let ask = ask_node(Wanted::Nothing, OTHER);
    find_node(store, service, &ask, 2).await.node
}

async fn nodes_get_the_new_address(store: &Store) {
    people(store).await;
    make_node(store, OLD, OLD, Vec::new()).await;
    let listed = vec![
        Action::Affiliate([(bare(OLD), Standing::Publisher)].into()),
        Action::Subscribe(subscription(&format!("{OLD}/phone"))),
    ];
    make_node(store, OTHER, OTHER, listed).await;
    make_node(store, "pubsub.example.org", OLD, Vec::new()).await;
    let before = node(store, OTHER).await.unwrap().version;
    rename(store).await;
    assert_eq!(node(store, OLD).await, None);
    let own = node(store, NEW).await.unwrap();
    assert_eq!(own.creator, bare(NEW));
    assert_eq!(own.affiliations, [(bare(NEW), Standing::Owner)].into());
    let theirs = node(store, OTHER).await.unwrap();
    assert!(theirs.version > before);
    assert_eq!(theirs.affiliations[&bare(NEW)], Standing::Publisher);
    assert_eq!(theirs.affiliations.len(), 2);
    let subscribed: Vec<_> = theirs.subscriptions.iter().map(|it| &it.jid).collect();
    assert_eq!(subscribed, [&jid(&format!("{NEW}/phone"))]);
    let common = node(store, "pubsub.example.org").await.unwrap();
    assert_eq!(common.creator, bare(NEW));
}

const ROOM: &str = "coven@conference.example.org";

async fn affiliate(store: &Store, version: u64, account: &str, affiliation: Affiliation) -> u64 {
    let change = RoomChange::Affiliation(AffiliationChange {
        jid: bare(account),
        before: Affiliation::None,
        after: Affiliate {
            affiliation,
            nick: None,
            reason: None,
        },
    });
    let saved = store.save_room(&bare(ROOM), version, vec![change]).await;
    saved.unwrap()
}

async fn rooms_get_the_new_address(store: &Store) {
    people(store).await;
    let version = found_room(store, ROOM).await;
    let version = affiliate(store, version, OLD, Affiliation::Admin).await;
    rename(store).await;
    let room = store.room(&bare(ROOM)).await.unwrap().unwrap();
    assert_eq!(room.version, version + 1);
    assert!(!room.affiliations.contains_key(&bare(OLD)));
    let standing = &room.affiliations[&bare(NEW)];
    assert_eq!(standing.affiliation, Affiliation::Admin);
}

async fn what_is_there_of_the_new_address_gives_way(store: &Store) {
    people(store).await;
    let contacts = vec![contact(OLD, Direction::Both), contact(NEW, Direction::None)];
    store
        .change_roster(&bare(OTHER), 0, contacts)
        .await
        .unwrap();
    let version = found_room(store, ROOM).await;
    let version = affiliate(store, version, OLD, Affiliation::Member).await;
    affiliate(store, version, NEW, Affiliation::Outcast).await;
    rename(store).await;
    let roster = store.roster(&bare(OTHER)).await.unwrap();
    assert_eq!(roster.items.len(), 1);
    assert_eq!(roster.items[&bare(NEW)].subscription, Direction::Both);
    let room = store.room(&bare(ROOM)).await.unwrap().unwrap();
    let standing = &room.affiliations[&bare(NEW)];
    assert_eq!(standing.affiliation, Affiliation::Member);
}

async fn nothing_of_the_old_name_is_good_any_more(store: &Store) {
    people(store).await;
    let before = epoch(store, OLD).await;
    let waits = WaitingSession {
        account: bare(OLD),
        previd: "id".into(),
        value: Bytes::from_static(b"session"),
    };
    store
        .put_sessions_away(None, &[waits], at(1000))
        .await
        .unwrap();
    rename(store).await;
    assert!(epoch(store, NEW).await > before);
    assert_eq!(store.credentials(&bare(OLD)).await, Ok(None));
    let taken = store.take_sessions(&PutAway::All, at(10)).await.unwrap();
    assert_eq!(taken, []);
}

async fn name_may_come_back(store: &Store) {
    people(store).await;
    let (old, new): (BareJid, BareJid) = (bare(OLD), bare(NEW));
    append(store, message(&format!("{OTHER}/o"), OLD, 1)).await;
    let first = epoch(store, OLD).await;
    rename(store).await;
    store.rename_account(&new, &old, at(200)).await.unwrap();
    assert!(epoch(store, OLD).await > first);
    assert_eq!(store.head(&old).await, Ok(1));
    rename(store).await;
    assert_eq!(store.head(&new).await, Ok(1));
    store.remove_account(&new, at(300)).await.unwrap();
    while store.sweep(at(1000)).await.unwrap() {}
    assert_eq!(store.count_accounts().await, Ok(1));
}

async fn former_addresses_are_known_until_somebody_else_has_them(store: &Store) {
    people(store).await;
    let third = bare("jane@example.org");
    let former = |all: &[(&str, &str)]| -> Vec<(BareJid, BareJid)> {
        all.iter().map(|(it, now)| (bare(it), bare(now))).collect()
    };
    assert_eq!(store.former_addresses().await, Ok(Vec::new()));
    rename(store).await;
    let expected = former(&[(OLD, NEW)]);
    assert_eq!(store.former_addresses().await, Ok(expected));
    store
        .rename_account(&bare(NEW), &third, at(200))
        .await
        .unwrap();
    let third = third.as_str();
    let expected = former(&[(NEW, third), (OLD, third)]);
    assert_eq!(store.former_addresses().await, Ok(expected));
    // One of them is somebody else's, and is nobody's after them.
    create(store, &[NEW]).await;
    let expected = former(&[(OLD, third)]);
    assert_eq!(store.former_addresses().await, Ok(expected.clone()));
    store.remove_account(&bare(NEW), at(300)).await.unwrap();
    assert_eq!(store.former_addresses().await, Ok(expected));
    // And back: what an account is called is no former address.
    store
        .rename_account(&bare(third), &bare(OLD), at(400))
        .await
        .unwrap();
    let expected = former(&[(third, OLD)]);
    assert_eq!(store.former_addresses().await, Ok(expected));
    store.remove_account(&bare(OLD), at(500)).await.unwrap();
    assert_eq!(store.former_addresses().await, Ok(Vec::new()));
}

/// The directory says so as its first word.
async fn exchange(store: &Store, circle: &[&str]) -> Result<(), StoreError> {
    let circle: Vec<BareJid> = circle.iter().map(|it| bare(it)).collect();
    let changes = vec![Change {
        id: "a".into(),
        entry: None,
    }];
    let version = store
        .exchange_addresses(&circle, 0, changes, at(100))
        .await?;
    assert_eq!(version, 1);
    Ok(())
}

async fn log_of(store: &Store, account: &str) -> Vec<u64> {
    let entries = store.entries(&bare(account), 0, 10).await.unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

async fn two_get_each_others_addresses_with_all_they_have(store: &Store) {
    people(store).await;
    create(store, &["third@example.org"]).await;
    let third = bare("third@example.org");
    append(store, message("third@example.org/t", OLD, 1)).await;
    append(store, message("third@example.org/t", OLD, 2)).await;
    append(store, message("third@example.org/t", OTHER, 3)).await;
    // Each is the other's contact, and both are the third's, who blocks one.
    for (account, other, direction) in [
        (OLD, OTHER, Direction::To),
        (OTHER, OLD, Direction::From),
        ("third@example.org", OLD, Direction::Both),
    ] {
        let contacts = vec![contact(other, direction)];
        store
            .change_roster(&bare(account), 0, contacts)
            .await
            .unwrap();
    }
    let contacts = vec![contact(OTHER, Direction::None)];
    let version = store.change_roster(&third, 1, contacts).await.unwrap();
    let blocked = vec![jid(&format!("{OTHER}/phone"))];
    store
        .change_blocklist(&third, 0, blocked, Vec::new())
        .await
        .unwrap();
    let room = found_room(store, ROOM).await;
    affiliate(store, room, OLD, Affiliation::Admin).await;
    make_node(store, OLD, OLD, Vec::new()).await;
    let before = epoch(store, OLD).await.max(epoch(store, OTHER).await);

    exchange(store, &[OLD, OTHER]).await.unwrap();
    assert_eq!(log_of(store, OTHER).await, [1, 2]);
    assert_eq!(log_of(store, OLD).await, [1]);
    append(store, message("third@example.org/t", OTHER, 4)).await;
    assert_eq!(log_of(store, OTHER).await, [1, 2, 3]);
    let subscription = |roster: &klatsch_protocol::features::roster::Roster, of: &str| {
        roster.items.get(&bare(of)).map(|item| item.subscription)
    };
    let (first, second) = (
        store.roster(&bare(OTHER)).await.unwrap(),
        store.roster(&bare(OLD)).await.unwrap(),
    );
    assert_eq!(subscription(&first, OLD), Some(Direction::To));
    assert_eq!(subscription(&second, OTHER), Some(Direction::From));
    let theirs = store.roster(&third).await.unwrap();
    assert!(theirs.version > version);
    assert_eq!(theirs.items.len(), 2);
    assert_eq!(subscription(&theirs, OTHER), Some(Direction::Both));
    assert_eq!(subscription(&theirs, OLD), Some(Direction::None));
    // Whoever knows the roster of before is told of two who have changed, and of nobody gone.
    assert!(theirs.removed.is_empty(), "{:?}", theirs.removed);
    let blocklist = store.snapshot(&third).await.unwrap().blocklist.jids;
    assert_eq!(blocklist, [jid(&format!("{OLD}/phone"))].into());
    let room = store.room(&bare(ROOM)).await.unwrap().unwrap();
    assert!(room.affiliations.contains_key(&bare(OTHER)));
    assert!(!room.affiliations.contains_key(&bare(OLD)));
    assert!(node(store, OTHER).await.is_some() && node(store, OLD).await.is_none());
    // Nothing of either name is good any more.
    assert!(epoch(store, OLD).await > before && epoch(store, OTHER).await > before);
    assert_eq!(store.count_accounts().await, Ok(3));
}

async fn three_in_a_circle_get_the_address_of_the_next(store: &Store) {
    let circle = ["a@example.org", "b@example.org", "c@example.net"];
    create(store, &circle).await;
    for (number, account) in circle.iter().enumerate() {
        let value = Some(Bytes::from(vec![number as u8]));
        store.keep(&bare(account), "mine", value).await.unwrap();
    }
    exchange(store, &circle).await.unwrap();
    for (account, whose) in circle.iter().zip([2_u8, 0, 1]) {
        let kept = store.kept(&bare(account), "mine").await.unwrap();
        assert_eq!(kept.value, Some(Bytes::from(vec![whose])), "{account}");
    }
    let elsewhere = store.list_accounts("example.net", None, 10).await.unwrap();
    assert_eq!(elsewhere.len(), 1);
    assert_eq!(store.former_addresses().await, Ok(Vec::new()));
}

async fn circle_with_nobody_in_it_changes_nothing(store: &Store) {
    people(store).await;
    append(store, message(&format!("{OTHER}/o"), OLD, 1)).await;
    let nobody = Err(StoreError::NoSuchAccount);
    assert_eq!(exchange(store, &[OLD, OTHER, "no@x.org"]).await, nobody);
    let twice = exchange(store, &[OLD, OTHER, OLD]).await;
    assert_eq!(twice, Err(StoreError::Conflict));
    assert_eq!(store.colleagues_since(0).await.unwrap().version, 0);
    assert_eq!(exchange(store, &[OLD]).await, Ok(()));
    // What the directory has said once is not done again, which would undo it.
    let again = exchange(store, &[OLD, OTHER]).await;
    assert_eq!(again, Err(StoreError::Conflict));
    assert_eq!(log_of(store, OLD).await, [1]);
    assert_eq!(log_of(store, OTHER).await, [1]);
    assert_eq!(store.former_addresses().await, Ok(Vec::new()));
}

async fn address_that_was_exchanged_is_nobodys_former_one(store: &Store) {
    people(store).await;
    exchange(store, &[OLD, OTHER]).await.unwrap();
    assert_eq!(store.former_addresses().await, Ok(Vec::new()));
    // Also when whoever has it now is gone.
    store.remove_account(&bare(OLD), at(200)).await.unwrap();
    assert_eq!(store.former_addresses().await, Ok(Vec::new()));
}
