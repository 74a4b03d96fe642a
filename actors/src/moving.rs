//! What a node does when it sees others come and go: rooms move, and what was asked of who is
//! gone is asked elsewhere.
//!
//! Opinions may differ for a while. A room may then be on two nodes, whose messages meet in one
//! log; it comes together when the opinions do.

use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::members::Members;
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::BareJid;
use tokio::time::timeout;

use crate::absence;
use crate::peers::{self, Peers};
use crate::room::RoomMsg;
use crate::room::keeper::KeeperMsg;
use crate::world::World;

/// Rooms are looked at this often even when nobody comes or goes: one may have been opened by
/// somebody whose opinion was an old one.
const INTERVAL: Duration = Duration::from_secs(5);

/// Follows the nodes.
pub(crate) async fn run(world: Arc<World>) {
    let Some(peers) = world.directory.peers().cloned() else {
        return;
    };
    let mut members = peers.link().members();
    let mut before = members.borrow_and_update().clone();
    loop {
        if let Ok(Err(_)) = timeout(INTERVAL, members.changed()).await {
            // The link is gone, and with it this node.
            return;
        }
        let now = members.borrow_and_update().clone();
        for node in lost(&before, &now) {
            peers.give_up(node);
            let unseen = world.directory.take_presumed(node);
            absence::tell_contacts_of(&world, unseen);
        }
        for node in lost(&now, &before) {
            // What was asked of it while nobody reached it is asked again: the answer is lost.
            peers.give_up(node);
        }
        world.directory.sweep_presumed();
        world.given.sweep();
        move_rooms(&world, &peers, &now);
        before = now;
    }
}

/// Who was reached and no longer is, or has begun another life. The other way round: who is
/// reached again.
fn lost<'a>(before: &'a Members, now: &'a Members) -> impl Iterator<Item = NodeId> + 'a {
    let reached = before.reachable();
    let lost = reached.filter(|member| {
        let now = now.member(member.life.node);
        now.is_none_or(|now| !now.is_reachable() || now.life != member.life)
    });
    lost.map(|member| member.life.node)
}

/// Rooms go to their homes.
fn move_rooms(world: &World, peers: &Peers, members: &Members) {
    let me = members.me.node;
    let is_here = |room: &BareJid| peers::home(room, members).is_none_or(|home| home == me);
    for (room, place) in world.directory.rooms() {
        if !is_here(&room) {
            tracing::info!(%room, "a room goes to another node");
            // A room that has just ended is where it should be.
            let _ = place.actor.cast(RoomMsg::Yield);
            continue;
        }
        // Nobody stays inside whose session is nowhere, however that came about.
        let _ = place.actor.cast(RoomMsg::CallRoll);
    }
    let Some(replica) = peers.replica.get() else {
        return;
    };
    for room in replica.rooms() {
        if is_here(&room) && world.directory.room(room.as_str()).is_none() {
            // A keeper that is being started again opens rooms when they are asked.
            let _ = world.registry.room_keeper().cast(KeeperMsg::Open(room));
        }
    }
}
