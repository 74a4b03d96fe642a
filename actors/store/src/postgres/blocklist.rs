//! Block lists in PostgreSQL.

use klatsch_protocol::jid::{BareJid, Jid};
use sqlx::PgConnection;

use super::{Postgres, bare, signed, unsigned};
use crate::blocklist::{Blocklists, forms};
use crate::error::{Result, StoreError};

impl Blocklists for Postgres {
    async fn change_blocklist(
        &self,
        account: &BareJid,
        expected: u64,
        add: Vec<Jid>,
        remove: Vec<Jid>,
    ) -> Result<u64> {
        let account = account.clone();
        self.write(move |connection| {
            Box::pin(async move { change(connection, &account, expected, &add, &remove).await })
        })
        .await
    }

    async fn who_blocks(&self, jid: &Jid) -> Result<Vec<BareJid>> {
        let accounts: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT a.jid FROM block b JOIN account a ON a.id = b.account
             WHERE b.jid = ANY($1) AND a.removed IS NULL ORDER BY a.jid",
        )
        .bind(forms(jid))
        .fetch_all(&self.pool)
        .await?;
        accounts.iter().map(|text| bare(text)).collect()
    }
}

/// The number of an account and its list's version, which stay until the commit.
async fn lock(connection: &mut PgConnection, account: &BareJid) -> Result<(i64, u64)> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT id, blocklist_version FROM account WHERE jid = $1 AND removed IS NULL
         FOR NO KEY UPDATE",
    )
    .bind(account.as_str())
    .fetch_optional(connection)
    .await?;
    let (number, version) = row.ok_or(StoreError::NoSuchAccount)?;
    Ok((number, unsigned(version)?))
}

async fn change(
    connection: &mut PgConnection,
    account: &BareJid,
    expected: u64,
    add: &[Jid],
    remove: &[Jid],
) -> Result<u64> {
    let (number, version) = lock(connection, account).await?;
    if version != expected {
        return Err(StoreError::Conflict);
    }
    if add.is_empty() && remove.is_empty() {
        return Ok(version);
    }
    for (sql, jids) in [
        (
            "DELETE FROM block WHERE account = $1 AND jid = ANY($2)",
            remove,
        ),
        (
            "INSERT INTO block SELECT $1, unnest($2) ON CONFLICT DO NOTHING",
            add,
        ),
    ] {
        let jids: Vec<&str> = jids.iter().map(Jid::as_str).collect();
        let query = sqlx::query(sql).bind(number).bind(jids);
        query.execute(&mut *connection).await?;
    }
    sqlx::query(
        "UPDATE account SET blocklist_version = $2,
            blocks = (SELECT count(*) FROM block WHERE account = $1) WHERE id = $1",
    )
    .bind(number)
    .bind(signed(version + 1))
    .execute(connection)
    .await?;
    Ok(version + 1)
}
