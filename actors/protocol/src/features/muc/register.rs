//! Registration with a room, and reserved nicks: XEP-0045 §7.10, §7.12 and §9.9.
//!
//! In an open room who registers is a member at once, with their nick reserved. A closed room
//! asks its admins.

use super::affiliation::Affiliation;
use super::effect::{RoomEffect, Save, Then};
use super::facts::RoomFacts;
use super::form::{read_switch, value_field};
use super::lists::save_affiliations;
use super::nick;
use super::post::Post;
use super::record::RoomChange;
use super::room::{Room, answer};
use crate::features::data_forms::{self, Submitted};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, Message, MessageKind, Stanza, StanzaError};
use crate::xml::Element;

/// Registration (XEP-0077 version 2.4).
pub const NS: &str = "jabber:iq:register";
/// The form's purpose (XEP-0068).
pub const NS_FORM: &str = "http://jabber.org/protocol/muc#register";
const NICK: &str = "muc#register_roomnick";
const ALLOW: &str = "muc#register_allow";
/// Who asks; the form of §9.9 has no place for it.
const JID: &str = "muc#jid";

impl Room {
    /// §7.10: what registration takes, or what is registered.
    pub(super) fn offer_registration(
        &self,
        iq: &Iq,
        by: &BareJid,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let query = Element::new("query", NS);
        if let Some(nick) = self.record.reserved_nick(by) {
            let query = query
                .child(Element::new("registered", NS))
                .child(Element::new("username", NS).text(nick));
            return Ok(vec![answer(iq, Some(query))]);
        }
        self.check_may_register(by)?;
        let required = Element::new("required", data_forms::NS);
        let nick = value_field(NICK, "text-single", "Desired nickname", []).child(required);
        let form = data_forms::form(NS_FORM)
            .child(
                Element::new("title", data_forms::NS)
                    .text(format!("Registration with {}", self.title())),
            )
            .child(nick);
        let query = query
            .child(Element::new("instructions", NS).text("Choose a nickname to reserve."))
            .child(form);
        Ok(vec![answer(iq, Some(query))])
    }

    fn check_may_register(&self, by: &BareJid) -> Result<(), StanzaError> {
        let may = match self.record.affiliation(by) {
            Affiliation::Outcast => false,
            Affiliation::None => self.record.config.registration,
            // Who belongs to the room may have a nick reserved.
            _ => true,
        };
        may.then_some(()).ok_or_else(StanzaError::not_allowed)
    }

    /// §7.10: registers, asks the admins, or ends a registration.
    pub(super) fn register(
        &self,
        iq: &Iq,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let by = sender.bare();
        let query = iq.payloads.element("query", NS);
        let query = query.ok_or_else(StanzaError::bad_request)?;
        if query.find("remove", NS).is_some() {
            return Ok(vec![self.unregister(iq, &by)]);
        }
        self.check_may_register(&by)?;
        let form = query.find("x", data_forms::NS).and_then(Submitted::read);
        let form = form.filter(|form| form.form_type() == Some(NS_FORM));
        let form = form.ok_or_else(StanzaError::bad_request)?;
        let wanted = form.value(NICK).ok_or_else(StanzaError::bad_request)?;
        let nick = self.check_nick_to_reserve(wanted, &by, facts)?;
        let own = self.record.affiliation(&by);
        if own == Affiliation::None && self.record.config.members_only {
            let mut effects = vec![answer(iq, None)];
            effects.extend(self.ask_admins(&by, &nick));
            return Ok(effects);
        }
        let affiliation = own.max(Affiliation::Member);
        let change = self.affiliation_change(by, affiliation, Some(nick), None);
        self.check_changes(std::slice::from_ref(&change), facts)?;
        Ok(vec![save_affiliations(iq.clone().into(), vec![change])])
    }

    /// A nick that nobody else has, has reserved, or goes by at the moment.
    fn check_nick_to_reserve(
        &self,
        wanted: &str,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Box<str>, StanzaError> {
        let nick = nick::prepare(wanted, facts.settings)?;
        let held = self.occupants.like(&nick);
        let is_held = held.is_some_and(|holder| holder.account != *by);
        match is_held || self.is_reserved(&nick, by) {
            true => Err(StanzaError::conflict()),
            false => Ok((*nick).into()),
        }
    }

    /// XEP-0077 §3.2: the nick is free again, and a member by registration is one no more.
    fn unregister(&self, iq: &Iq, by: &BareJid) -> RoomEffect {
        let own = self.record.affiliation(by);
        let after = match own {
            Affiliation::Member => Affiliation::None,
            other => other,
        };
        let change = self.affiliation_change(by.clone(), after, None, None);
        match self.record.affiliations.contains_key(by) {
            true => save_affiliations(iq.clone().into(), vec![change]),
            false => answer(iq, None),
        }
    }

    /// §9.9: the admins are asked, wherever they are.
    fn ask_admins(&self, by: &BareJid, nick: &str) -> Vec<RoomEffect> {
        let form = data_forms::form(NS_FORM)
            .child(Element::new("title", data_forms::NS).text("Registration request"))
            .child(value_field(NICK, "text-single", "Desired nickname", [nick]))
            .child(value_field(JID, "jid-single", "User ID", [by.as_str()]))
            .child(value_field(
                ALLOW,
                "boolean",
                "Allow this person to register with the room?",
                ["0"],
            ));
        let message = self.message_from_room(MessageKind::Normal, form);
        let managers = [Affiliation::Admin, Affiliation::Owner];
        let managers = managers
            .into_iter()
            .flat_map(|it| self.record.affiliates(it));
        let send = |(jid, _): (&BareJid, _)| {
            let mut message = message.clone();
            message.head.to = Some(jid.into());
            RoomEffect::Send(Stanza::Message(message))
        };
        managers
            .filter(|(jid, _)| jid.localpart().is_some())
            .map(send)
            .collect()
    }

    /// §9.9: an admin answers.
    pub(super) fn approve(
        &self,
        message: &Message,
        form: &Submitted,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        if !self.record.affiliation(&sender.bare()).manages() {
            return Err(StanzaError::forbidden());
        }
        if read_switch(form, ALLOW)? != Some(true) {
            return Ok(super::room::trace("registration is not granted"));
        }
        let jid = form.value(JID).and_then(|jid| BareJid::parse(jid).ok());
        let jid = jid.ok_or_else(StanzaError::bad_request)?;
        if self.record.affiliation(&jid) != Affiliation::None {
            return Ok(super::room::trace("they are something to the room already"));
        }
        let wanted = form.value(NICK).ok_or_else(StanzaError::bad_request)?;
        let nick = self.check_nick_to_reserve(wanted, &jid, facts)?;
        let change = self.affiliation_change(jid.clone(), Affiliation::Member, Some(nick), None);
        self.check_changes(std::slice::from_ref(&change), facts)?;
        let invitation = self.invitation(Some(&sender.bare()), None, None);
        let letters = vec![self.letter_of(jid.into(), None, invitation)];
        let origin: Stanza = message.clone().into();
        let post = Post::invitations(origin, sender.clone(), letters, facts.archive);
        Ok(vec![RoomEffect::Save(Box::new(Save {
            origin: message.clone().into(),
            changes: vec![RoomChange::Affiliation(change)],
            then: Then::Effects(vec![RoomEffect::Post(Box::new(post))]),
        }))])
    }
}

#[cfg(test)]
mod tests;
