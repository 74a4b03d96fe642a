//! Accounts that get another address, in SQLite.

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, accounts, colleagues, merge, nodes, roster, tokens, waiting};
use crate::error::Result;
use crate::renaming::{
    ACCOUNT, BLOCKED, CONTACTS, FORMER, MEANWHILE, Mentions, NOBODYS, NODES, Names, PREFERENCES,
    ROOMS, ROSTER, Renaming, TOMBSTONE, former, meanwhile, must_be_free, steps,
};

impl Renaming for Sqlite {
    async fn rename_account(&self, from: &BareJid, to: &BareJid, now: Timestamp) -> Result<()> {
        let names = Names {
            old: from.clone(),
            new: to.clone(),
        };
        self.write(move |writer| Box::pin(async move { rename(writer, &names, now).await }))
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
                    let names = Names {
                        old: from.clone(),
                        new: to.clone(),
                    };
                    rename(writer, &names, now).await?;
                }
                forget_meanwhile(writer.connection().await?).await?;
                colleagues::change(writer, expected, &changes).await
            })
        })
        .await
    }

    async fn former_addresses(&self) -> Result<Vec<(BareJid, BareJid)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(FORMER).fetch_all(&self.readers).await?;
        former(&rows)
    }
}

async fn rename(writer: &mut Writer, names: &Names, now: Timestamp) -> Result<()> {
    // What is recent is found by the account's address.
    merge::merge_all(writer).await?;
    let connection = writer.connection().await?;
    let number = accounts::number(connection, &names.old).await?;
    must_be_free(accounts::number(connection, &names.new).await)?;
    rename_life(connection, number, names, now).await?;
    tokens::forget(connection, number, None).await?;
    waiting::forget(connection, number).await?;
    for account in rename_in(connection, &CONTACTS, names).await? {
        roster::forget_removed(connection, account).await?;
    }
    rename_in(connection, &BLOCKED, names).await?;
    rename_in(connection, &PREFERENCES, names).await?;
    for node in rename_in(connection, &NODES, names).await? {
        nodes::count(connection, node).await?;
    }
    rename_in(connection, &ROOMS, names).await?;
    // They go by address and carry how many are blocked; forgetting too early does no harm.
    writer.heads.clear();
    Ok(())
}

async fn forget_meanwhile(connection: &mut SqliteConnection) -> Result<()> {
    for sql in MEANWHILE {
        sqlx::query(sql)
            .bind(meanwhile().as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn rename_life(
    connection: &mut SqliteConnection,
    number: i64,
    names: &Names,
    now: Timestamp,
) -> Result<()> {
    let log = sqlx::query("INSERT INTO log DEFAULT VALUES")
        .execute(&mut *connection)
        .await?;
    let epoch = log.last_insert_rowid();
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

/// Answers with the numbers of what has named the account.
async fn rename_in(
    connection: &mut SqliteConnection,
    mentions: &Mentions,
    names: &Names,
) -> Result<Vec<i64>> {
    let whose: Vec<i64> = sqlx::query_scalar(mentions.whose)
        .bind(names.old.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let numbers = serde_json::to_string(&whose).unwrap_or_default();
    for sql in mentions.statements {
        let sql = sql.replace("{these}", "IN (SELECT value FROM json_each($1))");
        sqlx::query(AssertSqlSafe(sql))
            .bind(&numbers)
            .bind(names.old.as_str())
            .bind(names.new.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(whose)
}
