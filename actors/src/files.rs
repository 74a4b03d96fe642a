//! Contents of files, from node to node: a file is stored on the node its sender reached, and
//! asked for on any.
//!
//! Owns nothing: where contents lie is the gateway's affair ([`Contents`]).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::node_id::NodeId;

use crate::peers::envelope::{Question, Reply};
use crate::world::World;

/// A piece of a content, at most: a quarter of what a message between nodes may have, so that
/// other messages are not held up behind it.
pub const PIECE_BYTES: usize = 256 * 1024;

/// A node reads a piece from its disk within that.
const PATIENCE: Duration = Duration::from_secs(5);

/// A piece of a content that is there, or will be known not to be.
pub type Piece<'a> = Pin<Box<dyn Future<Output = Option<Bytes>> + Send + 'a>>;

/// The contents of this node.
pub trait Contents: Send + Sync {
    /// The bytes of a content from an offset on, at most [`PIECE_BYTES`]; nothing: this node
    /// does not have it.
    fn piece(&self, content: [u8; 32], offset: u64) -> Piece<'_>;
}

/// A node that may have what this one has not.
#[derive(Debug, Clone, Copy)]
pub struct Holder(NodeId);

/// The contents of all nodes.
#[derive(Clone)]
pub struct Files {
    world: Arc<World>,
}

impl Files {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Lets other nodes ask for contents of this one.
    pub fn offer(&self, contents: Arc<dyn Contents>) {
        if let Some(peers) = self.world.directory.peers() {
            // They are offered once.
            let _ = peers.contents.set(contents);
        }
    }

    /// The nodes that may have what this one has not.
    pub fn holders(&self) -> Vec<Holder> {
        let peers = self.world.directory.peers();
        peers.map_or_else(Vec::new, |peers| {
            let members = peers.members();
            let nodes = members.reachable().map(|it| Holder(it.life.node));
            nodes.collect()
        })
    }

    /// A piece of a content that another node has.
    pub async fn piece(&self, holder: Holder, content: [u8; 32], offset: u64) -> Option<Bytes> {
        let peers = self.world.directory.peers()?;
        let question = Question::Piece(content, offset);
        match peers.ask(holder.0, question, PATIENCE).await? {
            Reply::Piece(piece) => piece,
            _ => None,
        }
    }
}

/// What another node gets of a content of this one.
pub(crate) async fn piece_here(world: &World, content: [u8; 32], offset: u64) -> Option<Bytes> {
    let contents = world.directory.peers()?.contents.get()?;
    contents.piece(content, offset).await
}
