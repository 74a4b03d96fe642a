//! What the book is to say, from what the directory has. Pure.
//!
//! Addresses are the matter: whoever has one in the book keeps it before somebody who comes with
//! the same (row L04), no address leads to two people, and nobody has one of a domain that is not
//! their organisation's (row R14). What is passed over is named, and stops nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use klatsch_protocol::colleagues::{Book, Change, Entry, EntryId, Group, Person};
use klatsch_protocol::jid::BareJid;

use super::Tenant;
use super::membership::{self, Nodes};
use super::reader::{Known, Read, Seen};
use crate::ldap::colleague::{ALIASES_MAX, Unfit};

/// What an operator may tune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measures {
    /// Members of a group who see each other in their rosters; a larger group is a room alone.
    pub group_members_max: usize,
    /// People of an organisation without groups who see each other all the same.
    pub everybody_max: usize,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            group_members_max: 5000,
            everybody_max: 200,
        }
    }
}

/// What was passed over: the name of the entry, and why.
pub(super) type Skipped = (String, Unfit);

/// Everything that is to be in the book.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) entries: BTreeMap<EntryId, Entry>,
    /// Entries of which nothing new is known: what the book has of them stays.
    pub(super) kept: HashSet<EntryId>,
    pub(super) skipped: Vec<Skipped>,
}

/// Addresses that accounts had before, by those they have.
pub(super) type Former = HashMap<BareJid, Vec<BareJid>>;

/// Somebody who may be in the book.
struct Candidate<'a> {
    id: &'a EntryId,
    tenant: &'a Tenant,
    name: &'a str,
    person: Person,
}

/// What is wanted of all organisations together.
pub(super) fn wanted(
    seen: &[(&Tenant, Seen)],
    book: &Book,
    former: &Former,
    measures: &Measures,
) -> Wanted {
    let mut wanted = Wanted::default();
    let holders = holders(book);
    let candidates = candidates(seen, book, former, &holders, &mut wanted);
    let people = with_accounts(candidates, &holders, &mut wanted);
    let people = with_aliases(people, &holders, &mut wanted);
    let mut members: HashSet<EntryId> = people.iter().map(|it| it.id.clone()).collect();
    let is_kept_person =
        |id: &&EntryId| matches!(book.entry(id).map(|it| &**it), Some(Entry::Person(_)));
    members.extend(wanted.kept.iter().filter(is_kept_person).cloned());
    for (tenant, seen) in seen {
        add_groups(tenant, seen, &members, measures, &mut wanted);
    }
    for candidate in people {
        let entry = Entry::Person(candidate.person);
        wanted.entries.insert(candidate.id.clone(), entry);
    }
    without_taken_addresses(&mut wanted);
    wanted
}

impl Wanted {
    /// What has to change in a book for it to say so.
    pub(super) fn changes(&self, book: &Book) -> Vec<Change> {
        let is_new = |(id, entry): &(&EntryId, &Entry)| {
            book.entry(id).is_none_or(|known| **known != **entry)
        };
        let put = self.entries.iter().filter(is_new).map(|(id, entry)| Change {
            id: id.clone(),
            entry: Some(entry.clone()),
        });
        let is_gone = |id: &&EntryId| !self.entries.contains_key(*id) && !self.kept.contains(*id);
        let gone = book.entries().map(|(id, _)| id).filter(is_gone);
        let gone = gone.map(|id| Change {
            id: id.clone(),
            entry: None,
        });
        put.chain(gone).collect()
    }
}

/// Who has an address in the book, be it the primary one or another.
fn holders(book: &Book) -> HashMap<BareJid, EntryId> {
    let mut holders = HashMap::new();
    for (id, entry) in book.entries() {
        if let Entry::Person(person) = &**entry {
            for alias in &person.aliases {
                holders.entry(alias.clone()).or_insert_with(|| id.clone());
            }
        }
    }
    for (id, entry) in book.entries() {
        if let Entry::Person(person) = &**entry {
            holders.insert(person.account.clone(), id.clone());
        }
    }
    holders
}

/// Everybody who has an address here; those first who have it in the book.
fn candidates<'a>(
    seen: &'a [(&'a Tenant, Seen)],
    book: &Book,
    former: &Former,
    holders: &HashMap<BareJid, EntryId>,
    wanted: &mut Wanted,
) -> Vec<Candidate<'a>> {
    let mut all = Vec::new();
    for (tenant, seen) in seen {
        wanted.skipped.extend(seen.nameless.iter().cloned());
        for (id, known) in &seen.entries {
            wanted.skipped.extend(known.blemish.map(|why| (known.name.clone(), why)));
            match &known.read {
                Read::Person(..) => all.extend(candidate(id, known, tenant, book, former, wanted)),
                Read::Unreadable => {
                    wanted.kept.insert(id.clone());
                }
                // Not everybody in a directory has to have an address.
                Read::Unfit(Unfit::NoAddress | Unfit::Gone) | Read::Group(_) => {}
                Read::Unfit(why) => wanted.skipped.push((known.name.clone(), *why)),
            }
        }
    }
    all.sort_by_key(|it| (holders.get(&it.person.account) != Some(it.id), it.id));
    all
}

fn candidate<'a>(
    id: &'a EntryId,
    known: &'a Known,
    tenant: &'a Tenant,
    book: &Book,
    former: &Former,
    wanted: &mut Wanted,
) -> Option<Candidate<'a>> {
    let Read::Person(worker, photo) = &known.read else {
        return None;
    };
    if !tenant.serves(&worker.account) {
        wanted.skipped.push((known.name.clone(), Unfit::OtherDomain));
        return None;
    }
    let mut aliases = worker.aliases.clone();
    if let Some(Entry::Person(before)) = book.entry(id).map(|it| &**it) {
        aliases.push(before.account.clone());
        aliases.extend(former.get(&before.account).into_iter().flatten().cloned());
    }
    aliases.extend(former.get(&worker.account).into_iter().flatten().cloned());
    aliases.retain(|alias| *alias != worker.account && tenant.serves(alias));
    aliases.sort_unstable();
    aliases.dedup();
    if aliases.len() > ALIASES_MAX {
        wanted.skipped.push((known.name.clone(), Unfit::ManyAliases));
        aliases.truncate(ALIASES_MAX);
    }
    let person = Person {
        account: worker.account.clone(),
        aliases,
        name: worker.name.clone(),
        tenant: tenant.name.clone(),
        is_disabled: worker.is_disabled,
        is_admin: worker.is_admin,
        card: worker.card.clone(),
        photo: photo.clone(),
    };
    Some(Candidate {
        id,
        tenant,
        name: &known.name,
        person,
    })
}

/// One for each primary address. Whoever is kept as they were has theirs.
fn with_accounts<'a>(
    candidates: Vec<Candidate<'a>>,
    holders: &HashMap<BareJid, EntryId>,
    wanted: &mut Wanted,
) -> Vec<Candidate<'a>> {
    let mut taken = HashSet::new();
    let mut people = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let account = &candidate.person.account;
        let holder = holders.get(account).filter(|id| wanted.kept.contains(*id));
        if holder.is_some() || !taken.insert(account.clone()) {
            let skipped = (candidate.name.to_owned(), Unfit::DoubleAddress);
            wanted.skipped.push(skipped);
            // It may have been somebody before it wanted another's address.
            wanted.kept.insert(candidate.id.clone());
            continue;
        }
        people.push(candidate);
    }
    people
}

/// Further addresses lead to one person each: not to one whose account is another's, and of several
/// to the one who has it in the book, or to nobody.
fn with_aliases<'a>(
    mut people: Vec<Candidate<'a>>,
    holders: &HashMap<BareJid, EntryId>,
    wanted: &mut Wanted,
) -> Vec<Candidate<'a>> {
    let accounts: HashSet<BareJid> = people.iter().map(|it| it.person.account.clone()).collect();
    let mut wished: HashMap<BareJid, usize> = HashMap::new();
    for alias in people.iter().flat_map(|it| &it.person.aliases) {
        *wished.entry(alias.clone()).or_default() += 1;
    }
    for candidate in &mut people {
        let (id, kept) = (candidate.id, &wanted.kept);
        let is_theirs = |alias: &BareJid| match holders.get(alias) {
            _ if accounts.contains(alias) => false,
            Some(holder) if kept.contains(holder) => holder == id,
            Some(holder) if wished.get(alias) > Some(&1) => holder == id,
            _ => wished.get(alias) == Some(&1),
        };
        let before = candidate.person.aliases.len();
        candidate.person.aliases.retain(is_theirs);
        if candidate.person.aliases.len() < before {
            let skipped = (candidate.name.to_owned(), Unfit::DoubleAlias);
            wanted.skipped.push(skipped);
        }
    }
    people
}

fn add_groups(
    tenant: &Tenant,
    seen: &Seen,
    people: &HashSet<EntryId>,
    measures: &Measures,
    wanted: &mut Wanted,
) {
    let nodes = Nodes::new(seen, people);
    let mut has_groups = false;
    for (id, known) in &seen.entries {
        let Read::Group(team) = &known.read else {
            continue;
        };
        has_groups = true;
        let found = membership::members(id, &nodes);
        let unread = (team.unreadable > 0).then_some(Unfit::BadMembers);
        let reasons = found.blemish.into_iter().chain(unread);
        wanted.skipped.extend(reasons.map(|why| (known.name.clone(), why)));
        let group = Group {
            name: team.name.clone(),
            address: team.address.clone().filter(|it| tenant.serves(it)),
            tenant: tenant.name.clone(),
            is_shown: found.members.len() <= measures.group_members_max,
            members: found.members,
        };
        wanted.entries.insert(id.clone(), Entry::Group(group));
    }
    let own = seen.entries.keys().filter(|id| people.contains(*id));
    let mut everybody: Vec<EntryId> = own.cloned().collect();
    if !has_groups && !everybody.is_empty() && everybody.len() < measures.everybody_max {
        everybody.sort_unstable();
        let group = Group {
            name: tenant.name.clone(),
            address: None,
            tenant: tenant.name.clone(),
            members: everybody,
            is_shown: true,
        };
        wanted.entries.insert(everybody_of(tenant), Entry::Group(group));
    }
}

/// No id of a directory looks like this one.
fn everybody_of(tenant: &Tenant) -> EntryId {
    format!("everybody of {}", tenant.name).into()
}

/// A group whose address is a person's, or another group's, has none.
fn without_taken_addresses(wanted: &mut Wanted) {
    let mut taken: HashSet<BareJid> = HashSet::new();
    for entry in wanted.entries.values() {
        if let Entry::Person(person) = entry {
            taken.insert(person.account.clone());
            taken.extend(person.aliases.iter().cloned());
        }
    }
    for entry in wanted.entries.values_mut() {
        if let Entry::Group(group) = entry {
            group.address = group.address.take().filter(|it| taken.insert(it.clone()));
        }
    }
}
