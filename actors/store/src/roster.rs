//! Rosters (RFC 6121 §2) with a version that every change raises (§2.6).
//!
//! Who may be in a roster, and which change follows from which stanza, is the protocol's.

use klatsch_protocol::features::roster::RosterChange;
use klatsch_protocol::jid::{BareJid, Jid};

use crate::store::subject;

/// Removal records an account keeps at most; older ones are forgotten, the oldest first. A
/// client's version `v` can be brought up to date by changes alone when no record is kept or
/// the first one's version is at most `v + 1`; otherwise it needs the whole roster.
pub const REMOVED_MAX: usize = 256;

subject! {
    /// Rosters.
    Rosters {
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
