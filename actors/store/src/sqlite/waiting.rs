//! Sessions that wait for their clients, in SQLite.

use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::Sqlite;
use crate::error::Result;
use crate::rows::waiting::{Row, session};
use crate::waiting::{PutAway, Waiting, WaitingSession};

impl Waiting for Sqlite {
    async fn put_sessions_away(
        &self,
        _node: Option<u16>,
        sessions: &[WaitingSession],
        until: Timestamp,
    ) -> Result<()> {
        let sessions = sessions.to_vec();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                for session in &sessions {
                    put_away(connection, session, until).await?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn take_sessions(&self, which: &PutAway, now: Timestamp) -> Result<Vec<WaitingSession>> {
        let which = which.clone();
        self.write(move |writer| {
            Box::pin(async move { take(writer.connection().await?, &which, now).await })
        })
        .await
    }
}

pub(super) async fn put_away(
    connection: &mut SqliteConnection,
    session: &WaitingSession,
    until: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO waiting_session (account, value, until, previd) \
         SELECT id, ?, ?, NULLIF(?, '') FROM account WHERE jid = ? AND removed IS NULL AND NOT disabled",
    )
    .bind(session.value.as_ref())
    .bind(until.0)
    .bind(&session.previd)
    .bind(session.account.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn take(
    connection: &mut SqliteConnection,
    which: &PutAway,
    now: Timestamp,
) -> Result<Vec<WaitingSession>> {
    let (one, ends) = match which {
        PutAway::All | PutAway::ByNode(_) => (None, None),
        PutAway::One(account, previd) => (Some((account.as_str(), previd.as_str())), None),
        PutAway::EndingBy(time) => (None, Some(time.0)),
    };
    let (account, previd) = one.unzip();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT jid, previd, value FROM waiting_session JOIN account ON account.id = account \
         WHERE until > ?1 AND removed IS NULL AND NOT disabled \
         AND (?2 IS NULL OR jid = ?2) AND (?3 IS NULL OR until <= ?3) \
         AND (?4 IS NULL OR previd IS NULL OR previd = ?4) \
         ORDER BY waiting_session.rowid",
    )
    .bind(now.0)
    .bind(account)
    .bind(ends)
    .bind(previd)
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM waiting_session WHERE (?1 IS NULL OR account IN \
         (SELECT id FROM account WHERE jid = ?1)) AND (?2 IS NULL OR until <= ?2) \
         AND (?3 IS NULL OR previd IS NULL OR previd = ?3)",
    )
    .bind(account)
    .bind(ends)
    .bind(previd)
    .execute(connection)
    .await?;
    rows.into_iter().map(session).collect()
}

/// Drops those of one account, within another change of it.
pub(super) async fn forget(connection: &mut SqliteConnection, account: i64) -> Result<()> {
    sqlx::query("DELETE FROM waiting_session WHERE account = ?")
        .bind(account)
        .execute(connection)
        .await?;
    Ok(())
}
