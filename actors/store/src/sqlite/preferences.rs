//! Preferences of archives in SQLite.

use std::collections::HashSet;

use klatsch_protocol::features::archive_preferences::{Otherwise, Preferences};
use klatsch_protocol::jid::{BareJid, Jid};

use super::log::LogOf;
use super::writer::{Head, Writer};
use super::{Sqlite, accounts, jid};
use crate::error::{Result, StoreError};
use crate::log::LogAppend;
use crate::preferences::ArchivePreferences;

/// Everything, without exception: nothing to look up.
pub(super) const EVERYTHING: i64 = 0;
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

/// Which lines of a batch their accounts do not want to find: by log and the other side.
#[derive(Default)]
pub(super) struct Unwanted(HashSet<(i64, Jid)>);

impl Unwanted {
    /// The flags of a line.
    pub(super) fn flags(&self, head: Option<&Head>, target: &Jid) -> u8 {
        let is_unwanted = head
            .is_some_and(|head| !self.0.is_empty() && self.0.contains(&(head.log, target.clone())));
        if is_unwanted { crate::log::HIDDEN } else { 0 }
    }
}

/// §2.3: the exact address, then the account, then what holds otherwise. What an account writes
/// to itself needs no contact.
const WANTED: &str = "
    SELECT coalesce(
        (SELECT archived FROM archive_exception WHERE account = a.id AND jid = ?2),
        (SELECT archived FROM archive_exception WHERE account = a.id AND jid = ?3),
        CASE a.archiving
            WHEN 2 THEN 0
            WHEN 3 THEN a.jid = ?3 OR EXISTS (SELECT 1 FROM roster_item r
                WHERE r.account = a.id AND r.jid = ?3 AND r.listed)
            ELSE 1
        END)
    FROM account a WHERE a.id = ?1";

/// Looks up what the accounts of a batch want: a statement for each line of those that have
/// said so, and none for the others.
pub(super) async fn load_unwanted(
    writer: &mut Writer,
    batch: &[LogAppend],
    heads: &std::collections::HashMap<LogOf, Head>,
) -> Result<Unwanted> {
    let mut lines: Vec<(i64, &Jid)> = Vec::new();
    for append in batch {
        let sides = match append {
            LogAppend::Account(append) => [
                Some((append.sender.bare(), &append.with)),
                append.recipient.clone().map(|it| (it, &append.sender)),
            ],
            LogAppend::Arrival(arrival) => [
                Some((arrival.recipient.clone(), &arrival.from)),
                arrival
                    .sent
                    .as_ref()
                    .map(|sent| (arrival.sender.bare(), &sent.with)),
            ],
            // Rooms keep what their configuration says, and what is restored was kept before.
            LogAppend::Room(_) | LogAppend::Restore(_) => continue,
        };
        for (account, target) in sides.into_iter().flatten() {
            let head = heads.get(&LogOf::Account(account));
            if let Some(head) = head.filter(|head| head.archiving != EVERYTHING) {
                lines.push((head.log, target));
            }
        }
    }
    let mut unwanted = Unwanted::default();
    lines.sort_unstable();
    lines.dedup();
    for (log, target) in lines {
        let is_wanted: Option<bool> = sqlx::query_scalar(WANTED)
            .bind(log)
            .bind(target.as_str().to_owned())
            .bind(target.bare_str().to_owned())
            .fetch_optional(writer.connection().await?)
            .await?;
        if is_wanted == Some(false) {
            unwanted.0.insert((log, target.clone()));
        }
    }
    Ok(unwanted)
}
