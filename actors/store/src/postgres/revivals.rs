//! Sessions that went on without their node, in PostgreSQL.

use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::Postgres;
use crate::error::Result;
use crate::revivals::{Revival, Revivals, oldest};
use crate::rows::revivals::{Row, revival};

impl Revivals for Postgres {
    async fn note_revival(&self, revival: &Revival, now: Timestamp) -> Result<()> {
        let revival = revival.clone();
        self.write(move |connection| Box::pin(async move { note(connection, &revival, now).await }))
            .await
    }

    async fn take_revivals(&self, node: u16, now: Timestamp) -> Result<Vec<Revival>> {
        self.write(move |connection| Box::pin(async move { take(connection, node, now).await }))
            .await
    }
}

async fn note(connection: &mut PgConnection, revival: &Revival, now: Timestamp) -> Result<()> {
    sqlx::query("INSERT INTO revival (node, session, resumption, noted) VALUES ($1, $2, $3, $4)")
        .bind(i64::from(revival.node))
        .bind(revival.session.as_str())
        .bind(revival.resumption.as_slice())
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

async fn take(connection: &mut PgConnection, node: u16, now: Timestamp) -> Result<Vec<Revival>> {
    let rows: Vec<Row> = sqlx::query_as(
        "WITH taken AS (DELETE FROM revival WHERE node = $1 OR noted < $2
            RETURNING place, node, session, resumption, noted)
         SELECT node, session, resumption FROM taken
         WHERE node = $1 AND noted >= $2 ORDER BY place",
    )
    .bind(i64::from(node))
    .bind(oldest(now).0)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(revival).collect()
}
