//! What accounts keep under names, in PostgreSQL.

use bytes::Bytes;
use klatsch_protocol::effect::Kept;
use klatsch_protocol::jid::BareJid;

use super::{Postgres, accounts, unsigned};
use crate::error::{Result, StoreError};
use crate::kept::Keeping;

impl Keeping for Postgres {
    async fn kept(&self, account: &BareJid, name: &str) -> Result<Kept> {
        // One statement, so that its parts belong together.
        let row: Option<(Option<Vec<u8>>, i64, i64)> = sqlx::query_as(
            "SELECT (SELECT value FROM kept WHERE account = a.id AND name = $2),
                count(k.name), coalesce(sum(length(k.value)), 0)
             FROM account a LEFT JOIN kept k ON k.account = a.id
             WHERE a.jid = $1 AND a.removed IS NULL GROUP BY a.id",
        )
        .bind(account.as_str())
        .bind(name)
        .fetch_optional(&self.pool)
        .await?;
        let (value, count, bytes) = row.ok_or(StoreError::NoSuchAccount)?;
        Ok(Kept {
            value: value.map(Bytes::from),
            count: unsigned(count)?,
            bytes: unsigned(bytes)?,
            found: None,
        })
    }

    async fn kept_names(&self, account: &BareJid) -> Result<Vec<String>> {
        let names: Vec<Option<String>> = sqlx::query_scalar(
            "SELECT k.name FROM account a LEFT JOIN kept k ON k.account = a.id
             WHERE a.jid = $1 AND a.removed IS NULL ORDER BY k.name",
        )
        .bind(account.as_str())
        .fetch_all(&self.pool)
        .await?;
        match names.is_empty() {
            true => Err(StoreError::NoSuchAccount),
            false => Ok(names.into_iter().flatten().collect()),
        }
    }

    async fn keep(&self, account: &BareJid, name: &str, value: Option<Bytes>) -> Result<()> {
        let (account, name) = (account.clone(), name.to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &account).await?;
                let query = match &value {
                    Some(value) => sqlx::query(
                        "INSERT INTO kept VALUES ($1, $2, $3)
                         ON CONFLICT (account, name) DO UPDATE SET value = excluded.value",
                    )
                    .bind(number)
                    .bind(name)
                    .bind(&value[..]),
                    None => sqlx::query("DELETE FROM kept WHERE account = $1 AND name = $2")
                        .bind(number)
                        .bind(name),
                };
                query.execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}
