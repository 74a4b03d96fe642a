//! Temporary rooms that nobody is in any more. A room that is not persistent ends with its last
//! occupant (XEP-0045 §7.14); when a node crashes, all who were inside are gone without a word,
//! and nobody is left whose leaving would end it.
//!
//! Owns nothing: the keeper starts those rooms, and each finds out by itself.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::jid::BareJid;
use klatsch_store::StoreError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::keeper::KeeperMsg;
use crate::router::patiently;
use crate::world::World;

/// Soon enough that nobody wonders about rooms of yesterday, and rarely enough that all rooms
/// can be read.
const EVERY: Duration = Duration::from_secs(3600);

/// Sessions that waited for the start have said by then where they are.
const AFTER_START: Duration = Duration::from_secs(60);

/// Rooms that are started together: a small part of those that may be at hand.
const AT_ONCE: u32 = 500;

/// A room that nobody is in is put away after a minute; then there is space for more.
const BETWEEN: Duration = Duration::from_secs(90);

/// Looks after such rooms for as long as the node runs.
pub(crate) async fn run(world: Arc<World>) {
    let mut hours = interval_at(Instant::now() + AFTER_START, EVERY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hours.tick().await;
        if let Err(error) = look_after_all(&world).await {
            tracing::warn!(%error, "temporary rooms were not looked after");
        }
    }
}

async fn look_after_all(world: &World) -> Result<(), StoreError> {
    let mut after: Option<BareJid> = None;
    loop {
        let rooms = patiently(world.store.temporary_rooms(after.as_ref(), AT_ONCE)).await?;
        let is_last = rooms.len() < AT_ONCE as usize;
        after = rooms.last().cloned();
        for room in rooms {
            let peers = world.directory.peers();
            let is_elsewhere = peers.is_some_and(|peers| peers.home(&room).is_some());
            if !is_elsewhere && world.directory.room(room.as_str()).is_none() {
                // A keeper that is being started again is asked in an hour.
                let _ = world
                    .registry
                    .room_keeper()
                    .cast(KeeperMsg::LookAfter(room));
            }
        }
        if is_last {
            return Ok(());
        }
        sleep(BETWEEN).await;
    }
}
