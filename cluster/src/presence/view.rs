//! Which of several claims to a key readers see.
//!
//! Two nodes may have an entry for the same key, on the two sides of a split say. Every node
//! that knows both sees the same one win, whatever the order in which it heard of them.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::Key;
use super::snapshot::Entry;
use super::wire::Rank;
use crate::node_id::{Incarnation, NodeId};

/// An entry that claims its key.
#[derive(Debug)]
pub struct Claim<K, V> {
    /// The entry, as it stands in the snapshot of its node.
    pub entry: Arc<Entry<K, V>>,
    /// Which life of the node.
    pub incarnation: Incarnation,
    /// The node that has written it.
    pub node: NodeId,
    /// Its dot there.
    pub dot: u64,
}

impl<K, V> Clone for Claim<K, V> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            ..*self
        }
    }
}

impl<K, V> Claim<K, V> {
    /// Of two claims to a key the greater wins.
    pub fn rank(&self) -> Rank {
        Rank {
            since: self.entry.since,
            incarnation: self.incarnation,
            node: self.node,
            dot: self.dot,
        }
    }
}

/// Claims to keys by visible entries.
#[derive(Debug)]
pub struct View<K, V> {
    /// The claims that win.
    winners: HashSet<ByKey<K, V>>,
    /// Those that lose: few, and empty most of the time.
    rivals: HashMap<K, Vec<Claim<K, V>>>,
}

/// A claim that is found by its key, which the entry has.
#[derive(Debug)]
struct ByKey<K, V>(Claim<K, V>);

impl<K, V> Borrow<K> for ByKey<K, V> {
    fn borrow(&self) -> &K {
        &self.0.entry.key
    }
}

impl<K: Key, V> PartialEq for ByKey<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.entry.key == other.0.entry.key
    }
}

impl<K: Key, V> Eq for ByKey<K, V> {}

impl<K: Key, V> Hash for ByKey<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.entry.key.hash(state);
    }
}

impl<K, V> Default for View<K, V> {
    fn default() -> Self {
        Self {
            winners: HashSet::new(),
            rivals: HashMap::new(),
        }
    }
}

impl<K: Key, V> View<K, V> {
    /// The claim readers see.
    pub fn winner(&self, key: &K) -> Option<&Claim<K, V>> {
        self.winners.get(key).map(|ByKey(claim)| claim)
    }

    /// The claims that lose against it.
    pub fn rivals(&self, key: &K) -> &[Claim<K, V>] {
        self.rivals.get(key).map_or(&[], Vec::as_slice)
    }

    /// All claims to a key.
    pub fn claims(&self, key: &K) -> impl Iterator<Item = &Claim<K, V>> {
        self.winner(key).into_iter().chain(self.rivals(key))
    }

    /// All keys that are claimed more than once, in no order.
    pub fn contested(&self) -> impl Iterator<Item = &K> {
        self.rivals.keys()
    }

    /// All claims that win, in no order.
    pub fn winners(&self) -> impl Iterator<Item = &Claim<K, V>> {
        self.winners.iter().map(|ByKey(claim)| claim)
    }

    /// A claim is made.
    pub fn add(&mut self, claim: Claim<K, V>) {
        let winner = self.winner(&claim.entry.key);
        match winner.is_some_and(|winner| claim.rank() < winner.rank()) {
            true => self.add_rival(claim),
            false => {
                let before = self.winners.replace(ByKey(claim));
                before.into_iter().for_each(|it| self.add_rival(it.0));
            }
        }
    }

    /// A claim is made, and whoever was first wins: how it must not be, for the simulator.
    pub(super) fn add_behind(&mut self, claim: Claim<K, V>) {
        match self.winner(&claim.entry.key) {
            Some(_) => self.add_rival(claim),
            None => self.add(claim),
        }
    }

    fn add_rival(&mut self, claim: Claim<K, V>) {
        let key = claim.entry.key.clone();
        self.rivals.entry(key).or_default().push(claim);
    }

    /// A claim is given up.
    pub fn remove(&mut self, claim: &Claim<K, V>) {
        let (key, rank) = (&claim.entry.key, claim.rank());
        if self.winner(key).is_some_and(|it| it.rank() == rank) {
            match self.take_best_rival(key) {
                Some(next) => drop(self.winners.replace(ByKey(next))),
                None => drop(self.winners.remove(key)),
            }
        } else if let Some(rivals) = self.rivals.get_mut(key) {
            rivals.retain(|rival| rival.rank() != rank);
            self.forget_if_settled(key);
        }
    }

    fn take_best_rival(&mut self, key: &K) -> Option<Claim<K, V>> {
        let rivals = self.rivals.get_mut(key)?;
        let best = rivals.iter().max_by_key(|rival| rival.rank())?.clone();
        rivals.retain(|rival| rival.rank() != best.rank());
        self.forget_if_settled(key);
        Some(best)
    }

    fn forget_if_settled(&mut self, key: &K) {
        if self.rivals(key).is_empty() {
            self.rivals.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(since: u64, node: u16) -> Claim<u8, ()> {
        let (key, value) = (7, ());
        Claim {
            entry: Arc::new(Entry { key, value, since }),
            incarnation: Incarnation(1),
            node: NodeId(node),
            dot: 1,
        }
    }

    fn winner(view: &View<u8, ()>) -> Option<Rank> {
        view.winner(&7).map(Claim::rank)
    }

    #[test]
    fn the_loser_is_seen_again_when_the_winner_goes() {
        let mut view = View::default();
        view.add(claim(1, 1));
        view.add(claim(2, 2));
        assert_eq!(winner(&view), Some(claim(2, 2).rank()));
        let rivals = view.rivals(&7).iter().map(Claim::rank);
        assert_eq!(rivals.collect::<Vec<_>>(), [claim(1, 1).rank()]);
        view.remove(&claim(2, 2));
        assert_eq!(winner(&view), Some(claim(1, 1).rank()));
        assert!(view.contested().next().is_none());
        view.remove(&claim(1, 1));
        assert_eq!(winner(&view), None);
    }

    proptest! {
        #[test]
        fn the_order_of_claims_does_not_matter(
            claims in prop::collection::btree_set((0u64..4, 1u16..6), 1..6)
                .prop_map(|all| all.into_iter().collect::<Vec<_>>()).prop_shuffle(),
            gone in 0usize..6,
        ) {
            let mut view = View::default();
            for (since, node) in &claims {
                view.add(claim(*since, *node));
            }
            let mut left = claims.clone();
            if gone < left.len() {
                let (since, node) = left.remove(gone);
                view.remove(&claim(since, node));
            }
            let best = left.iter().map(|(since, node)| claim(*since, *node).rank()).max();
            prop_assert_eq!(winner(&view), best);
            prop_assert_eq!(view.rivals(&7).len(), left.len().saturating_sub(1));
        }
    }
}
