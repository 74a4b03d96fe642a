//! Accounts that get another address and stay the same person's.

use std::collections::BTreeSet;

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use crate::error::{Result, StoreError};
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
        /// Gives each of these accounts the address of the next one, and the last that of the
        /// first, each as [`Store::rename_account`](crate::Store::rename_account) does it, but that
        /// none of the addresses is free at any moment. In the same transaction the entries of the
        /// directory are changed that say so, as
        /// [`Store::change_colleagues`](crate::Store::change_colleagues) does it: what is done
        /// twice would be undone. Answers their new version.
        ///
        /// # Errors
        /// `NoSuchAccount`; `Conflict` when an account is there twice, or the version is another;
        /// `Unavailable`, `Uncertain`.
        fn exchange_addresses(
            &self,
            circle: &[BareJid],
            expected: u64,
            changes: Vec<Change>,
            now: Timestamp
        ) -> u64;
        /// Every address that an account had before, with the one it has now, in order. One that
        /// somebody else has or has had since is nobody's former one.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn former_addresses(&self) -> Vec<(BareJid, BareJid)>;
    }
}

/// What one account of a circle is called within the transaction: nobody is served at such a domain
/// (RFC 2606 §2).
pub(crate) fn meanwhile() -> BareJid {
    BareJid::parse("renaming.invalid").expect("it is an address")
}

/// The steps by which the accounts of a circle get each other's addresses, one free address after
/// the other.
pub(crate) fn steps(circle: &[BareJid]) -> Result<Vec<(BareJid, BareJid)>> {
    if circle.iter().collect::<BTreeSet<_>>().len() < circle.len() {
        return Err(StoreError::Conflict);
    }
    let [first, others @ ..] = circle else {
        return Ok(Vec::new());
    };
    let Some(second) = others.first() else {
        return Ok(Vec::new());
    };
    let mut steps = vec![(first.clone(), meanwhile())];
    let mut free = first;
    for account in others.iter().rev() {
        steps.push((account.clone(), free.clone()));
        free = account;
    }
    steps.push((meanwhile(), second.clone()));
    Ok(steps)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_a_circle_gets_the_address_of_the_next_once_it_is_free() {
        let circle = ["a@b", "c@d", "e@f"].map(|it| BareJid::parse(it).unwrap());
        let told = |circle: &[BareJid]| {
            let steps = steps(circle).unwrap().into_iter();
            steps
                .map(|(from, to)| format!("{from} {to}"))
                .collect::<Vec<_>>()
        };
        let expected = [
            "a@b renaming.invalid",
            "e@f a@b",
            "c@d e@f",
            "renaming.invalid c@d",
        ];
        assert_eq!(told(&circle), expected);
        assert!(told(&circle[..1]).is_empty() && told(&[]).is_empty());
        let twice = [circle.clone(), circle].concat();
        assert_eq!(steps(&twice), Err(StoreError::Conflict));
    }
}
