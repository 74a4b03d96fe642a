//! Nodes, placement and the wire; knows no JID and no stanza.
//!
//! - [`codec`]: how a message looks between nodes; the only place that names the codec
//!
//! Membership, placement of rooms, the link and presence replication come with the cluster.

pub mod codec;
