//! What the client waits for: answers to requests, and the word that its messages are kept.
//!
//! A message is kept when the session has acknowledged it (XEP-0198, DESIGN's D1): each one is
//! followed by a request for that, and the client's push is answered when the count has come so
//! far. A refusal comes before it.

use std::collections::{HashMap, VecDeque};

use crate::channels::history::History;

/// Answers that a client may wait for; the next push is refused at once. The client itself
/// gives up on each after ten seconds.
const PENDING_MAX: usize = 512;

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub(super) topic: Box<str>,
    pub(super) join_ref: Option<Box<str>>,
    /// Without one, nobody waits.
    pub(super) reference: Option<Box<str>>,
}

impl Origin {
    /// The channel.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }
}

/// What is waited for.
#[derive(Debug)]
pub(super) enum Errand {
    /// A message is on its way to the log.
    Message(Origin),
    /// A page of an archive.
    History(Box<History>),
    /// The roster.
    Roster,
}

/// What is waited for, by the id of the stanza.
#[derive(Debug, Default)]
pub(super) struct Errands {
    pending: HashMap<Box<str>, Errand>,
    /// Messages by the number they have among the stanzas of the client.
    unacknowledged: VecDeque<(u32, Box<str>)>,
    sent: u32,
}

impl Errands {
    /// Tells whether the client waits for more than it may.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
    }

    /// A stanza goes to the session.
    pub(super) fn count(&mut self) {
        self.sent = self.sent.wrapping_add(1);
    }

    /// Something is waited for. A push repeated under the same id takes the place of the first.
    pub(super) fn add(&mut self, id: &str, errand: Errand) {
        self.pending.insert(id.into(), errand);
    }

    /// The last stanza was a message that is to be kept.
    pub(super) fn await_acknowledgement(&mut self, id: &str) {
        self.unacknowledged.push_back((self.sent, id.into()));
    }

    /// Something has been answered.
    pub(super) fn take(&mut self, id: &str) -> Option<Errand> {
        self.pending.remove(id)
    }

    pub(super) fn history(&mut self, id: &str) -> Option<&mut History> {
        match self.pending.get_mut(id) {
            Some(Errand::History(history)) => Some(history),
            _ => None,
        }
    }

    /// Archives that are being read.
    pub(super) fn histories(&self) -> usize {
        let is_history = |errand: &&Errand| matches!(errand, Errand::History(_));
        self.pending.values().filter(is_history).count()
    }

    /// The session has dealt with so many stanzas: the messages among them are kept, unless
    /// they were refused before.
    pub(super) fn acknowledge(&mut self, h: u32) -> Vec<(Box<str>, Origin)> {
        let mut kept = Vec::new();
        while let Some((number, _)) = self.unacknowledged.front() {
            // XEP-0198 §4: the count begins again behind 2^32 - 1.
            if h.wrapping_sub(*number) > u32::MAX / 2 {
                break;
            }
            let Some((_, id)) = self.unacknowledged.pop_front() else {
                break;
            };
            match self.pending.remove(&id) {
                Some(Errand::Message(origin)) => kept.push((id, origin)),
                Some(other) => drop(self.pending.insert(id, other)),
                None => {}
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(reference: &str) -> Errand {
        Errand::Message(Origin {
            topic: "room:a".into(),
            join_ref: None,
            reference: Some(reference.into()),
        })
    }

    fn send(errands: &mut Errands, id: &str) {
        errands.count();
        errands.add(id, message(id));
        errands.await_acknowledgement(id);
    }

    fn ids(kept: Vec<(Box<str>, Origin)>) -> Vec<String> {
        kept.into_iter().map(|(id, _)| id.into()).collect()
    }

    #[test]
    fn acknowledgement_settles_the_messages_up_to_it_in_their_order() {
        let mut errands = Errands::default();
        send(&mut errands, "a");
        errands.count();
        send(&mut errands, "b");
        send(&mut errands, "c");
        assert_eq!(ids(errands.acknowledge(3)), ["a", "b"]);
        assert!(ids(errands.acknowledge(3)).is_empty());
        assert_eq!(ids(errands.acknowledge(4)), ["c"]);
    }

    #[test]
    fn what_was_refused_is_not_acknowledged() {
        let mut errands = Errands::default();
        send(&mut errands, "a");
        assert!(errands.take("a").is_some());
        assert!(ids(errands.acknowledge(1)).is_empty());
    }

    #[test]
    fn count_goes_on_behind_its_end() {
        let mut errands = Errands {
            sent: u32::MAX,
            ..Errands::default()
        };
        send(&mut errands, "a");
        assert!(ids(errands.acknowledge(u32::MAX)).is_empty());
        assert_eq!(ids(errands.acknowledge(0)), ["a"]);
    }
}
