//! Slots and files in SQLite.

use klatsch_protocol::features::upload::{Purpose, Reservation, Reserved};
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, accounts, signed, unsigned};
use crate::error::{Result, StoreError};
use crate::uploads::{ContentHash, EXPIRE_MAX, Expired, Upload, Uploads, free_at};

impl Uploads for Sqlite {
    async fn reserve_upload(&self, wanted: &Reservation, now: Timestamp) -> Result<Reserved> {
        let wanted = wanted.clone();
        self.write(move |writer| Box::pin(async move { reserve(writer, wanted, now).await }))
            .await
    }

    async fn begin_upload(&self, id: u128, until: Timestamp, now: Timestamp) -> Result<()> {
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                slot(connection, id, now).await?;
                sqlx::query("UPDATE upload SET expires = max(expires, ?) WHERE id = ?")
                    .bind(until.0)
                    .bind(key(id))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn finish_upload(&self, id: u128, hash: &ContentHash, now: Timestamp) -> Result<()> {
        let hash = hash.to_vec();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                slot(connection, id, now).await?;
                sqlx::query(
                    "UPDATE upload SET hash = ?, stored = ?, expires = keep_until WHERE id = ?",
                )
                .bind(hash)
                .bind(now.0)
                .bind(key(id))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn find_upload(&self, id: u128, now: Timestamp) -> Result<Upload> {
        type Row = (String, String, Option<String>, i64, Vec<u8>, i64, i64);
        let row: Option<Row> = sqlx::query_as(
            "SELECT domain, name, content_type, size, hash, stored, expires FROM upload
             WHERE id = ? AND hash IS NOT NULL AND expires > ?",
        )
        .bind(key(id))
        .bind(now.0)
        .fetch_optional(&self.readers)
        .await?;
        let (domain, name, content_type, size, hash, stored, expires) =
            row.ok_or(StoreError::NoSuchItem)?;
        Ok(Upload {
            domain: domain.into(),
            name: name.into(),
            content_type: content_type.map(Into::into),
            size: unsigned(size)?,
            hash: content_hash(&hash)?,
            stored: Timestamp(stored),
            expires: Timestamp(expires),
        })
    }

    async fn expire_uploads(&self, now: Timestamp) -> Result<Expired> {
        self.write(move |writer| Box::pin(async move { expire(writer, now).await }))
            .await
    }

    async fn is_content_used(&self, hash: &ContentHash) -> Result<bool> {
        Ok(
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM upload WHERE hash = ?)")
                .bind(hash.to_vec())
                .fetch_one(&self.readers)
                .await?,
        )
    }
}

fn key(id: u128) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn content_hash(bytes: &[u8]) -> Result<ContentHash> {
    let wrong = |_| StoreError::Corrupt("a content's hash has a wrong length".to_owned());
    bytes.try_into().map_err(wrong)
}

/// Makes sure that this is a slot that waits for its file.
async fn slot(connection: &mut SqliteConnection, id: u128, now: Timestamp) -> Result<()> {
    let found: Option<(bool, i64)> =
        sqlx::query_as("SELECT hash IS NOT NULL, expires FROM upload WHERE id = ?")
            .bind(key(id))
            .fetch_optional(connection)
            .await?;
    match found {
        Some((_, expires)) if expires <= now.0 => Err(StoreError::NoSuchItem),
        Some((true, _)) => Err(StoreError::Conflict),
        Some((false, _)) => Ok(()),
        None => Err(StoreError::NoSuchItem),
    }
}

async fn reserve(writer: &mut Writer, wanted: Reservation, now: Timestamp) -> Result<Reserved> {
    let connection = writer.connection().await?;
    let account = accounts::number(connection, &wanted.slot.account).await?;
    let holdings = holdings(connection, account, wanted.slot.purpose, now).await?;
    if let Some(retry) = free_at(&holdings, &wanted, now) {
        return Ok(Reserved::Full(retry));
    }
    let slot = wanted.slot;
    sqlx::query(
        "INSERT INTO upload
            (id, account, domain, name, content_type, size, purpose, expires, keep_until)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key(slot.id))
    .bind(account)
    .bind(&*slot.domain)
    .bind(&*slot.name)
    .bind(slot.content_type.as_deref())
    .bind(signed(slot.size))
    .bind(slot.purpose.code())
    .bind(slot.put_until.0)
    .bind(slot.keep_until.0)
    .execute(connection)
    .await?;
    Ok(Reserved::Granted(Box::new(slot)))
}

/// What an account has of the quota that files of this purpose share, by when it goes.
async fn holdings(
    connection: &mut SqliteConnection,
    account: i64,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Vec<(u64, Timestamp)>> {
    let mut found = Vec::new();
    for shared in Purpose::ALL {
        if !shared.shares_quota(purpose) {
            continue;
        }
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT size, expires FROM upload WHERE account = ? AND purpose = ? AND expires > ?",
        )
        .bind(account)
        .bind(shared.code())
        .bind(now.0)
        .fetch_all(&mut *connection)
        .await?;
        for (size, expires) in rows {
            found.push((unsigned(size)?, Timestamp(expires)));
        }
    }
    found.sort_by_key(|(_, expires)| *expires);
    Ok(found)
}

async fn expire(writer: &mut Writer, now: Timestamp) -> Result<Expired> {
    let connection = writer.connection().await?;
    let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT id, hash FROM upload WHERE expires <= ? ORDER BY expires LIMIT ?")
            .bind(now.0)
            .bind(EXPIRE_MAX)
            .fetch_all(&mut *connection)
            .await?;
    let more = rows.len() == EXPIRE_MAX as usize;
    let mut unused = Vec::new();
    for (id, hash) in rows {
        sqlx::query("DELETE FROM upload WHERE id = ?")
            .bind(id)
            .execute(&mut *connection)
            .await?;
        let Some(hash) = hash else { continue };
        let is_used: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM upload WHERE hash = ?)")
                .bind(&hash)
                .fetch_one(&mut *connection)
                .await?;
        if !is_used {
            unused.push(content_hash(&hash)?);
        }
    }
    Ok(Expired { unused, more })
}

/// What a removed account has left goes with the next sweep, whose content with it.
pub(super) async fn forget_account(connection: &mut SqliteConnection, account: i64) -> Result<()> {
    sqlx::query("UPDATE upload SET expires = 0 WHERE account = ?")
        .bind(account)
        .execute(connection)
        .await?;
    Ok(())
}
