//! How the store fails.

use thiserror::Error;

/// What the store answers, or how it failed.
pub type Result<T> = std::result::Result<T, StoreError>;

/// How the store failed; one variant for each thing a caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Nothing was written; trying later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A commit failed in a way that does not tell whether it happened. Whoever appended with
    /// a dedup key learns it by appending again (D5).
    #[error("the fate of a commit is unknown: {0}")]
    Uncertain(String),
    /// Somebody else has changed it since it was read, or it is there already; nothing was written.
    #[error("changed by somebody else")]
    Conflict,
    /// The database says what cannot be; trying again will not help.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// There is no such account.
    #[error("no such account")]
    NoSuchAccount,
    /// There is no such room.
    #[error("no such room")]
    NoSuchRoom,
    /// An id of a query is not in the archive (XEP-0313 §4.1.5, XEP-0059 §2.2).
    #[error("no such item")]
    NoSuchItem,
}

/// SQLite's primary result codes that mean something to us.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const NOTADB: i32 = 26;
}

impl StoreError {
    /// The error of a commit. In WAL mode a transaction counts once its last frame is written
    /// whole, so what fails for want of space or permission has certainly not happened; any
    /// other error, such as that of a sync, leaves it open.
    pub(crate) fn of_commit(error: &sqlx::Error) -> Self {
        match primary_code(error) {
            Some(code::FULL | code::READONLY | code::BUSY) => Self::Unavailable(explain(error)),
            _ => Self::Uncertain(explain(error)),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    /// The error of a statement before the commit.
    fn from(error: sqlx::Error) -> Self {
        let undecodable = matches!(
            error,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound
        );
        match primary_code(&error) {
            Some(code::CORRUPT | code::NOTADB) => Self::Corrupt(explain(&error)),
            _ if undecodable => Self::Corrupt(explain(&error)),
            _ => Self::Unavailable(explain(&error)),
        }
    }
}

/// The primary code: the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn explain(error: &sqlx::Error) -> String {
    match primary_code(error) {
        Some(code::FULL) => "the disk is full".to_owned(),
        Some(code::READONLY) => "the database is read-only".to_owned(),
        Some(code::BUSY) => "another process holds the database".to_owned(),
        _ => error.to_string(),
    }
}
