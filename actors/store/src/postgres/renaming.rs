//! Accounts that get another address, in PostgreSQL.

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::names::{self, NameOf};
use super::{Postgres, accounts, bare, colleagues, log, nodes, roster, tokens, waiting};
use crate::error::{Result, StoreError};
use crate::renaming::{FORMER, Renaming, meanwhile, steps};

impl Renaming for Postgres {
    async fn rename_account(&self, from: &BareJid, to: &BareJid, now: Timestamp) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.write(move |connection| {
            Box::pin(async move { rename(connection, &from, &to, now).await })
        })
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
        self.write(move |connection| {
            Box::pin(async move {
                exchange(connection, &steps, now).await?;
                colleagues::change(connection, expected, &changes).await
            })
        })
        .await
    }

    async fn former_addresses(&self) -> Result<Vec<(BareJid, BareJid)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(FORMER).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|(former, now)| Ok((bare(former)?, bare(now)?)))
            .collect()
    }
}

async fn rename(
    connection: &mut PgConnection,
    from: &BareJid,
    to: &BareJid,
    now: Timestamp,
) -> Result<()> {
    for name in [from.min(to), from.max(to)] {
        names::hold(connection, NameOf::Account, name).await?;
    }
    let found = accounts::number(connection, from).await?;
    match accounts::number(connection, to).await {
        Ok(_) => return Err(StoreError::Conflict),
        Err(StoreError::NoSuchAccount) => {}
        Err(error) => return Err(error),
    }
    // Whoever appends has the log locked, and finds nobody of the old address once it is theirs.
    log::lock(connection, found).await?;
    let others = lock_all(connection, from).await?;
    let number = accounts::number(connection, from).await?;
    if number != found {
        // Removed and made again meanwhile.
        return Err(StoreError::NoSuchAccount);
    }
    rename_life(connection, number, (from, to), now).await?;
    tokens::forget(connection, number, None).await?;
    waiting::forget(connection, number).await?;
    rename_for_others(connection, &others, from, to).await?;
    rename_in_nodes(connection, from, to).await?;
    rename_in_rooms(connection, from, to).await
}

/// Names come first in the order of locks; what two exchanges lock otherwise in each other's way,
/// the database ends, and it is done again.
async fn exchange(
    connection: &mut PgConnection,
    steps: &[(BareJid, BareJid)],
    now: Timestamp,
) -> Result<()> {
    let mut names: Vec<&BareJid> = steps.iter().map(|(from, _)| from).collect();
    names.sort_unstable();
    for name in names {
        names::hold(connection, NameOf::Account, name).await?;
    }
    for (from, to) in steps {
        rename(connection, from, to, now).await?;
    }
    // Nobody has ever seen the address that one account has had for a moment.
    for sql in [
        "DELETE FROM roster_removed WHERE jid = $1",
        "DELETE FROM account WHERE jid = $1 AND removed IS NOT NULL",
    ] {
        sqlx::query(sql)
            .bind(meanwhile().as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Locks the account and all that have it among their contacts, block it, or say whether they
/// want its messages kept; in the order of their numbers. Whoever adds it only now keeps the old
/// address.
async fn lock_all(connection: &mut PgConnection, from: &BareJid) -> Result<Vec<i64>> {
    let numbers = sqlx::query_scalar(
        "SELECT id FROM account WHERE removed IS NULL AND id = ANY(ARRAY(
            SELECT id FROM account WHERE jid = $1 AND removed IS NULL
            UNION SELECT account FROM roster_item WHERE jid = $1 AND subscription >= 2
            UNION SELECT account FROM roster_item WHERE jid = $1 AND subscription < 2
            UNION SELECT account FROM block WHERE jid = $1
            UNION SELECT account FROM block WHERE jid > $1 || '/' AND jid < $1 || '0'
            UNION SELECT account FROM archive_exception
                WHERE jid = $1 OR jid > $1 || '/' AND jid < $1 || '0'))
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(from.as_str())
    .fetch_all(connection)
    .await?;
    Ok(numbers)
}

/// The old address is left to a tombstone, as of an account that was removed; its number is the
/// new epoch.
async fn rename_life(
    connection: &mut PgConnection,
    number: i64,
    (from, to): (&BareJid, &BareJid),
    now: Timestamp,
) -> Result<()> {
    let epoch = log::begin(connection, 0).await?;
    sqlx::query(
        "UPDATE account SET jid = $1, domain = $2, epoch = $3,
            roster_version = 1 + greatest(roster_version, (SELECT max(p.roster_version)
                FROM account p WHERE p.jid = $1 AND p.removed IS NOT NULL)),
            blocklist_version = 1 + greatest(blocklist_version, (SELECT max(p.blocklist_version)
                FROM account p WHERE p.jid = $1 AND p.removed IS NOT NULL))
         WHERE id = $4",
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
         SELECT $1, $2, $3, $4, $4, true, roster_version, blocklist_version, id
         FROM account WHERE id = $5",
    )
    .bind(epoch)
    .bind(from.as_str())
    .bind(from.domain())
    .bind(now.0)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    // The new address is nobody's former one any more, whatever becomes of this account.
    sqlx::query("UPDATE account SET became = NULL WHERE jid = $1 AND became IS NOT NULL")
        .bind(to.as_str())
        .execute(&mut *connection)
        .await?;
    // Whoever remembers a roster of the new address has another one.
    for sql in [
        "UPDATE roster_item SET version = (SELECT roster_version FROM account WHERE id = $1)
         WHERE account = $1",
        "DELETE FROM roster_removed WHERE account = $1",
    ] {
        sqlx::query(sql)
            .bind(number)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn rename_for_others(
    connection: &mut PgConnection,
    others: &[i64],
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    let contacts: Vec<i64> = sqlx::query_scalar(
        "SELECT account FROM roster_item WHERE account = ANY($1) AND jid = $2 ORDER BY account",
    )
    .bind(others)
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    run(connection, &CONTACTS, &contacts, from, to).await?;
    for account in contacts {
        roster::forget_removed(connection, account).await?;
    }
    let blocking: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT account FROM block WHERE account = ANY($1)
         AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')",
    )
    .bind(others)
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    run(connection, &BLOCKED, &blocking, from, to).await?;
    run(connection, &PREFERENCES, others, from, to).await
}

/// $1 whose, $2 the old address, $3 the new one.
const CONTACTS: [&str; 5] = [
    "UPDATE account SET roster_version = roster_version + 1 WHERE id = ANY($1)",
    "DELETE FROM roster_item WHERE account = ANY($1) AND jid = $3",
    "UPDATE roster_item i SET jid = $3, version = a.roster_version
     FROM account a WHERE a.id = i.account AND i.account = ANY($1) AND i.jid = $2",
    "DELETE FROM roster_removed WHERE account = ANY($1) AND jid IN ($2, $3)",
    "INSERT INTO roster_removed SELECT id, $2, roster_version FROM account
     WHERE id = ANY($1)",
];

/// The same person with another address stays blocked. An address and its full ones: "0" comes
/// after "/".
const BLOCKED: [&str; 3] = [
    "INSERT INTO block SELECT account, $3 || substr(jid, length($2) + 1) FROM block
     WHERE account = ANY($1) AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')
     ON CONFLICT DO NOTHING",
    "DELETE FROM block WHERE account = ANY($1)
        AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')",
    "UPDATE account a SET blocklist_version = blocklist_version + 1,
        blocks = (SELECT count(*) FROM block b WHERE b.account = a.id)
     WHERE id = ANY($1)",
];

const PREFERENCES: [&str; 2] = [
    "INSERT INTO archive_exception
     SELECT account, $3 || substr(jid, length($2) + 1), archived FROM archive_exception
     WHERE account = ANY($1) AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')
     ON CONFLICT (account, jid) DO UPDATE SET archived = excluded.archived",
    "DELETE FROM archive_exception WHERE account = ANY($1)
        AND (jid = $2 OR jid > $2 || '/' AND jid < $2 || '0')",
];

async fn rename_in_nodes(
    connection: &mut PgConnection,
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    let whose: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM pubsub_node WHERE service IS NOT NULL AND id = ANY(ARRAY(
            SELECT id FROM pubsub_node WHERE service = $1
            UNION SELECT id FROM pubsub_node WHERE creator = $1 AND service IS NOT NULL
            UNION SELECT node FROM pubsub_affiliation WHERE jid = $1
            UNION SELECT node FROM pubsub_subscription WHERE account = $1))
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    run(connection, &NODES, &whose, from, to).await?;
    for node in whose {
        nodes::count(connection, node).await?;
    }
    Ok(())
}

/// $1 the nodes.
const NODES: [&str; 7] = [
    "UPDATE pubsub_node n SET version = version + 1 WHERE id = ANY($1)
        AND (EXISTS (SELECT 1 FROM pubsub_affiliation WHERE node = n.id AND jid = $2)
            OR EXISTS (SELECT 1 FROM pubsub_subscription WHERE node = n.id AND account = $2))",
    "UPDATE pubsub_node SET service = $3 WHERE id = ANY($1) AND service = $2",
    "UPDATE pubsub_node SET creator = $3 WHERE id = ANY($1) AND creator = $2",
    "DELETE FROM pubsub_affiliation a WHERE node = ANY($1) AND jid = $3
        AND EXISTS (SELECT 1 FROM pubsub_affiliation WHERE node = a.node AND jid = $2)",
    "UPDATE pubsub_affiliation SET jid = $3 WHERE node = ANY($1) AND jid = $2",
    "DELETE FROM pubsub_subscription s WHERE node = ANY($1) AND account = $3
        AND EXISTS (SELECT 1 FROM pubsub_subscription WHERE node = s.node AND account = $2)",
    "UPDATE pubsub_subscription SET jid = $3 || substr(jid, length($2) + 1), account = $3
     WHERE node = ANY($1) AND account = $2",
];

async fn rename_in_rooms(
    connection: &mut PgConnection,
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    let whose: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM room WHERE NOT removed AND id = ANY(ARRAY(
            SELECT id FROM room WHERE creator = $1 AND NOT removed
            UNION SELECT room FROM room_affiliate WHERE jid = $1
            UNION SELECT room FROM room_hat_worn WHERE jid = $1))
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(from.as_str())
    .fetch_all(&mut *connection)
    .await?;
    run(connection, &ROOMS, &whose, from, to).await
}

/// $1 the rooms.
const ROOMS: [&str; 6] = [
    "UPDATE room SET creator = $3 WHERE id = ANY($1) AND creator = $2",
    "UPDATE room r SET version = version + 1 WHERE id = ANY($1)
        AND (EXISTS (SELECT 1 FROM room_affiliate WHERE room = r.id AND jid = $2)
            OR EXISTS (SELECT 1 FROM room_hat_worn WHERE room = r.id AND jid = $2))",
    "DELETE FROM room_affiliate a WHERE room = ANY($1) AND jid = $3
        AND EXISTS (SELECT 1 FROM room_affiliate WHERE room = a.room AND jid = $2)",
    "UPDATE room_affiliate SET jid = $3 WHERE room = ANY($1) AND jid = $2",
    "INSERT INTO room_hat_worn SELECT room, $3, uri FROM room_hat_worn
     WHERE room = ANY($1) AND jid = $2 ON CONFLICT DO NOTHING",
    "DELETE FROM room_hat_worn WHERE room = ANY($1) AND jid = $2",
];

/// Every statement gets the numbers, and of both addresses those it has a place for: one that is
/// prepared takes no more.
async fn run(
    connection: &mut PgConnection,
    statements: &[&'static str],
    numbers: &[i64],
    from: &BareJid,
    to: &BareJid,
) -> Result<()> {
    for sql in statements {
        let mut query = sqlx::query(*sql).bind(numbers);
        if sql.contains("$2") || sql.contains("$3") {
            query = query.bind(from.as_str());
        }
        if sql.contains("$3") {
            query = query.bind(to.as_str());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
