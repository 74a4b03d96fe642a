//! The people and groups of an organisation's directory, as far as chat shows them.
//!
//! A directory (LDAP) is read by one node at a time, and what it says is kept in the store as
//! [`Entry`]s, each under the id that stays when name and address change. Every node has all of
//! them at hand as a [`Book`], and decides by it who sees whom: whoever shares a group is in each
//! other's roster without having asked (shared roster groups, as XEP-0140 described them).
//!
//! Records are JSON with names, so that a node of another version reads what it knows of them.

mod book;
mod derived;
mod digest;
mod index;
mod organisations;
pub mod rooms;
mod shards;
#[cfg(test)]
pub(crate) mod testkit;
mod touched;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::jid::BareJid;

pub use book::{Book, Step};
pub use derived::RoomName;

/// What stays of an entry when everything else changes: `nsUniqueId`, `entryUUID`, or where a
/// directory has neither, the distinguished name.
pub type EntryId = Box<str>;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The account: the primary address.
    pub account: BareJid,
    /// Further addresses that lead to the account, those it had before among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<BareJid>,
    /// The name to show.
    pub name: Box<str>,
    /// The organisation; people of different ones do not see each other (row R14).
    pub tenant: Box<str>,
    /// Nobody may log in, and nobody is shown them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_disabled: bool,
    /// May administrate the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_admin: bool,
    /// What their card says besides.
    #[serde(default)]
    pub card: Card,
    /// Their picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<Photo>,
}

/// What a directory says of somebody that belongs on a card (XEP-0054, XEP-0292).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Given name.
    pub given: Option<Box<str>>,
    /// Family name.
    pub family: Option<Box<str>>,
    /// Organisation.
    pub organisation: Option<Box<str>>,
    /// Department.
    pub unit: Option<Box<str>>,
    /// Position.
    pub title: Option<Box<str>>,
    /// Telephone at work.
    pub phone: Option<Box<str>>,
    /// Mobile telephone.
    pub mobile: Option<Box<str>>,
    /// Preferred language (BCP 47).
    pub language: Option<Box<str>>,
}

/// A picture, written anew from what the directory has; its bytes are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photo {
    /// SHA-1 of its bytes in hexadecimal, by which XEP-0084 §4.2 calls it.
    pub hash: Box<str>,
    /// `image/jpeg` or `image/png`.
    pub media_type: Box<str>,
    /// Size of the file, bytes.
    pub bytes: u32,
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// SHA-256 of what the directory has, in hexadecimal: another one is read again.
    pub source: Box<str>,
}

/// People who see each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name: the roster group's.
    pub name: Box<str>,
    /// Its address; a group with one is a room too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<BareJid>,
    /// The organisation.
    pub tenant: Box<str>,
    /// Who is in it, those of groups inside it among them, in order and each once.
    pub members: Vec<EntryId>,
    /// Its members are in each other's roster. A group that is too large for that (a whole
    /// organisation) is a room and nothing more.
    pub is_shown: bool,
}

/// What the directory has under an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Somebody.
    Person(Person),
    /// A group.
    Group(Group),
}

/// What has become of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub id: EntryId,
    /// As it is now; `None`: it is gone.
    pub entry: Option<Entry>,
}

/// Somebody as a colleague sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colleague<'a> {
    /// Their account.
    pub account: &'a BareJid,
    /// Their name.
    pub name: &'a str,
    /// The names of all shown groups that both are in, in order.
    pub groups: Vec<&'a str>,
}

/// Somebody is seen otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Who.
    pub account: BareJid,
    /// They were a colleague before.
    pub was: bool,
    /// They are one now.
    pub is: bool,
}

impl<'a> Colleague<'a> {
    fn new(person: &'a Person, groups: BTreeSet<&'a str>) -> Self {
        Self {
            account: &person.account,
            name: &person.name,
            groups: groups.into_iter().collect(),
        }
    }
}

impl Shift {
    fn come(colleague: Colleague<'_>) -> Self {
        Self {
            account: colleague.account.clone(),
            was: false,
            is: true,
        }
    }
}

impl Entry {
    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, lists and numbers only: there is nothing JSON could not write.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was kept; `None` when it is none of ours.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
