//! Sessions that went on without the node that had them: it did not answer, and their clients
//! came elsewhere (XEP-0198 §5).
//!
//! A node that lives behind a cut learns here that a session is another's, whichever nodes it
//! hears: all of them keep the same store.

use klatsch_protocol::jid::FullJid;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// A node that has not asked for so long, in seconds, has lost its sessions anyway.
pub(crate) const KEPT_SECONDS: i64 = 86_400;

/// A session that has gone on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revival {
    /// The number of the node that had it.
    pub node: u16,
    /// The session.
    pub session: FullJid,
    /// The hash of the id by which it is resumed: another session may have its name by now.
    pub resumption: [u8; 32],
}

subject! {
    /// Sessions that went on without their node.
    Revivals {
        /// Leaves word for the node that had a session.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn note_revival(&self, revival: &Revival, now: Timestamp) -> ();
        /// Takes what was left for a node, in the order in which it was, and drops what others
        /// have not asked for within a day.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`, `Corrupt`.
        fn take_revivals(&self, node: u16, now: Timestamp) -> Vec<Revival>;
    }
}

/// Before then nobody comes for it any more.
pub(crate) fn oldest(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(KEPT_SECONDS * 1_000_000))
}
