//! Logs in PostgreSQL: their numbers, heads and cursors, and reading entries.
//!
//! Whoever appends to a log, or ends it, has its row locked until the commit. So ids have no
//! gap, and nobody sees an id appear behind one they have read.

use std::sync::Arc;

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::{Postgres, append, bare, signed, unsigned};
use crate::error::{Result, StoreError};
use crate::log::{Append, Appended, LogAppend, LogAppended, Logs, PAGE_MAX, Restore};
pub(super) use crate::plan::LogOf;
use crate::plan::{OWN, RECEIVED, SENT};

/// Begins a log whose ids go on after this one; answers its number, which is larger than that
/// of every log begun and ended before.
pub(super) async fn begin(connection: &mut PgConnection, head: u64) -> Result<i64> {
    let number = sqlx::query_scalar("INSERT INTO log (head) VALUES ($1) RETURNING id")
        .bind(signed(head))
        .fetch_one(connection)
        .await?;
    Ok(number)
}

/// Locks a log until the transaction ends: nobody appends to it meanwhile, and who did before
/// has committed.
pub(super) async fn lock(connection: &mut PgConnection, log: i64) -> Result<()> {
    sqlx::query("SELECT 1 FROM log WHERE id = $1 FOR NO KEY UPDATE")
        .bind(log)
        .execute(connection)
        .await?;
    Ok(())
}

/// The columns of an entry, in the order of [`EntryRow`].
macro_rules! columns {
    () => {
        "e.id, e.stamp, e.direction, e.other, e.stanza"
    };
}
pub(super) use columns;

/// An entry: id, stamp, direction, the other side, stanza.
pub(super) type EntryRow = (i64, i64, i16, String, Vec<u8>);

/// An entry from its row.
pub(super) fn entry((id, stamp, direction, with, stanza): EntryRow) -> Result<Entry> {
    let direction = match i64::from(direction) {
        SENT => Direction::Sent,
        RECEIVED => Direction::Received,
        OWN => Direction::Own,
        other => return Err(StoreError::Corrupt(format!("direction {other}"))),
    };
    Ok(Entry {
        id: unsigned(id)?,
        stamp: Timestamp(stamp),
        direction,
        with: bare(&with)?,
        stanza: stanza.into(),
    })
}

impl Logs for Postgres {
    async fn append_all(&self, batch: Vec<LogAppend>) -> Result<Vec<LogAppended>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        // Shared by the attempts.
        let batch = Arc::new(batch);
        let (answers, logs) = self
            .write(move |connection| {
                Box::pin(async move { append::append(connection, &batch).await })
            })
            .await?;
        self.index.behind(logs);
        Ok(answers)
    }

    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        let batch = batch.into_iter().map(LogAppend::Account).collect();
        let answers = self.append_all(batch).await?.into_iter();
        Ok(answers.filter_map(LogAppended::account).collect())
    }

    async fn restore(&self, batch: Vec<Restore>) -> Result<Vec<Appended>> {
        let batch = batch.into_iter().map(Box::new).map(LogAppend::Restore);
        let answers = self.append_all(batch.collect()).await?.into_iter();
        Ok(answers.filter_map(LogAppended::account).collect())
    }

    async fn head(&self, account: &BareJid) -> Result<u64> {
        self.find_head(&LogOf::Account(account.clone())).await
    }

    async fn heads(&self, accounts: &[BareJid]) -> Result<Vec<u64>> {
        let names: Vec<&str> = accounts.iter().map(BareJid::as_str).collect();
        let rows: Vec<(i64, i64)> = sqlx::query_as(HEADS)
            .bind(names)
            .fetch_all(&self.pool)
            .await?;
        let mut heads = vec![0; accounts.len()];
        for (number, head) in rows {
            let at = unsigned(number)?.checked_sub(1);
            if let Some(place) = at.and_then(|at| heads.get_mut(at as usize)) {
                *place = unsigned(head)?;
            }
        }
        Ok(heads)
    }

    async fn entries(&self, account: &BareJid, after: u64, max: u32) -> Result<Vec<Entry>> {
        self.entries_of(&LogOf::Account(account.clone()), after, max)
            .await
    }

    async fn query(&self, account: &BareJid, query: &ArchiveQuery) -> Result<Page> {
        let log = self.number(&LogOf::Account(account.clone())).await?;
        self.page(log, query).await
    }

    async fn bounds(&self, account: &BareJid) -> Result<Option<Bounds>> {
        let log = self.number(&LogOf::Account(account.clone())).await?;
        self.find_bounds(log).await
    }

    async fn cursor(&self, account: &BareJid) -> Result<u64> {
        let cursor: Option<i64> = sqlx::query_scalar(
            "SELECT coalesce(c.id, 0) FROM account a LEFT JOIN log_cursor c ON c.log = a.id
             WHERE a.jid = $1 AND a.removed IS NULL",
        )
        .bind(account.as_str())
        .fetch_optional(&self.pool)
        .await?;
        unsigned(cursor.ok_or(StoreError::NoSuchAccount)?)
    }

    async fn set_cursors(&self, cursors: Vec<(BareJid, u64)>) -> Result<()> {
        self.write(move |connection| {
            Box::pin(async move { set_cursors(connection, &cursors).await })
        })
        .await
    }

    async fn purge_before(
        &self,
        account: &BareJid,
        stamp: Timestamp,
        keep_after: u64,
    ) -> Result<u64> {
        let log = self.number(&LogOf::Account(account.clone())).await?;
        self.purge(log, stamp, keep_after).await
    }
}

const HEAD: &str = "SELECT l.head FROM account a JOIN log l ON l.id = a.id
    WHERE a.jid = $1 AND a.removed IS NULL";

const ROOM_HEAD: &str = "SELECT l.head FROM room r JOIN log l ON l.id = r.id
    WHERE r.jid = $1 AND NOT r.removed";

const HEADS: &str = "SELECT w.number, l.head FROM unnest($1) WITH ORDINALITY w (jid, number)
    JOIN account a ON a.jid = w.jid AND a.removed IS NULL JOIN log l ON l.id = a.id";

const ENTRIES: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry e WHERE e.log = $1 AND e.id > $2 ORDER BY e.id LIMIT $3"
);

/// A cursor never goes back, nor beyond the log's end. In the order of their logs, so that two
/// nodes that write the same ones do not wait for each other.
const SET_CURSORS: &str = "
    INSERT INTO log_cursor AS c (log, id)
    SELECT a.id, max(least(w.id, l.head)) FROM unnest($1, $2) w (jid, id)
    JOIN account a ON a.jid = w.jid AND a.removed IS NULL JOIN log l ON l.id = a.id
    GROUP BY a.id ORDER BY a.id
    ON CONFLICT (log) DO UPDATE SET id = excluded.id WHERE c.id < excluded.id";

async fn set_cursors(connection: &mut PgConnection, cursors: &[(BareJid, u64)]) -> Result<()> {
    let names: Vec<&str> = cursors
        .iter()
        .map(|(account, _)| account.as_str())
        .collect();
    let ids: Vec<i64> = cursors.iter().map(|(_, id)| signed(*id)).collect();
    sqlx::query(SET_CURSORS)
        .bind(names)
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

impl Postgres {
    /// The number of an account or room and its log.
    pub(super) async fn number(&self, of: &LogOf) -> Result<i64> {
        sqlx::query_scalar(of.find_number())
            .bind(of.jid().as_str())
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| of.no_such())
    }

    /// The id of a log's last entry.
    pub(super) async fn find_head(&self, of: &LogOf) -> Result<u64> {
        let sql = match of {
            LogOf::Account(_) => HEAD,
            LogOf::Room(_) => ROOM_HEAD,
        };
        let head: Option<i64> = sqlx::query_scalar(sql)
            .bind(of.jid().as_str())
            .fetch_optional(&self.pool)
            .await?;
        unsigned(head.ok_or_else(|| of.no_such())?)
    }

    /// The entries of a log after an id.
    pub(super) async fn entries_of(&self, of: &LogOf, after: u64, max: u32) -> Result<Vec<Entry>> {
        let log = self.number(of).await?;
        let rows: Vec<EntryRow> = sqlx::query_as(ENTRIES)
            .bind(log)
            .bind(signed(after))
            .bind(i64::from(max.min(PAGE_MAX)))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(entry).collect()
    }
}
