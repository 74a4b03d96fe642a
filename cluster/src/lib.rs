//! Nodes, placement and the wire; knows no JID and no stanza.
//!
//! - [`node_id`]: which node, and which of its lives
//! - [`members`]: the nodes as one of them sees them
//! - [`placement`]: key → node
//! - [`cluster`]: a node's part in all this, from start to end
//! - [`membership`]: who is up, suspect and down, as heartbeats tell
//! - `discovery`: where other nodes may be found
//! - [`link`]: how nodes speak with each other; `link/wire` between processes,
//!   [`link::memory`] inside one
//! - [`credentials`]: what they know each other by
//! - [`presence`]: what nodes tell each other of presence, as a pure state machine
//! - [`merge`]: the actors that drive it
//! - [`codec`]: how a message looks between nodes

pub mod cluster;
pub mod codec;
pub mod credentials;
mod discovery;
pub mod error;
pub mod link;
pub mod members;
pub mod membership;
pub mod merge;
pub mod metrics;
pub mod node_id;
pub mod placement;
pub mod presence;
pub mod settings;
pub mod status;
