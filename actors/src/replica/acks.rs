//! Acknowledgements that wait until other nodes could go on with the session from there
//! (XEP-0198 §4, D1): a client that is told so much does not send it again, so whoever goes on
//! must not know of less.
//!
//! It costs a client two tenths of a second, and a cluster nothing else: what is committed is
//! delivered meanwhile.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::slot::Slot;

/// What a session tells its client once it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The connection that has asked, as its session counts them.
    pub connection: u32,
    /// What is handled.
    pub h: u32,
}

/// Of each session the latest, in the order of what becomes of them.
#[derive(Default)]
pub(super) struct Acks(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    unshown: HashMap<Slot, Ack>,
    on_its_way: HashMap<Slot, Ack>,
}

impl Acks {
    /// A session's client has asked.
    pub(super) fn ask(&self, slot: Slot, ack: Ack) {
        let mut waiting = self.0.lock().expect("no holder panics");
        waiting.unshown.insert(slot, ack);
    }

    /// What has been asked for is being shown now; answers what was the time before.
    pub(super) fn shown(&self) -> HashMap<Slot, Ack> {
        let mut waiting = self.0.lock().expect("no holder panics");
        let unshown = std::mem::take(&mut waiting.unshown);
        std::mem::replace(&mut waiting.on_its_way, unshown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Slots;

    #[test]
    fn a_client_is_answered_when_what_it_asked_for_has_had_time_to_arrive() {
        let acks = Acks::default();
        let slot = Slots::default().reserve(1);
        let ack = |h| Ack { connection: 1, h };
        acks.ask(slot, ack(1));
        acks.ask(slot, ack(2));
        assert!(acks.shown().is_empty(), "it is only being said");
        acks.ask(slot, ack(3));
        assert_eq!(acks.shown(), HashMap::from([(slot, ack(2))]));
        assert_eq!(acks.shown(), HashMap::from([(slot, ack(3))]));
        assert!(acks.shown().is_empty());
    }
}
