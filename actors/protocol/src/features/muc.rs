//! Multi-User Chat: XEP-0045 version 1.35.5,
//! <https://xmpp.org/extensions/xep-0045.html>
//!
//! Rooms as pure decisions. A [`room::Room`] takes stanzas and answers and gives effects; a
//! room actor owns it and carries them out. Left out: rooms that hide addresses from
//! everybody, public logs in the web, and groupchat 1.0, whose entry is answered as §7.2.17
//! says.

pub mod affiliation;
pub mod avatar;
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
mod invite;
mod leave;
mod lists;
mod mam;
mod message;
pub mod moderation;
pub mod nick;
pub mod occupant;
pub mod occupant_id;
pub mod owner;
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
#[cfg(test)]
pub(crate) mod testkit;
mod voice;

use super::{Feature, Service, Spec, Status};

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
    status: Status::Partial("private messages and invitations are not kept for who is away"),
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
