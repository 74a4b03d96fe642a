//! The directory's entries in PostgreSQL.

use std::collections::BTreeMap;

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::text::{escaped, unescaped};
use super::{Postgres, signed, unsigned};
use crate::colleagues::{
    ColleagueEntries, Colleagues, GONE_MAX, Kept, PHOTO_WAITS, answer, photo_of, read_after,
};
use crate::error::{Result, StoreError};

/// Pictures one transaction deletes at most.
const DELETE_MAX: i64 = 500;

/// Entries one statement writes at most.
const WRITE_MAX: usize = 500;

/// The version, and what is later than $1. In one statement, so that they belong together; without
/// anything later it is one row of the version.
const SINCE: &str = "
    SELECT v.version, c.id, c.version, c.record
    FROM colleague_version v LEFT JOIN colleague c ON c.version > $1 ORDER BY c.id";

type Row = (i64, Option<String>, Option<i64>, Option<Vec<u8>>);

impl ColleagueEntries for Postgres {
    async fn colleagues_since(&self, known: u64) -> Result<Colleagues> {
        let (version, later) = self.later_than(known).await?;
        if read_after(known, version) == known {
            return Ok(answer(known, version, later));
        }
        // Too far behind, which only the answer has said.
        let (version, everything) = self.later_than(0).await?;
        Ok(answer(0, version, everything))
    }

    async fn change_colleagues(&self, expected: u64, changes: Vec<Change>) -> Result<u64> {
        self.write(move |connection| {
            Box::pin(async move { change(connection, expected, &changes).await })
        })
        .await
    }

    async fn keep_photo(&self, hash: &str, bytes: Vec<u8>, now: Timestamp) -> Result<()> {
        let hash = hash.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO colleague_photo VALUES ($1, $2, $3)
                     ON CONFLICT (hash) DO UPDATE SET kept = greatest(colleague_photo.kept, $2)",
                )
                .bind(hash)
                .bind(now.0)
                .bind(bytes)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn photo(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes FROM colleague_photo WHERE hash = $1";
        let found = sqlx::query_scalar(sql).bind(escaped(hash));
        Ok(found.fetch_optional(&self.pool).await?)
    }
}

impl Postgres {
    async fn later_than(&self, known: u64) -> Result<(u64, Vec<Kept>)> {
        let rows: Vec<Row> = sqlx::query_as(SINCE)
            .bind(signed(known))
            .fetch_all(&self.pool)
            .await?;
        let (version, ..) = rows
            .first()
            .ok_or_else(|| StoreError::Corrupt("no version of the colleagues".to_owned()))?;
        let version = unsigned(*version)?;
        let mut later = Vec::with_capacity(rows.len());
        for row in rows {
            if let (_, Some(id), Some(version), record) = row {
                later.push(Kept {
                    id: unescaped(id).into(),
                    version: unsigned(version)?,
                    record,
                });
            }
        }
        Ok((version, later))
    }
}

/// Makes all these changes, if the version is still the expected one.
pub(super) async fn change(
    connection: &mut PgConnection,
    expected: u64,
    changes: &[Change],
) -> Result<u64> {
    let version: i64 = sqlx::query_scalar("SELECT version FROM colleague_version FOR UPDATE")
        .fetch_one(&mut *connection)
        .await?;
    if unsigned(version)? != expected {
        return Err(StoreError::Conflict);
    }
    if changes.is_empty() {
        return Ok(expected);
    }
    let next = expected + 1;
    let last: BTreeMap<_, _> = changes.iter().map(|it| (&*it.id, &it.entry)).collect();
    let last: Vec<_> = last.into_iter().collect();
    for some in last.chunks(WRITE_MAX) {
        let ids: Vec<_> = some.iter().map(|(id, _)| escaped(id)).collect();
        let records = some
            .iter()
            .map(|(_, entry)| entry.as_ref().map(|it| it.to_bytes()));
        let photos = some.iter().map(|(_, entry)| photo_of(entry.as_ref()));
        sqlx::query(
            "INSERT INTO colleague (id, version, record, photo)
             SELECT id, $2, record, photo
             FROM unnest($1::text[], $3::bytea[], $4::text[]) AS it (id, record, photo)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version,
                record = excluded.record, photo = excluded.photo",
        )
        .bind(&ids)
        .bind(signed(next))
        .bind(records.collect::<Vec<_>>())
        .bind(photos.collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("DELETE FROM colleague WHERE record IS NULL AND version <= $1")
        .bind(signed(next.saturating_sub(GONE_MAX)))
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE colleague_version SET version = $1")
        .bind(signed(next))
        .execute(connection)
        .await?;
    Ok(next)
}

/// Deletes some pictures that no entry mentions any more; true: there may be more.
pub(super) async fn sweep(connection: &mut PgConnection, now: Timestamp) -> Result<bool> {
    let done = sqlx::query(
        "DELETE FROM colleague_photo WHERE hash IN
            (SELECT hash FROM colleague_photo p WHERE kept <= $1
                AND NOT EXISTS (SELECT 1 FROM colleague c WHERE c.photo = p.hash)
             LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now.0.saturating_sub(PHOTO_WAITS))
    .bind(DELETE_MAX)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
