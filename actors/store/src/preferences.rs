//! What accounts want to find in their archives (XEP-0441 version 0.2.0).
//!
//! [`append`](crate::Store::append) asks them: what is not wanted is hidden from the first.

use klatsch_protocol::features::archive_preferences::Preferences;
use klatsch_protocol::jid::BareJid;

use crate::store::subject;

subject! {
    /// Preferences of archives.
    ArchivePreferences {
        /// What the account wants; before it has said anything, everything.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
        fn archive_preferences(&self, account: &BareJid) -> Preferences;
        /// Holds for what is appended from now on.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn prefer(&self, account: &BareJid, preferences: Preferences) -> ();
    }
}
