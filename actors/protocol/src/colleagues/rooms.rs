//! Rooms of groups: a group with an address is a room too, `staff@example.org` is
//! `staff@conference.example.org`.
//!
//! The group's own address owns the room, with a mark by which it is known to be the group's; no
//! account has that address. The group's people are members, those of them who administrate and
//! other administrators of the organisation are owners. Whom an owner has made something else in
//! the room (an admin, an outcast) stays that.
//!
//! A room of that name that people made themselves has no such mark, and is not the group's. When a
//! group is gone, its room stays as it was, with its history, to its owners; a group of the same id
//! finds it again, another group of the same address does not.

use std::collections::{BTreeMap, BTreeSet};

use super::{Book, Entry, EntryId, Group, Person};
use crate::facts::Facts;
use crate::features::Service;
use crate::features::muc::affiliation::{Affiliate, Affiliation};
use crate::features::muc::record::RoomRecord;
use crate::jid::BareJid;
use crate::stanza::{IqKind, Stanza, StanzaError};

/// Why somebody is something in a room who is so by their group: they go with it.
pub const BY_GROUP: &str = "by the group";

/// The room that a group is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRoom {
    /// The group.
    pub id: EntryId,
    /// Its address, which owns the room.
    pub address: BareJid,
    /// The room's address.
    pub room: BareJid,
    /// The group's name.
    pub name: Box<str>,
    /// Who is what in it by the group.
    pub people: BTreeMap<BareJid, Affiliation>,
    /// Those of them who are in the group.
    pub members: BTreeSet<BareJid>,
}

/// The room of a group's address; `None` for what is no address of a group.
#[must_use]
pub fn room_of(address: &BareJid) -> Option<BareJid> {
    let host = Service::Rooms.at(address.domain())?;
    BareJid::new(Some(address.localpart()?), host.as_str()).ok()
}

/// The rooms that the groups of the directory are to have, in order of the groups' ids.
#[must_use]
pub fn all(book: &Book) -> Vec<GroupRoom> {
    let people = book.entries().filter_map(|(_, entry)| match &**entry {
        Entry::Person(person) => Some(person),
        Entry::Group(_) => None,
    });
    let admins: Vec<&Person> = people.filter(|it| it.is_admin && !it.is_disabled).collect();
    let mut taken = BTreeSet::new();
    let mut rooms = Vec::new();
    for (id, entry) in book.entries() {
        if let Entry::Group(group) = &**entry
            && let Some(room) = GroupRoom::of(id, group, &admins, book)
            && taken.insert(room.room.clone())
        {
            rooms.push(room);
        }
    }
    rooms
}

impl GroupRoom {
    fn of(id: &EntryId, group: &Group, admins: &[&Person], book: &Book) -> Option<Self> {
        let address = group.address.clone()?;
        // What is somebody's address leads to them.
        if book.person(&address).is_some() {
            return None;
        }
        let mut members = BTreeSet::new();
        for member in &group.members {
            if let Some(Entry::Person(person)) = book.entry(member).map(|entry| &**entry)
                && !person.is_disabled
                && person.tenant == group.tenant
            {
                members.insert(person.account.clone());
            }
        }
        let admins = admins.iter().filter(|it| it.tenant == group.tenant);
        let owners = admins.map(|it| (it.account.clone(), Affiliation::Owner));
        let people = members.iter().cloned();
        let people = people.map(|account| (account, Affiliation::Member));
        Some(Self {
            id: id.clone(),
            room: room_of(&address)?,
            address,
            name: group.name.clone(),
            people: people.chain(owners).collect(),
            members,
        })
    }

    /// By what the room is known to be this group's.
    #[must_use]
    pub fn mark(&self) -> Affiliate {
        Affiliate {
            affiliation: Affiliation::Owner,
            nick: None,
            reason: Some(format!("the room of the group {}", self.id).into()),
        }
    }

    /// Tells whether a room is this group's.
    #[must_use]
    pub fn is(&self, record: &RoomRecord) -> bool {
        let owner = record.affiliations.get(&self.address);
        owner.is_some_and(|owner| owner.reason == self.mark().reason)
    }

    /// What has to become of whom, so that the room is as the group is.
    #[must_use]
    pub fn differences(&self, record: &RoomRecord) -> BTreeMap<BareJid, Affiliation> {
        let by_group = |it: &Affiliate| it.reason.as_deref() == Some(BY_GROUP);
        let wanted = self.people.iter().filter(|(jid, wanted)| {
            let known = record.affiliations.get(*jid);
            known.is_none_or(|known| by_group(known) && known.affiliation != **wanted)
        });
        let wanted = wanted.map(|(jid, wanted)| (jid.clone(), *wanted));
        let gone = record.affiliations.iter().filter(|(jid, known)| {
            by_group(known)
                && known.affiliation != Affiliation::None
                && !self.people.contains_key(*jid)
        });
        let gone = gone.map(|(jid, _)| (jid.clone(), Affiliation::None));
        wanted.chain(gone).collect()
    }
}

/// A message or a question to a group's address is answered with the address of its room. RFC 6120
/// §8.3.3.14, redirect: the group is there, and its mail still goes to its address; §8.3.3.5, gone,
/// would have clients forget it. Nothing is forwarded: who says something in a room has to be in it.
#[must_use]
pub fn redirect(stanza: &Stanza, facts: &Facts<'_>) -> Option<StanzaError> {
    let is_asked = match stanza {
        Stanza::Message(_) => true,
        Stanza::Iq(iq) => matches!(iq.kind, IqKind::Get | IqKind::Set),
        // RFC 6121 §3.1.3: a request that nobody answers.
        Stanza::Presence(_) => false,
    };
    let to = stanza
        .to()
        .filter(|to| is_asked && to.localpart().is_some())?;
    let book = facts.book();
    if facts.is_apart(to) || !book.is_group(to.bare_str()) {
        return None;
    }
    let room = room_of(&to.bare())?;
    let text = format!("This is a group; its room is {room}");
    Some(StanzaError::redirected_to(&format!("xmpp:{room}?join")).with_text(text))
}

#[cfg(test)]
mod tests;
