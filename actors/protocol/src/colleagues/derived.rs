//! What follows from all entries of the directory together: whose domains are, which addresses are
//! groups', and who is in which group's room.

use std::collections::{HashMap, HashSet};

use super::organisations::{self, Organisations};
use super::rooms::{self, GroupRoom};
use super::{Book, Person};
use crate::jid::BareJid;

/// A room of a group: its address and what the group is called.
pub type RoomName = (BareJid, Box<str>);

/// It, found anew with every change.
#[derive(Debug, Clone, Default)]
pub(super) struct Derived {
    organisations: Organisations,
    groups: HashSet<BareJid>,
    rooms: HashMap<BareJid, Vec<RoomName>>,
}

impl Derived {
    /// What follows from the entries of a book.
    pub(super) fn of(book: &Book) -> Self {
        let mut derived = Self {
            organisations: organisations::of_domains(book.entries().map(|(_, entry)| &**entry)),
            ..Self::default()
        };
        for group in rooms::all(book) {
            derived.add(group);
        }
        derived
    }

    fn add(&mut self, group: GroupRoom) {
        for member in group.members {
            let name = (group.room.clone(), group.name.clone());
            self.rooms.entry(member).or_default().push(name);
        }
        self.groups.insert(group.address);
    }
}

impl Book {
    /// Whose account this is, unless it is disabled; an alias is nobody's account (row R13).
    pub fn holder(&self, account: &BareJid) -> Option<&Person> {
        let is_theirs = |it: &&Person| it.account == *account && !it.is_disabled;
        self.person(account).filter(is_theirs)
    }

    /// Tells whether this is a group's address, and nobody else's.
    pub fn is_group(&self, address: &str) -> bool {
        self.derived.groups.contains(address)
    }

    /// The rooms of the groups that the holder of an account is in.
    pub fn rooms_of(&self, account: &BareJid) -> &[RoomName] {
        self.derived.rooms.get(account).map_or(&[], Vec::as_slice)
    }

    /// The organisation that a domain belongs to, as far as the directory says.
    pub fn organisation(&self, domain: &str) -> Option<&str> {
        self.derived.organisations.of(domain)
    }

    /// There are several organisations in it, which do not see each other.
    pub fn is_split(&self) -> bool {
        self.derived.organisations.are_several
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colleagues::{Card, Change, Entry};

    fn at(tenant: &str, account: &str, aliases: &[&str]) -> Entry {
        Entry::Person(Person {
            account: account.parse().unwrap(),
            aliases: aliases.iter().map(|it| it.parse().unwrap()).collect(),
            name: account.into(),
            tenant: tenant.into(),
            is_disabled: false,
            is_admin: false,
            card: Card::default(),
            photo: None,
        })
    }

    fn book(entries: Vec<Entry>) -> Book {
        let changes = entries.into_iter().enumerate();
        let changes = changes.map(|(number, entry)| Change {
            id: number.to_string().into(),
            entry: Some(entry),
        });
        Book::default().after(1, changes.collect())
    }

    #[test]
    fn r13_holder_of_an_account_is_nobody_who_has_it_as_an_alias() {
        let book = book(vec![at("one", "doe@example.org", &["d@example.org"])]);
        assert!(book.holder(&"doe@example.org".parse().unwrap()).is_some());
        assert!(book.holder(&"d@example.org".parse().unwrap()).is_none());
    }

    #[test]
    fn r14_a_domain_belongs_to_the_organisation_of_its_people_and_aliases() {
        let book = book(vec![
            at("one", "a@one.example", &["a@alias.example"]),
            at("two", "b@two.example", &[]),
        ]);
        assert_eq!(book.organisation("one.example"), Some("one"));
        assert_eq!(book.organisation("alias.example"), Some("one"));
        assert_eq!(book.organisation("two.example"), Some("two"));
        assert_eq!(book.organisation("other.example"), None);
        assert!(book.is_split());
    }

    #[test]
    fn r14_no_address_of_others_moves_a_domain() {
        let aliases = ["x@one.example", "y@one.example", "z@one.example"];
        let book = book(vec![
            at("one", "a@one.example", &[]),
            at("two", "b@two.example", &aliases),
            at("named.example", "c@else.example", &["c@named.example"]),
            at("two", "d@named.example", &[]),
        ]);
        assert_eq!(book.organisation("one.example"), Some("one"));
        assert_eq!(book.organisation("named.example"), Some("named.example"));
    }
}
