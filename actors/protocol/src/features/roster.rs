//! The roster: RFC 6121 §2.

use super::{Feature, Spec};
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::jid::BareJid;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "roster",
    spec: Spec::Rfc { number: 6121, section: "2" },
    ..Feature::NONE
};

/// An account's contacts with the version of the whole (RFC 6121 §2.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Raised by every change.
    pub version: u64,
    /// The contacts, also those of whom only a request is known.
    pub items: BTreeMap<BareJid, RosterItem>,
    /// Contacts removed lately, with the version that removed them.
    pub removed: Vec<(BareJid, u64)>,
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterItem {
    /// Its address.
    pub jid: BareJid,
    /// The name the user gave it.
    pub name: Option<String>,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// The user has asked and waits for an answer ("pending out").
    pub ask: bool,
    /// The contact has asked and waits: its request, to be shown at every login ("pending in").
    pub pending_in: Option<Bytes>,
    /// The user has approved a request in advance (RFC 6121 §3.4).
    pub approved: bool,
    /// False: only a pending request is known; the user has no such contact.
    pub listed: bool,
    /// The roster's version at the last change of this contact.
    pub version: u64,
}

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Subscription {
    /// Neither.
    #[default]
    None,
    /// The user sees the contact.
    To,
    /// The contact sees the user.
    From,
    /// Both.
    Both,
}

/// A change of one contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterChange {
    /// This contact is now so; the store fills in its version.
    Put(RosterItem),
    /// This contact is gone.
    Remove(BareJid),
}
