//! A room: XEP-0045 version 1.35.5. What it is, and which decision a stanza leads to.
//!
//! The value has no actor in it and does nothing by itself: stanzas and answers go in,
//! effects come out ([`super::effect`]).

use std::collections::BTreeMap;

use super::NS_ADMIN;
use super::NS_OWNER;
use super::affiliation::Affiliation;
use super::effect::{Keep, Load, RoomAnswer, RoomEffect, RoomQuery, Save, Then};
use super::facts::RoomFacts;
use super::nick::Nick;
use super::occupant::Occupants;
use super::record::{RoomRecord, Subject};
use super::relay::Relayed;
use super::role::Role;
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::{Iq, IqKind, MessageKind, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;

/// Roles given by moderators that a room keeps in mind for those who left, so that nobody
/// gets their voice back by coming in again (XEP-0045 §5.1: a service should).
pub(super) const ROLES_REMEMBERED_MAX: usize = 1_000;

/// A room with whoever is in it.
#[derive(Debug, Clone)]
pub struct Room {
    pub(super) jid: BareJid,
    pub(super) record: RoomRecord,
    pub(super) occupants: Occupants,
    /// Since when it waits for its owner's form (§10.1.1); it is saved when it has it.
    pub(super) locked_since: Option<Timestamp>,
    pub(super) relayed: Relayed,
    pub(super) roles: BTreeMap<BareJid, Role>,
}

impl Room {
    /// A room that the store remembers, with nobody in it.
    pub fn open(jid: BareJid, record: RoomRecord) -> Self {
        Self {
            jid,
            record,
            occupants: Occupants::default(),
            locked_since: None,
            relayed: Relayed::default(),
            roles: BTreeMap::new(),
        }
    }

    /// Its address.
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// What is remembered of it.
    pub fn record(&self) -> &RoomRecord {
        &self.record
    }

    /// Who is in it.
    pub fn occupants(&self) -> &Occupants {
        &self.occupants
    }

    /// Tells whether its actor can be put away.
    pub fn is_idle(&self) -> bool {
        self.occupants.is_empty()
    }

    /// Tells whether it waits for its owner's form.
    pub fn is_locked(&self) -> bool {
        self.locked_since.is_some()
    }

    /// Tells whether a stanza may be decided while earlier messages are being kept. What is
    /// said to all changes neither who is inside nor what is remembered until it is committed,
    /// so many messages can be kept at once; everything else waits its turn.
    pub fn can_overlap(stanza: &Stanza) -> bool {
        let is_for_all = stanza.to().is_some_and(Jid::is_bare);
        is_for_all
            && matches!(stanza, Stanza::Message(message) if message.kind == MessageKind::Groupchat)
    }

    /// Decides a stanza to the room or to an occupant. Its `from` is the sender's real
    /// address.
    pub fn decide(&mut self, stanza: &Stanza, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        let Some(sender) = stanza.from().cloned() else {
            return trace("a stanza without sender");
        };
        if self.is_hidden_from(&sender) {
            return self.decide_hidden(stanza);
        }
        match (stanza, sender.to_full()) {
            (Stanza::Iq(iq), _) => self.decide_iq(iq, &sender, facts),
            (Stanza::Presence(presence), Some(sender)) => {
                self.decide_presence(presence, &sender, facts)
            }
            (Stanza::Message(message), _) => self.decide_message(message, &sender, facts),
            (Stanza::Presence(_), None) => trace("presence without resource"),
        }
    }

    /// §7.2.10, §17.2 rule 3: a locked room is not there yet, but for its owner.
    fn is_hidden_from(&self, sender: &Jid) -> bool {
        self.is_locked() && self.record.affiliation(&sender.bare()) != Affiliation::Owner
    }

    fn decide_hidden(&self, stanza: &Stanza) -> Vec<RoomEffect> {
        super::owner::decide_absent(&self.jid, stanza)
    }

    fn decide_iq(&mut self, iq: &Iq, sender: &Jid, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        if iq.head.to.as_ref().is_some_and(|to| !to.is_bare()) {
            return self.decide_relayed(iq, sender, facts);
        }
        if !matches!(iq.kind, IqKind::Get | IqKind::Set) {
            return self.decide_relayed_answer(iq, sender);
        }
        let decided = match iq.payload() {
            Some(child) => self.decide_request(iq, child.name(), child.namespace(), sender, facts),
            None => Err(StanzaError::bad_request()),
        };
        decided.unwrap_or_else(|error| self.refuse(&iq.clone().into(), error))
    }

    /// A request to the room itself (§17.4 rule 1).
    fn decide_request(
        &mut self,
        iq: &Iq,
        name: &str,
        namespace: &str,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        use super::{avatar, disco, hats, mam, moderation, register};
        use IqKind::{Get, Set};
        let by = sender.bare();
        match (iq.kind, name, namespace) {
            (Get, "query", disco::NS_INFO) => self.answer_info(iq, &by, facts),
            (Get, "query", disco::NS_ITEMS) => self.answer_items(iq, &by),
            (Get, "query", NS_ADMIN) => self.answer_list(iq, &by, facts),
            (Set, "query", NS_ADMIN) => self.change_list(iq, sender, facts),
            (Get, "query", NS_OWNER) => self.offer_config(iq, &by, facts),
            (Set, "query", NS_OWNER) => self.decide_owner(iq, sender, facts),
            (Get, "query", register::NS) => self.offer_registration(iq, &by),
            (Set, "query", register::NS) => self.register(iq, sender, facts),
            (Set, "query", mam::NS) => self.query_archive(iq, &by, facts),
            (Get, "query", mam::NS) => self.offer_archive_form(iq, &by, facts),
            (Get, "metadata", mam::NS) => self.query_archive_bounds(iq, &by, facts),
            (Get, "vCard", avatar::NS) => Ok(self.answer_vcard(iq)),
            (Set, "vCard", avatar::NS) => self.set_vcard(iq, &by, facts),
            (Set, "command", hats::NS_COMMANDS) => self.command_hats(iq, sender, facts),
            (Set, "moderate", moderation::NS) => self.moderate(iq, sender),
            (Set, "apply-to", moderation::NS_FASTEN) => self.moderate(iq, sender),
            (Get, "ping", crate::features::ping::NS) => Ok(vec![answer(iq, None)]),
            _ => Err(StanzaError::service_unavailable()),
        }
    }

    /// Goes on when the store has answered.
    pub fn loaded(
        &mut self,
        load: &Load,
        answer: RoomAnswer,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let decided = match (&load.query, answer) {
            (RoomQuery::History(query), RoomAnswer::History { entries, head }) => {
                Ok(self.deliver_history(query, &entries, head))
            }
            // Who enters is in, and the archive can be asked later.
            (RoomQuery::History(query), _) => Ok(self.send_subject(&query.session)),
            (_, RoomAnswer::Failed(error)) => Err(error),
            (RoomQuery::Archive(_), RoomAnswer::Page(page)) => self.tell_page(&load.origin, &page),
            (RoomQuery::Archive(_), RoomAnswer::NoSuchItem) => Err(StanzaError::item_not_found()),
            (RoomQuery::Bounds, RoomAnswer::Bounds(bounds)) => {
                self.tell_bounds(&load.origin, bounds)
            }
            (RoomQuery::Entry(_), RoomAnswer::Entry(entry)) => {
                self.retract(&load.origin, entry, facts)
            }
            _ => Err(StanzaError::internal_server_error()),
        };
        decided.unwrap_or_else(|error| self.refuse(&load.origin, error))
    }

    /// Goes on when a change is saved, and the record has this version.
    pub fn saved(&mut self, save: Save, version: u64, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        for change in &save.changes {
            self.record.apply(change);
        }
        self.record.version = version;
        self.locked_since = None;
        match save.then {
            Then::Affiliations(changes) => self.tell_affiliations(&save.origin, &changes, facts),
            Then::Config(reconfigured) => self.tell_config(&save.origin, &reconfigured, facts),
            Then::Effects(effects) => effects,
            Then::Hats(answer) => self.tell_hats(answer),
            Then::Avatar => self.tell_avatar(&save.origin),
            Then::Destroyed => self.tell_destroyed(&save.origin),
        }
    }

    /// A change could not be saved, or not be decided in so many attempts.
    pub fn not_saved(&self, save: &Save, error: StanzaError) -> Vec<RoomEffect> {
        self.refuse(&save.origin, error)
    }

    /// Goes on when a message is committed, as this entry of the room's log.
    pub fn committed(&mut self, keep: Keep, id: u64, stamp: Timestamp) -> Vec<RoomEffect> {
        if let Some(subject) = keep.subject {
            self.record.subject = Some(Subject { stamp, ..subject });
        }
        let mut effects = self.reflect(&keep.message, Some(id));
        effects.extend(keep.answer.map(RoomEffect::Send));
        effects
    }

    /// A message was a replay of this entry (D2): nobody hears it again but its sender, who
    /// may not have heard it before.
    pub fn replayed(&self, keep: Keep, id: u64) -> Vec<RoomEffect> {
        let mut effects = Vec::new();
        if self.occupants.of_session(&keep.sender).is_some() {
            effects.push(self.reflection(&keep.message, Some(id), vec![keep.sender].into()));
        }
        effects.extend(keep.answer.map(RoomEffect::Send));
        effects
    }

    /// A message could not be kept; it is reflected to nobody (D5).
    pub fn not_kept(&self, keep: &Keep, error: StanzaError) -> Vec<RoomEffect> {
        self.refuse(&keep.origin, error)
    }

    /// The address of a nick.
    pub(super) fn address_of(&self, nick: &str) -> Jid {
        let address = self.jid.with_resource(nick);
        address
            .expect("a nick has passed resource preparation")
            .into()
    }

    /// The nick of a sender, who is in the room.
    pub fn nick_of(&self, sender: &Jid) -> Option<Nick> {
        let occupant = self.occupants.of_session(&sender.to_full()?)?;
        Some(occupant.nick.clone())
    }

    /// The role of a sender; none: they are not in the room.
    pub(super) fn role_of(&self, sender: &Jid) -> Role {
        let session = sender.to_full();
        let occupant = session.and_then(|session| self.occupants.of_session(&session));
        occupant.map_or(Role::None, |occupant| occupant.role)
    }

    /// The highest role an account has in the room.
    pub(super) fn role_of_account(&self, account: &BareJid) -> Role {
        let roles = self.occupants.of_account(account).map(|it| it.role);
        roles.max().unwrap_or(Role::None)
    }

    /// The answer to a stanza that is refused; `by` says that it was the room and not the
    /// occupant it went to.
    pub(super) fn refuse(&self, stanza: &Stanza, error: StanzaError) -> Vec<RoomEffect> {
        refuse(&self.jid, stanza, &error)
    }

    /// What a session is to write down of the room.
    pub(super) fn remember(&self, session: &FullJid) -> RoomEffect {
        match self.occupancy(session) {
            Some(occupancy) => RoomEffect::Remember(session.clone(), Box::new(occupancy)),
            None => RoomEffect::Forget(session.clone(), Timestamp::default()),
        }
    }
}

/// The refusal of a stanza by a room, or in its name.
pub(super) fn refuse(room: &BareJid, stanza: &Stanza, error: &StanzaError) -> Vec<RoomEffect> {
    let reply = stanza.error_reply(error);
    // What the room began by itself has nobody to answer.
    let Some(mut reply) = reply.filter(|reply| reply.to().is_some()) else {
        return trace("refused, and not to be answered");
    };
    let is_for_occupant = stanza.to().is_some_and(|to| !to.is_bare());
    if is_for_occupant || !matches!(stanza, Stanza::Iq(_)) {
        let element = error.to_element().attr("by", room.as_str());
        let payloads = reply.payloads_mut();
        *payloads = payloads
            .without(|child| child.is("error", crate::ns::CLIENT))
            .with(&element);
    }
    vec![RoomEffect::Send(reply)]
}

/// The answer to a request.
pub(super) fn answer(iq: &Iq, payload: Option<Element>) -> RoomEffect {
    RoomEffect::Send(iq.result(payload).into())
}

/// Nothing happens, for this reason.
pub(super) fn trace(why: &'static str) -> Vec<RoomEffect> {
    vec![RoomEffect::Trace("room", why)]
}
