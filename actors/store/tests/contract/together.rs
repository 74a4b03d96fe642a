//! Several nodes on one database: what is decided once is decided once, whichever node comes
//! first. Each test has two stores of one database and does many things on both at once.

use std::collections::BTreeSet;

use bytes::Bytes;
use klatsch_protocol::features::invitation::hash_of;
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation, AffiliationChange};
use klatsch_protocol::features::muc::record::RoomChange;
use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{
    Action, Ask, Found, FoundNode, Item, NodeChange, ROW_BYTES, Wanted,
};
use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::features::roster::{RosterChange, RosterItem};
use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Slot;
use klatsch_store::push::REGISTRATIONS_MAX;
use klatsch_store::tokens::Token;
use klatsch_store::{Credentials, PutAway, Reserved, Store, StoreError, WaitingSession};

use crate::support::{
    ask_node, at, bare, create, find_node, found_room, invite, jid, node_change,
    on_shared_databases, record,
};

on_shared_databases!(
    an_account_is_made_once,
    every_life_of_a_name_has_a_larger_epoch,
    a16_an_invitation_is_used_once,
    c15_a_name_is_either_reserved_or_taken,
    an_account_has_no_more_invitations_than_it_may,
    a_roster_loses_no_change,
    a_block_list_loses_no_change,
    a13_a_count_of_a_token_is_good_once,
    h04_no_more_room_is_granted_than_there_is,
    the_content_of_a_file_that_went_is_told_once,
    devices_beyond_the_limit_make_room,
    sessions_put_away_are_given_out_once,
    values_under_one_name_take_each_others_place,
    a_node_is_made_once,
    a_node_keeps_so_many_items_and_counts_them_right,
    r09_of_changes_to_one_version_of_a_node_one_is_made,
    a_room_is_made_once_in_each_of_its_lives,
    m01_of_two_owners_who_demote_each_other_one_stays,
    a_room_loses_no_change,
    c15_nothing_is_left_of_an_account_that_is_removed_meanwhile,
);

/// How often something is tried at once.
const TIMES: u8 = 16;

/// The two stores.
pub(crate) type Both = [Store; 2];

/// Does something many times at once, by turns on one store and the other.
async fn at_once<T, F>(both: &Both, act: impl Fn(Store, u8) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = |number: u8| {
        let store = both[usize::from(number % 2)].clone();
        tokio::spawn(act(store, number))
    };
    let tasks: Vec<_> = (0..TIMES).map(start).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// How many have done it; the others have found that somebody else had.
fn done<T>(answers: &[Result<T, StoreError>], otherwise: &StoreError) -> usize {
    for refusal in answers.iter().filter_map(|it| it.as_ref().err()) {
        assert_eq!(refusal, otherwise);
    }
    answers.iter().filter(|it| it.is_ok()).count()
}

async fn an_account_is_made_once(both: &Both) {
    let make = |store: Store, _| async move {
        let none = Credentials::default();
        store
            .create_account(&bare("a@x"), &none, false, at(1))
            .await
    };
    let made = at_once(both, make).await;
    assert_eq!(done(&made, &StoreError::Conflict), 1);
    assert_eq!(both[0].count_accounts().await, Ok(1));
}

async fn every_life_of_a_name_has_a_larger_epoch(both: &Both) {
    let live = |store: Store, _| async move {
        let (account, none) = (bare("a@x"), Credentials::default());
        if store
            .create_account(&account, &none, false, at(1))
            .await
            .is_err()
        {
            return None;
        }
        let epoch = store.credentials(&account).await.unwrap().unwrap().epoch;
        let version = store.roster(&account).await.unwrap().version;
        store.remove_account(&account, at(2)).await.unwrap();
        Some((epoch, version))
    };
    let mut lives: Vec<(u64, u64)> = at_once(both, live).await.into_iter().flatten().collect();
    assert!(!lives.is_empty());
    lives.sort_unstable();
    // Whoever has remembered a roster's version must not take the next life's for it.
    for pair in lives.windows(2) {
        assert!(pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1, "{lives:?}");
    }
}

async fn a16_an_invitation_is_used_once(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let invite = invite("t", Some("a@x"), None);
    assert_eq!(both[0].add_invitation(&invite).await, Ok(true));
    let register = |store: Store, number| async move {
        let (account, none) = (bare(&format!("guest{number}@x")), Credentials::default());
        store
            .register_account(&account, &none, Some(hash_of("t")), at(1))
            .await
    };
    let registered = at_once(both, register).await;
    assert_eq!(done(&registered, &StoreError::NoSuchItem), 1);
    assert_eq!(both[1].count_accounts().await, Ok(2));
}

async fn c15_a_name_is_either_reserved_or_taken(both: &Both) {
    let want = |store: Store, number: u8| async move {
        if number.is_multiple_of(3) {
            let invite = invite(&format!("t{number}"), None, Some("a@x"));
            return store.add_invitation(&invite).await.map(drop);
        }
        let (account, none) = (bare("a@x"), Credentials::default());
        let registered = store.register_account(&account, &none, None, at(1)).await;
        registered.map(drop)
    };
    let wanted = at_once(both, want).await;
    assert_eq!(done(&wanted, &StoreError::Conflict), 1);
}

async fn an_account_has_no_more_invitations_than_it_may(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let add = |store: Store, number| async move {
        let invite = invite(&format!("t{number}"), Some("a@x"), None);
        store.add_invitation(&invite).await.unwrap()
    };
    let added = at_once(both, add).await;
    assert_eq!(added.iter().filter(|is_added| **is_added).count(), 3);
}

async fn a_roster_loses_no_change(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let add = |store: Store, number| async move {
        let item = RosterItem::new(bare(&format!("friend{number}@x")));
        let account = bare("a@x");
        loop {
            let version = store.roster(&account).await.unwrap().version;
            let change = vec![RosterChange::Put(item.clone())];
            match store.change_roster(&account, version, change).await {
                Err(StoreError::Conflict) => {}
                other => return (version, other.unwrap()),
            }
        }
    };
    let mut changed = at_once(both, add).await;
    changed.sort_unstable();
    let wanted: Vec<(u64, u64)> = (0..u64::from(TIMES)).map(|it| (it, it + 1)).collect();
    assert_eq!(changed, wanted);
    let roster = both[1].roster(&bare("a@x")).await.unwrap();
    assert_eq!(roster.items.len(), usize::from(TIMES));
}

async fn a_block_list_loses_no_change(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let block = |store: Store, number| async move {
        let account = bare("a@x");
        loop {
            let version = store.blocklist(&account).await.unwrap().version;
            let add = vec![jid(&format!("enemy{number}@x"))];
            match store
                .change_blocklist(&account, version, add, Vec::new())
                .await
            {
                Err(StoreError::Conflict) => {}
                other => return other.unwrap(),
            }
        }
    };
    let versions: BTreeSet<u64> = at_once(both, block).await.into_iter().collect();
    assert_eq!(versions, (1..=u64::from(TIMES)).collect());
    let list = both[1].blocklist(&bare("a@x")).await.unwrap();
    assert_eq!(list.jids.len(), usize::from(TIMES));
}

async fn a13_a_count_of_a_token_is_good_once(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let token = Token {
        mechanism: "HT-SHA-256-NONE".into(),
        seed: vec![1; 32],
        issued: at(1),
        expiry: at(1_000),
        count: 0,
        is_new: true,
    };
    let given = both[0].give_token(&bare("a@x"), "phone", &token).await;
    given.unwrap();
    let login = |store: Store, _| async move {
        store
            .use_token(&bare("a@x"), "phone", &[1; 32], Some(7))
            .await
    };
    let logins = at_once(both, login).await;
    assert_eq!(done(&logins, &StoreError::Conflict), 1);
}

/// A slot of ten bytes of fifty.
fn slot(number: u8) -> SlotRequest {
    SlotRequest {
        slot: Slot::new([number; 16], format!("{number}.jpg"), 10, at(100)),
        owner: bare("a@x"),
        content_type: None,
        expires: Some(at(200)),
        account_bytes_max: 50,
        account_files_max: 100,
    }
}

async fn h04_no_more_room_is_granted_than_there_is(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let reserve = |store: Store, number| async move {
        let reserved = store.reserve_upload(&slot(number), at(1)).await;
        reserved.unwrap() == Reserved::Granted
    };
    let granted = at_once(both, reserve).await;
    assert_eq!(granted.iter().filter(|is_granted| **is_granted).count(), 5);
}

async fn the_content_of_a_file_that_went_is_told_once(both: &Both) {
    create(&both[0], &["a@x"]).await;
    for number in 0..5 {
        let reserved = both[0].reserve_upload(&slot(number), at(1)).await;
        assert_eq!(reserved, Ok(Reserved::Granted));
        let completed = both[0].complete_upload([number; 16], [number; 32], at(2));
        assert_eq!(completed.await, Ok(true));
    }
    let expire = |store: Store, _| async move { store.expire_uploads(at(300), 2).await.unwrap() };
    let mut told = at_once(both, expire).await.concat();
    // Whoever found them being forgotten by others may have left some.
    told.extend(both[0].expire_uploads(at(300), 100).await.unwrap());
    told.sort_unstable();
    assert_eq!(told, [0, 1, 2, 3, 4].map(|number| [number; 32]));
}

async fn devices_beyond_the_limit_make_room(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let enable = |store: Store, number: u8| async move {
        for device in 0..4 {
            let registration = Registration {
                service: jid("push.x"),
                node: format!("{number} {device}"),
                resource: "phone".into(),
                options: None,
            };
            let change = PushChange::Enable(registration);
            store.change_push(&bare("a@x"), change).await.unwrap();
        }
    };
    at_once(both, enable).await;
    let devices = both[0].registrations(&bare("a@x")).await.unwrap();
    assert_eq!(devices.len(), REGISTRATIONS_MAX);
}

async fn sessions_put_away_are_given_out_once(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let put = |store: Store, number: u8| async move {
        let session = |which| WaitingSession {
            account: bare("a@x"),
            previd: "id".into(),
            value: Bytes::from(vec![number, which]),
        };
        let sessions = [session(0), session(1)];
        store
            .put_sessions_away(None, &sessions, at(100))
            .await
            .unwrap();
    };
    at_once(both, put).await;
    let take =
        |store: Store, _| async move { store.take_sessions(&PutAway::All, at(1)).await.unwrap() };
    let taken: Vec<Bytes> = at_once(both, take)
        .await
        .concat()
        .into_iter()
        .map(|session| session.value)
        .collect();
    let different: BTreeSet<&Bytes> = taken.iter().collect();
    assert_eq!(different.len(), taken.len());
    assert_eq!(taken.len(), usize::from(TIMES) * 2);
}

async fn values_under_one_name_take_each_others_place(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let keep = |store: Store, number: u8| async move {
        let value = Some(Bytes::from(vec![number; 10]));
        store.keep(&bare("a@x"), "name", value).await.unwrap();
    };
    at_once(both, keep).await;
    let kept = both[0].kept(&bare("a@x"), "name").await.unwrap();
    assert_eq!((kept.count, kept.bytes), (1, 10));
}

fn node(expected: Option<u64>, actions: Vec<Action>) -> NodeChange {
    node_change("pubsub.x", expected, actions)
}

async fn find(store: &Store) -> FoundNode {
    let ask = ask_node(Wanted::After(None, 1000), "a@x");
    find_node(store, "pubsub.x", &ask, 5).await
}

fn made() -> NodeChange {
    let create = Action::Create(bare("a@x"), Config::of_service());
    node(None, vec![create])
}

async fn a_node_is_made_once(both: &Both) {
    let make = |store: Store, _| async move { store.change_node(&made(), at(1)).await };
    let outcomes = at_once(both, make).await;
    assert_eq!(done(&outcomes, &StoreError::Conflict), 1);
    assert_eq!(find(&both[1]).await.usage.nodes, 1);
}

async fn a_node_keeps_so_many_items_and_counts_them_right(both: &Both) {
    both[0].change_node(&made(), at(1)).await.unwrap();
    let version = find(&both[0]).await.node.unwrap().version;
    let publish = move |store: Store, number: u8| async move {
        for which in 0..4 {
            let item = Item {
                // Some take the place of others'.
                id: format!("{:02} {which}", number / 2),
                publisher: jid("a@x/y"),
                stamp: at(1),
                payload: Bytes::from_static(b"<e/>"),
            };
            let publish = node(Some(version), vec![Action::Publish(vec![item], 10)]);
            store.change_node(&publish, at(2)).await.unwrap();
        }
    };
    at_once(both, publish).await;
    let found = find(&both[1]).await;
    assert_eq!((found.items.len(), found.count), (10, 10));
    let item_bytes: u64 = found.items.iter().map(Item::bytes).sum();
    let owner_bytes = "a@x".len() as u64 + ROW_BYTES;
    assert_eq!(found.usage.bytes, item_bytes + owner_bytes);
}

async fn r09_of_changes_to_one_version_of_a_node_one_is_made(both: &Both) {
    both[0].change_node(&made(), at(1)).await.unwrap();
    let version = find(&both[0]).await.node.unwrap().version;
    let configure = move |store: Store, number: u8| async move {
        let mut config = Config::of_service();
        config.title = number.to_string();
        let change = node(Some(version), vec![Action::Configure(config)]);
        store.change_node(&change, at(2)).await
    };
    let outcomes = at_once(both, configure).await;
    assert_eq!(done(&outcomes, &StoreError::Conflict), 1);
    let found = find(&both[1]).await.node.unwrap();
    let first = outcomes.iter().position(Result::is_ok).unwrap();
    assert_eq!(found.config.title, first.to_string());
    assert_eq!(found.version, version + 1);
}

const ROOM: &str = "coven@rooms.x";

async fn a_room_is_made_once_in_each_of_its_lives(both: &Both) {
    let make = |store: Store, number: u8| async move {
        let create = RoomChange::Create(Box::new(record("a@x")));
        let made = store.save_room(&bare(ROOM), 0, vec![create]).await;
        let Ok(version) = made else {
            return made;
        };
        match number.is_multiple_of(2) {
            true => store.remove_room(&bare(ROOM)).await.unwrap(),
            false => {
                let destroy = vec![RoomChange::Destroy];
                let destroyed = store.save_room(&bare(ROOM), version, destroy).await;
                destroyed.unwrap();
            }
        }
        Ok(version)
    };
    let lives = at_once(both, make).await;
    assert!(done(&lives, &StoreError::Conflict) > 0);
    let versions: Vec<u64> = lives.into_iter().flatten().collect();
    let different: BTreeSet<&u64> = versions.iter().collect();
    assert_eq!(different.len(), versions.len(), "{versions:?}");
    assert_eq!(both[0].room(&bare(ROOM)).await, Ok(None));
}

fn standing(who: &str, affiliation: Affiliation) -> RoomChange {
    RoomChange::Affiliation(AffiliationChange {
        jid: bare(who),
        before: Affiliation::None,
        after: Affiliate {
            affiliation,
            nick: None,
            reason: None,
        },
    })
}

async fn m01_of_two_owners_who_demote_each_other_one_stays(both: &Both) {
    let version = found_room(&both[0], ROOM).await;
    let other = vec![standing("king@example.org", Affiliation::Owner)];
    let saved = both[0].save_room(&bare(ROOM), version, other).await;
    saved.unwrap();
    let demote = |store: Store, number: u8| async move {
        let who = ["queen@example.org", "king@example.org"][usize::from(number % 2)];
        let record = store.room(&bare(ROOM)).await.unwrap().unwrap();
        let change = vec![standing(who, Affiliation::Member)];
        store.save_room(&bare(ROOM), record.version, change).await
    };
    done(&at_once(both, demote).await, &StoreError::Conflict);
    let room = both[1].room(&bare(ROOM)).await.unwrap().unwrap();
    let owners = room.affiliations.values();
    let owners = owners.filter(|it| it.affiliation == Affiliation::Owner);
    assert_eq!(owners.count(), 1);
}

async fn a_room_loses_no_change(both: &Both) {
    found_room(&both[0], ROOM).await;
    let admit = |store: Store, number: u8| async move {
        loop {
            let version = store.room(&bare(ROOM)).await.unwrap().unwrap().version;
            let change = vec![standing(&format!("m{number}@x"), Affiliation::Member)];
            match store.save_room(&bare(ROOM), version, change).await {
                Err(StoreError::Conflict) => {}
                other => return other.unwrap(),
            }
        }
    };
    let versions: BTreeSet<u64> = at_once(both, admit).await.into_iter().collect();
    assert_eq!(versions.len(), usize::from(TIMES));
    let room = both[1].room(&bare(ROOM)).await.unwrap().unwrap();
    assert_eq!(room.affiliations.len(), usize::from(TIMES) + 1);
}

async fn c15_nothing_is_left_of_an_account_that_is_removed_meanwhile(both: &Both) {
    create(&both[0], &["a@x"]).await;
    let live = |store: Store, number: u8| async move {
        let (account, none) = (bare("a@x"), Credentials::default());
        if number == TIMES / 2 {
            return store.remove_account(&account, at(2)).await;
        }
        let session = WaitingSession {
            account: account.clone(),
            previd: "id".into(),
            value: Bytes::from_static(b"session"),
        };
        store.put_sessions_away(None, &[session], at(100)).await?;
        let registration = Registration {
            service: jid("push.x"),
            node: number.to_string(),
            resource: "phone".into(),
            options: None,
        };
        store
            .change_push(&account, PushChange::Enable(registration))
            .await?;
        store.reserve_upload(&slot(number), at(1)).await?;
        let value = Some(Bytes::from_static(b"value"));
        store.keep(&account, &number.to_string(), value).await?;
        let own = NodeChange {
            service: account.clone(),
            node: number.to_string(),
            expected: None,
            actions: vec![Action::Create(account.clone(), Config::of_account())],
        };
        store.change_node(&own, at(1)).await?;
        store.set_credentials(&account, &none).await
    };
    done(&at_once(both, live).await, &StoreError::NoSuchAccount);
    create(&both[1], &["a@x"]).await;
    let account = bare("a@x");
    assert_eq!(
        both[0].take_sessions(&PutAway::All, at(1)).await,
        Ok(Vec::new())
    );
    assert_eq!(both[0].registrations(&account).await, Ok(Vec::new()));
    assert_eq!(both[0].kept_names(&account).await, Ok(Vec::new()));
    let ask = Ask::Nodes {
        after: None,
        max: 10,
    };
    let nodes = both[0].nodes(&account, &ask, at(3)).await;
    assert_eq!(nodes, Ok(Found::Nodes(Vec::new())));
    for number in 0..5 {
        let reserved = both[0].reserve_upload(&slot(100 + number), at(3)).await;
        assert_eq!(reserved, Ok(Reserved::Granted));
    }
}
