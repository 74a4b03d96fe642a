//! Who has what: a sum over the copies of each writing node, compared in a few bytes.
//!
//! What a node says of its own entries is exact, for it has sent all deltas before. What it
//! says of others' is a moment old, and only looked at while these cannot be heard themselves.

use std::collections::BTreeMap;

use super::Replica;
use super::apply::Refusal;
use crate::link::Lane;
use crate::node_id::NodeId;
use crate::presence::snapshot::mark;
use crate::presence::wire::{Hello, Message, Root};
use crate::presence::{Key, Now, Value};

impl<K: Key, V: Value> Replica<K, V> {
    pub(super) fn say_hello_to_all(&mut self, wants_reply: bool) {
        let shown = self.peers.iter().filter(|(_, peer)| peer.is_shown());
        let all: Vec<NodeId> = shown.map(|(node, _)| *node).collect();
        self.say_hello(&all, wants_reply);
    }

    pub(super) fn say_hello(&mut self, to: &[NodeId], wants_reply: bool) {
        if to.is_empty() {
            return;
        }
        // What is said of a node's own entries holds only if the deltas before have been sent.
        if !self.unsent.is_empty() {
            self.send_deltas();
        }
        let mut same: BTreeMap<Vec<Root>, Vec<NodeId>> = BTreeMap::new();
        for node in to {
            same.entry(self.roots_for(*node)).or_default().push(*node);
        }
        for (roots, to) in same {
            let hello = Hello {
                shards: self.settings.shards,
                wants_reply,
                roots,
            };
            self.send(to, Lane::Control, Message::Hello(hello));
        }
    }

    /// What a node is told: this node's own entries, and its copies, in the shards of which
    /// the other is a replica.
    fn roots_for(&self, peer: NodeId) -> Vec<Root> {
        let others = self.peers.iter();
        let others = others.filter(|(node, other)| **node != peer && other.is_shown());
        let lives = others.map(|(node, other)| (*node, other.incarnation));
        let lives = lives.chain([(self.me.node, self.me.incarnation)]);
        let roots = lives.map(|(node, incarnation)| Root {
            node,
            incarnation,
            root: self.root(node, &[peer]),
        });
        let is_mine = |root: &Root| root.node == self.me.node;
        roots
            .filter(|root| is_mine(root) || root.root != 0)
            .collect()
    }

    /// The sum over a node's snapshots here, in the shards of which all `peers` are replicas.
    fn root(&self, node: NodeId, peers: &[NodeId]) -> u64 {
        let shared = self.shards.iter();
        let shared = shared.filter(|shard| peers.iter().all(|it| shard.replicas().contains(it)));
        let marks = shared.filter_map(|shard| {
            let snapshot = match node == self.me.node {
                true => shard.own(),
                false => &shard.copy(node)?.snapshot,
            };
            let version = snapshot.version();
            (version > 0).then(|| root_of(shard.number(), version, snapshot.fingerprint()))
        });
        marks.fold(0, u64::wrapping_add)
    }

    pub(super) fn hear_hello(
        &mut self,
        from: NodeId,
        hello: &Hello,
        now: Now,
    ) -> Result<(), Refusal> {
        if hello.shards != self.settings.shards {
            return Err(Refusal::OtherShards);
        }
        if hello.wants_reply {
            self.say_hello(&[from], false);
        }
        for root in &hello.roots {
            match root.node == from {
                true => self.compare_own(from, root, now),
                false => self.compare_copies(from, root, now),
            }
        }
        Ok(())
    }

    /// What a node says of its own entries.
    fn compare_own(&mut self, from: NodeId, said: &Root, now: Now) {
        let root = self.root(from, &[self.me.node]);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        (peer.heard, peer.silent, peer.relay) = (now.at, None, None);
        peer.is_missed = false;
        match root == said.root {
            true => peer.is_returning = false,
            false => self.is_behind_everywhere(from),
        }
    }

    /// What a node says of the entries of another one, which cannot be heard itself.
    fn compare_copies(&mut self, from: NodeId, said: &Root, now: Now) {
        let hello = self.settings.hello;
        let Some(peer) = self.peers.get(&said.node) else {
            return;
        };
        let counts = peer.is_shown() && peer.is_silent(now, hello);
        if !counts || said.incarnation != peer.incarnation {
            return;
        }
        // The other has copies where it is a replica, and counts those where this node is one.
        if self.root(said.node, &[self.me.node, from]) != said.root {
            if let Some(peer) = self.peers.get_mut(&said.node) {
                peer.relay = Some(from);
            }
            self.is_behind_everywhere(said.node);
        }
    }

    pub(super) fn is_behind_everywhere(&mut self, node: NodeId) {
        for place in 0..self.shards.len() {
            if self.shards[place].is_wanted() {
                self.is_behind(node, place, 0);
            }
        }
    }
}

/// What a snapshot adds to the sum. Mixed twice where a fingerprint is mixed once: the first
/// entry and its update would cancel out otherwise.
fn root_of(shard: u16, version: u64, fingerprint: u64) -> u64 {
    let name = mark(mark((u64::from(shard) << 48) ^ version));
    mark(name ^ fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_a_single_entry_has_a_root_of_its_own() {
        let roots = (1..1_000).map(|version| root_of(0, version, mark(version)));
        let roots: std::collections::BTreeSet<u64> = roots.collect();
        assert_eq!(roots.len(), 999);
    }
}
