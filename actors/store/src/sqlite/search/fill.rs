//! Filling the index of words, a batch of one log at a time, and taking out of it what has been
//! purged or retracted.

use std::ops::Range;
use std::sync::Arc;

use klatsch_protocol::features::fulltext::words_of;
use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::{Index, term, term_resource, term_with};
use crate::error::{Result, StoreError};
use crate::sqlite::log::{id_of, range};
use crate::sqlite::statements::{ADD_WORDS, chunks};
use crate::sqlite::{Sqlite, unsigned};

/// Entries a transaction of the index takes: a few milliseconds.
const ENTRIES_MAX: i64 = 256;

/// Purged entries it takes out at once.
const GONE_MAX: i64 = 2_000;

/// Retracted entries, likewise: there are hardly ever any.
const RETRACTED_MAX: i64 = 256;

/// Logs looked at in one query at the start.
const LOGS_MAX: i64 = 256;

const FORGET: &str = "DELETE FROM words WHERE rowid = ?";

/// What one step has done.
pub(super) struct Filled {
    /// Entries it has looked at.
    pub(super) looked_at: u64,
    /// The log and the index agree.
    pub(super) is_all: bool,
}

/// How far the index is with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// What stood before this place has been taken out.
    first: i64,
    /// The last place that has been looked at, and its stamp.
    last: i64,
    stamp: i64,
}

/// An entry as the index wants it: place, stamp, flags, conversation, resource, stanza.
type Row = (i64, i64, i64, i64, Option<String>, Vec<u8>);

impl Sqlite {
    /// Puts the next entries of a log into the index.
    pub(super) async fn fill(&self, log: i64) -> Result<Filled> {
        let (index, entries) = (Arc::clone(&self.index), self.readers.clone());
        // A transaction that has begun is carried to its end, whoever goes away meanwhile.
        let task = tokio::spawn(async move { index.fill(&entries, log).await });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Puts up to about so many entries into the index; answers how many it has looked at.
    pub(in crate::sqlite) async fn fill_some(&self, max: u64) -> Result<u64> {
        self.forget_retracted().await?;
        let mut filled = 0;
        while filled < max {
            let Some(log) = self.next_behind().await? else {
                break;
            };
            let done = self.fill(log).await?;
            // Looking costs something too.
            filled += done.looked_at.max(1);
            if !done.is_all {
                self.index.behind.add([log]);
            }
        }
        Ok(filled)
    }

    /// The next log to look at.
    async fn next_behind(&self) -> Result<Option<i64>> {
        if let Some(log) = self.index.behind.next() {
            return Ok(Some(log));
        }
        let mut writer = self.index.writer.lock().await;
        let Some(after) = writer.looked_at else {
            return Ok(None);
        };
        let logs: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM log WHERE id > ? ORDER BY id LIMIT ?")
                .bind(after)
                .bind(LOGS_MAX)
                .fetch_all(&self.readers)
                .await?;
        writer.looked_at = logs.last().copied();
        self.index.behind.add(logs);
        Ok(self.index.behind.next())
    }

    /// Takes retracted entries out of the index, then off the list of them.
    pub(super) async fn forget_retracted(&self) -> Result<()> {
        let places: Vec<i64> = sqlx::query_scalar("SELECT place FROM unsearchable LIMIT ?")
            .bind(RETRACTED_MAX)
            .fetch_all(&self.readers)
            .await?;
        if places.is_empty() {
            return Ok(());
        }
        let (index, gone) = (Arc::clone(&self.index), places.clone());
        let task = tokio::spawn(async move { index.forget(&gone).await });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))?;
        self.write(move |writer| {
            Box::pin(async move {
                for place in places {
                    sqlx::query("DELETE FROM unsearchable WHERE place = ?")
                        .bind(place)
                        .execute(writer.connection().await?)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }
}

impl Index {
    async fn forget(&self, places: &[i64]) -> Result<()> {
        let mut writer = self.writer.lock().await;
        let connection = writer.connection(&self.path).await?;
        let mut transaction = connection.begin().await?;
        for place in places {
            sqlx::query(FORGET)
                .bind(*place)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        // On the disk before the list forgets them.
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn fill(&self, entries: &SqlitePool, log: i64) -> Result<Filled> {
        let mut writer = self.writer.lock().await;
        let connection = writer.connection(&self.path).await?;
        let (start, end) = range(log)?;
        let before = progress(connection, log, start).await?;
        let now = State::read(entries, log, start, end, before.last).await?;
        let mut after = before;
        // Otherwise another database has been put here than the index was made from.
        let is_ours = !now.contradicts(&before)?;
        if !is_ours {
            after = Progress::none(start);
        }
        let rows = read_rows(entries, after.last, end).await?;
        if let Some((place, stamp, ..)) = rows.last() {
            (after.last, after.stamp) = (*place, *stamp);
        }
        after.first = now.first;
        let filled = Filled {
            looked_at: rows.len() as u64,
            is_all: (rows.len() as i64) < ENTRIES_MAX,
        };
        if is_ours && after == before {
            return Ok(filled);
        }
        let mut transaction = connection.begin().await?;
        let gone = match is_ours {
            true => before.first..now.first,
            false => start..end,
        };
        if !take_out(&mut transaction, gone).await? {
            transaction.commit().await?;
            return Ok(Filled {
                looked_at: 0,
                is_all: false,
            });
        }
        put_in(&mut transaction, log, &rows).await?;
        save(&mut transaction, log, after).await?;
        transaction.commit().await?;
        Ok(filled)
    }
}

async fn read_rows(entries: &SqlitePool, after: i64, end: i64) -> Result<Vec<Row>> {
    let rows = sqlx::query_as(
        "SELECT place, stamp, flags, conversation, resource, stanza FROM entry
         WHERE place > ? AND place < ? ORDER BY place LIMIT ?",
    )
    .bind(after)
    .bind(end)
    .bind(ENTRIES_MAX)
    .fetch_all(entries)
    .await?;
    Ok(rows)
}

impl Progress {
    /// Of a log nobody has looked at.
    fn none(start: i64) -> Self {
        Self {
            first: start,
            last: start - 1,
            stamp: 0,
        }
    }
}

/// A log as it is now.
struct State {
    /// The place of its first entry, or where the next one will stand.
    first: i64,
    /// The id of its last entry, also of one that has been purged.
    head: u64,
    /// The stamp of the entry the index knows last, if that is there.
    stamp: Option<i64>,
}

impl State {
    async fn read(entries: &SqlitePool, log: i64, start: i64, end: i64, last: i64) -> Result<Self> {
        let (head, first, newest, stamp): (i64, Option<i64>, Option<i64>, Option<i64>) =
            sqlx::query_as(
                "SELECT coalesce((SELECT head FROM log WHERE id = ?1), 0),
                    (SELECT place FROM entry WHERE place >= ?2 AND place < ?3
                     ORDER BY place LIMIT 1),
                    (SELECT place FROM entry WHERE place >= ?2 AND place < ?3
                     ORDER BY place DESC LIMIT 1),
                    (SELECT stamp FROM entry WHERE place = ?4)",
            )
            .bind(log)
            .bind(start)
            .bind(end)
            .bind(last)
            .fetch_one(entries)
            .await?;
        let newest = newest.map(id_of).transpose()?.unwrap_or(0);
        Ok(Self {
            first: first.unwrap_or(start.saturating_add(head)),
            head: unsigned(head)?.max(newest),
            stamp,
        })
    }

    /// Tells whether the index has read what this log does not have.
    fn contradicts(&self, progress: &Progress) -> Result<bool> {
        let is_beyond = id_of(progress.last)? > self.head;
        let is_other = self.stamp.is_some_and(|stamp| stamp != progress.stamp);
        Ok(is_beyond || is_other)
    }
}

async fn progress(connection: &mut SqliteConnection, log: i64, start: i64) -> Result<Progress> {
    let row: Option<(i64, i64, i64)> =
        sqlx::query_as("SELECT first, last, stamp FROM progress WHERE log = ?")
            .bind(log)
            .fetch_optional(connection)
            .await?;
    Ok(
        row.map_or(Progress::none(start), |(first, last, stamp)| Progress {
            first,
            last,
            stamp,
        }),
    )
}

async fn save(connection: &mut SqliteConnection, log: i64, progress: Progress) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO progress (log, first, last, stamp) VALUES (?, ?, ?, ?)")
        .bind(log)
        .bind(progress.first)
        .bind(progress.last)
        .bind(progress.stamp)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes out what stands in these places; false: there is more.
async fn take_out(connection: &mut SqliteConnection, places: Range<i64>) -> Result<bool> {
    if places.is_empty() {
        return Ok(true);
    }
    let gone: Vec<i64> =
        sqlx::query_scalar("SELECT rowid FROM words WHERE rowid >= ? AND rowid < ? LIMIT ?")
            .bind(places.start)
            .bind(places.end)
            .bind(GONE_MAX)
            .fetch_all(&mut *connection)
            .await?;
    for place in &gone {
        sqlx::query(FORGET)
            .bind(*place)
            .execute(&mut *connection)
            .await?;
    }
    Ok((gone.len() as i64) < GONE_MAX)
}

async fn put_in(connection: &mut SqliteConnection, log: i64, rows: &[Row]) -> Result<()> {
    let documents: Vec<(i64, String)> = rows
        .iter()
        .filter_map(|row| Some((row.0, document(log, row)?)))
        .collect();
    for (size, chunk) in chunks(&documents) {
        let mut query = sqlx::query(ADD_WORDS[size].as_str());
        for (place, words) in chunk {
            query = query.bind(*place).bind(words.as_str());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// The terms an entry is found by; `None`: it is not found at all.
fn document(log: i64, row: &Row) -> Option<String> {
    let (_, _, flags, conversation, resource, stanza) = row;
    if flags & i64::from(crate::log::HIDDEN) != 0 {
        return None;
    }
    let words = words_of(stanza);
    if words.is_empty() {
        return None;
    }
    let mut terms: Vec<String> = words.iter().map(|word| term(log, word)).collect();
    terms.push(term_with(*conversation));
    terms.extend(resource.iter().map(|it| term_resource(*conversation, it)));
    Some(terms.join(" "))
}
