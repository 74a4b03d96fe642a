//! What the client sends: strictly in order.

use std::collections::VecDeque;
use std::sync::Arc;

use klatsch_protocol::effect::Effect;
use klatsch_protocol::facts::{AccountData, Facts};
use klatsch_protocol::features::csi;
use klatsch_protocol::jid::Jid;
use klatsch_protocol::pipeline;
use klatsch_protocol::routing;
use klatsch_protocol::stanza::{Malformed, Stanza, StreamCondition, StreamError};
use klatsch_protocol::stream::sm;
use klatsch_protocol::xml::Fragment;

use tokio::time::Instant;

use super::Live;
use super::message::{Answered, Next};
use super::refused::Known;
use crate::log_writer::wait;
use crate::metrics;
use crate::router::{STALE_MAX, patiently};
use crate::sessions::Credit;

/// Something received and not yet dealt with.
pub(super) struct Received {
    what: What,
    credit: Credit,
    known: Known,
}

enum What {
    Stanza(Arc<Stanza>),
    Malformed(Box<Malformed>),
    AckRequest,
    Enable { resume: bool },
    Active(bool),
}

/// The stanza being dealt with.
pub(super) struct Current {
    stanza: Arc<Stanza>,
    /// The facts it was decided on.
    pub(super) data: Arc<AccountData>,
    effects: VecDeque<Effect>,
    /// The effect before these is still under way.
    pub(super) is_waiting: bool,
    decisions: u8,
    credit: Credit,
    /// What its sender knew of refusals.
    pub(super) known: Known,
}

impl Live {
    /// Takes what the client sends.
    pub(super) fn receive(&mut self, fragment: Fragment, credit: Credit, connection: u32) {
        if connection != self.connections {
            // The client has come back since: it sends this again over its new connection.
            return;
        }
        match self.read(fragment) {
            Ok(Some(what)) => {
                let known = self.refused.known(Instant::now());
                self.inbox.push_back(Received {
                    what,
                    credit,
                    known,
                });
            }
            Ok(None) => {}
            Err(error) => self.end(Some(error)),
        }
        self.drive();
    }

    fn read(&mut self, fragment: Fragment) -> Result<Option<What>, StreamError> {
        let what = match (fragment.namespace(), fragment.name()) {
            (sm::NS, "a") => {
                self.take_ack(fragment.attr("h"))?;
                return Ok(None);
            }
            (sm::NS, "r") => What::AckRequest,
            (sm::NS, "enable") => {
                let resume = matches!(fragment.attr("resume"), Some("true" | "1"));
                What::Enable { resume }
            }
            (csi::NS, "active") => What::Active(true),
            (csi::NS, "inactive") => What::Active(false),
            _ => return self.read_stanza(fragment).map(Some),
        };
        Ok(Some(what))
    }

    fn read_stanza(&self, fragment: Fragment) -> Result<What, StreamError> {
        if !matches!(fragment.name(), "message" | "presence" | "iq") {
            // RFC 6120 §4.9.3.24.
            return Err(StreamError::new(StreamCondition::UnsupportedStanzaType));
        }
        let mut stanza = match Stanza::from_fragment(fragment) {
            Ok(stanza) => stanza,
            Err(malformed) => return Ok(What::Malformed(Box::new(malformed))),
        };
        // RFC 6120 §8.1.2.1 and row R01: a client speaks for its account alone, and whatever it
        // says is from the session's full address.
        // COMPAT: Converse.js 14.0.0 names a resource of its own making after a resumption, so
        // that the account is all that is compared.
        let me = &self.session.facts.jid;
        let is_foreign = |from: &Jid| from.bare_str() != me.bare_str();
        if stanza.from().is_some_and(is_foreign) {
            return Err(StreamError::new(StreamCondition::InvalidFrom));
        }
        stanza.head_mut().from = Some(Jid::from(me.clone()));
        metrics::stanza_received(&stanza);
        Ok(What::Stanza(Arc::new(stanza)))
    }

    /// Goes on with what has been received until something has to be waited for.
    pub(super) fn drive(&mut self) {
        while !self.has_ended && !self.batch.is_in_flight() {
            match self.current.take() {
                Some(current) if current.is_waiting => {
                    self.current = Some(current);
                    return;
                }
                Some(current) => self.advance(current),
                None => match self.inbox.pop_front() {
                    Some(received) => self.begin(received),
                    None if self.batch.is_empty() => break,
                    None => self.send_batch(),
                },
            }
        }
        self.forget_refusals();
        self.finish_resumption();
        self.finish_hand_over();
        self.finish_closing();
    }

    /// Tells whether everything the client has sent has been dealt with.
    pub(super) fn is_quiet(&self) -> bool {
        self.current.is_none() && self.inbox.is_empty() && !self.batch.is_in_flight()
    }

    fn begin(&mut self, received: Received) {
        let Received {
            what,
            credit,
            known,
        } = received;
        match what {
            What::Stanza(stanza) => self.decide(stanza, credit, known, 1),
            What::AckRequest if !self.batch.is_empty() => {
                self.batch.note_ack_request();
            }
            // What does not wait for the store still waits for what was sent before it.
            other if !self.batch.is_empty() => {
                self.inbox.push_front(Received {
                    what: other,
                    credit,
                    known,
                });
                self.send_batch();
            }
            What::Malformed(malformed) => {
                self.refuse_malformed(&malformed);
                self.count_handled();
            }
            What::AckRequest => self.answer_ack_request(),
            What::Enable { resume } => self.enable_sm(resume),
            What::Active(is_active) => self.set_active(is_active),
        }
    }

    /// Decides on what is known of the account; when another node has changed it, that is read
    /// first.
    fn decide(&mut self, stanza: Arc<Stanza>, credit: Credit, known: Known, decisions: u8) {
        if self.cell.is_stale() && decisions < STALE_MAX {
            return self.refresh(stanza, credit, known, decisions);
        }
        self.decide_on_what_is_at_hand(stanza, credit, known, decisions);
    }

    fn decide_on_what_is_at_hand(
        &mut self,
        stanza: Arc<Stanza>,
        credit: Credit,
        known: Known,
        decisions: u8,
    ) {
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        let refused = match decisions {
            1 => self.refuse_to_stranger(&stanza, &facts),
            // It has been counted.
            _ => None,
        };
        let effects = refused.unwrap_or_else(|| pipeline::decide_sent(&stanza, &facts));
        let effects = effects.into();
        let is_waiting = false;
        self.current = Some(Box::new(Current {
            stanza,
            data,
            effects,
            is_waiting,
            decisions,
            credit,
            known,
        }));
    }

    fn refresh(&mut self, stanza: Arc<Stanza>, credit: Credit, known: Known, decisions: u8) {
        self.current = Some(Box::new(Current {
            stanza,
            data: self.cell.data(),
            effects: VecDeque::new(),
            is_waiting: true,
            decisions,
            credit,
            known,
        }));
        let (world, cell) = (self.world.clone(), self.cell.clone());
        self.later(async move {
            match patiently(world.accounts.refresh(&cell)).await {
                Ok(()) => Answered::Stale,
                // D5: a store that is down stops no presence and no ping. What is known was true
                // a moment ago; what changes it is refused by the store itself.
                Err(error) => {
                    tracing::debug!(%error, "decided on what is known");
                    Answered::Unreadable
                }
            }
        });
    }

    /// Row R17: an account's messages to people who do not know it are counted before anything is
    /// kept.
    fn refuse_to_stranger(&self, stanza: &Stanza, facts: &Facts<'_>) -> Option<Vec<Effect>> {
        if self.is_trusted() {
            return None;
        }
        let stranger = routing::stranger(stanza, facts)?;
        let (world, account) = (&self.world, &self.cell.jid);
        let settings = &world.settings.strangers;
        let taken = world
            .strangers
            .take(account, &stranger, settings, Instant::now());
        let error = taken.err()?;
        metrics::stranger_refused();
        tracing::debug!(jid = %account, "too much to strangers");
        Some(pipeline::reply_error(stanza, &error))
    }

    /// Carries out the next effect of a stanza.
    fn advance(&mut self, mut current: Box<Current>) {
        match current.effects.pop_front() {
            None => self.finish(*current),
            Some(Effect::Keep(keep)) if !self.is_behind_refused(&current.stanza, current.known) => {
                debug_assert!(
                    current.effects.is_empty(),
                    "nothing is decided behind a commit"
                );
                self.batch_up(keep, current.stanza, current.credit);
            }
            Some(effect) if !self.batch.is_empty() => {
                current.effects.push_front(effect);
                self.current = Some(current);
                self.send_batch();
            }
            Some(Effect::Keep(_)) => {
                self.refuse_behind(&current.stanza);
                self.finish(*current);
            }
            Some(effect) => {
                current.is_waiting = self.perform(effect, &current);
                self.current = Some(current);
            }
        }
    }

    fn finish(&mut self, current: Current) {
        self.count_handled();
        drop(current.credit);
    }

    pub(super) fn count_handled(&mut self) {
        if let Some(sm) = &mut self.session.sm {
            sm.count_handled();
        }
    }

    /// What the current stanza was waiting for has come.
    pub(super) fn answered(&mut self, answered: Answered) {
        let Some(mut current) = self.current.take() else {
            return;
        };
        if !current.is_waiting {
            self.current = Some(current);
            return;
        }
        if matches!(answered, Answered::Uncertain) {
            // The client's replay settles it.
            self.end(Some(StreamError::new(StreamCondition::InternalServerError)));
            return;
        }
        current.is_waiting = false;
        self.is_appearing = false;
        if answered.refuses_for_now() {
            self.note_refusal(&current.stanza);
        }
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        let stanza = current.stanza.clone();
        match answered.effects(&stanza, |answer, go_on| go_on(&stanza, answer, &facts)) {
            Next::GoOn => self.current = Some(current),
            Next::Prepend(effects) => {
                effects
                    .into_iter()
                    .rev()
                    .for_each(|effect| current.effects.push_front(effect));
                current.data = data.clone();
                self.current = Some(current);
            }
            Next::Instead(effects) => {
                current.effects = effects.into();
                self.current = Some(current);
            }
            Next::Again => self.decide_again(*current),
            Next::Anyway => {
                let Current {
                    stanza,
                    credit,
                    known,
                    decisions,
                    ..
                } = *current;
                self.decide_on_what_is_at_hand(stanza, credit, known, decisions);
            }
        }
        self.go_on_reading();
        self.drive();
    }

    /// The facts were stale. Somebody else changed the account; that ends.
    fn decide_again(&mut self, current: Current) {
        if current.decisions < STALE_MAX {
            let decisions = current.decisions + 1;
            self.decide(current.stanza, current.credit, current.known, decisions);
            return;
        }
        self.note_refusal(&current.stanza);
        let mut current = current;
        current.effects = pipeline::reply_error(&current.stanza, &wait()).into();
        self.current = Some(Box::new(current));
    }
}
