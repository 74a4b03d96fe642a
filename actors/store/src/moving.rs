//! What only a move from one store to another asks for.

use klatsch_protocol::jid::BareJid;

use crate::store::subject;

subject! {
    /// Logs that keep the ids they had elsewhere.
    Moving {
        /// The next entry of an account's log gets an id behind this one: ids up to it that no
        /// entry has are nobody's. Where the log has got further, nothing happens.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn skip_ids(&self, account: &BareJid, through: u64) -> ();
        /// The same for the log of a room.
        ///
        /// # Errors
        /// `NoSuchRoom`, `Unavailable`, `Uncertain`.
        fn skip_room_ids(&self, room: &BareJid, through: u64) -> ();
    }
}
