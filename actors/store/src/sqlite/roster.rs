//! Rosters in SQLite.

use std::iter::repeat;

use klatsch_protocol::features::roster::{RosterChange, RosterItem};
use klatsch_protocol::jid::{BareJid, Jid};
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, bare, signed, unsigned};
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::roster::{REMOVED_MAX, Rosters};
use crate::rows::UNIT_SEPARATOR;
use crate::rows::snapshot::number_of;

impl Rosters for Sqlite {
    async fn change_roster(
        &self,
        account: &BareJid,
        expected: u64,
        changes: Vec<RosterChange>,
    ) -> Result<u64> {
        let account = account.clone();
        self.write(move |writer| {
            Box::pin(async move { change(writer, &account, expected, &changes).await })
        })
        .await
    }

    async fn who_shows(&self, to: &Jid) -> Result<Vec<BareJid>> {
        // An address without a resource has fewer forms: NULL is in no block list.
        let mut forms = forms(to).into_iter().map(Some).chain(repeat(None));
        let mut form = || forms.next().flatten();
        let accounts: Vec<String> = sqlx::query_scalar(
            "SELECT a.jid FROM roster_item i CROSS JOIN account a ON a.id = i.account
             WHERE i.jid = ? AND i.subscription >= 2 AND a.removed IS NULL
             AND (a.blocks = 0 OR NOT EXISTS (SELECT 1 FROM block b
                WHERE b.account = a.id AND b.jid IN (?, ?, ?, ?)))
             ORDER BY a.jid",
        )
        .bind(to.bare_str())
        .bind(form())
        .bind(form())
        .bind(form())
        .bind(form())
        .fetch_all(&self.readers)
        .await?;
        accounts.iter().map(|text| bare(text)).collect()
    }
}

async fn version(connection: &mut SqliteConnection, account: &BareJid) -> Result<(i64, u64)> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, roster_version FROM account WHERE jid = ? AND removed IS NULL")
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
    changes: &[RosterChange],
) -> Result<u64> {
    let connection = writer.connection().await?;
    let (number, version) = version(connection, account).await?;
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
    sqlx::query("UPDATE account SET roster_version = ? WHERE id = ?")
        .bind(signed(next))
        .bind(number)
        .execute(connection)
        .await?;
    Ok(next)
}

async fn put(
    connection: &mut SqliteConnection,
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
    sqlx::query("INSERT OR REPLACE INTO roster_item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(number)
        .bind(item.jid.as_str())
        .bind(item.name.as_deref())
        .bind(groups)
        .bind(number_of(item.subscription))
        .bind(item.ask)
        .bind(item.pending_in.as_deref())
        .bind(item.approved)
        .bind(item.listed)
        .bind(signed(version))
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM roster_removed WHERE account = ? AND jid = ?")
        .bind(number)
        .bind(item.jid.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whoever was not there leaves no record: nobody has ever seen them.
async fn remove(
    connection: &mut SqliteConnection,
    number: i64,
    jid: &BareJid,
    version: u64,
) -> Result<()> {
    let done = sqlx::query("DELETE FROM roster_item WHERE account = ? AND jid = ?")
        .bind(number)
        .bind(jid.as_str())
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("INSERT OR REPLACE INTO roster_removed VALUES (?, ?, ?)")
        .bind(number)
        .bind(jid.as_str())
        .bind(signed(version))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn forget_removed(connection: &mut SqliteConnection, number: i64) -> Result<()> {
    sqlx::query(
        "DELETE FROM roster_removed WHERE account = ?1 AND jid IN
            (SELECT jid FROM roster_removed WHERE account = ?1
             ORDER BY version DESC, jid DESC LIMIT -1 OFFSET ?2)",
    )
    .bind(number)
    .bind(signed(REMOVED_MAX as u64))
    .execute(connection)
    .await?;
    Ok(())
}
