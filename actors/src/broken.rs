//! A server that breaks the delivery contract on purpose, to prove that the history checker
//! of the load driver can fail. Built only with the feature `broken`, which no release has.
//!
//! `KLATSCH_BROKEN=drop|double|swap` says how; about one message in a thousand is concerned.
//! `KLATSCH_BROKEN=panic` breaks nothing that is promised: actors panic now and then
//! (experiment 17), and the checker must find nothing.

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
    /// Actors panic.
    Panic,
}

/// Who panics, and how seldom: sessions fail alone, the others spend a budget of restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fragile {
    Session,
    PresenceShard,
    LogWriter,
}

impl Fragile {
    /// One piece of mail in so many.
    fn one_in(self) -> u64 {
        match self {
            Self::Session => 1000,
            Self::PresenceShard => 500,
            Self::LogWriter => 2000,
        }
    }
}

/// Panics, if this actor's turn has come.
pub(crate) fn panic_now_and_then(who: Fragile) {
    static MAIL: [AtomicU64; 3] = [const { AtomicU64::new(1) }; 3];
    if fault() != Some(Fault::Panic) {
        return;
    }
    let count = MAIL[who as usize].fetch_add(1, Ordering::Relaxed);
    assert!(
        !count.is_multiple_of(who.one_in()),
        "a defect, as wanted: {who:?}"
    );
}

const ONE_IN: u64 = 1000;

/// What has to be undone in the answers.
pub(crate) enum Undo {
    Nothing,
    Insert(usize),
    Truncate(usize),
    Swap(usize, usize),
}

/// Breaks a batch, if a message is due to be broken and this batch has one that can be.
pub(crate) fn sabotage(appends: &mut Vec<Append>) -> Undo {
    let Some(fault) = fault().filter(|fault| *fault != Fault::Panic) else {
        return Undo::Nothing;
    };
    count(appends.len());
    if DUE.load(Ordering::Relaxed) == 0 {
        return Undo::Nothing;
    }
    let undo = commit_fault(fault, appends);
    if !matches!(undo, Undo::Nothing) {
        DUE.fetch_sub(1, Ordering::Relaxed);
    }
    undo
}

fn commit_fault(fault: Fault, appends: &mut Vec<Append>) -> Undo {
    match fault {
        Fault::Drop => {
            appends.remove(0);
            Undo::Insert(0)
        }
        Fault::Double => {
            let count = appends.len();
            let mut twin = appends[0].clone();
            twin.dedup = None;
            appends.push(twin);
            Undo::Truncate(count)
        }
        // It waits for a batch with two messages of one conversation.
        Fault::Swap => match pair(appends) {
            Some((first, second)) => {
                appends.swap(first, second);
                Undo::Swap(first, second)
            }
            None => Undo::Nothing,
        },
        Fault::Panic => Undo::Nothing,
    }
}

/// Two messages of one sender to one recipient.
fn pair(appends: &[Append]) -> Option<(usize, usize)> {
    let is_twin = |one: &Append, other: &Append| {
        one.sender == other.sender && one.recipient == other.recipient
    };
    (0..appends.len()).find_map(|first| {
        let second = (first + 1..appends.len()).find(|&it| is_twin(&appends[first], &appends[it]));
        second.map(|second| (first, second))
    })
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
static DUE: AtomicU64 = AtomicU64::new(0);

/// Counts messages; every thousandth makes one due to be broken.
fn count(messages: usize) {
    let messages = messages as u64;
    let before = COUNT.fetch_add(messages, Ordering::Relaxed);
    DUE.fetch_add(
        (before + messages) / ONE_IN - before / ONE_IN,
        Ordering::Relaxed,
    );
}

fn fault() -> Option<Fault> {
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    *FAULT.get_or_init(|| match std::env::var("KLATSCH_BROKEN").as_deref() {
        Ok("drop") => Some(Fault::Drop),
        Ok("double") => Some(Fault::Double),
        Ok("swap") => Some(Fault::Swap),
        Ok("panic") => Some(Fault::Panic),
        _ => None,
    })
}
