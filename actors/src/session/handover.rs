//! How a session leaves its node without ending: what its client has sent is dealt with, and the
//! rest is data that somebody goes on with (XEP-0198 §5).
//!
//! A client that is sent away comes back within milliseconds, and must find its session
//! somewhere. So it keeps its connection until somebody has the session, though nothing that it
//! says is heard any more; it will say it again.

use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::stanza::{Stanza, StreamCondition, StreamError};
use tokio::sync::oneshot;

use super::outbound::hold_key;
use super::{Connection, Live, Resumption, Sink, Waiting};
use crate::claims;
use crate::metrics;
use crate::presence_shard::PresenceShardMsg;
use crate::replica::LINGERING;
use crate::session::message::{Departing, Heir, Left, SessionMsg};

/// A client whose session somebody else is to go on with.
pub(super) struct Parting {
    /// Its connection, if it has one.
    sink: Option<Arc<dyn Sink>>,
    /// Why that ends.
    error: StreamError,
    /// The client has lost its connection and is back before the session has left.
    back: Option<Box<Resumption>>,
    /// It is back on another node.
    back_there: Option<Heir>,
    /// Another node has gone on with the session meanwhile, or its name is another one's.
    gives_way: bool,
}

impl Parting {
    fn say(&self) {
        if let Some(sink) = &self.sink {
            sink.close(Some(for_connection(sink.as_ref(), self.error.clone())));
        }
    }
}

impl Live {
    /// The server stops, and this session ends with it unless its client may come back.
    pub(super) fn leave(&mut self, error: StreamError, ended: oneshot::Sender<()>) {
        if self.is_leaving() {
            return;
        }
        if (!self.session.is_resumable() || self.is_closing) && !self.has_ended {
            self.successor = Some(ended);
            self.end(Some(error));
        }
    }

    /// The session goes to an heir, without its client.
    pub(super) fn hand_over_to(&mut self, error: StreamError, heir: Heir) {
        if self.has_ended {
            return;
        }
        if !self.session.is_resumable() || self.is_closing {
            self.end(Some(error));
            return;
        }
        if let Some(parting) = self.parting.as_mut() {
            if heir.node.is_none() {
                // It is leaving already, and whoever asked first says what has become of it.
                return;
            }
            if self.heir.is_none() {
                // Somebody may have it already: until that is known it is given to nobody else.
                parting.say();
                parting.back_there = Some(heir);
                return;
            }
        }
        let sink = match std::mem::replace(&mut self.connection, Connection::Away) {
            Connection::Here(sink) | Connection::Arriving(sink) => Some(sink),
            Connection::Away => None,
        };
        // What still comes over the old connection is not handled; the client sends it again.
        self.connections = self.connections.wrapping_add(1);
        let parting = self.parting.get_or_insert(Parting {
            sink,
            error,
            back: None,
            back_there: None,
            gives_way: false,
        });
        if heir.node.is_some() {
            // Its client is there already.
            parting.say();
        }
        // A client that is just coming back comes to the heir.
        self.resumption = None;
        self.heir = Some(heir);
        self.drive();
    }

    /// Leaves, once everything its client has sent is dealt with, and behind the mail that has
    /// come for it by then: what it has shown itself, for one, would be told to nobody again.
    pub(super) fn finish_hand_over(&mut self) {
        if self.heir.is_some() && self.is_quiet() && !self.has_ended {
            let slots = &self.world.directory.slots;
            slots.send(self.slot, SessionMsg::Depart);
        }
    }

    /// Hands the session over. Nobody is told: for its contacts and rooms it goes on.
    pub(super) fn depart(&mut self) {
        if !self.is_quiet() || self.has_ended {
            return;
        }
        let Some(Heir {
            node,
            session: heir,
        }) = self.heir.take()
        else {
            return;
        };
        let departing = Departing {
            waiting: Waiting {
                session: self.session.clone(),
                held: self.held.all(),
            },
            slot: self.slot,
        };
        let is_taken = heir.send(Box::new(departing)).is_ok();
        match node {
            Some(node) if is_taken => self.has_left(Left::To(node)),
            // Until it is said what has become of it.
            None if is_taken => {}
            _ => self.has_left(Left::Nowhere),
        }
    }

    /// Somebody goes on with the session, or nobody does.
    pub(super) fn has_left(&mut self, left: Left) {
        let Some(parting) = self.parting.take() else {
            return;
        };
        if self.has_ended {
            return;
        }
        parting.say();
        let (node, lingering) = match left {
            Left::To(node) => (Some(node), LINGERING),
            Left::ToStore => (None, LINGERING),
            Left::Across => (None, self.lingering()),
            Left::Nowhere => return self.stay(parting),
        };
        self.has_ended = true;
        self.free_place(node, lingering);
        self.say_what_it_misses(node);
        metrics::session_ended();
    }

    /// Around a cut this node has told it that others have gone, whom its new one may see.
    fn say_what_it_misses(&self, node: Option<NodeId>) {
        if let (Some(peers), Some(node)) = (self.world.directory.peers(), node)
            && (claims::may_come(&self.world) || peers.were_cut_lately())
        {
            peers.show_all(node, &self.session.facts.jid);
        }
    }

    /// Nobody has taken the session: it waits for its client, unless it is another node's by now.
    fn stay(&mut self, parting: Parting) {
        self.heir = None;
        if parting.gives_way {
            return self.give_way(None);
        }
        self.wait_for_client();
        match (parting.back_there, parting.back) {
            (Some(there), _) if !there.session.is_closed() => {
                self.hand_over_to(parting.error, there);
            }
            (_, Some(back)) => self.resume(*back),
            _ => {}
        }
    }

    /// A client that comes back to a session that is leaving waits until that has left, and then
    /// finds it where it is.
    pub(super) fn comes_back_late(&mut self, resumption: Resumption) -> Option<Resumption> {
        match &mut self.parting {
            Some(parting) => {
                parting.back = Some(Box::new(resumption));
                None
            }
            None => Some(resumption),
        }
    }

    /// Tells whether the session is about to go on elsewhere: what others do with its name is
    /// none of its business any more.
    pub(super) fn is_leaving(&self) -> bool {
        self.parting.is_some()
    }

    /// Another session has the name of one that is leaving: then it does not stay, even if nobody
    /// takes it, and nobody is told that it goes. False: it is not leaving.
    pub(super) fn lose_name(&mut self) -> bool {
        let parting = self.parting.as_mut();
        parting.map(|parting| parting.gives_way = true).is_some()
    }

    /// The server ends before anybody could take the session.
    pub(super) fn end_leaving(&mut self) {
        self.has_left(Left::ToStore);
    }

    /// Ends without a word to anybody but its client: for contacts and rooms it goes on, on the
    /// node where its name is.
    pub(super) fn be_superseded(&mut self) {
        self.give_way(None);
    }

    /// How long it is shown that a session is here which another node goes on with: while nodes
    /// are missing, it may be shown by none that is reached.
    fn lingering(&self) -> Duration {
        match claims::may_come(&self.world) {
            true => Duration::ZERO,
            false => LINGERING,
        }
    }

    /// The session goes on, on this node if that is known.
    pub(super) fn give_way(&mut self, node: Option<NodeId>) {
        if self.has_ended {
            return;
        }
        // Somebody has it already, or is just taking it.
        if self.heir.is_none() && self.lose_name() {
            return;
        }
        // Whoever was to have it hears that there is nothing to be had.
        self.heir = None;
        if let Some(parting) = self.parting.take() {
            parting.say();
        }
        if let Connection::Here(sink) | Connection::Arriving(sink) = &self.connection {
            sink.close(Some(StreamError::new(StreamCondition::Conflict)));
        }
        self.connection = Connection::Away;
        self.has_ended = true;
        self.free_place(node, LINGERING);
        metrics::session_ended();
    }

    /// Frees the place on this node, and nothing besides. What other nodes see of the session
    /// stays until the node shows it that goes on with it, or for this time.
    fn free_place(&self, node: Option<NodeId>, lingering: Duration) {
        let (jid, slot) = (self.session.facts.jid.clone(), self.slot);
        if let Some(replica) = self.world.directory.replica() {
            for room in self.session.rooms.keys() {
                replica.linger_inside(room, &jid, slot, lingering);
            }
        }
        let free = match node {
            Some(node) => PresenceShardMsg::Moved {
                jid,
                slot,
                node,
                lingers: lingering,
            },
            None => PresenceShardMsg::Unbind {
                jid,
                slot,
                lingers: Some(lingering),
                reply: None,
            },
        };
        // A shard that is being started again knows nothing of this session.
        let _ = self.world.shard(self.cell.jid.as_str()).cast(free);
        self.forget_record();
        // Only now may its client have it brought back: it finds nothing of it left to go.
        if let Some(sm) = &self.session.sm {
            self.world.resumables.remove(&sm.id);
        }
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

/// Another host is told to those who can go there: a browser has its page from this one.
fn for_connection(sink: &dyn Sink, error: StreamError) -> StreamError {
    match error.condition {
        StreamCondition::SeeOtherHost if !sink.follows_hosts() => {
            StreamError::new(StreamCondition::SystemShutdown)
        }
        _ => error,
    }
}
