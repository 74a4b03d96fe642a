//! What reaches accounts through rooms: private messages and invitations.

use bytes::Bytes;
use klatsch_protocol::archive::Direction;
use klatsch_store::{Arrival, Arrived, Dedup, LogAppend, Sent, Store};

use crate::support::{at, bare, couple, create, jid, on_every_backend, placed};

on_every_backend!(
    an_arrival_stands_in_the_recipients_log_and_as_sent_in_the_senders,
    an_arrival_of_nobody_here_stands_in_the_recipients_log_alone,
    a_replayed_arrival_stands_once,
    who_blocks_the_occupant_gets_nothing_and_nothing_is_sent,
    an_arrival_for_nobody_is_kept_nowhere,
);

const FROM: &str = "coven@rooms.example.org/Romeo";

fn arrival(second: i64) -> Arrival {
    Arrival {
        from: jid(FROM),
        recipient: bare("juliet@example.org"),
        stanza: Bytes::from(format!("<message from='{FROM}'>{second}</message>")),
        sender: jid("romeo@example.org/orchard"),
        sent: Some(Sent {
            with: jid("coven@rooms.example.org/Juliet"),
            stanza: Bytes::from(format!("<message>{second}</message>")),
        }),
        dedup: None,
        now: at(second),
    }
}

fn keyed(key: u8, payload: u64, second: i64) -> Arrival {
    let key = [key; 16];
    Arrival {
        dedup: Some(Dedup { key, payload }),
        ..arrival(second)
    }
}

async fn arrive(store: &Store, arrival: Arrival) -> Arrived {
    let batch = vec![LogAppend::Arrival(Box::new(arrival))];
    let answers = store.append_all(batch).await.unwrap();
    answers[0].arrival().unwrap()
}

async fn heads(store: &Store) -> Vec<u64> {
    let accounts = [bare("romeo@example.org"), bare("juliet@example.org")];
    store.heads(&accounts).await.unwrap()
}

async fn an_arrival_stands_in_the_recipients_log_and_as_sent_in_the_senders(store: &Store) {
    couple(store).await;
    let stored = Arrived::Stored {
        recipient: placed(1, 5),
        sender: Some(placed(1, 5)),
    };
    assert_eq!(arrive(store, arrival(5)).await, stored);
    let log = async |account| store.entries(&bare(account), 0, 9).await.unwrap().remove(0);
    let received = log("juliet@example.org").await;
    assert_eq!(received.direction, Direction::Received);
    assert_eq!(received.with, bare("coven@rooms.example.org"));
    assert_eq!(received.stanza, arrival(5).stanza);
    let sent = log("romeo@example.org").await;
    assert_eq!(sent.direction, Direction::Sent);
    assert_eq!(sent.with, bare("coven@rooms.example.org"));
    assert_eq!(sent.stanza, "<message>5</message>");
}

async fn an_arrival_of_nobody_here_stands_in_the_recipients_log_alone(store: &Store) {
    create(store, &["juliet@example.org"]).await;
    let stored = Arrived::Stored {
        recipient: placed(1, 5),
        sender: None,
    };
    assert_eq!(arrive(store, arrival(5)).await, stored);
    let invitation = Arrival {
        sent: None,
        ..arrival(6)
    };
    let stored = Arrived::Stored {
        recipient: placed(2, 6),
        sender: None,
    };
    assert_eq!(arrive(store, invitation).await, stored);
}

async fn a_replayed_arrival_stands_once(store: &Store) {
    couple(store).await;
    arrive(store, keyed(1, 42, 1)).await;
    let replay = Arrived::Replay(placed(1, 1));
    assert_eq!(arrive(store, keyed(1, 42, 9)).await, replay);
    let other = Arrived::ReplayOtherPayload;
    assert_eq!(arrive(store, keyed(1, 43, 9)).await, other);
    assert_eq!(heads(store).await, [1, 1]);
    let of_another = Arrival {
        sender: jid("tybalt@example.org/x"),
        sent: None,
        ..keyed(1, 42, 9)
    };
    let stored = Arrived::Stored {
        recipient: placed(2, 9),
        sender: None,
    };
    assert_eq!(arrive(store, of_another).await, stored);
}

async fn who_blocks_the_occupant_gets_nothing_and_nothing_is_sent(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let blocked = store.change_blocklist(&juliet, 0, vec![jid(FROM)], vec![]);
    assert_eq!(blocked.await, Ok(1));
    assert_eq!(arrive(store, arrival(1)).await, Arrived::Blocked);
    assert_eq!(heads(store).await, [0, 0]);
    let other = Arrival {
        from: jid("coven@rooms.example.org/Mercutio"),
        ..arrival(1)
    };
    assert!(matches!(arrive(store, other).await, Arrived::Stored { .. }));
}

async fn an_arrival_for_nobody_is_kept_nowhere(store: &Store) {
    create(store, &["romeo@example.org"]).await;
    assert_eq!(arrive(store, arrival(1)).await, Arrived::NoSuchAccount);
    assert_eq!(heads(store).await, [0, 0]);
}
