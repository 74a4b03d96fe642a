//! Who is in a group, those of groups inside it among them. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use klatsch_protocol::colleagues::EntryId;

use super::reader::{Read, Seen};
use crate::ldap::colleague::Unfit;
use crate::ldap::dn::Dn;

/// Groups in groups: what is deeper nobody has meant (row L07).
const DEPTH_MAX: usize = 8;

/// Everything that a name of a member may stand for.
pub(super) struct Nodes<'a> {
    seen: &'a Seen,
    people: &'a HashSet<EntryId>,
    ids: HashMap<&'a Dn, &'a EntryId>,
}

/// Who is in a group.
pub(super) struct Found {
    /// In order, and each once.
    pub(super) members: Vec<EntryId>,
    /// What is wrong with it.
    pub(super) blemish: Option<Unfit>,
}

impl<'a> Nodes<'a> {
    /// Entries by their names; `people` are those who are in the book.
    pub(super) fn new(seen: &'a Seen, people: &'a HashSet<EntryId>) -> Self {
        let ids = seen.entries.iter().map(|(id, known)| (&known.dn, id));
        Self {
            seen,
            people,
            ids: ids.collect(),
        }
    }

    /// What a group names.
    fn named(&self, group: &EntryId) -> impl Iterator<Item = &'a EntryId> {
        let team = match self.seen.entries.get(group).map(|known| &known.read) {
            Some(Read::Group(team)) => Some(&team.members),
            _ => None,
        };
        let found = self.seen.found.get(group);
        let names = team.into_iter().chain(found).flatten();
        names.filter_map(|dn| self.ids.get(dn).copied())
    }

    fn is_group(&self, id: &EntryId) -> bool {
        let known = self.seen.entries.get(id);
        known.is_some_and(|known| matches!(known.read, Read::Group(_)))
    }
}

/// The people of a group. One that is in itself has those that are met on the way; names of nobody
/// are nobody.
pub(super) fn members(group: &EntryId, nodes: &Nodes<'_>) -> Found {
    let mut members = BTreeSet::new();
    let mut visited: HashSet<&EntryId> = HashSet::new();
    let mut blemish = None;
    let mut level: Vec<&EntryId> = vec![group];
    for depth in 0.. {
        let mut next = Vec::new();
        for id in level {
            for named in nodes.named(id) {
                if nodes.people.contains(named) {
                    members.insert(named.clone());
                } else if named == group {
                    blemish = Some(Unfit::Cycle);
                } else if nodes.is_group(named) && visited.insert(named) {
                    next.push(named);
                }
            }
        }
        if next.is_empty() {
            break;
        }
        if depth >= DEPTH_MAX {
            blemish = Some(Unfit::Deep);
            break;
        }
        level = next;
    }
    Found {
        members: members.into_iter().collect(),
        blemish,
    }
}
