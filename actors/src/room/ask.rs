//! How stanzas get to rooms.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{Stanza, StanzaError};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::keeper::KeeperMsg;
use super::{RoomAsk, RoomEnd, RoomMsg, Settled, service};
use crate::world::World;

/// A room that fails over one stanza fails over it again.
const ATTEMPTS: u8 = 4;

/// A room that was put away or failed is asked again after this.
const PAUSE: Duration = Duration::from_millis(20);

/// A commit has its end within 30 s, known or not; nothing else takes as long.
const PATIENCE: Duration = Duration::from_secs(40);

/// Brings a stanza to its room, or to the service itself, and waits until all that follows has
/// been carried out. A room that ends meanwhile is asked again: what it kept is recognised.
pub async fn deliver(
    world: &Arc<World>,
    stanza: Arc<Stanza>,
    occupancy: Option<Box<Occupancy>>,
    counted: Option<Box<str>>,
) -> Settled {
    let Some(room) = stanza.to().map(|to| to.bare()) else {
        return Settled::Done;
    };
    if room.localpart().is_none() {
        service::answer(world, &room, &stanza).await;
        return Settled::Done;
    }
    let hand = |reply| {
        let ask = RoomAsk {
            stanza: stanza.clone(),
            occupancy: occupancy.clone(),
            counted: counted.clone(),
            reply,
        };
        hand_over(world, &room, Box::new(ask));
    };
    settle(&room, hand).await
}

/// Has a room end in the name of the server, and waits until it has.
pub async fn destroy(world: &World, room: &BareJid, reason: Option<&str>) -> Settled {
    let hand = |reply| {
        let reason = reason.map(str::to_owned);
        let end = RoomEnd { reason, reply };
        match world.directory.room(room.as_str()) {
            Some(place) => drop(place.actor.cast(RoomMsg::Destroy(end))),
            None => {
                let room = room.clone();
                let keeper = world.registry.room_keeper();
                drop(keeper.cast(KeeperMsg::Destroy { room, end }));
            }
        }
    };
    settle(room, hand).await
}

/// Hands something to a room until it is settled.
async fn settle(room: &BareJid, hand: impl Fn(oneshot::Sender<Settled>)) -> Settled {
    for _ in 0..ATTEMPTS {
        let (reply, settled) = oneshot::channel();
        hand(reply);
        match timeout(PATIENCE, settled).await {
            Ok(Ok(settled)) => return settled,
            Ok(Err(_)) => sleep(PAUSE).await,
            Err(_) => return Settled::Uncertain,
        }
    }
    tracing::error!(%room, "a room ends each time it is asked this");
    Settled::Refused(StanzaError::internal_server_error())
}

/// To whoever is listed, or else to the keeper. What does not arrive is not answered.
fn hand_over(world: &World, room: &BareJid, ask: Box<RoomAsk>) {
    let asked = match world.directory.room(room.as_str()) {
        Some(place) => place.actor.cast(RoomMsg::Ask(ask)).is_ok(),
        None => {
            let room = room.clone();
            let keeper = world.registry.room_keeper();
            keeper.cast(KeeperMsg::Ask { room, ask }).is_ok()
        }
    };
    if !asked {
        tracing::trace!(%room, "a room has just ended");
    }
}
