//! One bound resource; it outlives its connection.
//!
//! Owns: the session's counters, cursor and what waits for its client. Does not own: the
//! socket (the gateway does), the log (the store does), who else is there (the presence shard
//! does). Restarted by: nobody; a session that fails ends its stream, and its client comes
//! back. On its end, however it ends: its contacts see it unavailable and its name is free.
//!
//! What the client sends is decided strictly in order, one stanza at a time; messages that
//! follow each other are committed together. What waits (a commit, a query, a change) holds
//! back what the client sent behind it, and nothing else: mail is delivered meanwhile.

mod acks;
mod batch;
mod contacts;
mod cursor;
mod doze;
mod handover;
mod held;
mod inbound;
mod life;
mod log;
mod message;
mod outbound;
mod perform;
mod refused;
mod rooms;
mod tail_checks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::facts::{Resource, SessionFacts};
use klatsch_protocol::features::presence::wish::laid_over;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::stream::Wishes;
use klatsch_protocol::stream::sm::Sm;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub use self::cursor::Cursor;
pub use self::life::Resumables;
pub use self::message::{
    Answered, Departing, Detach, Heir, Left, Peer, Pressure, ResumeAnswer, Resumption, SessionMsg,
    Sink, Successor,
};
pub use self::rooms::Membership;
use crate::accounts::AccountCell;
use crate::session::batch::Batch;
use crate::session::contacts::Contacts;
use crate::session::doze::Doze;
use crate::session::handover::Parting;
use crate::session::held::Held;
use crate::session::inbound::{Current, Received};
use crate::session::life::begin_sm;
use crate::session::refused::Refused;
use crate::session::tail_checks::TailChecks;
use crate::slot::Slot;
use crate::strain::Charge;
use crate::world::World;

/// A session as data: what is handed over when another node goes on with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// What it knows of itself.
    pub facts: SessionFacts,
    /// Its counters, once its client has asked for them.
    pub sm: Option<Sm>,
    /// How far it has read its account's log.
    pub cursor: Cursor,
    /// The rooms it is in.
    pub rooms: BTreeMap<BareJid, Membership>,
}

/// A session may be behind its account's log for so long; then it ends, and its client begins
/// with another. Nobody reads so slowly who reads at all, and entries that no archive shows
/// (XEP-0441) go a day after delivery: twice as long, and [`RESUME_SECONDS_MAX`] besides.
const LAG_MAX: Duration = Duration::from_secs(12 * 3600);

/// What is left of it after a restart of the server, which forgets since when a session is behind.
const LAG_AFTER_RESTART: Duration = Duration::from_secs(3600);

/// A lost session may wait so long at most, for the same reason.
pub const RESUME_SECONDS_MAX: u64 = 10 * 3600;

/// The actor.
pub struct SessionActor;

impl Session {
    /// A session that has just been bound: what its client wishes it to be, and where the
    /// account's log ended.
    pub fn new(jid: FullJid, wishes: Wishes, head: u64) -> Self {
        Self {
            facts: SessionFacts {
                carbons: wishes.carbons,
                inactive: wishes.inactive,
                ..SessionFacts::new(jid)
            },
            sm: wishes.sm.map(begin_sm),
            cursor: Cursor::at(head),
            rooms: BTreeMap::new(),
        }
    }

    /// What is seen of it, with what its account wishes; `is_away`: its client may come back.
    pub(crate) fn resource(&self, cell: &AccountCell, is_away: bool) -> Resource {
        let facts = &self.facts;
        let data = cell.data();
        let presence = facts.presence.as_deref();
        let presence = presence.map(|presence| Arc::new(laid_over(presence, data.wish.as_ref())));
        Resource {
            jid: facts.jid.clone(),
            priority: presence.as_ref().map_or(0, |it| it.priority()),
            presence,
            carbons: facts.carbons,
            roster_interest: facts.roster_interest,
            blocklist_interest: facts.blocklist_interest,
            is_away,
        }
    }

    /// Tells whether its client may come back to it.
    pub fn is_resumable(&self) -> bool {
        self.previd().is_some()
    }

    /// The id by which its client comes back to it (XEP-0198 §5).
    pub fn previd(&self) -> Option<&str> {
        let sm = self.sm.as_ref().filter(|sm| sm.is_resumable());
        sm.map(|sm| sm.id.as_str())
    }
}

/// A session whose client is away: all there is to go on with, on this node or another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The session.
    pub session: Session,
    /// What was held back from its client, oldest first.
    pub held: Vec<Stanza>,
}

/// What a session is started with.
pub struct Arguments {
    /// Handles.
    pub world: Arc<World>,
    /// Where it is found.
    pub slot: Slot,
    /// Its account.
    pub cell: Arc<AccountCell>,
    /// What it is.
    pub session: Session,
    /// How it begins.
    pub beginning: Beginning,
}

/// How a session begins.
pub enum Beginning {
    /// Bound over this connection.
    Bound(Arc<dyn Sink>),
    /// Without a client: it waits for it, with what was held back from it.
    Waiting(Vec<Stanza>),
}

/// A session at work: the data and what animates it.
pub struct Live {
    world: Arc<World>,
    slot: Slot,
    cell: Arc<AccountCell>,
    session: Session,
    connection: Connection,
    /// How many connections it has had before this one: what comes from an old one, or from
    /// a timer of an old one, means nothing.
    connections: u32,
    tail_checks: TailChecks,
    /// When its client had everything, for the last time.
    caught_up: Instant,
    pushes: u32,
    /// What the client has been told to be handled.
    told: u32,
    /// What other nodes know to be handled.
    known: Option<u32>,
    /// What a client that comes back is told once they know it.
    asked: Option<u32>,
    /// It has come from another node, and what was for it there since then may be lost.
    inherited: Option<Instant>,
    /// It has become available and not everybody sees it yet.
    is_appearing: bool,
    /// A client that has come back and waits for its answer.
    resumption: Option<Box<Resumption>>,
    /// Who takes the name when this session has ended.
    successor: Option<oneshot::Sender<()>>,
    /// Who takes the session over once everything its client has sent is dealt with.
    heir: Option<Heir>,
    /// It is being handed over, and its client does not know yet.
    parting: Option<Parting>,
    inbox: VecDeque<Received>,
    current: Option<Box<Current>>,
    batch: Batch,
    refused: Refused,
    held: Held,
    doze: Doze,
    contacts: Contacts,
    /// The bytes of what is unacknowledged or held back.
    kept: Charge,
    pull: Pull,
    /// Rooms whose logs are being read.
    room_pulls: BTreeSet<BareJid>,
    /// Its client has gone for good: it ends when what the client has sent is dealt with.
    is_closing: bool,
    has_ended: bool,
}

/// Where the client is.
enum Connection {
    /// A connection has come and is not to be written to yet.
    Arriving(Arc<dyn Sink>),
    /// There.
    Here(Arc<dyn Sink>),
    /// Lost; it may come back.
    Away,
}

/// Whether the log is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pull {
    /// No.
    #[default]
    Idle,
    /// A page is on its way.
    UnderWay,
}

impl Actor for SessionActor {
    type Msg = SessionMsg;
    type State = Live;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _me: ActorRef<SessionMsg>,
        arguments: Arguments,
    ) -> Result<Live, ActorProcessingErr> {
        Ok(Live::new(arguments))
    }

    async fn handle(
        &self,
        me: ActorRef<SessionMsg>,
        message: SessionMsg,
        live: &mut Live,
    ) -> Result<(), ActorProcessingErr> {
        #[cfg(feature = "broken")]
        crate::broken::panic_now_and_then(crate::broken::Fragile::Session);
        match message {
            SessionMsg::Inbound(fragment, credit, connection) => {
                live.receive(*fragment, credit, connection);
            }
            SessionMsg::Mail(mail) => live.take_mail(*mail),
            SessionMsg::Committed(committed, share) => live.take_hint(&committed, share),
            SessionMsg::Room(mail) => live.take_room_mail(&mail),
            SessionMsg::Shifted(shifts, book) => live.take_shifts(shifts, book),
            SessionMsg::RoomPulled(room, page) => live.room_pulled(&room, page),
            SessionMsg::Announce(room) => live.announce(room.as_ref()),
            SessionMsg::Appended(batch, outcomes) => live.appended(batch, outcomes),
            SessionMsg::Answered(answered) => live.answered(*answered),
            SessionMsg::Pulled(page) => live.pulled(page),
            SessionMsg::Tail(head) => live.take_tail(head),
            SessionMsg::Writable => live.go_on_reading(),
            SessionMsg::Start(connection) => live.start(connection),
            SessionMsg::Resume(resumption) => live.resume(*resumption),
            SessionMsg::Detach(how, connection) => live.detach(how, connection),
            SessionMsg::ResumeExpired(connection) => live.expire(connection),
            SessionMsg::Replace(successor) => live.replace(successor),
            SessionMsg::Known(ack) => live.be_known(ack),
            SessionMsg::GoesOn { since, has_gone } => live.go_on(since, has_gone),
            SessionMsg::Superseded => live.be_superseded(),
            SessionMsg::LetGo(bytes) => live.let_go(bytes),
            SessionMsg::End(error) => live.end(Some(error)),
            SessionMsg::Leave(error, ended) => live.leave(error, ended),
            SessionMsg::HandOver(error, heir) => live.hand_over_to(error, heir),
            SessionMsg::Depart => live.depart(),
            SessionMsg::Left(left) => live.has_left(left),
            SessionMsg::Inspect(reply) => live.inspect(reply),
        }
        live.weigh();
        if live.has_ended {
            me.stop(None);
        }
        Ok(())
    }
}
