//! Preferences of archives in SQLite.

use std::collections::HashMap;

use klatsch_protocol::features::archive_preferences::{Otherwise, Preferences};
use klatsch_protocol::jid::BareJid;

use super::writer::Writer;
use super::{Sqlite, accounts, jid};
use crate::error::{Result, StoreError};
use crate::log::LogAppend;
use crate::plan::{EVERYTHING, Head, LogOf, Unwanted, wanted_preferences};
use crate::preferences::ArchivePreferences;

const ALWAYS: i64 = 1;
const NEVER: i64 = 2;
const CONTACTS: i64 = 3;

impl ArchivePreferences for Sqlite {
    async fn archive_preferences(&self, account: &BareJid) -> Result<Preferences> {
        let found: Option<(i64, i64)> =
            sqlx::query_as("SELECT id, archiving FROM account WHERE jid = ? AND removed IS NULL")
                .bind(account.as_str())
                .fetch_optional(&self.readers)
                .await?;
        let (number, archiving) = found.ok_or(StoreError::NoSuchAccount)?;
        let mut preferences = Preferences {
            otherwise: match archiving {
                EVERYTHING | ALWAYS => Otherwise::Always,
                NEVER => Otherwise::Never,
                CONTACTS => Otherwise::Roster,
                other => return Err(StoreError::Corrupt(format!("archiving {other}"))),
            },
            ..Preferences::default()
        };
        let exceptions: Vec<(String, bool)> =
            sqlx::query_as("SELECT jid, archived FROM archive_exception WHERE account = ?")
                .bind(number)
                .fetch_all(&self.readers)
                .await?;
        for (listed, is_archived) in exceptions {
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
        self.write(move |writer| {
            Box::pin(async move { prefer(writer, &account, &preferences).await })
        })
        .await
    }
}

async fn prefer(writer: &mut Writer, account: &BareJid, preferences: &Preferences) -> Result<()> {
    let connection = writer.connection().await?;
    let number = accounts::number(connection, account).await?;
    let has_exceptions = !preferences.always.is_empty() || !preferences.never.is_empty();
    let archiving = match preferences.otherwise {
        Otherwise::Always if !has_exceptions => EVERYTHING,
        Otherwise::Always => ALWAYS,
        Otherwise::Never => NEVER,
        Otherwise::Roster => CONTACTS,
    };
    sqlx::query("UPDATE account SET archiving = ? WHERE id = ?")
        .bind(archiving)
        .bind(number)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM archive_exception WHERE account = ?")
        .bind(number)
        .execute(&mut *connection)
        .await?;
    for (list, is_archived) in [(&preferences.always, true), (&preferences.never, false)] {
        for listed in list {
            sqlx::query("INSERT INTO archive_exception (account, jid, archived) VALUES (?, ?, ?)")
                .bind(number)
                .bind(listed.as_str())
                .bind(is_archived)
                .execute(&mut *connection)
                .await?;
        }
    }
    // The head says whether there is something to look up.
    writer.heads.remove(&LogOf::Account(account.clone()));
    Ok(())
}

/// §2.3: the exact address, then the account, then what holds otherwise. What an account writes
/// to itself needs no contact.
const WANTED: &str = "
    SELECT coalesce(
        (SELECT archived FROM archive_exception WHERE account = a.id AND jid = ?2),
        (SELECT archived FROM archive_exception WHERE account = a.id AND jid = ?3),
        CASE a.archiving
            WHEN 2 THEN 0
            WHEN 3 THEN a.jid = ?3 OR ?4 OR EXISTS (SELECT 1 FROM roster_item r
                WHERE r.account = a.id AND r.jid = ?3 AND r.listed)
            ELSE 1
        END)
    FROM account a WHERE a.id = ?1";

/// Looks up what the accounts of a batch want: a statement for each line of those that have
/// said so, and none for the others.
pub(super) async fn load_unwanted(
    writer: &mut Writer,
    batch: &[LogAppend],
    heads: &HashMap<LogOf, Head>,
) -> Result<Unwanted> {
    let mut unwanted = Unwanted::default();
    for line in wanted_preferences(batch, heads) {
        let (log, target, is_colleague) = line;
        let is_wanted: Option<bool> = sqlx::query_scalar(WANTED)
            .bind(log)
            .bind(target.as_str().to_owned())
            .bind(target.bare_str().to_owned())
            .bind(is_colleague)
            .fetch_optional(writer.connection().await?)
            .await?;
        if is_wanted == Some(false) {
            unwanted.add(line);
        }
    }
    Ok(unwanted)
}
