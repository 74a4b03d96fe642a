//! How nodes speak with each other: what everybody may rely on, and on what not.
//!
//! A link loses, and never waits. What it carries are hints (a log has the message itself),
//! soft state (snapshots repair it) and questions whose asker gives up in time. In one lane
//! messages to one peer keep their order while the link lives; nothing is repeated.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::members::Members;
use crate::node_id::NodeId;

pub mod memory;
pub(crate) mod wire;

/// Which queue to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small and urgent: presence, questions and answers.
    Control,
    /// Everything else.
    Bulk,
}

/// Who a message is for on the node that gets it. The numbers are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Channel {
    /// The replicas of presence.
    Presence = 1,
    /// Sessions, accounts and rooms.
    Mail = 2,
}

impl Channel {
    /// The channel of this number; `None` for one of a later version.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Presence),
            2 => Some(Self::Mail),
            _ => None,
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// It waits to be sent.
    Queued,
    /// As much waits for this peer as may: the message is dropped, and the peer is told, as
    /// soon as it reads again, that it has missed something.
    Overflowed,
    /// The peer is not known or not connected.
    Unreachable,
}

/// The way to other nodes.
pub trait Link: Send + Sync {
    /// Sends a message. Never waits.
    fn send(&self, to: NodeId, lane: Lane, channel: Channel, message: Bytes) -> Handed;

    /// What this node thinks of the others; whoever holds it hears of changes.
    fn members(&self) -> watch::Receiver<Arc<Members>>;
}

/// Who gets what arrives.
pub trait Receive: Send + Sync {
    /// A message has arrived. Must not wait; messages of one lane come in their order.
    fn receive(&self, from: NodeId, channel: Channel, message: Bytes);

    /// There is a new connection with `from`; [`Receive::missed`] follows.
    fn connected(&self, from: NodeId) {
        let _ = from;
    }

    /// What `from` has sent may have been lost on the way: its queue has overflowed or the
    /// link was broken. Logs and snapshots are to be compared.
    fn missed(&self, from: NodeId);
}
