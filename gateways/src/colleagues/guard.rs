//! Believes no directory at once that has lost most of its people: a wrong base, a filter with a
//! slip of the pen, a replica that is still being filled. Pure.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use klatsch_protocol::colleagues::{Book, Change, Entry};

/// Whoever has left out of so few people may really have left.
const FEW: usize = 4;

/// So often in a row has a directory to say the same: an hour, with the usual interval.
pub const REPEATS: u32 = 12;

/// What is lost, and how often that was said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Guard {
    said: Option<(u64, u32)>,
}

/// A reading that is not believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// How many people are gone.
    pub lost: usize,
    /// Of how many.
    pub of: usize,
    /// How often it was said, this time included.
    pub times: u32,
}

impl Guard {
    /// Whether these changes may be made.
    pub(super) fn judge(&mut self, book: &Book, changes: &[Change]) -> Result<(), Loss> {
        let is_person = |id: &str| matches!(book.entry(id).map(|it| &**it), Some(Entry::Person(_)));
        let people = book.entries().filter(|(id, _)| is_person(id)).count();
        let gone = changes.iter().filter(|it| it.entry.is_none());
        let mut lost: Vec<&str> = gone.map(|it| &*it.id).filter(|id| is_person(id)).collect();
        let is_most = lost.len() > FEW && lost.len() * 2 > people;
        let is_all = !lost.is_empty() && lost.len() == people && people > 1;
        if !is_most && !is_all {
            self.said = None;
            return Ok(());
        }
        lost.sort_unstable();
        let mut hasher = DefaultHasher::new();
        lost.hash(&mut hasher);
        let which = hasher.finish();
        let times = match self.said {
            Some((before, times)) if before == which => times + 1,
            _ => 1,
        };
        if times >= REPEATS {
            self.said = None;
            return Ok(());
        }
        self.said = Some((which, times));
        Err(Loss {
            lost: lost.len(),
            of: people,
            times,
        })
    }
}
