//! Rosters in PostgreSQL.

use klatsch_protocol::features::roster::{RosterChange, RosterItem};
use klatsch_protocol::jid::{BareJid, Jid};
use sqlx::PgConnection;

use super::text::escaped;
use super::{Postgres, bare, signed, unsigned};
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::roster::{REMOVED_MAX, Rosters};
use crate::rows::UNIT_SEPARATOR;
use crate::rows::snapshot::number_of;

impl Rosters for Postgres {
    async fn change_roster(
        &self,
        account: &BareJid,
        expected: u64,
        changes: Vec<RosterChange>,
    ) -> Result<u64> {
        let account = account.clone();
        self.write(move |connection| {
            Box::pin(async move { change(connection, &account, expected, &changes).await })
        })
        .await
    }

    async fn who_shows(&self, to: &Jid) -> Result<Vec<BareJid>> {
        let accounts: Vec<String> = sqlx::query_scalar(
            "SELECT a.jid FROM roster_item i JOIN account a ON a.id = i.account
             WHERE i.jid = $1 AND i.subscription >= 2 AND a.removed IS NULL
             AND (a.blocks = 0 OR NOT EXISTS (SELECT 1 FROM block b
                WHERE b.account = a.id AND b.jid = ANY($2)))
             ORDER BY a.jid",
        )
        .bind(to.bare_str())
        .bind(forms(to))
        .fetch_all(&self.pool)
        .await?;
        accounts.iter().map(|text| bare(text)).collect()
    }
}

/// The number of an account and its roster's version, which stay until the commit.
async fn lock(connection: &mut PgConnection, account: &BareJid) -> Result<(i64, u64)> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT id, roster_version FROM account WHERE jid = $1 AND removed IS NULL
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
    changes: &[RosterChange],
) -> Result<u64> {
    let (number, version) = lock(connection, account).await?;
    if version != expected {
        return Err(StoreError::Conflict);
    }
    if changes.is_empty() {
        return Ok(version);
    }
    let next = version + 1;
    for change in changes {
        match change {
            RosterChange::Put(item) => put(connection, number, item, next).await?,
            RosterChange::Remove(jid) => remove(connection, number, jid, next).await?,
        }
    }
    forget_removed(connection, number).await?;
    sqlx::query("UPDATE account SET roster_version = $1 WHERE id = $2")
        .bind(signed(next))
        .bind(number)
        .execute(connection)
        .await?;
    Ok(next)
}

async fn put(
    connection: &mut PgConnection,
    number: i64,
    item: &RosterItem,
    version: u64,
) -> Result<()> {
    let mut groups = String::new();
    for group in &item.groups {
        groups.extend(
            group
                .chars()
                .filter(|character| *character != UNIT_SEPARATOR),
        );
        groups.push(UNIT_SEPARATOR);
    }
    sqlx::query(
        "WITH back AS (DELETE FROM roster_removed WHERE account = $1 AND jid = $2)
         INSERT INTO roster_item VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (account, jid) DO UPDATE SET name = excluded.name,
            groups = excluded.groups, subscription = excluded.subscription,
            ask = excluded.ask, pending_in = excluded.pending_in,
            approved = excluded.approved, listed = excluded.listed,
            version = excluded.version",
    )
    .bind(number)
    .bind(item.jid.as_str())
    .bind(item.name.as_deref().map(escaped))
    .bind(escaped(&groups))
    .bind(number_of(item.subscription))
    .bind(item.ask)
    .bind(item.pending_in.as_deref())
    .bind(item.approved)
    .bind(item.listed)
    .bind(signed(version))
    .execute(connection)
    .await?;
    Ok(())
}

/// Whoever was not there leaves no record: nobody has ever seen them.
async fn remove(
    connection: &mut PgConnection,
    number: i64,
    jid: &BareJid,
    version: u64,
) -> Result<()> {
    sqlx::query(
        "WITH gone AS (DELETE FROM roster_item WHERE account = $1 AND jid = $2 RETURNING jid)
         INSERT INTO roster_removed SELECT $1, jid, $3 FROM gone
         ON CONFLICT (account, jid) DO UPDATE SET version = excluded.version",
    )
    .bind(number)
    .bind(jid.as_str())
    .bind(signed(version))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn forget_removed(connection: &mut PgConnection, number: i64) -> Result<()> {
    sqlx::query(
        "DELETE FROM roster_removed WHERE account = $1 AND jid IN
            (SELECT jid FROM roster_removed WHERE account = $1
             ORDER BY version DESC, jid DESC OFFSET $2)",
    )
    .bind(number)
    .bind(signed(REMOVED_MAX as u64))
    .execute(connection)
    .await?;
    Ok(())
}
