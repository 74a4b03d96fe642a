//! Deleting entries in SQLite: retention, and what removed accounts and rooms leave behind.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::log::{LogOf, place_saturating, range};
use super::writer::Writer;
use super::{Sqlite, accounts, merge};
use crate::error::Result;

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
        let log = self.number(&LogOf::Account(account.clone())).await?;
        // All of it: what was merged before and still stands in the table of recent messages
        // would come back with the next start.
        self.write(|writer| Box::pin(merge::merge_all(writer)))
            .await?;
        let after_kept = place_saturating(log, keep_after)?.saturating_add(1);
        let end = self.find_stamp(log, stamp).await?.min(after_kept);
        let mut purged = 0;
        loop {
            let account = account.clone();
            let deleted = self
                .write(move |writer| {
                    Box::pin(async move { purge_some(writer, &account, log, end).await })
                })
                .await?;
            purged += deleted;
            if deleted == 0 {
                return Ok(purged);
            }
        }
    }
}

async fn purge_some(writer: &mut Writer, account: &BareJid, log: i64, end: i64) -> Result<u64> {
    let connection = writer.connection().await?;
    // The account may have been removed meanwhile, and even created anew.
    if accounts::number(connection, account).await? != log {
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
