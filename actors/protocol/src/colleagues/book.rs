//! All entries of the directory, at hand.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::derived::Derived;
use super::index::Index;
use super::touched::Touched;
use super::{Change, Colleague, Entry, EntryId, Group, Person, Shift};
use crate::jid::{BareJid, Jid};

/// So many changes back a client is told what has changed; whoever is further behind gets the
/// whole roster. A directory is read every few minutes and changes now and then.
const PAST_MAX: usize = 64;
/// So many things they may have touched in all: what has changed as a whole is told as a whole.
const PAST_WEIGHT_MAX: usize = 50_000;

/// The directory as a node knows it. Immutable: a change makes another one, which shares the
/// entries that are as before.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The version of the whole in the store.
    pub version: u64,
    now: Arc<Index>,
    /// The last changes, the latest last.
    past: VecDeque<Arc<Past>>,
    /// Addresses that are an alias here and an account's all the same.
    taken: Arc<BTreeSet<BareJid>>,
    /// What else follows from all of it.
    pub(super) derived: Arc<Derived>,
}

/// A change.
#[derive(Debug)]
struct Past {
    /// Which version it has made.
    version: u64,
    before: Arc<Index>,
    touched: Touched,
}

/// The change that has made a book what it is.
#[derive(Debug, Clone)]
pub struct Step {
    past: Arc<Past>,
    after: Arc<Index>,
}

impl Book {
    /// The book after these changes, which made it this version.
    #[must_use]
    pub fn after(&self, version: u64, changes: Vec<Change>) -> Self {
        let mut touched = Touched::default();
        let mut index = Index::clone(&self.now);
        for change in changes {
            index.put(&change.id, change.entry, &mut touched);
        }
        let mut next = Self {
            version,
            now: Arc::new(index),
            past: self.past.clone(),
            taken: self.taken.clone(),
            derived: Arc::default(),
        };
        if touched.weight() > 0 {
            next.remember(Past {
                version,
                before: self.now.clone(),
                touched,
            });
        }
        next.derived = Arc::new(Derived::of(&next));
        next
    }

    /// The book when this is everything there is.
    #[must_use]
    pub fn replaced_by(&self, version: u64, mut changes: Vec<Change>) -> Self {
        let left: BTreeSet<&EntryId> = changes.iter().map(|change| &change.id).collect();
        let gone = self.now.entries().filter(|(id, _)| !left.contains(id));
        let gone: Vec<Change> = gone
            .map(|(id, _)| Change {
                id: id.clone(),
                entry: None,
            })
            .collect();
        changes.extend(gone);
        self.after(version, changes)
    }

    /// The same book after it was looked which of these aliases are an account's address all the
    /// same: those are the account's.
    #[must_use]
    pub fn leaving(mut self, aliases: &[BareJid], accounts: Vec<BareJid>) -> Self {
        let others = self
            .taken
            .iter()
            .filter(|it| !aliases.contains(it))
            .cloned();
        self.taken = Arc::new(others.chain(accounts).collect());
        self
    }

    fn remember(&mut self, past: Past) {
        self.past.push_back(Arc::new(past));
        let mut weight: usize = self.past.iter().map(|past| past.touched.weight()).sum();
        while self.past.len() > PAST_MAX || (weight > PAST_WEIGHT_MAX && self.past.len() > 1) {
            let oldest = self.past.pop_front();
            weight -= oldest.map_or(0, |oldest| oldest.touched.weight());
        }
    }

    /// What has made it this version, if anybody sees anything else for it.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        let past = self.past.back()?;
        (past.version == self.version).then(|| Step {
            past: past.clone(),
            after: self.now.clone(),
        })
    }

    /// Tells whether there is nobody and nothing in it.
    pub fn is_empty(&self) -> bool {
        self.now.len() == 0
    }

    /// What it has of an id.
    pub fn entry(&self, id: &str) -> Option<&Arc<Entry>> {
        self.now.entry(id)
    }

    /// Everything, in order of the ids.
    pub fn entries(&self) -> impl Iterator<Item = (&EntryId, &Arc<Entry>)> {
        self.now.entries()
    }

    /// Whose address this is, be it the primary one or an alias.
    pub fn person(&self, address: &BareJid) -> Option<&Person> {
        self.now.holder(address.as_str()).map(|(_, person)| person)
    }

    /// The account that an alias leads to; `None` when the address is no alias, or an account.
    pub fn owner(&self, alias: &BareJid) -> Option<&BareJid> {
        let account = &self.person(alias)?.account;
        (account != alias && !self.taken.contains(alias)).then_some(account)
    }

    /// Where a stanza goes that has an alias for its address; `None` when it goes where it says.
    pub fn readdressed(&self, to: &Jid) -> Option<Jid> {
        let (_, person) = self.now.holder(to.bare_str())?;
        let owner = &person.account;
        if owner.as_str() == to.bare_str() || self.taken.contains(to.bare_str()) {
            return None;
        }
        match to.resource() {
            Some(resource) => owner.with_resource(resource).ok().map(Jid::from),
            None => Some(owner.clone().into()),
        }
    }

    /// The shown groups an account is in, by their ids.
    pub fn groups(&self, account: &BareJid) -> impl Iterator<Item = (&EntryId, &Group)> {
        let id = self.now.id_of(account.as_str());
        id.into_iter().flat_map(|id| self.now.groups_of(id))
    }

    /// Tells whether two accounts see each other by the directory. Costs what the two have of
    /// groups.
    pub fn are_colleagues(&self, a: &str, b: &str) -> bool {
        self.now.are_colleagues(a, b)
    }

    /// What an account sees of another by the directory.
    pub fn colleague(&self, account: &BareJid, other: &BareJid) -> Option<Colleague<'_>> {
        self.now.colleague(account.as_str(), other.as_str())
    }

    /// Everybody an account sees by the directory, each once, in order of their addresses.
    pub fn colleagues(&self, account: &BareJid) -> Vec<Colleague<'_>> {
        self.now.colleagues(account.as_str())
    }

    /// The colleagues for whom this holds, each once, in order of their addresses.
    pub fn colleagues_of(
        &self,
        account: &BareJid,
        is_wanted: impl Fn(&BareJid) -> bool,
    ) -> Vec<BareJid> {
        self.now.colleagues_of(account.as_str(), is_wanted)
    }

    /// All that an account sees by the directory, in a number: the same number is the same
    /// roster, on every node and after every start. 0: it sees nobody.
    pub fn digest(&self, account: &BareJid) -> u64 {
        self.now.digest(account.as_str())
    }

    /// What an account sees otherwise than when its digest was this one; `None` when that is not
    /// remembered. Costs what has changed, not what there is.
    pub fn changed_since(&self, account: &BareJid, digest: u64) -> Option<Vec<Shift>> {
        let account = account.as_str();
        if digest == self.now.digest(account) {
            return Some(Vec::new());
        }
        if digest == 0 {
            let all = self.now.colleagues(account).into_iter();
            return Some(all.map(Shift::come).collect());
        }
        let mut touched = Touched::default();
        for past in self.past.iter().rev() {
            touched.add(&past.touched);
            if past.before.digest(account) == digest {
                return Some(touched.changed([&past.before, &self.now], account));
            }
        }
        None
    }
}

impl Step {
    /// The accounts that may see something else, of those for which this holds.
    pub fn concerned(&self, is_wanted: impl Fn(&BareJid) -> bool) -> BTreeSet<BareJid> {
        let versions = [&*self.past.before, &*self.after];
        self.past.touched.concerned(versions, is_wanted)
    }

    /// What an account sees otherwise, in order of the addresses.
    pub fn shifts(&self, account: &BareJid) -> Vec<Shift> {
        let versions = [&*self.past.before, &*self.after];
        self.past.touched.changed(versions, account.as_str())
    }

    /// Addresses that have become aliases.
    pub fn new_aliases(&self) -> &[BareJid] {
        self.past.touched.aliases()
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
