//! Devices that are told, in SQLite.

use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::jid::BareJid;
use sqlx::sqlite::SqliteConnection;

use super::{Sqlite, accounts};
use crate::error::Result;
use crate::push::{Pushes, REGISTRATIONS_MAX};
use crate::rows::push::{Row, registration};

impl Pushes for Sqlite {
    async fn registrations(&self, account: &BareJid) -> Result<Vec<Registration>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT service, node, resource, options FROM push JOIN account \
             ON account.id = push.account WHERE jid = ? AND removed IS NULL ORDER BY place",
        )
        .bind(account.as_str())
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(registration).collect()
    }

    async fn change_push(&self, account: &BareJid, change: PushChange) -> Result<()> {
        let account = account.clone();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let number = accounts::number(connection, &account).await?;
                match change {
                    PushChange::Enable(it) => enable(connection, number, it).await,
                    PushChange::Disable(service, node) => {
                        let sql = "DELETE FROM push WHERE account = ?1 AND service = ?2 \
                                   AND (?3 IS NULL OR node = ?3)";
                        let query = sqlx::query(sql).bind(number).bind(service.as_str());
                        query.bind(node).execute(connection).await?;
                        Ok(())
                    }
                }
            })
        })
        .await
    }
}

async fn enable(connection: &mut SqliteConnection, account: i64, it: Registration) -> Result<()> {
    // Replacing gives it a new place: it has asked last.
    sqlx::query(
        "INSERT OR REPLACE INTO push (account, service, node, resource, options) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(account)
    .bind(it.service.as_str())
    .bind(it.node)
    .bind(it.resource)
    .bind(it.options.map(|options| options.to_vec()))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM push WHERE account = ?1 AND place NOT IN \
         (SELECT place FROM push WHERE account = ?1 ORDER BY place DESC LIMIT ?2)",
    )
    .bind(account)
    .bind(REGISTRATIONS_MAX as i64)
    .execute(connection)
    .await?;
    Ok(())
}
