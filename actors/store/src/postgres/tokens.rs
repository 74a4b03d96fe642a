//! Tokens in PostgreSQL.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::{Postgres, accounts};
use crate::error::{Result, StoreError};
use crate::tokens::{AGENTS_MAX, Token, Tokens};

type Row = (String, Vec<u8>, i64, i64, i64, bool);

impl Tokens for Postgres {
    async fn tokens(&self, account: &BareJid, agent: &str) -> Result<Vec<Token>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT mechanism, seed, issued, expiry, count, is_new FROM token JOIN account
             ON account.id = token.account
             WHERE jid = $1 AND removed IS NULL AND NOT disabled AND agent = $2
             ORDER BY is_new DESC",
        )
        .bind(account.as_str())
        .bind(agent)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(token).collect()
    }

    async fn give_token(&self, account: &BareJid, agent: &str, token: &Token) -> Result<()> {
        let (account, agent, token) = (account.clone(), agent.to_owned(), token.clone());
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &account).await?;
                give(connection, number, &agent, &token).await
            })
        })
        .await
    }

    async fn use_token(
        &self,
        account: &BareJid,
        agent: &str,
        seed: &[u8],
        count: Option<u32>,
    ) -> Result<()> {
        let (account, agent, seed) = (account.clone(), agent.to_owned(), seed.to_vec());
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &account).await?;
                mark_used(connection, number, &agent, &seed, count).await
            })
        })
        .await
    }

    async fn forget_tokens(&self, account: &BareJid, agent: Option<&str>) -> Result<()> {
        let (account, agent) = (account.clone(), agent.map(str::to_owned));
        self.write(move |connection| {
            Box::pin(async move {
                let number = accounts::lock(connection, &account).await?;
                forget(connection, number, agent.as_deref()).await
            })
        })
        .await
    }
}

fn token((mechanism, seed, issued, expiry, count, is_new): Row) -> Result<Token> {
    let wrong = |_| StoreError::Corrupt(format!("a token's count {count}"));
    Ok(Token {
        mechanism,
        seed,
        issued: Timestamp(issued),
        expiry: Timestamp(expiry),
        count: count.try_into().map_err(wrong)?,
        is_new,
    })
}

async fn give(
    connection: &mut PgConnection,
    account: i64,
    agent: &str,
    token: &Token,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO token VALUES ($1, $2, true, $3, $4, $5, $6, $7)
         ON CONFLICT (account, agent, is_new) DO UPDATE SET mechanism = excluded.mechanism,
            seed = excluded.seed, issued = excluded.issued, expiry = excluded.expiry,
            count = excluded.count",
    )
    .bind(account)
    .bind(agent)
    .bind(&token.mechanism)
    .bind(&token.seed)
    .bind(token.issued.0)
    .bind(token.expiry.0)
    .bind(i64::from(token.count))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM token WHERE account = $1 AND agent NOT IN (SELECT agent FROM token
         WHERE account = $1 GROUP BY agent ORDER BY max(issued) DESC, agent LIMIT $2)",
    )
    .bind(account)
    .bind(AGENTS_MAX as i64)
    .execute(connection)
    .await?;
    Ok(())
}

async fn mark_used(
    connection: &mut PgConnection,
    account: i64,
    agent: &str,
    seed: &[u8],
    count: Option<u32>,
) -> Result<()> {
    let used: Option<bool> = sqlx::query_scalar(
        "UPDATE token SET count = greatest(count, $4)
         WHERE account = $1 AND agent = $2 AND seed = $3 AND ($4 IS NULL OR count < $4)
         RETURNING is_new",
    )
    .bind(account)
    .bind(agent)
    .bind(seed)
    .bind(count.map(i64::from))
    .fetch_optional(&mut *connection)
    .await?;
    match used {
        None => Err(StoreError::Conflict),
        Some(false) => Ok(()),
        Some(true) => {
            // XEP-0484 §5.1: the new one is used from now on, and no other.
            for sql in [
                "DELETE FROM token WHERE account = $1 AND agent = $2 AND NOT is_new",
                "UPDATE token SET is_new = false WHERE account = $1 AND agent = $2",
            ] {
                let query = sqlx::query(sql).bind(account).bind(agent);
                query.execute(&mut *connection).await?;
            }
            Ok(())
        }
    }
}

/// Takes tokens away, within another change of the account.
pub(super) async fn forget(
    connection: &mut PgConnection,
    account: i64,
    agent: Option<&str>,
) -> Result<()> {
    sqlx::query("DELETE FROM token WHERE account = $1 AND ($2 IS NULL OR agent = $2)")
        .bind(account)
        .bind(agent)
        .execute(connection)
        .await?;
    Ok(())
}
