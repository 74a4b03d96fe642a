//! Invitations in SQLite.

use klatsch_protocol::features::invitation::{Invitation, Invite, TokenHash};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::writer::Writer;
use super::{Sqlite, accounts};
use crate::accounts::Credentials;
use crate::error::{Result, StoreError};
use crate::invitations::Invitations;
use crate::rows::invitations::{Row, invitation};

const SELECT: &str = "SELECT i.domain, a.jid, i.reserved, i.is_contact, i.created, i.expiry
    FROM invitation i LEFT JOIN account a ON a.id = i.inviter WHERE hash = ?";

impl Invitations for Sqlite {
    async fn add_invitation(&self, invite: &Invite) -> Result<bool> {
        let (invitation, max) = (invite.invitation.clone(), invite.max);
        let hash = invite.hash();
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                add(connection, &invitation, hash, max).await
            })
        })
        .await
    }

    async fn invitation(&self, hash: TokenHash, now: Timestamp) -> Result<Option<Invitation>> {
        let row: Option<Row> = sqlx::query_as(SELECT)
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        let found = row.map(invitation).transpose()?;
        Ok(found.filter(|found| found.expiry > now))
    }

    async fn register_account(
        &self,
        account: &BareJid,
        credentials: &Credentials,
        invitation: Option<TokenHash>,
        now: Timestamp,
    ) -> Result<Option<Invitation>> {
        let (account, credentials) = (account.clone(), credentials.clone());
        self.write(move |writer| {
            Box::pin(async move { register(writer, &account, &credentials, invitation, now).await })
        })
        .await
    }

    async fn use_invitation(
        &self,
        inviter: &BareJid,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<bool> {
        // Most of what comes is no token of ours: that costs no commit.
        let found = self.invitation(hash, now).await?;
        let is_own = |it: &Invitation| it.is_contact && it.inviter.as_ref() == Some(inviter);
        if !found.as_ref().is_some_and(is_own) {
            return Ok(false);
        }
        self.write(move |writer| {
            Box::pin(async move {
                let connection = writer.connection().await?;
                remove(connection, hash).await
            })
        })
        .await
    }
}

async fn add(
    connection: &mut SqliteConnection,
    invitation: &Invitation,
    hash: TokenHash,
    max: u32,
) -> Result<bool> {
    sqlx::query("DELETE FROM invitation WHERE expiry <= ?")
        .bind(invitation.created.0)
        .execute(&mut *connection)
        .await?;
    let inviter = match &invitation.inviter {
        Some(inviter) => Some(accounts::number(connection, inviter).await?),
        None => None,
    };
    if let Some(inviter) = inviter {
        let waiting: u32 = sqlx::query_scalar("SELECT count(*) FROM invitation WHERE inviter = ?")
            .bind(inviter)
            .fetch_one(&mut *connection)
            .await?;
        if waiting >= max {
            return Ok(false);
        }
    }
    if let Some(reserved) = &invitation.reserved
        && is_taken(connection, reserved, None, invitation.created).await?
    {
        return Err(StoreError::Conflict);
    }
    sqlx::query("INSERT INTO invitation VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(hash.as_slice())
        .bind(invitation.domain.as_str())
        .bind(inviter)
        .bind(invitation.reserved.as_ref().map(BareJid::as_str))
        .bind(invitation.is_contact)
        .bind(invitation.created.0)
        .bind(invitation.expiry.0)
        .execute(connection)
        .await?;
    Ok(true)
}

async fn register(
    writer: &mut Writer,
    account: &BareJid,
    credentials: &Credentials,
    hash: Option<TokenHash>,
    now: Timestamp,
) -> Result<Option<Invitation>> {
    let connection = writer.connection().await?;
    let used = match hash {
        Some(hash) => Some(use_for(connection, account, hash).await?),
        None => None,
    };
    if is_taken(connection, account, hash, now).await? {
        return Err(StoreError::Conflict);
    }
    accounts::create(writer, account, credentials, false, now).await?;
    Ok(used)
}

/// What fails behind it takes it back: the transaction is one.
async fn use_for(
    connection: &mut SqliteConnection,
    account: &BareJid,
    hash: TokenHash,
) -> Result<Invitation> {
    let row: Option<Row> = sqlx::query_as(SELECT)
        .bind(hash.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let found = row.map(invitation).transpose()?;
    let found = found
        .filter(|it| it.is_for(account))
        .ok_or(StoreError::NoSuchItem)?;
    remove(connection, hash).await?;
    Ok(found)
}

async fn remove(connection: &mut SqliteConnection, hash: TokenHash) -> Result<bool> {
    let done = sqlx::query("DELETE FROM invitation WHERE hash = ?")
        .bind(hash.as_slice())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Somebody has the name, had it, or is to have it.
async fn is_taken(
    connection: &mut SqliteConnection,
    account: &BareJid,
    but: Option<TokenHash>,
    now: Timestamp,
) -> Result<bool> {
    let taken = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM account WHERE jid = ?1)
         OR EXISTS (SELECT 1 FROM invitation
             WHERE reserved = ?1 AND expiry > ?2 AND hash IS NOT ?3)",
    )
    .bind(account.as_str())
    .bind(now.0)
    .bind(but.map(|hash| hash.to_vec()))
    .fetch_one(connection)
    .await?;
    Ok(taken)
}

/// Takes an account's invitations back, within its removal.
pub(super) async fn forget(connection: &mut SqliteConnection, inviter: i64) -> Result<()> {
    sqlx::query("DELETE FROM invitation WHERE inviter = ?")
        .bind(inviter)
        .execute(connection)
        .await?;
    Ok(())
}
