//! Group commit: messages in, ids out.
//!
//! Owns: the order in which this node's messages reach the store. Does not own: the order in
//! the logs (the store allots the ids), nor the messages' sessions. Restarted by:
//! [`crate::supervisor`]. On restart: nothing is left; sessions that wait for an answer get
//! none, close their streams after 30 s, and the clients' replays settle it (D5).
//!
//! While one batch is being committed the next one gathers, so batches are as small as the
//! load allows. Hints go out in the order of the commits, before the sender is answered.

mod rooms;

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::archive::Direction;
use klatsch_protocol::features::delay;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::{ErrorKind, Message, Stanza, StanzaError};
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Append, Appended, Arrived, Dedup, Placed, RoomAppend, StoreError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use xxhash_rust::xxh3::xxh3_64;

pub use self::rooms::Arriving;
use self::rooms::{ARRIVALS_MAX, ArrivalRequest, RoomRequest, commit_arrivals, commit_rooms};
use crate::mail::{Address, Committed, Mail};
use crate::metrics;
use crate::push;
use crate::room::RoomMsg;
use crate::router::{self, Way};
use crate::session::SessionMsg;
use crate::slot::Slot;
use crate::world::{World, now};

/// A batch holds so many messages at most: about what SQLite commits in 20 ms, most of which a
/// smaller batch would take too.
const BATCH_MAX: usize = 1024;

/// So long it is tried to find out whether a commit took place (D5).
const UNCERTAIN_FOR: Duration = Duration::from_secs(30);

/// A message on its way into the logs.
#[derive(Debug, Clone)]
pub struct Job {
    /// Whose client sent it.
    pub sender: BareJid,
    /// The other local log it goes to.
    pub recipient: Option<BareJid>,
    /// The two see each other by the directory.
    pub are_colleagues: bool,
    /// The message.
    pub message: Message,
    /// What makes a replay of it recognisable.
    pub dedup: Dedup,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the logs, now or since an earlier time: acknowledge it.
    Kept,
    /// The same id was used for another message.
    OtherPayload,
    /// There is no such recipient.
    NoSuchAccount,
    /// The recipient blocks the sender.
    Blocked,
    /// It is certainly in no log; the store is gone or full.
    Refused,
    /// It is not known whether it is in the logs.
    Uncertain,
}

impl Outcome {
    /// What the sender is told, if anything is to be said (D5). Nothing can be said while it is
    /// uncertain.
    pub(crate) fn refusal(self) -> Option<StanzaError> {
        match self {
            Self::Kept | Self::Uncertain => None,
            Self::OtherPayload => {
                Some(StanzaError::conflict().with_text("origin-id used for another message"))
            }
            // Row A11: an account that blocks and one that is not there answer alike.
            Self::NoSuchAccount | Self::Blocked => Some(StanzaError::service_unavailable()),
            Self::Refused => Some(wait()),
        }
    }
}

impl From<&Arrived> for Outcome {
    fn from(arrived: &Arrived) -> Self {
        match arrived {
            Arrived::Stored { .. } | Arrived::Replay(_) => Self::Kept,
            Arrived::ReplayOtherPayload => Self::OtherPayload,
            Arrived::NoSuchAccount => Self::NoSuchAccount,
            Arrived::Blocked => Self::Blocked,
        }
    }
}

/// Mail of the log writer.
pub enum LogWriterMsg {
    /// A session's next batch. The session waits for the answer before it sends another.
    Append {
        /// Who is answered.
        slot: Slot,
        /// Which batch of the session this is.
        batch: u64,
        /// The messages.
        jobs: Vec<Job>,
    },
    /// A room's next message. More may be on their way: they are committed in their order.
    AppendRoom {
        /// Who is answered.
        room: ActorRef<RoomMsg>,
        /// The room's number for it.
        ticket: u64,
        /// The message.
        append: Box<RoomAppend>,
    },
    /// What a room or a component hands to accounts; committed together.
    Arrive {
        /// Who is answered, letter by letter.
        reply: oneshot::Sender<Result<Vec<Arrived>, Outcome>>,
        /// The messages.
        arriving: Vec<Arriving>,
    },
    /// A commit has ended.
    Done,
}

impl ractor::Message for LogWriterMsg {}

/// The actor.
pub struct LogWriter;

/// What is gathering.
pub struct Gathering {
    world: Arc<World>,
    waiting: Vec<Request>,
    rooms: Vec<RoomRequest>,
    arrivals: Vec<ArrivalRequest>,
    is_committing: bool,
}

struct Request {
    slot: Slot,
    batch: u64,
    jobs: Vec<Job>,
}

impl Actor for LogWriter {
    type Msg = LogWriterMsg;
    type State = Gathering;
    type Arguments = Arc<World>;

    async fn pre_start(
        &self,
        _me: ActorRef<Self::Msg>,
        world: Arc<World>,
    ) -> Result<Gathering, ActorProcessingErr> {
        Ok(Gathering {
            world,
            waiting: Vec::new(),
            rooms: Vec::new(),
            arrivals: Vec::new(),
            is_committing: false,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Self::Msg>,
        message: LogWriterMsg,
        gathering: &mut Gathering,
    ) -> Result<(), ActorProcessingErr> {
        #[cfg(feature = "broken")]
        crate::broken::panic_now_and_then(crate::broken::Fragile::LogWriter);
        match message {
            LogWriterMsg::Append { slot, batch, jobs } => {
                gathering.waiting.push(Request { slot, batch, jobs });
            }
            LogWriterMsg::AppendRoom {
                room,
                ticket,
                append,
            } => gathering.rooms.push(RoomRequest {
                room,
                ticket,
                append: *append,
            }),
            LogWriterMsg::Arrive { reply, arriving } => {
                gathering.arrivals.push(ArrivalRequest { reply, arriving });
            }
            LogWriterMsg::Done => gathering.is_committing = false,
        }
        gathering.commit_next(me);
        Ok(())
    }
}

impl Gathering {
    /// Starts the next commit unless one is under way.
    fn commit_next(&mut self, me: ActorRef<LogWriterMsg>) {
        let is_empty = self.waiting.is_empty() && self.rooms.is_empty() && self.arrivals.is_empty();
        if self.is_committing || is_empty {
            return;
        }
        self.is_committing = true;
        let requests = self.take_batch();
        let rooms = self.rooms.len().min(BATCH_MAX);
        let rooms: Vec<RoomRequest> = self.rooms.drain(..rooms).collect();
        let arrivals = self.arrivals.len().min(ARRIVALS_MAX);
        let arrivals: Vec<ArrivalRequest> = self.arrivals.drain(..arrivals).collect();
        let (world, turn) = (self.world.clone(), Turn(me));
        tokio::spawn(async move {
            // One after the other: the store writes one transaction at a time anyway.
            if !requests.is_empty() {
                commit(&world, requests).await;
            }
            if !rooms.is_empty() {
                commit_rooms(&world, rooms).await;
            }
            if !arrivals.is_empty() {
                commit_arrivals(&world, arrivals).await;
            }
            drop(turn);
        });
    }

    fn take_batch(&mut self) -> Vec<Request> {
        let mut count = 0;
        let mut fits = |request: &Request| {
            count += request.jobs.len();
            count <= BATCH_MAX
        };
        // The first request always fits: a session's batch is bounded by its credit.
        let end = self
            .waiting
            .iter()
            .take_while(|request| fits(request))
            .count()
            .max(1)
            .min(self.waiting.len());
        metrics::log_writer_waiting(self.waiting.len() - end);
        self.waiting.drain(..end).collect()
    }
}

/// Says that a commit has ended, also one that panicked: the next one may begin.
struct Turn(ActorRef<LogWriterMsg>);

impl Drop for Turn {
    fn drop(&mut self) {
        // A writer that is gone has a successor, which begins anew.
        let _ = self.0.cast(LogWriterMsg::Done);
    }
}

async fn commit(world: &Arc<World>, requests: Vec<Request>) {
    let started = Instant::now();
    let stamp = now();
    let appends: Vec<Append> = requests
        .iter()
        .flat_map(|request| &request.jobs)
        .map(|job| append_of(job, stamp))
        .collect();
    metrics::batch_size(appends.len());
    let answered = certainly(world, || append(world, appends.clone())).await;
    metrics::commit_time(started.elapsed());
    match answered {
        Ok(appended) => answer_all(world, requests, appended),
        Err(outcome) => refuse_all(world, requests, outcome),
    }
}

fn append_of(job: &Job, now: Timestamp) -> Append {
    Append {
        sender: job
            .message
            .head
            .from
            .clone()
            .unwrap_or_else(|| job.sender.clone().into()),
        recipient: job.recipient.clone(),
        are_colleagues: job.are_colleagues,
        with: job
            .message
            .head
            .to
            .clone()
            .unwrap_or_else(|| job.sender.clone().into()),
        dedup: Some(job.dedup),
        stanza: message_bytes(&job.message),
        flags: 0,
        now,
    }
}

fn message_bytes(message: &Message) -> bytes::Bytes {
    Stanza::Message(message.clone()).to_bytes()
}

/// Appends; when it is not known whether a commit took place, appends again: what is there
/// already is recognised by its dedup key.
async fn certainly<T, Answer>(world: &World, append: impl Fn() -> Answer) -> Result<Vec<T>, Outcome>
where
    Answer: Future<Output = Result<Vec<T>, StoreError>>,
{
    if world.strain.disk_is_low() {
        // Row C13: who watches the disk has said so in the log, once.
        return Err(Outcome::Refused);
    }
    let deadline = Instant::now() + UNCERTAIN_FOR;
    let mut is_uncertain = false;
    loop {
        match append().await {
            Ok(appended) => return Ok(appended),
            Err(StoreError::Uncertain(why)) => {
                tracing::warn!(error = %why, "a commit has an unknown end");
                is_uncertain = true;
            }
            Err(error) if !is_uncertain => {
                tracing::warn!(%error, "a commit was refused");
                return Err(Outcome::Refused);
            }
            Err(error) => tracing::warn!(%error, "a commit still has an unknown end"),
        }
        if Instant::now() >= deadline {
            return Err(Outcome::Uncertain);
        }
        sleep(Duration::from_millis(250)).await;
    }
}

#[cfg(not(feature = "broken"))]
async fn append(world: &World, appends: Vec<Append>) -> Result<Vec<Appended>, StoreError> {
    world.store.append(appends).await
}

#[cfg(feature = "broken")]
async fn append(world: &World, mut appends: Vec<Append>) -> Result<Vec<Appended>, StoreError> {
    let undo = crate::broken::sabotage(&mut appends);
    let mut answers = world.store.append(appends).await?;
    crate::broken::cover_up(undo, &mut answers);
    Ok(answers)
}

fn answer_all(world: &Arc<World>, requests: Vec<Request>, appended: Vec<Appended>) {
    debug_assert_eq!(
        requests.iter().map(|r| r.jobs.len()).sum::<usize>(),
        appended.len()
    );
    let mut appended = appended.into_iter();
    for request in requests {
        let outcomes = request
            .jobs
            .into_iter()
            .zip(appended.by_ref())
            .map(|(job, appended)| {
                hint(world, &job, &appended);
                outcome_of(&appended)
            })
            .collect();
        world
            .directory
            .slots
            .send(request.slot, SessionMsg::Appended(request.batch, outcomes));
    }
}

fn refuse_all(world: &World, requests: Vec<Request>, outcome: Outcome) {
    for request in requests {
        metrics::messages_refused(request.jobs.len());
        let outcomes = vec![outcome; request.jobs.len()];
        world
            .directory
            .slots
            .send(request.slot, SessionMsg::Appended(request.batch, outcomes));
    }
}

fn outcome_of(appended: &Appended) -> Outcome {
    match appended {
        Appended::Stored { .. } | Appended::Replay { .. } => Outcome::Kept,
        Appended::ReplayOtherPayload => Outcome::OtherPayload,
        Appended::NoSuchAccount => Outcome::NoSuchAccount,
        Appended::Blocked => Outcome::Blocked,
    }
}

/// Tells the sessions of both accounts. A replay is not delivered again (D2).
fn hint(world: &Arc<World>, job: &Job, appended: &Appended) {
    let Appended::Stored { sender, recipient } = appended else {
        return;
    };
    let to = job.message.head.to.as_ref();
    let is_own = to.is_none_or(|to| to.bare_str() == job.sender.as_str());
    let direction = match is_own {
        true => Direction::Own,
        false => Direction::Sent,
    };
    hint_account(world, &job.sender, *sender, direction, &job.message);
    match (&job.recipient, recipient) {
        (Some(account), Some(placed)) => {
            hint_account(world, account, *placed, Direction::Received, &job.message);
            push::ask_for(world, account, &job.message);
        }
        _ if !is_own => send_on(world, &job.message),
        _ => {}
    }
}

/// What is for somebody elsewhere goes there once it is committed here.
fn send_on(world: &Arc<World>, message: &Message) {
    let stanza = Stanza::Message(message.clone());
    if let Way::Refused(error) = router::route(world, &stanza)
        && let Some(reply) = stanza.error_reply(&error)
    {
        router::send_off(world, reply);
    }
}

fn hint_account(
    world: &World,
    account: &BareJid,
    placed: Placed,
    direction: Direction,
    message: &Message,
) {
    let committed = Committed {
        id: placed.id,
        stamp: placed.stamp,
        direction,
        message: message.clone(),
    };
    world.directory.send(
        &Address::Account(account.clone()),
        Mail::Committed(committed),
    );
}

/// D5: `<resource-constraint type='wait'/>`.
pub(crate) fn wait() -> StanzaError {
    StanzaError {
        kind: ErrorKind::Wait,
        ..StanzaError::resource_constraint()
    }
}

/// What makes a message another message: where it goes, its kind and its content. Not its
/// `from`, which carries the resource: a client that comes back may have got another one. Nor
/// the time: a client that sends a message again may say how late it is (XEP-0198 §4).
pub(crate) fn payload_hash(message: &Message) -> u64 {
    let to = message.head.to.as_ref().map_or("", Jid::as_str);
    let mut text = Vec::with_capacity(to.len() + 2 + message.payloads.bytes().len());
    text.extend_from_slice(to.as_bytes());
    text.extend_from_slice(&[0, message.kind as u8]);
    for child in message
        .payloads
        .iter()
        .filter(|child| !child.is("delay", delay::NS))
    {
        text.extend_from_slice(child.bytes());
    }
    xxh3_64(&text)
}
