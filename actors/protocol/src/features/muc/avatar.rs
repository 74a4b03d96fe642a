//! Avatars of rooms: XEP-0486 version 0.1.0, <https://xmpp.org/extensions/xep-0486.html>
//!
//! The room has a vCard (XEP-0054 version 1.3.0), which owners set and everybody who may see
//! the room reads. Left out: the presence of a room's bare address, which confuses clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::affiliation::Affiliation;
use super::effect::{RoomEffect, Save, Then};
use super::facts::RoomFacts;
use super::record::RoomChange;
use super::room::{Room, answer};
use crate::features::{Feature, Service, Spec};
use crate::jid::BareJid;
use crate::sasl::Hash;
use crate::stanza::{Iq, StanzaError};
use crate::xml::Element;

/// The namespace of vCards.
pub const NS: &str = "vcard-temp";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc::avatar",
    title: "MUC Avatars",
    spec: Spec::Xep {
        number: 486,
        version: "0.1.0",
    },
    disco_room: &[NS],
    services: &[(Service::Rooms, &[NS])],
    ..Feature::NONE
};

impl Room {
    /// §3.4: the vCard, empty if there is none.
    pub(super) fn answer_vcard(&self, iq: &Iq) -> Vec<RoomEffect> {
        let vcard = self.record.vcard.as_ref();
        let vcard = vcard.and_then(|bytes| Element::parse(bytes).ok());
        let vcard = vcard.unwrap_or_else(|| Element::new("vCard", NS));
        vec![answer(iq, Some(vcard))]
    }

    /// §3.2: owners set it; an empty one takes it away.
    pub(super) fn set_vcard(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        if self.record.affiliation(by) != Affiliation::Owner {
            let error = StanzaError::forbidden();
            return Err(error.with_text("only owners set avatars"));
        }
        let vcard = iq.payloads.element("vCard", NS);
        let vcard = vcard.ok_or_else(StanzaError::bad_request)?;
        let bytes = vcard.to_bytes();
        if bytes.len() > facts.settings.vcard_bytes_max {
            return Err(StanzaError::policy_violation().with_text("the vCard is too large"));
        }
        // A picture that is none would be announced under the hash of nothing.
        photos(&vcard)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(StanzaError::bad_request)?;
        let is_empty = vcard.children().next().is_none();
        Ok(vec![RoomEffect::Save(Box::new(Save {
            origin: iq.clone().into(),
            changes: vec![RoomChange::Vcard((!is_empty).then_some(bytes))],
            then: Then::Avatar,
        }))])
    }

    /// §3.3, XEP-0153 §3.1: the hashes of its pictures, which may be the same in several
    /// formats.
    pub(super) fn avatar_hashes(&self) -> Vec<String> {
        let vcard = self.record.vcard.as_ref();
        let vcard = vcard.and_then(|bytes| Element::parse(bytes).ok());
        let hex = |hash: Vec<u8>| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let photos = vcard.iter().flat_map(photos).flatten();
        photos.map(|photo| hex(Hash::Sha1.digest(&photo))).collect()
    }
}

/// The pictures of a vCard; `None` for what is no base64.
fn photos(vcard: &Element) -> impl Iterator<Item = Option<Vec<u8>>> {
    let photos = vcard.children().filter(|child| child.is("PHOTO", NS));
    let values = photos.filter_map(|photo| photo.find("BINVAL", NS));
    values.map(|value| {
        let text: String = value.text_content().split_whitespace().collect();
        STANDARD.decode(text).ok()
    })
}

#[cfg(test)]
mod tests;
