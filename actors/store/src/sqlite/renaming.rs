//! Accounts that get another address, in SQLite.

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, accounts, bare, colleagues, merge, nodes, roster, tokens, waiting};
use crate::error::{Result, StoreError};
use crate::renaming::{FORMER, Renaming, meanwhile, steps};

impl Renaming for Sqlite {
    async fn rename_account(&self, from: &BareJid, to: &BareJid, now: Timestamp) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.write(move |writer| Box::pin(async move { rename(writer, &from, &to, now).await }))
            .await
    }

    async fn exchange_addresses(
        &self,
        circle: &[BareJid],
        expected: u64,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<u64> {
        let steps = steps(circle)?;
        self.write(move |writer| {
            Box::pin(async move {
                for (from, to) in &steps {
                    rename(writer, from, to, now).await?;
                }
                forget_meanwhile(writer.connection().await?).await?;
                colleagues::change(writer, expected, &changes).await
            })
        })
        .await
    }

    async fn former_addresses(&self) -> Result<Vec<(BareJid, BareJid)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(FORMER).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|(former, now)| Ok((bare(former)?, bare(now)?)))
            .collect()
    }
}

async fn rename(writer: &mut Writer, from: &BareJid, to: &BareJid, now: Timestamp) -> Result<()> {
    // What is recent is found by the account's address.
    merge::merge_all(writer).await?;
    let connection = writer.connection().await?;
    let number = accounts::number(connection, from).await?;
    match accounts::number(connection, to).await {
        Ok(_) => return Err(StoreError::Conflict),
        Err(StoreError::NoSuchAccount) => {}
        Err(error) => return Err(error),
    }
    rename_life(connection, number, (from, to), now).await?;
    tokens::forget(connection, number, None).await?;
    waiting::forget(connection, number).await?;
    rename_contacts(connection, from, to).await?;
    rename_blocked(connection, from, to).await?;
    run(connection, &PREFERENCES, from, to).await?;
    run(connection, &ROOMS, from, to).await?;
    rename_in_nodes(connection, from, to).await?;
    // They go by address and carry how many are blocked; forgetting too early does no harm.
    writer.heads.clear();
    Ok(())
}

/// Nobody has ever seen the address that one account has had for a moment.
async fn forget_meanwhile(connection: &mut SqliteConnection) -> Result<()> {
    for sql in [
        "DELETE FROM roster_removed WHERE jid = ?1",
        "DELETE FROM account WHERE jid = ?1 AND removed IS NOT NULL",
    ] {
        sqlx::query(sql)
            .bind(meanwhile().as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The old address is left to a tombstone, as of an account that was removed; its number is the
/// new epoch.
async fn rename_life(
    connection: &mut SqliteConnection,
    number: i64,
    (from, to): (&BareJid, &BareJid),
    now: Timestamp,
) -> Result<()> {
    let log = sqlx::query("INSERT INTO log DEFAULT VALUES")
        .execute(&mut *connection)
        .await?;
    let epoch = log.last_insert_rowid();
    sqlx::query(
        "UPDATE account SET jid = ?1, domain = ?2, epoch = ?3,
            roster_version = 1 + max(roster_version, coalesce((SELECT max(p.roster_version)
                FROM account p WHERE p.jid = ?1 AND p.removed IS NOT NULL), 0)),
            blocklist_version = 1 + max(blocklist_version, coalesce((SELECT
                max(p.blocklist_version)
                FROM account p WHERE p.jid = ?1 AND p.removed IS NOT NULL), 0))
         WHERE id = ?4",
    )
    .bind(to.as_str())
    .bind(to.domain())
    .bind(epoch)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO account (id, jid, domain, created, removed, swept,
            roster_version, blocklist_version, became)
         SELECT ?1, ?2, ?3, ?4, ?4, 1, roster_version, blocklist_version, id
         FROM account WHERE id = ?5",
    )
    .bind(epoch)
    .bind(from.as_str())
    .bind(from.domain())
    .bind(now.0)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    // The new address is nobody's former one any more, whatever becomes of this account.
    sqlx::query("UPDATE account SET became = NULL WHERE jid = ? AND became IS NOT NULL")
        .bind(to.as_str())
        .execute(&mut *connection)
        .await?;
    // Whoever remembers a roster of the new address has another one.
    for sql in [
        "UPDATE roster_item SET version = (SELECT roster_version FROM account WHERE id = ?1)
         WHERE account = ?1",
        "DELETE FROM roster_removed WHERE account = ?1",
    ] {
        sqlx::query(sql)
            .bind(number)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// One after the other: each roster has a version of its own.
async fn rename_contacts(
    connection: &mut SqliteConnection,
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    let whose: Vec<i64> = sqlx::query_scalar(
        "SELECT account FROM roster_item WHERE jid = ?1 AND subscription >= 2
         UNION ALL SELECT account FROM roster_item WHERE jid = ?1 AND subscription < 2",
    )
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for account in whose {
        run_for(connection, &CONTACT, account, from, to).await?;
        roster::forget_removed(connection, account).await?;
    }
    Ok(())
}

/// ?1 whose, ?2 the old address, ?3 the new one.
const CONTACT: [&str; 5] = [
    "UPDATE account SET roster_version = roster_version + 1 WHERE id = ?1",
    "DELETE FROM roster_item WHERE account = ?1 AND jid = ?3",
    "UPDATE roster_item SET jid = ?3,
        version = (SELECT roster_version FROM account WHERE id = ?1)
     WHERE account = ?1 AND jid = ?2",
    "DELETE FROM roster_removed WHERE account = ?1 AND jid = ?3",
    "INSERT OR REPLACE INTO roster_removed
     SELECT id, ?2, roster_version FROM account WHERE id = ?1",
];

/// The same person with another address stays blocked.
async fn rename_blocked(
    connection: &mut SqliteConnection,
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    let whose: Vec<i64> = sqlx::query_scalar(
        "SELECT account FROM block WHERE jid = ?1
         UNION SELECT account FROM block WHERE jid > ?1 || '/' AND jid < ?1 || '0'",
    )
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for account in whose {
        run_for(connection, &BLOCKED, account, from, to).await?;
    }
    Ok(())
}

/// An address and its full ones: "0" comes after "/".
const BLOCKED: [&str; 3] = [
    "INSERT OR IGNORE INTO block SELECT account, ?3 || substr(jid, length(?2) + 1) FROM block
     WHERE account = ?1 AND (jid = ?2 OR jid > ?2 || '/' AND jid < ?2 || '0')",
    "DELETE FROM block
     WHERE account = ?1 AND (jid = ?2 OR jid > ?2 || '/' AND jid < ?2 || '0')",
    "UPDATE account SET blocklist_version = blocklist_version + 1,
        blocks = (SELECT count(*) FROM block WHERE account = ?1) WHERE id = ?1",
];

const PREFERENCES: [&str; 2] = [
    "INSERT OR REPLACE INTO archive_exception
     SELECT account, ?2 || substr(jid, length(?1) + 1), archived FROM archive_exception
     WHERE jid = ?1 OR jid > ?1 || '/' AND jid < ?1 || '0'",
    "DELETE FROM archive_exception WHERE jid = ?1 OR jid > ?1 || '/' AND jid < ?1 || '0'",
];

const ROOMS: [&str; 6] = [
    "UPDATE room SET creator = ?2 WHERE creator = ?1 AND NOT removed",
    "UPDATE room SET version = version + 1 WHERE NOT removed AND id IN
        (SELECT room FROM room_affiliate WHERE jid = ?1
         UNION SELECT room FROM room_hat_worn WHERE jid = ?1)",
    "DELETE FROM room_affiliate WHERE jid = ?2
        AND room IN (SELECT room FROM room_affiliate WHERE jid = ?1)",
    "UPDATE room_affiliate SET jid = ?2 WHERE jid = ?1",
    "INSERT OR IGNORE INTO room_hat_worn SELECT room, ?2, uri FROM room_hat_worn WHERE jid = ?1",
    "DELETE FROM room_hat_worn WHERE jid = ?1",
];

async fn rename_in_nodes(
    connection: &mut SqliteConnection,
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    run(connection, &NODES, from, to).await?;
    let listed: Vec<i64> = sqlx::query_scalar(
        "SELECT node FROM pubsub_affiliation WHERE jid = ?1
         UNION SELECT node FROM pubsub_subscription WHERE account = ?1",
    )
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for node in listed {
        run_for(connection, &NODE, node, from, to).await?;
        nodes::count(connection, node).await?;
    }
    Ok(())
}

const NODES: [&str; 2] = [
    "UPDATE pubsub_node SET service = ?2 WHERE service = ?1",
    "UPDATE pubsub_node SET creator = ?2 WHERE creator = ?1 AND service IS NOT NULL",
];

const NODE: [&str; 5] = [
    "UPDATE pubsub_node SET version = version + 1 WHERE id = ?1",
    "DELETE FROM pubsub_affiliation WHERE node = ?1 AND jid = ?3
        AND EXISTS (SELECT 1 FROM pubsub_affiliation WHERE node = ?1 AND jid = ?2)",
    "UPDATE pubsub_affiliation SET jid = ?3 WHERE node = ?1 AND jid = ?2",
    "DELETE FROM pubsub_subscription WHERE node = ?1 AND account = ?3
        AND EXISTS (SELECT 1 FROM pubsub_subscription WHERE node = ?1 AND account = ?2)",
    "UPDATE pubsub_subscription SET jid = ?3 || substr(jid, length(?2) + 1), account = ?3
     WHERE node = ?1 AND account = ?2",
];

async fn run(
    connection: &mut SqliteConnection,
    statements: &[&'static str],
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    for sql in statements {
        sqlx::query(*sql)
            .bind(from.as_str())
            .bind(to.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn run_for(
    connection: &mut SqliteConnection,
    statements: &[&'static str],
    number: i64,
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    for sql in statements {
        sqlx::query(*sql)
            .bind(number)
            .bind(from.as_str())
            .bind(to.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
