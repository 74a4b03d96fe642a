//! A map of which many versions are kept: a copy shares with its original what is as it was.
//!
//! Its keys are spread over parts; what changes is copied part by part. With 20,000 keys a part
//! has about eighty, so a change costs a few microseconds and a copy of the whole about as much.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// How many parts there are.
const PARTS: usize = 256;

/// The map.
#[derive(Debug, Clone)]
pub(super) struct Shards<K, V> {
    parts: Box<[Arc<HashMap<K, V>>]>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let empty = Arc::new(HashMap::new());
        Self {
            parts: vec![empty; PARTS].into(),
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.parts[part_of(key)].get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        Arc::make_mut(&mut self.parts[part_of(&key)]).insert(key, value);
    }

    pub(super) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let part = &mut self.parts[part_of(key)];
        if part.contains_key(key) {
            Arc::make_mut(part).remove(key);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// The hash of a key need only be the same while the process lives.
fn part_of<Q: Hash + ?Sized>(key: &Q) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_shares_every_part_that_has_not_changed() {
        let mut map = Shards::default();
        for n in 0..10_000u32 {
            map.insert(n, n);
        }
        let before = map.clone();
        map.insert(7, 8);
        map.remove(&70_000);
        let copied = map.parts.iter().zip(&before.parts);
        let copied = copied.filter(|(after, before)| !Arc::ptr_eq(after, before));
        assert_eq!(copied.count(), 1);
        assert_eq!((before.get(&7), map.get(&7)), (Some(&7), Some(&8)));
        assert_eq!(map.len(), 10_000);
    }
}
