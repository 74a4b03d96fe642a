//! Marks in SQLite.

use klatsch_protocol::time::Timestamp;

use super::Sqlite;
use crate::error::Result;
use crate::spent::{Spent, SpentHash};

impl Spent for Sqlite {
    async fn spend(&self, hash: SpentHash, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                sqlx::query("DELETE FROM spent WHERE until <= ?")
                    .bind(now.0)
                    .execute(&mut *connection)
                    .await?;
                let done = sqlx::query("INSERT OR IGNORE INTO spent VALUES (?, ?)")
                    .bind(hash.as_slice())
                    .bind(until.0)
                    .execute(connection)
                    .await?;
                Ok(done.rows_affected() > 0)
            })
        })
        .await
    }
}
