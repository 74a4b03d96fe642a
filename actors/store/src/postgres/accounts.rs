//! Accounts in PostgreSQL.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, ScramCredentials};
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::names::{self, NameOf};
use super::text::escaped;
use super::{
    Postgres, bare, invitations, nodes, rooms, tokens, unsigned, uploads, waiting, web_push,
};
use crate::accounts::{Account, Accounts, Credentials, LIST_MAX};
use crate::error::{Result, StoreError};

/// The number of an account, for reading.
pub(super) async fn number(connection: &mut PgConnection, account: &BareJid) -> Result<i64> {
    sqlx::query_scalar("SELECT id FROM account WHERE jid = $1 AND removed IS NULL")
        .bind(account.as_str())
        .fetch_optional(connection)
        .await?
        .ok_or(StoreError::NoSuchAccount)
}

/// The number of an account that nobody else changes until the transaction ends. Every change
/// of what an account has begins with it, so what is counted stays so.
pub(super) async fn lock(connection: &mut PgConnection, account: &BareJid) -> Result<i64> {
    sqlx::query_scalar(
        "SELECT id FROM account WHERE jid = $1 AND removed IS NULL FOR NO KEY UPDATE",
    )
    .bind(account.as_str())
    .fetch_optional(connection)
    .await?
    .ok_or(StoreError::NoSuchAccount)
}

impl Accounts for Postgres {
    async fn create_account(
        &self,
        account: &BareJid,
        credentials: &Credentials,
        admin: bool,
        now: Timestamp,
    ) -> Result<()> {
        let (account, credentials) = (account.clone(), credentials.clone());
        self.write(move |connection| {
            Box::pin(async move {
                names::hold(connection, NameOf::Account, &account).await?;
                create(connection, &account, &credentials, admin, now).await
            })
        })
        .await
    }

    async fn set_credentials(&self, account: &BareJid, credentials: &Credentials) -> Result<()> {
        let (account, scram) = (account.clone(), credentials.scram.clone());
        self.write(move |connection| {
            Box::pin(async move {
                let number = lock(connection, &account).await?;
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
        self.write(move |connection| {
            Box::pin(async move {
                let number = lock(connection, &account).await?;
                insert_keys(connection, ADD_KEYS, number, &keys).await
            })
        })
        .await
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>> {
        let rows: Vec<CredentialsRow> = sqlx::query_as(CREDENTIALS)
            .bind(account.as_str())
            .fetch_all(&self.pool)
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
        self.write(move |connection| {
            Box::pin(async move { remove(connection, &account, now).await })
        })
        .await
    }

    async fn list_accounts(
        &self,
        domain: &str,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<Account>> {
        type Row = (String, bool, bool, i64, i64);
        // Compared as a pair: the plan of a prepared statement, which knows no domain, might
        // otherwise go along the addresses of all domains.
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT jid, admin, disabled, created, coalesce(epoch, id) FROM account
             WHERE (domain, jid) > ($1, $2) AND domain <= $1 AND removed IS NULL
             ORDER BY domain, jid LIMIT $3",
        )
        .bind(escaped(domain))
        .bind(after.map_or("", BareJid::as_str))
        .bind(i64::from(max.min(LIST_MAX)))
        .fetch_all(&self.pool)
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
        let sql = "UPDATE account SET disabled = $1 WHERE jid = $2 AND removed IS NULL";
        self.set_mark(sql, account, disabled).await
    }

    async fn set_admin(&self, account: &BareJid, admin: bool) -> Result<()> {
        let sql = "UPDATE account SET admin = $1 WHERE jid = $2 AND removed IS NULL";
        self.set_mark(sql, account, admin).await
    }

    async fn count_accounts(&self) -> Result<u64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM account WHERE removed IS NULL")
            .fetch_one(&self.pool)
            .await?;
        unsigned(count)
    }

    async fn has_admin(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM account WHERE removed IS NULL AND admin)";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    async fn accounts_among(&self, addresses: &[BareJid]) -> Result<Vec<BareJid>> {
        let addresses: Vec<&str> = addresses.iter().map(BareJid::as_str).collect();
        let accounts: Vec<String> =
            sqlx::query_scalar("SELECT jid FROM account WHERE jid = ANY($1) AND removed IS NULL")
                .bind(addresses)
                .fetch_all(&self.pool)
                .await?;
        accounts.iter().map(|text| bare(text)).collect()
    }
}

impl Postgres {
    async fn set_mark(&self, sql: &'static str, account: &BareJid, mark: bool) -> Result<()> {
        let account = account.clone();
        self.write(move |connection| {
            Box::pin(async move {
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
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

const CREDENTIALS: &str = "
    SELECT coalesce(a.epoch, a.id), a.disabled, a.admin, s.hash, s.salt, s.iterations, s.stored_key, s.server_key
    FROM account a LEFT JOIN scram s ON s.account = a.id
    WHERE a.jid = $1 AND a.removed IS NULL";

fn key(row: CredentialsRow) -> Result<Option<ScramCredentials>> {
    let (.., Some(name), Some(salt), Some(iterations), Some(stored_key), Some(server_key)) = row
    else {
        return Ok(None);
    };
    let hash = Hash::ALL.into_iter().find(|hash| hash.name() == name);
    let hash = hash.ok_or_else(|| StoreError::Corrupt(format!("hash {name:?}")))?;
    let wrong = |_| StoreError::Corrupt(format!("iterations {iterations}"));
    Ok(Some(ScramCredentials {
        hash,
        salt,
        iterations: iterations.try_into().map_err(wrong)?,
        stored_key,
        server_key,
    }))
}

/// Makes an account, within a transaction that holds its name.
pub(super) async fn create(
    connection: &mut PgConnection,
    account: &BareJid,
    credentials: &Credentials,
    admin: bool,
    now: Timestamp,
) -> Result<()> {
    match number(connection, account).await {
        Ok(_) => return Err(StoreError::Conflict),
        Err(StoreError::NoSuchAccount) => {}
        Err(error) => return Err(error),
    }
    let number = super::log::begin(connection, 0).await?;
    // Versions go on from the earlier life: a client that remembers one must not take the new
    // roster for the one it knows (RFC 6121 §2.6.3, row C15).
    sqlx::query(
        "INSERT INTO account
            (id, jid, domain, admin, disabled, created, roster_version, blocklist_version)
         SELECT $1, $2, $3, $4, $5, $6,
            coalesce(max(roster_version) + 1, 0), coalesce(max(blocklist_version) + 1, 0)
         FROM account WHERE jid = $2 AND removed IS NOT NULL",
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
    connection: &mut PgConnection,
    number: i64,
    scram: &[ScramCredentials],
) -> Result<()> {
    sqlx::query("DELETE FROM scram WHERE account = $1")
        .bind(number)
        .execute(&mut *connection)
        .await?;
    for key in scram {
        insert_keys(connection, REPLACE_KEYS, number, key).await?;
    }
    Ok(())
}

const REPLACE_KEYS: &str = "INSERT INTO scram VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (account, hash) DO UPDATE SET salt = excluded.salt,
        iterations = excluded.iterations, stored_key = excluded.stored_key,
        server_key = excluded.server_key";
const ADD_KEYS: &str = "INSERT INTO scram VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";

/// Tells whether they have been put there.
async fn insert_keys(
    connection: &mut PgConnection,
    sql: &'static str,
    number: i64,
    key: &ScramCredentials,
) -> Result<bool> {
    let done = sqlx::query(sql)
        .bind(number)
        .bind(key.hash.name())
        .bind(key.salt.as_slice())
        .bind(i64::from(key.iterations))
        .bind(key.stored_key.as_slice())
        .bind(key.server_key.as_slice())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Leaves the row as a tombstone. The log may be long: the sweep deletes it.
async fn remove(connection: &mut PgConnection, account: &BareJid, now: Timestamp) -> Result<()> {
    // Whoever appends has the log locked, and sees the tombstone once it is theirs.
    let found = number(connection, account).await?;
    super::log::lock(connection, found).await?;
    let number = lock(connection, account).await?;
    if number != found {
        // Removed and made again meanwhile.
        return Err(StoreError::NoSuchAccount);
    }
    sqlx::query(
        "UPDATE account SET removed = $1, admin = false, blocks = 0, archiving = 0 WHERE id = $2",
    )
    .bind(now.0)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    for sql in [
        "DELETE FROM scram WHERE account = $1",
        "DELETE FROM token WHERE account = $1",
        "DELETE FROM roster_item WHERE account = $1",
        "DELETE FROM roster_removed WHERE account = $1",
        "DELETE FROM block WHERE account = $1",
        "DELETE FROM kept WHERE account = $1",
        "DELETE FROM push WHERE account = $1",
        "DELETE FROM web_push WHERE account = $1",
        "DELETE FROM archive_exception WHERE account = $1",
        "DELETE FROM waiting_session WHERE account = $1",
    ] {
        sqlx::query(sql)
            .bind(number)
            .execute(&mut *connection)
            .await?;
    }
    invitations::forget(connection, number).await?;
    uploads::disown(connection, number).await?;
    nodes::forget_account(connection, account).await?;
    rooms::forget::forget_account(connection, account).await
}
