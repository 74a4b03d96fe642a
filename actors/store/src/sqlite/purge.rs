//! Deleting entries in SQLite: retention, and what removed accounts and rooms leave behind.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::log::{place_saturating, range};
use super::writer::Writer;
use super::{Sqlite, bare, merge, unsigned};
use crate::error::Result;
use crate::plan::LogOf;

/// Rows one transaction deletes at most: appends wait behind it for some milliseconds.
const DELETE_MAX: i64 = 500;

impl Sqlite {
    /// Deletes what is older than `stamp` and not after `keep_after`.
    pub(super) async fn purge(
        &self,
        account: &BareJid,
        stamp: Timestamp,
        keep_after: u64,
    ) -> Result<u64> {
        let of = LogOf::Account(account.clone());
        let log = self.number(&of).await?;
        // All of it: what was merged before and still stands in the table of recent messages
        // would come back with the next start.
        self.write(|writer| Box::pin(merge::merge_all(writer)))
            .await?;
        self.purge_log(&of, log, stamp, keep_after).await
    }

    /// The same for any log, everything recent having been merged.
    async fn purge_log(
        &self,
        of: &LogOf,
        log: i64,
        stamp: Timestamp,
        keep_after: u64,
    ) -> Result<u64> {
        let after_kept = place_saturating(log, keep_after)?.saturating_add(1);
        let end = self.find_stamp(log, stamp).await?.min(after_kept);
        let mut purged = 0;
        loop {
            let of = of.clone();
            let deleted = self
                .write(move |writer| {
                    Box::pin(async move { purge_some(writer, &of, log, end).await })
                })
                .await?;
            purged += deleted;
            if deleted == 0 {
                return Ok(purged);
            }
        }
    }

    /// Deletes what is old of every log.
    pub(super) async fn purge_all_old(
        &self,
        accounts: Option<Timestamp>,
        rooms: Option<Timestamp>,
    ) -> Result<u64> {
        let mut purged = 0;
        for (stamp, sql) in [(accounts, ACCOUNTS), (rooms, ROOMS)] {
            let Some(stamp) = stamp else {
                continue;
            };
            self.write(|writer| Box::pin(merge::merge_all(writer)))
                .await?;
            let mut after = 0;
            loop {
                let logs: Vec<(i64, String, i64)> = sqlx::query_as(sql)
                    .bind(after)
                    .bind(LOGS_MAX)
                    .fetch_all(&self.readers)
                    .await?;
                let Some((last, ..)) = logs.last() else {
                    break;
                };
                after = *last;
                for (log, jid, delivered) in logs {
                    let (of, delivered) = match sql {
                        ACCOUNTS => (LogOf::Account(bare(&jid)?), unsigned(delivered)?),
                        _ => (LogOf::Room(bare(&jid)?), u64::from(u32::MAX)),
                    };
                    if self.has_older(log, stamp).await? {
                        purged += self.purge_log(&of, log, stamp, delivered).await?;
                    }
                }
            }
        }
        Ok(purged)
    }

    /// Tells whether there is something to purge: mostly not, and that is quickly seen.
    async fn has_older(&self, log: i64, stamp: Timestamp) -> Result<bool> {
        let (start, end) = range(log)?;
        let first: Option<i64> = sqlx::query_scalar(
            "SELECT stamp FROM entry WHERE place >= ? AND place < ? ORDER BY place LIMIT 1",
        )
        .bind(start)
        .bind(end)
        .fetch_optional(&self.readers)
        .await?;
        Ok(first.is_some_and(|first| first < stamp.0))
    }

    /// Deletes what no query shows and has been delivered.
    pub(super) async fn purge_all_hidden(&self, before: Timestamp) -> Result<u64> {
        self.write(|writer| Box::pin(merge::merge_all(writer)))
            .await?;
        let mut purged = 0;
        let mut after = 0;
        loop {
            let places: Vec<i64> = sqlx::query_scalar(HIDDEN)
                .bind(after)
                .bind(before.0)
                .bind(DELETE_MAX)
                .fetch_all(&self.readers)
                .await?;
            let Some(last) = places.last() else {
                return Ok(purged);
            };
            after = *last;
            purged += places.len() as u64;
            self.write(move |writer| Box::pin(async move { purge_places(writer, &places).await }))
                .await?;
        }
    }
}

/// Logs looked at in one query.
const LOGS_MAX: i64 = 256;

const ACCOUNTS: &str = "SELECT a.id, a.jid, l.cursor FROM account a JOIN log l ON l.id = a.id
    WHERE a.id > ? AND a.removed IS NULL ORDER BY a.id LIMIT ?";

const ROOMS: &str = "SELECT id, jid, 0 FROM room WHERE id > ? AND NOT removed ORDER BY id LIMIT ?";

const HIDDEN: &str = "SELECT e.place FROM entry e CROSS JOIN log l ON l.id = e.place >> 32
    WHERE e.flags & 1 AND e.place > ?1 AND e.stamp < ?2 AND e.place & 4294967295 <= l.cursor
    ORDER BY e.place LIMIT ?3";

/// Every statement that looks for what is to be purged, for a test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ACCOUNTS, ROOMS, HIDDEN];

/// Deletes these entries. Their replays stay recognised: they are younger than other entries.
async fn purge_places(writer: &mut Writer, places: &[i64]) -> Result<()> {
    // Also out of the recent messages, from which they would come back with the next start.
    merge::merge_all(writer).await?;
    let mut logs: Vec<i64> = places.iter().map(|place| place >> 32).collect();
    logs.dedup();
    let connection = writer.connection().await?;
    for log in logs {
        keep_head(connection, log).await?;
    }
    for place in places {
        sqlx::query("DELETE FROM entry WHERE place = ?")
            .bind(*place)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn purge_some(writer: &mut Writer, of: &LogOf, log: i64, end: i64) -> Result<u64> {
    let connection = writer.connection().await?;
    // The account may have been removed meanwhile, and even created anew.
    let number: Option<i64> = sqlx::query_scalar(of.find_number())
        .bind(of.jid().as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if number.ok_or_else(|| of.no_such())? != log {
        return Ok(0);
    }
    keep_head(connection, log).await?;
    let deleted = delete_entries(connection, range(log)?.0, end).await?;
    if deleted == 0 {
        forget_replays(connection, log, end).await?;
    }
    writer.pending.purged.push(log);
    Ok(deleted)
}

/// Ids and stamps go on from the log's row when the last entry is gone.
pub(super) async fn keep_head(connection: &mut SqliteConnection, log: i64) -> Result<()> {
    let (start, end) = range(log)?;
    sqlx::query(
        "UPDATE log SET head = max(head, e.place & 4294967295), stamp = max(log.stamp, e.stamp)
         FROM (SELECT place, stamp FROM entry WHERE place >= ?2 AND place < ?3
               ORDER BY place DESC LIMIT 1) e
         WHERE log.id = ?1",
    )
    .bind(log)
    .bind(start)
    .bind(end)
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete_entries(connection: &mut SqliteConnection, start: i64, end: i64) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM entry WHERE place IN
            (SELECT place FROM entry WHERE place >= ? AND place < ? ORDER BY place LIMIT ?)",
    )
    .bind(start)
    .bind(end)
    .bind(DELETE_MAX)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets the dedup keys of entries before a place.
async fn forget_replays(connection: &mut SqliteConnection, log: i64, end: i64) -> Result<()> {
    let key = u32::try_from(log).unwrap_or(u32::MAX).to_be_bytes();
    let next = u32::try_from(log + 1).unwrap_or(u32::MAX).to_be_bytes();
    sqlx::query("DELETE FROM replay WHERE key >= ? AND key < ? AND id < ?")
        .bind(key.to_vec())
        .bind(next.to_vec())
        .bind(end.saturating_sub(log << 32))
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes some of what one removed account or room has left; true: there is more.
pub(super) async fn sweep(writer: &mut Writer) -> Result<bool> {
    for (find, done) in [UNSWEPT_ACCOUNT, UNSWEPT_ROOM] {
        let connection = writer.connection().await?;
        let log: Option<i64> = sqlx::query_scalar(find)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(log) = log {
            if !delete_some(writer, log).await? {
                let connection = writer.connection().await?;
                sqlx::query(done).bind(log).execute(connection).await?;
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// How a tombstone with a log is found, and how it is marked when that is empty.
type Unswept = (&'static str, &'static str);

pub(super) const UNSWEPT_ACCOUNT: Unswept = (
    "SELECT id FROM account WHERE removed IS NOT NULL AND NOT swept LIMIT 1",
    "UPDATE account SET swept = 1 WHERE id = ?",
);
pub(super) const UNSWEPT_ROOM: Unswept = (
    "SELECT id FROM room WHERE removed AND NOT swept LIMIT 1",
    "UPDATE room SET swept = 1 WHERE id = ?",
);

/// Deletes some of a log; false: nothing of it is left.
async fn delete_some(writer: &mut Writer, log: i64) -> Result<bool> {
    let connection = writer.connection().await?;
    let (start, end) = range(log)?;
    if delete_entries(connection, start, end).await? > 0 {
        writer.pending.purged.push(log);
        return Ok(true);
    }
    forget_replays(connection, log, end).await?;
    sqlx::query("DELETE FROM conversation WHERE log = ?")
        .bind(log)
        .execute(connection)
        .await?;
    // A number that has been deleted may be given again.
    writer.forget_conversations();
    Ok(false)
}
