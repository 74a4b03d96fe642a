//! Rosters (RFC 6121 §2) with a version that every change raises (§2.6).
//!
//! Who may be in a roster, and which change follows from which stanza, is the protocol's.

use klatsch_protocol::features::roster::{Roster, RosterChange};
use klatsch_protocol::jid::{BareJid, Jid};

use crate::store::subject;

/// Removal records an account keeps at most; older ones are forgotten, the oldest first. Who
/// has a version before the first record that is kept can then no longer be told what was
/// removed, and needs the whole roster.
pub const REMOVED_MAX: usize = 256;

subject! {
    /// Rosters.
    Rosters {
        /// The roster of an account; `removed` in order of versions, the latest
        /// [`REMOVED_MAX`]. A client's version `v` can be brought up to date by changes alone
        /// when `removed` is empty or its first version is at most `v + 1`.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
        fn roster(&self, account: &BareJid) -> Roster;
        /// Makes all these changes or none, if the roster still has the expected version.
        /// Answers the new version; items get it as theirs. Without changes nothing happens
        /// and the version stays.
        ///
        /// # Errors
        /// `Conflict` when the version is another; `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn change_roster(&self, account: &BareJid, expected: u64, changes: Vec<RosterChange>) -> u64;
        /// The accounts here whose roster lets this address's account see their presence
        /// (subscription from or both), in order of their addresses; without those whose
        /// block list has the address in any of its forms (row R16).
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn who_shows(&self, to: &Jid) -> Vec<BareJid>;
    }
}
