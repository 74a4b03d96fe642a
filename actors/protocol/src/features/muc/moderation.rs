//! Moderated retraction: XEP-0425 version 0.3.0, <https://xmpp.org/extensions/xep-0425.html>;
//! retraction by the author: XEP-0424 version 0.4.2,
//! <https://xmpp.org/extensions/xep-0424.html>
//!
//! What is retracted becomes a tombstone in the room's archive, in the same transaction that
//! keeps the retraction.
//!
//! COMPAT: Converse.js 14 and others still speak the first versions (`…:0`, wrapped in
//! `urn:xmpp:fasten:0`); both are understood, and both are said.

use super::affiliation::Affiliation;
use super::effect::{Keep, Load, RoomEffect, RoomQuery, Tombstone};
use super::facts::RoomFacts;
use super::message::reason_of;
use super::occupant_id;
use super::role::Role;
use super::room::Room;
use crate::archive::Entry;
use crate::effect::DedupKey;
use crate::features::{Feature, Spec};
use crate::jid::{FullJid, Jid};
use crate::stanza::{Head, Iq, Message, MessageKind, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::{Child, Element, Payloads};

/// Moderation.
pub const NS: &str = "urn:xmpp:message-moderate:1";
const NS_0: &str = "urn:xmpp:message-moderate:0";
/// Retraction.
pub const NS_RETRACT: &str = "urn:xmpp:message-retract:1";
const NS_RETRACT_0: &str = "urn:xmpp:message-retract:0";
/// Tombstones (XEP-0424 §5).
pub const NS_TOMBSTONE: &str = "urn:xmpp:message-retract:1#tombstone";
const NS_TOMBSTONE_0: &str = "urn:xmpp:message-retract:0#tombstone";
/// What the first versions were wrapped in.
pub const NS_FASTEN: &str = "urn:xmpp:fasten:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc::moderation",
    title: "Moderated Message Retraction",
    spec: Spec::Xep {
        number: 425,
        version: "0.3.0",
    },
    disco_room: &[NS, NS_0],
    ..Feature::NONE
};

/// Retraction by the author.
pub const RETRACTION: Feature = Feature {
    name: "muc::moderation",
    title: "Message Retraction, with tombstones in rooms",
    spec: Spec::Xep {
        number: 424,
        version: "0.4.2",
    },
    disco_room: &[NS_RETRACT, NS_RETRACT_0, NS_TOMBSTONE, NS_TOMBSTONE_0],
    ..Feature::NONE
};

/// Loads what a message wants to retract (XEP-0424 §4); `None`: it retracts nothing of this
/// room's archive.
pub(super) fn load_retracted(message: &Message) -> Option<RoomEffect> {
    // What will be taken out of the message does nothing either.
    let honest = Message {
        payloads: message.payloads.without(is_forged),
        ..message.clone()
    };
    let id = match honest.payloads.element("retract", NS_RETRACT) {
        Some(retract) => retract.get("id").map(str::to_owned),
        None => retracted_before(&honest),
    };
    let id = read_id(&id?)?;
    Some(load_entry(message.clone().into(), id))
}

/// The id in a retraction of the first version.
fn retracted_before(message: &Message) -> Option<String> {
    let apply = message.payloads.element("apply-to", NS_FASTEN)?;
    apply.find("retract", NS_RETRACT_0)?;
    apply.get("id").map(str::to_owned)
}

fn read_id(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_number { text.parse().ok() } else { None };
    id.filter(|id| (1..=i64::MAX as u64).contains(id))
}

fn load_entry(origin: Stanza, id: u64) -> RoomEffect {
    let query = RoomQuery::Entry(id);
    RoomEffect::Load(Box::new(Load { origin, query }))
}

/// What moderators alone say, of whatever version, and what archives alone say (row M08).
pub(super) fn is_forged(child: &Child<'_>) -> bool {
    if child.name() == "retracted" || child.is_in(NS) || child.is_in(NS_0) {
        return true;
    }
    let may_hold = child.is("retract", NS_RETRACT) || child.is("apply-to", NS_FASTEN);
    may_hold
        && child.element().is_some_and(|element| {
            let mut inner = element.children();
            inner.any(|inner| matches!(inner.name(), "moderated" | "moderate" | "retracted"))
        })
}

/// Whether nothing is left of a message but that there was one.
pub(super) fn is_tombstone(message: &Message) -> bool {
    message.payloads.has("retracted", NS_RETRACT)
}

/// What a moderator wants.
struct Wanted {
    id: u64,
    reason: Option<Box<str>>,
}

/// Reads a request of either version.
fn read(iq: &Iq, facts: Option<&RoomFacts<'_>>) -> Result<Wanted, StanzaError> {
    let bad = StanzaError::bad_request;
    let current = iq.payloads.element("moderate", NS);
    let (id, moderate) = match current {
        Some(moderate) => (moderate.get("id").map(str::to_owned), moderate),
        None => {
            let apply = iq.payloads.element("apply-to", NS_FASTEN).ok_or_else(bad)?;
            let moderate = apply.find("moderate", NS_0).ok_or_else(bad)?;
            (apply.get("id").map(str::to_owned), moderate.clone())
        }
    };
    let is_retraction = moderate.find("retract", NS_RETRACT).is_some()
        || moderate.find("retract", NS_RETRACT_0).is_some();
    if !is_retraction {
        // §1: other actions are for other specifications.
        return Err(StanzaError::feature_not_implemented());
    }
    let id = read_id(&id.ok_or_else(bad)?).ok_or_else(StanzaError::item_not_found)?;
    let reason = facts
        .map(|facts| reason_of(&moderate, facts))
        .transpose()?
        .flatten();
    Ok(Wanted { id, reason })
}

impl Room {
    /// §3: a moderator retracts somebody's message.
    pub(super) fn moderate(&self, iq: &Iq, sender: &Jid) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_moderator(sender)?;
        let wanted = read(iq, None)?;
        Ok(vec![load_entry(iq.clone().into(), wanted.id)])
    }

    fn check_moderator(&self, sender: &Jid) -> Result<(), StanzaError> {
        match self.role_of(sender) == Role::Moderator {
            true => Ok(()),
            false => {
                let error = StanzaError::forbidden();
                Err(error.with_text("only moderators moderate"))
            }
        }
    }

    /// Goes on when the message to retract has been found, or not.
    pub(super) fn retract(
        &mut self,
        origin: &Stanza,
        entry: Option<Entry>,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        match origin {
            Stanza::Iq(iq) => self.retract_moderated(iq, entry, facts),
            Stanza::Message(message) => self.retract_own(message, entry, facts),
            Stanza::Presence(_) => Err(StanzaError::bad_request()),
        }
    }

    /// XEP-0424 §6: authors alone retract what they said, under whatever nick (row R22).
    fn retract_own(
        &mut self,
        message: &Message,
        entry: Option<Entry>,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let sender = message.head.from.as_ref().and_then(Jid::to_full);
        let sender = sender.ok_or_else(StanzaError::not_acceptable)?;
        let occupant = self.occupants.of_session(&sender);
        let occupant = occupant.ok_or_else(StanzaError::not_acceptable)?;
        if occupant.role < Role::Participant {
            return Err(StanzaError::forbidden());
        }
        let mut keep = self.keep(message, occupant, &sender);
        let Some(entry) = entry else {
            // It speaks of a message by another id: clients know which.
            return Ok(self.keep_or_reflect(keep, facts));
        };
        if entry.with != sender.bare() {
            let error = StanzaError::forbidden();
            return Err(error.with_text("only the author retracts a message"));
        }
        keep.tombstone = tombstone(&entry, |message| {
            let id = keep.message.head.id.as_deref().unwrap_or_default();
            vec![
                Element::new("retracted", NS_RETRACT)
                    .attr("id", id)
                    .attr("stamp", facts.now.to_xep0082()),
                Element::new("retracted", NS_RETRACT_0).attr("stamp", facts.now.to_xep0082()),
            ]
            .into_iter()
            .chain(occupant_of(message))
            .collect()
        });
        Ok(vec![RoomEffect::Keep(Box::new(keep))])
    }

    /// XEP-0425 §4: the retraction is kept and told to all, then the moderator is answered.
    fn retract_moderated(
        &self,
        iq: &Iq,
        entry: Option<Entry>,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let sender = iq.head.from.as_ref().and_then(Jid::to_full);
        let sender: FullJid = sender.ok_or_else(StanzaError::forbidden)?;
        self.check_moderator(sender.as_jid())?;
        let entry = entry.ok_or_else(StanzaError::item_not_found)?;
        let wanted = read(iq, Some(facts))?;
        let by = self
            .occupants
            .of_session(&sender)
            .ok_or_else(StanzaError::forbidden)?;
        let face = self.address_of(&by.nick);
        let moderated = |namespace: &'static str| {
            Element::new("moderated", namespace)
                .attr("by", face.as_str())
                .child(occupant_id::element(&by.id))
        };
        let reason = |namespace: &'static str| {
            let text = wanted.reason.as_deref();
            text.map(|text| Element::new("reason", namespace).text(text))
        };
        let told = Element::new("retract", NS_RETRACT)
            .attr("id", wanted.id.to_string())
            .child(moderated(NS))
            .children_from(reason(NS_RETRACT));
        let told_before = Element::new("apply-to", NS_FASTEN)
            .attr("id", wanted.id.to_string())
            .child(
                moderated(NS_0)
                    .child(Element::new("retract", NS_RETRACT_0))
                    .children_from(reason(NS_0)),
            );
        let id = facts.fresh_id();
        let message = Message {
            head: Head {
                from: Some(self.jid.clone().into()),
                id: Some(id.as_str().into()),
                ..Head::default()
            },
            kind: MessageKind::Groupchat,
            payloads: [told, told_before].into_iter().collect(),
        };
        let stamp = facts.now.to_xep0082();
        let tombstone = tombstone(&entry, |message| {
            let current = Element::new("retracted", NS_RETRACT)
                .attr("id", id.as_str())
                .attr("stamp", stamp.clone())
                .child(moderated(NS))
                .children_from(reason(NS_RETRACT));
            let before = moderated(NS_0)
                .child(Element::new("retracted", NS_RETRACT_0).attr("stamp", stamp.clone()))
                .children_from(reason(NS_0));
            let whose = occupant_of(message);
            [current, before].into_iter().chain(whose).collect()
        });
        Ok(vec![RoomEffect::Keep(Box::new(Keep {
            origin: iq.clone().into(),
            sender,
            message,
            // Asked again, it is the same retraction.
            dedup: DedupKey::Stanza(format!("moderate {}", wanted.id).into()),
            subject: None,
            tombstone,
            answer: Some(iq.result(None).into()),
        }))])
    }

    /// Whether somebody may know who wrote what in the archive.
    pub(super) fn may_know_authors(&self, by: &crate::jid::BareJid) -> bool {
        self.record.config.non_anonymous
            || self.record.affiliation(by) >= Affiliation::Admin
            || self.role_of_account(by) == Role::Moderator
    }
}

/// The occupant id of a message's author, which a tombstone keeps.
fn occupant_of(message: &Message) -> Option<Element> {
    message.payloads.element("occupant-id", occupant_id::NS)
}

/// XEP-0424 §5: nothing of the content stays. `None`: there is no message, or a tombstone
/// already.
fn tombstone(entry: &Entry, content: impl FnOnce(&Message) -> Vec<Element>) -> Option<Tombstone> {
    let Ok(Stanza::Message(message)) = Stanza::parse(&entry.stanza) else {
        return None;
    };
    if is_tombstone(&message) {
        return None;
    }
    let payloads: Payloads = content(&message).into_iter().collect();
    let stanza = Stanza::Message(Message {
        payloads,
        ..message
    });
    Some(Tombstone {
        id: entry.id,
        stanza: stanza.to_bytes(),
    })
}

/// When a tombstone says that its message was retracted.
pub fn retracted_at(message: &Message) -> Option<Timestamp> {
    let retracted = message.payloads.element("retracted", NS_RETRACT)?;
    Timestamp::parse_xep0082(retracted.get("stamp")?)
}

#[cfg(test)]
mod tests;
