//! What accounts keep under names: private XML (XEP-0049), vCards (XEP-0054), and when they
//! were last active (XEP-0012).

use bytes::Bytes;
use klatsch_protocol::effect::Kept;
use klatsch_protocol::jid::BareJid;

use crate::store::subject;

subject! {
    /// Values under names.
    Keeping {
        /// What is kept under a name, and how much is kept in all; without nodes.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
        fn kept(&self, account: &BareJid, name: &str) -> Kept;
        /// The names under which something is kept, in their order.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`.
        fn kept_names(&self, account: &BareJid) -> Vec<String>;
        /// Keeps this in the place of what was there; `None` keeps nothing.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn keep(&self, account: &BareJid, name: &str, value: Option<Bytes>) -> ();
    }
}
