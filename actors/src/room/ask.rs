//! How stanzas get to rooms.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::ns;
use klatsch_protocol::stanza::{ErrorKind, Stanza, StanzaError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::keeper::KeeperMsg;
use super::{RoomAsk, RoomEnd, RoomMsg, Settled, service};
use crate::peers::envelope::Question;
use crate::peers::settled;
use crate::world::World;

/// A room that fails over one stanza fails over it again.
const ATTEMPTS: u8 = 4;

/// A room that was put away or failed is asked again after this.
const PAUSE: Duration = Duration::from_millis(20);

/// A store that refuses is asked again after this what nobody knows.
const UNTIL_KNOWN: Duration = Duration::from_secs(1);

/// A commit has its end within 30 s, known or not; nothing else takes as long.
const PATIENCE: Duration = Duration::from_secs(40);

/// What is asked of a room.
struct Asked {
    stanza: Arc<Stanza>,
    occupancy: Option<Box<Occupancy>>,
    counted: Option<Box<str>>,
}

/// Brings a stanza to its room, or to the service itself, and waits until all that follows has
/// been carried out. A room that ends meanwhile is asked again, on whichever node it is then:
/// what it kept is recognised.
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
    let asked = Asked {
        stanza,
        occupancy,
        counted,
    };
    settle(
        world,
        &room,
        || asked.question(world),
        |reply| {
            hand_over(world, &room, asked.ask(reply));
        },
    )
    .await
}

/// The same for another node, once and on this node; nothing: it is to be asked again.
pub(crate) async fn deliver_here(
    world: &Arc<World>,
    stanza: Arc<Stanza>,
    occupancy: Option<Box<Occupancy>>,
    counted: Option<Box<str>>,
) -> Option<Settled> {
    let room = stanza.to().map(|to| to.bare())?;
    let asked = Asked {
        stanza,
        occupancy,
        counted,
    };
    settle_here(|reply| hand_over(world, &room, asked.ask(reply))).await
}

/// Has a room end in the name of the server, and waits until it has.
pub async fn destroy(world: &World, room: &BareJid, reason: Option<&str>) -> Settled {
    let reason = reason.map(str::to_owned);
    let question = || Question::Destroy(room.clone(), reason.clone());
    settle(world, room, question, |reply| {
        let reason = reason.clone();
        end(world, room, RoomEnd { reason, reply });
    })
    .await
}

/// The same for another node, as [`deliver_here`].
pub(crate) async fn destroy_here(
    world: &World,
    room: &BareJid,
    reason: Option<String>,
) -> Option<Settled> {
    settle_here(|reply| end(world, room, RoomEnd { reason, reply })).await
}

impl Asked {
    fn ask(&self, reply: oneshot::Sender<Settled>) -> Box<RoomAsk> {
        Box::new(RoomAsk {
            stanza: self.stanza.clone(),
            occupancy: self.occupancy.clone(),
            counted: self.counted.clone(),
            reply,
        })
    }

    fn question(&self, world: &World) -> Question {
        Question::Room {
            stanza: Box::new((*self.stanza).clone()),
            occupancy: self.occupancy.clone(),
            counted: self.counted.clone(),
            is_from_here: world.directory.has_sender(&self.stanza),
        }
    }
}

/// Asks a room, where it lives, until it is settled. A node whose answer is lost may have kept what
/// it was asked: then a refusal for now is none, and the room is asked until it knows (D5).
async fn settle(
    world: &World,
    room: &BareJid,
    question: impl Fn() -> Question,
    hand: impl Fn(oneshot::Sender<Settled>),
) -> Settled {
    let deadline = Instant::now() + PATIENCE;
    let (mut failures, mut may_be_kept) = (0, false);
    while Instant::now() < deadline {
        let there = world.directory.peers();
        let there = there.and_then(|peers| Some((peers, peers.home(room)?)));
        let settled = match there {
            Some((peers, node)) => {
                let reply = peers.ask(node, question(), PATIENCE).await;
                may_be_kept |= reply.is_none();
                settled(reply)
            }
            None => {
                failures += 1;
                settle_here(&hand).await
            }
        };
        match settled {
            Some(settled) if may_be_kept && is_for_now(&settled) => {
                failures = 0;
                sleep(UNTIL_KNOWN).await;
            }
            Some(settled) => return settled,
            None if failures >= ATTEMPTS => {
                tracing::error!(%room, "a room ends each time it is asked this");
                return Settled::Refused(StanzaError::internal_server_error());
            }
            None => sleep(PAUSE).await,
        }
    }
    Settled::Uncertain
}

/// Whether it is a refusal that may be none a little later.
fn is_for_now(settled: &Settled) -> bool {
    match settled {
        Settled::Refused(error) => error.kind == ErrorKind::Wait,
        Settled::Replied(reply) => {
            let error = reply.payloads().element("error", ns::CLIENT);
            error.is_some_and(|it| it.get("type") == Some("wait"))
        }
        Settled::Done | Settled::Uncertain => false,
    }
}

/// Asks a room here once; nothing: it has ended meanwhile.
async fn settle_here(hand: impl FnOnce(oneshot::Sender<Settled>)) -> Option<Settled> {
    let (reply, settled) = oneshot::channel();
    hand(reply);
    match timeout(PATIENCE, settled).await {
        Ok(settled) => settled.ok(),
        Err(_) => Some(Settled::Uncertain),
    }
}

fn end(world: &World, room: &BareJid, end: RoomEnd) {
    match world.directory.room(room.as_str()) {
        Some(place) => drop(place.actor.cast(RoomMsg::Destroy(end))),
        None => {
            let room = room.clone();
            let keeper = world.registry.room_keeper();
            drop(keeper.cast(KeeperMsg::Destroy { room, end }));
        }
    }
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
