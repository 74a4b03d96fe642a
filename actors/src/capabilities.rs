//! What clients' software can do, by its hash (XEP-0115), for the whole node.
//!
//! What comes in has been verified by the protocol, so it is true whoever said it. The memory
//! is bounded in bytes, and forgets what nobody has asked for lately: two generations instead
//! of an order.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use klatsch_protocol::features::caps::{Capabilities, Key};

/// Bytes of one generation: a thousand versions of clients take about five megabytes, and
/// whoever invents hashes costs no more than that.
const GENERATION_BYTES: usize = 8 * 1024 * 1024;

/// The memory.
#[derive(Default)]
pub struct Known {
    generations: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Key, Arc<Capabilities>>,
    young_bytes: usize,
    old: HashMap<Key, Arc<Capabilities>>,
}

impl Known {
    /// What is known of a hash.
    pub fn get(&self, key: &Key) -> Option<Arc<Capabilities>> {
        {
            let generations = self.generations.read().expect("no holder panics");
            if let Some(known) = generations.young.get(key) {
                return Some(known.clone());
            }
            generations.old.get(key)?;
        }
        let mut generations = self.generations.write().expect("no holder panics");
        let known = generations.old.remove(key);
        if let Some(known) = known {
            generations.insert(key.clone(), known);
        }
        generations.young.get(key).cloned()
    }

    /// Remembers what a hash stands for; tells whether that is new.
    pub fn learn(&self, key: Key, capabilities: Arc<Capabilities>) -> bool {
        let mut generations = self.generations.write().expect("no holder panics");
        let is_known = generations.old.remove(&key).is_some();
        generations.insert(key, capabilities) && !is_known
    }
}

impl Generations {
    /// False: it is there already.
    fn insert(&mut self, key: Key, capabilities: Arc<Capabilities>) -> bool {
        if self.young.contains_key(&key) {
            return false;
        }
        self.young_bytes += capabilities.bytes();
        if self.young_bytes > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = capabilities.bytes();
        }
        self.young.insert(key, capabilities);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key {
            algorithm: "sha-1".into(),
            ver: number.to_string().into(),
        }
    }

    fn large() -> Capabilities {
        Capabilities::of((0..500).map(|number| format!("{number:0>400}")))
    }

    #[test]
    fn r11_inventing_hashes_costs_so_much_memory_and_no_more() {
        let known = Known::default();
        known.learn(key(0), large().into());
        for number in 1..500 {
            known.learn(key(number), large().into());
            assert!(known.get(&key(0)).is_some(), "what is in use stays");
        }
        assert!(known.get(&key(1)).is_none());
        let generations = known.generations.read().unwrap();
        let all = generations.young.values().chain(generations.old.values());
        let bytes: usize = all.map(|it| it.bytes()).sum();
        assert!(bytes <= 2 * GENERATION_BYTES + large().bytes(), "{bytes}");
    }
}
