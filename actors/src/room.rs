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
mod service;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use klatsch_protocol::features::muc::effect::{Keep, Load, Occupancy, RoomEffect, Save};
use klatsch_protocol::features::muc::facts::RoomFacts;
use klatsch_protocol::features::muc::nick::Nick;
use klatsch_protocol::features::muc::owner;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::features::muc::service::RoomSummary;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{Presence, PresenceKind, Stanza};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio::time::sleep;

use self::departed::Departed;
use self::lately::Lately;
pub use self::message::{Answered, RoomAsk, RoomEnd, RoomKept, RoomMsg, Settled, Word};
use crate::absence::SHOWN_BY;
use crate::mail::RoomMail;
use crate::metrics;
use crate::world::World;

/// A room nobody is in stays at hand for so long: people who come and go find it warm.
const IDLE: Duration = Duration::from_secs(60);

/// A room that is started again decides nothing for so long, while the sessions inside say so.
const REGATHERING: Duration = Duration::from_millis(200);

/// When another half of the room is told whom this one has taken for gone: by the last time all
/// nodes know of each other.
const SAID_AGAIN_AFTER: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(4),
];

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

/// Whoever came in before a room moved, and so shortly before, may not have been shown to all:
/// more than a node takes to be given up, and than clocks are apart.
const UNSEEN_MAX: Duration = Duration::from_secs(60);

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
    /// Takes something to decide.
    fn receive(&mut self, received: Received) {
        // Whoever asks a room that is being put away asks again and finds its successor.
        if !self.is_closing {
            self.inbox.push_back(received);
            self.drive();
        }
    }

    /// The room goes to where it lives: after what waits before that, or at once while nothing can
    /// be decided, for whoever waits asks there.
    fn go_home(&mut self) {
        match self.stage {
            Stage::Loading if !self.is_closing => {
                self.close();
                self.drive();
            }
            _ => self.receive(Received::Yield),
        }
    }

    /// Goes on until something has to be waited for.
    fn drive(&mut self) {
        self.activity = self.activity.wrapping_add(1);
        loop {
            self.carry_out();
            if self.is_closing {
                // Whoever waits asks again. What this node thought of the others it need not say
                // any more: they are back.
                self.inbox.clear();
                break;
            }
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
        self.is_steward = false;
        match received {
            Received::Ask(ask) => {
                let ask = *ask;
                self.believe(&ask);
                self.counted.clone_from(&ask.counted);
                let mut effects = self.decide_stanza(&ask.stanza);
                if matches!(*ask.stanza, Stanza::Presence(_)) {
                    self.stay_while_cut_off(&mut effects);
                }
                let refusal = keep::take_refusal(&mut effects, &ask.stanza);
                let settled = refusal.map_or(Settled::Done, |it| Settled::Replied(Box::new(it)));
                self.plan(effects, overlaps, ask.counted.as_deref());
                self.steps.push_back(Step::Settle(ask.reply, settled));
            }
            Received::Stanza(stanza) => {
                let effects = self.decide_stanza(&stanza);
                self.plan(effects, overlaps, None);
            }
            // Word from the node it has left may be late.
            Received::Gone(session) if self.is_elsewhere(&session) => {}
            Received::Gone(session) => {
                let nick = self.room().and_then(|room| room.nick_of(session.as_jid()));
                let mut effects = self.with_room(|room, _| room.gone(&session));
                if self.world.directory.replica().is_some() {
                    nick.into_iter().for_each(|it| self.lately.note_gone(it));
                    // It is not there to hear it, and if it comes back it is inside.
                    let is_word = |it: &RoomEffect| matches!(it, RoomEffect::Forget(..));
                    effects.retain(|effect| !is_word(effect));
                }
                self.stay_while_cut_off(&mut effects);
                self.plan(effects, false, None);
            }
            Received::Merge(session, occupancy, word) => self.merge(&session, &occupancy, word),
            Received::CatchUp(sessions, time) => {
                let nicks = self.lately.within(time);
                self.show_again(&sessions, &nicks);
            }
            Received::ShowAgain(sessions, nicks) => self.show_again(&sessions, &nicks),
            // What was decided before is carried out; whoever asks from here on asks there.
            Received::Yield => {
                self.take_back_farewells();
                self.close();
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
        if let (Some(session), Some(occupancy)) = (session, &ask.occupancy) {
            match self.world.directory.replica() {
                Some(_) => self.merge(&session, occupancy, Word::Said),
                None => self.take_back(&session, occupancy),
            }
        }
    }

    fn decide_stanza(&mut self, stanza: &Stanza) -> Vec<RoomEffect> {
        match &self.stage {
            Stage::Here(room) if room.wants_steward(stanza) => {
                self.ask_creator(stanza);
                Vec::new()
            }
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

    /// A session that was inside before the room failed is inside; where there are other nodes, one
    /// may have come to this one from behind a cut.
    fn rejoin(&mut self, session: FullJid, occupancy: Box<Occupancy>) {
        let has_others = self.world.directory.replica().is_some();
        match self.stage {
            Stage::Loading => self.rejoining.push((session, occupancy)),
            Stage::Here(_) if has_others => self.hear_of(session, occupancy, Word::Said),
            Stage::Here(_) => self.take_back(&session, &occupancy),
            // A new room that waited for its owner's form is remembered nowhere.
            Stage::Absent => self.tell(&[session], RoomMail::Remember(self.jid.clone(), None)),
            Stage::Unread => {}
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

    /// A room that nobody is in any more ends (XEP-0045 §7.14). While a node cannot be reached,
    /// somebody may be inside there: then it stays, and is looked after later.
    fn stay_while_cut_off(&self, effects: &mut Vec<RoomEffect>) {
        let peers = self.world.directory.peers();
        let is_cut_off = peers.is_some_and(|peers| peers.members().misses_somebody());
        if is_cut_off && self.room().is_some_and(|room| !room.is_locked()) {
            effects.retain(|effect| *effect != RoomEffect::Vanish);
        }
    }

    fn call_roll(&mut self) {
        let directory = &self.world.directory;
        let is_nowhere = |jid: &&FullJid| {
            let is_ours = self.world.host.serves(jid.domain());
            is_ours && directory.place(jid).is_none()
        };
        let occupants = self.room().map(Room::occupants);
        let sessions = occupants.into_iter().flat_map(|it| it.iter());
        let sessions = sessions.flat_map(|occupant| occupant.jids());
        let gone: Vec<FullJid> = sessions.filter(is_nowhere).cloned().collect();
        gone.into_iter()
            .for_each(|it| self.receive(Received::Gone(it)));
    }

    /// A session has gone on on another node, or is back: that node shows it as an occupant.
    fn is_elsewhere(&self, session: &FullJid) -> bool {
        let directory = &self.world.directory;
        let replica = directory.replica();
        replica.is_some_and(|it| it.is_inside(&self.jid, session))
            && directory.place(session).is_some()
    }

    /// The room has moved, or was started again: who came in a moment before may not have been
    /// shown to everybody.
    fn show_latest(&mut self) {
        let (Some(room), Some(_)) = (self.room(), self.world.directory.peers()) else {
            return;
        };
        let since = self.world.now();
        let lately = |nick: &Nick| {
            let joined = room.joined(nick);
            joined.is_some_and(|joined| joined.plus(UNSEEN_MAX) > since)
        };
        let occupants = room.occupants().iter();
        let nicks: Vec<Nick> = occupants.map(|it| it.nick.clone()).filter(lately).collect();
        if nicks.is_empty() {
            return;
        }
        let sessions: Vec<FullJid> = keep::everybody(room);
        for session in sessions {
            let effects = self.with_room(|room, _| room.show_again(&session, &nicks));
            self.plan(effects, false, None);
        }
        self.drive();
    }

    fn show_again(&mut self, sessions: &[FullJid], nicks: &[Nick]) {
        for session in sessions {
            let effects = self.with_room(|room, _| room.show_again(session, nicks));
            self.plan(effects, false, None);
        }
    }

    /// The room goes to its home. When two nodes did not hear each other and both had it, this
    /// half took whoever was beyond the cut for gone, and has told so also those whose node
    /// heard both. The other half knows whom it has.
    fn take_back_farewells(&self) {
        let nicks = self.lately.gone();
        if let (Some(room), false) = (self.room(), nicks.is_empty()) {
            let sessions = keep::everybody(room);
            tokio::spawn(have_shown(
                self.world.clone(),
                self.jid.clone(),
                sessions,
                nicks,
            ));
        }
    }

    /// Another node shows a session as an occupant: in its turn, for one that has gone from a
    /// node may be on another by now.
    fn hear_of(&mut self, session: FullJid, occupancy: Box<Occupancy>, word: Word) {
        match self.stage {
            Stage::Loading => self.rejoining.push((session, occupancy)),
            _ => self.receive(Received::Merge(session, occupancy, word)),
        }
    }

    /// A session that another node shows as an occupant is one. That is news when the room was
    /// in two halves: then it hears who else is there, and they of it.
    fn merge(&mut self, session: &FullJid, occupancy: &Occupancy, word: Word) {
        let is_inside = |room: &Room| room.occupants().of_session(session).is_some();
        if word == Word::Conflict && self.room().is_some_and(is_inside) {
            self.hear_of_stranger(session);
        }
        // Whoever was cut off has not left.
        let is_late = word != Word::Back && self.departed.is_late(session, occupancy);
        if is_late || self.room().is_none_or(is_inside) {
            return;
        }
        let is_news = !self.is_rejoining;
        let effects = self.with_room(|room, facts| room.rejoin(session, occupancy, is_news, facts));
        self.plan(effects, false, None);
    }

    /// Another node has a session of this name, which may have begun anew in another half of the
    /// room. Until that node shows where it is, what it is shown goes where it was.
    fn hear_of_stranger(&self, session: &FullJid) {
        let peers = self.world.directory.peers();
        if peers.is_some_and(|peers| peers.were_cut_lately()) {
            let session = session.clone();
            self.me
                .send_after(SHOWN_BY, || RoomMsg::ShowAll(vec![session]));
        }
    }

    /// These may have seen another half of the room alone.
    fn show_all(&mut self, sessions: Vec<FullJid>) {
        let occupants = self.room().map(Room::occupants);
        let nicks = occupants.into_iter().flat_map(|it| it.iter());
        let nicks = nicks.map(|occupant| occupant.nick.clone()).collect();
        self.receive(Received::ShowAgain(sessions, nicks));
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

/// Has the room show what is true of these nicks, wherever it is. Nodes that come back one after
/// the other do not agree at once where that is, so it is said some times.
async fn have_shown(world: Arc<World>, room: BareJid, sessions: Vec<FullJid>, nicks: Vec<Nick>) {
    for pause in SAID_AGAIN_AFTER {
        sleep(pause).await;
        let Some(peers) = world.directory.peers() else {
            return;
        };
        if let Some(home) = peers.home(&room) {
            peers.show_again(home, room.clone(), sessions.clone(), &nicks);
        } else if let Some(place) = world.directory.room(room.as_str()) {
            // A room that begins shows everybody to its occupants.
            let shown = RoomMsg::ShowAgain(sessions.clone(), nicks.clone());
            let _ = place.actor.cast(shown);
        }
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
        is_steward: false,
        random,
    }
}
