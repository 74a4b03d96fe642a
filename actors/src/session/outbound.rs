//! What the client gets: mail, entries of its account's log, acknowledgements.

use std::sync::Arc;

use klatsch_protocol::archive::{Direction, Entry};
use klatsch_protocol::effect::{Effect, HoldKey};
use klatsch_protocol::facts::{Resource, Views};
use klatsch_protocol::features::presence::wish::Wish;
use klatsch_protocol::features::{avatar, csi, muc, presence};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::pipeline;
use klatsch_protocol::routing::{self, Share};
use klatsch_protocol::stanza::{
    Head, Iq, IqKind, Malformed, Stanza, StanzaError, StreamCondition, StreamError,
};
use klatsch_protocol::stream::sm::{self, Unacked};
use klatsch_protocol::xml::Element;
use klatsch_store::StoreError;
use tokio::time::Instant;

use super::cursor::Hint;
use super::{Connection, LAG_MAX, Live, Pressure, Pull, SessionMsg};
use crate::mail::{Committed, Mail};
use crate::metrics;
use crate::replica::{Ack, Record};
use crate::router::{self, patiently};

/// The session reads on from its log while the connection has less than this queued, bytes:
/// about what a slow link takes in a second.
const QUEUED_PAUSE: usize = 32 * 1024;

/// So many entries are read from the log at once.
pub(super) const PAGE: u32 = 50;

impl Live {
    /// Takes mail from another address.
    pub(super) fn take_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Deliver(stanza) => self.deliver(&stanza),
            Mail::RosterPush(payload) => self.push_roster(payload),
            Mail::BlocklistPush(payload) => self.push(payload),
            Mail::Avatar(hash) => self.show_avatar(&hash),
            Mail::Wish(wish) => self.take_wish(&wish),
            Mail::End(error) => self.end(Some(error)),
            Mail::Room(mail) => self.take_room_mail(&mail),
            Mail::Committed(_) => debug_assert!(false, "hints come with the session's share"),
        }
    }

    pub(super) fn deliver(&mut self, stanza: &Stanza) {
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        let effects = pipeline::decide_delivered(stanza, &facts);
        for effect in effects {
            match effect {
                Effect::Reply(stanza) => self.hand_over(stanza),
                other => self.perform_delivery(other),
            }
        }
    }

    /// XEP-0398 §4: who sees the account sees its new avatar, though its client says nothing.
    fn show_avatar(&mut self, hash: &str) {
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        for effect in avatar::decide_shown(hash, &self.session.facts, &facts) {
            match effect {
                Effect::Publish(presence) => {
                    self.session.facts.presence = presence;
                    self.show_unheard();
                }
                other => self.perform_delivery(other),
            }
        }
    }

    /// Who sees the account sees what it wishes, though its clients say nothing.
    fn take_wish(&mut self, wish: &Wish) {
        if !self.cell.take_wish(wish) {
            return;
        }
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        for effect in presence::wish::decide_wished(&self.session.facts, &facts) {
            match effect {
                Effect::Publish(_) => drop(self.show_unheard()),
                other => self.perform_delivery(other),
            }
        }
    }

    /// It goes on here; contacts who have been told that it has gone are told that it is there.
    pub(super) fn go_on(&mut self, since: Instant, has_gone: bool) {
        self.inherited = Some(since);
        self.catch_up_since(since);
        if !has_gone {
            return;
        }
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        for effect in presence::decide_back(&facts) {
            self.perform_delivery(effect);
        }
    }

    /// Lets other nodes know how far this session is, should they have to go on with it.
    pub(super) fn show_record(&self) {
        if let (Some(replica), Some(sm)) = (self.world.directory.replica(), &self.session.sm)
            && sm.is_resumable()
            && !self.has_ended
        {
            let record = Record {
                handled: self.refused.handled_for_sure(sm.handled()),
                ..Record::of(&self.session, sm)
            };
            replica.record(&sm.id, record);
        }
    }

    /// RFC 6121 §2.1.6: a push is an IQ set from the account, with an id of its own.
    pub(super) fn push(&mut self, payload: Element) {
        self.pushes = self.pushes.wrapping_add(1);
        let head = Head {
            to: Some(self.session.facts.jid.clone().into()),
            id: Some(format!("push-{}", self.pushes).into()),
            ..Head::default()
        };
        let payloads = [payload].into_iter().collect();
        self.hand_over(Stanza::Iq(Iq {
            head,
            kind: IqKind::Set,
            payloads,
        }));
    }

    pub(super) fn perform_delivery(&mut self, effect: Effect) {
        match effect {
            Effect::Hold(key, stanza) => self.hold(key, stanza),
            Effect::Release => self.wake(),
            // Refusals go back to their senders; what needs the store to do so needs no refusal.
            Effect::Route(stanza) => router::send_off(&self.world, stanza),
            Effect::Spread(presence) => self.spread(&presence),
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "a delivery cannot ask for {other:?}"),
        }
    }

    /// Writes a stanza that stands in no log, or holds it back for a client that is away.
    pub(super) fn hand_over(&mut self, stanza: Stanza) {
        if matches!(self.connection, Connection::Here(_)) {
            let unacked = self
                .session
                .sm
                .is_some()
                .then(|| Unacked::Stanza(Box::new(stanza.clone())));
            self.write(&stanza, unacked);
            return;
        }
        self.hold(hold_key(&stanza), stanza);
    }

    fn hold(&mut self, key: Option<HoldKey>, stanza: Stanza) {
        let max = self.world.settings.held_stanzas_max;
        if self.held.len() >= max {
            // A client that is there in the background takes it; one that is away loses some.
            self.wake();
        }
        let too_much = self.held.push(key, stanza, max);
        if let Some(oldest) = too_much {
            metrics::held_stanza_dropped();
            self.bounce(&oldest);
        }
    }

    /// A request that cannot be delivered is refused (RFC 6121 §8.5.3.2.3); the rest was
    /// never promised.
    pub(super) fn bounce(&self, stanza: &Stanza) {
        let Stanza::Iq(iq) = stanza else { return };
        if !matches!(iq.kind, IqKind::Get | IqKind::Set) {
            return;
        }
        if let Some(reply) = stanza.error_reply(&StanzaError::service_unavailable()) {
            router::send_off(&self.world, reply);
        }
    }

    /// Writes what was held back.
    pub(super) fn release_held(&mut self) {
        if self.held.is_empty() || !matches!(self.connection, Connection::Here(_)) {
            return;
        }
        for (_, stanza) in self.held.take() {
            self.hand_over(stanza);
        }
    }

    /// Writes the refusal of something that was no stanza, whose addresses may be none.
    pub(super) fn refuse_malformed(&mut self, malformed: &Malformed) {
        let Some(refusal) = malformed.reply() else {
            return;
        };
        write_nonza(&self.connection, &refusal);
        if let Some(sm) = &mut self.session.sm {
            sm.count_sent(Unacked::Refusal(Box::new(refusal)));
        }
    }

    pub(super) fn write(&mut self, stanza: &Stanza, unacked: Option<Unacked>) {
        if let Connection::Here(sink) = &self.connection {
            // A closed connection says so by itself; what was not taken is not acknowledged.
            let _: Pressure = sink.stanza(stanza);
            self.count_written(stanza, unacked);
        }
    }

    /// Writes a stanza for many, to this session.
    pub(super) fn pass_on(&mut self, stanza: &Stanza, unacked: Option<Unacked>) {
        if let Connection::Here(sink) = &self.connection {
            let _: Pressure = sink.stanza_to(stanza, self.session.facts.jid.as_jid());
            self.count_written(stanza, unacked);
        }
    }

    fn count_written(&mut self, stanza: &Stanza, unacked: Option<Unacked>) {
        let Connection::Here(sink) = &self.connection else {
            return;
        };
        metrics::stanza_sent(stanza);
        let (Some(sm), Some(unacked)) = (&mut self.session.sm, unacked) else {
            return;
        };
        sm.count_sent(unacked);
        if sm.unacked_len() > sm::UNACKED_MAX {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            self.end(Some(error.with_text("too much is unacknowledged")));
        } else if sm.wants_ack(matches!(stanza, Stanza::Message(_))) {
            sink.nonza(&sm::request());
        }
    }

    /// Takes a hint: an entry has been committed to the account's log.
    pub(super) fn take_hint(&mut self, committed: &Committed, share: Share) {
        let share = self.share_for_me(committed, share);
        if share != Share::Nothing {
            self.doze_or_wake(csi::entry_waits(&committed.message, share));
        }
        let can_take = self.can_take_entries() && self.pull == Pull::Idle;
        match self.session.cursor.hint(committed.id, can_take) {
            Hint::Next => self.deliver_entry(committed, share),
            Hint::Known => {}
            Hint::Missing => self.go_on_reading(),
        }
    }

    /// Hears where the log ends; it may have missed hints.
    pub(super) fn take_tail(&mut self, head: u64) {
        if self.batch.is_overdue() {
            self.end(Some(StreamError::new(StreamCondition::InternalServerError)));
            return;
        }
        self.wake_in_time(head > self.session.cursor.tail());
        self.session.cursor.hear_tail(head);
        if !self.keeps_up(Instant::now()) {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            self.end(Some(error.with_text("too far behind")));
            return;
        }
        self.go_on_reading();
        self.schedule_tail_check();
    }

    /// Tells whether the client has everything, or has had it not too long ago.
    fn keeps_up(&mut self, now: Instant) -> bool {
        let unacked = self.session.sm.as_ref().map_or(0, |sm| sm.unacked_len());
        if unacked == 0 && !self.session.cursor.is_behind() {
            self.caught_up = now;
        }
        now.duration_since(self.caught_up) < LAG_MAX
    }

    pub(super) fn can_take_entries(&self) -> bool {
        let Connection::Here(sink) = &self.connection else {
            return false;
        };
        let unacked = self.session.sm.as_ref().map_or(0, |sm| sm.unacked_len());
        self.doze.is_awake()
            && !self.is_appearing
            && sink.queued() < QUEUED_PAUSE
            && unacked < sm::UNACKED_ENTRIES_PAUSE
    }

    /// Reads on from the log, if there is something and the client can take it.
    pub(super) fn go_on_reading(&mut self) {
        self.go_on_showing_contacts();
        self.go_on_reading_rooms();
        let behind = self.session.cursor.is_behind();
        if !behind || self.pull == Pull::UnderWay || !self.can_take_entries() {
            return;
        }
        self.pull = Pull::UnderWay;
        metrics::log_read();
        let (world, slot) = (self.world.clone(), self.slot);
        let (account, after) = (self.cell.jid.clone(), self.session.cursor.position());
        tokio::spawn(async move {
            let page = patiently(world.store.entries(&account, after, PAGE)).await;
            world.directory.slots.send(slot, SessionMsg::Pulled(page));
        });
    }

    /// The next entries of the log have come.
    pub(super) fn pulled(&mut self, page: Result<Vec<Entry>, StoreError>) {
        self.pull = Pull::Idle;
        if !matches!(self.connection, Connection::Here(_)) {
            return;
        }
        match page {
            Ok(entries) if entries.is_empty() => self.session.cursor.settle(),
            Ok(entries) => {
                for entry in entries {
                    self.take_entry(&entry);
                }
                self.go_on_reading();
            }
            // The next look at the tail tries again.
            Err(error) => tracing::warn!(%error, "the log cannot be read"),
        }
    }

    fn take_entry(&mut self, entry: &Entry) {
        if self.has_ended || !self.session.cursor.take(entry.id) {
            return;
        }
        let Some(committed) = Committed::from_entry(entry) else {
            tracing::error!(id = entry.id, "an entry of the log is no message");
            return;
        };
        let share = if self.session.cursor.is_late(entry.id) {
            routing::share_of_waiting(&committed.message, committed.direction)
        } else {
            let share = self
                .world
                .directory
                .share_of(&committed, &self.session.facts.jid);
            self.share_for_me(&committed, share)
        };
        self.deliver_entry(&committed, share);
    }

    /// The session alone knows in which rooms it is: what goes to occupants of these. And what it
    /// shows, before others see it where it has just come to.
    fn share_for_me(&self, committed: &Committed, share: Share) -> Share {
        let share = match share {
            Share::Nothing => self.share_of_unseen(committed),
            share => share,
        };
        let Committed {
            message, direction, ..
        } = committed;
        let is_inside = |room: &BareJid| self.session.rooms.contains_key(room);
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        muc::share_of_private(message, *direction, is_inside, &facts).unwrap_or(share)
    }

    /// What a session gets that is not seen yet as what it is.
    fn share_of_unseen(&self, committed: &Committed) -> Share {
        let facts = &self.session.facts;
        let view = self.world.directory.view(&self.cell.jid);
        let seen = view.resource(&facts.jid);
        let is_seen = seen.is_some_and(|it| it.presence.is_some());
        let (Some(presence), false) = (&facts.presence, is_seen) else {
            return Share::Nothing;
        };
        let me = Resource {
            jid: facts.jid.clone(),
            priority: presence.priority(),
            presence: Some(Arc::new((**presence).clone())),
            carbons: facts.carbons,
            roster_interest: facts.roster_interest,
            blocklist_interest: facts.blocklist_interest,
            is_away: false,
        };
        routing::share(&committed.message, committed.direction, &me, &view)
    }

    fn deliver_entry(&mut self, committed: &Committed, share: Share) {
        let id = committed.id;
        if share == Share::Nothing {
            self.pass_over(committed);
            return;
        }
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        let effects =
            pipeline::decide_entry(id, committed.stamp, &committed.message, share, &facts);
        for effect in effects {
            match effect {
                Effect::Reply(stanza) => {
                    let unacked = self
                        .session
                        .sm
                        .is_some()
                        .then_some(Unacked::Entry { id, share });
                    self.write(&stanza, unacked);
                    if self.session.sm.is_none() {
                        // Without stream management, written is as much as can be known.
                        self.note_delivery(id, share);
                    }
                }
                other => self.perform_delivery(other),
            }
        }
    }

    /// What the account has sent itself needs no delivery, so the delivery cursor need not
    /// stop at it.
    fn pass_over(&self, committed: &Committed) {
        let id = committed.id;
        if committed.direction == Direction::Sent && self.cell.delivered() + 1 == id {
            self.world.accounts.delivered(&self.cell, id);
        }
    }

    fn note_delivery(&self, id: u64, share: Share) {
        if matches!(share, Share::Addressed | Share::Late) {
            self.world.accounts.delivered(&self.cell, id);
        }
    }

    /// The client acknowledges (XEP-0198 §4).
    pub(super) fn take_ack(&mut self, h: Option<&str>) -> Result<(), StreamError> {
        let Some(sm) = &mut self.session.sm else {
            return Ok(());
        };
        let Some(h) = h.and_then(sm::parse_h) else {
            let error = StreamError::new(StreamCondition::BadFormat);
            return Err(error.with_text("h is no number of 32 bits"));
        };
        let acked = sm.acknowledge(h)?;
        // A client that acknowledges nothing new is not asked again at once: that could go on.
        let asks_again = !acked.is_empty() && sm.wants_another_ack();
        if asks_again {
            write_nonza(&self.connection, &sm::request());
        }
        for acked in acked {
            if let Unacked::Entry { id, share } = acked {
                self.note_delivery(id, share);
            }
        }
        self.hear_of_refusals();
        self.show_record();
        self.go_on_reading();
        Ok(())
    }

    /// Answers `<r/>`: everything the client sent before it has been dealt with.
    pub(super) fn answer_ack_request(&mut self) {
        let Some(sm) = &self.session.sm else {
            return;
        };
        self.show_record();
        let (connection, handled) = (self.connections, sm.handled());
        match self.world.directory.replica() {
            Some(replica) if sm.is_resumable() => {
                let h = self.refused.handled_for_sure(handled);
                replica.acknowledge_when_known(self.slot, Ack { connection, h });
            }
            _ => {
                let h = handled;
                self.acknowledge(Ack { connection, h });
            }
        }
    }

    /// Nobody goes on with a session that ends: what is handled need not be known elsewhere.
    pub(super) fn acknowledge_at_last(&mut self) {
        let connection = self.connections;
        if let Some(h) = self.session.sm.as_ref().map(|sm| sm.handled())
            && h != self.told
        {
            self.acknowledge(Ack { connection, h });
        }
    }

    /// Other nodes know what is handled: now the client may.
    pub(super) fn be_known(&mut self, ack: Ack) {
        self.known = Some(ack.h);
        self.acknowledge(ack);
        self.finish_resumption();
    }

    /// Tells the client what is handled. Over a later connection, or at its resumption, it has
    /// been told more.
    fn acknowledge(&mut self, ack: Ack) {
        let is_more = !sm::is_before(ack.h, self.told);
        if let (Connection::Here(sink), true) = (
            &self.connection,
            is_more && ack.connection == self.connections,
        ) {
            sink.nonza(&sm::answer(ack.h));
            self.told = ack.h;
        }
    }

    /// The client is in the foreground or in the background (XEP-0352).
    pub(super) fn set_active(&mut self, is_active: bool) {
        self.session.facts.inactive = !is_active;
        if is_active {
            self.wake();
        }
    }
}

/// What a stanza that waits for a client that is away takes the place of.
pub(super) fn hold_key(stanza: &Stanza) -> Option<HoldKey> {
    match stanza {
        Stanza::Presence(presence) => presence.head.from.clone().map(HoldKey::Presence),
        _ => None,
    }
}

/// Writes an element that is no stanza.
pub(super) fn write_nonza(connection: &Connection, element: &Element) {
    if let Connection::Here(sink) = connection {
        let _: Pressure = sink.nonza(element);
    }
}
