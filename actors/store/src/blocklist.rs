//! Block lists (XEP-0191 version 1.3) with a version that every change raises.
//!
//! [`append`](crate::Store::append) asks them; what blocking means besides is the protocol's.

use klatsch_protocol::jid::{BareJid, Jid};

use crate::store::subject;

subject! {
    /// Block lists.
    Blocklists {
        /// Takes these addresses out and puts those in, if the list still has the expected
        /// version; an address in both is blocked. Answers the new version. Without a change
        /// asked for nothing happens and the version stays.
        ///
        /// # Errors
        /// `Conflict` when the version is another; `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn change_blocklist(&self, account: &BareJid, expected: u64, add: Vec<Jid>, remove: Vec<Jid>) -> u64;
        /// The accounts here whose block list has this address in any of its forms (row R16), in
        /// order of their addresses.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn who_blocks(&self, jid: &Jid) -> Vec<BareJid>;
    }
}

/// What in a block list matches a sender (XEP-0191 §2): the full address, the account, the
/// domain with the resource, the domain.
pub(crate) fn forms(sender: &Jid) -> Vec<String> {
    let domain = sender.domain();
    let mut forms = vec![sender.bare_str().to_owned(), domain.to_owned()];
    if let Some(resource) = sender.resource() {
        forms.push(sender.as_str().to_owned());
        forms.push(format!("{domain}/{resource}"));
    }
    forms
}
