//! What a session needs of its account when it begins: all of it in one answer, because a
//! login should cost one way to the database and not a dozen.

use klatsch_protocol::features::blocking::Blocklist;
use klatsch_protocol::features::roster::Roster;
use klatsch_protocol::jid::BareJid;

use crate::error::Result;
use crate::store::{Store, subject};

/// An account at one moment: everything here belongs together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Its contacts.
    pub roster: Roster,
    /// Whom it blocks.
    pub blocklist: Blocklist,
    /// The id up to which some client of it has taken delivery.
    pub cursor: u64,
    /// The id of the last entry of its log.
    pub head: u64,
    /// What it has published last of its avatar (XEP-0084 §3.3): the payload of the item.
    pub avatar: Option<Vec<u8>>,
    /// What it keeps of what it wishes to show
    /// ([`NAME`](klatsch_protocol::features::presence::wish::NAME)).
    pub wish: Option<Vec<u8>>,
}

subject! {
    /// Accounts as sessions need them.
    Snapshots {
        /// The account as it is now.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
        fn snapshot(&self, account: &BareJid) -> Snapshot;
    }
}

impl Store {
    /// The account's roster with its version.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
    pub async fn roster(&self, account: &BareJid) -> Result<Roster> {
        Ok(self.snapshot(account).await?.roster)
    }

    /// Whom the account blocks, with the list's version.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
    pub async fn blocklist(&self, account: &BareJid) -> Result<Blocklist> {
        Ok(self.snapshot(account).await?.blocklist)
    }
}
