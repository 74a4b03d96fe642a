//! What travels between addresses.
//!
//! Everything here may cross nodes: it is encoded by `klatsch_cluster::codec`, it may be
//! lost, repeated or late, and it is idempotent or numbered. The variant names are wire
//! names; a test guards their bytes.

use klatsch_protocol::archive::{Direction, Entry};
use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::features::presence::wish::Wish;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{Message, Stanza, StreamError};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use serde::{Deserialize, Serialize};

/// Where mail goes. Only [`crate::directory`] resolves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// One session.
    Session(FullJid),
    /// All sessions of an account.
    Account(BareJid),
}

impl Address {
    /// The account addressed.
    pub fn account(&self) -> &str {
        match self {
            Self::Session(jid) => jid.bare_str(),
            Self::Account(jid) => jid.as_str(),
        }
    }
}

/// One piece of mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Mail {
    /// A stanza that stands in no log.
    Deliver(Stanza),
    /// A hint: this entry has been committed to the account's log.
    Committed(Committed),
    /// The roster has changed: a push for those who asked (RFC 6121 §2.1.6).
    RosterPush(Element),
    /// The block list has changed: a push for those who asked (XEP-0191 §3.3).
    BlocklistPush(Element),
    /// The account's avatar has this hash now, or it has none (XEP-0398 §4).
    Avatar(Box<str>),
    /// The session has to end.
    End(StreamError),
    /// What a room has for its occupants' sessions.
    Room(RoomMail),
    /// The account wishes to show this, whatever its clients say.
    Wish(Box<Wish>),
}

/// What a room has for the sessions inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RoomMail {
    /// Something is said to all.
    Heard(Box<Heard>),
    /// The session is inside, or (`None`) no longer.
    Remember(BareJid, Option<Box<Occupancy>>),
    /// The session has everything up to this entry of the room's log.
    CaughtUp(BareJid, u64),
    /// The room's log ends here; a hint may have been lost.
    Ends(BareJid, u64),
    /// What one session is shown, in order.
    Shown(Vec<Stanza>),
}

impl RoomMail {
    /// Which room it is from.
    pub fn room(&self) -> Option<BareJid> {
        match self {
            Self::Heard(heard) => Some(heard.room.clone()),
            Self::Remember(room, _) | Self::CaughtUp(room, _) | Self::Ends(room, _) => {
                Some(room.clone())
            }
            Self::Shown(stanzas) => stanzas.first()?.from().map(|from| from.bare()),
        }
    }
}

/// Something said to all in a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The room.
    pub room: BareJid,
    /// The stanza, without `to`.
    pub stanza: Stanza,
    /// The entry of the room's log that it is; then this is a hint that may be lost.
    pub entry: Option<u64>,
}

/// A committed entry, as its message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// Its place in the log.
    pub id: u64,
    /// When it was committed.
    pub stamp: Timestamp,
    /// Which way it went, seen from the account.
    pub direction: Direction,
    /// What it says, without ids of ours.
    pub message: Message,
}

impl Committed {
    /// Reads an entry back from the store; `None` when its bytes are no message, which the
    /// store's writer never produces.
    pub fn from_entry(entry: &Entry) -> Option<Self> {
        let Ok(Stanza::Message(message)) = Stanza::parse(&entry.stanza) else {
            return None;
        };
        Some(Self {
            id: entry.id,
            stamp: entry.stamp,
            direction: entry.direction,
            message,
        })
    }
}
