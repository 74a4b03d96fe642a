//! Mediated invitations: XEP-0045 §7.8.2. Direct ones (XEP-0249) go from one to the other and
//! are only carried.

use super::NS_USER;
use super::affiliation::Affiliation;
use super::effect::{RoomEffect, Save, Then};
use super::facts::RoomFacts;
use super::message::reason_of;
use super::post::{Post, not_invited};
use super::record::RoomChange;
use super::role::Role;
use super::room::Room;
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Message, Stanza, StanzaError};
use crate::xml::Element;

/// Whom an alias of the organisation's directory stands for is invited, and made a member, by the
/// one address that rooms know.
pub(crate) fn to_owners(message: Message, facts: &Facts<'_>) -> Message {
    let Some(x) = message.payloads.element("x", NS_USER) else {
        return message;
    };
    let book = facts.views.book();
    let owner_of = |invite: &Element| {
        let to = invite.get("to").filter(|_| invite.is("invite", NS_USER))?;
        book.readdressed(&Jid::parse(to).ok()?)
    };
    if !x.children().any(|child| owner_of(child).is_some()) {
        return message;
    }
    let children = x.children().cloned().map(|mut child| {
        if let Some(owner) = owner_of(&child) {
            child.set_attr("to", owner.as_str());
        }
        child
    });
    let invites = Element::new("x", NS_USER).children_from(children);
    let payloads = message.payloads.without(|child| child.is("x", NS_USER));
    Message {
        payloads: payloads.with(&invites),
        ..message
    }
}

impl Room {
    /// Invites people in the name of an occupant.
    pub(super) fn invite(
        &self,
        message: &Message,
        x: &Element,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_may_invite(sender)?;
        let invites = x.children().filter(|child| child.is("invite", NS_USER));
        let invites: Vec<&Element> = invites.collect();
        if invites.len() > facts.settings.invites_max {
            return Err(StanzaError::policy_violation().with_text("too many invitations"));
        }
        let by = self.face_of(sender);
        let (mut letters, mut changes) = (Vec::new(), Vec::new());
        for invite in invites {
            let to = invite.get("to").ok_or_else(StanzaError::bad_request)?;
            let to = Jid::parse(to).map_err(|_| StanzaError::jid_malformed())?;
            if self.record.affiliation(&to.bare()) == Affiliation::Outcast {
                return Err(StanzaError::not_allowed().with_text("they are banned"));
            }
            let reason = reason_of(invite, facts)?;
            let thread = invite.find("continue", NS_USER);
            let invitation = self.invitation_by(by.as_ref(), reason.as_deref(), thread);
            letters.push(self.letter_of(to.clone(), message.head.id.as_deref(), invitation));
            changes.extend(self.membership(&to.bare()));
        }
        let origin: Stanza = message.clone().into();
        let post = Post::invitations(origin, sender.clone(), letters, facts.archive);
        let effects = vec![RoomEffect::Post(Box::new(post))];
        if changes.is_empty() {
            return Ok(effects);
        }
        self.check_room_for(changes.len(), facts)?;
        // §9.5: whom a closed room invites is a member before they hear of it.
        Ok(vec![RoomEffect::Save(Box::new(Save {
            origin: message.clone().into(),
            changes,
            then: Then::Effects(effects),
        }))])
    }

    /// §7.8.2, §9.5: who may invite.
    fn check_may_invite(&self, sender: &Jid) -> Result<(), StanzaError> {
        let own = self.record.affiliation(&sender.bare());
        let role = self.role_of(sender);
        if role == Role::None && !own.manages() {
            return Err(StanzaError::not_acceptable());
        }
        let config = &self.record.config;
        let may = match (config.members_only, config.allow_invites) {
            (true, true) => own >= Affiliation::Member,
            (true, false) => own.manages(),
            (false, true) => own.manages() || role >= Role::Participant,
            (false, false) => own.manages() || role == Role::Moderator,
        };
        may.then_some(()).ok_or_else(StanzaError::forbidden)
    }

    /// The membership somebody gets with an invitation to a closed room.
    fn membership(&self, account: &BareJid) -> Option<RoomChange> {
        let is_stranger = self.record.affiliation(account) == Affiliation::None;
        (self.record.config.members_only && is_stranger).then(|| {
            let member = Affiliation::Member;
            RoomChange::Affiliation(self.affiliation_change(account.clone(), member, None, None))
        })
    }

    fn check_room_for(&self, more: usize, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
        match self.record.affiliations.len() + more > facts.settings.affiliations_max {
            true => Err(StanzaError::resource_constraint()),
            false => Ok(()),
        }
    }

    /// How somebody is shown to people outside: by their account where addresses are no
    /// secret, else by their nick (row M06).
    fn face_of(&self, sender: &Jid) -> Option<Jid> {
        if self.record.config.non_anonymous {
            return Some(sender.bare().into());
        }
        self.nick_of(sender).map(|nick| self.address_of(&nick))
    }

    /// The `<x/>` of an invitation by an account.
    pub(super) fn invitation(
        &self,
        by: Option<&BareJid>,
        reason: Option<&str>,
        thread: Option<&Element>,
    ) -> Element {
        let occupant = by.and_then(|by| self.occupants.of_account(by).next());
        let face = match (by, occupant) {
            (Some(by), _) if self.record.config.non_anonymous => Some(by.clone().into()),
            (_, Some(occupant)) => Some(self.address_of(&occupant.nick)),
            _ => None,
        };
        self.invitation_by(face.as_ref(), reason, thread)
    }

    fn invitation_by(
        &self,
        face: Option<&Jid>,
        reason: Option<&str>,
        thread: Option<&Element>,
    ) -> Element {
        let room = Jid::from(self.jid.clone());
        let face = face.unwrap_or(&room);
        let mut invite = Element::new("invite", NS_USER).attr("from", face.as_str());
        if let Some(reason) = reason {
            invite = invite.child(Element::new("reason", NS_USER).text(reason));
        }
        if let Some(thread) = thread {
            // §7.9: the conversation goes on where it was.
            let thread = thread.get("thread");
            invite = invite.child(Element::new("continue", NS_USER).attr_opt("thread", thread));
        }
        let password = self.record.config.password.as_deref();
        Element::new("x", NS_USER)
            .child(invite)
            .children_from(password.map(|text| Element::new("password", NS_USER).text(text)))
    }

    /// An invitation is declined. Only who is inside can hear of it: the room is no way to
    /// reach strangers (row M08).
    pub(super) fn decline(
        &self,
        message: &Message,
        decline: &Element,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        if self.record.affiliation(&sender.bare()) == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        let to = decline.get("to").and_then(|to| Jid::parse(to).ok());
        let to = to.ok_or_else(StanzaError::bad_request)?;
        let sessions = self.sessions_behind(&to);
        if sessions.is_empty() {
            return Err(StanzaError::item_not_found());
        }
        let mut told = Element::new("decline", NS_USER).attr("from", sender.bare().as_str());
        if let Some(reason) = reason_of(decline, facts)? {
            told = told.child(Element::new("reason", NS_USER).text(reason));
        }
        let x = Element::new("x", NS_USER).child(told);
        let id = message.head.id.as_deref();
        let send = |to: Jid| self.send_from_room(to, id, x.clone());
        Ok(sessions.into_iter().map(send).collect())
    }

    /// The sessions inside of a nick or, where accounts are no secret, of an account.
    fn sessions_behind(&self, to: &Jid) -> Vec<Jid> {
        if to.bare_str() == self.jid.as_str() {
            let occupant = to.resource().and_then(|nick| self.occupants.get(nick));
            return occupant
                .into_iter()
                .flat_map(|it| it.jids().map(Jid::from))
                .collect();
        }
        let account = to.bare();
        let occupants = match self.record.config.non_anonymous {
            true => self.occupants.of_account(&account).collect(),
            false => Vec::new(),
        };
        occupants
            .into_iter()
            .flat_map(|it| it.jids().map(Jid::from))
            .collect()
    }
}

/// §7.8.2: an invitation came back, and the one who invited is told. `None`: it is another
/// kind of error.
pub(super) fn failed(
    room: &Room,
    message: &Message,
    sender: &Jid,
    nick: Option<&str>,
) -> Option<Vec<RoomEffect>> {
    if nick.is_some() {
        return None;
    }
    let x = message.payloads.element("x", NS_USER)?;
    let invite = x.find("invite", NS_USER)?;
    let by = Jid::parse(invite.get("from")?).ok()?;
    let sessions = room.sessions_behind(&by);
    let (whom, error) = (sender.bare(), StanzaError::item_not_found());
    let send = |to: Jid| {
        let id = message.head.id.clone();
        RoomEffect::Send(not_invited(&room.jid, whom.as_jid(), to, id, &error))
    };
    Some(sessions.into_iter().map(send).collect())
}

#[cfg(test)]
mod tests;
