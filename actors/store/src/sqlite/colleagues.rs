//! The directory's entries in SQLite.

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, signed, unsigned};
use crate::colleagues::{
    ColleagueEntries, Colleagues, GONE_MAX, Kept, PHOTO_WAITS, answer, photo_of, read_after,
};
use crate::error::{Result, StoreError};

/// Pictures one transaction deletes at most.
const DELETE_MAX: i64 = 500;

impl ColleagueEntries for Sqlite {
    async fn colleagues_since(&self, known: u64) -> Result<Colleagues> {
        // Two queries of one transaction: what they find belongs together.
        let mut reading = self.readers.begin().await?;
        let version = version(&mut reading).await?;
        let rows: Vec<(String, i64, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT id, version, record FROM colleague WHERE version > ? ORDER BY id",
        )
        .bind(signed(read_after(known, version)))
        .fetch_all(&mut *reading)
        .await?;
        let kept = |(id, version, record): (String, i64, Option<Vec<u8>>)| {
            Ok(Kept {
                id: id.into(),
                version: unsigned(version)?,
                record,
            })
        };
        let later = rows.into_iter().map(kept).collect::<Result<Vec<_>>>()?;
        Ok(answer(known, version, later))
    }

    async fn change_colleagues(&self, expected: u64, changes: Vec<Change>) -> Result<u64> {
        self.write(move |writer| Box::pin(async move { change(writer, expected, &changes).await }))
            .await
    }

    async fn keep_photo(&self, hash: &str, bytes: Vec<u8>, now: Timestamp) -> Result<()> {
        let hash = hash.to_owned();
        self.write(move |writer| {
            Box::pin(async move {
                sqlx::query("INSERT OR REPLACE INTO colleague_photo VALUES (?, ?, ?)")
                    .bind(hash)
                    .bind(now.0)
                    .bind(bytes)
                    .execute(writer.connection().await?)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn photo(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes FROM colleague_photo WHERE hash = ?";
        let found = sqlx::query_scalar(sql).bind(hash);
        Ok(found.fetch_optional(&self.readers).await?)
    }
}

async fn version(connection: &mut SqliteConnection) -> Result<u64> {
    let version = sqlx::query_scalar("SELECT version FROM colleague_version");
    unsigned(version.fetch_one(connection).await?)
}

/// Makes all these changes, if the version is still the expected one.
pub(super) async fn change(writer: &mut Writer, expected: u64, changes: &[Change]) -> Result<u64> {
    let connection = writer.connection().await?;
    if version(connection).await? != expected {
        return Err(StoreError::Conflict);
    }
    if changes.is_empty() {
        return Ok(expected);
    }
    let next = expected + 1;
    for change in changes {
        sqlx::query("INSERT OR REPLACE INTO colleague VALUES (?, ?, ?, ?)")
            .bind(&*change.id)
            .bind(signed(next))
            .bind(change.entry.as_ref().map(|entry| entry.to_bytes()))
            .bind(photo_of(change.entry.as_ref()))
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("DELETE FROM colleague WHERE record IS NULL AND version <= ?")
        .bind(signed(next.saturating_sub(GONE_MAX)))
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE colleague_version SET version = ?")
        .bind(signed(next))
        .execute(connection)
        .await?;
    Ok(next)
}

/// Deletes some pictures that no entry mentions any more; true: there may be more.
pub(super) async fn sweep(writer: &mut Writer, now: Timestamp) -> Result<bool> {
    let done = sqlx::query(
        "DELETE FROM colleague_photo WHERE hash IN
            (SELECT hash FROM colleague_photo WHERE kept <= ?
                AND hash NOT IN (SELECT photo FROM colleague WHERE photo IS NOT NULL) LIMIT ?)",
    )
    .bind(now.0.saturating_sub(PHOTO_WAITS))
    .bind(DELETE_MAX)
    .execute(writer.connection().await?)
    .await?;
    Ok(done.rows_affected() > 0)
}
