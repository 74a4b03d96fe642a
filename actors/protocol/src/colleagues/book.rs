//! All entries of the directory, at hand.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::derived::Derived;
use super::{Change, Entry, EntryId, Person};
use crate::jid::BareJid;

/// The directory as a node knows it. Immutable: a change makes another one, which shares the
/// entries that are as before.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The version of the whole in the store.
    pub version: u64,
    /// Everything, each with the version that changed it last.
    entries: BTreeMap<EntryId, (u64, Arc<Entry>)>,
    /// Whose address this is; a primary one is before an alias.
    addresses: HashMap<BareJid, EntryId>,
    /// What else follows from all of it.
    pub(super) derived: Arc<Derived>,
}

impl Book {
    /// The book after these changes, which made it this version.
    #[must_use]
    pub fn after(&self, version: u64, changes: Vec<Change>) -> Self {
        let mut next = self.clone();
        next.version = version;
        for change in changes {
            match change.entry {
                Some(entry) => next.entries.insert(change.id, (version, Arc::new(entry))),
                None => next.entries.remove(&change.id),
            };
        }
        next.addresses = next.find_addresses();
        next.derived = Arc::new(Derived::of(&next));
        next
    }

    /// What it has of an id.
    pub fn entry(&self, id: &str) -> Option<&Arc<Entry>> {
        self.entries.get(id).map(|(_, entry)| entry)
    }

    /// Everything, in order of the ids.
    pub fn entries(&self) -> impl Iterator<Item = (&EntryId, &Arc<Entry>)> {
        self.entries.iter().map(|(id, (_, entry))| (id, entry))
    }

    /// Whose address this is, be it the primary one or an alias.
    pub fn person(&self, address: &BareJid) -> Option<&Person> {
        match &**self.entry(self.addresses.get(address)?)? {
            Entry::Person(person) => Some(person),
            Entry::Group(_) => None,
        }
    }

    /// The account that an alias leads to; `None` when the address is no alias.
    pub fn owner(&self, alias: &BareJid) -> Option<&BareJid> {
        let account = &self.person(alias)?.account;
        (account != alias).then_some(account)
    }

    fn find_addresses(&self) -> HashMap<BareJid, EntryId> {
        let mut found = HashMap::new();
        for (id, entry) in self.entries() {
            if let Entry::Person(person) = &**entry {
                for alias in &person.aliases {
                    found.entry(alias.clone()).or_insert_with(|| id.clone());
                }
            }
        }
        for (id, entry) in self.entries() {
            if let Entry::Person(person) = &**entry {
                found.insert(person.account.clone(), id.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colleagues::Card;

    fn person(account: &str, aliases: &[&str]) -> Entry {
        Entry::Person(Person {
            account: account.parse().unwrap(),
            aliases: aliases.iter().map(|it| it.parse().unwrap()).collect(),
            name: account.into(),
            tenant: "example.org".into(),
            is_disabled: false,
            is_admin: false,
            card: Card::default(),
            photo: None,
        })
    }

    fn book(entries: Vec<(&str, Entry)>) -> Book {
        let change = |(id, entry): (&str, Entry)| Change {
            id: id.into(),
            entry: Some(entry),
        };
        Book::default().after(1, entries.into_iter().map(change).collect())
    }

    #[test]
    fn alias_leads_to_its_owner_and_a_primary_address_to_nobody_else() {
        let book = book(vec![
            (
                "1",
                person("doe@example.org", &["j.doe@example.org", "poe@example.org"]),
            ),
            ("2", person("poe@example.org", &[])),
        ]);
        let owner = |it: &str| book.owner(&it.parse().unwrap()).map(BareJid::as_str);
        assert_eq!(owner("j.doe@example.org"), Some("doe@example.org"));
        assert_eq!(owner("doe@example.org"), None);
        assert_eq!(owner("poe@example.org"), None, "it is an account's own");
        assert_eq!(owner("nobody@example.org"), None);
    }

    #[test]
    fn entry_that_is_gone_takes_its_addresses_with_it() {
        let book = book(vec![("1", person("doe@example.org", &["d@example.org"]))]);
        let gone = Change {
            id: "1".into(),
            entry: None,
        };
        let book = book.after(2, vec![gone]);
        assert!(book.person(&"d@example.org".parse().unwrap()).is_none());
        assert_eq!(book.version, 2);
    }

    #[test]
    fn record_is_read_as_it_was_written() {
        let entry = person("doe@example.org", &["d@example.org"]);
        assert_eq!(Entry::read(&entry.to_bytes()), Some(entry));
        assert_eq!(Entry::read(b"{\"room\":{}}"), None);
    }
}
