//! What is to be found in archives (XEP-0441), and how long it is kept.

use bytes::Bytes;
use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::features::archive_preferences::{Otherwise, Preferences};
use klatsch_protocol::features::roster::{RosterChange, RosterItem};
use klatsch_store::{Append, Appended, Arrival, LogAppend, Sent, Store, StoreError};

use crate::support::{
    append, at, bare, create, found_room, jid, keyed, line, message, on_every_backend, say,
};

on_every_backend!(
    an_account_wants_everything_until_it_says_otherwise,
    preferences_are_kept_and_replaced,
    preferences_of_nobody_are_an_error,
    a_removed_account_leaves_none_behind,
    each_side_finds_what_it_wants,
    exact_addresses_count_before_accounts,
    what_comes_through_a_room_is_found_by_those_who_want_it,
    contacts_are_those_of_the_roster,
    colleagues_are_contacts_of_both,
    what_is_not_wanted_is_delivered_all_the_same,
    d2_a_replay_of_what_is_hidden_is_still_one,
    hidden_entries_go_once_they_are_delivered_and_old,
    old_entries_go_but_not_before_they_are_delivered,
    old_entries_of_rooms_go,
);

const ME: &str = "me@x.org";
const YOU: &str = "you@x.org";

fn preferences(otherwise: Otherwise, always: &[&str], never: &[&str]) -> Preferences {
    Preferences {
        otherwise,
        always: always.iter().map(|it| jid(it)).collect(),
        never: never.iter().map(|it| jid(it)).collect(),
    }
}

async fn prefer(store: &Store, preferences: Preferences) {
    store.prefer(&bare(ME), preferences).await.unwrap();
}

async fn found(store: &Store, account: &str) -> Vec<u64> {
    let query = ArchiveQuery {
        max: 100,
        ..ArchiveQuery::default()
    };
    let page = store.query(&bare(account), &query).await.unwrap();
    page.entries.iter().map(|entry| entry.id).collect()
}

async fn in_log(store: &Store, account: &str) -> Vec<u64> {
    let entries = store.entries(&bare(account), 0, 100).await.unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

async fn an_account_wants_everything_until_it_says_otherwise(store: &Store) {
    create(store, &[ME]).await;
    let told = store.archive_preferences(&bare(ME)).await;
    assert_eq!(told, Ok(Preferences::default()));
}

async fn preferences_are_kept_and_replaced(store: &Store) {
    create(store, &[ME]).await;
    for wanted in [
        preferences(Otherwise::Roster, &["a@x.org"], &["b@x.org/home", "c.org"]),
        preferences(Otherwise::Always, &[], &["a@x.org"]),
        preferences(Otherwise::Never, &["a@x.org"], &[]),
        Preferences::default(),
    ] {
        prefer(store, wanted.clone()).await;
        assert_eq!(store.archive_preferences(&bare(ME)).await, Ok(wanted));
    }
}

async fn preferences_of_nobody_are_an_error(store: &Store) {
    let none = StoreError::NoSuchAccount;
    assert_eq!(
        store.archive_preferences(&bare(ME)).await,
        Err(none.clone())
    );
    let said = store.prefer(&bare(ME), Preferences::default()).await;
    assert_eq!(said, Err(none));
}

async fn a_removed_account_leaves_none_behind(store: &Store) {
    create(store, &[ME]).await;
    prefer(store, preferences(Otherwise::Never, &["a@x.org"], &[])).await;
    store.remove_account(&bare(ME), at(1)).await.unwrap();
    create(store, &[ME]).await;
    let told = store.archive_preferences(&bare(ME)).await;
    assert_eq!(told, Ok(Preferences::default()));
}

async fn each_side_finds_what_it_wants(store: &Store) {
    create(store, &[ME, YOU]).await;
    append(store, message("you@x.org/1", ME, 1)).await;
    prefer(store, preferences(Otherwise::Never, &[], &[])).await;
    append(store, message("you@x.org/1", ME, 2)).await;
    append(store, message("me@x.org/1", YOU, 3)).await;
    assert_eq!(found(store, ME).await, [1]);
    assert_eq!(found(store, YOU).await, [1, 2, 3]);
    prefer(store, Preferences::default()).await;
    append(store, message("me@x.org/1", YOU, 4)).await;
    assert_eq!(found(store, ME).await, [1, 4]);
}

async fn exact_addresses_count_before_accounts(store: &Store) {
    create(store, &[ME, YOU]).await;
    let wanted = preferences(Otherwise::Always, &["you@x.org/work"], &["you@x.org"]);
    prefer(store, wanted).await;
    append(store, message("you@x.org/work", ME, 1)).await;
    append(store, message("you@x.org/home", ME, 2)).await;
    append(store, message("me@x.org/1", "you@x.org/work", 3)).await;
    append(store, message("me@x.org/1", YOU, 4)).await;
    assert_eq!(found(store, ME).await, [1, 3]);
}

async fn what_comes_through_a_room_is_found_by_those_who_want_it(store: &Store) {
    create(store, &[ME, YOU]).await;
    prefer(
        store,
        preferences(Otherwise::Always, &[], &["tea@conference.x.org"]),
    )
    .await;
    let arrival = |recipient: &str, sender: &str| Arrival {
        from: jid("tea@conference.x.org/Me"),
        recipient: bare(recipient),
        stanza: Bytes::from_static(b"<message/>"),
        sender: jid(sender),
        sent: Some(Sent {
            with: jid("tea@conference.x.org/You"),
            stanza: Bytes::from_static(b"<message/>"),
        }),
        dedup: None,
        now: at(1),
    };
    let batch = vec![
        LogAppend::Arrival(Box::new(arrival(ME, "you@x.org/1"))),
        LogAppend::Arrival(Box::new(arrival(YOU, "me@x.org/1"))),
    ];
    store.append_all(batch).await.unwrap();
    assert!(found(store, ME).await.is_empty());
    assert_eq!(in_log(store, ME).await, [1, 2]);
    assert_eq!(found(store, YOU).await, [1, 2]);
}

async fn contacts_are_those_of_the_roster(store: &Store) {
    create(store, &[ME, YOU, "else@x.org"]).await;
    let contact = RosterItem {
        listed: true,
        ..RosterItem::new(bare(YOU))
    };
    let version = store.roster(&bare(ME)).await.unwrap().version;
    let change = RosterChange::Put(contact);
    store
        .change_roster(&bare(ME), version, vec![change])
        .await
        .unwrap();
    prefer(store, preferences(Otherwise::Roster, &[], &[])).await;
    append(store, message("you@x.org/1", ME, 1)).await;
    append(store, message("else@x.org/1", ME, 2)).await;
    append(store, message("me@x.org/1", ME, 3)).await;
    assert_eq!(found(store, ME).await, [1, 3]);
}

async fn colleagues_are_contacts_of_both(store: &Store) {
    create(store, &[ME, YOU]).await;
    let between = |from: &str, to: &str, second, are_colleagues| Append {
        are_colleagues,
        ..message(from, to, second)
    };
    prefer(
        store,
        preferences(Otherwise::Roster, &[], &["you@x.org/old"]),
    )
    .await;
    // In one batch, as when the directory changes between two messages.
    let batch = vec![
        between("you@x.org/1", ME, 1, false),
        between("you@x.org/1", ME, 2, true),
        between("me@x.org/1", YOU, 3, true),
        between("you@x.org/old", ME, 4, true),
        between("me@x.org/1", YOU, 5, false),
    ];
    store.append(batch).await.unwrap();
    assert_eq!(found(store, ME).await, [2, 3]);
    assert_eq!(found(store, YOU).await, [1, 2, 3, 4, 5]);
    prefer(store, preferences(Otherwise::Never, &[], &[])).await;
    append(store, between("you@x.org/1", ME, 6, true)).await;
    assert_eq!(found(store, ME).await, [2, 3], "never is never");
}

async fn what_is_not_wanted_is_delivered_all_the_same(store: &Store) {
    create(store, &[ME, YOU]).await;
    prefer(store, preferences(Otherwise::Never, &[], &[])).await;
    append(store, message("you@x.org/1", ME, 1)).await;
    append(store, message("you@x.org/1", ME, 2)).await;
    assert_eq!(in_log(store, ME).await, [1, 2]);
    assert_eq!(store.head(&bare(ME)).await, Ok(2));
}

async fn d2_a_replay_of_what_is_hidden_is_still_one(store: &Store) {
    create(store, &["romeo@example.org", "juliet@example.org"]).await;
    let never = preferences(Otherwise::Never, &[], &[]);
    store
        .prefer(&bare("romeo@example.org"), never)
        .await
        .unwrap();
    let first = append(store, keyed(1, 1, 1)).await;
    store
        .set_cursors(vec![(bare("romeo@example.org"), 1)])
        .await
        .unwrap();
    assert!(matches!(first, Appended::Stored { .. }));
    assert_eq!(store.purge_hidden(at(100)).await, Ok(1));
    assert!(matches!(
        append(store, keyed(1, 1, 5)).await,
        Appended::Replay { .. }
    ));
}

async fn hidden_entries_go_once_they_are_delivered_and_old(store: &Store) {
    create(store, &[ME, YOU]).await;
    append(store, message("you@x.org/1", ME, 1)).await;
    prefer(store, preferences(Otherwise::Never, &[], &[])).await;
    for second in [2, 3, 4] {
        append(store, message("you@x.org/1", ME, second)).await;
    }
    assert_eq!(store.purge_hidden(at(100)).await, Ok(0));
    store.set_cursors(vec![(bare(ME), 3)]).await.unwrap();
    assert_eq!(store.purge_hidden(at(3)).await, Ok(1));
    assert_eq!(in_log(store, ME).await, [1, 3, 4]);
    store.set_cursors(vec![(bare(ME), 4)]).await.unwrap();
    assert_eq!(store.purge_hidden(at(100)).await, Ok(2));
    assert_eq!(in_log(store, ME).await, [1]);
    // Ids are not used again.
    prefer(store, Preferences::default()).await;
    append(store, message("you@x.org/1", ME, 5)).await;
    assert_eq!(found(store, ME).await, [1, 5]);
    assert_eq!(in_log(store, YOU).await, [1, 2, 3, 4, 5]);
}

async fn old_entries_go_but_not_before_they_are_delivered(store: &Store) {
    create(store, &[ME, YOU]).await;
    for second in 1..=6 {
        append(store, message("you@x.org/1", ME, second)).await;
    }
    store
        .set_cursors(vec![(bare(ME), 2), (bare(YOU), 6)])
        .await
        .unwrap();
    assert_eq!(store.purge_old(None, Some(at(100))).await, Ok(0));
    assert_eq!(store.purge_old(Some(at(5)), None).await, Ok(2 + 4));
    assert_eq!(in_log(store, ME).await, [3, 4, 5, 6]);
    assert_eq!(in_log(store, YOU).await, [5, 6]);
}

async fn old_entries_of_rooms_go(store: &Store) {
    let room = "tea@conference.x.org";
    found_room(store, room).await;
    for second in 1..=4 {
        say(store, line(room, second)).await;
    }
    assert_eq!(store.purge_old(Some(at(100)), None).await, Ok(0));
    assert_eq!(store.purge_old(None, Some(at(3))).await, Ok(2));
    let left = store.room_entries(&bare(room), 0, 10).await.unwrap();
    assert_eq!(
        left.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        [3, 4]
    );
    say(store, line(room, 5)).await;
    assert_eq!(store.room_head(&bare(room)).await, Ok(5));
}
