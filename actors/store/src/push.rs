//! Devices that are told while they are away (XEP-0357 version 0.4.1).

use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::jid::BareJid;

use crate::store::subject;

/// Devices an account may have. One more takes the place of the one that asked longest ago:
/// lost phones and removed apps never say that they go, and nobody else could tell them to.
pub const REGISTRATIONS_MAX: usize = 20;

subject! {
    /// Devices that are told.
    Pushes {
        /// The devices of an account, in the order in which they asked; at most
        /// [`REGISTRATIONS_MAX`]. None for an account that does not exist.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn registrations(&self, account: &BareJid) -> Vec<Registration>;
        /// Adds a device, or takes some away; taking away what is not there changes nothing.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn change_push(&self, account: &BareJid, change: PushChange) -> ();
    }
}
