//! A server that breaks the delivery contract on purpose, to prove that the history checker
//! of the load driver can fail. Built only with the feature `broken`, which no release has.
//!
//! `KLATSCH_BROKEN=drop|double|swap` says how; about one message in a thousand is concerned.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use klatsch_store::{Append, Appended};

/// How the contract is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Acknowledged and not kept (D1).
    Drop,
    /// Kept twice (D2).
    Double,
    /// Kept in another order than sent (D3).
    Swap,
}

const ONE_IN: u64 = 1000;

/// What has to be undone in the answers.
pub(crate) enum Undo {
    Nothing,
    Insert(usize),
    Truncate(usize),
    Swap(usize, usize),
}

/// Breaks a batch.
pub(crate) fn sabotage(appends: &mut Vec<Append>) -> Undo {
    let Some(fault) = fault() else {
        return Undo::Nothing;
    };
    let Some(index) = unlucky(appends.len()) else {
        return Undo::Nothing;
    };
    match fault {
        Fault::Drop => {
            appends.remove(index);
            Undo::Insert(index)
        }
        Fault::Double => {
            let count = appends.len();
            let mut twin = appends[index].clone();
            twin.dedup = None;
            appends.push(twin);
            Undo::Truncate(count)
        }
        Fault::Swap => {
            let is_twin = |other: &Append| {
                other.sender == appends[index].sender && other.recipient == appends[index].recipient
            };
            let Some(other) = (index + 1..appends.len()).find(|&other| is_twin(&appends[other]))
            else {
                // No partner in this batch: the next message is unlucky.
                COUNT.fetch_sub(1, Ordering::Relaxed);
                return Undo::Nothing;
            };
            appends.swap(index, other);
            Undo::Swap(index, other)
        }
    }
}

/// Makes the answers fit the batch as it was.
pub(crate) fn cover_up(undo: Undo, answers: &mut Vec<Appended>) {
    match undo {
        Undo::Nothing => {}
        Undo::Insert(index) => {
            let placed = klatsch_store::Placed {
                id: 0,
                stamp: klatsch_protocol::time::Timestamp(0),
            };
            answers.insert(
                index,
                Appended::Replay {
                    sender: placed,
                    recipient: None,
                },
            );
        }
        Undo::Truncate(count) => answers.truncate(count),
        Undo::Swap(index, other) => answers.swap(index, other),
    }
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The message of this batch that is the thousandth since the last one.
fn unlucky(count: usize) -> Option<usize> {
    let before = COUNT.fetch_add(count as u64, Ordering::Relaxed);
    let next = (before / ONE_IN + 1) * ONE_IN;
    (next < before + count as u64).then(|| (next - before) as usize)
}

fn fault() -> Option<Fault> {
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    *FAULT.get_or_init(|| match std::env::var("KLATSCH_BROKEN").as_deref() {
        Ok("drop") => Some(Fault::Drop),
        Ok("double") => Some(Fault::Double),
        Ok("swap") => Some(Fault::Swap),
        _ => None,
    })
}
