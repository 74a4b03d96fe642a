//! Logs, the archives of accounts and rooms: entries with ids 1, 2, 3 … that never change, but
//! for what is retracted in a room.
//!
//! Keeps the promises D1 (an answer means committed) and D2 (a replay finds the first
//! entries). Meaning and rendering of archives are the protocol's (XEP-0313). What is said of
//! the logs of rooms stands in `rooms.rs`.

use bytes::Bytes;
use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page, PageFrom};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use crate::rooms::{RoomAppend, RoomAppended};
use crate::store::subject;

/// Entries on one page at most (row C09: no query without a bound).
pub const PAGE_MAX: u32 = 250;

/// Ids a query may ask for at most.
pub const IDS_MAX: usize = 250;

/// Counting stops here: knowing that there are more is not worth reading them.
pub const COUNT_MAX: u64 = 10_000;

/// Flag of an entry: a query does not show it, it is there for delivery only (XEP-0334
/// `<no-permanent-store/>`, XEP-0441 `never`).
pub const HIDDEN: u8 = 1;

/// A message for the log of its sender and, if given, of its recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Who sent it, with the resource if there is one: block lists may name it. The log is
    /// that of its account.
    pub sender: Jid,
    /// The account here whose log takes it too; `None` when the message goes elsewhere or to
    /// the sender's own account.
    pub recipient: Option<BareJid>,
    /// The two are contacts of each other by the directory, for who wants to find those of contacts
    /// (XEP-0441).
    pub are_colleagues: bool,
    /// To whom it goes: the other side in the sender's log.
    pub with: Jid,
    /// What makes a replay of it recognisable.
    pub dedup: Option<Dedup>,
    /// The whole stanza in canonical form.
    pub stanza: Bytes,
    /// [`HIDDEN`] or 0; more to come.
    pub flags: u8,
    /// The time of the append.
    pub now: Timestamp,
}

/// An entry of another archive, for one log alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Whose log takes it.
    pub account: BareJid,
    /// Which way it went.
    pub direction: Direction,
    /// The other side.
    pub with: Jid,
    /// What makes it recognisable when it is restored again.
    pub dedup: Dedup,
    /// The whole stanza in canonical form.
    pub stanza: Bytes,
    /// When it was stamped; it becomes later where the log has later entries already.
    pub stamp: Timestamp,
}

/// A message that comes from no account's own session, but through a room, for the log of its
/// recipient. Its sender's log has it as it was sent, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// From whom it seems to come: the other side in the recipient's log, and whom block lists
    /// may name.
    pub from: Jid,
    /// The account whose log takes it.
    pub recipient: BareJid,
    /// The whole stanza in canonical form, as it arrives.
    pub stanza: Bytes,
    /// Who sent it, really. What they say is told from what others say.
    pub sender: Jid,
    /// The stanza as it was sent, for the sender's log, if that is an account's here.
    pub sent: Option<Sent>,
    /// What makes a replay of it recognisable, among what this sender says to this recipient.
    pub dedup: Option<Dedup>,
    /// The time of the append.
    pub now: Timestamp,
}

/// A message as its sender's log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// To whom it went.
    pub with: Jid,
    /// The whole stanza in canonical form.
    pub stanza: Bytes,
}

/// What became of an arrival. Only `Stored` has written anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It is committed.
    Stored {
        /// Its entry in the recipient's log.
        recipient: Placed,
        /// Its entry in the sender's log.
        sender: Option<Placed>,
    },
    /// It has been there already, as this entry; it must not be delivered again.
    Replay(Placed),
    /// The same sender has said something else with the same key.
    ReplayOtherPayload,
    /// The recipient does not exist.
    NoSuchAccount,
    /// The recipient blocks whom it seems to come from (XEP-0191 §3.5).
    Blocked,
}

/// What makes a replay recognisable (D2), within the log of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dedup {
    /// Hash of what identifies the message.
    pub key: [u8; 16],
    /// Hash of what it says.
    pub payload: u64,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its id in its log.
    pub id: u64,
    /// Its stamp: `max(now, the log's last stamp)`.
    pub stamp: Timestamp,
}

/// What became of an append. Only `Stored` has written anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is committed.
    Stored {
        /// Its entry in the sender's log.
        sender: Placed,
        /// Its entry in the recipient's log.
        recipient: Option<Placed>,
    },
    /// It has been there already, with these entries; it must not be delivered again.
    Replay {
        /// The first entry in the sender's log.
        sender: Placed,
        /// The first entry in the recipient's log.
        recipient: Option<Placed>,
    },
    /// Something else with the same key has been there already.
    ReplayOtherPayload,
    /// The recipient does not exist, or the sender no longer does.
    NoSuchAccount,
    /// The recipient blocks the sender (XEP-0191 §3.5).
    Blocked,
}

/// An append to whichever log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogAppend {
    /// To the logs of accounts.
    Account(Append),
    /// To the log of a room.
    Room(Box<RoomAppend>),
    /// To the log of one account, from another archive.
    Restore(Box<Restore>),
    /// Through a room to the log of an account.
    Arrival(Box<Arrival>),
}

/// What became of an append to whichever log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogAppended {
    /// To the logs of accounts.
    Account(Appended),
    /// To the log of a room.
    Room(RoomAppended),
    /// Through a room to the log of an account.
    Arrival(Arrived),
}

impl LogAppended {
    /// What became of an append to the logs of accounts.
    pub fn account(self) -> Option<Appended> {
        match self {
            Self::Account(appended) => Some(appended),
            Self::Room(_) | Self::Arrival(_) => None,
        }
    }

    /// What became of an append to the log of a room.
    pub fn room(self) -> Option<RoomAppended> {
        match self {
            Self::Room(appended) => Some(appended),
            Self::Account(_) | Self::Arrival(_) => None,
        }
    }

    /// What became of an arrival.
    pub fn arrival(self) -> Option<Arrived> {
        match self {
            Self::Arrival(arrived) => Some(arrived),
            Self::Account(_) | Self::Room(_) => None,
        }
    }
}

subject! {
    /// Logs.
    Logs {
        /// Appends all of a batch in one transaction, to accounts and rooms alike, and answers
        /// each in its kind and order once that is durable. What is refused does not keep the
        /// rest from being stored.
        ///
        /// # Errors
        /// As [`Store::append`](crate::Store::append).
        fn append_all(&self, batch: Vec<LogAppend>) -> Vec<LogAppended>;
        /// Appends all of a batch in one transaction, and answers in its order once that is
        /// durable. What is refused does not keep the rest from being stored.
        ///
        /// # Errors
        /// `Unavailable`: nothing is written. `Uncertain`: the commit failed and may have
        /// happened; the same append with the same dedup key tells. `Corrupt`.
        fn append(&self, batch: Vec<Append>) -> Vec<Appended>;
        /// Appends entries of other archives, each to one log, as `append` does. Nobody
        /// is told of them, and nobody's block list or preference is asked.
        ///
        /// # Errors
        /// As [`Store::append`](crate::Store::append).
        fn restore(&self, batch: Vec<Restore>) -> Vec<Appended>;
        /// The id of the last entry, 0 before the first.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`.
        fn head(&self, account: &BareJid) -> u64;
        /// The ids of the last entries of many logs, in their order; 0 also for accounts that
        /// do not exist.
        ///
        /// # Errors
        /// `Unavailable`.
        fn heads(&self, accounts: &[BareJid]) -> Vec<u64>;
        /// The entries after an id, in order of ids, also the hidden ones, at most `max` (and
        /// [`PAGE_MAX`]).
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
        fn entries(&self, account: &BareJid, after: u64, max: u32) -> Vec<Entry>;
        /// A page of an archive (XEP-0313 §4, XEP-0059): at most `max` (and [`PAGE_MAX`])
        /// entries that pass all filters. `complete`: there are no further ones behind it
        /// (paging from the start or after an id) or before it (from the end or before an id).
        /// `count`: how many pass the filters in all, told when the page holds all of them,
        /// and when `max` is 0 (XEP-0059 §2.7) and there are at most [`COUNT_MAX`].
        ///
        /// # Errors
        /// `NoSuchItem` when an id of the query (`ids`, `after_id`, `before_id`, or that of the
        /// page) is not in the archive, or there are more than [`IDS_MAX`]; `NoSuchAccount`,
        /// `Unavailable`, `Corrupt`.
        fn query(&self, account: &BareJid, query: &ArchiveQuery) -> Page;
        /// The first and the last entry of an archive that queries show (XEP-0313 §5).
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`.
        fn bounds(&self, account: &BareJid) -> Option<Bounds>;
        /// The id up to which some client of the account has taken delivery.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`.
        fn cursor(&self, account: &BareJid) -> u64;
        /// Clients of these accounts have taken delivery up to these ids. A smaller id than
        /// before changes nothing, one beyond the last entry counts as the last; accounts that
        /// do not exist are passed over.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`; all of it is written or nothing.
        fn set_cursors(&self, cursors: Vec<(BareJid, u64)>) -> ();
        /// Deletes the entries stamped before `stamp`, but none after `keep_after`, which is
        /// the lowest cursor into the log. Their ids are not used again. Answers how many.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`; part may then be done.
        fn purge_before(&self, account: &BareJid, stamp: Timestamp, keep_after: u64) -> u64;
    }
}

/// Cuts a page out of all entries that pass a query's filters, given in order of ids.
pub(crate) fn cut(mut entries: Vec<Entry>, query: &ArchiveQuery) -> Page {
    let max = query.max.min(PAGE_MAX) as usize;
    let total = entries.len();
    if max == 0 {
        let count = Some(total as u64).filter(|count| *count <= COUNT_MAX);
        return Page {
            entries: Vec::new(),
            complete: total == 0,
            count,
        };
    }
    match query.page {
        PageFrom::After(id) => entries.retain(|entry| entry.id > id),
        PageFrom::Before(id) => entries.retain(|entry| entry.id < id),
        PageFrom::Start | PageFrom::End => {}
    }
    let complete = entries.len() <= max;
    match query.page {
        PageFrom::Start | PageFrom::After(_) => entries.truncate(max),
        PageFrom::Before(_) | PageFrom::End => {
            drop(entries.drain(..entries.len().saturating_sub(max)))
        }
    }
    finish(entries, complete, query.page)
}

/// A page that holds all that passes the filters also tells how many that are.
pub(crate) fn finish(entries: Vec<Entry>, complete: bool, from: PageFrom) -> Page {
    let whole = complete && matches!(from, PageFrom::Start | PageFrom::End);
    let count = whole.then_some(entries.len() as u64);
    Page {
        entries,
        complete,
        count,
    }
}
