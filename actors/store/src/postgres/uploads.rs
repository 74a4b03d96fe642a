//! Files that accounts have uploaded, in PostgreSQL.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Id;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::{Postgres, accounts, signed, unsigned};
use crate::error::Result;
use crate::rows::uploads::{UploadRow, content_hash, upload_of};
use crate::uploads::{Begun, ContentHash, Reserved, Upload, Uploads};

/// Files that are there; `$1` is now.
const FILES: &str = "
    SELECT u.id, a.domain, u.name, u.content_type, u.size, u.content, u.stamp, u.ends
    FROM upload u JOIN account a ON a.id = u.owner
    WHERE u.content IS NOT NULL AND (u.ends IS NULL OR u.ends > $1)";

impl Uploads for Postgres {
    async fn reserve_upload(&self, request: &SlotRequest, now: Timestamp) -> Result<Reserved> {
        let request = request.clone();
        self.write(move |connection| {
            Box::pin(async move {
                // Row H04: while it is locked nobody else takes of the account's quota.
                let owner = accounts::lock(connection, &request.owner).await?;
                let missing = missing(connection, owner, &request, now).await?;
                if missing != (0, 0) {
                    let again = room_at(connection, owner, missing, now).await?;
                    return Ok(Reserved::OverQuota(again));
                }
                insert(connection, owner, &request, now).await?;
                Ok(Reserved::Granted)
            })
        })
        .await
    }

    async fn begin_upload(&self, id: Id, until: Timestamp, now: Timestamp) -> Result<Begun> {
        self.write(move |connection| {
            Box::pin(async move { begin(connection, id, until, now).await })
        })
        .await
    }

    async fn complete_upload(&self, id: Id, content: ContentHash, now: Timestamp) -> Result<bool> {
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE upload SET content = $1, ends = expires, stamp = $2
                     WHERE id = $3 AND content IS NULL AND owner IS NOT NULL AND ends > $2",
                )
                .bind(content.as_slice())
                .bind(now.0)
                .bind(id.as_slice())
                .execute(connection)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
    }

    async fn upload(&self, id: Id, now: Timestamp) -> Result<Option<Upload>> {
        let sql = format!("{FILES} AND u.id = $2");
        let row: Option<UploadRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.0)
            .bind(id.as_slice())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(upload_of(row)?.1)).transpose()
    }

    async fn uploads_of(
        &self,
        account: &BareJid,
        after: Option<Id>,
        max: u32,
        now: Timestamp,
    ) -> Result<Vec<(Id, Upload)>> {
        let sql = format!(
            "{FILES} AND a.jid = $2 AND a.removed IS NULL AND u.id > $3
             ORDER BY u.id LIMIT $4"
        );
        let rows: Vec<UploadRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.0)
            .bind(account.as_str())
            // Before every id.
            .bind(after.map_or_else(Vec::new, |id| id.to_vec()))
            .bind(i64::from(max))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(upload_of).collect()
    }

    async fn expire_uploads(&self, now: Timestamp, max: u32) -> Result<Vec<ContentHash>> {
        self.write(move |connection| {
            Box::pin(async move {
                // Locked before they are looked at for the last time: a slot whose file begins
                // to come meanwhile stays. What another node is forgetting is passed over.
                let gone: Vec<Option<Vec<u8>>> = sqlx::query_scalar(
                    "DELETE FROM upload WHERE id IN
                        (SELECT id FROM upload WHERE ends <= $1 ORDER BY ends LIMIT $2
                         FOR UPDATE SKIP LOCKED)
                     RETURNING content",
                )
                .bind(now.0)
                .bind(i64::from(max))
                .fetch_all(connection)
                .await?;
                gone.into_iter().flatten().map(content_hash).collect()
            })
        })
        .await
    }

    async fn is_content_wanted(&self, content: ContentHash) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM upload WHERE content = $1)";
        let wanted = sqlx::query_scalar(sql).bind(content.as_slice());
        Ok(wanted.fetch_one(&self.pool).await?)
    }
}

/// Bytes and files that there would be beyond the account's quota.
async fn missing(
    connection: &mut PgConnection,
    owner: i64,
    request: &SlotRequest,
    now: Timestamp,
) -> Result<(u64, u64)> {
    let (taken, files): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(size), 0)::bigint, count(*) FROM upload
         WHERE owner = $1 AND (ends IS NULL OR ends > $2)",
    )
    .bind(owner)
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    let wanted = unsigned(taken)?.saturating_add(request.slot.size);
    let files = unsigned(files)?.saturating_add(1);
    Ok((
        wanted.saturating_sub(request.account_bytes_max),
        files.saturating_sub(request.account_files_max),
    ))
}

/// When so many bytes and files will have gone by themselves.
async fn room_at(
    connection: &mut PgConnection,
    owner: i64,
    (bytes, files): (u64, u64),
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT ends FROM
            (SELECT ends, sum(size) OVER went AS bytes, row_number() OVER went AS files
             FROM upload WHERE owner = $1 AND ends > $2 WINDOW went AS (ORDER BY ends, id)) gone
         WHERE bytes >= $3 AND files >= $4 ORDER BY files LIMIT 1",
    )
    .bind(owner)
    .bind(now.0)
    .bind(signed(bytes))
    .bind(signed(files))
    .fetch_optional(connection)
    .await?;
    Ok(at.map(Timestamp))
}

async fn begin(
    connection: &mut PgConnection,
    id: Id,
    until: Timestamp,
    now: Timestamp,
) -> Result<Begun> {
    type Row = (Option<String>, bool, Option<i64>);
    let row: Option<Row> = sqlx::query_as(
        "SELECT content_type, content IS NOT NULL, ends FROM upload
         WHERE id = $1 AND owner IS NOT NULL FOR UPDATE",
    )
    .bind(id.as_slice())
    .fetch_optional(&mut *connection)
    .await?;
    let content_type = match row {
        Some((_, true, _)) => return Ok(Begun::Taken),
        Some((content_type, false, Some(ends))) if ends > now.0 => content_type,
        _ => return Ok(Begun::Over),
    };
    sqlx::query("UPDATE upload SET ends = greatest(ends, $1) WHERE id = $2")
        .bind(until.0)
        .bind(id.as_slice())
        .execute(connection)
        .await?;
    Ok(Begun::Ready(content_type))
}

async fn insert(
    connection: &mut PgConnection,
    owner: i64,
    request: &SlotRequest,
    now: Timestamp,
) -> Result<()> {
    let slot = &request.slot;
    sqlx::query("INSERT INTO upload VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8)")
        .bind(slot.id.as_slice())
        .bind(owner)
        .bind(&slot.name)
        .bind(&request.content_type)
        .bind(signed(slot.size))
        .bind(slot.until.0)
        .bind(request.expires.map(|expires| expires.0))
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Files of an account that is removed: the next expiry takes them.
pub(super) async fn disown(connection: &mut PgConnection, owner: i64) -> Result<()> {
    sqlx::query("UPDATE upload SET owner = NULL, ends = 0 WHERE owner = $1")
        .bind(owner)
        .execute(connection)
        .await?;
    Ok(())
}
