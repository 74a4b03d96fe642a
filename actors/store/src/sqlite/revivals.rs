//! Sessions that went on without their node, in SQLite: none, as it serves one node.

use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::Sqlite;
use crate::error::Result;
use crate::revivals::{Revival, Revivals, oldest};
use crate::rows::revivals::{Row, revival};

impl Revivals for Sqlite {
    async fn note_revival(&self, revival: &Revival, now: Timestamp) -> Result<()> {
        let revival = revival.clone();
        self.write(move |writer| {
            Box::pin(async move { note(writer.connection().await?, &revival, now).await })
        })
        .await
    }

    async fn take_revivals(&self, node: u16, now: Timestamp) -> Result<Vec<Revival>> {
        self.write(move |writer| {
            Box::pin(async move { take(writer.connection().await?, node, now).await })
        })
        .await
    }
}

async fn note(connection: &mut SqliteConnection, revival: &Revival, now: Timestamp) -> Result<()> {
    sqlx::query("INSERT INTO revival (node, session, resumption, noted) VALUES (?, ?, ?, ?)")
        .bind(i64::from(revival.node))
        .bind(revival.session.as_str())
        .bind(revival.resumption.as_slice())
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

async fn take(
    connection: &mut SqliteConnection,
    node: u16,
    now: Timestamp,
) -> Result<Vec<Revival>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT node, session, resumption FROM revival WHERE node = ? AND noted >= ? ORDER BY place",
    )
    .bind(i64::from(node))
    .bind(oldest(now).0)
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM revival WHERE node = ? OR noted < ?")
        .bind(i64::from(node))
        .bind(oldest(now).0)
        .execute(connection)
        .await?;
    rows.into_iter().map(revival).collect()
}
