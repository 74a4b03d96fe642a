//! Files that accounts have uploaded, in SQLite.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Id;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::{Sqlite, accounts, unsigned};
use crate::error::{Result, StoreError};
use crate::uploads::{ContentHash, Reserved, Upload, Uploads};

/// An ended file's content.
type Content = (Option<Vec<u8>>,);

impl Uploads for Sqlite {
    async fn reserve_upload(&self, request: &SlotRequest, now: Timestamp) -> Result<Reserved> {
        let request = request.clone();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let owner = accounts::number(connection, &request.owner).await?;
                let missing = missing(connection, owner, &request, now).await?;
                if missing > 0 {
                    let again = room_at(connection, owner, missing, now).await?;
                    return Ok(Reserved::OverQuota(again));
                }
                insert(connection, owner, &request, now).await?;
                Ok(Reserved::Granted)
            })
        })
        .await
    }

    async fn complete_upload(&self, id: Id, content: ContentHash, now: Timestamp) -> Result<bool> {
        self.write(move |writer| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE upload SET content = ?, ends = expires, stamp = ?
                     WHERE id = ? AND content IS NULL AND owner IS NOT NULL",
                )
                .bind(content.to_vec())
                .bind(now.0)
                .bind(id.to_vec())
                .execute(writer.connection().await?)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    async fn upload(&self, id: Id, now: Timestamp) -> Result<Option<Upload>> {
        type Row = (String, Option<String>, i64, Vec<u8>, i64);
        let row: Option<Row> = sqlx::query_as(
            "SELECT name, content_type, size, content, stamp FROM upload
             WHERE id = ? AND content IS NOT NULL AND (ends IS NULL OR ends > ?)",
        )
        .bind(id.to_vec())
        .bind(now.0)
        .fetch_optional(&self.readers)
        .await?;
        let upload = |(name, content_type, size, content, stamp): Row| {
            Ok(Upload {
                name,
                content_type,
                size: unsigned(size)?,
                content: hash(content)?,
                stamp: Timestamp(stamp),
            })
        };
        row.map(upload).transpose()
    }

    async fn expire_uploads(&self, now: Timestamp, max: u32) -> Result<Vec<ContentHash>> {
        self.write(move |writer| {
            Box::pin(async move {
                let gone: Vec<Content> = sqlx::query_as(
                    "DELETE FROM upload WHERE id IN
                        (SELECT id FROM upload WHERE ends <= ? ORDER BY ends LIMIT ?)
                     RETURNING content",
                )
                .bind(now.0)
                .bind(max)
                .fetch_all(writer.connection().await?)
                .await?;
                gone.into_iter()
                    .filter_map(|(content,)| content)
                    .map(hash)
                    .collect()
            })
        })
        .await
    }

    async fn is_content_wanted(&self, content: ContentHash) -> Result<bool> {
        let wanted: i64 =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM upload WHERE content = ?)")
                .bind(content.to_vec())
                .fetch_one(&self.readers)
                .await?;
        Ok(wanted != 0)
    }
}

/// Bytes that the file would have beyond its account's quota.
async fn missing(
    connection: &mut SqliteConnection,
    owner: i64,
    request: &SlotRequest,
    now: Timestamp,
) -> Result<u64> {
    let taken: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(size), 0) FROM upload
         WHERE owner = ? AND (ends IS NULL OR ends > ?)",
    )
    .bind(owner)
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    let wanted = unsigned(taken)?.saturating_add(request.slot.size);
    Ok(wanted.saturating_sub(request.account_bytes_max))
}

/// When so many bytes will have gone by themselves.
async fn room_at(
    connection: &mut SqliteConnection,
    owner: i64,
    missing: u64,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT ends FROM
            (SELECT ends, sum(size) OVER (ORDER BY ends, id) AS gone FROM upload
             WHERE owner = ? AND ends > ?)
         WHERE gone >= ? ORDER BY gone LIMIT 1",
    )
    .bind(owner)
    .bind(now.0)
    .bind(i64::try_from(missing).unwrap_or(i64::MAX))
    .fetch_optional(connection)
    .await?;
    Ok(at.map(Timestamp))
}

async fn insert(
    connection: &mut SqliteConnection,
    owner: i64,
    request: &SlotRequest,
    now: Timestamp,
) -> Result<()> {
    let slot = &request.slot;
    sqlx::query("INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)")
        .bind(slot.id.to_vec())
        .bind(owner)
        .bind(&slot.name)
        .bind(&request.content_type)
        .bind(i64::try_from(slot.size).unwrap_or(i64::MAX))
        .bind(slot.until.0)
        .bind(request.expires.map(|expires| expires.0))
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Files of an account that is removed: the next expiry takes them.
pub(super) async fn disown(connection: &mut SqliteConnection, owner: i64) -> Result<()> {
    sqlx::query("UPDATE upload SET owner = NULL, ends = 0 WHERE owner = ?")
        .bind(owner)
        .execute(connection)
        .await?;
    Ok(())
}

fn hash(bytes: Vec<u8>) -> Result<ContentHash> {
    let wrong = || StoreError::Corrupt("a content's hash has 32 bytes".into());
    bytes.try_into().map_err(|_| wrong())
}
