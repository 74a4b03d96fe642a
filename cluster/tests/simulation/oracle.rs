//! What every node has written, version by version, kept apart from what is tested.

use std::collections::BTreeMap;

use klatsch_cluster::node_id::Life;

/// Keys of the simulation.
pub(crate) type Key = u16;

/// Values of the simulation: every one is written once only.
pub(crate) type Value = u32;

/// The entries of a snapshot by dot.
pub(crate) type Entries = BTreeMap<u64, (Key, Value, u64)>;

/// What one life of a node has written in a shard.
#[derive(Default)]
pub(crate) struct History {
    versions: Vec<Entries>,
    dots: BTreeMap<Key, u64>,
}

/// All histories.
#[derive(Default)]
pub(crate) struct Oracle(BTreeMap<(Life, u16), History>);

impl Oracle {
    /// Something has been written; nothing happens when that changes nothing.
    pub(crate) fn set(
        &mut self,
        life: Life,
        shard: u16,
        key: Key,
        value: Option<Value>,
        since: u64,
    ) {
        let history = self.0.entry((life, shard)).or_default();
        let mut now = history.now().clone();
        let old = history.dots.get(&key).copied();
        if value.is_none() && old.is_none() {
            return;
        }
        old.map(|dot| now.remove(&dot));
        history.dots.remove(&key);
        if history.versions.is_empty() {
            history.versions.push(Entries::new());
        }
        if let Some(value) = value {
            let dot = history.versions.len() as u64;
            now.insert(dot, (key, value, since));
            history.dots.insert(key, dot);
        }
        history.versions.push(now);
    }

    /// What there was at a version; `None` if there has been no such version.
    pub(crate) fn at(&self, life: Life, shard: u16, version: u64) -> Option<Entries> {
        let history = self.0.get(&(life, shard));
        match (history, version) {
            (None, 0) => Some(Entries::new()),
            (history, version) => history?.versions.get(version as usize).cloned(),
        }
    }

    /// What there is.
    pub(crate) fn latest(&self, life: Life, shard: u16) -> Entries {
        let history = self.0.get(&(life, shard));
        history.map_or_else(Entries::new, |history| history.now().clone())
    }
}

impl History {
    fn now(&self) -> &Entries {
        static NOTHING: Entries = Entries::new();
        self.versions.last().unwrap_or(&NOTHING)
    }
}
