//! Opening a database: its file, its settings, its migrations.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

use super::Sqlite;
use super::recent::Tails;
use super::search::{Behind, Index};
use super::writer::Writer;
use crate::error::{Result, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Another process (an administrator's command) holds the database briefly at most.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A checkpoint after this many pages (32 MiB): a page that changes with every batch is then
/// written to the database once for many commits. SQLite's 1000 would do it every few batches.
const CHECKPOINT_PAGES: &str = "8192";

/// A reader goes so many rows ahead of who takes them: a page is read in one go, not by turns.
const ROWS_AHEAD: usize = 256;

/// What is left of the write-ahead log's file after a checkpoint, bytes.
const LOG_BYTES: &str = "67108864";

/// Pages the writer keeps at hand, KiB, taken as needed: what one large batch touches.
const WRITER_CACHE: &str = "-8192";

/// Pages a reader keeps at hand, KiB.
const READER_CACHE: &str = "-1024";

/// Reading is quick and the machine small: more connections would only hold more memory.
const READERS_MAX: u32 = 4;

/// A read waits this long for a connection.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection nobody needed for so long is closed.
const READER_IDLE: Duration = Duration::from_secs(60);

impl Sqlite {
    /// Opens a database file, made if it is not there, and brings it up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let tails = Tails::default();
        let behind = Behind::default();
        let mut writer = Writer::new(
            options
                .clone()
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
                .pragma("journal_size_limit", LOG_BYTES)
                .pragma("cache_size", WRITER_CACHE),
            tails.clone(),
            behind.clone(),
        );
        let connection = writer.connection().await?;
        MIGRATIONS.run(connection).await.map_err(explain)?;
        // Reads what is recent, so that those who only read know of it.
        writer.transaction(|_| Box::pin(async { Ok(()) })).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_TIMEOUT)
            .idle_timeout(READER_IDLE)
            .test_before_acquire(false)
            .connect_lazy_with(
                options
                    .row_buffer_size(ROWS_AHEAD)
                    .pragma("query_only", "ON")
                    .pragma("cache_size", READER_CACHE),
            );
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            readers,
            tails,
            index: Arc::new(Index::beside(path, behind)),
        })
    }
}

/// Makes the file so that nobody else on the host reads password keys and messages. SQLite
/// gives the files beside it the same mode.
pub(super) fn create_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Unavailable(format!(
            "{}: {error}",
            path.display()
        ))),
    }
}

fn explain(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::VersionMissing(version) => {
            StoreError::Corrupt(format!("made by a newer klatsch (migration {version})"))
        }
        other => StoreError::Corrupt(other.to_string()),
    }
}
