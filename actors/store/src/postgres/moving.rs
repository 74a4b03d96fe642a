//! Logs that keep the ids they had elsewhere, in PostgreSQL.

use klatsch_protocol::jid::BareJid;
use sqlx::PgConnection;

use super::log::LogOf;
use super::{Postgres, signed};
use crate::error::Result;
use crate::moving::Moving;

impl Moving for Postgres {
    async fn skip_ids(&self, account: &BareJid, through: u64) -> Result<()> {
        let of = LogOf::Account(account.clone());
        self.write(move |connection| Box::pin(async move { skip(connection, of, through).await }))
            .await
    }

    async fn skip_room_ids(&self, room: &BareJid, through: u64) -> Result<()> {
        let of = LogOf::Room(room.clone());
        self.write(move |connection| Box::pin(async move { skip(connection, of, through).await }))
            .await
    }
}

async fn skip(connection: &mut PgConnection, of: LogOf, through: u64) -> Result<()> {
    let log: Option<i64> = sqlx::query_scalar(of.find_number())
        .bind(of.jid().as_str())
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query("UPDATE log SET head = greatest(head, $1) WHERE id = $2")
        .bind(signed(through))
        .bind(log.ok_or_else(|| of.no_such())?)
        .execute(connection)
        .await?;
    Ok(())
}
