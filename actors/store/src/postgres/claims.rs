//! Claims to sessions, in PostgreSQL.

use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::{Postgres, waiting};
use crate::claims::{Claim, Claims, Standing, oldest};
use crate::error::Result;
use crate::rows::claims::{Row, claim};
use crate::waiting::WaitingSession;

impl Claims for Postgres {
    async fn claim_session(&self, claim: &Claim, now: Timestamp) -> Result<()> {
        let claim = claim.clone();
        self.write(move |connection| Box::pin(async move { make(connection, &claim, now).await }))
            .await
    }

    async fn claims_on(&self, node: u16, now: Timestamp) -> Result<Vec<Claim>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT node, session, previd FROM claim WHERE node = $1 AND made >= $2 ORDER BY place",
        )
        .bind(i64::from(node))
        .bind(oldest(now).0)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(claim).collect()
    }

    async fn press_claim(&self, previd: &str) -> Result<bool> {
        let previd = previd.to_owned();
        self.write(move |connection| Box::pin(async move { press(connection, &previd).await }))
            .await
    }

    async fn give_session(
        &self,
        claim: &Claim,
        session: &WaitingSession,
        until: Timestamp,
    ) -> Result<Standing> {
        let (claim, session) = (claim.clone(), session.clone());
        self.write(move |connection| {
            Box::pin(async move { give(connection, &claim, session, until).await })
        })
        .await
    }

    async fn answer_claim(&self, previd: &str, now: Timestamp) -> Result<Standing> {
        let previd = previd.to_owned();
        self.write(move |connection| {
            Box::pin(async move { answer(connection, &previd, now).await })
        })
        .await
    }
}

async fn make(connection: &mut PgConnection, claim: &Claim, now: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO claim (previd, node, session, made) VALUES ($1, $2, $3, $4)
         ON CONFLICT (previd) DO UPDATE SET node = $2, session = $3, made = $4, is_pressed = false",
    )
    .bind(&claim.previd)
    .bind(i64::from(claim.node))
    .bind(claim.session.as_str())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn press(connection: &mut PgConnection, previd: &str) -> Result<bool> {
    let pressed = sqlx::query("UPDATE claim SET is_pressed = true WHERE previd = $1")
        .bind(previd)
        .execute(connection)
        .await?;
    Ok(pressed.rows_affected() > 0)
}

async fn give(
    connection: &mut PgConnection,
    claim: &Claim,
    session: WaitingSession,
    until: Timestamp,
) -> Result<Standing> {
    let is_pressed: Option<bool> = sqlx::query_scalar(
        "DELETE FROM claim WHERE previd = $1 AND node = $2 RETURNING is_pressed",
    )
    .bind(&claim.previd)
    .bind(i64::from(claim.node))
    .fetch_optional(&mut *connection)
    .await?;
    let standing = Standing::of(is_pressed);
    if standing == Standing::Waits {
        waiting::put_away(connection, Some(claim.node), &[session], until).await?;
    }
    Ok(standing)
}

async fn answer(connection: &mut PgConnection, previd: &str, now: Timestamp) -> Result<Standing> {
    sqlx::query("DELETE FROM claim WHERE made < $1")
        .bind(oldest(now).0)
        .execute(&mut *connection)
        .await?;
    let is_pressed: Option<bool> =
        sqlx::query_scalar("DELETE FROM claim WHERE previd = $1 RETURNING is_pressed")
            .bind(previd)
            .fetch_optional(connection)
            .await?;
    Ok(Standing::of(is_pressed))
}
