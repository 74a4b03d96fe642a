//! Accounts that get another address and stay the same person's: what can be done, and what both
//! databases do for it. How they lock and run it is each one's own.

use std::collections::BTreeSet;

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use crate::error::{Result, StoreError};
use crate::rows::bare;
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

/// Nobody has ever seen the address that one account has had for a moment. $1 that.
pub(crate) const MEANWHILE: [&str; 2] = [
    "DELETE FROM roster_removed WHERE jid = $1",
    "DELETE FROM account WHERE jid = $1 AND removed IS NOT NULL",
];

/// A tombstone says what became of the account, and no later life of the address is known.
pub(crate) const FORMER: &str = "
    SELECT t.jid, a.jid FROM account t JOIN account a ON a.id = t.became
    WHERE t.became IS NOT NULL AND a.removed IS NULL AND NOT EXISTS (SELECT 1 FROM account n
        WHERE n.jid = t.jid AND n.id <> t.id AND (n.removed IS NULL OR n.id > t.id))
    ORDER BY t.jid";

/// The rows of [`FORMER`].
pub(crate) fn former(rows: &[(String, String)]) -> Result<Vec<(BareJid, BareJid)>> {
    rows.iter()
        .map(|(former, now)| Ok((bare(former)?, bare(now)?)))
        .collect()
}

/// Who gets another address.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) old: BareJid,
    pub(crate) new: BareJid,
}

/// The new address must be nobody's: this is the number that was looked for there.
pub(crate) fn must_be_free(found: Result<i64>) -> Result<()> {
    match found {
        Ok(_) => Err(StoreError::Conflict),
        Err(StoreError::NoSuchAccount) => Ok(()),
        Err(error) => Err(error),
    }
}

/// $1 the new address, $2 its domain, $3 the new epoch, $4 the account. Versions go on after those
/// that were known of the address.
pub(crate) const ACCOUNT: &str = "
    UPDATE account SET jid = $1, domain = $2, epoch = $3,
        roster_version = 1 + (SELECT max(p.roster_version) FROM account p
            WHERE p.id = $4 OR p.jid = $1 AND p.removed IS NOT NULL),
        blocklist_version = 1 + (SELECT max(p.blocklist_version) FROM account p
            WHERE p.id = $4 OR p.jid = $1 AND p.removed IS NOT NULL)
    WHERE id = $4";

/// The old address is left to a tombstone, as of an account that was removed; its number is the
/// new epoch. $1 that, $2 the old address, $3 its domain, $4 now, $5 the account.
pub(crate) const TOMBSTONE: &str = "
    INSERT INTO account (id, jid, domain, created, removed, swept,
        roster_version, blocklist_version, became)
    SELECT $1, $2, $3, $4, $4, true, roster_version, blocklist_version, id
    FROM account WHERE id = $5";

/// The new address is nobody's former one any more, whatever becomes of this account. $1 that.
pub(crate) const NOBODYS: &str =
    "UPDATE account SET became = NULL WHERE jid = $1 AND became IS NOT NULL";

/// Whoever remembers a roster of the new address has another one. $1 the account.
pub(crate) const ROSTER: [&str; 2] = [
    "UPDATE roster_item SET version = (SELECT roster_version FROM account WHERE id = $1)
     WHERE account = $1",
    "DELETE FROM roster_removed WHERE account = $1",
];

/// Where else an account is named, and how it is named there from now on.
pub(crate) struct Mentions {
    /// The numbers of accounts, nodes or rooms that name $1.
    pub(crate) whose: &'static str,
    /// `{these}` is a number among those of $1; $2 is the old address, $3 the new one.
    pub(crate) statements: &'static [&'static str],
}

/// Others' contacts; each roster has a version of its own.
pub(crate) const CONTACTS: Mentions = Mentions {
    whose: "SELECT account FROM roster_item WHERE jid = $1 AND subscription >= 2
        UNION SELECT account FROM roster_item WHERE jid = $1 AND subscription < 2",
    statements: &[
        "UPDATE account SET roster_version = roster_version + 1 WHERE id {these}",
        "DELETE FROM roster_item WHERE account {these} AND jid = $3",
        "UPDATE roster_item SET jid = $3, version = (SELECT a.roster_version
            FROM account a WHERE a.id = roster_item.account)
         WHERE account {these} AND jid = $2",
        "DELETE FROM roster_removed WHERE account {these} AND jid IN ($2, $3)",
        "INSERT INTO roster_removed SELECT id, $2, roster_version FROM account
         WHERE id {these}",
    ],
};

/// The same person with another address stays blocked. An address and its full ones: "0" comes
/// after "/".
pub(crate) const BLOCKED: Mentions = Mentions {
    whose: "SELECT account FROM block WHERE jid = $1
        UNION SELECT account FROM block WHERE jid > $1 || '/' AND jid < $1 || '0'",
    statements: &[
        "INSERT INTO block SELECT account, $3 || substr(jid, length($2) + 1) FROM block
         WHERE account {these} AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')
         ON CONFLICT DO NOTHING",
        "DELETE FROM block WHERE account {these}
            AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')",
        "UPDATE account AS a SET blocklist_version = blocklist_version + 1,
            blocks = (SELECT count(*) FROM block b WHERE b.account = a.id)
         WHERE id {these}",
    ],
};

/// Whether others want its messages kept.
pub(crate) const PREFERENCES: Mentions = Mentions {
    whose: "SELECT account FROM archive_exception
        WHERE jid = $1 OR jid > $1 || '/' AND jid < $1 || '0'",
    statements: &[
        "INSERT INTO archive_exception
         SELECT account, $3 || substr(jid, length($2) + 1), archived FROM archive_exception
         WHERE account {these} AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')
         ON CONFLICT (account, jid) DO UPDATE SET archived = excluded.archived",
        "DELETE FROM archive_exception WHERE account {these}
            AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')",
    ],
};

/// Nodes of its own, and those it has made, is listed at or has subscribed to.
pub(crate) const NODES: Mentions = Mentions {
    whose: "SELECT id FROM pubsub_node WHERE service = $1
        UNION SELECT id FROM pubsub_node WHERE creator = $1 AND service IS NOT NULL
        UNION SELECT node FROM pubsub_affiliation WHERE jid = $1
        UNION SELECT node FROM pubsub_subscription WHERE account = $1",
    statements: &[
        "UPDATE pubsub_node AS n SET version = version + 1 WHERE id {these}
            AND (EXISTS (SELECT 1 FROM pubsub_affiliation WHERE node = n.id AND jid = $2)
                OR EXISTS (SELECT 1 FROM pubsub_subscription WHERE node = n.id AND account = $2))",
        "UPDATE pubsub_node SET service = $3 WHERE id {these} AND service = $2",
        "UPDATE pubsub_node SET creator = $3 WHERE id {these} AND creator = $2",
        "DELETE FROM pubsub_affiliation AS a WHERE node {these} AND jid = $3
            AND EXISTS (SELECT 1 FROM pubsub_affiliation WHERE node = a.node AND jid = $2)",
        "UPDATE pubsub_affiliation SET jid = $3 WHERE node {these} AND jid = $2",
        "DELETE FROM pubsub_subscription AS s WHERE node {these} AND account = $3
            AND EXISTS (SELECT 1 FROM pubsub_subscription WHERE node = s.node AND account = $2)",
        "UPDATE pubsub_subscription SET jid = $3 || substr(jid, length($2) + 1), account = $3
         WHERE node {these} AND account = $2",
    ],
};

/// Rooms it has made, has a standing in or wears a hat in.
pub(crate) const ROOMS: Mentions = Mentions {
    whose: "SELECT id FROM room WHERE creator = $1 AND NOT removed
        UNION SELECT room FROM room_affiliate WHERE jid = $1
        UNION SELECT room FROM room_hat_worn WHERE jid = $1",
    statements: &[
        "UPDATE room SET creator = $3 WHERE id {these} AND creator = $2",
        "UPDATE room AS r SET version = version + 1 WHERE id {these}
            AND (EXISTS (SELECT 1 FROM room_affiliate WHERE room = r.id AND jid = $2)
                OR EXISTS (SELECT 1 FROM room_hat_worn WHERE room = r.id AND jid = $2))",
        "DELETE FROM room_affiliate AS a WHERE room {these} AND jid = $3
            AND EXISTS (SELECT 1 FROM room_affiliate WHERE room = a.room AND jid = $2)",
        "UPDATE room_affiliate SET jid = $3 WHERE room {these} AND jid = $2",
        "INSERT INTO room_hat_worn SELECT room, $3, uri FROM room_hat_worn
         WHERE room {these} AND jid = $2 ON CONFLICT DO NOTHING",
        "DELETE FROM room_hat_worn WHERE room {these} AND jid = $2",
    ],
};

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
