//! One room with whoever is in it: XEP-0045.
//!
//! Owns: who is inside, and the order in which the room decides. Does not own: what is
//! remembered of the room and its log (the store does), nor the sessions inside. Restarted by:
//! [`keeper`]. On restart: reads its record from the store; sessions say that they are inside.
//!
//! Effects are carried out strictly in order; one that waits (a commit, a change, a query)
//! holds back all that were decided after it. Messages to all may be decided while others are
//! being kept, so that many are committed together; everything else waits its turn. Nobody
//! waits for an occupant: what a slow one misses stands in the room's log.

pub mod ask;
mod decide;
mod departed;
mod fullest;
mod hydrate;
mod keep;
pub mod keeper;
mod lately;
pub(crate) mod left_behind;
mod message;
mod perform;
mod post;
mod rejoin;
mod service;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use klatsch_protocol::features::muc::effect::{Keep, Load, Occupancy, RoomEffect, Save};
use klatsch_protocol::features::muc::facts::RoomFacts;
use klatsch_protocol::features::muc::nick::Nick;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::features::muc::service::RoomSummary;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use self::departed::Departed;
use self::lately::Lately;
pub use self::message::{Answered, RoomAsk, RoomEnd, RoomKept, RoomMsg, Settled, Word};
use crate::metrics;
use crate::world::World;

/// A room nobody is in stays at hand for so long: people who come and go find it warm.
const IDLE: Duration = Duration::from_secs(60);

/// A room that is started again decides nothing for so long, while the sessions inside say so.
const REGATHERING: Duration = Duration::from_millis(200);

/// Sessions that were slow to say so are believed for so long.
const REJOINING: Duration = Duration::from_secs(30);

/// The actor.
pub struct RoomActor;

/// What a room is started with.
pub struct Arguments {
    /// Handles.
    pub world: Arc<World>,
    /// Its address.
    pub jid: BareJid,
    /// How many are inside, for all to read.
    pub occupants: Arc<AtomicU32>,
    /// It failed, and there may be sessions that believe to be inside.
    pub again: bool,
}

/// A room at work.
pub struct Live {
    world: Arc<World>,
    me: ActorRef<RoomMsg>,
    jid: BareJid,
    inside: Arc<AtomicU32>,
    stage: Stage,
    /// Sessions that say so are inside.
    is_rejoining: bool,
    /// Nothing is decided until the sessions inside have said so.
    is_regathering: bool,
    /// Those who said so before it was known what is remembered.
    rejoining: Vec<(FullJid, Box<Occupancy>)>,
    /// Who has left lately and when: what another node says of them may be late.
    departed: Departed,
    lately: Lately,
    inbox: VecDeque<Received>,
    steps: VecDeque<Step>,
    /// All that is under way are messages to all.
    overlaps: bool,
    decisions: u8,
    /// What tells the stanza being dealt with if it has no id (D2).
    counted: Option<Box<str>>,
    /// Whoever has sent it administers the domain, which was asked for.
    is_steward: bool,
    tickets: u64,
    /// The last entry of the log that was told, and whether nobody waits to say it again.
    told: Option<u64>,
    is_said_again: bool,
    /// Counts what was done, to see whether nothing was.
    activity: u64,
    is_closing: bool,
}

/// What is known of the room.
enum Stage {
    /// The store has been asked.
    Loading,
    /// There is no such room.
    Absent,
    /// The store does not say whether there is.
    Unread,
    /// It is there.
    Here(Box<Room>),
}

/// Something to decide.
enum Received {
    Ask(Box<RoomAsk>),
    /// A stanza nobody waits for.
    Stanza(Stanza),
    /// A session is gone.
    Gone(FullJid),
    /// Another node shows a session as an occupant.
    Merge(FullJid, Box<Occupancy>, Word),
    /// These sessions may have missed presence for such a time.
    CatchUp(Vec<FullJid>, Duration),
    /// These sessions may have been told something wrong of these nicks.
    ShowAgain(Vec<FullJid>, Vec<Nick>),
    /// The room lives on another node now.
    Yield,
    /// What this account is to the room may have changed in the store.
    Reread(BareJid),
    /// An operator ends the room.
    Destroy(RoomEnd),
    /// A new room may have waited for its owner's form for long enough.
    Tick,
}

/// Something decided.
enum Step {
    /// To be carried out.
    Effect(RoomEffect),
    /// With the log writer, under this number.
    Keeping(u64, Box<Keep>),
    /// The log writer has answered.
    Kept(Box<Keep>, RoomKept),
    /// Under way; the answer comes as [`RoomMsg::Answered`].
    Waiting(Wait),
    /// All of a stanza's effects have been carried out.
    Settle(oneshot::Sender<Settled>, Settled),
}

/// What is waited for.
enum Wait {
    /// What the one may do who enters a room that is not there, or manages one that nobody owns.
    Creator(Box<Stanza>),
    Load(Box<Load>),
    Save(Box<Save>),
    /// The record, which somebody else has changed.
    Reload(Box<Save>),
    /// The record, which the store may have changed.
    Reread,
    /// The room's end.
    Vanish,
}

impl Actor for RoomActor {
    type Msg = RoomMsg;
    type State = Live;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<RoomMsg>,
        arguments: Arguments,
    ) -> Result<Live, ActorProcessingErr> {
        Ok(Live::new(arguments, me))
    }

    async fn handle(
        &self,
        _me: ActorRef<RoomMsg>,
        message: RoomMsg,
        live: &mut Live,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RoomMsg::Ask(ask) => live.receive(Received::Ask(ask)),
            RoomMsg::Rejoin(session, occupancy) => live.rejoin(session, occupancy),
            RoomMsg::Merge(session, occupancy, word) => live.hear_of(session, occupancy, word),
            RoomMsg::Gone(session) => live.receive(Received::Gone(session)),
            RoomMsg::CatchUp(sessions, time) => live.receive(Received::CatchUp(sessions, time)),
            RoomMsg::ShowAgain(sessions, nicks) => {
                live.receive(Received::ShowAgain(sessions, nicks));
            }
            RoomMsg::Yield => live.go_home(),
            RoomMsg::CallRoll => live.call_roll(),
            RoomMsg::Hydrated(record) => live.hydrated(record),
            RoomMsg::Answered(answered) => live.answered(*answered),
            RoomMsg::Kept(ticket, kept) => live.kept(ticket, kept),
            RoomMsg::Regathered => live.regathered(),
            RoomMsg::Rejoined => live.is_rejoining = false,
            RoomMsg::ShowAll(sessions) => live.show_all(sessions),
            RoomMsg::ShowLatest => live.show_latest(),
            RoomMsg::Tick => live.receive(Received::Tick),
            RoomMsg::Beat(id, is_last) => live.say_again(id, is_last),
            RoomMsg::Rest(activity) => live.rest(activity),
            RoomMsg::Reread(account) => live.receive(Received::Reread(account)),
            RoomMsg::Destroy(end) => live.receive(Received::Destroy(end)),
            RoomMsg::Inspect(reply) => live.inspect(reply),
            RoomMsg::Summarize(reply) => live.summarize(reply),
        }
        live.show();
        Ok(())
    }
}

impl Live {
    /// Decides something with the room, if it is there.
    fn with_room(
        &mut self,
        decide: impl FnOnce(&mut Room, &RoomFacts<'_>) -> Vec<RoomEffect>,
    ) -> Vec<RoomEffect> {
        let facts = RoomFacts {
            is_steward: self.is_steward,
            ..facts(&self.world)
        };
        match &mut self.stage {
            Stage::Here(room) => decide(room, &facts),
            _ => Vec::new(),
        }
    }

    fn room(&self) -> Option<&Room> {
        match &self.stage {
            Stage::Here(room) => Some(room),
            _ => None,
        }
    }

    /// Says how many are inside.
    fn show(&self) {
        let count = self.room().map_or(0, |room| room.occupants().sessions());
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let before = self.inside.swap(count, Ordering::Relaxed);
        metrics::room_occupants(i64::from(count) - i64::from(before));
    }

    fn inspect(&self, reply: oneshot::Sender<Option<Box<Room>>>) {
        let room = self.room().filter(|room| !room.is_locked());
        // Whoever asked may have gone.
        let _ = reply.send(room.cloned().map(Box::new));
    }

    fn summarize(&self, reply: oneshot::Sender<Option<RoomSummary>>) {
        // Whoever asked may have gone.
        let _ = reply.send(self.room().and_then(Room::summary));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        metrics::room_ended(i64::from(self.inside.swap(0, Ordering::Relaxed)));
    }
}

/// What a decision may know, with randomness of its own.
fn facts(world: &World) -> RoomFacts<'_> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system has randomness");
    RoomFacts {
        now: world.now(),
        settings: &world.settings.rooms,
        archive: world.host.archive,
        is_steward: false,
        random,
    }
}
