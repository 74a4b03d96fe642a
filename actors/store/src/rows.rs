//! Rows as both databases have them: how what they hold is read and written as numbers, texts
//! and bytes. The statements are each database's own.

pub(crate) mod claims;
pub(crate) mod invitations;
pub(crate) mod lives;
pub(crate) mod nodes;
pub(crate) mod push;
pub(crate) mod rooms;
pub(crate) mod snapshot;
pub(crate) mod uploads;
pub(crate) mod waiting;
pub(crate) mod web_push;

use klatsch_protocol::jid::{BareJid, Jid};

use crate::error::{Result, StoreError};

/// Follows each group's name. XML 1.0 §2.2 has no such character, so no client can send it.
pub(crate) const UNIT_SEPARATOR: char = '\u{1f}';

/// An account's address as it stands in the database.
pub(crate) fn bare(text: &str) -> Result<BareJid> {
    BareJid::parse(text).map_err(|error| StoreError::Corrupt(format!("address {text:?}: {error}")))
}

/// Any address as it stands in the database.
pub(crate) fn jid(text: &str) -> Result<Jid> {
    Jid::parse(text).map_err(|error| StoreError::Corrupt(format!("address {text:?}: {error}")))
}

/// Numbers of ours are below 2^63; databases know signed ones only.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from the database that cannot be negative.
pub(crate) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("negative number {number}")))
}
