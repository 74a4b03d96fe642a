//! Deleting entries in PostgreSQL: retention, and what removed accounts and rooms leave behind.
//!
//! Whoever deletes from a log has it locked, so that two nodes that purge do not wait for each
//! other. A log's head stays where it is: ids and stamps go on from there.

use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::{Postgres, log, search, signed, unsigned};
use crate::error::Result;

/// Rows one transaction deletes at most: appends wait behind it for some milliseconds.
const DELETE_MAX: i64 = 500;

/// Dedup keys it forgets at most, which are small.
const REPLAYS_MAX: i64 = 5_000;

/// Logs looked at in one query.
const LOGS_MAX: i64 = 256;

/// Accounts from a number on: up to where they have been delivered, and whether there is
/// something to purge. Mostly not, and that is quickly seen.
const ACCOUNTS: &str = "
    SELECT a.id, coalesce(c.id, 0), coalesce(
        (SELECT e.stamp < $2 FROM entry e WHERE e.log = a.id ORDER BY e.id LIMIT 1), false)
    FROM (SELECT id FROM account WHERE id > $1 AND removed IS NULL ORDER BY id LIMIT $3) a
    LEFT JOIN log_cursor c ON c.log = a.id ORDER BY a.id";

/// The same of rooms, whose entries are delivered to nobody in particular.
const ROOMS: &str = "
    SELECT r.id, 9223372036854775806, coalesce(
        (SELECT e.stamp < $2 FROM entry e WHERE e.log = r.id ORDER BY e.id LIMIT 1), false)
    FROM (SELECT id FROM room WHERE id > $1 AND NOT removed ORDER BY id LIMIT $3) r
    ORDER BY r.id";

/// Deletes hidden entries behind a place that have been delivered. What another node is
/// deleting is passed over. Answers where they stood.
const HIDDEN: &str = "
    DELETE FROM entry e USING (
        SELECT e.log, e.id FROM entry e JOIN log_cursor c ON c.log = e.log AND e.id <= c.id
        WHERE e.flags & 1 = 1 AND (e.log, e.id) > ($1, $2) AND e.stamp < $3
        ORDER BY e.log, e.id LIMIT $4 FOR UPDATE OF e SKIP LOCKED) gone
    WHERE e.log = gone.log AND e.id = gone.id RETURNING e.log, e.id";

impl Postgres {
    /// Deletes what is older than `stamp` and not after `keep_after`.
    pub(super) async fn purge(&self, log: i64, stamp: Timestamp, keep_after: u64) -> Result<u64> {
        let end = self.find_stamp(log, stamp).await?;
        let end = signed(end.min(keep_after.saturating_add(1)));
        let mut purged = 0;
        loop {
            let (deleted, is_more) = self
                .write(move |connection| {
                    Box::pin(async move { delete_some(connection, log, end).await })
                })
                .await?;
            purged += deleted;
            if !is_more {
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
            let mut after = 0;
            loop {
                let logs: Vec<(i64, i64, bool)> = sqlx::query_as(sql)
                    .bind(after)
                    .bind(stamp.0)
                    .bind(LOGS_MAX)
                    .fetch_all(&self.pool)
                    .await?;
                let Some((last, ..)) = logs.last() else {
                    break;
                };
                after = *last;
                for (log, delivered, has_older) in logs {
                    if has_older {
                        purged += self.purge(log, stamp, unsigned(delivered)?).await?;
                    }
                }
            }
        }
        Ok(purged)
    }

    /// Deletes what no query shows and has been delivered.
    pub(super) async fn purge_all_hidden(&self, before: Timestamp) -> Result<u64> {
        let mut purged = 0;
        let mut after = (0, 0);
        loop {
            let places = self
                .write(move |connection| {
                    Box::pin(async move { delete_hidden(connection, after, before).await })
                })
                .await?;
            let Some(last) = places.iter().max() else {
                return Ok(purged);
            };
            after = *last;
            purged += places.len() as u64;
        }
    }
}

/// Deletes hidden entries; their replays stay recognised: they are younger than other entries.
async fn delete_hidden(
    connection: &mut PgConnection,
    after: (i64, i64),
    before: Timestamp,
) -> Result<Vec<(i64, i64)>> {
    let places = sqlx::query_as(HIDDEN)
        .bind(after.0)
        .bind(after.1)
        .bind(before.0)
        .bind(DELETE_MAX)
        .fetch_all(connection)
        .await?;
    Ok(places)
}

/// Deletes some of a log's entries before an id, and once there are none, some of what was said
/// in them; answers how many entries, and whether there is more.
async fn delete_some(connection: &mut PgConnection, log: i64, end: i64) -> Result<(u64, bool)> {
    log::lock(connection, log).await?;
    let (count, last): (i64, Option<i64>) = sqlx::query_as(
        "WITH gone AS (DELETE FROM entry WHERE log = $1 AND id IN
            (SELECT id FROM entry WHERE log = $1 AND id < $2 ORDER BY id LIMIT $3)
            RETURNING id)
         SELECT count(*), max(id) FROM gone",
    )
    .bind(log)
    .bind(end)
    .bind(DELETE_MAX)
    .fetch_one(&mut *connection)
    .await?;
    let Some(last) = last else {
        return Ok((0, forget_replays(connection, log, end).await?));
    };
    search::forget_before(connection, log, last.saturating_add(1)).await?;
    Ok((unsigned(count)?, true))
}

/// Forgets some of the dedup keys of entries before an id; true: there are more.
async fn forget_replays(connection: &mut PgConnection, log: i64, end: i64) -> Result<bool> {
    let key = |log: i64| u32::try_from(log).unwrap_or(u32::MAX).to_be_bytes();
    let done = sqlx::query(
        "DELETE FROM replay WHERE key IN
            (SELECT key FROM replay WHERE key >= $1 AND key < $2 AND id < $3 LIMIT $4)",
    )
    .bind(key(log).as_slice())
    .bind(key(log + 1).as_slice())
    .bind(end)
    .bind(REPLAYS_MAX)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == REPLAYS_MAX.unsigned_abs())
}

/// How a tombstone with a log is found, and how it is marked when that is empty.
const UNSWEPT: [(&str, &str); 2] = [
    (
        "SELECT id FROM account WHERE removed IS NOT NULL AND NOT swept ORDER BY id LIMIT 1",
        "UPDATE account SET swept = true WHERE id = $1",
    ),
    (
        "SELECT id FROM room WHERE removed AND NOT swept ORDER BY id LIMIT 1",
        "UPDATE room SET swept = true WHERE id = $1",
    ),
];

/// Deletes some of what one removed account or room has left; true: there is more.
pub(super) async fn sweep(connection: &mut PgConnection) -> Result<bool> {
    for (find, done) in UNSWEPT {
        let found: Option<i64> = sqlx::query_scalar(find)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(log) = found else {
            continue;
        };
        let (_, is_more) = delete_some(connection, log, i64::MAX).await?;
        if !is_more {
            forget_log(connection, log).await?;
            sqlx::query(done).bind(log).execute(connection).await?;
        }
        return Ok(true);
    }
    Ok(false)
}

/// What stands beside an empty log that has ended.
async fn forget_log(connection: &mut PgConnection, log: i64) -> Result<()> {
    for sql in [
        "DELETE FROM log_cursor WHERE log = $1",
        "DELETE FROM word_progress WHERE log = $1",
    ] {
        sqlx::query(sql).bind(log).execute(&mut *connection).await?;
    }
    Ok(())
}
