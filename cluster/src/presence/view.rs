//! Which of several claims to a key readers see.
//!
//! Two nodes may have an entry for the same key, on the two sides of a split say. Every node
//! that knows both sees the same one win, whatever the order in which it heard of them.

use std::collections::HashMap;
use std::collections::hash_map;

use super::Key;
use super::wire::Rank;

/// Claims to keys by visible entries.
#[derive(Debug)]
pub struct View<K> {
    /// The claims that win.
    winners: HashMap<K, Rank>,
    /// Those that lose: few, and empty most of the time.
    rivals: HashMap<K, Vec<Rank>>,
}

impl<K> Default for View<K> {
    fn default() -> Self {
        Self {
            winners: HashMap::new(),
            rivals: HashMap::new(),
        }
    }
}

impl<K: Key> View<K> {
    /// The claim readers see.
    pub fn winner(&self, key: &K) -> Option<Rank> {
        self.winners.get(key).copied()
    }

    /// The claims that lose against it.
    pub fn rivals(&self, key: &K) -> &[Rank] {
        self.rivals.get(key).map_or(&[], Vec::as_slice)
    }

    /// All keys that are claimed more than once, in no order.
    pub fn contested(&self) -> impl Iterator<Item = &K> {
        self.rivals.keys()
    }

    /// All claims that win, in no order.
    pub fn winners(&self) -> impl Iterator<Item = (&K, Rank)> {
        self.winners.iter().map(|(key, claim)| (key, *claim))
    }

    /// A claim is made.
    pub fn add(&mut self, key: &K, claim: Rank) {
        match self.winners.entry(key.clone()) {
            hash_map::Entry::Vacant(place) => {
                place.insert(claim);
            }
            hash_map::Entry::Occupied(mut place) => {
                let loser = claim.min(*place.get());
                place.insert(claim.max(*place.get()));
                self.rivals.entry(key.clone()).or_default().push(loser);
            }
        }
    }

    /// A claim is made, and whoever was first wins: how it must not be, for the simulator.
    pub(super) fn add_behind(&mut self, key: &K, claim: Rank) {
        if self.winners.contains_key(key) {
            self.rivals.entry(key.clone()).or_default().push(claim);
        } else {
            self.winners.insert(key.clone(), claim);
        }
    }

    /// A claim is given up.
    pub fn remove(&mut self, key: &K, claim: Rank) {
        if self.winners.get(key) == Some(&claim) {
            match self.take_best_rival(key) {
                Some(next) => self.winners.insert(key.clone(), next),
                None => self.winners.remove(key),
            };
        } else if let Some(rivals) = self.rivals.get_mut(key) {
            rivals.retain(|rival| *rival != claim);
            self.forget_if_settled(key);
        }
    }

    fn take_best_rival(&mut self, key: &K) -> Option<Rank> {
        let rivals = self.rivals.get_mut(key)?;
        let best = rivals.iter().copied().max()?;
        rivals.retain(|rival| *rival != best);
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
    use crate::node_id::{Incarnation, NodeId};

    fn claim(since: u64, node: u16) -> Rank {
        Rank {
            since,
            incarnation: Incarnation(1),
            node: NodeId(node),
            dot: 1,
        }
    }

    #[test]
    fn the_loser_is_seen_again_when_the_winner_goes() {
        let mut view = View::default();
        view.add(&7u8, claim(1, 1));
        view.add(&7u8, claim(2, 2));
        assert_eq!(view.winner(&7u8), Some(claim(2, 2)));
        assert_eq!(view.rivals(&7u8), [claim(1, 1)]);
        view.remove(&7u8, claim(2, 2));
        assert_eq!(view.winner(&7u8), Some(claim(1, 1)));
        assert!(view.contested().next().is_none());
        view.remove(&7u8, claim(1, 1));
        assert_eq!(view.winner(&7u8), None);
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
                view.add(&7u8, claim(*since, *node));
            }
            let mut left = claims.clone();
            if gone < left.len() {
                let (since, node) = left.remove(gone);
                view.remove(&7u8, claim(since, node));
            }
            let best = left.iter().map(|(since, node)| claim(*since, *node)).max();
            prop_assert_eq!(view.winner(&7u8), best);
            prop_assert_eq!(view.rivals(&7u8).len(), left.len().saturating_sub(1));
        }
    }
}
