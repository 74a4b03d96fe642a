//! What was refused for now, as long as the client may not know it (D3, D5).
//!
//! A client that does not know that a message was refused sends it again in its next session,
//! should this one be lost. Had anything it sent behind it been kept, the two would stand in the
//! log the wrong way round. So what it sent to the same conversation before it can know of a
//! refusal is refused with it. It knows of one once it has acknowledged the error (XEP-0198 §4),
//! and when it has resumed, for then it is told what has been handled. Without stream management
//! nothing is replayed: it knows as soon as the error is written, and what was already received
//! by then is refused too.

use std::collections::BTreeMap;
use std::time::Duration;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_protocol::stream::sm::{Sm, Unacked};
use tokio::time::Instant;

use super::Live;
use crate::log_writer::wait;
use crate::metrics;

/// Nothing that comes so long after a refusal of the store is refused on its account. A client
/// that goes on without a pause has always sent the next message before it knows what became of
/// the last: it must not be refused for ever. An error is on its way for longer only where the
/// connection is about to be lost. What came before it may wait for the store for longer.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// How many refusals a client knew of when it sent something, and when that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    count: u64,
    came: Instant,
}

/// The refusals of a session.
#[derive(Debug, Default)]
pub(super) struct Refused {
    said: u64,
    known: u64,
    /// What had been handled of the client's stanzas before the first that it may not know of.
    handled: u32,
    /// The last one of each conversation.
    conversations: BTreeMap<BareJid, Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    number: u64,
    /// When it was not for the sake of another.
    since: Instant,
}

impl Refused {
    /// What the client knows whose stanza comes now.
    pub(super) fn known(&self, now: Instant) -> Known {
        Known {
            count: self.known,
            came: now,
        }
    }

    /// A message of this conversation has been refused, behind so many handled stanzas.
    fn note(&mut self, conversation: BareJid, handled: u32, now: Instant) {
        if self.are_all_known() {
            self.handled = handled;
        }
        self.said += 1;
        let last = Last {
            number: self.said,
            since: now,
        };
        self.conversations.insert(conversation, last);
    }

    /// Whether a message is to be refused with one before it.
    fn is_behind(&self, conversation: &BareJid, known: Known) -> bool {
        let last = self.conversations.get(conversation);
        last.is_some_and(|last| {
            last.number > known.count && known.came.duration_since(last.since) < UNKNOWN_FOR
        })
    }

    /// It has been, which is a refusal as well.
    fn note_behind(&mut self, conversation: &BareJid, handled: u32) {
        if self.are_all_known() {
            self.handled = handled;
        }
        if let Some(last) = self.conversations.get_mut(conversation) {
            self.said += 1;
            last.number = self.said;
        }
    }

    /// Whoever goes on with the session without its node knows nothing of these refusals: the
    /// client has to send those messages again, and what it sent behind them is recognised (D2).
    pub(super) fn handled_for_sure(&self, handled: u32) -> u32 {
        match self.are_all_known() {
            true => handled,
            false => self.handled,
        }
    }

    fn are_all_known(&self) -> bool {
        self.known == self.said
    }

    /// The client knows them all.
    fn be_known(&mut self) {
        self.known = self.said;
    }

    /// Nothing waits any more that was sent before the client knew them.
    fn forget_known(&mut self) {
        if self.are_all_known() && !self.conversations.is_empty() {
            self.conversations = BTreeMap::new();
        }
    }
}

impl Live {
    /// Whether a message is to be refused because one before it was.
    pub(super) fn is_behind_refused(&self, stanza: &Stanza, known: Known) -> bool {
        let Stanza::Message(message) = stanza else {
            return false;
        };
        // As always but behind a refusal.
        if self.refused.conversations.is_empty() {
            return false;
        }
        let conversation = self.conversation(message);
        self.refused.is_behind(&conversation, known)
    }

    /// Refuses a message because one before it was.
    pub(super) fn refuse_behind(&mut self, stanza: &Stanza) {
        if let Stanza::Message(message) = stanza {
            metrics::messages_refused(1);
            if let Some(reply) = stanza.error_reply(&wait()) {
                self.hand_over(reply);
            }
            let conversation = self.conversation(message);
            self.refused.note_behind(&conversation, self.handled());
            self.note_written();
        }
    }

    /// A stanza has been refused for now; what its sender has sent behind it goes with it.
    pub(super) fn note_refusal(&mut self, stanza: &Stanza) {
        if let Stanza::Message(message) = stanza {
            let conversation = self.conversation(message);
            let handled = self.handled();
            self.refused.note(conversation, handled, Instant::now());
            self.note_written();
        }
    }

    fn handled(&self) -> u32 {
        self.session.sm.as_ref().map_or(0, Sm::handled)
    }

    fn note_written(&mut self) {
        if self.session.sm.is_none() {
            self.refused.be_known();
        }
    }

    /// Messages have a conversation even without an address: with the account itself.
    fn conversation(&self, message: &Message) -> BareJid {
        let to = message.head.to.as_ref();
        to.map_or_else(|| self.cell.jid.clone(), |to| to.bare())
    }

    /// The client has acknowledged something.
    pub(super) fn hear_of_refusals(&mut self) {
        if self.refused.are_all_known() {
            return;
        }
        let mut unacked = self.session.sm.iter().flat_map(|sm| sm.unacked());
        let is_written = unacked.any(Unacked::is_message_error);
        drop(unacked);
        if !is_written && !self.held.any(Stanza::is_message_error) {
            self.refused.be_known();
            // What was handled behind them could not be acknowledged before.
            self.answer_ack_request();
        }
    }

    /// The client has resumed: it hears what has been handled before it sends anything.
    pub(super) fn know_refusals(&mut self) {
        self.refused.be_known();
    }

    /// Everything the client has sent has been dealt with.
    pub(super) fn forget_refusals(&mut self) {
        if self.is_quiet() {
            self.refused.forget_known();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn what_was_sent_before_a_refusal_could_be_known_is_refused_with_it() {
        let (mut refused, now, bob) = (Refused::default(), Instant::now(), bare("bob@x"));
        let before = refused.known(now);
        refused.note(bob.clone(), 7, now);
        assert!(refused.is_behind(&bob, before));
        assert!(!refused.is_behind(&bare("carol@x"), before));
        refused.be_known();
        assert!(refused.is_behind(&bob, before), "it was sent before");
        assert!(!refused.is_behind(&bob, refused.known(now)));
    }

    #[test]
    fn a_message_refused_with_another_takes_further_ones_along() {
        let (mut refused, now, bob) = (Refused::default(), Instant::now(), bare("bob@x"));
        refused.note(bob.clone(), 7, now);
        assert_eq!(refused.handled_for_sure(8), 7);
        refused.be_known();
        assert_eq!(refused.handled_for_sure(8), 8);
        let between = refused.known(now);
        assert!(!refused.is_behind(&bob, between));
        refused.note_behind(&bob, 9);
        assert!(refused.is_behind(&bob, between));
        refused.be_known();
        assert!(!refused.is_behind(&bob, refused.known(now)));
    }

    #[test]
    fn a_client_that_never_pauses_is_not_refused_for_ever() {
        let (mut refused, now, bob) = (Refused::default(), Instant::now(), bare("bob@x"));
        refused.note(bob.clone(), 7, now);
        for seconds in 0..UNKNOWN_FOR.as_secs() {
            let soon = refused.known(now + Duration::from_secs(seconds));
            assert!(refused.is_behind(&bob, soon));
            refused.note_behind(&bob, 9);
        }
        let later = refused.known(now + UNKNOWN_FOR);
        assert!(!refused.is_behind(&bob, later));
    }

    #[test]
    fn what_came_before_a_refusal_is_refused_with_it_however_long_it_has_waited() {
        let (mut refused, now, bob) = (Refused::default(), Instant::now(), bare("bob@x"));
        let before = refused.known(now);
        refused.note(bob.clone(), 7, now + 2 * UNKNOWN_FOR);
        assert!(refused.is_behind(&bob, before));
    }

    #[test]
    fn refusals_that_are_known_leave_nothing_behind() {
        let (mut refused, now, bob) = (Refused::default(), Instant::now(), bare("bob@x"));
        let unknowing = refused.known(now);
        refused.note(bob.clone(), 7, now);
        refused.forget_known();
        assert!(refused.is_behind(&bob, unknowing));
        refused.be_known();
        refused.forget_known();
        assert!(refused.conversations.is_empty());
    }
}
