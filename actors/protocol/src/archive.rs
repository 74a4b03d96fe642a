//! What an archive is to the decisions: entries of a log, and pages of them.
//!
//! The store fills these types; [`crate::features::mam`] turns them into XEP-0313.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::features::fulltext::Search;
use crate::jid::{BareJid, Jid};
use crate::time::Timestamp;

/// Which way an entry went, seen from the account whose log it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The account sent it.
    Sent,
    /// The account received it.
    Received,
    /// The account sent it to itself: one entry is both.
    Own,
}

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place: consecutive from 1 in each log.
    pub id: u64,
    /// `max(now, the log's last stamp)` at commit, so stamps never run backwards in a log.
    pub stamp: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// The other side's account.
    pub with: BareJid,
    /// The whole stanza in canonical form, without stanza ids of ours.
    pub stanza: Bytes,
}

/// What to read of an archive (XEP-0313 §4, XEP-0059).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchiveQuery {
    /// Only entries with this address; a full JID narrows to that resource.
    pub with: Option<Jid>,
    /// Only entries stamped at or after this.
    pub start: Option<Timestamp>,
    /// Only entries stamped at or before this.
    pub end: Option<Timestamp>,
    /// Only entries after this id.
    pub after_id: Option<u64>,
    /// Only entries before this id.
    pub before_id: Option<u64>,
    /// Only these ids (XEP-0313 §4.3.4 `ids`); an unknown one is `NoSuchItem`.
    pub ids: Vec<u64>,
    /// Only entries with these words (XEP-0431).
    pub search: Option<Search>,
    /// Where the page lies in the result.
    pub page: PageFrom,
    /// Entries at most; the store caps it.
    pub max: u32,
}

/// Where a page lies in a result set (XEP-0059).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageFrom {
    /// The first entries.
    #[default]
    Start,
    /// The entries right after this one (§2.2).
    After(u64),
    /// The entries right before this one (§2.3).
    Before(u64),
    /// The last entries (§2.5, an empty `<before/>`).
    End,
}

/// A page of an archive, in order of ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Its entries.
    pub entries: Vec<Entry>,
    /// There is nothing further in the direction of paging.
    pub complete: bool,
    /// How many entries the whole result has, when that is cheap to know.
    pub count: Option<u64>,
}

/// First and last entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Id and stamp of the first entry.
    pub first: (u64, Timestamp),
    /// Id and stamp of the last entry.
    pub last: (u64, Timestamp),
}
