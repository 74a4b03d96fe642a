//! Browsers that are told while nobody looks, as our own app server knows them (RFC 8030).

use klatsch_protocol::features::web_push::Registration;
use klatsch_protocol::jid::BareJid;

use crate::store::subject;

/// Browsers an account may have. One more takes the place of the one that registered longest ago.
pub const BROWSERS_MAX: usize = 20;

subject! {
    /// Browsers that are told. Another password ends them all (row A14), and so does the end of
    /// the account.
    WebPushes {
        /// The browser behind a node of this account.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn web_push(&self, owner: &BareJid, node: &str) -> Option<Registration>;
        /// Keeps a browser. Another one with the same endpoint goes, whoever has it: a browser
        /// belongs to the account that uses it now.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn register_web_push(&self, registration: &Registration) -> ();
        /// Forgets a browser; one that is not there is forgotten already.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn forget_web_push(&self, owner: &BareJid, node: &str) -> ();
    }
}
