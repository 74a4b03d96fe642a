//! Browsers that are told, in PostgreSQL.

use klatsch_protocol::features::web_push::Registration;
use klatsch_protocol::jid::BareJid;
use sqlx::PgConnection;

use super::{Postgres, accounts};
use crate::error::Result;
use crate::rows::web_push::{Row, registration};
use crate::web_push::{BROWSERS_MAX, WebPushes};

impl WebPushes for Postgres {
    async fn web_push(&self, owner: &BareJid, node: &str) -> Result<Option<Registration>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT node, secret, endpoint, key, auth FROM web_push JOIN account
             ON account.id = web_push.account WHERE jid = $1 AND removed IS NULL AND node = $2",
        )
        .bind(owner.as_str())
        .bind(node)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| registration(owner, row)).transpose()
    }

    async fn register_web_push(&self, it: &Registration) -> Result<()> {
        let it = it.clone();
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &it.owner).await?;
                register(connection, number, it).await
            })
        })
        .await
    }

    async fn forget_web_push(&self, owner: &BareJid, node: &str) -> Result<()> {
        let (owner, node) = (owner.clone(), node.to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &owner).await?;
                let sql = "DELETE FROM web_push WHERE account = $1 AND node = $2";
                let query = sqlx::query(sql).bind(number).bind(node);
                query.execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}

async fn register(connection: &mut PgConnection, account: i64, it: Registration) -> Result<()> {
    // Known already, perhaps to another account, it gets a new place: it has registered last.
    sqlx::query(
        "INSERT INTO web_push (account, node, secret, endpoint, key, auth)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (endpoint) DO UPDATE SET place = DEFAULT, account = excluded.account,
            node = excluded.node, secret = excluded.secret, key = excluded.key,
            auth = excluded.auth",
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
        "DELETE FROM web_push WHERE account = $1 AND place NOT IN
            (SELECT place FROM web_push WHERE account = $1 ORDER BY place DESC LIMIT $2)",
    )
    .bind(account)
    .bind(BROWSERS_MAX as i64)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets all of an account, within another change of it.
pub(super) async fn forget_all(connection: &mut PgConnection, account: i64) -> Result<()> {
    let query = sqlx::query("DELETE FROM web_push WHERE account = $1");
    query.bind(account).execute(connection).await?;
    Ok(())
}
