//! The store in PostgreSQL, which several nodes use at once.
//!
//! Nothing is remembered here that another node can change: what decides is read in the
//! transaction that writes, behind a lock. Locks are taken in one order everywhere, or two
//! changes would wait for each other: names, then logs, then accounts, then nodes and rooms,
//! several of one kind in the order of their numbers, and only then what belongs to them.
//!
//! `synchronous_commit` is on: a commit that is answered is on the disk (D1). Everything has
//! a time: a database that is slow or gone is an error within seconds (D5), and as soon as it
//! answers again it is used again.

mod accounts;
mod append;
mod blocklist;
mod claims;
mod colleagues;
mod invitations;
mod kept;
mod lives;
mod log;
mod moving;
mod names;
mod nodes;
mod open;
mod preferences;
mod purge;
mod push;
mod query;
mod renaming;
mod rooms;
mod roster;
mod search;
mod snapshot;
mod spent;
mod text;
mod tokens;
mod transaction;
mod upkeep;
mod uploads;
mod waiting;
mod web_push;

use std::pin::Pin;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::{Result, StoreError};
use crate::rows::{bare, jid, signed, unsigned};
use search::Index;

/// Whoever asks waits no longer than this, also where nothing comes back at all: no more than a
/// change takes in `transaction.rs`, and than those who wait for the store have patience (D5).
const PATIENCE: Duration = Duration::from_secs(10);

/// A change that has not ended by then is not heard of any more: later than all ends it has itself,
/// and before whoever asks takes the database for silent, for it may be committed.
const CHANGE: Duration = Duration::from_millis(9_500);

/// Waits for an answer; upkeep may take as long as it does.
pub(crate) async fn patiently<T>(
    subject: &str,
    doing: impl Future<Output = Result<T>>,
) -> Result<T> {
    if subject == "Upkeep" {
        return doing.await;
    }
    let silence = |_| StoreError::Unavailable("the database does not answer".to_owned());
    timeout(PATIENCE, doing).await.map_err(silence)?
}

/// The PostgreSQL backend.
pub(crate) struct Postgres {
    pool: PgPool,
    index: Index,
}

/// What a change does inside its transaction.
type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Postgres {
    /// Runs a change in a transaction and commits it, whether or not the caller waits for it.
    /// Isolation is READ COMMITTED: each statement sees what others have committed, so what is
    /// decided on has to be locked. The change is made again, from a copy, when the database
    /// has ended the transaction for the sake of another; it must hand on every error of a
    /// statement, for the transaction is over then.
    async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut PgConnection) -> Doing<'a, T> + Clone + Send + 'static,
    {
        let pool = self.pool.clone();
        outcome_of(tokio::spawn(async move {
            transaction::run(&pool, change).await
        }))
        .await
    }
}

/// What became of a change. A node that stood still (SIGSTOP) wakes up with all its patience over,
/// before it reads that the database has committed meanwhile.
async fn outcome_of<T>(change: JoinHandle<Result<T>>) -> Result<T> {
    match timeout(CHANGE, change).await {
        Ok(Ok(outcome)) => outcome,
        // It has panicked or the runtime is going down: its transaction may or may not have been
        // committed.
        Ok(Err(error)) => Err(StoreError::Uncertain(error.to_string())),
        Err(_) => Err(StoreError::Uncertain("a change does not end".to_owned())),
    }
}

#[cfg(test)]
mod tests;
