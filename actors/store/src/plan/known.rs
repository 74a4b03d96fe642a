//! What a database knows of logs before a batch is decided.

use std::collections::HashSet;

use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use crate::error::{Result, StoreError};
use crate::log::{Appended, Dedup, HIDDEN, Placed};
use crate::rows::unsigned;

/// Directions as databases have them.
pub(crate) const SENT: i64 = 0;
/// See [`SENT`].
pub(crate) const RECEIVED: i64 = 1;
/// See [`SENT`].
pub(crate) const OWN: i64 = 2;

/// What an account wants to find in its archive: everything, without exception, so that there
/// is nothing to look up.
pub(crate) const EVERYTHING: i64 = 0;

/// Whose log it is. An account and a room may have one address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LogOf {
    Account(BareJid),
    Room(BareJid),
}

impl LogOf {
    pub(crate) fn jid(&self) -> &BareJid {
        match self {
            Self::Account(jid) | Self::Room(jid) => jid,
        }
    }

    /// The statement that finds the log's number, in every database.
    pub(crate) fn find_number(&self) -> &'static str {
        match self {
            Self::Account(_) => "SELECT id FROM account WHERE jid = $1 AND removed IS NULL",
            Self::Room(_) => "SELECT id FROM room WHERE jid = $1 AND NOT removed",
        }
    }

    pub(crate) fn no_such(&self) -> StoreError {
        match self {
            Self::Account(_) => StoreError::NoSuchAccount,
            Self::Room(_) => StoreError::NoSuchRoom,
        }
    }
}

/// Where a log goes on, and what an append must know of whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// The log's number.
    pub(crate) log: i64,
    /// The id of its last entry.
    pub(crate) id: u64,
    /// The stamp of its last entry.
    pub(crate) stamp: Timestamp,
    /// How many addresses the account blocks; 0 for a room.
    pub(crate) blocks: i64,
    /// What the account wants to find in its archive; 0: everything, also for a room.
    pub(crate) archiving: i64,
}

/// A replay's key: the sender's log and the key within it.
pub(crate) type Key = [u8; 20];

/// The key under which a log knows what has been said.
pub(super) fn replay_key(log: i64, dedup: &Dedup) -> Result<Key> {
    let log =
        u32::try_from(log).map_err(|_| StoreError::Unavailable("no log numbers left".into()))?;
    let mut key = [0; 20];
    key[..4].copy_from_slice(&log.to_be_bytes());
    key[4..].copy_from_slice(&dedup.key);
    Ok(key)
}

/// What has been said already, under some key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) payload: u64,
    pub(crate) sender: Placed,
    pub(crate) recipient: Option<Placed>,
}

/// What has been said, as a row: its key, its payload, and its two places.
pub(crate) type SaidRow = (Vec<u8>, i64, i64, i64, Option<i64>, Option<i64>);

impl Said {
    /// What has been said, with its key, from its row.
    pub(crate) fn of_row(row: SaidRow) -> Result<(Key, Self)> {
        let (key, payload, id, stamp, twin, twin_stamp) = row;
        let key = Key::try_from(key)
            .map_err(|_| StoreError::Corrupt("length of a replay's key".to_owned()))?;
        let placed = |id, stamp| -> Result<Placed> {
            Ok(Placed {
                id: unsigned(id)?,
                stamp: Timestamp(stamp),
            })
        };
        let recipient = twin.zip(twin_stamp);
        let said = Self {
            payload: payload.cast_unsigned(),
            sender: placed(id, stamp)?,
            recipient: recipient.map(|(id, stamp)| placed(id, stamp)).transpose()?,
        };
        Ok((key, said))
    }

    pub(super) fn answer(&self, dedup: &Dedup) -> Appended {
        if self.payload != dedup.payload {
            return Appended::ReplayOtherPayload;
        }
        Appended::Replay {
            sender: self.sender,
            recipient: self.recipient,
        }
    }
}

/// A line of a batch as preferences ask for it: the log, the other side, and whether that is a
/// colleague of the log's account.
pub(crate) type Side<'a> = (i64, &'a Jid, bool);

/// Which lines of a batch their accounts do not want to find.
#[derive(Default)]
pub(crate) struct Unwanted(HashSet<(i64, Jid, bool)>);

impl Unwanted {
    /// This line is not wanted.
    pub(crate) fn add(&mut self, (log, target, is_colleague): Side<'_>) {
        self.0.insert((log, target.clone(), is_colleague));
    }

    /// The flags of a line.
    pub(super) fn flags(&self, head: Option<&Head>, target: &Jid, is_colleague: bool) -> u8 {
        let is_unwanted = head.is_some_and(|head| {
            !self.0.is_empty() && self.0.contains(&(head.log, target.clone(), is_colleague))
        });
        if is_unwanted { HIDDEN } else { 0 }
    }
}
