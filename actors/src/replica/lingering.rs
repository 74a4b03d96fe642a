//! What is still shown of sessions that have left this node, until whoever goes on with them shows
//! it, or for a while.
//!
//! Whoever shows something under a name takes the mark away that says that it lingers. Mark and
//! entry change together, under this lock: else what a later session of the name shows could be
//! taken for what lingers, and go with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

use super::Key;

/// The marks.
#[derive(Default)]
pub(super) struct Lingering(Mutex<HashMap<Key, Instant>>);

/// The marks while nobody else shows anything.
pub(super) struct Marks<'a>(MutexGuard<'a, HashMap<Key, Instant>>);

impl Lingering {
    pub(super) fn lock(&self) -> Marks<'_> {
        Marks(self.0.lock().expect("no holder panics"))
    }

    /// What lingers no longer.
    pub(super) fn over(&self, now: Instant) -> Vec<Key> {
        let marks = self.lock();
        let over = marks.0.iter().filter(|(_, until)| **until <= now);
        over.map(|(key, _)| key.clone()).collect()
    }
}

impl Marks<'_> {
    /// What is shown under a key lingers until then.
    pub(super) fn put(&mut self, key: Key, until: Instant) {
        self.0.insert(key, until);
    }

    /// Tells whether it has lingered until now.
    pub(super) fn take(&mut self, key: &Key) -> bool {
        self.0.remove(key).is_some()
    }
}
