//! How replication stands, for operators.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::node_id::{Incarnation, NodeId};
use crate::presence::{Counts, Key, Replica, Standing, Value, metrics};

/// How replication stands on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Entries of this node.
    pub own: usize,
    /// Differences that readers have not been told yet.
    pub pending: usize,
    /// Messages refused so far.
    pub refused: u64,
    /// How long ago the last pull brought something; `None`: none has yet.
    pub last_merge: Option<Duration>,
    /// The other nodes, by number.
    pub nodes: Vec<NodeStatus>,
}

/// What this node has of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Which one.
    pub node: NodeId,
    /// Its latest life.
    pub incarnation: Incarnation,
    /// Its entries are seen.
    pub is_visible: bool,
    /// How many entries of it are at hand.
    pub entries: usize,
    /// The sum of the versions of all its shards here: grows with every change of its entries.
    pub version: u64,
    /// In how many shards it is known to have something newer than this node.
    pub shards_behind: usize,
}

/// The same for one group.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupStatus {
    own: usize,
    remote: usize,
    pending: usize,
    refused: u64,
    last_merge: Option<Instant>,
    nodes: Vec<NodeStatus>,
}

impl GroupStatus {
    /// Takes stock of a replica.
    pub(super) fn update<K: Key, V: Value>(&mut self, replica: &Replica<K, V>) {
        let before = (self.own, self.remote, self.pending);
        let shards = replica.shards();
        self.own = shards.iter().map(|shard| shard.own().len()).sum();
        self.pending = shards.iter().map(|shard| shard.pending_len()).sum();
        let nodes = replica
            .peers()
            .map(|(node, incarnation, standing, behind)| {
                let copies = shards.iter().filter_map(|shard| shard.copy(node));
                let snapshots = copies.map(|held| (held.snapshot.len(), held.snapshot.version()));
                let add = |a: (usize, u64), b: (usize, u64)| (a.0 + b.0, a.1.saturating_add(b.1));
                let (entries, version) = snapshots.fold((0, 0), add);
                NodeStatus {
                    node,
                    incarnation,
                    is_visible: standing == Standing::Shown,
                    entries,
                    version,
                    shards_behind: behind,
                }
            });
        self.nodes = nodes.collect();
        self.remote = self.nodes.iter().map(|node| node.entries).sum();
        self.tell_metrics(before);
    }

    fn tell_metrics(&self, before: (usize, usize, usize)) {
        let by = |now: usize, before: usize| now as i64 - before as i64;
        let (own, remote) = (by(self.own, before.0), by(self.remote, before.1));
        metrics::entries(own, remote, by(self.pending, before.2));
    }

    /// The group is no more.
    pub(super) fn leave(&mut self) {
        let before = (self.own, self.remote, self.pending);
        *self = Self::default();
        self.tell_metrics(before);
    }

    /// Something was counted.
    pub(super) fn count(&mut self, counts: &Counts) {
        self.refused += counts.refused.values().sum::<u64>();
        if counts.merges > 0 {
            self.last_merge = Some(Instant::now());
        }
    }
}

impl Status {
    /// All groups together.
    pub(super) fn of(groups: impl Iterator<Item = GroupStatus>) -> Self {
        let mut status = Self::default();
        let mut nodes: BTreeMap<NodeId, NodeStatus> = BTreeMap::new();
        for group in groups {
            status.own += group.own;
            status.pending += group.pending;
            status.refused += group.refused;
            let merge = group.last_merge.map(|at| at.elapsed());
            status.last_merge = [status.last_merge, merge].into_iter().flatten().min();
            for node in group.nodes {
                let sum = nodes.entry(node.node).or_insert(NodeStatus {
                    entries: 0,
                    version: 0,
                    shards_behind: 0,
                    ..node.clone()
                });
                sum.entries += node.entries;
                sum.version = sum.version.saturating_add(node.version);
                sum.shards_behind += node.shards_behind;
            }
        }
        status.nodes = nodes.into_values().collect();
        status
    }
}
