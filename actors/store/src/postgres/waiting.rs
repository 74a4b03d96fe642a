//! Sessions that wait for their clients, in PostgreSQL.

use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::Postgres;
use crate::error::Result;
use crate::rows::waiting::{Row, session};
use crate::waiting::{PutAway, Waiting, WaitingSession};

/// Sessions that one statement puts away: some hundred KiB.
const STEP: usize = 256;

impl Waiting for Postgres {
    async fn put_sessions_away(
        &self,
        node: Option<u16>,
        sessions: &[WaitingSession],
        until: Timestamp,
    ) -> Result<()> {
        let sessions = sessions.to_vec();
        self.write(move |connection| {
            Box::pin(async move {
                for some in sessions.chunks(STEP) {
                    put_away(connection, node, some, until).await?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn take_sessions(&self, which: &PutAway, now: Timestamp) -> Result<Vec<WaitingSession>> {
        let which = which.clone();
        self.write(move |connection| Box::pin(async move { take(connection, &which, now).await }))
            .await
    }
}

pub(super) async fn put_away(
    connection: &mut PgConnection,
    node: Option<u16>,
    sessions: &[WaitingSession],
    until: Timestamp,
) -> Result<()> {
    let accounts: Vec<&str> = sessions.iter().map(|it| it.account.as_str()).collect();
    let values: Vec<&[u8]> = sessions.iter().map(|it| it.value.as_ref()).collect();
    let previds: Vec<&str> = sessions.iter().map(|it| it.previd.as_str()).collect();
    // Locked, so that the end of an account or another password does not miss them.
    sqlx::query(
        "INSERT INTO waiting_session (account, value, until, node, previd)
         SELECT a.id, s.value, $3, $4, NULLIF(s.previd, '')
         FROM unnest($1, $2, $5) WITH ORDINALITY s (jid, value, previd, number)
         JOIN account a ON a.jid = s.jid AND a.removed IS NULL AND NOT a.disabled
         ORDER BY s.number FOR SHARE OF a",
    )
    .bind(accounts)
    .bind(values)
    .bind(until.0)
    .bind(node.map(i64::from))
    .bind(previds)
    .execute(connection)
    .await?;
    Ok(())
}

/// Each is given out once: what another node is taking is passed over.
async fn take(
    connection: &mut PgConnection,
    which: &PutAway,
    now: Timestamp,
) -> Result<Vec<WaitingSession>> {
    let (node, one, ends) = match which {
        PutAway::All => (None, None, None),
        PutAway::ByNode(node) => (Some(i64::from(*node)), None, None),
        PutAway::One(account, previd) => (None, Some((account.as_str(), previd.as_str())), None),
        PutAway::EndingBy(time) => (None, None, Some(time.0)),
    };
    let (account, previd) = one.unzip();
    let rows: Vec<Row> = sqlx::query_as(
        "WITH taken AS (DELETE FROM waiting_session WHERE place IN
            (SELECT place FROM waiting_session
             WHERE ($2::bigint IS NULL OR node IS NULL OR node = $2)
             AND ($3::text IS NULL OR account IN (SELECT id FROM account WHERE jid = $3))
             AND ($4::bigint IS NULL OR until <= $4)
             AND ($5::text IS NULL OR previd IS NULL OR previd = $5) FOR UPDATE SKIP LOCKED)
            RETURNING place, account, previd, value, until)
         SELECT a.jid, t.previd, t.value FROM taken t JOIN account a ON a.id = t.account
         WHERE t.until > $1 AND a.removed IS NULL AND NOT a.disabled ORDER BY t.place",
    )
    .bind(now.0)
    .bind(node)
    .bind(account)
    .bind(ends)
    .bind(previd)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(session).collect()
}

/// Drops those of one account, within another change of it.
pub(super) async fn forget(connection: &mut PgConnection, account: i64) -> Result<()> {
    sqlx::query("DELETE FROM waiting_session WHERE account = $1")
        .bind(account)
        .execute(connection)
        .await?;
    Ok(())
}
