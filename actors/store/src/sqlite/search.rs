//! The index of words (XEP-0431): which entries have which, in a database of its own.
//!
//! It lies beside the messages' database and is made from it, so it may be lost or late: it is
//! filled at leisure and, for a log that is searched, before the answer. Commits of messages
//! neither write it nor wait for it. It names entries; whether one is shown, and has the words
//! still, is seen from the entry itself.
//!
//! The index keeps no text (FTS5, contentless, without positions). A term begins with its
//! log's number, so that a search, also for the beginning of a word, walks through that log's
//! terms alone; the other side of an entry is a term too. Row C08: terms are made of letters
//! and digits (`klatsch_protocol::features::fulltext::words`) and are quoted besides.

mod fill;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use klatsch_protocol::archive::{ArchiveQuery, Entry, Page, PageFrom};
use klatsch_protocol::features::fulltext::Search;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

use super::log::{EntryRow, entry, place_saturating};
use super::open::create_private;
use super::query::{Filter, empty};
use super::statements::{ENTRIES_AT, chunks};
use super::{Sqlite, unsigned};
use crate::error::{Result, StoreError};
use crate::log::{COUNT_MAX, PAGE_MAX, finish};

/// Changes with the rule of what a word is, or how it stands here: another version is made anew.
const VERSION: i64 = 1;

/// Searches at once: they are dear, and plain pages must not wait for them (row C08).
const SEARCHES_MAX: u32 = 2;

/// A search waits this long for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A search puts this many entries into the index itself, which takes less than a second;
/// more than that is left to the upkeep, and whoever searches is asked to wait.
const FILLED_BY_SEARCH_MAX: u64 = 10_000;

/// Logs with entries that may not be in the index yet.
#[derive(Clone, Default)]
pub(super) struct Behind(Arc<Lock<BTreeSet<i64>>>);

impl Behind {
    pub(super) fn add(&self, logs: impl IntoIterator<Item = i64>) {
        let mut behind = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        behind.extend(logs);
    }

    fn next(&self) -> Option<i64> {
        let mut behind = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        behind.pop_first()
    }
}

/// The index.
pub(super) struct Index {
    path: PathBuf,
    writer: Arc<Mutex<IndexWriter>>,
    readers: SqlitePool,
    behind: Behind,
}

/// The connection that fills the index.
struct IndexWriter {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    /// At the start every log is looked at once: up to this one; `None`: all have been.
    looked_at: Option<i64>,
}

impl Index {
    /// The index beside a database; nothing is opened before it is needed.
    pub(super) fn beside(database: &Path, behind: Behind) -> Self {
        let mut path = OsString::from(database);
        path.push("-search");
        let path = PathBuf::from(path);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What a power failure takes is put in again.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE);
        let readers = SqlitePoolOptions::new()
            .max_connections(SEARCHES_MAX)
            .acquire_timeout(PATIENCE)
            .idle_timeout(Duration::from_secs(60))
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        Self {
            path,
            writer: Arc::new(Mutex::new(IndexWriter {
                options,
                connection: None,
                looked_at: Some(0),
            })),
            readers,
            behind,
        }
    }
}

impl IndexWriter {
    async fn connection(&mut self, path: &Path) -> Result<&mut SqliteConnection> {
        if self.connection.is_none() {
            self.connection = Some(open(path, &self.options).await?);
        }
        self.connection
            .as_mut()
            .ok_or_else(|| StoreError::Unavailable("no connection".to_owned()))
    }
}

/// Opens the index; one of another version, or that is none, is made anew.
async fn open(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection> {
    if let Ok(connection) = open_existing(path, options).await {
        return Ok(connection);
    }
    for end in ["", "-wal", "-shm"] {
        let mut file = OsString::from(path);
        file.push(end);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Unavailable(format!(
                    "{}: {error}",
                    path.display()
                )));
            }
            _ => {}
        }
    }
    create_private(path)?;
    let mut connection = options.connect().await?;
    for statement in MAKE {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    Ok(connection)
}

async fn open_existing(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection> {
    if !path.exists() {
        return Err(StoreError::NoSuchItem);
    }
    let mut connection = options.connect().await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut connection)
        .await?;
    if version == VERSION {
        return Ok(connection);
    }
    connection.close().await?;
    Err(StoreError::NoSuchItem)
}

/// A progress row says of a log: entries from `first` on, up to and with `last`, which is
/// stamped so, have been looked at.
const MAKE: [&str; 3] = [
    "CREATE VIRTUAL TABLE words USING fts5 (
        terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')",
    "CREATE TABLE progress (
        log INTEGER PRIMARY KEY,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        stamp INTEGER NOT NULL
    ) STRICT",
    "PRAGMA user_version = 1",
];

/// A word of a log.
fn term(log: i64, word: &str) -> String {
    format!("{log:x}z{word}")
}

/// The other side of an entry; no log's number begins with a z.
fn term_with(conversation: i64) -> String {
    format!("zc{conversation:x}")
}

/// The other side's resource.
fn term_resource(conversation: i64, resource: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(resource.as_bytes());
    format!("zr{conversation:x}r{hash:x}")
}

/// The query in FTS5's language: quoted terms, all of which are wanted.
fn expression(log: i64, search: &Search, filter: &Filter) -> String {
    let quoted = |term: String| format!("\"{}\"", term.replace('"', "\"\""));
    let words = search.words.iter().map(|word| quoted(term(log, word)));
    let beginnings = search.beginnings.iter();
    let beginnings = beginnings.map(|it| format!("{}*", quoted(term(log, it))));
    let with = filter.conversation.map(|conversation| {
        let resource = filter.resource.as_deref();
        quoted(resource.map_or_else(
            || term_with(conversation),
            |resource| term_resource(conversation, resource),
        ))
    });
    let terms: Vec<String> = words.chain(beginnings).chain(with).collect();
    terms.join(" AND ")
}

const FORWARD: &str = "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3
    ORDER BY rowid LIMIT ?4";
const BACKWARD: &str = "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3
    ORDER BY rowid DESC LIMIT ?4";
const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM words
    WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3 LIMIT ?4)";

impl Sqlite {
    /// A page of the entries that have the words.
    pub(super) async fn searched(
        &self,
        log: i64,
        filter: Filter,
        search: &Search,
        query: &ArchiveQuery,
    ) -> Result<Page> {
        if search.is_empty() {
            return Ok(empty());
        }
        self.fill_for_search(log).await?;
        let expression = expression(log, search, &filter);
        let max = query.max.min(PAGE_MAX) as usize;
        if max == 0 {
            self.forget_retracted().await?;
            let count = self.count_found(&expression, &filter).await?;
            return Ok(Page {
                entries: Vec::new(),
                complete: count == Some(0),
                count,
            });
        }
        let mut places = filter.places.clone();
        let place_of = |id: u64| place_saturating(log, id);
        match query.page {
            PageFrom::After(id) => places.start = places.start.max(place_of(id)?.saturating_add(1)),
            PageFrom::Before(id) => places.end = places.end.min(place_of(id)?),
            PageFrom::Start | PageFrom::End => {}
        }
        let backward = matches!(query.page, PageFrom::Before(_) | PageFrom::End);
        let mut entries: Vec<Entry> = Vec::with_capacity(max + 1);
        loop {
            let wanted = max + 1 - entries.len();
            let sql = if backward { BACKWARD } else { FORWARD };
            let found: Vec<i64> = sqlx::query_scalar(sql)
                .bind(&expression)
                .bind(places.start)
                .bind(places.end)
                .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
                .fetch_all(&self.index.readers)
                .await?;
            let Some(last) = found.last().copied() else {
                break;
            };
            match backward {
                true => places.end = last,
                false => places.start = last.saturating_add(1),
            }
            let is_end = found.len() < wanted;
            entries.extend(self.still_matching(&found, search, backward).await?);
            if is_end || entries.len() > max {
                break;
            }
        }
        let complete = entries.len() <= max;
        entries.truncate(max);
        if backward {
            entries.reverse();
        }
        Ok(finish(entries, complete, query.page))
    }

    async fn count_found(&self, expression: &str, filter: &Filter) -> Result<Option<u64>> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(expression)
            .bind(filter.places.start)
            .bind(filter.places.end)
            .bind(super::signed(COUNT_MAX + 1))
            .fetch_one(&self.index.readers)
            .await?;
        Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
    }

    /// Those of the places that are shown and have the words, in the order of paging.
    async fn still_matching(
        &self,
        places: &[i64],
        search: &Search,
        backward: bool,
    ) -> Result<Vec<Entry>> {
        let mut rows: Vec<EntryRow> = Vec::with_capacity(places.len());
        for (size, chunk) in chunks(places) {
            let mut query = sqlx::query_as(ENTRIES_AT[size].as_str());
            for place in chunk {
                query = query.bind(*place);
            }
            rows.extend(query.fetch_all(&self.readers).await?);
        }
        rows.sort_unstable_by_key(|row: &EntryRow| row.0);
        if backward {
            rows.reverse();
        }
        let entries = rows.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        let matching = entries.into_iter();
        Ok(matching
            .filter(|entry| search.matches(&entry.stanza))
            .collect())
    }

    /// Puts into the index what the log has and the index has not.
    async fn fill_for_search(&self, log: i64) -> Result<()> {
        let mut filled = 0;
        while filled < FILLED_BY_SEARCH_MAX {
            let done = self.fill(log).await?;
            // Looking costs something too.
            filled += done.looked_at.max(64);
            if done.is_all {
                return Ok(());
            }
        }
        self.index.behind.add([log]);
        Err(StoreError::Unavailable(
            "the archive is still being read for searching".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests;
