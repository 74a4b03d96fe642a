//! What has been committed lately and is not yet where it is found.
//!
//! A message goes into two logs, their conversations and the list of replays: five places in
//! five trees, five pages to write for a few hundred bytes. So a commit appends whole messages
//! to the table `recent`, page after page, and only later they are put into the other tables,
//! many of a log at a time: some with each commit once enough have come together, and at once
//! those of a log that somebody reads. What is recent is also in memory, and nothing is ever
//! only there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::merge;
use super::writer::Writer;
use super::{Sqlite, bare, unsigned};
use crate::error::{Result, StoreError};
use crate::log::Placed;
use crate::plan::{Key, LogOf, RECEIVED, Said};

/// So many lines come together before they are put away: enough that an active log gets dozens
/// of its entries written at a time, few enough to be read in a moment at the start.
const LINES_MAX: usize = 16 * 1024;

/// So many bytes of stanzas likewise.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A message's flags are those of its first line, and from this bit on those of its twin.
pub(super) const TWIN_FLAGS: u8 = 4;

/// A message as a row of the table.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) number: i64,
    pub(super) said: Option<(Key, u64)>,
    pub(super) flags: u8,
    pub(super) stanza: Bytes,
    pub(super) first: Line,
    pub(super) twin: Option<Line>,
}

/// A message in one of its logs.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) place: i64,
    pub(super) stamp: Timestamp,
    pub(super) direction: i64,
    /// The other side.
    pub(super) with: BareJid,
    /// The other side's resource.
    pub(super) resource: Option<String>,
}

impl Line {
    pub(super) fn log(&self) -> i64 {
        self.place >> 32
    }

    fn placed(&self) -> Placed {
        Placed {
            id: (self.place & i64::from(u32::MAX)).cast_unsigned(),
            stamp: self.stamp,
        }
    }
}

/// A line with what it shares with its twin.
#[derive(Debug, Clone)]
pub(super) struct Unmerged {
    pub(super) number: i64,
    pub(super) line: Line,
    pub(super) flags: u8,
    pub(super) stanza: Bytes,
}

/// What is recent of one log.
#[derive(Debug, Default)]
struct RecentLog {
    of: Option<LogOf>,
    lines: Vec<Unmerged>,
    keys: Vec<Key>,
}

/// Where the logs end that have recent entries; shared with those who only read.
#[derive(Clone, Default)]
pub(super) struct Tails(Arc<Mutex<HashMap<LogOf, u64>>>);

impl Tails {
    fn lock(&self) -> MutexGuard<'_, HashMap<LogOf, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the log's last entry, if that is recent.
    pub(super) fn get(&self, of: &LogOf) -> Option<u64> {
        self.lock().get(of).copied()
    }
}

/// Everything that is recent.
pub(super) struct Recent {
    logs: BTreeMap<i64, RecentLog>,
    said: HashMap<Key, Said>,
    /// The number of the last message there ever was, as far as the table knows.
    last: i64,
    lines: usize,
    bytes: usize,
    is_loaded: bool,
    tails: Tails,
}

impl Recent {
    pub(super) fn new(tails: Tails) -> Self {
        Self {
            logs: BTreeMap::new(),
            said: HashMap::new(),
            last: 0,
            lines: 0,
            bytes: 0,
            is_loaded: false,
            tails,
        }
    }

    /// What is here may no longer be what the table has.
    pub(super) fn forget(&mut self) {
        self.is_loaded = false;
    }

    /// The number of the next message.
    pub(super) fn next_number(&self) -> i64 {
        self.last + 1
    }

    /// What was said under a key, if that is recent.
    pub(super) fn said(&self, key: &Key) -> Option<Said> {
        self.said.get(key).copied()
    }

    /// The last entry of a log, if it is recent.
    pub(super) fn tail(&self, log: i64) -> Option<Placed> {
        let last = self.logs.get(&log)?.lines.last()?;
        Some(last.line.placed())
    }

    /// Tells whether it is time to put something away.
    pub(super) fn is_full(&self) -> bool {
        self.lines >= LINES_MAX || self.bytes >= BYTES_MAX
    }

    /// Before this number everything has been put where it is found, once these logs are.
    pub(super) fn oldest_without(&self, merged: &[i64]) -> i64 {
        let merged: HashSet<i64> = merged.iter().copied().collect();
        let rest = self.logs.iter().filter(|(log, _)| !merged.contains(log));
        let firsts = rest.filter_map(|(_, log)| log.lines.first());
        firsts
            .map(|first| first.number)
            .min()
            .unwrap_or(self.last + 1)
    }

    /// All logs with something recent.
    pub(super) fn all(&self) -> Vec<i64> {
        self.logs.keys().copied().collect()
    }

    /// The logs that have waited longest, with about so many lines together.
    pub(super) fn longest_waiting(&self, lines_max: usize) -> Vec<i64> {
        let mut logs: Vec<(i64, i64, usize)> = self
            .logs
            .iter()
            .filter_map(|(log, recent)| {
                Some((recent.lines.first()?.number, *log, recent.lines.len()))
            })
            .collect();
        logs.sort_unstable();
        let mut lines = 0;
        logs.into_iter()
            .take_while(|(.., count)| {
                let is_wanted = lines < lines_max;
                lines += count;
                is_wanted
            })
            .map(|(_, log, _)| log)
            .collect()
    }

    /// What is recent of these logs, and which keys: in the order of their places.
    pub(super) fn of(&self, logs: &[i64]) -> (Vec<Unmerged>, Vec<(Key, Said)>) {
        let chosen = || logs.iter().filter_map(|log| self.logs.get(log));
        let lines = chosen().flat_map(|log| log.lines.iter().cloned()).collect();
        let keys = chosen().flat_map(|log| &log.keys);
        let said = keys.filter_map(|key| Some((*key, *self.said.get(key)?)));
        (lines, said.collect())
    }

    /// A message has been committed.
    pub(super) fn add(&mut self, message: Message, whose: impl Fn(i64) -> Option<LogOf>) {
        let Message {
            number,
            said,
            flags,
            stanza,
            first,
            twin,
        } = message;
        self.last = self.last.max(number);
        if let Some((key, payload)) = said {
            let what = Said {
                payload,
                sender: first.placed(),
                recipient: twin.as_ref().map(Line::placed),
            };
            self.said.insert(key, what);
            self.logs.entry(first.log()).or_default().keys.push(key);
        }
        let twin_flags = flags >> TWIN_FLAGS;
        let flags = flags & ((1 << TWIN_FLAGS) - 1);
        let lines = [(Some(first), flags), (twin, twin_flags)];
        for (line, flags) in lines
            .into_iter()
            .filter_map(|(line, flags)| Some((line?, flags)))
        {
            self.lines += 1;
            self.bytes += stanza.len();
            let (log, id) = (line.log(), line.placed().id);
            let recent = self.logs.entry(log).or_default();
            if recent.of.is_none() {
                recent.of = whose(log);
            }
            if let Some(of) = &recent.of {
                self.tails.lock().insert(of.clone(), id);
            }
            recent.lines.push(Unmerged {
                number,
                line,
                flags,
                stanza: stanza.clone(),
            });
        }
    }

    /// What was recent of these logs is where it is found.
    pub(super) fn merged(&mut self, logs: &[i64]) {
        for log in logs {
            let Some(recent) = self.logs.remove(log) else {
                continue;
            };
            for key in &recent.keys {
                self.said.remove(key);
            }
            let bytes: usize = recent.lines.iter().map(|line| line.stanza.len()).sum();
            self.bytes = self.bytes.saturating_sub(bytes);
            self.lines = self.lines.saturating_sub(recent.lines.len());
            if let Some(of) = &recent.of {
                self.tails.lock().remove(of);
            }
        }
    }

    fn start_again(&mut self) {
        self.logs.clear();
        self.said.clear();
        self.lines = 0;
        self.bytes = 0;
        self.last = 0;
        self.tails.lock().clear();
    }
}

/// A row of the table `recent`.
type Row = (
    i64,
    Option<Vec<u8>>,
    Option<i64>,
    i64,
    Vec<u8>,
    i64,
    i64,
    i64,
    String,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

/// Reads the table, unless what is in memory is the same.
pub(super) async fn load(writer: &mut Writer) -> Result<()> {
    if writer.recent.is_loaded {
        return Ok(());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT number, key, payload, flags, stanza, place, stamp, direction, other, resource,
            twin_place, twin_stamp, twin_other, twin_resource
         FROM recent ORDER BY number",
    )
    .fetch_all(writer.connection().await?)
    .await?;
    let messages = rows
        .into_iter()
        .map(message)
        .collect::<Result<Vec<Message>>>()?;
    let whose = whose(writer, &messages).await?;
    writer.recent.start_again();
    for message in messages {
        writer.recent.add(message, |log| whose.get(&log).cloned());
    }
    writer.recent.is_loaded = true;
    Ok(())
}

pub(super) const WHOSE: &str = "
    SELECT 0, jid FROM account WHERE id = ?1 AND removed IS NULL
    UNION ALL SELECT 1, jid FROM room WHERE id = ?1 AND NOT removed";

/// Whose logs these messages are in.
async fn whose(writer: &mut Writer, messages: &[Message]) -> Result<HashMap<i64, LogOf>> {
    let lines = messages
        .iter()
        .flat_map(|message| std::iter::once(&message.first).chain(&message.twin));
    let logs: HashSet<i64> = lines.map(Line::log).collect();
    let mut whose = HashMap::with_capacity(logs.len());
    for log in logs {
        let found: Option<(bool, String)> = sqlx::query_as(WHOSE)
            .bind(log)
            .fetch_optional(writer.connection().await?)
            .await?;
        if let Some((is_room, jid)) = found {
            let of = if is_room { LogOf::Room } else { LogOf::Account };
            whose.insert(log, of(bare(&jid)?));
        }
    }
    Ok(whose)
}

fn message(row: Row) -> Result<Message> {
    let (number, key, payload, flags, stanza, place, stamp, direction, other, resource, ..) = row;
    let said = match (key, payload) {
        (Some(key), Some(payload)) => {
            let key = Key::try_from(key)
                .map_err(|_| StoreError::Corrupt("length of a replay's key".to_owned()))?;
            Some((key, payload.cast_unsigned()))
        }
        _ => None,
    };
    let twin = match (row.10, row.11, row.12) {
        (Some(place), Some(stamp), Some(other)) => Some(Line {
            place,
            stamp: Timestamp(stamp),
            direction: RECEIVED,
            with: bare(&other)?,
            resource: row.13,
        }),
        _ => None,
    };
    Ok(Message {
        number,
        said,
        flags: u8::try_from(unsigned(flags)?).unwrap_or(0),
        stanza: stanza.into(),
        first: Line {
            place,
            stamp: Timestamp(stamp),
            direction,
            with: bare(&other)?,
            resource,
        },
        twin,
    })
}

impl Sqlite {
    /// Puts what is recent of a log where a query finds it.
    pub(super) async fn settle(&self, of: &LogOf, log: i64) -> Result<()> {
        if self.tails.get(of).is_none() {
            return Ok(());
        }
        self.write(move |writer| Box::pin(async move { merge::merge(writer, vec![log]).await }))
            .await
    }
}

#[cfg(test)]
mod tests;
