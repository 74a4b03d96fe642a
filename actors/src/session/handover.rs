//! How a session leaves its node without ending: its connection closes, what its client has
//! sent is dealt with, and the rest is data that somebody goes on with (XEP-0198 §5).

use klatsch_protocol::stanza::{Stanza, StreamError};
use tokio::sync::oneshot;

use super::outbound::hold_key;
use super::{Connection, Live, Waiting};
use crate::metrics;
use crate::presence_shard::PresenceShardMsg;

impl Live {
    /// The server stops, and this session ends with it unless its client may come back.
    pub(super) fn leave(&mut self, error: StreamError, ended: oneshot::Sender<()>) {
        if (!self.session.is_resumable() || self.is_closing) && !self.has_ended {
            self.successor = Some(ended);
            self.end(Some(error));
        }
    }

    /// The session goes to an heir, without its client.
    pub(super) fn hand_over_to(&mut self, error: StreamError, heir: oneshot::Sender<Box<Waiting>>) {
        if self.has_ended {
            return;
        }
        if !self.session.is_resumable() || self.is_closing {
            self.end(Some(error));
            return;
        }
        if let Connection::Here(sink) | Connection::Arriving(sink) = &self.connection {
            sink.close(Some(error));
        }
        self.connection = Connection::Away;
        // What still comes over the old connection is not handled; the client sends it again.
        self.connections = self.connections.wrapping_add(1);
        // A client that is just coming back comes to the heir.
        self.resumption = None;
        self.heir = Some(heir);
        self.drive();
    }

    /// Hands the session over, once everything its client has sent is dealt with. Nobody is
    /// told: for its contacts and rooms it goes on.
    pub(super) fn finish_hand_over(&mut self) {
        if self.heir.is_none() || !self.is_quiet() || self.has_ended {
            return;
        }
        let Some(heir) = self.heir.take() else {
            return;
        };
        let held = self.held.take().into_iter().map(|(_, stanza)| stanza);
        let waiting = Waiting {
            session: self.session.clone(),
            held: held.collect(),
        };
        if let Err(waiting) = heir.send(Box::new(waiting)) {
            // Nobody takes it any more.
            waiting
                .held
                .into_iter()
                .for_each(|stanza| self.hand_over(stanza));
            self.end(None);
            return;
        }
        self.has_ended = true;
        self.free_place();
        metrics::session_ended();
    }

    /// Frees the place on this node, and nothing besides.
    fn free_place(&self) {
        if let Some(sm) = &self.session.sm {
            self.world.resumables.remove(&sm.id);
        }
        let unbind = PresenceShardMsg::Unbind {
            jid: self.session.facts.jid.clone(),
            slot: self.slot,
            reply: None,
        };
        // A shard that is being started again knows nothing of this session.
        let _ = self.world.shard(self.cell.jid.as_str()).cast(unbind);
        self.world.directory.slots.release(self.slot);
        self.world.accounts.release(self.cell.clone());
    }

    /// An inherited session waits for its client as one that has just lost it.
    pub(super) fn go_on_waiting(&mut self, held: Vec<Stanza>) {
        let max = self.world.settings.held_stanzas_max;
        for stanza in held {
            let key = hold_key(&stanza);
            if let Some(oldest) = self.held.push(key, stanza, max) {
                self.bounce(&oldest);
            }
        }
        self.wait_for_client();
    }
}
