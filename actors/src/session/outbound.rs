//! What the client gets besides its account's log: mail, and what was held back for it.

use klatsch_protocol::effect::{Effect, HoldKey};
use klatsch_protocol::features::presence::wish::Wish;
use klatsch_protocol::features::{avatar, presence};
use klatsch_protocol::pipeline;
use klatsch_protocol::stanza::{
    Head, Iq, IqKind, Malformed, Stanza, StanzaError, StreamCondition, StreamError,
};
use klatsch_protocol::stream::sm::{self, Unacked};
use klatsch_protocol::xml::Element;
use tokio::time::Instant;

use super::{Connection, Live, Pressure};
use crate::mail::Mail;
use crate::metrics;
use crate::router;

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
