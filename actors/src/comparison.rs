//! Logs compared with what sessions have seen of them: hints may be lost between nodes, logs are
//! not.
//!
//! Owns nothing. It runs when a node may have missed something, and every second while a known
//! node cannot be reached: what crosses a cut between nodes crosses it through the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_store::StoreError;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::claims;
use crate::directory::Published;
use crate::mail::RoomMail;
use crate::peers::Peers;
use crate::replica::Replica;
use crate::router::patiently;
use crate::session::SessionMsg;
use crate::sessions::Sessions;
use crate::slot::Slot;
use crate::world::World;

/// So many times more is looked for claims once nobody is missing, and then every so many times:
/// what nobody has looked at would be found when nodes are missing again.
const CLAIMS_COME: u32 = 10;

/// While a node is missing.
const INTERVAL: Duration = Duration::from_secs(1);

/// Accounts asked for in one query.
const ACCOUNTS_MAX: usize = 1000;

/// So old may be what others know of how far a session is: a client that comes to them sends
/// again what it has sent in that time. As long as what is shown takes to leave this node.
const RECORD_INTERVAL: Duration = Duration::from_millis(100);

/// Shows the other nodes how far sessions are, and tells the clients once they know.
pub(crate) async fn show_records(world: Arc<World>) {
    let mut ticks = interval(RECORD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sessions = Sessions::new(world.clone());
    loop {
        ticks.tick().await;
        let Some(peers) = world.directory.peers() else {
            return;
        };
        if let Some(replica) = peers.replica() {
            if let Some(round) = replica.show_records().await {
                peers.send_back(round);
            }
            acknowledge(&sessions, peers, replica).await;
        }
    }
}

/// Tells the clients what all others know. While a node may live behind a cut, it can claim a
/// session and go on with what it knows, unless it is answered: then it is looked first whether
/// it has, and without the store nobody is told anything.
async fn acknowledge(sessions: &Sessions, peers: &Peers, replica: &Replica) {
    let members = peers.members();
    let nodes: Vec<NodeId> = members.reachable().map(|it| it.life.node).collect();
    if !replica.has_acks_known_by(&nodes) {
        return;
    }
    if members.may_claim() && !claims::answer(sessions).await {
        return;
    }
    for (slot, ack) in replica.take_known_acks() {
        let slots = &sessions.world().directory.slots;
        slots.send(slot, SessionMsg::Known(ack));
    }
}

/// Compares every second while a known node cannot be reached.
pub(crate) async fn run(world: Arc<World>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sessions = Sessions::new(world.clone());
    let mut before = None;
    let mut since_missing = u32::MAX;
    let mut comparing: Option<JoinHandle<()>> = None;
    loop {
        ticks.tick().await;
        let Some(peers) = world.directory.peers() else {
            return;
        };
        let members = Some(peers.members());
        let is_missing = claims::may_come(&world);
        since_missing = match is_missing || members != before {
            true => 0,
            false => since_missing.saturating_add(1),
        };
        before = members;
        // A store that is slow keeps nothing else waiting, and is asked once.
        if is_missing && comparing.as_ref().is_none_or(JoinHandle::is_finished) {
            let world = world.clone();
            comparing = Some(tokio::spawn(async move { compare_all(&world).await }));
        }
        if since_missing < CLAIMS_COME || since_missing.is_multiple_of(CLAIMS_COME) {
            claims::answer(&sessions).await;
        }
        if let Some(replica) = world.directory.replica() {
            let kept = Duration::from_secs(world.settings.resume_seconds);
            replica.sweep(&world, kept);
        }
    }
}

/// Compares everything anybody here follows.
pub(crate) async fn compare_all(world: &Arc<World>) {
    // Rosters and block lists have versions, not tails: they are read at their next use.
    world.accounts.invalidate_all();
    compare_accounts(world).await;
    compare_rooms(world).await;
}

async fn compare_accounts(world: &World) {
    let all = world.directory.all(|_| true);
    let here: Vec<(BareJid, Vec<Slot>)> = all.iter().filter_map(slots_here).collect();
    for some in here.chunks(ACCOUNTS_MAX) {
        tell_tails(world, some.iter().cloned().collect()).await;
    }
}

fn slots_here((account, published): &(BareJid, Arc<Published>)) -> Option<(BareJid, Vec<Slot>)> {
    let slots: Vec<Slot> = published.here().map(|(_, slot)| slot).collect();
    (!slots.is_empty()).then(|| (account.clone(), slots))
}

/// One query for all sessions that look at their tails now.
pub(crate) async fn tell_tails(world: &World, tails: HashMap<BareJid, Vec<Slot>>) {
    let accounts: Vec<BareJid> = tails.keys().cloned().collect();
    let heads = match patiently(world.store.heads(&accounts)).await {
        Ok(heads) => heads,
        Err(error) => {
            tracing::warn!(%error, "tails of logs cannot be compared");
            // A session asks again after it was told something: nothing new.
            vec![0; accounts.len()]
        }
    };
    for (account, head) in accounts.iter().zip(heads) {
        for slot in tails.get(account).into_iter().flatten() {
            world.directory.slots.send(*slot, SessionMsg::Tail(head));
        }
    }
}

/// Tells those inside rooms where the rooms' logs end.
async fn compare_rooms(world: &World) {
    let Some(replica) = world.directory.replica() else {
        return;
    };
    for room in replica.rooms() {
        let here: Vec<FullJid> = replica.insiders_here(&room);
        if here.is_empty() {
            continue;
        }
        match patiently(world.store.room_head(&room)).await {
            Ok(head) => {
                let ends = Arc::new(RoomMail::Ends(room, head));
                world.directory.tell_here(&here, ends);
            }
            Err(StoreError::NoSuchRoom) => {}
            // The next second compares again.
            Err(error) => return tracing::warn!(%error, "rooms' logs cannot be compared"),
        }
    }
}
