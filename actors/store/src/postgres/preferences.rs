//! Preferences of archives in PostgreSQL.

use klatsch_protocol::features::archive_preferences::{Otherwise, Preferences};
use klatsch_protocol::jid::{BareJid, Jid};
use sqlx::PgConnection;

use super::{Postgres, accounts, jid};
use crate::error::{Result, StoreError};
use crate::preferences::ArchivePreferences;

/// Everything, without exception: nothing to look up.
pub(super) const EVERYTHING: i64 = 0;
const ALWAYS: i64 = 1;
const NEVER: i64 = 2;
const CONTACTS: i64 = 3;

impl ArchivePreferences for Postgres {
    async fn archive_preferences(&self, account: &BareJid) -> Result<Preferences> {
        // One statement, so that both parts belong together.
        let rows: Vec<(i64, Option<String>, Option<bool>)> = sqlx::query_as(
            "SELECT a.archiving, e.jid, e.archived FROM account a
             LEFT JOIN archive_exception e ON e.account = a.id
             WHERE a.jid = $1 AND a.removed IS NULL",
        )
        .bind(account.as_str())
        .fetch_all(&self.pool)
        .await?;
        let (archiving, ..) = rows.first().ok_or(StoreError::NoSuchAccount)?;
        let mut preferences = Preferences {
            otherwise: match *archiving {
                EVERYTHING | ALWAYS => Otherwise::Always,
                NEVER => Otherwise::Never,
                CONTACTS => Otherwise::Roster,
                other => return Err(StoreError::Corrupt(format!("archiving {other}"))),
            },
            ..Preferences::default()
        };
        for row in rows {
            let (_, Some(listed), Some(is_archived)) = row else {
                continue;
            };
            let list = match is_archived {
                true => &mut preferences.always,
                false => &mut preferences.never,
            };
            list.insert(jid(&listed)?);
        }
        Ok(preferences)
    }

    async fn prefer(&self, account: &BareJid, preferences: Preferences) -> Result<()> {
        let account = account.clone();
        self.write(move |connection| {
            Box::pin(async move { prefer(connection, &account, &preferences).await })
        })
        .await
    }
}

async fn prefer(
    connection: &mut PgConnection,
    account: &BareJid,
    preferences: &Preferences,
) -> Result<()> {
    let number = accounts::lock(connection, account).await?;
    let has_exceptions = !preferences.always.is_empty() || !preferences.never.is_empty();
    let archiving = match preferences.otherwise {
        Otherwise::Always if !has_exceptions => EVERYTHING,
        Otherwise::Always => ALWAYS,
        Otherwise::Never => NEVER,
        Otherwise::Roster => CONTACTS,
    };
    sqlx::query("UPDATE account SET archiving = $1 WHERE id = $2")
        .bind(archiving)
        .bind(number)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM archive_exception WHERE account = $1")
        .bind(number)
        .execute(&mut *connection)
        .await?;
    for (list, is_archived) in [(&preferences.always, true), (&preferences.never, false)] {
        let jids: Vec<&str> = list.iter().map(Jid::as_str).collect();
        sqlx::query("INSERT INTO archive_exception SELECT $1, unnest($2), $3")
            .bind(number)
            .bind(jids)
            .bind(is_archived)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
