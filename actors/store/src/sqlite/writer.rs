//! The one connection that writes, its transactions, and what it keeps in memory.
//!
//! Heads of logs and numbers of conversations are remembered, so that an append reads
//! nothing. A transaction works on copies; they are remembered once it is committed. After
//! any failure, and when another process has written, everything is forgotten and read again.

use std::collections::HashMap;

use klatsch_protocol::jid::BareJid;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tracing::{error, warn};

use super::Doing;
use super::recent::{self, Message, Recent, Tails};
use super::search::Behind;
use crate::cache::Cache;
use crate::error::{Result, StoreError};
use crate::plan::{Head, LogOf};

/// Logs whose heads are remembered, per generation: about 150 bytes each.
const HEADS_MAX: usize = 16_384;

/// Conversations whose numbers are remembered, per generation.
const CONVERSATIONS_MAX: usize = 32_768;

/// The other side of entries, in one log.
pub(super) type ConversationKey = (i64, BareJid);

/// What a transaction wants remembered once it is committed.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) heads: Vec<(LogOf, Head)>,
    pub(super) conversations: Vec<(ConversationKey, i64)>,
    pub(super) last_conversation: Option<i64>,
    /// Messages that have been appended.
    pub(super) recent: Vec<Message>,
    /// Logs of which nothing is recent any more.
    pub(super) merged: Vec<i64>,
    /// Logs some of whose entries have been deleted.
    pub(super) purged: Vec<i64>,
}

/// The connection that writes.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// A transaction is open: seen at the beginning of another, its task has panicked.
    open: bool,
    /// Changes when another connection has written.
    data_version: Option<i64>,
    pub(super) heads: Cache<LogOf, Head>,
    pub(super) conversations: Cache<ConversationKey, i64>,
    /// The largest number of a conversation.
    pub(super) last_conversation: Option<i64>,
    /// What is not yet where it is found.
    pub(super) recent: Recent,
    /// Which logs the index of words is to look at.
    behind: Behind,
    pub(super) pending: Pending,
}

impl Writer {
    /// A writer that connects when it is needed.
    pub(super) fn new(options: SqliteConnectOptions, tails: Tails, behind: Behind) -> Self {
        Self {
            options,
            connection: None,
            open: false,
            data_version: None,
            heads: Cache::new(HEADS_MAX),
            conversations: Cache::new(CONVERSATIONS_MAX),
            last_conversation: None,
            recent: Recent::new(tails),
            behind,
            pending: Pending::default(),
        }
    }

    /// The connection, made anew after a failure.
    pub(super) async fn connection(&mut self) -> Result<&mut SqliteConnection> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        self.connection
            .as_mut()
            .ok_or_else(|| StoreError::Unavailable("no connection".to_owned()))
    }

    /// Runs a change between BEGIN and COMMIT; when it fails, nothing of it stays.
    pub(super) async fn transaction<T, F>(&mut self, change: F) -> Result<T>
    where
        F: for<'a> FnOnce(&'a mut Self) -> Doing<'a, T>,
    {
        let begun = self.begin().await;
        if let Err(error) = begun {
            self.reconnect().await;
            return Err(error);
        }
        match change(self).await {
            Ok(answer) => self.commit().await.map(|()| answer),
            Err(error) => {
                self.roll_back(&error).await;
                Err(error)
            }
        }
    }

    async fn begin(&mut self) -> Result<()> {
        if self.open {
            self.reconnect().await;
        }
        self.pending = Pending::default();
        // One statement of two parts is one way to the connection's thread and back.
        let version: i64 = sqlx::query_scalar("BEGIN IMMEDIATE; PRAGMA data_version")
            .fetch_one(self.connection().await?)
            .await?;
        self.open = true;
        if self.data_version != Some(version) {
            self.forget();
            self.data_version = Some(version);
        }
        recent::load(self).await
    }

    async fn commit(&mut self) -> Result<()> {
        let committed = sqlx::query("COMMIT")
            .execute(self.connection().await?)
            .await;
        if let Err(failure) = committed {
            let error = StoreError::of_commit(&failure);
            error!(%error, "commit failed");
            self.reconnect().await;
            return Err(error);
        }
        self.open = false;
        let pending = std::mem::take(&mut self.pending);
        // First what is no longer recent: the same logs may have got something new.
        self.recent.merged(&pending.merged);
        self.behind.add(pending.merged);
        self.behind.add(pending.purged);
        if !pending.recent.is_empty() {
            let heads = pending.heads.iter();
            let whose: HashMap<i64, &LogOf> = heads.map(|(of, head)| (head.log, of)).collect();
            for message in pending.recent {
                self.recent
                    .add(message, |log| whose.get(&log).map(|of| (*of).clone()));
            }
        }
        pending
            .heads
            .into_iter()
            .for_each(|(of, head)| self.heads.insert(of, head));
        for (key, number) in pending.conversations {
            self.conversations.insert(key, number);
        }
        self.last_conversation = pending.last_conversation.or(self.last_conversation);
        Ok(())
    }

    /// A refusal leaves the connection as it is; a failure is no ground to trust it further.
    async fn roll_back(&mut self, error: &StoreError) {
        let refused = matches!(
            error,
            StoreError::Conflict
                | StoreError::NoSuchAccount
                | StoreError::NoSuchRoom
                | StoreError::NoSuchItem
        );
        if !refused {
            warn!(%error, "transaction rolled back");
            return self.reconnect().await;
        }
        let Ok(connection) = self.connection().await else {
            return;
        };
        match sqlx::query("ROLLBACK").execute(connection).await {
            Ok(_) => self.open = false,
            Err(_) => self.reconnect().await,
        }
    }

    /// Drops the connection, which rolls back, and everything remembered.
    async fn reconnect(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // SQLite has rolled back by itself after some errors; then this one fails.
            let _ = connection.execute("ROLLBACK").await;
            if let Err(error) = connection.close().await {
                warn!(%error, "connection not closed");
            }
        }
        self.open = false;
        self.forget();
    }

    fn forget(&mut self) {
        self.heads.clear();
        self.conversations.clear();
        self.last_conversation = None;
        self.data_version = None;
        self.recent.forget();
    }

    /// Forgets the numbers of conversations, some of which are being deleted.
    pub(super) fn forget_conversations(&mut self) {
        self.conversations.clear();
        self.last_conversation = None;
    }

    /// Moves the write-ahead log into the database.
    pub(super) async fn checkpoint(&mut self) -> Result<()> {
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(self.connection().await?)
            .await?;
        match busy {
            0 => Ok(()),
            _ => Err(StoreError::Unavailable("somebody is reading".to_owned())),
        }
    }
}
