//! Block lists in SQLite.

use klatsch_protocol::jid::{BareJid, Jid};
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, bare, signed, unsigned};
use crate::blocklist::{Blocklists, forms};
use crate::error::{Result, StoreError};
use crate::plan::LogOf;

impl Blocklists for Sqlite {
    async fn change_blocklist(
        &self,
        account: &BareJid,
        expected: u64,
        add: Vec<Jid>,
        remove: Vec<Jid>,
    ) -> Result<u64> {
        let account = account.clone();
        self.write(move |writer| {
            Box::pin(async move { change(writer, &account, expected, &add, &remove).await })
        })
        .await
    }

    async fn who_blocks(&self, jid: &Jid) -> Result<Vec<BareJid>> {
        let forms = serde_json::to_string(&forms(jid)).unwrap_or_default();
        let accounts: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT a.jid FROM json_each(?) f CROSS JOIN block b ON b.jid = f.value
             CROSS JOIN account a ON a.id = b.account
             WHERE a.removed IS NULL ORDER BY a.jid",
        )
        .bind(forms)
        .fetch_all(&self.readers)
        .await?;
        accounts.iter().map(|text| bare(text)).collect()
    }
}

async fn version(connection: &mut SqliteConnection, account: &BareJid) -> Result<(i64, u64)> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT id, blocklist_version FROM account WHERE jid = ? AND removed IS NULL",
    )
    .bind(account.as_str())
    .fetch_optional(connection)
    .await?;
    let (number, version) = row.ok_or(StoreError::NoSuchAccount)?;
    Ok((number, unsigned(version)?))
}

async fn change(
    writer: &mut Writer,
    account: &BareJid,
    expected: u64,
    add: &[Jid],
    remove: &[Jid],
) -> Result<u64> {
    let connection = writer.connection().await?;
    let (number, version) = version(connection, account).await?;
    if version != expected {
        return Err(StoreError::Conflict);
    }
    if add.is_empty() && remove.is_empty() {
        return Ok(version);
    }
    let each = "DELETE FROM block WHERE account = ? AND jid = ?";
    run_each(connection, each, number, remove).await?;
    run_each(
        connection,
        "INSERT OR IGNORE INTO block VALUES (?, ?)",
        number,
        add,
    )
    .await?;
    sqlx::query(
        "UPDATE account SET blocklist_version = ?2,
            blocks = (SELECT count(*) FROM block WHERE account = ?1) WHERE id = ?1",
    )
    .bind(number)
    .bind(signed(version + 1))
    .execute(&mut *connection)
    .await?;
    // The head carries the count; forgetting too early does no harm.
    writer.heads.remove(&LogOf::Account(account.clone()));
    Ok(version + 1)
}

async fn run_each(
    connection: &mut SqliteConnection,
    sql: &'static str,
    number: i64,
    jids: &[Jid],
) -> Result<()> {
    for jid in jids {
        sqlx::query(sql)
            .bind(number)
            .bind(jid.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
