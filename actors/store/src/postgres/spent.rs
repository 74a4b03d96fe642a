//! Marks in PostgreSQL.

use klatsch_protocol::time::Timestamp;

use super::Postgres;
use crate::error::Result;
use crate::spent::{Spent, SpentHash};

impl Spent for Postgres {
    async fn spend(&self, hash: SpentHash, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.write(move |connection| {
            Box::pin(async move {
                // Two that sweep at once would wait for each other's rows in their own orders.
                sqlx::query(
                    "DELETE FROM spent WHERE hash IN
                     (SELECT hash FROM spent WHERE until <= $1 FOR UPDATE SKIP LOCKED)",
                )
                .bind(now.0)
                .execute(&mut *connection)
                .await?;
                let done = sqlx::query("INSERT INTO spent VALUES ($1, $2) ON CONFLICT DO NOTHING")
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
