//! Devices that are told, in PostgreSQL.

use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::jid::BareJid;
use sqlx::PgConnection;

use super::{Postgres, accounts};
use crate::error::Result;
use crate::push::{Pushes, REGISTRATIONS_MAX};
use crate::rows::push::{Row, registration};

impl Pushes for Postgres {
    async fn registrations(&self, account: &BareJid) -> Result<Vec<Registration>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT service, node, resource, options FROM push JOIN account
             ON account.id = push.account WHERE jid = $1 AND removed IS NULL ORDER BY place",
        )
        .bind(account.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(registration).collect()
    }

    async fn change_push(&self, account: &BareJid, change: PushChange) -> Result<()> {
        let account = account.clone();
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &account).await?;
                match change {
                    PushChange::Enable(it) => enable(connection, number, it).await,
                    PushChange::Disable(service, node) => {
                        let sql = "DELETE FROM push WHERE account = $1 AND service = $2
                                   AND ($3 IS NULL OR node = $3)";
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

async fn enable(connection: &mut PgConnection, account: i64, it: Registration) -> Result<()> {
    // Known already it gets a new place: it has asked last.
    sqlx::query(
        "INSERT INTO push (account, service, node, resource, options)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (account, service, node) DO UPDATE SET place = DEFAULT,
            resource = excluded.resource, options = excluded.options",
    )
    .bind(account)
    .bind(it.service.as_str())
    .bind(it.node)
    .bind(it.resource)
    .bind(it.options.as_deref())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM push WHERE account = $1 AND place NOT IN
            (SELECT place FROM push WHERE account = $1 ORDER BY place DESC LIMIT $2)",
    )
    .bind(account)
    .bind(REGISTRATIONS_MAX as i64)
    .execute(connection)
    .await?;
    Ok(())
}
