//! Nodes of the cluster in PostgreSQL.

use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::Postgres;
use crate::error::{Result, StoreError};
use crate::lives::{KnownNode, Life, Lives, is_name};
use crate::rows::lives::{Row, known, life};

impl Lives for Postgres {
    async fn join(&self, name: &str, now: Timestamp) -> Result<Life> {
        if !is_name(name) {
            return Err(StoreError::Conflict);
        }
        let name = name.to_owned();
        self.write(move |connection| Box::pin(async move { join(connection, &name, now).await }))
            .await
    }

    async fn known_nodes(&self) -> Result<Vec<KnownNode>> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT number, name, incarnation, joined FROM node ORDER BY number")
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter().map(known).collect()
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        let micros: i64 =
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
                .fetch_one(&self.pool)
                .await?;
        Ok(Some(Timestamp(micros)))
    }
}

async fn join(connection: &mut PgConnection, name: &str, now: Timestamp) -> Result<Life> {
    // Nodes that start together get their numbers one after the other.
    sqlx::query("LOCK TABLE node IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await?;
    let (number, incarnation): (i64, i64) = sqlx::query_as(
        "INSERT INTO node AS n (number, name, incarnation, joined)
         SELECT coalesce(max(number), 0) + 1, $1, 1, $2 FROM node
         ON CONFLICT (name) DO UPDATE SET incarnation = n.incarnation + 1, joined = $2
         RETURNING number, incarnation",
    )
    .bind(name)
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    match u16::try_from(number) {
        Ok(_) => life(number, incarnation),
        Err(_) => Err(StoreError::Conflict),
    }
}
