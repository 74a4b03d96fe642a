//! One version of the directory with what is looked up in it.
//!
//! Nothing here has an entry for each pair of people: who sees whom is found in the groups of
//! both. A group of 5,000 costs 5,000 entries and not 25 million.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::shards::Shards;
use super::touched::Touched;
use super::{Colleague, Entry, EntryId, Group, Person, digest};
use crate::jid::BareJid;

/// A version. A copy shares with its original what is as it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    entries: Shards<EntryId, Arc<Entry>>,
    /// Who says that an address is theirs, the one whose it is first.
    claims: Shards<BareJid, Arc<[Claim]>>,
    /// The groups that list an id, whatever has it and whether there is such a one.
    groups: Shards<EntryId, Arc<[EntryId]>>,
    /// What each shown group shows, in a number: the sum of what its members are seen as.
    sums: Shards<EntryId, u64>,
}

/// Somebody says that an address is theirs. The order decides: a primary address is before an
/// alias, and of two the same kind the lower id is first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    is_alias: bool,
    id: EntryId,
}

impl Index {
    pub(super) fn entry(&self, id: &str) -> Option<&Arc<Entry>> {
        self.entries.get(id)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&EntryId, &Arc<Entry>)> {
        let all: BTreeMap<_, _> = self.entries.iter().collect();
        all.into_iter()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn person_of(&self, id: &str) -> Option<&Person> {
        match &**self.entry(id)? {
            Entry::Person(person) => Some(person),
            Entry::Group(_) => None,
        }
    }

    pub(super) fn group_of(&self, id: &str) -> Option<&Group> {
        match &**self.entry(id)? {
            Entry::Group(group) => Some(group),
            Entry::Person(_) => None,
        }
    }

    /// Whose address this is, be it the primary one or an alias.
    pub(super) fn holder(&self, address: &str) -> Option<(&EntryId, &Person)> {
        let first = self.claims.get(address)?.first()?;
        Some((&first.id, self.person_of(&first.id)?))
    }

    /// The groups that list an id.
    pub(super) fn groups_with(&self, id: &str) -> &[EntryId] {
        self.groups.get(id).map_or(&[], |groups| groups)
    }

    /// Somebody as others see them: with an account of their own that is not closed.
    fn visible(&self, id: &str) -> Option<&Person> {
        let person = self.person_of(id)?;
        let (holder, _) = self.holder(person.account.as_str())?;
        (!person.is_disabled && **holder == *id).then_some(person)
    }

    /// The shown groups of somebody, in order of their ids; none for who is not seen.
    pub(super) fn groups_of(&self, id: &str) -> impl Iterator<Item = (&EntryId, &Group)> {
        let person = self.visible(id);
        self.groups_with(id).iter().filter_map(move |group_id| {
            let group = self.group_of(group_id)?;
            (group.is_shown && person?.tenant == group.tenant).then_some((group_id, group))
        })
    }

    /// The id of an account, for its own address and no alias.
    pub(super) fn id_of(&self, account: &str) -> Option<&EntryId> {
        let (id, person) = self.holder(account)?;
        (person.account.as_str() == account).then_some(id)
    }

    /// What one account sees of another by the directory.
    pub(super) fn colleague(&self, viewer: &str, other: &str) -> Option<Colleague<'_>> {
        let (me, them) = (self.id_of(viewer)?, self.id_of(other)?);
        let theirs = self.groups_with(them);
        let shared = self.groups_of(me).filter(|(id, _)| theirs.contains(id));
        let names: BTreeSet<&str> = shared
            .filter(|(_, group)| self.is_seen_in(them, group))
            .map(|(_, group)| &*group.name)
            .collect();
        let person = self.person_of(them).filter(|_| me != them)?;
        (!names.is_empty()).then(|| Colleague::new(person, names))
    }

    pub(super) fn are_colleagues(&self, a: &str, b: &str) -> bool {
        let (Some(a), Some(b)) = (self.id_of(a), self.id_of(b)) else {
            return false;
        };
        let theirs = self.groups_with(b);
        let mut shared = self.groups_of(a).filter(|(id, _)| theirs.contains(id));
        a != b && shared.any(|(_, group)| self.is_seen_in(b, group))
    }

    fn is_seen_in(&self, id: &str, group: &Group) -> bool {
        let person = self.visible(id);
        person.is_some_and(|person| person.tenant == group.tenant)
    }

    /// The colleagues of an account, each once, in order of their addresses.
    pub(super) fn colleagues(&self, account: &str) -> Vec<Colleague<'_>> {
        let Some(me) = self.id_of(account) else {
            return Vec::new();
        };
        let mut found: BTreeMap<&BareJid, (&Person, BTreeSet<&str>)> = BTreeMap::new();
        for (_, group) in self.groups_of(me) {
            for id in group.members.iter().filter(|id| *id != me) {
                let person = self.visible(id).filter(|it| it.tenant == group.tenant);
                if let Some(person) = person {
                    let groups = found.entry(&person.account);
                    groups
                        .or_insert((person, BTreeSet::new()))
                        .1
                        .insert(&group.name);
                }
            }
        }
        let found = found.into_values();
        found
            .map(|(person, groups)| Colleague::new(person, groups))
            .collect()
    }

    /// The colleagues for whom this holds, each once, in order of their addresses.
    pub(super) fn colleagues_of(
        &self,
        account: &str,
        is_wanted: impl Fn(&BareJid) -> bool,
    ) -> Vec<BareJid> {
        let Some(me) = self.id_of(account) else {
            return Vec::new();
        };
        let mut found = BTreeSet::new();
        for (_, group) in self.groups_of(me) {
            let others = group.members.iter().filter(|id| *id != me);
            // What holds for few is asked first.
            let wanted = others.filter(|id| {
                let person = self.person_of(id);
                person.is_some_and(|it| is_wanted(&it.account)) && self.is_seen_in(id, group)
            });
            found.extend(wanted.filter_map(|id| Some(&self.person_of(id)?.account)));
        }
        found.into_iter().cloned().collect()
    }

    /// Everything an account sees by the directory, in a number: the same for the same, on every
    /// node and after every start; 0 for who sees nothing.
    pub(super) fn digest(&self, account: &str) -> u64 {
        let Some(me) = self.id_of(account) else {
            return 0;
        };
        let groups = self.groups_of(me);
        let sums = groups.map(|(id, group)| {
            let sum = self.sums.get(id).copied().unwrap_or_default();
            digest::of_group(&group.name, sum)
        });
        sums.fold(0, u64::wrapping_add)
    }

    /// What somebody adds to the sum of a group that lists them.
    fn share(&self, id: &str, group: &Group) -> u64 {
        match self.visible(id).filter(|it| it.tenant == group.tenant) {
            Some(person) => digest::of_person(person.account.as_str(), &person.name),
            None => 0,
        }
    }

    /// Puts an entry in the place of what there was, and notes what that touches.
    pub(super) fn put(&mut self, id: &EntryId, entry: Option<Entry>, touched: &mut Touched) {
        let before = self.entry(id).cloned();
        let after = entry.map(in_order).map(Arc::new);
        if before == after {
            return;
        }
        if let Some(Entry::Group(group)) = before.as_deref() {
            self.take_out_group(id, group, after.as_deref());
        }
        let people = self.people_moved_by(id, before.as_deref(), after.as_deref());
        self.count(&people, u64::wrapping_sub);
        let seen_before = self.seen(&people);
        if let Some(Entry::Person(person)) = before.as_deref() {
            self.unclaim(id, person);
        }
        match after.clone() {
            Some(entry) => self.entries.insert(id.clone(), entry),
            None => self.entries.remove(&**id),
        }
        if let Some(Entry::Person(person)) = after.as_deref() {
            self.claim(id, person);
            touched.note_aliases(before.as_deref(), person);
        }
        self.count(&people, u64::wrapping_add);
        let seen_after = self.seen(&people);
        for (number, id) in people.iter().enumerate() {
            touched.note_person(id, &seen_before[number], &seen_after[number]);
        }
        if let Some(Entry::Group(group)) = after.as_deref() {
            self.put_in_group(id, before.as_deref(), group);
        }
        touched.note_group(id, before.as_deref(), after.as_deref());
    }

    /// Whom a change of an entry makes another: its person, and who says that one of the addresses
    /// is theirs.
    fn people_moved_by(
        &self,
        id: &EntryId,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> Vec<EntryId> {
        let mut people = BTreeSet::new();
        for entry in [before, after].into_iter().flatten() {
            if let Entry::Person(person) = entry {
                people.insert(id.clone());
                let claims = self.claims.get(person.account.as_str());
                let claims = claims.into_iter().flat_map(|claims| claims.iter());
                people.extend(claims.map(|claim| claim.id.clone()));
            }
        }
        people.into_iter().collect()
    }

    fn seen(&self, people: &[EntryId]) -> Vec<Option<Seen>> {
        let seen = people.iter().map(|id| self.visible(id).map(Seen::of));
        seen.collect()
    }

    /// Adds what these people are seen as to the groups that list them, or takes it out.
    fn count(&mut self, people: &[EntryId], add: fn(u64, u64) -> u64) {
        for id in people {
            let groups = self.groups.get(&**id).cloned();
            for group_id in groups.iter().flat_map(|groups| groups.iter()) {
                let Some(group) = self.group_of(group_id).filter(|group| group.is_shown) else {
                    continue;
                };
                let share = self.share(id, group);
                let sum = self.sums.get(&**group_id).copied().unwrap_or_default();
                self.sums.insert(group_id.clone(), add(sum, share));
            }
        }
    }

    fn claim(&mut self, id: &EntryId, person: &Person) {
        for (address, claim) in claims_of(id, person) {
            let others = self.claims.get(address.as_str());
            let others = others.into_iter().flat_map(|others| others.iter().cloned());
            let mut all: BTreeSet<Claim> = others.collect();
            all.insert(claim);
            self.claims
                .insert(address.clone(), all.into_iter().collect());
        }
    }

    fn unclaim(&mut self, id: &EntryId, person: &Person) {
        for (address, claim) in claims_of(id, person) {
            let others = self.claims.get(address.as_str());
            let others = others.into_iter().flat_map(|others| others.iter().cloned());
            let left: Arc<[Claim]> = others.filter(|other| *other != claim).collect();
            match left.is_empty() {
                true => self.claims.remove(address.as_str()),
                false => self.claims.insert(address.clone(), left),
            }
        }
    }

    /// Nobody is listed any more whom the group after it does not list.
    fn take_out_group(&mut self, id: &EntryId, before: &Group, after: Option<&Entry>) {
        if !matches!(after, Some(Entry::Group(after)) if after.is_shown) {
            self.sums.remove(&**id);
        }
        let after = members_of(after);
        for member in missing(&before.members, after) {
            let groups = self.groups_with(member).iter().filter(|it| *it != id);
            let groups: Arc<[EntryId]> = groups.cloned().collect();
            match groups.is_empty() {
                true => self.groups.remove(&**member),
                false => self.groups.insert(member.clone(), groups),
            }
        }
    }

    fn put_in_group(&mut self, id: &EntryId, before: Option<&Entry>, after: &Group) {
        for member in missing(&after.members, members_of(before)) {
            let mut groups: BTreeSet<EntryId> = self.groups_with(member).iter().cloned().collect();
            groups.insert(id.clone());
            self.groups
                .insert(member.clone(), groups.into_iter().collect());
        }
        if after.is_shown {
            let sum = self.sum(id, before, after);
            self.sums.insert(id.clone(), sum);
        }
    }

    /// What the members of a group are seen as; of a group that was there before, those alone are
    /// looked at who have come or gone.
    fn sum(&self, id: &EntryId, before: Option<&Entry>, after: &Group) -> u64 {
        let shares = |members: &mut dyn Iterator<Item = &EntryId>| {
            let shares = members.map(|member| self.share(member, after));
            shares.fold(0, u64::wrapping_add)
        };
        match before {
            Some(Entry::Group(before)) if before.is_shown && before.tenant == after.tenant => {
                let sum = self.sums.get(&**id).copied().unwrap_or_default();
                let left = shares(&mut missing(&before.members, &after.members));
                let joined = shares(&mut missing(&after.members, &before.members));
                sum.wrapping_sub(left).wrapping_add(joined)
            }
            _ => shares(&mut after.members.iter()),
        }
    }
}

/// What others see of somebody, and which groups count for them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) account: BareJid,
    pub(super) name: Box<str>,
    pub(super) tenant: Box<str>,
}

impl Seen {
    fn of(person: &Person) -> Self {
        Self {
            account: person.account.clone(),
            name: person.name.clone(),
            tenant: person.tenant.clone(),
        }
    }
}

fn claims_of<'a>(
    id: &'a EntryId,
    person: &'a Person,
) -> impl Iterator<Item = (&'a BareJid, Claim)> {
    let claim = |is_alias| Claim {
        is_alias,
        id: id.clone(),
    };
    let aliases = person.aliases.iter().map(move |it| (it, claim(true)));
    std::iter::once((&person.account, claim(false))).chain(aliases)
}

pub(super) fn members_of(entry: Option<&Entry>) -> &[EntryId] {
    match entry {
        Some(Entry::Group(group)) => &group.members,
        _ => &[],
    }
}

/// Those of a list in order that another one does not have.
pub(super) fn missing<'a>(
    list: &'a [EntryId],
    other: &'a [EntryId],
) -> impl Iterator<Item = &'a EntryId> {
    list.iter().filter(|id| other.binary_search(id).is_err())
}

/// Members are looked up by halving, whoever wrote them down.
fn in_order(mut entry: Entry) -> Entry {
    if let Entry::Group(group) = &mut entry
        && !group.members.is_sorted_by(|a, b| a < b)
    {
        group.members.sort_unstable();
        group.members.dedup();
    }
    entry
}
