//! Accounts: who exists, with which credentials.
//!
//! A removed account leaves a tombstone, so that a later account of the same name has a
//! larger epoch and nothing of the old life (row C15 of the attack corpus).

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::ScramCredentials;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// What is needed to log an account in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// One per hash, in order of the hash.
    pub scram: Vec<ScramCredentials>,
    /// Nobody may log in.
    pub disabled: bool,
    /// May administrate the server.
    pub admin: bool,
    /// Tells the lives of one name apart: a later one has a larger epoch.
    pub epoch: u64,
}

/// An account as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub jid: BareJid,
    /// May administrate the server.
    pub admin: bool,
    /// Nobody may log in.
    pub disabled: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Tells the lives of one name apart.
    pub epoch: u64,
}

/// Accounts on one page of a list at most (row C09: no query without a bound).
pub const LIST_MAX: u32 = 1000;

subject! {
    /// Accounts.
    Accounts {
        /// Creates an account with these keys. `disabled` of the credentials counts, `admin`
        /// and `epoch` do not.
        ///
        /// # Errors
        /// `Conflict` when there is one of this name; `Unavailable`, `Uncertain`.
        fn create_account(&self, account: &BareJid, credentials: &Credentials, admin: bool, now: Timestamp) -> ();
        /// Replaces the keys of an account, and takes away the tokens that the old ones gave.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn set_credentials(&self, account: &BareJid, credentials: &Credentials) -> ();
        /// Adds keys to an account that has none of their hash; tells whether it had none. Tokens
        /// and sessions stay: the password is the same.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn add_keys(&self, account: &BareJid, keys: &ScramCredentials) -> bool;
        /// What is needed to log the account in; `None` when there is no such account.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn credentials(&self, account: &BareJid) -> Option<Credentials>;
        /// Removes an account with its roster, block list, log and nodes, and takes it off the
        /// lists of others' nodes. Rooms forget what it was to them, but for bans; where it was
        /// the only owner, the admins become owners, and a room without any has no owner (row
        /// C15). Rosters of others keep it: cleaning them is a matter of protocol.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn remove_account(&self, account: &BareJid, now: Timestamp) -> ();
        /// The accounts of a domain in order of their addresses, those after `after`, at most
        /// `max` (and [`LIST_MAX`]).
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn list_accounts(&self, domain: &str, after: Option<&BareJid>, max: u32) -> Vec<Account>;
        /// Lets nobody log in any more, or again.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn set_disabled(&self, account: &BareJid, disabled: bool) -> ();
        /// Makes an account an administrator, or no longer.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn set_admin(&self, account: &BareJid, admin: bool) -> ();
        /// How many accounts there are.
        ///
        /// # Errors
        /// `Unavailable`.
        fn count_accounts(&self) -> u64;
        /// Whether anybody may administrate the server.
        ///
        /// # Errors
        /// `Unavailable`.
        fn has_admin(&self) -> bool;
        /// Those of these addresses that are accounts; ask for a thousand at a time at most.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn accounts_among(&self, addresses: &[BareJid]) -> Vec<BareJid>;
    }
}
