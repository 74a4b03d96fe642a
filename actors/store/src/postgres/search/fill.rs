//! Filling the index of words, a batch of one log at a time, and taking out of it what is
//! purged or retracted.
//!
//! A progress row says up to which entry the index has looked at a log. Whoever changes what
//! the index has of a log holds that row until the commit: of a retraction and a filling, one
//! sees what the other has done.

use klatsch_protocol::features::fulltext::words_of;
use sqlx::PgConnection;

use super::term;
use crate::error::Result;
use crate::log::HIDDEN;
use crate::postgres::{Postgres, signed};

/// Entries a transaction of the index takes: some milliseconds.
const ENTRIES_MAX: i64 = 256;

/// Logs looked at in one query at the start.
const LOGS_MAX: i64 = 1024;

/// What one step has done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    /// Entries it has looked at.
    pub(super) looked_at: u64,
    /// The log and the index agree.
    pub(super) is_all: bool,
}

/// An entry as the index wants it: id, flags, stanza.
type Row = (i64, i16, Vec<u8>);

impl Postgres {
    /// Puts the next entries of a log into the index.
    pub(super) async fn fill(&self, log: i64) -> Result<Filled> {
        self.write(move |connection| Box::pin(async move { fill(connection, log).await }))
            .await
    }

    /// Tells whether a log has entries that the index has not looked at.
    pub(super) async fn is_behind(&self, log: i64) -> Result<bool> {
        let is_behind: Option<bool> = sqlx::query_scalar(
            "SELECT l.head > coalesce(p.last, 0)
             FROM log l LEFT JOIN word_progress p ON p.log = l.id WHERE l.id = $1",
        )
        .bind(log)
        .fetch_optional(&self.pool)
        .await?;
        Ok(is_behind.unwrap_or(false))
    }

    /// Puts up to about so many entries into the index; answers how many it has looked at.
    pub(in crate::postgres) async fn fill_some(&self, max: u64) -> Result<u64> {
        let mut filled = 0;
        while filled < max {
            let Some(log) = self.next_behind().await? else {
                break;
            };
            let done = match self.fill(log).await {
                Ok(done) => done,
                Err(error) => {
                    self.index.behind([log]);
                    return Err(error);
                }
            };
            // Looking costs something too.
            filled += done.looked_at.max(1);
            if !done.is_all {
                self.index.behind([log]);
            }
        }
        Ok(filled)
    }

    /// The next log to look at.
    async fn next_behind(&self) -> Result<Option<i64>> {
        if let Some(log) = self.index.next_behind() {
            return Ok(Some(log));
        }
        let mut looked_at = self.index.looked_at.lock().await;
        while let Some(after) = *looked_at {
            let logs: Vec<(i64, bool)> = sqlx::query_as(
                "SELECT l.id, l.head > coalesce(p.last, 0)
                 FROM (SELECT id, head FROM log WHERE id > $1 ORDER BY id LIMIT $2) l
                 LEFT JOIN word_progress p ON p.log = l.id ORDER BY l.id",
            )
            .bind(after)
            .bind(LOGS_MAX)
            .fetch_all(&self.pool)
            .await?;
            *looked_at = logs.last().map(|(log, _)| *log);
            let behind = logs.into_iter().filter(|(_, is_behind)| *is_behind);
            self.index.behind(behind.map(|(log, _)| log));
            if let Some(log) = self.index.next_behind() {
                return Ok(Some(log));
            }
        }
        Ok(None)
    }
}

/// Holds the progress of a log until the transaction ends; answers it.
async fn hold(connection: &mut PgConnection, log: i64) -> Result<i64> {
    let last = sqlx::query_scalar(
        "INSERT INTO word_progress AS p (log, last) VALUES ($1, 0)
         ON CONFLICT (log) DO UPDATE SET last = p.last RETURNING last",
    )
    .bind(log)
    .fetch_one(connection)
    .await?;
    Ok(last)
}

async fn fill(connection: &mut PgConnection, log: i64) -> Result<Filled> {
    let last = hold(connection, log).await?;
    // What is appended from now on is left to the next time.
    let head: Option<i64> = sqlx::query_scalar("SELECT head FROM log WHERE id = $1")
        .bind(log)
        .fetch_optional(&mut *connection)
        .await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, flags, stanza FROM entry WHERE log = $1 AND id > $2 AND id <= $3
         ORDER BY id LIMIT $4",
    )
    .bind(log)
    .bind(last)
    .bind(head.unwrap_or(0))
    .bind(ENTRIES_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let filled = Filled {
        looked_at: rows.len() as u64,
        is_all: (rows.len() as i64) < ENTRIES_MAX,
    };
    put_in(connection, log, &rows).await?;
    let looked_at = match filled.is_all {
        true => head,
        false => rows.last().map(|(id, ..)| *id),
    };
    if let Some(looked_at) = looked_at.filter(|looked_at| *looked_at > last) {
        sqlx::query("UPDATE word_progress SET last = $1 WHERE log = $2")
            .bind(looked_at)
            .bind(log)
            .execute(connection)
            .await?;
    }
    Ok(filled)
}

async fn put_in(connection: &mut PgConnection, log: i64, rows: &[Row]) -> Result<()> {
    let (ids, terms): (Vec<i64>, Vec<String>) = rows
        .iter()
        .filter_map(|row| Some((row.0, terms(log, row)?)))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO word (log, id, terms)
         SELECT $1, d.id, array_to_tsvector(string_to_array(d.terms, ' '))
         FROM unnest($2, $3) d (id, terms)",
    )
    .bind(log)
    .bind(ids)
    .bind(terms)
    .execute(connection)
    .await?;
    Ok(())
}

/// The terms an entry is found by; `None`: it is not found at all. A vector holds a MiB: the
/// protocol's bounds on words, in number and length, are within.
fn terms(log: i64, (_, flags, stanza): &Row) -> Option<String> {
    if flags & i16::from(HIDDEN) != 0 {
        return None;
    }
    let words = words_of(stanza);
    let terms: Vec<String> = words.iter().map(|word| term(log, word)).collect();
    (!terms.is_empty()).then(|| terms.join(" "))
}

/// Takes an entry out of the index, which is another one from now on.
pub(in crate::postgres) async fn forget(
    connection: &mut PgConnection,
    log: i64,
    id: u64,
) -> Result<()> {
    hold(connection, log).await?;
    sqlx::query("DELETE FROM word WHERE log = $1 AND id = $2")
        .bind(log)
        .bind(signed(id))
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes out of the index what stands before an id.
pub(in crate::postgres) async fn forget_before(
    connection: &mut PgConnection,
    log: i64,
    id: i64,
) -> Result<()> {
    hold(connection, log).await?;
    sqlx::query("DELETE FROM word WHERE log = $1 AND id < $2")
        .bind(log)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}
