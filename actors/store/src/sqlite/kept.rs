//! What accounts keep under names, in SQLite.

use bytes::Bytes;
use klatsch_protocol::effect::Kept;
use klatsch_protocol::jid::BareJid;

use super::{Sqlite, accounts, unsigned};
use crate::error::Result;
use crate::kept::Keeping;

impl Keeping for Sqlite {
    async fn kept(&self, account: &BareJid, name: &str) -> Result<Kept> {
        let mut reading = self.readers.begin().await?;
        let number = accounts::number(&mut reading, account).await?;
        let value: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT value FROM kept WHERE account = ? AND name = ?")
                .bind(number)
                .bind(name)
                .fetch_optional(&mut *reading)
                .await?;
        let (count, bytes): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(length(value)), 0) FROM kept WHERE account = ?",
        )
        .bind(number)
        .fetch_one(&mut *reading)
        .await?;
        Ok(Kept {
            value: value.map(Bytes::from),
            count: unsigned(count)?,
            bytes: unsigned(bytes)?,
            found: None,
        })
    }

    async fn kept_names(&self, account: &BareJid) -> Result<Vec<String>> {
        let mut reading = self.readers.begin().await?;
        let number = accounts::number(&mut reading, account).await?;
        let names = sqlx::query_scalar("SELECT name FROM kept WHERE account = ? ORDER BY name")
            .bind(number)
            .fetch_all(&mut *reading)
            .await?;
        Ok(names)
    }

    async fn keep(&self, account: &BareJid, name: &str, value: Option<Bytes>) -> Result<()> {
        let (account, name) = (account.clone(), name.to_owned());
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let number = accounts::number(connection, &account).await?;
                let query = match &value {
                    Some(value) => sqlx::query("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)")
                        .bind(number)
                        .bind(name)
                        .bind(value.to_vec()),
                    None => sqlx::query("DELETE FROM kept WHERE account = ? AND name = ?")
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
