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
pub(crate) fn group(name: &str, address: &str, members: &[&str]) -> Group {
    Group {
        name: name.into(),
        address: Some(bare(address)),
        tenant: "example.org".into(),
        members: members.iter().map(|it| (*it).into()).collect(),
        is_shown: false,
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
        let entries = people.into_iter().map(|person| Change {
            id: person.account.as_str().into(),
            entry: Some(Entry::Person(person)),
        });
        self.apply(entries.collect()).await;
    }

    /// The directory has this group now, or no longer.
    pub(crate) async fn has_group(&self, id: &str, group: Option<Group>) {
        let change = Change {
            id: id.into(),
            entry: group.map(Entry::Group),
        };
        self.apply(vec![change]).await;
    }

    async fn apply(&self, changes: Vec<Change>) {
        let applied = self.node.colleagues.apply(changes).await;
        applied.expect("the store is there");
    }
}
