//! What is good once: tokens that carry all they say with them leave a mark when they are used.

use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// The SHA-256 of a token.
pub type SpentHash = [u8; 32];

subject! {
    /// Marks of what has been used.
    Spent {
        /// Notes that what has this hash is used; false: it was before, on this node or another.
        /// Once `until` is over the mark may be gone, so what it stands for must not be good any
        /// more; marks whose time was over `now` go.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn spend(&self, hash: SpentHash, until: Timestamp, now: Timestamp) -> bool;
    }
}
