//! Which nodes there are: a number for each name, an incarnation for each start.
//!
//! Nodes that keep the same store tell each other apart by what it gives out. What it knows of
//! a node says nothing about whether that is up.

use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// Bytes of a node's name: a host's full name has no more.
pub const NAME_BYTES_MAX: usize = 255;

/// A node in one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The node's number, from 1; given out once for each name and never again.
    pub node: u16,
    /// Larger at each start, from 1.
    pub incarnation: u64,
}

/// A node as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// What it calls itself.
    pub name: String,
    /// Its last life.
    pub life: Life,
    /// When that began.
    pub joined: Timestamp,
}

subject! {
    /// Nodes of the cluster.
    Lives {
        /// Begins a life of the node of this name.
        ///
        /// # Errors
        /// `Conflict` for a name that is empty or longer than [`NAME_BYTES_MAX`], and when all
        /// 65535 numbers are given out; `Unavailable`, `Uncertain`: then a life may be left
        /// out, which does no harm.
        fn join(&self, name: &str, now: Timestamp) -> Life;
        /// Every node there ever was, in the order of their numbers.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn known_nodes(&self) -> Vec<KnownNode>;
        /// What time it is where the store is; `None` when that is where the node is.
        ///
        /// # Errors
        /// `Unavailable`.
        fn clock(&self) -> Option<Timestamp>;
    }
}

/// Tells whether a node can be called so.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX
}
