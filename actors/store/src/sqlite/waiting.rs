//! Sessions that wait for their clients, in SQLite.

use bytes::Bytes;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::{Sqlite, bare};
use crate::error::Result;
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

async fn put_away(
    connection: &mut SqliteConnection,
    session: &WaitingSession,
    until: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO waiting_session SELECT id, ?, ? FROM account \
         WHERE jid = ? AND removed IS NULL AND NOT disabled",
    )
    .bind(session.value.as_ref())
    .bind(until.0)
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
    let (account, ends) = match which {
        PutAway::All | PutAway::ByNode(_) => (None, None),
        PutAway::Of(account) => (Some(account.as_str()), None),
        PutAway::EndingBy(time) => (None, Some(time.0)),
    };
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT jid, value FROM waiting_session JOIN account ON account.id = account \
         WHERE until > ?1 AND removed IS NULL AND NOT disabled \
         AND (?2 IS NULL OR jid = ?2) AND (?3 IS NULL OR until <= ?3) \
         ORDER BY waiting_session.rowid",
    )
    .bind(now.0)
    .bind(account)
    .bind(ends)
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM waiting_session WHERE (?1 IS NULL OR account IN \
         (SELECT id FROM account WHERE jid = ?1)) AND (?2 IS NULL OR until <= ?2)",
    )
    .bind(account)
    .bind(ends)
    .execute(connection)
    .await?;
    let session = |(jid, value): (String, Vec<u8>)| {
        let (account, value) = (bare(&jid)?, Bytes::from(value));
        Ok(WaitingSession { account, value })
    };
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
