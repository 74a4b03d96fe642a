//! People and groups of a directory.

use klatsch_protocol::colleagues::{Card, Change, Entry, Group, Person, Photo};

use super::{Scene, bare};

/// Somebody of an organisation, under an id that is their account.
pub(crate) fn person(account: &str, tenant: &str) -> Person {
    Person {
        account: bare(account),
        aliases: Vec::new(),
        name: account.to_uppercase().into(),
        tenant: tenant.into(),
        is_disabled: false,
        is_admin: false,
        card: Card::default(),
        photo: None,
    }
}

/// A group of people, named by their accounts.
pub(crate) fn group(name: &str, members: &[&str]) -> Group {
    Group {
        name: name.into(),
        address: None,
        tenant: "example.org".into(),
        members: members.iter().map(|it| (*it).into()).collect(),
        is_shown: false,
    }
}

/// The same with an address, at which it has a room.
pub(crate) fn group_at(address: &str, name: &str, members: &[&str]) -> Group {
    Group {
        address: Some(bare(address)),
        ..group(name, members)
    }
}

/// The directory says this under an id.
pub(crate) fn put(id: &str, entry: Entry) -> Change {
    Change {
        id: id.into(),
        entry: Some(entry),
    }
}

/// A picture with these bytes.
pub(crate) fn photo(hash: &str, bytes: &[u8]) -> Photo {
    Photo {
        hash: hash.into(),
        media_type: "image/jpeg".into(),
        bytes: bytes.len().try_into().expect("a small picture"),
        width: 96,
        height: 96,
        source: hash.into(),
    }
}

impl Scene {
    /// The directory has these people now.
    pub(crate) async fn has(&self, people: impl IntoIterator<Item = Person>) {
        let people = people.into_iter();
        let changes = people.map(|it| put(it.account.clone().as_str(), Entry::Person(it)));
        self.apply(changes.collect()).await;
    }

    /// The directory has this group now, or no longer.
    pub(crate) async fn has_group(&self, id: &str, group: Option<Group>) {
        let change = Change {
            id: id.into(),
            entry: group.map(Entry::Group),
        };
        self.apply(vec![change]).await;
    }

    /// The directory has changed so.
    pub(crate) async fn apply(&self, changes: Vec<Change>) {
        let applied = self.node.colleagues.apply(changes).await;
        applied.expect("the store is there");
    }
}
