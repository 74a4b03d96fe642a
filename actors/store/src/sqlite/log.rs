//! Logs in SQLite: reading entries, heads and cursors.

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::recent::Tails;
use super::writer::Writer;
use super::{Sqlite, append, bare, signed, unsigned};
use crate::error::{Result, StoreError};
use crate::log::{Append, Appended, LogAppend, LogAppended, Logs, PAGE_MAX, Restore};
use crate::plan::{LogOf, OWN, RECEIVED, SENT};

/// The columns of an entry, in the order of [`EntryRow`].
pub(super) type EntryRow = (i64, i64, i64, String, Vec<u8>);

/// Where an entry of a log stands in the table.
pub(super) fn place(log: i64, id: u64) -> Result<i64> {
    let fits = u32::try_from(id).is_ok() && (1..1 << 31).contains(&log);
    if !fits {
        return Err(StoreError::Unavailable(format!(
            "log {log} has no place for entry {id}"
        )));
    }
    Ok(log << 32 | signed(id))
}

/// The places of a log: from the first one, inclusive, to the second one, exclusive.
pub(super) fn range(log: i64) -> Result<(i64, i64)> {
    let first = place(log, 1)?;
    Ok((first, first.saturating_add(i64::from(u32::MAX))))
}

/// The place of an id, or that of the last id there can be.
pub(super) fn place_saturating(log: i64, id: u64) -> Result<i64> {
    place(log, id.min(u64::from(u32::MAX)))
}

/// An entry from its row.
pub(super) fn entry((place, stamp, direction, with, stanza): EntryRow) -> Result<Entry> {
    let direction = match direction {
        SENT => Direction::Sent,
        RECEIVED => Direction::Received,
        OWN => Direction::Own,
        other => return Err(StoreError::Corrupt(format!("direction {other}"))),
    };
    let id = id_of(place)?;
    Ok(Entry {
        id,
        stamp: Timestamp(stamp),
        direction,
        with: bare(&with)?,
        stanza: stanza.into(),
    })
}

/// The id of the entry that stands there.
pub(super) fn id_of(place: i64) -> Result<u64> {
    unsigned(place & i64::from(u32::MAX))
}

impl Logs for Sqlite {
    async fn append_all(&self, batch: Vec<LogAppend>) -> Result<Vec<LogAppended>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |writer| Box::pin(async move { append::append(writer, &batch).await }))
            .await
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
        self.find_heads(accounts).await
    }

    async fn entries(&self, account: &BareJid, after: u64, max: u32) -> Result<Vec<Entry>> {
        self.entries_of(&LogOf::Account(account.clone()), after, max)
            .await
    }

    async fn query(&self, account: &BareJid, query: &ArchiveQuery) -> Result<Page> {
        let log = self.settled(&LogOf::Account(account.clone())).await?;
        self.page(log, query).await
    }

    async fn bounds(&self, account: &BareJid) -> Result<Option<Bounds>> {
        let log = self.settled(&LogOf::Account(account.clone())).await?;
        self.find_bounds(log).await
    }

    async fn cursor(&self, account: &BareJid) -> Result<u64> {
        let cursor: Option<i64> = sqlx::query_scalar(
            "SELECT l.cursor FROM account a JOIN log l ON l.id = a.id
             WHERE a.jid = ? AND a.removed IS NULL",
        )
        .bind(account.as_str())
        .fetch_optional(&self.readers)
        .await?;
        unsigned(cursor.ok_or(StoreError::NoSuchAccount)?)
    }

    async fn set_cursors(&self, cursors: Vec<(BareJid, u64)>) -> Result<()> {
        let tails = self.tails.clone();
        self.write(move |writer| {
            Box::pin(async move { set_cursors(writer, &tails, &cursors).await })
        })
        .await
    }

    async fn purge_before(
        &self,
        account: &BareJid,
        stamp: Timestamp,
        keep_after: u64,
    ) -> Result<u64> {
        self.purge(account, stamp, keep_after).await
    }
}

pub(super) const ENTRIES: &str = "
    SELECT e.place, e.stamp, e.direction, c.jid, e.stanza
    FROM entry e CROSS JOIN conversation c ON c.id = e.conversation
    WHERE e.place > ? AND e.place < ? ORDER BY e.place LIMIT ?";

impl Sqlite {
    /// The entries of a log after an id.
    pub(super) async fn entries_of(&self, of: &LogOf, after: u64, max: u32) -> Result<Vec<Entry>> {
        let log = self.settled(of).await?;
        let rows: Vec<EntryRow> = sqlx::query_as(ENTRIES)
            .bind(place_saturating(log, after)?)
            .bind(range(log)?.1)
            .bind(max.min(PAGE_MAX))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(entry).collect()
    }
}

/// A cursor never goes back, nor beyond the log's end.
pub(super) const SET_CURSOR: &str = "
    UPDATE log SET cursor = max(cursor, min(?2, max(head, ?3, coalesce(
        (SELECT e.place & 4294967295 FROM entry e
         WHERE e.place > log.id << 32 AND e.place < (log.id + 1) << 32
         ORDER BY e.place DESC LIMIT 1), 0))))
    WHERE id = (SELECT a.id FROM account a WHERE a.jid = ?1 AND a.removed IS NULL)";

async fn set_cursors(writer: &mut Writer, tails: &Tails, cursors: &[(BareJid, u64)]) -> Result<()> {
    for (account, id) in cursors {
        let recent = tails.get(&LogOf::Account(account.clone())).unwrap_or(0);
        sqlx::query(SET_CURSOR)
            .bind(account.as_str())
            .bind(signed(*id))
            .bind(signed(recent))
            .execute(writer.connection().await?)
            .await?;
    }
    Ok(())
}
