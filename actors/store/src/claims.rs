//! Claims to sessions of nodes that are not heard (XEP-0198 §5): their clients have come to
//! another node, and they may live behind a cut.
//!
//! All nodes keep the same store, so most cuts have it on both sides. A node that claims a
//! session waits for the other to put it away; whoever gives up waiting presses the claim, and
//! goes on with what it knows. A claim that is answered cannot be pressed any more, nor one that
//! is pressed be answered with the session: so nobody goes on with what another has. It is answered
//! in the transaction that puts the session away.

use klatsch_protocol::jid::FullJid;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;
use crate::waiting::WaitingSession;

/// A node that has not looked for so long, in microseconds, has lost its sessions: their clients
/// had minutes to come back.
const KEPT: i64 = 3600 * 1_000_000;

/// Somebody goes on with a session of another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The number of the node that has it.
    pub node: u16,
    /// The session.
    pub session: FullJid,
    /// The id by which it is resumed.
    pub previd: String,
}

/// What stands of a claim when it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Whoever made it waits for the session.
    Waits,
    /// It has gone on without it.
    Pressed,
    /// There is no such claim any more.
    Gone,
}

subject! {
    /// Claims to sessions.
    Claims {
        /// Claims a session; an older claim to it ends.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn claim_session(&self, claim: &Claim, now: Timestamp) -> ();
        /// The claims on what a node has, in the order in which they were made.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn claims_on(&self, node: u16, now: Timestamp) -> Vec<Claim>;
        /// Whoever made this claim waits no longer; false: it has been answered.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn press_claim(&self, previd: &str) -> bool;
        /// Answers a claim with its session, which is put away if whoever made the claim waits
        /// for it, and not otherwise; says what stood. Both happen or neither, so whoever does not
        /// know the outcome asks again, and hears `Gone` if it has happened.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn give_session(
            &self,
            claim: &Claim,
            session: &WaitingSession,
            until: Timestamp
        ) -> Standing;
        /// Ends a claim, and those that nobody has answered within an hour; says what stood.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn answer_claim(&self, previd: &str, now: Timestamp) -> Standing;
    }
}

/// What was claimed before then concerns nobody any more.
pub(crate) fn oldest(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(KEPT))
}

impl Standing {
    /// From what a row says.
    pub(crate) fn of(is_pressed: Option<bool>) -> Self {
        match is_pressed {
            Some(false) => Self::Waits,
            Some(true) => Self::Pressed,
            None => Self::Gone,
        }
    }
}
