//! How the store fails.

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
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
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOTADB: i32 = 26;
}

/// PostgreSQL's codes (its manual, appendix A) that mean something to us.
mod state {
    pub(super) const SERIALIZATION_FAILURE: &str = "40001";
    pub(super) const DEADLOCK_DETECTED: &str = "40P01";
    pub(super) const DISK_FULL: &str = "53100";
    pub(super) const QUERY_CANCELED: &str = "57014";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(super) const UNIQUE_VIOLATION: &str = "23505";
    /// The classes of errors that the data itself causes.
    pub(super) const CORRUPT: &str = "XX001";
    pub(super) const INDEX_CORRUPT: &str = "XX002";
    /// The class of a transaction that the database has rolled back, of broken constraints,
    /// and of a transaction that has failed already: the commit has certainly not happened.
    pub(super) const ROLLED_BACK: [&str; 3] = ["40", "23", "25"];
}

/// How a transaction ends that stood in the way of another.
const CONTENDED: &str = "others keep changing the same";

impl StoreError {
    /// The error of a commit. In SQLite's WAL mode a transaction counts once its last frame is
    /// written whole, so what fails for want of space or permission has certainly not happened;
    /// PostgreSQL says when it has rolled back. Any other error, such as that of a sync or of
    /// a connection, leaves it open.
    pub(crate) fn of_commit(error: &sqlx::Error) -> Self {
        if let Some(state) = sql_state(error) {
            let is_certain = state
                .get(..2)
                .is_some_and(|class| state::ROLLED_BACK.contains(&class));
            return match is_certain {
                true => Self::Unavailable(explain(error)),
                false => Self::Uncertain(explain(error)),
            };
        }
        match primary_code(error) {
            Some(code::FULL | code::READONLY | code::BUSY) => Self::Unavailable(explain(error)),
            _ => Self::Uncertain(explain(error)),
        }
    }

    /// The database has ended the transaction for the sake of another; the same once more may
    /// well succeed.
    pub(crate) fn is_contended(&self) -> bool {
        matches!(self, Self::Unavailable(text) if text == CONTENDED)
    }
}

impl From<sqlx::Error> for StoreError {
    /// The error of a statement before the commit.
    fn from(error: sqlx::Error) -> Self {
        let undecodable = matches!(
            error,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound
        );
        match (primary_code(&error), sql_state(&error)) {
            (Some(code::CORRUPT | code::NOTADB), _)
            | (_, Some(state::CORRUPT | state::INDEX_CORRUPT)) => Self::Corrupt(explain(&error)),
            (_, Some(state::UNIQUE_VIOLATION)) => Self::Conflict,
            (Some(code::CONSTRAINT), _) if is_unique_violation(&error) => Self::Conflict,
            _ if undecodable => Self::Corrupt(explain(&error)),
            _ => Self::Unavailable(explain(&error)),
        }
    }
}

/// Whether a key is there already.
fn is_unique_violation(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// SQLite's primary code: the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?;
    error.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// PostgreSQL's code.
fn sql_state(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    Some(error.try_downcast_ref::<PgDatabaseError>()?.code())
}

fn explain(error: &sqlx::Error) -> String {
    match (primary_code(error), sql_state(error)) {
        (Some(code::FULL), _) | (_, Some(state::DISK_FULL)) => "the disk is full".to_owned(),
        (Some(code::READONLY), _) => "the database is read-only".to_owned(),
        (Some(code::BUSY), _) => "another process holds the database".to_owned(),
        (_, Some(state::SERIALIZATION_FAILURE | state::DEADLOCK_DETECTED)) => CONTENDED.to_owned(),
        (_, Some(state::QUERY_CANCELED | state::LOCK_NOT_AVAILABLE)) => {
            "the database is too slow".to_owned()
        }
        _ => error.to_string(),
    }
}
