//! What one node has written in one shard, as of a version.
//!
//! Every change takes the next number; the number of the change that wrote an entry is the
//! entry's **dot**, and what a dot names never changes: an update is a new dot in place of the
//! old one. A snapshot at version `v` therefore holds dots up to `v`, and what came after a
//! version `w` is a range of dots and the removals since.
//!
//! Removals are kept in a log as long as half the snapshot. What has fallen out of it means so
//! many removals that a list of all dots that are left costs a few bytes for each of them:
//! bringing a copy up to date costs in proportion to what changed, wherever the copy stands.
//!
//! Nobody changes an entry, so whoever looks at one shares it: most of what a node has in memory
//! are the entries of others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The log holds so many removals even when there are few entries: 2 KiB.
const REMOVALS_MIN: usize = 128;

/// Numbers beyond are refused: no node makes so many changes, and sums of two stay numbers.
pub const VERSION_MAX: u64 = 1 << 62;

/// An entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry<K, V> {
    /// What it is found by.
    pub key: K,
    /// What it shows.
    pub value: V,
    /// When its session began, milliseconds since 1970: of two entries for a key the later
    /// one wins.
    pub since: u64,
}

/// What one node has written in one shard.
#[derive(Debug, Clone)]
pub struct Snapshot<K, V> {
    version: u64,
    entries: BTreeMap<u64, Arc<Entry<K, V>>>,
    fingerprint: u64,
    removals: Removals,
}

/// The removals of late: when, and which dot.
#[derive(Debug, Clone, Default)]
struct Removals {
    log: VecDeque<(u64, u64)>,
    /// Every removal after this version is in the log.
    low: u64,
}

impl<K, V> Default for Snapshot<K, V> {
    fn default() -> Self {
        Self {
            version: 0,
            entries: BTreeMap::new(),
            fingerprint: 0,
            removals: Removals::default(),
        }
    }
}

impl<K, V> Snapshot<K, V> {
    /// How many changes have led here.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Tells which dots are in it: two snapshots of a writing node with the same fingerprint
    /// and version are the same.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries by dot.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &Arc<Entry<K, V>>)> {
        self.entries.iter().map(|(dot, entry)| (*dot, entry))
    }

    /// The entry of a dot.
    pub fn entry(&self, dot: u64) -> Option<&Arc<Entry<K, V>>> {
        self.entries.get(&dot)
    }

    /// The entries whose dots come after one.
    pub fn after(&self, dot: u64) -> impl Iterator<Item = (u64, &Arc<Entry<K, V>>)> {
        let range = self.entries.range(dot.saturating_add(1)..);
        range.map(|(dot, entry)| (*dot, entry))
    }

    /// The dots from one to another, both included.
    pub fn dots(&self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let range = (from <= to).then(|| self.entries.range(from..=to));
        range.into_iter().flatten().map(|(dot, _)| *dot)
    }

    /// The dots removed after a version, unless the log does not reach back so far.
    pub fn removed_since(&self, version: u64) -> Option<Vec<u64>> {
        if version < self.removals.low {
            return None;
        }
        let log = &self.removals.log;
        let first = log.partition_point(|(at, _)| *at <= version);
        let mut removed: Vec<u64> = log.range(first..).map(|(_, dot)| *dot).collect();
        removed.sort_unstable();
        removed.dedup();
        Some(removed)
    }

    /// How many removals are remembered.
    pub fn removals_len(&self) -> usize {
        self.removals.log.len()
    }

    /// The writing node adds an entry, in place of the dot `old` if there is one; answers the
    /// new dot.
    pub fn write(&mut self, entry: Arc<Entry<K, V>>, old: Option<u64>) -> u64 {
        self.version += 1;
        let dot = self.version;
        if let Some(old) = old {
            self.take(old);
            self.log_removal(old);
        }
        self.put(dot, entry);
        dot
    }

    /// The writing node removes an entry.
    pub fn erase(&mut self, dot: u64) {
        self.version += 1;
        self.take(dot);
        self.log_removal(dot);
    }

    /// A copy takes an entry in. What a dot names never changes: a dot that is there stays.
    pub(super) fn put(&mut self, dot: u64, entry: Arc<Entry<K, V>>) {
        if let std::collections::btree_map::Entry::Vacant(place) = self.entries.entry(dot) {
            place.insert(entry);
            self.fingerprint = self.fingerprint.wrapping_add(mark(dot));
        }
    }

    /// A copy lets an entry go.
    pub(super) fn take(&mut self, dot: u64) -> Option<Arc<Entry<K, V>>> {
        let entry = self.entries.remove(&dot)?;
        self.fingerprint = self.fingerprint.wrapping_sub(mark(dot));
        Some(entry)
    }

    /// A copy has arrived at a version. `removed` are all removals on the way, also of dots
    /// that came and went in between; `None`: not all are known.
    pub(super) fn arrive(&mut self, version: u64, removed: Option<&[u64]>) {
        self.version = version;
        match removed {
            Some(removed) => removed.iter().for_each(|dot| self.log_removal(*dot)),
            None => {
                self.removals.log.clear();
                self.removals.low = version;
            }
        }
        debug_assert!(
            self.entries
                .last_key_value()
                .is_none_or(|(dot, _)| *dot <= version)
        );
    }

    fn log_removal(&mut self, dot: u64) {
        let removals = &mut self.removals;
        removals.log.push_back((self.version, dot));
        while removals.log.len() > REMOVALS_MIN.max(self.entries.len() / 2) {
            if let Some((at, _)) = removals.log.pop_front() {
                removals.low = at;
            }
        }
    }
}

/// What a dot adds to the fingerprint: any mixing function will do that all nodes share
/// (splitmix64's).
pub fn mark(dot: u64) -> u64 {
    let mut mixed = dot.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u32) -> Arc<Entry<u32, u32>> {
        Arc::new(Entry {
            key,
            value: key,
            since: 1,
        })
    }

    #[test]
    fn every_change_takes_a_number() {
        let mut snapshot = Snapshot::default();
        let first = snapshot.write(entry(1), None);
        let second = snapshot.write(entry(1), Some(first));
        snapshot.erase(second);
        assert_eq!((first, second, snapshot.version()), (1, 2, 3));
        assert_eq!(snapshot.removed_since(1), Some(vec![1, 2]));
        assert!(snapshot.is_empty() && snapshot.fingerprint() == 0);
    }

    #[test]
    fn the_log_of_removals_ends_and_says_so() {
        let mut snapshot = Snapshot::default();
        for key in 0..200 {
            let dot = snapshot.write(entry(key), None);
            snapshot.erase(dot);
        }
        assert_eq!(snapshot.removals_len(), REMOVALS_MIN);
        assert_eq!(snapshot.removed_since(10), None);
        // The oldest that is left is the removal of the 73rd entry, the 146th change.
        assert_eq!(snapshot.removed_since(144).map(|all| all.len()), Some(128));
        assert_eq!(snapshot.removed_since(143), None);
    }

    #[test]
    fn the_log_grows_with_the_entries() {
        let mut snapshot = Snapshot::default();
        let dots: Vec<u64> = (0..2000)
            .map(|key| snapshot.write(entry(key), None))
            .collect();
        for dot in &dots[..600] {
            snapshot.erase(*dot);
        }
        assert_eq!(snapshot.removed_since(2000).map(|all| all.len()), Some(600));
    }

    #[test]
    fn the_fingerprint_tells_dots_and_not_the_way_to_them() {
        let (mut one, mut other) = (Snapshot::default(), Snapshot::default());
        one.put(1, entry(1));
        one.put(2, entry(2));
        one.take(1);
        other.put(2, entry(2));
        assert_eq!(one.fingerprint(), other.fingerprint());
    }
}
