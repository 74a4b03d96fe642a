//! What is said in a room: XEP-0045 §7.4; its subject: §8.1; private messages: §7.5.

use super::NS_USER;
use super::affiliation::Affiliation;
use super::effect::{Keep, RoomEffect};
use super::facts::RoomFacts;
use super::occupant::Occupant;
use super::post::{Letter, Post};
use super::record::Subject;
use super::role::Role;
use super::room::{Room, trace};
use super::{history, invite, moderation, occupant_id, sanitize, voice};
use crate::features::{data_forms, stanza_id};
use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::stanza::{Head, Message, MessageKind, Stanza, StanzaError};
use crate::xml::Element;

impl Room {
    pub(super) fn decide_message(
        &mut self,
        message: &Message,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let to = message.head.to.clone();
        let nick = to.as_ref().and_then(Jid::resource);
        if message.kind == MessageKind::Error {
            return self.decide_error(message, sender, nick);
        }
        let decided = match (nick, sender.to_full()) {
            (Some(nick), Some(sender)) => self.decide_private(message, &sender, nick, facts),
            (None, Some(sender)) if message.kind == MessageKind::Groupchat => {
                self.decide_groupchat(message, &sender, facts)
            }
            (None, _) => self.decide_to_room(message, sender, facts),
            (Some(_), None) => Err(StanzaError::not_acceptable()),
        };
        decided.unwrap_or_else(|error| self.refuse(&message.clone().into(), error))
    }

    /// A message to the room that is not for all: an invitation or its refusal (§7.8), a
    /// form about voice (§7.13, §8.6) or registration (§9.9).
    fn decide_to_room(
        &mut self,
        message: &Message,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        if let Some(x) = message.payloads.element("x", NS_USER) {
            if x.find("invite", NS_USER).is_some() {
                return self.invite(message, &x, sender, facts);
            }
            if let Some(decline) = x.find("decline", NS_USER) {
                return self.decline(message, decline, sender, facts);
            }
        }
        if let Some(form) = message.payloads.element("x", data_forms::NS) {
            return self.decide_form(message, &form, sender, facts);
        }
        // §17.2 rule 1: what is for all says so by its type.
        Err(StanzaError::bad_request())
    }

    fn decide_form(
        &mut self,
        message: &Message,
        form: &Element,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let form = data_forms::Submitted::read(form).ok_or_else(StanzaError::bad_request)?;
        match form.form_type() {
            Some(voice::NS_REQUEST) => self.decide_voice(&form, sender),
            Some(super::register::NS_FORM) => self.approve(message, &form, sender, facts),
            _ => Err(StanzaError::bad_request()),
        }
    }

    /// Errors are answered by nobody (row R20). One for an occupant is passed on, for it
    /// answers a private message.
    fn decide_error(
        &mut self,
        message: &Message,
        sender: &Jid,
        nick: Option<&str>,
    ) -> Vec<RoomEffect> {
        if let Some(effects) = invite::failed(self, message, sender, nick) {
            return effects;
        }
        let Some(sender) = sender.to_full() else {
            return trace("an error of nobody inside");
        };
        let Some(nick) = nick else {
            return self.bounced(&sender, &message.payloads);
        };
        let Some((from, to)) = self
            .occupants
            .of_session(&sender)
            .zip(self.occupants.get(nick))
        else {
            return trace("an error between who is not inside");
        };
        let letter = self.letter(message, from, to);
        let post = Post::private(message, sender.into(), letter, false);
        vec![RoomEffect::Post(Box::new(post))]
    }

    /// Whether somebody may speak to all (§7.4).
    fn speaker(&self, sender: &FullJid) -> Result<&Occupant, StanzaError> {
        let occupant = self.occupants.of_session(sender);
        let occupant = occupant.ok_or_else(StanzaError::not_acceptable)?;
        let is_closed =
            self.record.config.read_only && !self.record.affiliation(&sender.bare()).manages();
        match occupant.role >= Role::Participant && !is_closed {
            true => Ok(occupant),
            false => Err(StanzaError::forbidden()),
        }
    }

    fn decide_groupchat(
        &mut self,
        message: &Message,
        sender: &FullJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let occupant = self.speaker(sender)?;
        let is_subject = history::is_subject_change(message);
        if is_subject {
            self.check_subject(message, occupant, facts)?;
        }
        if let Some(load) = moderation::load_retracted(message) {
            return Ok(vec![load]);
        }
        let keep = self.keep(message, occupant, sender);
        Ok(match is_subject {
            true => self.change_subject(keep, facts),
            false => self.keep_or_reflect(keep, facts),
        })
    }

    /// A message as the log keeps it and everybody gets it.
    pub(super) fn keep(&self, message: &Message, occupant: &Occupant, sender: &FullJid) -> Keep {
        let is_owner = self.record.affiliation(&occupant.account) == Affiliation::Owner;
        let payloads = sanitize::message(&message.payloads, &self.jid, is_owner);
        let reflected = Message {
            head: Head {
                to: None,
                from: Some(self.address_of(&occupant.nick)),
                // §7.4: the id the client gave it.
                id: message.head.id.clone(),
                lang: message.head.lang.clone(),
            },
            kind: MessageKind::Groupchat,
            payloads: payloads.with(&occupant_id::element(&occupant.id)),
        };
        Keep {
            origin: message.clone().into(),
            sender: sender.clone(),
            message: reflected,
            dedup: stanza_id::dedup_key(message),
            subject: None,
            tombstone: None,
            answer: None,
        }
    }

    /// What lasts is kept before anybody hears of it (D1); what passes is reflected at once.
    pub(super) fn keep_or_reflect(&mut self, keep: Keep, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        let is_kept = facts.archive && self.record.config.archived;
        match is_kept && history::is_kept(&keep.message) {
            true => vec![RoomEffect::Keep(Box::new(keep))],
            false => self.reflect(&keep.message, None),
        }
    }

    /// §8.1: moderators change the subject, and participants if the room lets them.
    fn check_subject(
        &self,
        message: &Message,
        occupant: &Occupant,
        facts: &RoomFacts<'_>,
    ) -> Result<(), StanzaError> {
        let is_allowed = occupant.role == Role::Moderator || self.record.config.change_subject;
        if !is_allowed {
            return Err(StanzaError::forbidden());
        }
        if message.payloads.bytes().len() > facts.settings.subject_bytes_max {
            return Err(StanzaError::policy_violation().with_text("the subject is too long"));
        }
        Ok(())
    }

    /// The subject is remembered with its entry. Without an archive it is only said, and
    /// holds while the room's actor lives.
    fn change_subject(&mut self, mut keep: Keep, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        let subject = Subject {
            message: keep.message.clone(),
            stamp: facts.now,
        };
        if facts.archive {
            // A subject is kept whatever the room says of other messages: it is its state.
            keep.subject = Some(subject);
            return vec![RoomEffect::Keep(Box::new(keep))];
        }
        self.record.subject = Some(subject);
        self.reflect(&keep.message, None)
    }

    /// §7.5.
    fn decide_private(
        &self,
        message: &Message,
        sender: &FullJid,
        nick: &str,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let from = self.occupants.of_session(sender);
        let from = from.ok_or_else(StanzaError::not_acceptable)?;
        if message.kind == MessageKind::Groupchat {
            return Err(StanzaError::bad_request());
        }
        let to = self.occupants.get(nick);
        let to = to.ok_or_else(StanzaError::item_not_found)?;
        if !self.record.config.private_messages.allows(from.role) {
            return Err(StanzaError::forbidden());
        }
        let letter = self.letter(message, from, to);
        let post = Post::private(message, sender.into(), letter, facts.archive);
        Ok(vec![RoomEffect::Post(Box::new(post))])
    }

    /// A private message as it arrives and as it was sent. Both say what they are, or they
    /// could not be told from other messages in the archives (§7.5).
    fn letter(&self, message: &Message, from: &Occupant, to: &Occupant) -> Letter {
        let x = Element::new("x", NS_USER);
        let mut payloads = sanitize::message(&message.payloads, &self.jid, false).with(&x);
        if message.kind == MessageKind::Error && !self.record.config.non_anonymous {
            // What an error is made of is not what people write.
            payloads = sanitize::unnamed(&payloads, from.account.as_jid());
        }
        let sent = Message {
            payloads: payloads.clone(),
            ..message.clone()
        };
        let head = Head {
            to: Some(to.account.clone().into()),
            from: Some(self.address_of(&from.nick)),
            ..message.head.clone()
        };
        Letter {
            message: Message {
                head,
                kind: message.kind,
                payloads: payloads.with(&occupant_id::element(&from.id)),
            },
            account: to.account.clone(),
            to: to.jids().map(Jid::from).collect(),
            sent: Some(sent),
        }
    }

    /// A message from the room itself.
    pub(super) fn message_from_room(&self, kind: MessageKind, child: Element) -> Message {
        Message {
            head: Head {
                from: Some(self.jid.clone().into()),
                ..Head::default()
            },
            kind,
            payloads: [child].into_iter().collect(),
        }
    }

    /// A message from the room itself to one address.
    pub(super) fn send_from_room(&self, to: Jid, id: Option<&str>, child: Element) -> RoomEffect {
        let mut message = self.message_from_room(MessageKind::Normal, child);
        message.head.to = Some(to);
        message.head.id = id.map(Into::into);
        RoomEffect::Send(Stanza::Message(message))
    }

    /// A word from the room to everybody: status codes alone (§10.2.1).
    pub(super) fn tell_codes(&mut self, codes: &[u16]) -> Vec<RoomEffect> {
        let x = Element::new("x", NS_USER);
        let x = x.children_from(codes.iter().map(|code| super::presence::status(*code)));
        let message = self.message_from_room(MessageKind::Groupchat, x);
        self.reflect(&message, None)
    }
}

/// A reason people give, bounded.
///
/// # Errors
/// `policy-violation` for one that is too long.
pub(super) fn reason_of(
    parent: &Element,
    facts: &RoomFacts<'_>,
) -> Result<Option<Box<str>>, StanzaError> {
    let found = parent
        .children()
        .find(|child| child.name() == "reason" && child.namespace() != ns::STANZAS);
    let reason = found.map(Element::text_content);
    let reason = reason.filter(|reason| !reason.is_empty());
    match reason {
        Some(reason) if reason.len() > facts.settings.text_bytes_max => {
            Err(StanzaError::policy_violation().with_text("the reason is too long"))
        }
        reason => Ok(reason.map(Into::into)),
    }
}

#[cfg(test)]
mod tests;
