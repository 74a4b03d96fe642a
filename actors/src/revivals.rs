//! Sessions that go on without the node that had them, and how that node learns of it: by the
//! store, which all keep, for it may be behind a cut and hear nobody that knows.
//!
//! Without this a node would keep what another goes on with, show it to the people it has, and
//! tell its client, when that comes back, less than the other has acknowledged.

use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stream::sm;
use klatsch_store::Revival;
use tokio::time::timeout;

use crate::router::patiently;
use crate::session::SessionMsg;
use crate::world::World;

/// A client that comes back waits no longer for what the store says.
const PATIENCE: Duration = Duration::from_secs(1);

/// Leaves word for the node that had a session. Without an answer from the store that node
/// learns of it when it is reached again.
pub(crate) async fn note(world: &World, node: NodeId, session: &FullJid, id: &str) {
    let revival = Revival {
        node: node.0,
        session: session.clone(),
        resumption: sm::hash_of(id),
    };
    let noted = patiently(world.store.note_revival(&revival, world.now())).await;
    if let Err(error) = noted {
        tracing::warn!(%session, node = node.0, %error, "a node was not told that a session goes on");
    }
}

/// Tells the sessions of this node that have gone on elsewhere.
pub(crate) async fn take(world: &Arc<World>) {
    let Some(peers) = world.directory.peers() else {
        return;
    };
    let me = peers.members().me.node;
    let taken = timeout(PATIENCE, world.store.take_revivals(me.0, world.now())).await;
    // Otherwise it is asked again.
    for revival in taken.unwrap_or(Ok(Vec::new())).unwrap_or_default() {
        if let Some(slot) = world.directory.slot(&revival.session) {
            let went_on = SessionMsg::WentOn(revival.resumption);
            world.directory.slots.send(slot, went_on);
        }
    }
}
