//! Leaving a room, by one's own will or another's: XEP-0045 §7.14, §8.2, §9.1, §11.
//!
//! Leaves out: status 332. When the service stops (§11.2), nobody leaves: sessions wait for the
//! next start inside, and the others have ended before.

use super::affiliation::Affiliation;
use super::effect::RoomEffect;
use super::occupant::Occupant;
use super::presence::{Forms, Item, News, broadcast, user_element};
use super::role::Role;
use super::room::{Room, trace};
use super::{NS_USER, occupant_id, sanitize};
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::{Condition, Presence, PresenceKind, StanzaError};
use crate::xml::{Element, Payloads};

/// Why somebody goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Farewell<'a> {
    /// 301 banned, 307 kicked, 321 and 322 not a member, 333 fault.
    pub(super) codes: &'a [u16],
    pub(super) affiliation: Affiliation,
    pub(super) actor: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    /// Their own last words (§7.14).
    pub(super) words: Payloads,
    /// The room goes with them.
    pub(super) destroy: Option<Element>,
}

/// What is sent when somebody goes.
#[derive(Debug, Default)]
pub(super) struct Departure {
    /// To those who go.
    pub(super) own: Vec<RoomEffect>,
    /// To those who stay.
    pub(super) others: Vec<RoomEffect>,
}

impl Departure {
    /// Those who go first (§7.14).
    pub(super) fn in_order(self) -> Vec<RoomEffect> {
        [self.own, self.others].concat()
    }
}

impl Room {
    /// §7.14: a session goes. Who has others under the same nick stays.
    pub(super) fn leave(&mut self, sender: &FullJid, presence: &Presence) -> Vec<RoomEffect> {
        let words = sanitize::presence(&presence.payloads);
        self.drop_session(sender, &[], words)
    }

    /// A session is gone without a word: its connection and everything that could resume it.
    /// To the room this is a fault (§11.1).
    pub fn gone(&mut self, session: &FullJid) -> Vec<RoomEffect> {
        self.drop_session(session, &[333], Payloads::default())
    }

    fn drop_session(
        &mut self,
        session: &FullJid,
        codes: &[u16],
        words: Payloads,
    ) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.of_session(session) else {
            // §17.3 rule 5: silently.
            return trace("whoever leaves is not inside");
        };
        let affiliation = self.record.affiliation(&occupant.account);
        let mut farewell = Farewell {
            codes,
            affiliation,
            words,
            ..Farewell::default()
        };
        if occupant.sessions.len() == 1 {
            let nick = occupant.nick.clone();
            // §10.1.3: a room that was never configured is destroyed when its owner goes.
            let with_own = [codes, &[110]].concat();
            if self.is_locked() && self.occupants.len() == 1 {
                farewell.codes = &with_own;
                farewell.destroy = Some(Element::new("destroy", NS_USER));
            }
            let mut effects = self.turn_out(&nick, &farewell).in_order();
            effects.extend(self.end_if_empty());
            return effects;
        }
        let (nick, before) = (occupant.nick.clone(), occupant.shown.clone());
        let forget = occupant.forget(session);
        let mut effects = self.tell_own(occupant, std::slice::from_ref(session), &farewell);
        self.occupants.take(session);
        self.refresh(&nick);
        effects.push(forget);
        if self
            .occupants
            .get(&nick)
            .is_some_and(|it| it.shown != before)
        {
            effects.extend(self.announce(&nick, News::default()));
        }
        effects
    }

    /// Takes an occupant out of the room, with all sessions.
    pub(super) fn turn_out(&mut self, nick: &str, farewell: &Farewell<'_>) -> Departure {
        let Some(occupant) = self.occupants.get(nick).cloned() else {
            return Departure::default();
        };
        let sessions: Vec<FullJid> = occupant.jids().cloned().collect();
        let mut own = self.tell_own(&occupant, &sessions, farewell);
        let others = match self.is_shown(occupant.role) && farewell.destroy.is_none() {
            true => self.tell_others(
                nick,
                PresenceKind::Unavailable,
                &self.last(&occupant, farewell),
            ),
            false => Vec::new(),
        };
        for session in sessions {
            self.occupants.take(&session);
            self.relayed.forget(&session);
            own.push(occupant.forget(&session));
        }
        Departure { own, others }
    }

    /// What those who go are told (§7.14: status 110).
    fn tell_own(
        &self,
        occupant: &Occupant,
        to: &[FullJid],
        farewell: &Farewell<'_>,
    ) -> Vec<RoomEffect> {
        let mut codes = farewell.codes.to_vec();
        // §10.9: who is turned out of a destroyed room is told where to go instead.
        if farewell.destroy.is_none() {
            codes.push(110);
        }
        codes.sort_unstable();
        let payloads = self.last_payloads(occupant, farewell, true, &codes);
        let presence = self.presence_from(&occupant.nick, PresenceKind::Unavailable, payloads);
        broadcast(presence.into(), to.to_vec())
    }

    /// Their last presence in both forms.
    fn last(&self, occupant: &Occupant, farewell: &Farewell<'_>) -> Forms {
        [true, false].map(|knows| self.last_payloads(occupant, farewell, knows, farewell.codes))
    }

    fn last_payloads(
        &self,
        occupant: &Occupant,
        farewell: &Farewell<'_>,
        knows: bool,
        codes: &[u16],
    ) -> Payloads {
        let item = Item {
            affiliation: farewell.affiliation,
            role: Role::None,
            jid: (knows && farewell.destroy.is_none()).then(|| occupant.speaker().jid.as_jid()),
            nick: None,
            actor: farewell.actor,
            reason: farewell.reason,
        };
        let x = user_element(item, codes).children_from(farewell.destroy.clone());
        let payloads = farewell.words.with(&x);
        payloads.with(&occupant_id::element(&occupant.id))
    }

    /// §7.14, note: a room that is not persistent ends with its last occupant.
    pub fn end_if_empty(&mut self) -> Vec<RoomEffect> {
        let is_over =
            self.occupants.is_empty() && (!self.record.config.persistent || self.is_locked());
        match is_over {
            true => vec![RoomEffect::Vanish],
            false => Vec::new(),
        }
    }

    /// §11.1 and §18.1.2: a stanza of the room came back. Who cannot be reached is not inside, and
    /// neither is whose error does not even say what is wrong.
    /// COMPAT: aioxmpp 0.13 leaves like that when it has failed, and Prosody takes it so.
    pub(super) fn bounced(&mut self, sender: &FullJid, payloads: &Payloads) -> Vec<RoomEffect> {
        let error = payloads.element("error", ns::CLIENT);
        let condition = error.map(|error| StanzaError::from_element(&error).condition);
        let is_delivery = matches!(
            condition,
            None | Some(
                Condition::Gone
                    | Condition::ItemNotFound
                    | Condition::RecipientUnavailable
                    | Condition::Redirect
                    | Condition::RemoteServerNotFound
                    | Condition::RemoteServerTimeout
            )
        );
        match is_delivery {
            true => self.gone(sender),
            false => trace("an error that says nothing of whether somebody is there"),
        }
    }
}

#[cfg(test)]
mod tests;
