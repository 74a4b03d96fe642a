//! Sessions that wait for their clients while the server is away (XEP-0198 version 1.6.3).
//!
//! A server that stops puts them away, the next one takes them up: what is put away is given
//! out once, so that no session goes on from a state it has left behind.

use bytes::Bytes;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// A session put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingSession {
    /// Whose it is.
    pub account: BareJid,
    /// The id by which it is resumed; empty: an earlier version has put it away.
    pub previd: String,
    /// What the session is made of again; the store does not look into it.
    pub value: Bytes,
}

/// Which of the sessions put away are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutAway {
    /// All of them.
    All,
    /// Those that this node of the cluster has put away, or nobody knows which.
    ByNode(u16),
    /// The one of an account that is resumed by this id; those of its sessions, too, of which
    /// nobody knows the id.
    One(BareJid, String),
    /// Those whose time is over at this time.
    EndingBy(Timestamp),
}

subject! {
    /// Sessions put away.
    Waiting {
        /// Puts sessions away; those of accounts that do not exist or may not log in are
        /// dropped. Another password, and the end of an account, drop them too (row A14).
        /// `node`: which one of the cluster does it; SQLite, which serves one, forgets it.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn put_sessions_away(
            &self,
            node: Option<u16>,
            sessions: &[WaitingSession],
            until: Timestamp
        ) -> ();
        /// Takes these out, and answers those whose time is not over.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`, `Corrupt`.
        fn take_sessions(&self, which: &PutAway, now: Timestamp) -> Vec<WaitingSession>;
    }
}
