//! Accounts that get another address and stay the same person's.

use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

subject! {
    /// Accounts that get another address.
    Renaming {
        /// Gives an account another address, with everything it has: its log, contacts, block
        /// list, nodes, files, devices and keys. Others' contacts, block lists and archive
        /// preferences, the affiliations of nodes and rooms, and who made them, get the new
        /// address too; what is there of the new address gives way. Entries of logs stay as they
        /// were written.
        ///
        /// It has a new epoch, so that nothing of the old name is good any more: tokens and
        /// sessions that wait are gone. Nobody has the old address then, and whoever is given it
        /// begins with nothing.
        ///
        /// # Errors
        /// `NoSuchAccount`; `Conflict` when there is an account of the new address;
        /// `Unavailable`, `Uncertain`.
        fn rename_account(&self, from: &BareJid, to: &BareJid, now: Timestamp) -> ();
        /// Every address that an account had before, with the one it has now, in order. One that
        /// somebody else has or has had since is nobody's former one.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn former_addresses(&self) -> Vec<(BareJid, BareJid)>;
    }
}

/// A tombstone says what became of the account, and no later life of the address is known.
pub(crate) const FORMER: &str = "
    SELECT t.jid, a.jid FROM account t JOIN account a ON a.id = t.became
    WHERE t.became IS NOT NULL AND a.removed IS NULL AND NOT EXISTS (SELECT 1 FROM account n
        WHERE n.jid = t.jid AND n.id <> t.id AND (n.removed IS NULL OR n.id > t.id))
    ORDER BY t.jid";

/// The address with the new account in place of the old; `None`: it is not of that account.
pub(crate) fn renamed(jid: &Jid, from: &BareJid, to: &BareJid) -> Option<Jid> {
    if jid.bare_str() != from.as_str() {
        return None;
    }
    match jid.resource() {
        None => Some(to.clone().into()),
        // Together too long: nobody is called that.
        Some(resource) => to.with_resource(resource).ok().map(Into::into),
    }
}
