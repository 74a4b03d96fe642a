//! Messages from elsewhere: in the recipient's log alone.

use bytes::Bytes;
use klatsch_protocol::archive::Direction;
use klatsch_store::{Append, Arrival, Arrived, Dedup, LogAppend, LogAppended, Store, StoreError};

use crate::support::{append, at, bare, couple, jid, keyed, on_every_backend, placed};

on_every_backend!(
    an_arrival_stands_in_the_recipients_log_alone,
    a_replay_of_an_arrival_finds_the_first_entry,
    an_arrival_and_what_the_account_says_have_keys_of_their_own_logs,
    an_arrival_for_nobody_and_one_from_who_is_blocked_are_refused,
    arrivals_are_found_in_the_archive_by_their_sender,
);

fn arrival(second: i64) -> Arrival {
    Arrival {
        sender: jid("bot@gateway.example.net/1"),
        recipient: bare("juliet@example.org"),
        dedup: None,
        stanza: Bytes::from(format!("<message>{second}</message>")),
        now: at(second),
    }
}

fn keyed_arrival(key: u8, payload: u64, second: i64) -> Arrival {
    let key = [key; 16];
    Arrival {
        dedup: Some(Dedup { key, payload }),
        ..arrival(second)
    }
}

async fn arrive(store: &Store, arrival: Arrival) -> Arrived {
    let batch = vec![LogAppend::Arrival(arrival)];
    let answers = store.append_all(batch).await.unwrap();
    answers[0].arrived().unwrap()
}

async fn an_arrival_stands_in_the_recipients_log_alone(store: &Store) {
    couple(store).await;
    assert_eq!(
        arrive(store, arrival(1)).await,
        Arrived::Stored(placed(1, 1))
    );
    let entries = store.entries(&bare("juliet@example.org"), 0, 10).await;
    let entries = entries.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].direction, Direction::Received);
    assert_eq!(entries[0].with, bare("bot@gateway.example.net"));
    assert_eq!(store.head(&bare("romeo@example.org")).await, Ok(0));
    let nobody = store.head(&bare("bot@gateway.example.net")).await;
    assert_eq!(nobody, Err(StoreError::NoSuchAccount));
}

async fn a_replay_of_an_arrival_finds_the_first_entry(store: &Store) {
    couple(store).await;
    let first = arrive(store, keyed_arrival(1, 42, 1)).await;
    assert_eq!(first, Arrived::Stored(placed(1, 1)));
    arrive(store, arrival(2)).await;
    let again = arrive(store, keyed_arrival(1, 42, 3)).await;
    assert_eq!(again, Arrived::Replay(placed(1, 1)));
    let other = arrive(store, keyed_arrival(1, 43, 3)).await;
    assert_eq!(other, Arrived::ReplayOtherPayload);
    assert_eq!(store.head(&bare("juliet@example.org")).await, Ok(2));
}

async fn an_arrival_and_what_the_account_says_have_keys_of_their_own_logs(store: &Store) {
    couple(store).await;
    let batch = vec![
        LogAppend::Account(keyed(1, 42, 1)),
        LogAppend::Arrival(keyed_arrival(1, 42, 1)),
        LogAppend::Arrival(keyed_arrival(1, 42, 2)),
    ];
    let answers = store.append_all(batch).await.unwrap();
    let stored = LogAppended::Arrival(Arrived::Stored(placed(2, 1)));
    let replay = LogAppended::Arrival(Arrived::Replay(placed(2, 1)));
    assert_eq!(answers[1..], [stored, replay]);
}

async fn an_arrival_for_nobody_and_one_from_who_is_blocked_are_refused(store: &Store) {
    couple(store).await;
    let nobody = Arrival {
        recipient: bare("paris@example.org"),
        ..arrival(1)
    };
    assert_eq!(arrive(store, nobody).await, Arrived::NoSuchAccount);
    let juliet = bare("juliet@example.org");
    let add = vec![jid("gateway.example.net")];
    let blocked = store.change_blocklist(&juliet, 0, add, Vec::new()).await;
    blocked.unwrap();
    assert_eq!(arrive(store, arrival(2)).await, Arrived::Blocked);
    assert_eq!(store.head(&juliet).await, Ok(0));
}

async fn arrivals_are_found_in_the_archive_by_their_sender(store: &Store) {
    couple(store).await;
    arrive(store, arrival(1)).await;
    append(store, keyed(1, 1, 2)).await;
    let reply = Append {
        sender: jid("juliet@example.org/balcony"),
        recipient: None,
        with: jid("bot@gateway.example.net/1"),
        ..keyed(2, 2, 3)
    };
    append(store, reply).await;
    let query = klatsch_protocol::archive::ArchiveQuery {
        with: Some(jid("bot@gateway.example.net")),
        max: 10,
        ..Default::default()
    };
    let page = store.query(&bare("juliet@example.org"), &query).await;
    let ways: Vec<_> = page
        .unwrap()
        .entries
        .iter()
        .map(|it| it.direction)
        .collect();
    assert_eq!(ways, [Direction::Received, Direction::Sent]);
}
