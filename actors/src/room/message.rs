//! Mail of a room, and how it answers.

use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::presence::Why;
use klatsch_protocol::features::muc::effect::{Occupancy, RoomAnswer};
use klatsch_protocol::features::muc::facts::Creator;
use klatsch_protocol::features::muc::nick::Nick;
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::features::muc::service::RoomSummary;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{Stanza, StanzaError};
use klatsch_store::{Placed, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// Mail of a room.
pub enum RoomMsg {
    /// A stanza for the room or somebody in it. Its sender sends no other until it is settled,
    /// which is what bounds the mailbox.
    Ask(Box<RoomAsk>),
    /// A session was inside before the room failed.
    Rejoin(FullJid, Box<Occupancy>),
    /// A session of another node is inside, as that node says.
    Merge(FullJid, Box<Occupancy>, Word),
    /// These sessions are shown who is inside.
    ShowAll(Vec<FullJid>),
    /// Whoever came in shortly before the room began here is shown to everybody.
    ShowLatest,
    /// These sessions may have missed presence of others for such a time.
    CatchUp(Vec<FullJid>, Duration),
    /// These sessions were told by another node's half of the room that these nicks have gone.
    ShowAgain(Vec<FullJid>, Vec<Nick>),
    /// A session is gone without a word.
    Gone(FullJid),
    /// The room lives on another node now.
    Yield,
    /// Those whose sessions are nowhere leave.
    CallRoll,
    /// What the store remembers of the room.
    Hydrated(Result<Option<Box<RoomRecord>>, StoreError>),
    /// What was waited for has come.
    Answered(Box<Answered>),
    /// What became of a message, by the number it was given to the log writer under.
    Kept(u64, RoomKept),
    /// The sessions inside have had time to say so.
    Regathered,
    /// Nobody is believed any more who says to be inside.
    Rejoined,
    /// A new room may have waited long enough for its owner's form.
    Tick,
    /// Time to say again where the log ends, if that is still this entry; for the last time.
    Beat(u64, bool),
    /// Nothing may have happened since.
    Rest(u64),
    /// What this account is to the room may have changed in the store.
    Reread(BareJid),
    /// An operator ends the room.
    Destroy(RoomEnd),
    /// An operator looks.
    Inspect(oneshot::Sender<Option<Box<Room>>>),
    /// Somebody searches; a room that is hidden is not found.
    Summarize(oneshot::Sender<Option<RoomSummary>>),
}

impl ractor::Message for RoomMsg {}

/// A stanza that somebody waits to see dealt with.
pub struct RoomAsk {
    /// The stanza; its `from` is the sender's real address.
    pub stanza: Arc<Stanza>,
    /// What the sender's session remembers of the room.
    pub occupancy: Option<Box<Occupancy>>,
    /// What tells the stanza if it has no id (D2).
    pub counted: Option<Box<str>>,
    /// Heard when all that follows from the stanza has been carried out. Dropped when the room
    /// has failed or is put away: ask again.
    pub reply: oneshot::Sender<Settled>,
}

/// An operator's wish that a room ends.
pub struct RoomEnd {
    /// What those inside are told.
    pub reason: Option<String>,
    /// Heard as a [`RoomAsk`]'s.
    pub reply: oneshot::Sender<Settled>,
}

/// Why a node says of a session that it is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It came in, or has sent something.
    Said,
    /// The node was not reached, and is back.
    Back,
    /// Another node said the same of a session of this name.
    Conflict,
}

impl From<Why> for Word {
    fn from(why: Why) -> Self {
        match why {
            Why::NodeBack => Self::Back,
            Why::Conflict => Self::Conflict,
            Why::Said | Why::NodeDown | Why::Moved => Self::Said,
        }
    }
}

/// What became of a stanza.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Settled {
    /// It has been dealt with, and its sender told what there is to tell.
    Done,
    /// There is no room to be had; tell the sender.
    Refused(StanzaError),
    /// It is not known whether it was kept: the sender's replay settles it (D5).
    Uncertain,
    /// It was refused, and this says so. It comes with the answer, because mail may be lost and
    /// what was refused must not look as if it were kept (D1).
    Replied(Box<Stanza>),
}

/// What became of a message for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomKept {
    /// It is committed.
    Stored(Placed),
    /// It has been there already.
    Replay(Placed),
    /// The sender has used the id for another message.
    OtherPayload,
    /// There is no such room any more.
    NoSuchRoom,
    /// It is certainly not in the log.
    Refused,
    /// It is not known whether it is in the log.
    Uncertain,
}

/// What was waited for.
pub enum Answered {
    /// What the one may do who wants a room, or one that nobody owns.
    Creator(Result<Creator, StoreError>),
    /// The store's answer to a query.
    Loaded(RoomAnswer),
    /// The version of a changed record.
    Saved(Result<u64, StoreError>),
    /// The record as it is now.
    Reloaded(Result<Option<Box<RoomRecord>>, StoreError>),
    /// The room is removed.
    Vanished(Result<(), StoreError>),
}
