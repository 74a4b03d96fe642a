//! Browsers that are told, in SQLite.

use klatsch_protocol::features::web_push::Registration;
use klatsch_protocol::jid::BareJid;
use sqlx::sqlite::SqliteConnection;

use super::{Sqlite, accounts};
use crate::error::Result;
use crate::rows::web_push::{Row, registration};
use crate::web_push::{BROWSERS_MAX, WebPushes};

impl WebPushes for Sqlite {
    async fn web_push(&self, owner: &BareJid, node: &str) -> Result<Option<Registration>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT node, secret, endpoint, key, auth FROM web_push JOIN account \
             ON account.id = web_push.account WHERE jid = ? AND removed IS NULL AND node = ?",
        )
        .bind(owner.as_str())
        .bind(node)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| registration(owner, row)).transpose()
    }

    async fn register_web_push(&self, it: &Registration) -> Result<()> {
        let it = it.clone();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let number = accounts::number(connection, &it.owner).await?;
                register(connection, number, it).await
            })
        })
        .await
    }

    async fn forget_web_push(&self, owner: &BareJid, node: &str) -> Result<()> {
        let (owner, node) = (owner.clone(), node.to_owned());
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let number = accounts::number(connection, &owner).await?;
                let sql = "DELETE FROM web_push WHERE account = ? AND node = ?";
                let query = sqlx::query(sql).bind(number).bind(node);
                query.execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}

async fn register(connection: &mut SqliteConnection, account: i64, it: Registration) -> Result<()> {
    // Replacing takes out what has the same endpoint, and gives the new one the last place.
    sqlx::query(
        "INSERT OR REPLACE INTO web_push (account, node, secret, endpoint, key, auth) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(account)
    .bind(it.node)
    .bind(it.secret.to_vec())
    .bind(it.endpoint)
    .bind(it.key)
    .bind(it.auth)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM web_push WHERE account = ?1 AND place NOT IN \
         (SELECT place FROM web_push WHERE account = ?1 ORDER BY place DESC LIMIT ?2)",
    )
    .bind(account)
    .bind(BROWSERS_MAX as i64)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets all of an account, within another change of it.
pub(super) async fn forget_all(connection: &mut SqliteConnection, account: i64) -> Result<()> {
    let query = sqlx::query("DELETE FROM web_push WHERE account = ?");
    query.bind(account).execute(connection).await?;
    Ok(())
}
