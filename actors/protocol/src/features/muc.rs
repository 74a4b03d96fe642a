//! Multi-User Chat: XEP-0045 version 1.35.5,
//! <https://xmpp.org/extensions/xep-0045.html>
//!
//! Rooms as pure decisions. A [`room::Room`] takes stanzas and answers and gives effects; a
//! room actor owns it and carries them out. Left out: rooms that hide addresses from
//! everybody, public logs in the web, and groupchat 1.0, whose entry is answered as §7.2.17
//! says.

pub mod affiliation;
pub mod avatar;
mod catch_up;
mod change;
pub mod config;
mod disco;
pub mod effect;
mod entry;
pub mod facts;
pub mod form;
mod hat_commands;
pub mod hats;
pub mod history;
pub(crate) mod invite;
mod leave;
mod lists;
mod mam;
mod message;
pub mod moderation;
pub mod nick;
pub mod occupant;
pub mod occupant_id;
pub mod owner;
pub mod post;
mod presence;
pub mod record;
pub mod register;
mod rejoin;
pub mod relay;
mod rename;
pub mod role;
mod role_change;
pub mod room;
mod sanitize;
pub mod search;
pub mod service;
pub mod settings;
mod steward;
#[cfg(test)]
pub(crate) mod testkit;
mod voice;

use super::{Feature, Service, Spec, carbons, hints};
use crate::archive::Direction;
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::routing::Share;
use crate::stanza::Message;
use crate::xml::Child;

/// Entering.
pub const NS: &str = "http://jabber.org/protocol/muc";
/// What rooms say to users.
pub const NS_USER: &str = "http://jabber.org/protocol/muc#user";
/// Lists of roles and affiliations.
pub const NS_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Configuration and destruction.
pub const NS_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Reflections carry the id the client gave (§7.4).
pub const NS_STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";

/// Invitations from one to the other (XEP-0249): the server only carries them.
pub const DIRECT_INVITATIONS: Feature = Feature {
    name: "muc",
    title: "Direct MUC Invitations",
    spec: Spec::Xep {
        number: 249,
        version: "1.2",
    },
    ..Feature::NONE
};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc",
    title: "Multi-User Chat",
    spec: Spec::Xep {
        number: 45,
        version: "1.35.5",
    },
    disco_room: &[
        NS,
        NS_STABLE_ID,
        form::NS_FORM,
        register::NS,
        register::NS_FORM,
        voice::NS_REQUEST,
        super::stanza_id::NS,
        super::ping::NS,
        super::disco::NS_INFO,
        super::disco::NS_ITEMS,
    ],
    services: &[(
        Service::Rooms,
        &[
            NS,
            NS_STABLE_ID,
            "muc_rooms",
            super::rsm::NS,
            super::ping::NS,
            super::disco::NS_INFO,
            super::disco::NS_ITEMS,
        ],
    )],
    ..Feature::NONE
};

/// The room of a private message (XEP-0045 §7.5) by the occupant's address in it.
pub fn room_of_occupant(occupant: &Jid, facts: &Facts<'_>) -> Option<BareJid> {
    let service = facts.host.service(occupant.domain());
    let is_occupant = occupant.localpart().is_some() && occupant.resource().is_some();
    let is_in_room = is_occupant && matches!(service, Some((Service::Rooms, _)));
    is_in_room.then(|| occupant.bare())
}

/// Tells whether a room keeps this message in the logs of both sides.
pub fn is_kept_private(message: &Message, facts: &Facts<'_>) -> bool {
    let to = message.head.to.as_ref();
    let is_private = to.is_some_and(|to| room_of_occupant(to, facts).is_some());
    facts.host.archive && is_private && hints::is_kept(message)
}

/// Takes out of a message to an account what rooms alone say to accounts: that somebody is
/// invited, or has declined (row M08).
pub fn strip_forged(message: Message, facts: &Facts<'_>) -> Message {
    let is_for_account = |to: &Jid| to.localpart().is_some() && facts.host.serves(to.domain());
    let is_of_rooms = |child: &Child<'_>| child.is("x", NS_USER);
    if !message.head.to.as_ref().is_some_and(is_for_account)
        || !message.payloads.iter().any(|child| is_of_rooms(&child))
    {
        return message;
    }
    let payloads = message.payloads.without(is_of_rooms);
    Message {
        payloads,
        ..message
    }
}

/// What this session gets of a private message in its account's log (§7.5): a received one
/// goes to the sessions in the room (§7.2.8), a sent one to those that share its nick (XEP-0280
/// §6.1). `None`: it is no private message.
pub fn share_of_private(
    message: &Message,
    direction: Direction,
    is_inside: impl Fn(&BareJid) -> bool,
    facts: &Facts<'_>,
) -> Option<Share> {
    let occupant = match direction {
        Direction::Received => message.head.from.as_ref(),
        Direction::Sent => message.head.to.as_ref(),
        Direction::Own => None,
    };
    let room = room_of_occupant(occupant?, facts)?;
    let session = facts.session?;
    let is_mine = || message.head.from.as_ref() == Some(session.jid.as_jid());
    Some(match direction {
        _ if !is_inside(&room) => Share::Nothing,
        Direction::Received => Share::Addressed,
        _ if session.carbons && !is_mine() && !carbons::is_private(message) => Share::CarbonSent,
        _ => Share::Nothing,
    })
}

/// A private message says to which of the sessions inside it goes, as when it is not kept.
pub fn addressed(mut message: Message, facts: &Facts<'_>) -> Message {
    let from = message.head.from.as_ref();
    if from.is_some_and(|from| room_of_occupant(from, facts).is_some())
        && let Some(session) = facts.session
    {
        message.head.to = Some(session.jid.clone().into());
    }
    message
}
