//! Accounts that get another address, in PostgreSQL.

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};

use super::names::{self, NameOf};
use super::{Postgres, accounts, colleagues, log, nodes, roster, tokens, waiting};
use crate::error::{Result, StoreError};
use crate::renaming::{
    ACCOUNT, BLOCKED, CONTACTS, FORMER, MEANWHILE, Mentions, NOBODYS, NODES, Names, PREFERENCES,
    ROOMS, ROSTER, Renaming, TOMBSTONE, former, meanwhile, must_be_free, steps,
};

impl Renaming for Postgres {
    async fn rename_account(&self, from: &BareJid, to: &BareJid, now: Timestamp) -> Result<()> {
        let names = Names {
            old: from.clone(),
            new: to.clone(),
        };
        self.write(move |connection| Box::pin(async move { rename(connection, &names, now).await }))
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
        former(&rows)
    }
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
        let names = Names {
            old: from.clone(),
            new: to.clone(),
        };
        rename(connection, &names, now).await?;
    }
    for sql in MEANWHILE {
        sqlx::query(sql)
            .bind(meanwhile().as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn rename(connection: &mut PgConnection, names: &Names, now: Timestamp) -> Result<()> {
    let (old, new) = (&names.old, &names.new);
    for name in [old.min(new), old.max(new)] {
        names::hold(connection, NameOf::Account, name).await?;
    }
    let found = accounts::number(connection, old).await?;
    must_be_free(accounts::number(connection, new).await)?;
    // Whoever appends has the log locked, and finds nobody of the old address once it is theirs.
    log::lock(connection, found).await?;
    let others = lock_accounts(connection, old).await?;
    let number = accounts::number(connection, old).await?;
    if number != found {
        // Removed and made again meanwhile.
        return Err(StoreError::NoSuchAccount);
    }
    rename_life(connection, number, names, now).await?;
    tokens::forget(connection, number, None).await?;
    waiting::forget(connection, number).await?;
    rename_for_others(connection, &others, names).await?;
    rename_in_nodes(connection, names).await?;
    rename_in_rooms(connection, names).await
}

/// Locks the account and all that have it among their contacts, block it, or say whether they
/// want its messages kept; in the order of their numbers. Whoever adds it only now keeps the old
/// address.
async fn lock_accounts(connection: &mut PgConnection, old: &BareJid) -> Result<Vec<i64>> {
    let whose = [
        "SELECT id FROM account WHERE jid = $1 AND removed IS NULL",
        CONTACTS.whose,
        BLOCKED.whose,
        PREFERENCES.whose,
    ];
    lock(connection, "account WHERE removed IS NULL", &whose, old).await
}

/// Locks those of a table that name the account, in the order of their numbers.
async fn lock(
    connection: &mut PgConnection,
    table: &str,
    whose: &[&str],
    old: &BareJid,
) -> Result<Vec<i64>> {
    let whose = whose.join(" UNION ");
    let sql = format!(
        "SELECT id FROM {table} AND id = ANY(ARRAY({whose})) ORDER BY id FOR NO KEY UPDATE"
    );
    let numbers = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(old.as_str())
        .fetch_all(connection)
        .await?;
    Ok(numbers)
}

async fn rename_life(
    connection: &mut PgConnection,
    number: i64,
    names: &Names,
    now: Timestamp,
) -> Result<()> {
    let epoch = log::begin(connection, 0).await?;
    sqlx::query(ACCOUNT)
        .bind(names.new.as_str())
        .bind(names.new.domain())
        .bind(epoch)
        .bind(number)
        .execute(&mut *connection)
        .await?;
    sqlx::query(TOMBSTONE)
        .bind(epoch)
        .bind(names.old.as_str())
        .bind(names.old.domain())
        .bind(now.0)
        .bind(number)
        .execute(&mut *connection)
        .await?;
    sqlx::query(NOBODYS)
        .bind(names.new.as_str())
        .execute(&mut *connection)
        .await?;
    for sql in ROSTER {
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
    names: &Names,
) -> Result<()> {
    let contacts = among(connection, others, &CONTACTS, names).await?;
    rename_in(connection, &CONTACTS, &contacts, names).await?;
    for account in contacts {
        roster::forget_removed(connection, account).await?;
    }
    let blocking = among(connection, others, &BLOCKED, names).await?;
    rename_in(connection, &BLOCKED, &blocking, names).await?;
    rename_in(connection, &PREFERENCES, others, names).await
}

/// Those of the accounts, all locked and in order, that name the renamed one so.
async fn among(
    connection: &mut PgConnection,
    accounts: &[i64],
    mentions: &Mentions,
    names: &Names,
) -> Result<Vec<i64>> {
    let mut whose: Vec<i64> = sqlx::query_scalar(mentions.whose)
        .bind(names.old.as_str())
        .fetch_all(connection)
        .await?;
    whose.retain(|account| accounts.binary_search(account).is_ok());
    Ok(whose)
}

async fn rename_in_nodes(connection: &mut PgConnection, names: &Names) -> Result<()> {
    let table = "pubsub_node WHERE service IS NOT NULL";
    let whose = lock(connection, table, &[NODES.whose], &names.old).await?;
    rename_in(connection, &NODES, &whose, names).await?;
    for node in whose {
        nodes::count(connection, node).await?;
    }
    Ok(())
}

async fn rename_in_rooms(connection: &mut PgConnection, names: &Names) -> Result<()> {
    let table = "room WHERE NOT removed";
    let whose = lock(connection, table, &[ROOMS.whose], &names.old).await?;
    rename_in(connection, &ROOMS, &whose, names).await
}

/// Every statement gets the numbers, and of both addresses those it has a place for: one that is
/// prepared takes no more.
async fn rename_in(
    connection: &mut PgConnection,
    mentions: &Mentions,
    numbers: &[i64],
    names: &Names,
) -> Result<()> {
    for sql in mentions.statements {
        let (has_old, has_new) = (sql.contains("$2"), sql.contains("$3"));
        let sql = sql.replace("{these}", "= ANY($1)");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(numbers);
        if has_old || has_new {
            query = query.bind(names.old.as_str());
        }
        if has_new {
            query = query.bind(names.new.as_str());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
