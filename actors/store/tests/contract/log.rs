//! Logs: order, stamps, heads, cursors, retention.

use klatsch_protocol::archive::{Direction, Entry};
use klatsch_store::log::PAGE_MAX;
use klatsch_store::{Append, Appended, Store, StoreError};

use crate::support::{append, at, bare, couple, create, keyed, message, on_every_backend, placed};

on_every_backend!(
    ids_count_from_one_in_each_log,
    stamps_never_run_backwards,
    both_sides_keep_the_stanza,
    a_message_to_oneself_is_one_entry,
    a_message_elsewhere_is_one_entry,
    what_is_refused_does_not_keep_the_rest,
    batches_of_any_size_are_stored_in_order,
    appends_from_many_tasks_leave_no_gap,
    a_dropped_append_is_stored_whole_or_not_at_all,
    entries_come_in_order_and_bounded,
    heads_answer_for_everybody,
    cursors_only_grow,
    purging_keeps_ids_stamps_and_what_is_not_read,
    purging_goes_no_further_than_told,
);

async fn ids_count_from_one_in_each_log(store: &Store) {
    create(store, &["a@x.org", "b@x.org", "c@x.org"]).await;
    let sent = |from, to, second| append(store, message(from, to, second));
    let stored = |sender, recipient| Appended::Stored {
        sender,
        recipient: Some(recipient),
    };
    assert_eq!(
        sent("a@x.org/1", "b@x.org", 1).await,
        stored(placed(1, 1), placed(1, 1))
    );
    assert_eq!(
        sent("c@x.org/1", "b@x.org", 2).await,
        stored(placed(1, 2), placed(2, 2))
    );
    assert_eq!(
        sent("b@x.org/1", "a@x.org/1", 3).await,
        stored(placed(3, 3), placed(2, 3))
    );
    assert_eq!(store.head(&bare("b@x.org")).await, Ok(3));
}

async fn stamps_never_run_backwards(store: &Store) {
    create(store, &["a@x.org", "b@x.org", "c@x.org"]).await;
    append(store, message("a@x.org/1", "b@x.org", 100)).await;
    // A clock set back: the log of C has seen nothing later, that of B has.
    let late = append(store, message("c@x.org/1", "b@x.org", 50)).await;
    assert_eq!(
        late,
        Appended::Stored {
            sender: placed(1, 50),
            recipient: Some(placed(2, 100))
        }
    );
}

async fn both_sides_keep_the_stanza(store: &Store) {
    couple(store).await;
    let sent = message("romeo@example.org/orchard", "juliet@example.org", 7);
    append(store, sent.clone()).await;
    let entry = |direction, with| Entry {
        id: 1,
        stamp: at(7),
        direction,
        with: bare(with),
        stanza: sent.stanza.clone(),
    };
    let romeo = store
        .entries(&bare("romeo@example.org"), 0, 10)
        .await
        .unwrap();
    assert_eq!(romeo, [entry(Direction::Sent, "juliet@example.org")]);
    let juliet = store
        .entries(&bare("juliet@example.org"), 0, 10)
        .await
        .unwrap();
    assert_eq!(juliet, [entry(Direction::Received, "romeo@example.org")]);
}

async fn a_message_to_oneself_is_one_entry(store: &Store) {
    couple(store).await;
    let romeo = bare("romeo@example.org");
    for recipient in [None, Some(romeo.clone())] {
        let own = message("romeo@example.org/orchard", "romeo@example.org/phone", 1);
        let answer = append(store, Append { recipient, ..own }).await;
        assert!(matches!(
            answer,
            Appended::Stored {
                recipient: None,
                ..
            }
        ));
    }
    let entries = store.entries(&romeo, 0, 10).await.unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| entry.direction == Direction::Own && entry.with == romeo)
    );
    assert_eq!(entries.len(), 2);
}

async fn a_message_elsewhere_is_one_entry(store: &Store) {
    couple(store).await;
    let away = message("romeo@example.org/orchard", "nurse@example.net", 1);
    let answer = append(
        store,
        Append {
            recipient: None,
            ..away
        },
    )
    .await;
    assert_eq!(
        answer,
        Appended::Stored {
            sender: placed(1, 1),
            recipient: None
        }
    );
}

async fn what_is_refused_does_not_keep_the_rest(store: &Store) {
    couple(store).await;
    let batch = vec![
        message("romeo@example.org/orchard", "nobody@example.org", 1),
        message("romeo@example.org/orchard", "juliet@example.org", 2),
        message("nobody@example.org/x", "juliet@example.org", 3),
        message("juliet@example.org/balcony", "romeo@example.org", 4),
    ];
    let answers = store.append(batch).await.unwrap();
    let both = |sender, recipient| Appended::Stored {
        sender,
        recipient: Some(recipient),
    };
    let expected = [
        Appended::NoSuchAccount,
        both(placed(1, 2), placed(1, 2)),
        Appended::NoSuchAccount,
        both(placed(2, 4), placed(2, 4)),
    ];
    assert_eq!(answers, expected);
    assert_eq!(store.append(Vec::new()).await, Ok(Vec::new()));
}

async fn batches_of_any_size_are_stored_in_order(store: &Store) {
    couple(store).await;
    let romeo = bare("romeo@example.org");
    let mut sent = Vec::new();
    for size in [1, 2, 3, 5, 17, 63, 64, 65, 150] {
        let batch: Vec<Append> = (0..size)
            .map(|n| {
                message(
                    &format!("romeo@example.org/{n}"),
                    "juliet@example.org",
                    sent.len() as i64 + n,
                )
            })
            .collect();
        sent.extend(batch.iter().map(|append| append.stanza.clone()));
        store.append(batch).await.unwrap();
    }
    let found = store.entries(&romeo, 0, PAGE_MAX).await.unwrap();
    let rest = store
        .entries(&romeo, u64::from(PAGE_MAX), PAGE_MAX)
        .await
        .unwrap();
    let found: Vec<_> = found.into_iter().chain(rest).collect();
    assert!(found.iter().map(|entry| entry.id).eq(1..=sent.len() as u64));
    assert!(found.iter().map(|entry| &entry.stanza).eq(sent.iter()));
}

async fn appends_from_many_tasks_leave_no_gap(store: &Store) {
    couple(store).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut last = 0;
                for second in 0..20 {
                    let from = format!("romeo@example.org/{task}");
                    let sent = append(&store, message(&from, "juliet@example.org", second)).await;
                    let Appended::Stored { sender, .. } = sent else {
                        panic!("{sent:?}")
                    };
                    assert!(sender.id > last);
                    last = sender.id;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let entries = store
        .entries(&bare("juliet@example.org"), 0, PAGE_MAX)
        .await
        .unwrap();
    assert!(entries.iter().map(|entry| entry.id).eq(1..=160));
    assert!(entries.is_sorted_by_key(|entry| entry.stamp));
}

async fn a_dropped_append_is_stored_whole_or_not_at_all(store: &Store) {
    couple(store).await;
    for polls in 0..30 {
        let batch = (0..20)
            .map(|_| message("romeo@example.org/x", "juliet@example.org", 1))
            .collect();
        let mut appending = Box::pin(store.append(batch));
        for _ in 0..polls {
            let polled = futures_poll(appending.as_mut()).await;
            if polled {
                break;
            }
        }
        drop(appending);
    }
    // This one waits its turn behind all that were dropped.
    let answer = append(
        store,
        message("romeo@example.org/x", "juliet@example.org", 1),
    )
    .await;
    let Appended::Stored { sender, recipient } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(Some(sender), recipient);
    assert_eq!(sender.id % 20, 1);
}

/// Polls once; true: it is done.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> bool {
    let done = std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut future).poll(context).is_ready();
        std::task::Poll::Ready(polled)
    })
    .await;
    tokio::task::yield_now().await;
    done
}

async fn entries_come_in_order_and_bounded(store: &Store) {
    couple(store).await;
    let batch = (0..i64::from(PAGE_MAX) + 10)
        .map(|second| message("romeo@example.org/x", "juliet@example.org", second))
        .collect();
    store.append(batch).await.unwrap();
    let juliet = bare("juliet@example.org");
    let ids = async |after, max| {
        let entries = store.entries(&juliet, after, max).await.unwrap();
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(5, 3).await, [6, 7, 8]);
    assert_eq!(ids(0, u32::MAX).await.len(), PAGE_MAX as usize);
    assert_eq!(ids(u64::MAX, 10).await, [0; 0]);
    let nobody = bare("nobody@example.org");
    assert_eq!(
        store.entries(&nobody, 0, 1).await,
        Err(StoreError::NoSuchAccount)
    );
}

async fn heads_answer_for_everybody(store: &Store) {
    couple(store).await;
    append(
        store,
        message("romeo@example.org/x", "romeo@example.org", 1),
    )
    .await;
    let asked = [
        "romeo@example.org",
        "nobody@example.org",
        "juliet@example.org",
    ]
    .map(bare);
    assert_eq!(store.heads(&asked).await, Ok(vec![1, 0, 0]));
    assert_eq!(store.head(&asked[1]).await, Err(StoreError::NoSuchAccount));
}

async fn cursors_only_grow(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let batch = (0..5)
        .map(|n| message("romeo@example.org/x", "juliet@example.org", n))
        .collect();
    store.append(batch).await.unwrap();
    assert_eq!(store.cursor(&juliet).await, Ok(0));
    for (set, found) in [(3, 3), (1, 3), (4, 4), (u64::MAX, 5)] {
        store
            .set_cursors(vec![(juliet.clone(), set)])
            .await
            .unwrap();
        assert_eq!(store.cursor(&juliet).await, Ok(found));
    }
    let nobody = bare("nobody@example.org");
    let both = vec![(nobody.clone(), 1), (bare("romeo@example.org"), 2)];
    assert_eq!(store.set_cursors(both).await, Ok(()));
    assert_eq!(store.cursor(&bare("romeo@example.org")).await, Ok(2));
    assert_eq!(store.cursor(&nobody).await, Err(StoreError::NoSuchAccount));
}

async fn purging_keeps_ids_stamps_and_what_is_not_read(store: &Store) {
    couple(store).await;
    let romeo = bare("romeo@example.org");
    let batch = (1..=10).map(|n| keyed(n, 1, i64::from(n) * 10)).collect();
    store.append(batch).await.unwrap();
    // Everything is old enough, but the last four have not been read.
    assert_eq!(store.purge_before(&romeo, at(1000), 6).await, Ok(6));
    let left = store.entries(&romeo, 0, 20).await.unwrap();
    assert!(left.iter().map(|entry| entry.id).eq(7..=10));
    assert_eq!(store.purge_before(&romeo, at(1000), u64::MAX).await, Ok(4));
    assert_eq!(
        (store.head(&romeo).await, store.bounds(&romeo).await),
        (Ok(10), Ok(None))
    );
    // The log goes on, also in a store that has forgotten what it had in memory.
    let next = append(store, keyed(11, 1, 5)).await;
    assert_eq!(
        next,
        Appended::Stored {
            sender: placed(11, 100),
            recipient: Some(placed(11, 100))
        }
    );
    let other = store
        .entries(&bare("juliet@example.org"), 0, 20)
        .await
        .unwrap();
    assert_eq!(other.len(), 11);
}

async fn purging_goes_no_further_than_told(store: &Store) {
    couple(store).await;
    let romeo = bare("romeo@example.org");
    let batch = (1..=10).map(|n| keyed(n, 1, i64::from(n) * 10)).collect();
    store.append(batch).await.unwrap();
    assert_eq!(store.purge_before(&romeo, at(10), 10).await, Ok(0));
    assert_eq!(store.purge_before(&romeo, at(40), 10).await, Ok(3));
    assert_eq!(
        store.bounds(&romeo).await.unwrap().unwrap().first,
        (4, at(40))
    );
    // Keys go with their entries and stay with them.
    assert!(matches!(
        append(store, keyed(4, 1, 200)).await,
        Appended::Replay { .. }
    ));
    assert!(matches!(
        append(store, keyed(3, 1, 200)).await,
        Appended::Stored { .. }
    ));
    let nobody = bare("nobody@example.org");
    let refused = store.purge_before(&nobody, at(1), 1).await;
    assert_eq!(refused, Err(StoreError::NoSuchAccount));
}
