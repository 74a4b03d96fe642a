//! Nodes with their items (XEP-0060 version 1.30.0), of accounts and of services.
//!
//! Who may do what, and what a node is like, is the protocol's. Every answer is bounded: by
//! what the question says, or by the bounds here.

use klatsch_protocol::features::pubsub::node::{Ask, Found, NodeChange};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// Subscriptions or affiliations of one account in one answer at most.
pub const LIST_MAX: u32 = 2000;

subject! {
    /// Nodes.
    Nodes {
        /// What is asked of the nodes of an account or a host, without items whose time is
        /// over `now`. Who has none has nothing: that is no error.
        ///
        /// # Errors
        /// `NoSuchItem` when the item that a page is next to is not there; `Unavailable`,
        /// `Corrupt`.
        fn nodes(&self, service: &BareJid, ask: &Ask, now: Timestamp) -> Found;
        /// Changes a node, whole or not at all. A node that is made gets a version no node of
        /// this name has had; configuration and affiliations raise it.
        ///
        /// # Errors
        /// `Conflict` when the node has another version, is not there, or is there and must
        /// not be; `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn change_node(&self, change: &NodeChange, now: Timestamp) -> ();
    }
}
