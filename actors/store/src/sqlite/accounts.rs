//! Accounts in SQLite.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, ScramCredentials};
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{
    Sqlite, bare, invitations, nodes, rooms, tokens, unsigned, uploads, waiting, web_push,
};
use crate::accounts::{Account, Accounts, Credentials, LIST_MAX};
use crate::error::{Result, StoreError};
use crate::plan::LogOf;

/// The number of an account, inside a transaction.
pub(super) async fn number(connection: &mut SqliteConnection, account: &BareJid) -> Result<i64> {
    sqlx::query_scalar("SELECT id FROM account WHERE jid = ? AND removed IS NULL")
        .bind(account.as_str())
        .fetch_optional(connection)
        .await?
        .ok_or(StoreError::NoSuchAccount)
}

impl Accounts for Sqlite {
    async fn create_account(
        &self,
        account: &BareJid,
        credentials: &Credentials,
        admin: bool,
        now: Timestamp,
    ) -> Result<()> {
        let (account, credentials) = (account.clone(), credentials.clone());
        self.write(move |writer| {
            Box::pin(async move { create(writer, &account, &credentials, admin, now).await })
        })
        .await
    }

    async fn set_credentials(&self, account: &BareJid, credentials: &Credentials) -> Result<()> {
        let (account, scram) = (account.clone(), credentials.scram.clone());
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let number = number(connection, &account).await?;
                replace_keys(connection, number, &scram).await?;
                // Row A14: whoever knew the password before knows nothing any more.
                tokens::forget(connection, number, None).await?;
                web_push::forget_all(connection, number).await?;
                waiting::forget(connection, number).await
            })
        })
        .await
    }

    async fn add_keys(&self, account: &BareJid, keys: &ScramCredentials) -> Result<bool> {
        let (account, keys) = (account.clone(), keys.clone());
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let number = number(connection, &account).await?;
                insert_keys(connection, ADD_KEYS, number, &keys).await
            })
        })
        .await
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>> {
        let rows: Vec<CredentialsRow> = sqlx::query_as(CREDENTIALS)
            .bind(account.as_str())
            .fetch_all(&self.readers)
            .await?;
        let Some((epoch, disabled, admin, ..)) = rows.first() else {
            return Ok(None);
        };
        let mut credentials = Credentials {
            scram: Vec::with_capacity(rows.len()),
            disabled: *disabled,
            admin: *admin,
            epoch: unsigned(*epoch)?,
        };
        for row in rows {
            credentials.scram.extend(key(row)?);
        }
        credentials.scram.sort_by_key(|key| key.hash);
        Ok(Some(credentials))
    }

    async fn remove_account(&self, account: &BareJid, now: Timestamp) -> Result<()> {
        let account = account.clone();
        self.write(move |writer| Box::pin(async move { remove(writer, &account, now).await }))
            .await
    }

    async fn list_accounts(
        &self,
        domain: &str,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<Account>> {
        type Row = (String, bool, bool, i64, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT jid, admin, disabled, created, coalesce(epoch, id) FROM account
             WHERE domain = ? AND jid > ? AND removed IS NULL ORDER BY jid LIMIT ?",
        )
        .bind(domain)
        .bind(after.map_or("", BareJid::as_str))
        .bind(max.min(LIST_MAX))
        .fetch_all(&self.readers)
        .await?;
        let account = |(text, admin, disabled, created, epoch): Row| {
            let (jid, epoch) = (bare(&text)?, unsigned(epoch)?);
            Ok(Account {
                jid,
                admin,
                disabled,
                created: Timestamp(created),
                epoch,
            })
        };
        rows.into_iter().map(account).collect()
    }

    async fn set_disabled(&self, account: &BareJid, disabled: bool) -> Result<()> {
        let sql = "UPDATE account SET disabled = ? WHERE jid = ? AND removed IS NULL";
        self.set_mark(sql, account, disabled).await
    }

    async fn set_admin(&self, account: &BareJid, admin: bool) -> Result<()> {
        let sql = "UPDATE account SET admin = ? WHERE jid = ? AND removed IS NULL";
        self.set_mark(sql, account, admin).await
    }

    async fn count_accounts(&self) -> Result<u64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM account WHERE removed IS NULL")
            .fetch_one(&self.readers)
            .await?;
        unsigned(count)
    }

    async fn has_admin(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM account WHERE removed IS NULL AND admin)";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.readers).await?)
    }

    async fn accounts_among(&self, addresses: &[BareJid]) -> Result<Vec<BareJid>> {
        let addresses: Vec<&str> = addresses.iter().map(BareJid::as_str).collect();
        let accounts: Vec<String> = sqlx::query_scalar(
            "SELECT a.jid FROM json_each(?) f CROSS JOIN account a ON a.jid = f.value
             WHERE a.removed IS NULL",
        )
        .bind(serde_json::to_string(&addresses).unwrap_or_default())
        .fetch_all(&self.readers)
        .await?;
        accounts.iter().map(|text| bare(text)).collect()
    }
}

impl Sqlite {
    async fn set_mark(&self, sql: &'static str, account: &BareJid, mark: bool) -> Result<()> {
        let account = account.clone();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                let done = sqlx::query(sql)
                    .bind(mark)
                    .bind(account.as_str())
                    .execute(connection)
                    .await?;
                if done.rows_affected() == 0 {
                    Err(StoreError::NoSuchAccount)
                } else {
                    Ok(())
                }
            })
        })
        .await
    }
}

/// An account with one of its keys, if it has any.
type CredentialsRow = (
    i64,
    bool,
    bool,
    Option<String>,
    Option<Vec<u8>>,
    Option<u32>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

pub(super) const CREDENTIALS: &str = "
    SELECT coalesce(a.epoch, a.id), a.disabled, a.admin, s.hash, s.salt, s.iterations, s.stored_key, s.server_key
    FROM account a LEFT JOIN scram s ON s.account = a.id
    WHERE a.jid = ? AND a.removed IS NULL";

fn key(row: CredentialsRow) -> Result<Option<ScramCredentials>> {
    let (.., Some(name), Some(salt), Some(iterations), Some(stored_key), Some(server_key)) = row
    else {
        return Ok(None);
    };
    let hash = Hash::ALL.into_iter().find(|hash| hash.name() == name);
    let hash = hash.ok_or_else(|| StoreError::Corrupt(format!("hash {name:?}")))?;
    Ok(Some(ScramCredentials {
        hash,
        salt,
        iterations,
        stored_key,
        server_key,
    }))
}

pub(super) async fn create(
    writer: &mut Writer,
    account: &BareJid,
    credentials: &Credentials,
    admin: bool,
    now: Timestamp,
) -> Result<()> {
    let connection = writer.connection().await?;
    match number(connection, account).await {
        Ok(_) => return Err(StoreError::Conflict),
        Err(StoreError::NoSuchAccount) => {}
        Err(error) => return Err(error),
    }
    let log = sqlx::query("INSERT INTO log DEFAULT VALUES")
        .execute(&mut *connection)
        .await?;
    let number = log.last_insert_rowid();
    // Versions go on from the earlier life: a client that remembers one must not take the new
    // roster for the one it knows (RFC 6121 §2.6.3, row C15).
    sqlx::query(
        "INSERT INTO account
            (id, jid, domain, admin, disabled, created, roster_version, blocklist_version)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6,
            coalesce(max(roster_version) + 1, 0), coalesce(max(blocklist_version) + 1, 0)
         FROM account WHERE jid = ?2 AND removed IS NOT NULL",
    )
    .bind(number)
    .bind(account.as_str())
    .bind(account.domain())
    .bind(admin)
    .bind(credentials.disabled)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    replace_keys(connection, number, &credentials.scram).await
}

async fn replace_keys(
    connection: &mut SqliteConnection,
    number: i64,
    scram: &[ScramCredentials],
) -> Result<()> {
    sqlx::query("DELETE FROM scram WHERE account = ?")
        .bind(number)
        .execute(&mut *connection)
        .await?;
    for key in scram {
        insert_keys(connection, REPLACE_KEYS, number, key).await?;
    }
    Ok(())
}

const REPLACE_KEYS: &str = "INSERT OR REPLACE INTO scram VALUES (?, ?, ?, ?, ?, ?)";
const ADD_KEYS: &str = "INSERT OR IGNORE INTO scram VALUES (?, ?, ?, ?, ?, ?)";

/// Tells whether they have been put there.
async fn insert_keys(
    connection: &mut SqliteConnection,
    sql: &'static str,
    number: i64,
    key: &ScramCredentials,
) -> Result<bool> {
    let done = sqlx::query(sql)
        .bind(number)
        .bind(key.hash.name())
        .bind(key.salt.as_slice())
        .bind(key.iterations)
        .bind(key.stored_key.as_slice())
        .bind(key.server_key.as_slice())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Leaves the row as a tombstone. The log may be long: [`super::purge::sweep`] deletes it.
async fn remove(writer: &mut Writer, account: &BareJid, now: Timestamp) -> Result<()> {
    // Nothing of it may come out of the recent messages after it has been swept.
    super::merge::merge_all(writer).await?;
    let connection = writer.connection().await?;
    let number = number(connection, account).await?;
    sqlx::query(
        "UPDATE account SET removed = ?, admin = 0, blocks = 0, archiving = 0 WHERE id = ?",
    )
    .bind(now.0)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    for sql in [
        "DELETE FROM scram WHERE account = ?",
        "DELETE FROM token WHERE account = ?",
        "DELETE FROM roster_item WHERE account = ?",
        "DELETE FROM roster_removed WHERE account = ?",
        "DELETE FROM block WHERE account = ?",
        "DELETE FROM kept WHERE account = ?",
        "DELETE FROM push WHERE account = ?",
        "DELETE FROM web_push WHERE account = ?",
        "DELETE FROM archive_exception WHERE account = ?",
        "DELETE FROM waiting_session WHERE account = ?",
    ] {
        sqlx::query(sql)
            .bind(number)
            .execute(&mut *connection)
            .await?;
    }
    invitations::forget(connection, number).await?;
    uploads::disown(connection, number).await?;
    nodes::forget_account(connection, account).await?;
    rooms::forget::forget_account(connection, account).await?;
    // Forgetting too early does no harm, should the commit fail.
    writer.heads.remove(&LogOf::Account(account.clone()));
    Ok(())
}
