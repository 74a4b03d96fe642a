//! Entries in words.

use super::{Card, Change, Entry, Group, Person};
use crate::jid::BareJid;

/// An account of `example.org`.
#[track_caller]
pub(crate) fn account(name: &str) -> BareJid {
    BareJid::parse(&format!("{name}@example.org")).expect("it is an address")
}

/// Somebody of `example.org` who is called as their account is.
pub(crate) fn person(name: &str) -> Entry {
    Entry::Person(Person {
        account: account(name),
        aliases: Vec::new(),
        name: name.into(),
        tenant: "example.org".into(),
        is_disabled: false,
        is_admin: false,
        card: Card::default(),
        photo: None,
    })
}

/// A shown group of `example.org` with these members, by their ids.
pub(crate) fn group(name: &str, members: &[&str]) -> Entry {
    Entry::Group(Group {
        name: name.into(),
        address: None,
        tenant: "example.org".into(),
        members: members.iter().map(|id| (*id).into()).collect(),
        is_shown: true,
    })
}

pub(crate) fn put(id: &str, entry: Entry) -> Change {
    Change {
        id: id.into(),
        entry: Some(entry),
    }
}

pub(crate) fn gone(id: &str) -> Change {
    Change {
        id: id.into(),
        entry: None,
    }
}
