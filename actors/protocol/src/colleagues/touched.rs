//! What a change of the directory touches, as far as one person sees another by it; and who sees
//! something else for it. What costs nothing to see (a card, a picture) is not here.

use std::collections::{BTreeMap, BTreeSet};

use super::index::{Index, Seen, members_of, missing};
use super::{Entry, EntryId, Person, Shift};
use crate::jid::BareJid;

/// What one change touches, or several that follow each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    /// Who is called otherwise.
    renamed: BTreeSet<EntryId>,
    /// Who has come or gone, or has another account or another organisation.
    moved: BTreeSet<EntryId>,
    /// Groups that have come or gone or are otherwise for all of their members.
    groups: BTreeSet<EntryId>,
    /// Who has come into a group or has left it.
    members: BTreeMap<EntryId, BTreeSet<EntryId>>,
    /// Aliases nobody had before.
    aliases: Vec<BareJid>,
}

impl Touched {
    pub(super) fn note_person(
        &mut self,
        id: &EntryId,
        before: &Option<Seen>,
        after: &Option<Seen>,
    ) {
        match (before, after) {
            _ if before == after => return,
            (Some(before), Some(after))
                if before.account == after.account && before.tenant == after.tenant =>
            {
                self.renamed.insert(id.clone())
            }
            _ => self.moved.insert(id.clone()),
        };
    }

    pub(super) fn note_aliases(&mut self, before: Option<&Entry>, after: &Person) {
        let known: &[BareJid] = match before {
            Some(Entry::Person(before)) => &before.aliases,
            _ => &[],
        };
        let new = after.aliases.iter().filter(|alias| !known.contains(alias));
        self.aliases.extend(new.cloned());
    }

    pub(super) fn note_group(
        &mut self,
        id: &EntryId,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) {
        let group = |entry: Option<&Entry>| match entry {
            Some(Entry::Group(group)) => {
                Some((group.is_shown, group.name.clone(), group.tenant.clone()))
            }
            _ => None,
        };
        let is_shown = |entry| group(entry).is_some_and(|(is_shown, ..)| is_shown);
        if !is_shown(before) && !is_shown(after) {
            return;
        }
        if group(before) != group(after) {
            self.groups.insert(id.clone());
            return;
        }
        let (before, after) = (members_of(before), members_of(after));
        let changed = missing(before, after).chain(missing(after, before));
        let changed: BTreeSet<EntryId> = changed.cloned().collect();
        if !changed.is_empty() {
            self.members.entry(id.clone()).or_default().extend(changed);
        }
    }

    /// Takes in what another change has touched.
    pub(super) fn add(&mut self, other: &Self) {
        self.renamed.extend(other.renamed.iter().cloned());
        self.moved.extend(other.moved.iter().cloned());
        self.groups.extend(other.groups.iter().cloned());
        self.aliases.extend(other.aliases.iter().cloned());
        for (group, members) in &other.members {
            let all = self.members.entry(group.clone()).or_default();
            all.extend(members.iter().cloned());
        }
    }

    /// How much there is of it.
    pub(super) fn weight(&self) -> usize {
        let members: usize = self.members.values().map(BTreeSet::len).sum();
        let people = self.renamed.len() + self.moved.len();
        people + self.groups.len() + self.aliases.len() + members
    }

    pub(super) fn aliases(&self) -> &[BareJid] {
        &self.aliases
    }

    fn people(&self) -> impl Iterator<Item = &EntryId> {
        self.renamed.iter().chain(&self.moved)
    }

    /// The accounts that may see something else: members of groups in which something is
    /// otherwise, of those for which this holds.
    pub(super) fn concerned(
        &self,
        versions: [&Index; 2],
        is_wanted: impl Fn(&BareJid) -> bool,
    ) -> BTreeSet<BareJid> {
        let mut groups: BTreeSet<&EntryId> =
            self.groups.iter().chain(self.members.keys()).collect();
        for id in self.people() {
            groups.extend(versions.iter().flat_map(|index| index.groups_with(id)));
        }
        let mut found = BTreeSet::new();
        for index in versions {
            let groups = groups.iter().filter_map(|id| index.group_of(id));
            let members = groups.filter(|it| it.is_shown).flat_map(|it| &it.members);
            let people = members.filter_map(|id| index.person_of(id));
            let wanted = people.filter(|person| is_wanted(&person.account));
            found.extend(wanted.map(|person| person.account.clone()));
        }
        found
    }

    /// What an account sees otherwise in the second version, in order of the addresses.
    pub(super) fn changed(&self, versions: [&Index; 2], account: &str) -> Vec<Shift> {
        let [before, after] = versions;
        let others: BTreeSet<&BareJid> = match versions.map(|index| index.id_of(account)) {
            [Some(me), Some(now)] if me == now && !self.moved.contains(me) => {
                let ids = self.around(versions, me);
                let people = ids
                    .iter()
                    .flat_map(|id| versions.map(|index| index.person_of(id)));
                people.flatten().map(|person| &person.account).collect()
            }
            // All of them may have become others, or may not be there any more.
            _ => {
                let all = versions.iter().flat_map(|index| index.colleagues(account));
                all.map(|colleague| colleague.account).collect()
            }
        };
        let shifts = others.into_iter().filter_map(|other| {
            let was = before.colleague(account, other.as_str());
            let is = after.colleague(account, other.as_str());
            (was != is).then(|| Shift {
                account: other.clone(),
                was: was.is_some(),
                is: is.is_some(),
            })
        });
        shifts.collect()
    }

    /// Who may be otherwise for somebody who is as before themselves.
    fn around<'a>(&'a self, versions: [&'a Index; 2], me: &EntryId) -> BTreeSet<&'a EntryId> {
        let mine = versions.iter().flat_map(|index| index.groups_with(me));
        let mine: BTreeSet<&EntryId> = mine.collect();
        let mut found = BTreeSet::new();
        for id in &mine {
            let moved = self.members.get(*id);
            if self.groups.contains(*id) || moved.is_some_and(|moved| moved.contains(me)) {
                let groups = versions.iter().filter_map(|index| index.group_of(id));
                found.extend(groups.flat_map(|group| &group.members));
            } else {
                found.extend(moved.into_iter().flatten());
            }
        }
        let is_near = |id: &&EntryId| {
            let mut theirs = versions.iter().flat_map(|index| index.groups_with(id));
            theirs.any(|group| mine.contains(group))
        };
        found.extend(self.people().filter(is_near));
        found
    }
}
