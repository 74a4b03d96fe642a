//! What is held back from a client that is away or in the background: presence, chat states,
//! requests. Messages are not here; they stand in the log.
//!
//! Of presence and chat states the last one of each sender is kept, so that a contact list
//! costs what it shows and not how often it changed.

use std::collections::VecDeque;

use klatsch_protocol::effect::HoldKey;
use klatsch_protocol::stanza::Stanza;

use crate::sessions::STANZA_BYTES;

/// Stanzas held back, oldest first.
#[derive(Default)]
pub(super) struct Held {
    stanzas: VecDeque<(Option<HoldKey>, Stanza)>,
    bytes: usize,
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
            let bytes = &mut self.bytes;
            self.stanzas.retain(|(held, stanza)| {
                let is_kept = *held != key;
                *bytes -= if is_kept { 0 } else { size(stanza) };
                is_kept
            });
        }
        self.bytes += size(&stanza);
        self.stanzas.push_back((key, stanza));
        if self.stanzas.len() <= max {
            return None;
        }
        let (_, oldest) = self.stanzas.pop_front()?;
        self.bytes -= size(&oldest);
        Some(oldest)
    }

    /// Everything, oldest first.
    pub(super) fn all(&self) -> Vec<Stanza> {
        let all = self.stanzas.iter().map(|(_, stanza)| stanza.clone());
        all.collect()
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> VecDeque<(Option<HoldKey>, Stanza)> {
        self.bytes = 0;
        std::mem::take(&mut self.stanzas)
    }

    /// Whether a stanza of this kind is held back.
    pub(super) fn any(&self, is_it: impl Fn(&Stanza) -> bool) -> bool {
        self.stanzas.iter().any(|(_, stanza)| is_it(stanza))
    }

    /// How much is held back, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many stanzas are held back.
    pub(super) fn len(&self) -> usize {
        self.stanzas.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }
}

fn size(stanza: &Stanza) -> usize {
    STANZA_BYTES + stanza.payloads().bytes().len()
}
