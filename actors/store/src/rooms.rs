//! Rooms: what is remembered of them, and their logs.
//!
//! A room's log is a log as accounts have them (`log.rs`): entries with ids that grow, kept
//! when the answer comes (D1), once each (D2). A removed room leaves a tombstone, so that a
//! later room of the same name has nothing of the old life: its version goes on from there,
//! and so do the ids of its log, which thereby never mean an entry of another life.

pub(crate) mod list;

use bytes::Bytes;
use klatsch_protocol::archive::{ArchiveQuery, Bounds, Entry, Page};
use klatsch_protocol::features::muc::effect::Tombstone;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord, Subject};
use klatsch_protocol::features::muc::search::RoomListQuery;
use klatsch_protocol::features::muc::service::RoomPage;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;
use xxhash_rust::xxh3::xxh3_128;

use crate::log::{Dedup, Placed};
use crate::store::subject;

/// Rooms on one page of a list at most (row C09: no query without a bound).
pub const LIST_MAX: u32 = 1000;

/// A message for the log of a room.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomAppend {
    /// The room.
    pub room: BareJid,
    /// Who sent it, really: the entry's `with` is their account.
    pub sender: Jid,
    /// The whole message in canonical form, as it stands in the log.
    pub message: Bytes,
    /// What makes a replay of it recognisable, among what this account says in this room.
    pub dedup: Option<Dedup>,
    /// The time of the append.
    pub now: Timestamp,
    /// The room's subject from this entry on; its stamp becomes the entry's.
    pub subject: Option<Subject>,
    /// What becomes of an earlier entry. One that is not there stays so.
    pub tombstone: Option<Tombstone>,
}

/// What became of an append to a room. Only `Stored` has written anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomAppended {
    /// It is committed, with its subject and its tombstone.
    Stored(Placed),
    /// It has been there already, as this entry; it must not be reflected again.
    Replay(Placed),
    /// The same account has said something else with the same key.
    ReplayOtherPayload,
    /// There is no such room.
    NoSuchRoom,
}

subject! {
    /// Rooms.
    Rooms {
        /// What is remembered of a room, with its version; `None` when there is no such room.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn room(&self, room: &BareJid) -> Option<RoomRecord>;
        /// Changes a room, all or nothing, if it still has the expected version; answers the
        /// new one. 0 expects that there is no such room, and the first change makes it. A
        /// change that destroys the room also lets its log go.
        ///
        /// # Errors
        /// `Conflict` when the version is another, when there is already such a room, and when
        /// nobody would be its owner any more (row M01); `NoSuchRoom` when there is none;
        /// `Unavailable`, `Uncertain`.
        fn save_room(&self, room: &BareJid, expected: u64, changes: Vec<RoomChange>) -> u64;
        /// Removes a room, if there is one: its record now, its log with
        /// [`Store::sweep`](crate::Store::sweep).
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn remove_room(&self, room: &BareJid) -> ();
        /// A page of the public rooms that a query wants. The store knows of nobody inside:
        /// for it all rooms are empty, and so as full as each other. Without search terms all
        /// are counted, up to [`COUNT_MAX`](crate::log::COUNT_MAX); else those of a page
        /// that holds all.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`. Addresses have an order, so a page begins where a room
        /// would be that is gone (XEP-0059 §2.2).
        fn find_rooms(&self, query: &RoomListQuery) -> RoomPage;
        /// The rooms of a service, hidden ones too, in the order of their addresses: those after
        /// `after`, at most `max` (and [`LIST_MAX`]).
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn rooms(&self, service: &str, after: Option<&BareJid>, max: u32) -> Vec<BareJid>;
        /// The rooms of all services that end when nobody is inside, in the order of their
        /// addresses: those after `after`, at most `max` (and [`LIST_MAX`]). Reads all there
        /// are, so it is for an errand now and then.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn temporary_rooms(&self, after: Option<&BareJid>, max: u32) -> Vec<BareJid>;
        /// How many rooms an account has created that still are (row M09).
        ///
        /// # Errors
        /// `Unavailable`.
        fn rooms_created(&self, creator: &BareJid) -> u64;
        /// Appends all of a batch in one transaction, and answers in its order once that is
        /// durable. What is refused does not keep the rest from being stored.
        ///
        /// # Errors
        /// As [`Store::append`](crate::Store::append).
        fn append_room(&self, batch: Vec<RoomAppend>) -> Vec<RoomAppended>;
        /// The id of the last entry; before the first one, the last of an earlier room of this
        /// name, or 0.
        ///
        /// # Errors
        /// `NoSuchRoom`, `Unavailable`.
        fn room_head(&self, room: &BareJid) -> u64;
        /// The entries after an id, in order of ids, at most `max` (and
        /// [`PAGE_MAX`](crate::log::PAGE_MAX)).
        ///
        /// # Errors
        /// `NoSuchRoom`, `Unavailable`, `Corrupt`.
        fn room_entries(&self, room: &BareJid, after: u64, max: u32) -> Vec<Entry>;
        /// One entry.
        ///
        /// # Errors
        /// `NoSuchRoom`, `Unavailable`, `Corrupt`.
        fn room_entry(&self, room: &BareJid, id: u64) -> Option<Entry>;
        /// A page of the archive, as [`Store::query`](crate::Store::query) answers it; `with` is
        /// the account of the one who sent.
        ///
        /// # Errors
        /// As that one, with `NoSuchRoom`.
        fn room_query(&self, room: &BareJid, query: &ArchiveQuery) -> Page;
        /// The first and the last entry (XEP-0313 §5).
        ///
        /// # Errors
        /// `NoSuchRoom`, `Unavailable`.
        fn room_bounds(&self, room: &BareJid) -> Option<Bounds>;
    }
}

/// The dedup key of an account in a room's log: two who use one id do not meet.
pub(crate) fn dedup_of(sender: &Jid, dedup: &Dedup) -> Dedup {
    let mut text = Vec::with_capacity(sender.bare_str().len() + dedup.key.len());
    // The key has a length of its own, so the parts cannot be taken for each other.
    text.extend(dedup.key);
    text.extend(sender.bare_str().as_bytes());
    Dedup {
        key: xxh3_128(&text).to_be_bytes(),
        payload: dedup.payload,
    }
}
