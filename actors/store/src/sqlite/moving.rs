//! Logs that keep the ids they had elsewhere, in SQLite.

use klatsch_protocol::jid::BareJid;

use super::merge::merge_all;
use super::writer::Writer;
use super::{Sqlite, signed};
use crate::error::Result;
use crate::moving::Moving;
use crate::plan::LogOf;

impl Moving for Sqlite {
    async fn skip_ids(&self, account: &BareJid, through: u64) -> Result<()> {
        let of = LogOf::Account(account.clone());
        self.write(move |writer| Box::pin(async move { skip(writer, of, through).await }))
            .await
    }

    async fn skip_room_ids(&self, room: &BareJid, through: u64) -> Result<()> {
        let of = LogOf::Room(room.clone());
        self.write(move |writer| Box::pin(async move { skip(writer, of, through).await }))
            .await
    }
}

async fn skip(writer: &mut Writer, of: LogOf, through: u64) -> Result<()> {
    // What is recent goes on from a head of its own.
    merge_all(writer).await?;
    let connection = writer.connection().await?;
    let log: Option<i64> = sqlx::query_scalar(of.find_number())
        .bind(of.jid().as_str())
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query("UPDATE log SET head = max(head, ?) WHERE id = ?")
        .bind(signed(through))
        .bind(log.ok_or_else(|| of.no_such())?)
        .execute(connection)
        .await?;
    // Forgetting too early does no harm, should the commit fail.
    writer.heads.remove(&of);
    Ok(())
}
