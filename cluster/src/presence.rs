//! Presence as the nodes replicate it: owner snapshots, a pure state machine.
//!
//! Every entry has one writer, the node that holds its connection (the **writing node**). What
//! a node has written in a shard is a [`snapshot`] with a version; of two snapshots of the
//! same node and life the higher version wins as a whole. Deltas and pulls only compress the
//! way from one version to the next, so a copy is always exactly what its writing node had at
//! some version, never a mixture; the order, loss and repetition of messages do not matter,
//! and coming together again costs what changed, not what exists. A removed entry leaves
//! nothing behind but a line in a bounded log; a node's incarnation keeps ghosts away.
//!
//! - [`snapshot`]: entries, version, fingerprint and the log of removals
//! - [`wire`]: what replicas say to each other
//! - [`view`]: which of several claims to a key readers see
//! - [`shard`]: one slice with all its copies, and what readers have not been told yet
//! - [`replica`]: a group of shards on one node: events in, messages and net differences out
//!
//! Nothing in here reads a clock, waits or draws a random number: [`crate::merge`] drives it
//! over the link, `tests/simulation` drives many of them through faults. Generic over key and
//! value; what a presence is, is not known here.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::node_id::NodeId;
use crate::placement;

pub mod metrics;
pub mod replica;
pub mod shard;
pub mod snapshot;
pub mod view;
pub mod wire;

pub use replica::{Broken, Counts, Outgoing, Output, Replica, Standing};

/// What entries are found by. One key is claimed by one entry of a node.
pub trait Key:
    Ord + Hash + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T> Key for T where
    T: Ord + Hash + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// What an entry shows. Cloned for readers: cheap to clone, if they are many.
pub trait Value:
    Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T> Value for T where
    T: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// An entry that began then gives way to every other, also to those its node knows of.
pub const GIVES_WAY: u64 = 0;

/// The time, as whoever drives a replica says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the replica was started; never goes back.
    pub at: Duration,
    /// The clock on the wall, milliseconds since 1970; may jump. Judges what peers say of
    /// times, decides nothing else.
    pub wall: u64,
}

/// How presence is replicated. The first two are the same on all nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many shards there are.
    pub shards: u16,
    /// How many groups the shards are merged in, each by an actor of its own. Nodes compare
    /// group by group, so the number is the cluster's and not that of a machine's cores;
    /// sixteen actors take more changes than any link brings.
    pub groups: u8,
    /// Up to so many nodes everyone has a copy of everything.
    pub full_up_to: usize,
    /// With more nodes, so many have a copy of a shard.
    pub copies: usize,
    /// Changes wait at least so long for others, to travel together…
    pub batch_min: Duration,
    /// …and at most so long when there are many.
    pub batch_max: Duration,
    /// So often nodes compare what they have, should a loss have gone unnoticed.
    pub hello: Duration,
    /// A question that is not answered within this time is asked again.
    pub answer_within: Duration,
    /// When a node goes or comes back, readers hear of the difference so much later: what
    /// cancels out until then is never said.
    pub coalesce: Duration,
    /// The shards take turns for so much longer, so that not all is said at once.
    pub spread: Duration,
    /// The copies of a node that is down are kept for so long: should it come back, only
    /// differences travel.
    pub retain: Duration,
    /// An answer is cut when it has got so long, bytes: see [`wire::PAGE_BYTES`], the most it
    /// may be.
    pub page_bytes: usize,
    /// An entry that claims to be from further in the future loses every conflict (row C07).
    /// Twice the 60 s by which a node's clock may be off.
    pub drift_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 256,
            groups: 16,
            full_up_to: 10,
            copies: 3,
            batch_min: Duration::from_millis(20),
            batch_max: Duration::from_millis(100),
            hello: Duration::from_secs(5),
            answer_within: Duration::from_secs(2),
            coalesce: Duration::from_millis(200),
            spread: Duration::from_millis(300),
            retain: Duration::from_secs(600),
            page_bytes: wire::PAGE_BYTES,
            drift_max: Duration::from_secs(120),
        }
    }
}

impl Settings {
    /// The group a shard is merged in.
    pub fn group_of(&self, shard: u16) -> u8 {
        (shard % u16::from(self.groups.max(1))) as u8
    }

    /// The shards of a group.
    pub fn shards_of(&self, group: u8) -> impl Iterator<Item = u16> {
        (u16::from(group)..self.shards).step_by(usize::from(self.groups.max(1)))
    }

    /// The nodes that have a copy of a shard. `known` is how many nodes there are, reachable
    /// or not: whether copies are complete must not change because a cluster splits.
    pub fn replicas_of(&self, shard: u16, reachable: &[NodeId], known: usize) -> Vec<NodeId> {
        if known <= self.full_up_to {
            return reachable.to_vec();
        }
        placement::replicas(shard, reachable, self.copies)
    }
}

/// Why what readers see has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The writing node has said so.
    Said,
    /// The writing node is down, or has begun another life.
    NodeDown,
    /// The writing node was down and is back; what changed meanwhile comes with it.
    NodeBack,
    /// Two nodes have an entry for the key, or had one until now.
    Conflict,
    /// Other nodes keep the copies of this shard from now on: nothing is known of it here.
    Moved,
}

/// A net difference of what readers see of other nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<K, V> {
    /// Whose entry.
    pub key: K,
    /// The node that has written it; of an entry that is gone, the node that had.
    pub node: NodeId,
    /// What was seen before.
    pub before: Option<V>,
    /// What is seen now.
    pub after: Option<V>,
    /// The reason.
    pub why: Why,
}

/// An entry of a node that has lost to another node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost<K> {
    /// Whose entry.
    pub key: K,
    /// When it began: one that began later is another, and has not lost.
    pub since: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: u16) -> Vec<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    #[test]
    fn up_to_ten_nodes_everyone_has_everything() {
        let settings = Settings::default();
        assert_eq!(settings.replicas_of(7, &nodes(10), 10), nodes(10));
        assert_eq!(settings.replicas_of(7, &nodes(11), 11).len(), 3);
    }

    #[test]
    fn a_split_does_not_turn_three_copies_into_full_ones() {
        let settings = Settings::default();
        assert_eq!(settings.replicas_of(7, &nodes(6), 12).len(), 3);
    }

    #[test]
    fn groups_share_the_shards_out() {
        let settings = Settings::default();
        let mut all: Vec<u16> = (0..16)
            .flat_map(|group| settings.shards_of(group))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..256).collect::<Vec<u16>>());
        assert!(
            settings
                .shards_of(3)
                .all(|shard| settings.group_of(shard) == 3)
        );
    }
}
