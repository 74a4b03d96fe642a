//! The store in a SQLite file.
//!
//! One connection writes; it is owned by a lock, and every change runs in a task of its own,
//! so that a caller who goes away leaves no half transaction. Readers have a small pool.
//! Write-ahead log with `synchronous=FULL`: a commit that returns is on the disk (D1).

mod accounts;
mod append;
mod blocklist;
mod claims;
mod colleagues;
#[cfg(test)]
mod faults;
mod invitations;
mod kept;
mod lives;
mod log;
mod merge;
mod moving;
mod nodes;
mod open;
mod preferences;
mod purge;
mod push;
mod query;
mod recent;
mod renaming;
mod rooms;
mod roster;
mod search;
mod snapshot;
mod spent;
mod statements;
mod tokens;
mod uploads;
mod waiting;
mod web_push;
mod writer;

use std::pin::Pin;
use std::sync::Arc;

use klatsch_protocol::time::Timestamp;
use sqlx::SqlitePool;
use tokio::sync::Mutex;

use crate::error::{Result, StoreError};
use crate::plan::LogOf;
use crate::rows::{bare, jid, signed, unsigned};
use crate::store::Upkeep;
use recent::Tails;
use search::Index;
use writer::Writer;

/// The SQLite backend.
pub(crate) struct Sqlite {
    writer: Arc<Mutex<Writer>>,
    readers: SqlitePool,
    tails: Tails,
    index: Arc<Index>,
}

/// What a change does inside its transaction.
type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Sqlite {
    /// Runs a change in a transaction and commits it, whether or not the caller waits for it.
    async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Writer) -> Doing<'a, T> + Send + 'static,
    {
        let writer = Arc::clone(&self.writer);
        let task = tokio::spawn(async move { writer.lock_owned().await.transaction(change).await });
        // A task that ends otherwise has panicked or the runtime is going down: its
        // transaction may or may not have been committed.
        task.await
            .unwrap_or_else(|error| Err(StoreError::Uncertain(error.to_string())))
    }

    /// The number of an account or room and its log.
    async fn number(&self, of: &LogOf) -> Result<i64> {
        sqlx::query_scalar(of.find_number())
            .bind(of.jid().as_str())
            .fetch_optional(&self.readers)
            .await?
            .ok_or_else(|| of.no_such())
    }

    /// The number of a log, with everything in it that has been committed.
    async fn settled(&self, of: &LogOf) -> Result<i64> {
        let log = self.number(of).await?;
        self.settle(of, log).await?;
        Ok(log)
    }
}

impl Upkeep for Sqlite {
    async fn health(&self) -> Result<()> {
        let _: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM account LIMIT 1)")
            .fetch_one(&self.readers)
            .await?;
        Ok(())
    }

    async fn checkpoint(&self) -> Result<()> {
        self.write(|writer| Box::pin(merge::merge_all(writer)))
            .await?;
        self.writer.lock().await.checkpoint().await
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool> {
        let accounts = self.write(|writer| Box::pin(purge::sweep(writer))).await?;
        let nodes = self.write(|writer| Box::pin(nodes::sweep(writer))).await?;
        let items = self
            .write(move |writer| Box::pin(nodes::sweep_items(writer, now)))
            .await?;
        let photos = self
            .write(move |writer| Box::pin(colleagues::sweep(writer, now)))
            .await?;
        Ok(accounts || nodes || items || photos)
    }

    async fn purge_hidden(&self, before: Timestamp) -> Result<u64> {
        self.purge_all_hidden(before).await
    }

    async fn purge_old(
        &self,
        accounts: Option<Timestamp>,
        rooms: Option<Timestamp>,
    ) -> Result<u64> {
        self.purge_all_old(accounts, rooms).await
    }

    async fn index_words(&self, max: u64) -> Result<u64> {
        self.fill_some(max).await
    }

    async fn integrity_check(&self) -> Result<()> {
        let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(10)")
            .fetch_all(&self.readers)
            .await?;
        if found == ["ok"] {
            Ok(())
        } else {
            Err(StoreError::Corrupt(found.join("; ")))
        }
    }
}
