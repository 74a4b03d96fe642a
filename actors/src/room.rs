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
mod hydrate;
mod keep;
pub mod keeper;
mod message;
mod perform;
mod post;
mod service;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use klatsch_protocol::features::muc::effect::{Keep, Load, Occupancy, RoomEffect, Save};
use klatsch_protocol::features::muc::facts::RoomFacts;
use klatsch_protocol::features::muc::owner;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{Presence, PresenceKind, Stanza};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

pub use self::message::{Answered, RoomAsk, RoomEnd, RoomKept, RoomMsg, Settled};
use crate::mail::RoomMail;
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
    inbox: VecDeque<Received>,
    steps: VecDeque<Step>,
    /// All that is under way are messages to all.
    overlaps: bool,
    decisions: u8,
    /// What tells the stanza being dealt with if it has no id (D2).
    counted: Option<Box<str>>,
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
    /// What the one may do who enters a room that is not there.
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
            RoomMsg::Gone(session) => live.receive(Received::Gone(session)),
            RoomMsg::Hydrated(record) => live.hydrated(record),
            RoomMsg::Answered(answered) => live.answered(*answered),
            RoomMsg::Kept(ticket, kept) => live.kept(ticket, kept),
            RoomMsg::Regathered => live.regathered(),
            RoomMsg::Rejoined => live.is_rejoining = false,
            RoomMsg::Tick => live.receive(Received::Tick),
            RoomMsg::Beat(id, is_last) => live.say_again(id, is_last),
            RoomMsg::Rest(activity) => live.rest(activity),
            RoomMsg::Reread(account) => live.receive(Received::Reread(account)),
            RoomMsg::Destroy(end) => live.receive(Received::Destroy(end)),
            RoomMsg::Inspect(reply) => live.inspect(reply),
        }
        live.show();
        Ok(())
    }
}

impl Live {
    /// Takes something to decide.
    fn receive(&mut self, received: Received) {
        // Whoever asks a room that is being put away asks again and finds its successor.
        if !self.is_closing {
            self.inbox.push_back(received);
            self.drive();
        }
    }

    /// Goes on until something has to be waited for.
    fn drive(&mut self) {
        self.activity = self.activity.wrapping_add(1);
        loop {
            self.carry_out();
            if !self.may_decide() {
                break;
            }
            let Some(received) = self.inbox.pop_front() else {
                break;
            };
            self.decide(received);
        }
        self.look_for_rest();
    }

    fn may_decide(&self) -> bool {
        if matches!(self.stage, Stage::Loading) || self.is_regathering {
            return false;
        }
        self.steps.is_empty() || self.overlaps && self.inbox.front().is_some_and(can_overlap)
    }

    fn decide(&mut self, received: Received) {
        let overlaps = can_overlap(&received) && matches!(self.stage, Stage::Here(_));
        self.overlaps = overlaps;
        self.decisions = 1;
        match received {
            Received::Ask(ask) => {
                let ask = *ask;
                self.believe(&ask);
                self.counted.clone_from(&ask.counted);
                let effects = self.decide_stanza(&ask.stanza);
                self.plan(effects, overlaps, ask.counted.as_deref());
                self.steps.push_back(Step::Settle(ask.reply, Settled::Done));
            }
            Received::Stanza(stanza) => {
                let effects = self.decide_stanza(&stanza);
                self.plan(effects, overlaps, None);
            }
            Received::Gone(session) => {
                let effects = self.with_room(|room, _| room.gone(&session));
                self.plan(effects, false, None);
            }
            Received::Reread(account) => self.reread(&account),
            Received::Destroy(end) => {
                let reason = end.reason.as_deref();
                let effects = self.with_room(|room, _| room.destroy_by_operator(reason));
                self.plan(effects, false, None);
                self.steps.push_back(Step::Settle(end.reply, Settled::Done));
            }
            Received::Tick => {
                let effects = self.with_room(|room, facts| room.tick(facts));
                self.plan(effects, false, None);
            }
        }
    }

    /// A session that is inside says so with what it sends, should it be known no more.
    fn believe(&mut self, ask: &RoomAsk) {
        let session = ask.stanza.from().and_then(|from| from.to_full());
        if let (true, Some(session), Some(occupancy)) = (self.is_rejoining, session, &ask.occupancy)
        {
            self.take_back(&session, occupancy);
        }
    }

    fn decide_stanza(&mut self, stanza: &Stanza) -> Vec<RoomEffect> {
        match &self.stage {
            Stage::Here(_) => self.with_room(|room, facts| room.decide(stanza, facts)),
            _ if is_entry(stanza) => {
                self.ask_creator(stanza);
                Vec::new()
            }
            _ => owner::decide_absent(&self.jid, stanza),
        }
    }

    /// Puts effects at the end of what is to be carried out. Messages are given to the log
    /// writer at once when all before them are with it too.
    fn plan(&mut self, effects: Vec<RoomEffect>, overlaps: bool, counted: Option<&str>) {
        for effect in effects {
            let step = match effect {
                RoomEffect::Keep(keep) if overlaps => self.start_keeping(keep, counted),
                effect => Step::Effect(effect),
            };
            self.steps.push_back(step);
        }
    }

    /// Puts effects where the one was that has been waited for.
    fn prepend(&mut self, effects: Vec<RoomEffect>) {
        let steps = effects.into_iter().rev().map(Step::Effect);
        steps.for_each(|step| self.steps.push_front(step));
    }

    /// Carries out what can be, up to what has to be waited for.
    fn carry_out(&mut self) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                waiting @ (Step::Waiting(_) | Step::Keeping(..)) => {
                    self.steps.push_front(waiting);
                    return;
                }
                Step::Effect(effect) => self.perform(effect),
                Step::Kept(keep, kept) => self.settle_keep(*keep, kept),
                // Whoever asked may have gone.
                Step::Settle(reply, settled) => drop(reply.send(settled)),
            }
        }
    }

    /// Decides something with the room, if it is there.
    fn with_room(
        &mut self,
        decide: impl FnOnce(&mut Room, &RoomFacts<'_>) -> Vec<RoomEffect>,
    ) -> Vec<RoomEffect> {
        let facts = facts(&self.world);
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

    /// A session that was inside before the room failed is inside.
    fn rejoin(&mut self, session: FullJid, occupancy: Box<Occupancy>) {
        match self.stage {
            Stage::Loading => self.rejoining.push((session, occupancy)),
            Stage::Here(_) => self.take_back(&session, &occupancy),
            // A new room that waited for its owner's form is remembered nowhere.
            Stage::Absent => self.tell(&[session], RoomMail::Remember(self.jid.clone(), None)),
        }
    }

    fn take_back(&mut self, session: &FullJid, occupancy: &Occupancy) {
        let is_inside = |room: &Room| room.occupants().of_session(session).is_some();
        if !self.is_rejoining || self.room().is_none_or(is_inside) {
            return;
        }
        let effects = self.with_room(|room, facts| room.rejoin(session, occupancy, false, facts));
        self.plan(effects, false, None);
        self.drive();
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
}

impl Drop for Live {
    fn drop(&mut self) {
        metrics::room_ended(i64::from(self.inside.swap(0, Ordering::Relaxed)));
    }
}

fn can_overlap(received: &Received) -> bool {
    matches!(received, Received::Ask(ask) if Room::can_overlap(&ask.stanza))
}

fn is_entry(stanza: &Stanza) -> bool {
    let Stanza::Presence(Presence { head, kind, .. }) = stanza else {
        return false;
    };
    *kind == PresenceKind::Available && head.to.as_ref().is_some_and(|to| !to.is_bare())
}

/// What a decision may know, with randomness of its own.
fn facts(world: &World) -> RoomFacts<'_> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system has randomness");
    RoomFacts {
        now: world.now(),
        settings: &world.settings.rooms,
        archive: world.host.archive,
        random,
    }
}
