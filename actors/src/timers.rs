//! The node's timers: when which session wants to be woken.
//!
//! Sessions own no timers; they leave a note here. One task looks four times a second.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use klatsch_protocol::jid::{BareJid, FullJid};
use tokio::time::Instant;

use crate::slot::Slot;

/// How often the notes are looked at: nothing here needs to be more punctual.
pub const TICK: Duration = Duration::from_millis(250);

/// What a session is woken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// The tail of its account's log is to be compared with its cursor.
    TailCheck(BareJid),
    /// It has been lost for as long as this loss may last: the number tells which one.
    ResumeExpired(u32),
    /// What has become of its contacts since then may not have been told it.
    CatchUp(FullJid, Instant),
}

/// The notes.
#[derive(Default)]
pub struct Timers {
    notes: Mutex<BTreeMap<(Instant, u64), (Slot, Wake)>>,
    count: std::sync::atomic::AtomicU64,
}

impl Timers {
    /// Wakes this session after a while.
    pub fn wake_after(&self, after: Duration, slot: Slot, wake: Wake) {
        let number = self
            .count
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut notes = self.notes.lock().expect("no holder panics");
        notes.insert((Instant::now() + after, number), (slot, wake));
    }

    /// Takes out what is due.
    pub fn due(&self, now: Instant) -> Vec<(Slot, Wake)> {
        let mut notes = self.notes.lock().expect("no holder panics");
        let later = notes.split_off(&(now, u64::MAX));
        std::mem::replace(&mut *notes, later)
            .into_values()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Slots;

    #[tokio::test(start_paused = true)]
    async fn what_is_due_comes_once_and_in_order() {
        let timers = Timers::default();
        let slot = Slots::default().reserve(1);
        timers.wake_after(Duration::from_secs(2), slot, Wake::ResumeExpired(1));
        timers.wake_after(Duration::from_secs(1), slot, Wake::ResumeExpired(0));
        assert!(timers.due(Instant::now()).is_empty());
        tokio::time::advance(Duration::from_secs(2)).await;
        let due: Vec<Wake> = timers
            .due(Instant::now())
            .into_iter()
            .map(|(_, wake)| wake)
            .collect();
        assert_eq!(due, [Wake::ResumeExpired(0), Wake::ResumeExpired(1)]);
        assert!(timers.due(Instant::now()).is_empty());
    }
}
