//! The directory's people and groups, as `klatsch_protocol::colleagues` describes them: kept so
//! that every node has them, and a directory that is down takes nobody's colleagues away.
//!
//! How many there may be is for those who read the directory to bound: whoever asks for everything
//! gets everything.

use klatsch_protocol::colleagues::{Change, Entry, EntryId};
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// Entries that were removed are remembered so many versions back; whoever is further behind reads
/// everything.
pub const GONE_MAX: u64 = 256;

/// A picture that no entry mentions stays for an hour, in microseconds: it is kept before the
/// entry is that mentions it.
pub(crate) const PHOTO_WAITS: i64 = 3600 * 1_000_000;

/// What has changed since a version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Colleagues {
    /// The version now.
    pub version: u64,
    /// True: `changes` is everything there is, and what is not among it is gone.
    pub is_whole: bool,
    /// What is otherwise than it was, in order of the ids.
    pub changes: Vec<Change>,
}

subject! {
    /// The directory's entries.
    ColleagueEntries {
        /// What has changed since this version; 0 for everything. What nobody knows how to read,
        /// because a newer node has written it, is as if it were gone.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn colleagues_since(&self, version: u64) -> Colleagues;
        /// Makes all these changes or none, if the version is still the expected one; answers
        /// the new one. Without changes nothing happens and the version stays. Of several changes
        /// of one entry the last counts.
        ///
        /// # Errors
        /// `Conflict` when the version is another; `Unavailable`, `Uncertain`.
        fn change_colleagues(&self, expected: u64, changes: Vec<Change>) -> u64;
        /// Keeps the bytes of a picture under its hash, before an entry mentions it. Those that no
        /// entry mentions go with [`Store::sweep`](crate::Store::sweep), an hour after they were
        /// kept last.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn keep_photo(&self, hash: &str, bytes: Vec<u8>, now: Timestamp) -> ();
        /// The bytes of a picture.
        ///
        /// # Errors
        /// `Unavailable`.
        fn photo(&self, hash: &str) -> Option<Vec<u8>>;
    }
}

/// An entry as backends keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its id.
    pub(crate) id: EntryId,
    /// The version that changed it.
    pub(crate) version: u64,
    /// The record; `None`: it is gone.
    pub(crate) record: Option<Vec<u8>>,
}

/// From which version on somebody who knows `known` reads: 0 is everything, for who knows nothing,
/// who is too far behind, and who knows of a time that this store has not had.
pub(crate) const fn read_after(known: u64, version: u64) -> u64 {
    match version.checked_sub(known) {
        Some(behind) if behind <= GONE_MAX => known,
        _ => 0,
    }
}

/// The answer to who knows `known`, from everything of a later version than [`read_after`] says,
/// in order of the ids.
pub(crate) fn answer(known: u64, version: u64, kept: Vec<Kept>) -> Colleagues {
    let is_whole = read_after(known, version) == 0;
    let changes = kept.into_iter().map(|kept| Change {
        entry: kept.record.as_deref().and_then(Entry::read),
        id: kept.id,
    });
    Colleagues {
        version,
        is_whole,
        changes: changes
            .filter(|change| !is_whole || change.entry.is_some())
            .collect(),
    }
}

/// The picture that an entry mentions.
pub(crate) fn photo_of(entry: Option<&Entry>) -> Option<&str> {
    match entry? {
        Entry::Person(person) => person.photo.as_ref().map(|photo| &*photo.hash),
        Entry::Group(_) => None,
    }
}
