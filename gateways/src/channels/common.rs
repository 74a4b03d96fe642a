//! What is said to all in a room is written once for all channels of the node.
//!
//! The session actors of a room's occupants write the same stanza one after the other, sharing
//! its bytes: by these it is recognised.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use klatsch_protocol::channels::{Outgoing, Socket};
use klatsch_protocol::stanza::Stanza;

/// Events that are remembered: rooms in which somebody has spoken a moment ago.
const EVENTS_MAX: usize = 32;

/// A stanza with more is written for each: what is remembered stays small.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024;

/// The events that were written last.
#[derive(Default)]
pub(super) struct Common(Mutex<VecDeque<Known>>);

struct Known {
    /// Holds the bytes, so that no other stanza has the same place in memory.
    stanza: Stanza,
    event: Option<Outgoing>,
}

impl Common {
    /// The event that everybody on this topic gets of a stanza.
    pub(super) fn event(&self, stanza: &Stanza, topic: &str) -> Option<Outgoing> {
        let payloads = stanza.payloads().bytes();
        if payloads.is_empty() || payloads.len() > PAYLOAD_BYTES_MAX {
            return Socket::room_event(stanza, topic);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has just been written for is most likely followed by somebody of the same room.
        if let Some(found) = known.iter().rev().find(|it| is_same(&it.stanza, stanza)) {
            return found.event.clone();
        }
        let event = Socket::room_event(stanza, topic);
        if known.len() >= EVENTS_MAX {
            known.pop_front();
        }
        known.push_back(Known {
            stanza: stanza.clone(),
            event: event.clone(),
        });
        event
    }
}

/// Tells whether two stanzas are one, by where their children are and who says them where.
fn is_same(known: &Stanza, stanza: &Stanza) -> bool {
    let (one, other) = (known.payloads().bytes(), stanza.payloads().bytes());
    one.as_ptr() == other.as_ptr()
        && one.len() == other.len()
        && known.from() == stanza.from()
        && known.id() == stanza.id()
        && known.type_name() == stanza.type_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "room:team@conference.x.test";

    fn stanza(from: &str) -> Stanza {
        let text = format!(
            "<message from='team@conference.x.test/{from}' type='groupchat'><body>hi</body></message>"
        );
        Stanza::parse(text.as_bytes()).unwrap()
    }

    fn place(event: Option<Outgoing>) -> *const u8 {
        match event {
            Some(Outgoing::Text(text)) => text.as_ptr(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stanza_for_many_is_written_once_and_another_is_not_taken_for_it() {
        let common = Common::default();
        let first = stanza("anna");
        let written = place(common.event(&first, TOPIC));
        assert_eq!(place(common.event(&first.clone(), TOPIC)), written);
        assert_ne!(place(common.event(&stanza("anna"), TOPIC)), written);
        let mut by_bert = first.clone();
        *by_bert.head_mut() = stanza("bert").head().clone();
        let text = match common.event(&by_bert, TOPIC) {
            Some(Outgoing::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(String::from_utf8_lossy(&text).contains("bert"));
    }

    #[test]
    fn only_the_last_events_are_kept() {
        let common = Common::default();
        for _ in 0..100 {
            common.event(&stanza("anna"), TOPIC);
        }
        assert_eq!(common.0.lock().unwrap().len(), EVENTS_MAX);
    }
}
