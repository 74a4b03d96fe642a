//! What is held back from a client that is away or in the background: presence, chat states,
//! requests. Messages are not here; they stand in the log.
//!
//! Of presence and chat states the last one of each sender is kept, so that a contact list
//! costs what it shows and not how often it changed.

use std::collections::VecDeque;

use klatsch_protocol::effect::HoldKey;
use klatsch_protocol::stanza::Stanza;

/// Stanzas held back, oldest first.
#[derive(Default)]
pub(super) struct Held {
    stanzas: VecDeque<(Option<HoldKey>, Stanza)>,
}

impl Held {
    /// Holds a stanza back in the place of the one with the same key. Answers the oldest one
    /// when there are more than `max`.
    pub(super) fn push(
        &mut self,
        key: Option<HoldKey>,
        stanza: Stanza,
        max: usize,
    ) -> Option<Stanza> {
        if key.is_some() {
            self.stanzas.retain(|(held, _)| *held != key);
        }
        self.stanzas.push_back((key, stanza));
        if self.stanzas.len() <= max {
            return None;
        }
        self.stanzas.pop_front().map(|(_, stanza)| stanza)
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> VecDeque<(Option<HoldKey>, Stanza)> {
        std::mem::take(&mut self.stanzas)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }
}
