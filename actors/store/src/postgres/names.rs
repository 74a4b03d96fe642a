//! Names that are being taken: who holds one is alone with it until the commit.
//!
//! A row can be locked, the want of one cannot. Whoever makes an account or a room looks for
//! earlier lives of its name, for others of that name, and for invitations that keep it for
//! somebody; for that time the name itself is locked.
//! It is the first in the order of locks.

use klatsch_protocol::jid::BareJid;
use sqlx::PgConnection;

use crate::error::Result;

/// Of what it is the name. An account and a room may have one address.
#[derive(Debug, Clone, Copy)]
pub(super) enum NameOf {
    Account = 1,
    Room = 2,
}

/// Holds a name until the transaction ends. Two names may share a lock: then one waits for
/// the other without need.
pub(super) async fn hold(connection: &mut PgConnection, of: NameOf, name: &BareJid) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))")
        .bind(name.as_str())
        .bind(of as i64)
        .execute(connection)
        .await?;
    Ok(())
}
