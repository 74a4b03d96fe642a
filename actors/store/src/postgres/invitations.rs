//! Invitations in PostgreSQL.

use klatsch_protocol::features::invitation::{Invitation, Invite, TokenHash};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::names::{self, NameOf};
use super::{Postgres, accounts, unsigned};
use crate::accounts::Credentials;
use crate::error::{Result, StoreError};
use crate::invitations::Invitations;
use crate::rows::invitations::{Row, invitation};

const SELECT: &str = "SELECT i.domain, a.jid, i.reserved, i.is_contact, i.created, i.expiry
    FROM invitation i LEFT JOIN account a ON a.id = i.inviter WHERE i.hash = $1";

/// Takes an invitation out. Of several who do so at once one gets it: the others wait for
/// that one's commit, and then find none.
const USE: &str = "WITH used AS (DELETE FROM invitation WHERE hash = $1 RETURNING *)
    SELECT i.domain, a.jid, i.reserved, i.is_contact, i.created, i.expiry
    FROM used i LEFT JOIN account a ON a.id = i.inviter";

impl Invitations for Postgres {
    async fn add_invitation(&self, invite: &Invite) -> Result<bool> {
        let (invitation, max) = (invite.invitation.clone(), invite.max);
        let hash = invite.hash();
        self.write(move |connection| {
            Box::pin(async move { add(connection, &invitation, hash, max).await })
        })
        .await
    }

    async fn invitation(&self, hash: TokenHash, now: Timestamp) -> Result<Option<Invitation>> {
        let row: Option<Row> = sqlx::query_as(SELECT)
            .bind(hash.as_slice())
            .fetch_optional(&self.pool)
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
        self.write(move |connection| {
            Box::pin(
                async move { register(connection, &account, &credentials, invitation, now).await },
            )
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
        self.write(move |connection| {
            Box::pin(async move { Ok(take(connection, hash).await?.is_some()) })
        })
        .await
    }
}

async fn add(
    connection: &mut PgConnection,
    invitation: &Invitation,
    hash: TokenHash,
    max: u32,
) -> Result<bool> {
    if let Some(reserved) = &invitation.reserved {
        names::hold(connection, NameOf::Account, reserved).await?;
    }
    let inviter = match &invitation.inviter {
        Some(inviter) => Some(accounts::lock(connection, inviter).await?),
        None => None,
    };
    forget_old(connection, invitation.created).await?;
    if let Some(inviter) = inviter {
        // Those that another node is forgetting right now do not count.
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM invitation WHERE inviter = $1 AND expiry > $2",
        )
        .bind(inviter)
        .bind(invitation.created.0)
        .fetch_one(&mut *connection)
        .await?;
        if unsigned(waiting)? >= u64::from(max) {
            return Ok(false);
        }
    }
    if let Some(reserved) = &invitation.reserved
        && is_taken(connection, reserved, None, invitation.created).await?
    {
        return Err(StoreError::Conflict);
    }
    sqlx::query("INSERT INTO invitation VALUES ($1, $2, $3, $4, $5, $6, $7)")
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

async fn forget_old(connection: &mut PgConnection, now: Timestamp) -> Result<()> {
    sqlx::query(
        "DELETE FROM invitation WHERE hash IN
            (SELECT hash FROM invitation WHERE expiry <= $1 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn register(
    connection: &mut PgConnection,
    account: &BareJid,
    credentials: &Credentials,
    hash: Option<TokenHash>,
    now: Timestamp,
) -> Result<Option<Invitation>> {
    names::hold(connection, NameOf::Account, account).await?;
    let used = match hash {
        Some(hash) => Some(use_for(connection, account, hash).await?),
        None => None,
    };
    if is_taken(connection, account, hash, now).await? {
        return Err(StoreError::Conflict);
    }
    accounts::create(connection, account, credentials, false, now).await?;
    Ok(used)
}

/// What fails behind it takes it back: the transaction is one.
async fn use_for(
    connection: &mut PgConnection,
    account: &BareJid,
    hash: TokenHash,
) -> Result<Invitation> {
    take(connection, hash)
        .await?
        .filter(|it| it.is_for(account))
        .ok_or(StoreError::NoSuchItem)
}

async fn take(connection: &mut PgConnection, hash: TokenHash) -> Result<Option<Invitation>> {
    let row: Option<Row> = sqlx::query_as(USE)
        .bind(hash.as_slice())
        .fetch_optional(connection)
        .await?;
    row.map(invitation).transpose()
}

/// Somebody has the name, had it, or is to have it. Nobody takes it meanwhile: it is held.
async fn is_taken(
    connection: &mut PgConnection,
    account: &BareJid,
    but: Option<TokenHash>,
    now: Timestamp,
) -> Result<bool> {
    let taken = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM account WHERE jid = $1)
         OR EXISTS (SELECT 1 FROM invitation
             WHERE reserved = $1 AND expiry > $2 AND hash IS DISTINCT FROM $3)",
    )
    .bind(account.as_str())
    .bind(now.0)
    .bind(but.map(|hash| hash.to_vec()))
    .fetch_one(connection)
    .await?;
    Ok(taken)
}

/// Takes an account's invitations back, within its removal.
pub(super) async fn forget(connection: &mut PgConnection, inviter: i64) -> Result<()> {
    sqlx::query("DELETE FROM invitation WHERE inviter = $1")
        .bind(inviter)
        .execute(connection)
        .await?;
    Ok(())
}
