//! Everything a room may ask for, and what it is answered.
//!
//! A room's actor carries effects out strictly in their order: one that waits (a commit, a
//! change, a query) holds back those behind it and those of later decisions. What comes back
//! goes into the room again ([`super::room::Room::committed`], `saved`, `loaded`), and the
//! effects this gives take the place of the one that waited.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::affiliation::AffiliationChange;
use super::owner::Reconfigured;
use super::post::Post;
use super::record::{RoomChange, Subject};
use super::role::Role;
use super::search::RoomListQuery;
use super::service::RoomPage;
use crate::archive::{ArchiveQuery, Bounds, Entry, Page};
use crate::effect::DedupKey;
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Message, Presence, Stanza, StanzaError};
use crate::time::Timestamp;

/// One thing that is to happen.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomEffect {
    /// Hand a stanza to its address. Nothing is kept.
    Send(Stanza),
    /// Hand a stanza to many, encoded once: only the `to` differs.
    Broadcast(Broadcast),
    /// Hand stanzas to one session inside, in their order and at once: who else is there, what
    /// was said.
    Show(FullJid, Vec<Stanza>),
    /// Hand messages to accounts: a private message (XEP-0045 §7.5), invitations (§7.8.2).
    /// The room does not wait for them; whoever sent them does.
    Post(Box<Post>),
    /// Keep a message in the room's log, then go on with `Room::committed`.
    Keep(Box<Keep>),
    /// Change the room's record by compare-and-set on its version, then go on with
    /// `Room::saved`. When the version is stale: `Room::reloaded`, and decide the stanza again.
    Save(Box<Save>),
    /// Ask the store, then go on with `Room::loaded`.
    Load(Box<Load>),
    /// The session writes down that it is in the room.
    Remember(FullJid, Box<Occupancy>),
    /// The session is in the room no longer: that is over which began at this time.
    Forget(FullJid, Timestamp),
    /// The session has everything up to this entry of the room's log.
    CaughtUp(FullJid, u64),
    /// The room is over: its log, its record and its actor go.
    Vanish,
    /// Nothing happens, and this is why (for traces and tests).
    Trace(&'static str, &'static str),
}

/// A stanza for many.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// The stanza, without `to`.
    pub stanza: Stanza,
    /// Who gets it.
    pub to: Arc<[FullJid]>,
    /// The entry of the room's log that it is. A session compares it with its cursor: the
    /// next one is delivered, a known one dropped, a gap read from the log.
    pub entry: Option<u64>,
}

/// A message for the room's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// What it answers, to refuse it if it cannot be kept.
    pub origin: Stanza,
    /// Who sent it, really. Its account is the entry's `with`, for those who may know.
    pub sender: FullJid,
    /// The message as it stands in the log: `from` is the occupant's address, there is no
    /// `to`, the occupant id is in it, forgeries are not.
    pub message: Message,
    /// What makes a replay of it recognisable (D2); [`DedupKey::Counted`] is for the actor
    /// to fill in, which got the stanza from the session.
    pub dedup: DedupKey,
    /// The room's subject from this entry on, remembered in the same transaction: what
    /// stands in the log last is what holds.
    pub subject: Option<Subject>,
    /// What becomes of an earlier entry, in the same transaction.
    pub tombstone: Option<Tombstone>,
    /// What is sent when it is committed, before anybody hears of it.
    pub answer: Option<Stanza>,
}

/// What an entry becomes that was retracted (XEP-0424 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The entry.
    pub id: u64,
    /// What stands in its place.
    pub stanza: Bytes,
}

/// A change of the room's record.
#[derive(Debug, Clone, PartialEq)]
pub struct Save {
    /// What it answers.
    pub origin: Stanza,
    /// All of them or none.
    pub changes: Vec<RoomChange>,
    /// What the room does when they are saved.
    pub then: Then,
}

/// What a room does when a change of its record is saved.
#[derive(Debug, Clone, PartialEq)]
pub enum Then {
    /// Answer, and tell the room whose standing changed.
    Affiliations(Vec<AffiliationChange>),
    /// Answer, and tell the room what is different.
    Config(Box<Reconfigured>),
    /// Send these, such as an invitation that made a member.
    Effects(Vec<RoomEffect>),
    /// Answer with this, show the hats anew, and say that the configuration changed.
    Hats(Stanza),
    /// Answer, and say that the configuration changed.
    Avatar,
    /// Turn everybody out.
    Destroyed,
}

/// A question to the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// What it is asked for.
    pub origin: Stanza,
    /// The question.
    pub query: RoomQuery,
}

/// What can be asked of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomQuery {
    /// The room's last messages, for a session that enters.
    History(HistoryQuery),
    /// A page of the room's archive (XEP-0313).
    Archive(ArchiveQuery),
    /// First and last entry of the room's archive.
    Bounds,
    /// One entry, which is to be retracted.
    Entry(u64),
    /// A page of the service's rooms.
    Rooms(RoomListQuery),
}

/// Which messages somebody gets on entry (XEP-0045 §7.2.13 and §7.2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Who enters.
    pub session: FullJid,
    /// The last so many entries.
    pub stanzas_max: u32,
    /// Only entries stamped at or after this.
    pub since: Option<Timestamp>,
    /// Characters in all; counted by the room once it has the entries.
    pub chars_max: Option<usize>,
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomAnswer {
    /// To [`RoomQuery::History`]: the entries in their order, and the log's last id.
    History {
        /// The entries, the oldest first.
        entries: Vec<Entry>,
        /// The id of the log's last entry, 0 for an empty log.
        head: u64,
    },
    /// To [`RoomQuery::Archive`].
    Page(Page),
    /// To [`RoomQuery::Bounds`].
    Bounds(Option<Bounds>),
    /// To [`RoomQuery::Entry`].
    Entry(Option<Entry>),
    /// To [`RoomQuery::Rooms`].
    Rooms(RoomPage),
    /// The archive has no entry with the id the client paged from.
    NoSuchItem,
    /// The store could not answer.
    Failed(StanzaError),
}

/// What a session remembers of a room it is in. It tells a room whose actor has started
/// anew, so that the room has its occupants back; nothing else keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Occupancy {
    /// The room.
    pub room: BareJid,
    /// The nick it has there.
    pub nick: Box<str>,
    /// The role it has there.
    pub role: Role,
    /// When it came in: of two who hold one nick after a split, the earlier keeps it.
    pub joined: Timestamp,
    /// The presence it last sent there.
    pub presence: Box<Presence>,
}
