//! The directory's people and groups, as `klatsch_protocol::colleagues` describes them: kept so
//! that every node has them, and a directory that is down takes nobody's colleagues away.

use klatsch_protocol::colleagues::{Change, EntryId};
use klatsch_protocol::jid::BareJid;

use crate::store::subject;

/// Entries that were removed are remembered so many versions back; whoever is further behind reads
/// everything.
pub const GONE_MAX: u64 = 256;

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
        /// What has changed since this version; 0 for everything.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn colleagues_since(&self, version: u64) -> Colleagues;
        /// Makes all these changes or none, if the version is still the expected one; answers
        /// the new one. Without changes nothing happens and the version stays.
        ///
        /// # Errors
        /// `Conflict` when the version is another; `Unavailable`, `Uncertain`.
        fn change_colleagues(&self, expected: u64, changes: Vec<Change>) -> u64;
        /// Keeps the bytes of a picture under its hash; those of entries that are gone go with
        /// [`Store::sweep`](crate::Store::sweep).
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn keep_photo(&self, hash: &str, bytes: Vec<u8>) -> ();
        /// The bytes of a picture.
        ///
        /// # Errors
        /// `Unavailable`.
        fn photo(&self, hash: &str) -> Option<Vec<u8>>;
        /// Gives an account another address, with everything it has: its log, its contacts, its
        /// rooms. A new epoch; nobody has the old address then.
        ///
        /// # Errors
        /// `NoSuchAccount`; `Conflict` when there is an account of the new address;
        /// `Unavailable`, `Uncertain`.
        fn rename_account(&self, from: &BareJid, to: &BareJid) -> ();
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
