//! Nodes in SQLite: one, unless the file has moved.

use klatsch_protocol::time::Timestamp;

use super::Sqlite;
use super::writer::Writer;
use crate::error::{Result, StoreError};
use crate::lives::{KnownNode, Life, Lives, is_name};
use crate::rows::lives::{Row, known, life};

impl Lives for Sqlite {
    async fn join(&self, name: &str, now: Timestamp) -> Result<Life> {
        if !is_name(name) {
            return Err(StoreError::Conflict);
        }
        let name = name.to_owned();
        self.write(move |writer| Box::pin(async move { join(writer, &name, now).await }))
            .await
    }

    async fn known_nodes(&self) -> Result<Vec<KnownNode>> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT number, name, incarnation, joined FROM node ORDER BY number")
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter().map(known).collect()
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
}

async fn join(writer: &mut Writer, name: &str, now: Timestamp) -> Result<Life> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "INSERT INTO node (number, name, incarnation, joined)
         SELECT coalesce(max(number), 0) + 1, ?1, 1, ?2 FROM node WHERE true
         ON CONFLICT (name) DO UPDATE SET incarnation = incarnation + 1, joined = ?2
         RETURNING number, incarnation",
    )
    .bind(name.to_owned())
    .bind(now.0)
    .fetch_optional(writer.connection().await?)
    .await?;
    let (number, incarnation) = found.ok_or(StoreError::Conflict)?;
    match u16::try_from(number) {
        Ok(_) => life(number, incarnation),
        Err(_) => Err(StoreError::Conflict),
    }
}
