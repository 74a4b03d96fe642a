//! How a session begins, loses its client, gets it back and ends.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_protocol::stream::sm::{self, Sm};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::doze::Doze;
use super::message::{Detach, ResumeAnswer, Resumption, Successor};
use super::outbound::write_nonza;
use super::{Arguments, Beginning, Connection, LAG_AFTER_RESTART, LAG_MAX, Live, Session};
use crate::farewell::farewell;
use crate::metrics;
use crate::push;
use crate::replica::Ack;
use crate::rooms::groups;
use crate::sessions::random_id;
use crate::slot::Slot;
use crate::strain::{Charge, Queue};
use crate::timers::Wake;

impl Live {
    pub(super) fn new(arguments: Arguments) -> Self {
        let Arguments {
            world,
            slot,
            cell,
            session,
            beginning,
        } = arguments;
        metrics::session_began();
        if let Some(sm) = session.sm.as_ref().filter(|sm| sm.is_resumable()) {
            world.resumables.add(sm.id.clone(), slot);
        }
        let kept = Charge::new(Arc::clone(&world.strain), Queue::Resume);
        let (connection, held) = match beginning {
            Beginning::Bound(sink) => (Connection::Arriving(sink), Vec::new()),
            Beginning::Waiting(held) => (Connection::Away, held),
        };
        let now = Instant::now();
        let caught_up = match &connection {
            Connection::Away => now.checked_sub(LAG_MAX - LAG_AFTER_RESTART).unwrap_or(now),
            Connection::Arriving(_) | Connection::Here(_) => now,
        };
        let told = session.sm.as_ref().map_or(0, Sm::handled);
        // What has come from elsewhere is known there, or was.
        let known = matches!(connection, Connection::Away).then_some(told);
        let mut live = Self {
            world,
            slot,
            cell,
            session,
            connection,
            connections: 0,
            tail_checks: Default::default(),
            caught_up,
            pushes: 0,
            told,
            known,
            asked: None,
            inherited: None,
            is_appearing: false,
            resumption: None,
            inbox: Default::default(),
            current: None,
            batch: Default::default(),
            refused: Default::default(),
            held: Default::default(),
            doze: Default::default(),
            contacts: Default::default(),
            kept,
            pull: Default::default(),
            room_pulls: Default::default(),
            successor: None,
            heir: None,
            parting: None,
            is_closing: false,
            has_ended: false,
        };
        if matches!(live.connection, Connection::Away) {
            live.go_on_waiting(held);
        }
        live.show_record();
        groups::greet_soon(&live.world, &live.cell.jid);
        live
    }

    /// The client knows that it is bound or resumed: what waits for it is written. Of a client
    /// that has come over another connection since, that says nothing.
    pub(super) fn start(&mut self, connection: u32) {
        let Connection::Arriving(sink) = &self.connection else {
            return;
        };
        if connection != self.connections {
            return;
        }
        self.connection = Connection::Here(sink.clone());
        if self.session.facts.carbons {
            self.show_unheard();
        }
        // The node it has left took mail for it until its client was sent away.
        if let Some(since) = self.inherited.take() {
            self.catch_up_since(since);
        }
        // XEP-0198 §5: what the client has not handled is sent again, first of all.
        for stanza in self.unacked_stanzas() {
            self.hand_over(stanza);
        }
        self.release_held();
        self.go_on_reading();
        self.tail_checks.begin();
        self.schedule_tail_check();
    }

    /// Looks at the log's tail right after the start, when hints may have gone elsewhere,
    /// and from time to time, because hints may be lost.
    pub(super) fn schedule_tail_check(&mut self) {
        let regular = Duration::from_secs(self.world.settings.tail_check_seconds);
        if let Some(after) = self.tail_checks.next(Instant::now(), regular) {
            let wake = Wake::TailCheck(self.cell.jid.clone());
            self.world.timers.wake_after(after, self.slot, wake);
        }
    }

    /// XEP-0198 §3.
    pub(super) fn enable_sm(&mut self, resume: bool) {
        if self.session.sm.is_some() {
            write_nonza(&self.connection, &sm::failed("unexpected-request", None));
            return;
        }
        let sm = begin_sm(resume);
        if resume {
            self.world.resumables.add(sm.id.clone(), self.slot);
        }
        let enabled = sm::enabled(&sm, self.world.settings.resume_seconds);
        write_nonza(&self.connection, &enabled);
        self.session.sm = Some(sm);
        self.show_record();
    }

    /// The connection is gone.
    pub(super) fn detach(&mut self, how: Detach, connection: u32) {
        if connection != self.connections || self.has_ended {
            return;
        }
        let is_resumable = self.session.sm.as_ref().is_some_and(Sm::is_resumable);
        if how == Detach::Closed || !is_resumable {
            self.is_closing = true;
            self.finish_closing();
            return;
        }
        metrics::session_lost();
        self.wait_for_client();
    }

    /// What the client sent before it closed is dealt with first: a message may be on its way
    /// to the log, a presence half told. The client still listens (RFC 6120 §4.4): it hears of
    /// every refusal, and how far the session came, so that it need not send anything again.
    pub(super) fn finish_closing(&mut self) {
        if self.is_closing && self.is_quiet() && !self.has_ended {
            self.acknowledge_at_last();
            self.end(None);
        }
    }

    /// Keeps the session for as long as a lost one is kept.
    pub(super) fn wait_for_client(&mut self) {
        self.connection = Connection::Away;
        self.show_unheard();
        self.push_unacknowledged();
        let patience = Duration::from_secs(self.world.settings.resume_seconds);
        let wake = Wake::ResumeExpired(self.connections);
        self.world.timers.wake_after(patience, self.slot, wake);
    }

    /// The client has not come back in time.
    pub(super) fn expire(&mut self, connection: u32) {
        if connection == self.connections && matches!(self.connection, Connection::Away) {
            self.end(None);
        }
    }

    /// A client comes back. It is answered when everything it has sent is dealt with: what
    /// it then sends again is what never came here.
    pub(super) fn resume(&mut self, resumption: Resumption) {
        if !self.session.is_resumable() || self.is_closing || self.has_ended {
            let _ = resumption.reply.send(Err(None));
            return;
        }
        let Some(resumption) = self.comes_back_late(resumption) else {
            return;
        };
        // §5: the stream that is still open is ended.
        if let Connection::Here(old) | Connection::Arriving(old) = &self.connection {
            old.close(Some(StreamError::new(StreamCondition::Conflict)));
        }
        self.connection = Connection::Away;
        self.connections = self.connections.wrapping_add(1);
        self.resumption = Some(Box::new(resumption));
        self.drive();
    }

    /// Answers a client that comes back, once everything it has sent is dealt with.
    pub(super) fn finish_resumption(&mut self) {
        if self.resumption.is_none() || !self.is_quiet() || self.has_ended {
            return;
        }
        if self.waits_until_known() {
            return;
        }
        let Some(resumption) = self.resumption.take() else {
            return;
        };
        let Resumption { h, sink, reply } = *resumption;
        let answer = match self.take_ack(Some(&h.to_string())) {
            Ok(()) => Ok(ResumeAnswer {
                jid: self.session.facts.jid.clone(),
                h: self.session.sm.as_ref().map_or(0, Sm::handled),
                connection: self.connections,
            }),
            // An h beyond what was sent resumes nothing; the session goes with its time.
            Err(too_high) => Err(Some(too_high)),
        };
        let told = answer.as_ref().ok().map(|answer| answer.h);
        if let (Some(told), Ok(())) = (told, reply.send(answer)) {
            self.told = told;
            self.connection = Connection::Arriving(sink);
            self.know_refusals();
            // XEP-0352 §5: a resumed stream begins active.
            self.session.facts.inactive = false;
            self.doze = Doze::default();
            self.show_unheard();
            self.show_record();
            metrics::session_resumed();
        } else {
            // It may try once more, with another h or over another connection.
            self.wait_for_client();
        }
    }

    /// Whether what a client would be told has to be known to other nodes first, as with every
    /// acknowledgement. Not so while it may not know of refusals, which others must not learn of
    /// before it does; nor while a node may live behind a cut, which could take too long.
    fn waits_until_known(&mut self) -> bool {
        let (Some(sm), Some(peers)) = (&self.session.sm, self.world.directory.peers()) else {
            return false;
        };
        let (Some(replica), handled) = (peers.replica(), sm.handled()) else {
            return false;
        };
        let is_known = self.known == Some(handled);
        let has_refusals = self.refused.handled_for_sure(handled) != handled;
        if is_known || has_refusals || peers.members().may_claim() {
            return false;
        }
        if self.asked != Some(handled) {
            self.asked = Some(handled);
            self.show_record();
            let ack = Ack {
                connection: self.connections,
                h: handled,
            };
            replica.acknowledge_when_known(self.slot, ack);
        }
        true
    }

    /// What was written and may never have arrived is pushed to the device (XEP-0357), once:
    /// what comes while the client is away is pushed as it is committed.
    fn push_unacknowledged(&self) {
        let first = self.session.sm.as_ref().and_then(Sm::first_unacked_entry);
        if let Some(first) = first {
            let due = push::Due {
                account: self.cell.jid.clone(),
                resource: Some(self.session.facts.jid.resource().to_owned()),
                what: push::What::After(first - 1, self.session.cursor.position()),
            };
            self.world.push.ask(due);
        }
    }

    /// Says how much is kept here for the client.
    pub(super) fn weigh(&mut self) {
        let unacked = self.session.sm.as_ref().map_or(0, Sm::unacked_bytes);
        self.kept.set(unacked + self.held.bytes());
    }

    /// The node is short of memory. A connection that takes nothing is cut: what is in the log
    /// waits there, and the client may resume. A session that keeps much itself ends.
    pub(super) fn let_go(&mut self, bytes: usize) {
        if self.kept.bytes() >= bytes {
            metrics::session_let_go();
            self.end(Some(StreamError::new(StreamCondition::ResourceConstraint)));
            return;
        }
        if let Connection::Here(sink) | Connection::Arriving(sink) = &self.connection
            && sink.queued() >= bytes
        {
            metrics::session_let_go();
            sink.cut();
        }
    }

    /// Tells whether its client is where no rate applies.
    pub(super) fn is_trusted(&self) -> bool {
        match &self.connection {
            Connection::Here(sink) | Connection::Arriving(sink) => sink.is_trusted(),
            Connection::Away => false,
        }
    }

    /// Another session takes this one's name, or this one goes on elsewhere.
    pub(super) fn replace(&mut self, successor: Successor) {
        if self.lose_name() {
            // Whoever begins there has nothing to wait for.
            let _ = successor.ended.send(());
            return;
        }
        let previd = successor.previd.as_deref();
        if previd.is_some() && previd == self.session.previd() {
            self.give_way(successor.node);
            // Whoever begins there may have stopped waiting.
            let _ = successor.ended.send(());
            return;
        }
        self.successor = Some(successor.ended);
        self.end(Some(StreamError::new(StreamCondition::Conflict)));
    }

    /// Ends: the client is told why, the contacts see it go.
    pub(super) fn end(&mut self, error: Option<StreamError>) {
        if self.is_leaving() {
            self.end_leaving();
        }
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        if let Connection::Here(sink) | Connection::Arriving(sink) = &self.connection {
            sink.close(error);
        }
        if !matches!(self.connection, Connection::Away) {
            self.push_unacknowledged();
        }
        self.connection = Connection::Away;
        for stanza in self.unacked_stanzas() {
            self.bounce(&stanza);
        }
        for (_, stanza) in self.held.take() {
            self.bounce(&stanza);
        }
        if let Some(sm) = &self.session.sm {
            self.world.resumables.remove(&sm.id);
        }
        self.forget_record();
        self.forget_rooms();
        metrics::session_ended();
        let facts = self.session.facts.clone();
        tokio::spawn(farewell(
            self.world.clone(),
            self.slot,
            self.cell.clone(),
            facts,
            self.occupied(),
            self.successor.take(),
        ));
    }

    /// Shows the session's data to an operator.
    pub(super) fn inspect(&self, reply: oneshot::Sender<Box<Session>>) {
        // Whoever asked may have gone.
        let _ = reply.send(Box::new(self.session.clone()));
    }
}

impl Drop for Live {
    /// A session that fails has not ended: its client must not wait for nothing.
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if let Connection::Here(sink) | Connection::Arriving(sink) = &self.connection {
            sink.close(Some(StreamError::new(StreamCondition::InternalServerError)));
        }
    }
}

/// Counters that begin, with an id when the client wants to resume by it.
pub(super) fn begin_sm(resume: bool) -> Sm {
    Sm::new(if resume { random_id() } else { String::new() })
}

/// Who may come back: resumption id → session (XEP-0198 §5). An id is 128 random bits, so
/// that it cannot be guessed (row A13); the account is checked all the same.
#[derive(Default)]
pub struct Resumables {
    slots: papaya::HashMap<String, Slot>,
}

impl Resumables {
    fn add(&self, id: String, slot: Slot) {
        self.slots.pin().insert(id, slot);
    }

    pub(super) fn remove(&self, id: &str) {
        self.slots.pin().remove(id);
    }

    /// Nobody comes back to a session that has failed; answers its id. Looks at all.
    pub(crate) fn take(&self, slot: Slot) -> Option<String> {
        let slots = self.slots.pin();
        let mut all = slots.iter();
        let id = all.find(|(_, it)| **it == slot)?.0.clone();
        slots.remove(&id);
        Some(id)
    }

    /// The session with this resumption id.
    pub fn slot(&self, id: &str) -> Option<Slot> {
        self.slots.pin().get(id).copied()
    }
}
