//! Tokens by which clients log in (XEP-0484 version 0.2.0).
//!
//! A client has two at most (§5.1): the one it uses, and one it was given and has not used yet.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// Clients of an account that may have tokens. One more takes the place of the one whose token
/// is the oldest: lost devices never say that they go.
pub const AGENTS_MAX: usize = 32;

/// A token, without what makes it one: the server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The mechanism it was made for.
    pub mechanism: String,
    /// What the server's key makes the token of.
    pub seed: Vec<u8>,
    /// When it was made.
    pub issued: Timestamp,
    /// Until when it can be used.
    pub expiry: Timestamp,
    /// The highest the client has counted its logins to.
    pub count: u32,
    /// It was given and has not been used yet.
    pub is_new: bool,
}

subject! {
    /// Tokens.
    Tokens {
        /// The tokens of one client, the new one first; none for an account that does not exist
        /// or may not log in.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn tokens(&self, account: &BareJid, agent: &str) -> Vec<Token>;
        /// Gives a client a new token, which takes the place of one it has not used.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn give_token(&self, account: &BareJid, agent: &str, token: &Token) -> ();
        /// Notes that a client has logged in by a token of this seed. Used for the first time
        /// it takes the place of the one before. The count has to be higher than all before;
        /// without a count, and after the last use, what was counted is not looked at.
        ///
        /// # Errors
        /// `Conflict` when there is none of this seed, or its count was used already;
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn use_token(&self, account: &BareJid, agent: &str, seed: &[u8], count: Option<u32>) -> ();
        /// Takes the tokens of one client away, or those of all clients of the account.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn forget_tokens(&self, account: &BareJid, agent: Option<&str>) -> ();
    }
}
