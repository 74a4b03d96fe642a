//! The index of words in PostgreSQL (XEP-0431): a text search vector for each entry that has
//! words, and a GIN index over them.
//!
//! What a word is, is the protocol's (`fulltext::words`), so there is nothing left for a
//! parser or a dictionary: the vectors are what the configuration `simple` would make of them.
//! A term begins with its log's number, so that a search, also for the beginning of a word,
//! walks through that log's terms alone. Row C08: terms are made of letters and digits and are
//! quoted besides.
//!
//! Commits of messages do not write the index: it is filled at leisure and, for a log that is
//! searched, before the answer. What is purged or retracted leaves it in the same transaction.

mod fill;

use std::collections::BTreeSet;
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use klatsch_protocol::archive::{ArchiveQuery, Entry, Page, PageFrom};
use klatsch_protocol::features::fulltext::Search;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::log::{EntryRow, columns, entry};
use super::query::Filter;
use super::{Postgres, signed, unsigned};
use crate::error::{Result, StoreError};
use crate::log::{COUNT_MAX, PAGE_MAX, finish};
pub(super) use fill::{forget, forget_before};

/// Searches of one node at once: they are dear, and plain pages must not wait for them (row
/// C08).
const SEARCHES_MAX: usize = 4;

/// A search waits this long for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A search puts this many entries into the index itself, which takes about a second; more
/// than that is left to the upkeep, and whoever searches is asked to wait.
const FILLED_BY_SEARCH_MAX: u64 = 10_000;

/// What this node knows of the index.
pub(super) struct Index {
    /// Logs with entries that may not be in the index yet: a hint, other nodes have theirs.
    behind: Lock<BTreeSet<i64>>,
    /// At the start every log is looked at once: up to this one; `None`: all have been.
    looked_at: Mutex<Option<i64>>,
    searches: Semaphore,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            behind: Lock::default(),
            looked_at: Mutex::new(Some(0)),
            searches: Semaphore::new(SEARCHES_MAX),
        }
    }
}

impl Index {
    /// These logs have got longer.
    pub(super) fn behind(&self, logs: impl IntoIterator<Item = i64>) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.extend(logs);
    }

    fn next_behind(&self) -> Option<i64> {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.pop_first()
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        match timeout(PATIENCE, self.searches.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(StoreError::Unavailable("too many searches".to_owned())),
        }
    }
}

/// A word of a log.
fn term(log: i64, word: &str) -> String {
    format!("{log:x}z{word}")
}

/// The query in PostgreSQL's language (`tsquery`): quoted terms, all of which are wanted.
fn expression(log: i64, search: &Search) -> String {
    let quoted = |word: &String| {
        let term = term(log, word).replace('\\', "\\\\").replace('\'', "''");
        format!("'{term}'")
    };
    let words = search.words.iter().map(quoted);
    let beginnings = search.beginnings.iter();
    let beginnings = beginnings.map(|it| format!("{}:*", quoted(it)));
    let terms: Vec<String> = words.chain(beginnings).collect();
    terms.join(" & ")
}

/// Names the entries that have the words, of those that a query shows.
macro_rules! found {
    ($columns:expr, $end:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM word w JOIN entry e ON e.log = w.log AND e.id = w.id
            WHERE w.terms @@ $2::tsquery AND w.log = $1 AND w.id >= $3 AND w.id < $4
              AND e.flags & 1 = 0 AND ($5::text IS NULL OR e.other = $5)
              AND ($6::text IS NULL OR e.resource = $6) ",
            $end
        )
    };
}

const FORWARD: &str = found!(columns!(), "ORDER BY e.id LIMIT $7");
const BACKWARD: &str = found!(columns!(), "ORDER BY e.id DESC LIMIT $7");
const COUNT: &str = concat!("SELECT count(*) FROM (", found!("1", "LIMIT $7"), ") e");

impl Postgres {
    /// A page of the entries that have the words.
    pub(super) async fn searched(
        &self,
        log: i64,
        filter: &Filter,
        search: &Search,
        query: &ArchiveQuery,
    ) -> Result<Page> {
        if search.is_empty() {
            return Ok(Page {
                entries: Vec::new(),
                complete: true,
                count: Some(0),
            });
        }
        let _turn = self.index.turn().await?;
        self.fill_for_search(log).await?;
        let expression = expression(log, search);
        let max = query.max.min(PAGE_MAX) as usize;
        if max == 0 {
            let count = self.count_found(log, &expression, filter).await?;
            return Ok(Page {
                entries: Vec::new(),
                complete: count == Some(0),
                count,
            });
        }
        let backward = matches!(query.page, PageFrom::Before(_) | PageFrom::End);
        let ids = filter.from(query.page);
        let rows: Vec<EntryRow> = sqlx::query_as(if backward { BACKWARD } else { FORWARD })
            .bind(log)
            .bind(&expression)
            .bind(signed(ids.start))
            .bind(signed(ids.end))
            .bind(filter.other.as_deref())
            .bind(filter.resource.as_deref())
            .bind(signed(max as u64 + 1))
            .fetch_all(&self.pool)
            .await?;
        let mut entries: Vec<Entry> = rows.into_iter().map(entry).collect::<Result<_>>()?;
        let complete = entries.len() <= max;
        entries.truncate(max);
        if backward {
            entries.reverse();
        }
        Ok(finish(entries, complete, query.page))
    }

    async fn count_found(
        &self,
        log: i64,
        expression: &str,
        filter: &Filter,
    ) -> Result<Option<u64>> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(log)
            .bind(expression)
            .bind(signed(filter.ids.start))
            .bind(signed(filter.ids.end))
            .bind(filter.other.as_deref())
            .bind(filter.resource.as_deref())
            .bind(signed(COUNT_MAX + 1))
            .fetch_one(&self.pool)
            .await?;
        Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
    }

    /// Puts into the index what the log has and the index has not.
    async fn fill_for_search(&self, log: i64) -> Result<()> {
        let mut filled = 0;
        while filled < FILLED_BY_SEARCH_MAX {
            if !self.is_behind(log).await? {
                return Ok(());
            }
            // Looking costs something too.
            filled += self.fill(log).await?.looked_at.max(64);
        }
        self.index.behind([log]);
        Err(StoreError::Unavailable(
            "the archive is still being read for searching".to_owned(),
        ))
    }
}
