//! A PostgreSQL that dies on the spot while nodes append: what was answered is there, once, and
//! nobody has to start anything again. Where `KLATSCH_TEST_POSTGRES_CRASH` names a program that
//! has it die and start again (`.ci/postgres`); elsewhere there is nothing to test. A program of
//! its own, so that it dies for no other test.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail loudly, also in its helpers"
)]

#[path = "contract/support.rs"]
#[expect(dead_code, reason = "it has more than this test needs")]
#[expect(unused_imports, reason = "likewise")]
#[expect(unused_macros, reason = "likewise")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use klatsch_store::{Append, Appended, Dedup, Placed, Store, StoreError};
use support::{Schema, bare, couple, message};

/// So long may it take until a store that is back is used again.
const BACK: Duration = Duration::from_secs(30);

fn numbered(number: u64) -> Append {
    Append {
        dedup: Some(Dedup {
            key: u128::from(number).to_be_bytes(),
            payload: number,
        }),
        stanza: format!("<message id='{number}'/>").into_bytes().into(),
        ..message("romeo@example.org/orchard", "juliet@example.org", 1)
    }
}

#[derive(Default)]
struct Seen {
    /// The numbers that were answered, and the places of their entries.
    placed: Vec<(u64, Placed)>,
    refused: u64,
    uncertain: u64,
}

/// Appends one message after the other until it is told to stop. One whose fate is unknown is
/// appended again until it is known; one that was refused is not.
async fn write(store: Store, first: u64, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let mut is_known = true;
        let until = Instant::now() + BACK;
        loop {
            match store.append(vec![numbered(number)]).await {
                Ok(answers) => {
                    let (Appended::Stored { sender, .. } | Appended::Replay { sender, .. }) =
                        answers[0]
                    else {
                        panic!("{answers:?}");
                    };
                    if is_known {
                        assert!(matches!(answers[0], Appended::Stored { .. }), "{answers:?}");
                    }
                    seen.placed.push((number, sender));
                    break;
                }
                Err(StoreError::Unavailable(_)) if is_known => {
                    seen.refused += 1;
                    break;
                }
                Err(StoreError::Uncertain(_)) => {
                    seen.uncertain += u64::from(is_known);
                    is_known = false;
                }
                Err(StoreError::Unavailable(_)) => {}
                Err(other) => panic!("{other}"),
            }
            assert!(Instant::now() < until, "it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_outlives_a_crash_of_postgresql_and_the_rest_is_settled() {
    let Ok(crash) = std::env::var("KLATSCH_TEST_POSTGRES_CRASH") else {
        return;
    };
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    couple(&store).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writing = Vec::new();
    for node in 0..3 {
        let node_store = schema.open().await;
        let first = node * 1_000_000;
        writing.push(tokio::spawn(write(node_store, first, Arc::clone(&stop))));
    }
    let romeo = bare("romeo@example.org");
    for _ in 0..2 {
        let before = grown(&store, 0).await;
        grown(&store, before + 50).await;
        let mut crash = std::process::Command::new(&crash);
        let status = tokio::task::spawn_blocking(move || crash.status());
        assert!(status.await.unwrap().unwrap().success());
        // It is used again, and by the same stores.
        let after = grown(&store, 0).await;
        grown(&store, after + 50).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut placed = Vec::new();
    let (mut refused, mut uncertain) = (0, 0);
    for task in writing {
        let seen = task.await.unwrap();
        placed.extend(seen.placed);
        refused += seen.refused;
        uncertain += seen.uncertain;
    }
    assert!(refused + uncertain > 0, "nobody has noticed the crash");
    placed.sort_unstable_by_key(|(_, placed)| placed.id);
    let mut entries = Vec::new();
    loop {
        let more = store.entries(&romeo, entries.len() as u64, 250).await;
        match more.unwrap() {
            more if more.is_empty() => break,
            more => entries.extend(more),
        }
    }
    // Every entry was answered for and every answer has its entry: no ghost, no loss, no gap.
    assert_eq!(entries.len(), placed.len());
    for (entry, (number, placed)) in entries.iter().zip(&placed) {
        assert_eq!(entry.id, placed.id);
        assert_eq!(entry.stanza, numbered(*number).stanza);
    }
    store.integrity_check().await.unwrap();
    drop(store);
    schema.remove().await;
}

/// Waits until Romeo's log has so many entries; answers how many.
async fn grown(store: &Store, entries: u64) -> u64 {
    let until = Instant::now() + BACK;
    loop {
        match store.head(&bare("romeo@example.org")).await {
            Ok(head) if head >= entries => return head,
            _ => assert!(Instant::now() < until, "it does not come back"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
