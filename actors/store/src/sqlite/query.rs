//! Pages of an archive in SQLite (XEP-0313 §4, XEP-0059).
//!
//! Times and ids narrow the query to a range of places first; then one statement reads the
//! page along the log, or along the conversation when `with` is given. Row C08: every value
//! is a bound parameter, every statement a constant.

use std::ops::Range;

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Page, PageFrom};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::log::{EntryRow, entry, id_of, place, place_saturating, range};
use super::statements::{HEADS, chunks};
use super::{Sqlite, unsigned};
use crate::error::{Result, StoreError};
use crate::log::{COUNT_MAX, IDS_MAX, PAGE_MAX, cut, finish};
use crate::plan::LogOf;

/// Names the entries that a query shows.
macro_rules! visible {
    ($columns:literal, $along:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM entry e
             CROSS JOIN conversation c ON c.id = e.conversation
             WHERE e.place >= ?1 AND e.place < ?2 AND e.flags & 1 = 0
               AND (?4 IS NULL OR e.resource = ?4) AND ",
            $along,
            " ",
            $end
        )
    };
}

const FORWARD: &str = visible!(
    "e.place, e.stamp, e.direction, c.jid, e.stanza",
    "?3 IS NULL",
    "ORDER BY e.place LIMIT ?5"
);
const BACKWARD: &str = visible!(
    "e.place, e.stamp, e.direction, c.jid, e.stanza",
    "?3 IS NULL",
    "ORDER BY e.place DESC LIMIT ?5"
);
const FORWARD_WITH: &str = visible!(
    "e.place, e.stamp, e.direction, c.jid, e.stanza",
    "e.conversation = ?3",
    "ORDER BY e.place LIMIT ?5"
);
const BACKWARD_WITH: &str = visible!(
    "e.place, e.stamp, e.direction, c.jid, e.stanza",
    "e.conversation = ?3",
    "ORDER BY e.place DESC LIMIT ?5"
);
const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM entry e
     WHERE e.place >= ?1 AND e.place < ?2 AND e.flags & 1 = 0 AND ?3 IS NULL
       AND (?4 IS NULL OR e.resource = ?4) LIMIT ?5)";
const COUNT_WITH: &str = "SELECT count(*) FROM (SELECT 1 FROM entry e
     WHERE e.place >= ?1 AND e.place < ?2 AND e.flags & 1 = 0 AND e.conversation = ?3
       AND (?4 IS NULL OR e.resource = ?4) LIMIT ?5)";

/// Where the first entry stands that is stamped at ?3 or later: stamps grow with ids, so it
/// is found by halving, in at most 32 steps.
const FIND_STAMP: &str = "
    WITH RECURSIVE search (low, high, middle) AS (
        SELECT ?1, ?2, ?1 + (?2 - ?1) / 2
        UNION ALL
        SELECT middle + 1, high, middle + 1 + (high - middle - 1) / 2 FROM search
        WHERE low < high AND coalesce((SELECT e.stamp < ?3 FROM entry e
            WHERE e.place >= middle AND e.place < ?2 ORDER BY e.place LIMIT 1), 0)
        UNION ALL
        SELECT low, middle, low + (middle - low) / 2 FROM search
        WHERE low < high AND NOT coalesce((SELECT e.stamp < ?3 FROM entry e
            WHERE e.place >= middle AND e.place < ?2 ORDER BY e.place LIMIT 1), 0)
    )
    SELECT low FROM search WHERE low >= high LIMIT 1";

/// The filters of a query: whom with, and in which range of places.
pub(super) struct Filter {
    pub(super) places: Range<i64>,
    pub(super) conversation: Option<i64>,
    pub(super) resource: Option<String>,
}

impl Sqlite {
    /// The page a query asks for.
    pub(super) async fn page(&self, log: i64, query: &ArchiveQuery) -> Result<Page> {
        self.check_ids(log, query).await?;
        let Some(filter) = self.filter(log, query).await? else {
            return Ok(empty());
        };
        match &query.search {
            // So few entries are looked at one by one.
            _ if !query.ids.is_empty() => self.chosen(log, filter, query).await,
            Some(search) => self.searched(log, filter, search, query).await,
            None => self.stretch(filter, query).await,
        }
    }

    /// XEP-0313 §4.1.5, XEP-0059 §2.2: an unknown id is an error, not an empty page.
    async fn check_ids(&self, log: i64, query: &ArchiveQuery) -> Result<()> {
        if query.ids.len() > IDS_MAX {
            return Err(StoreError::NoSuchItem);
        }
        let from = match query.page {
            PageFrom::After(id) | PageFrom::Before(id) => Some(id),
            PageFrom::Start | PageFrom::End => None,
        };
        for id in query
            .ids
            .iter()
            .copied()
            .chain(query.after_id)
            .chain(query.before_id)
            .chain(from)
        {
            let place = place(log, id).map_err(|_| StoreError::NoSuchItem)?;
            let found: Option<i64> = sqlx::query_scalar("SELECT place FROM entry WHERE place = ?")
                .bind(place)
                .fetch_optional(&self.readers)
                .await?;
            found.ok_or(StoreError::NoSuchItem)?;
        }
        Ok(())
    }

    /// `None`: there is no conversation with this address.
    async fn filter(&self, log: i64, query: &ArchiveQuery) -> Result<Option<Filter>> {
        let Range { mut start, mut end } = {
            let (start, end) = range(log)?;
            start..end
        };
        if let Some(time) = query.start {
            start = self.find_stamp(log, time).await?;
        }
        if let Some(time) = query.end {
            end = self
                .find_stamp(log, Timestamp(time.0.saturating_add(1)))
                .await?;
        }
        if let Some(id) = query.after_id {
            start = start.max(place_saturating(log, id)?.saturating_add(1));
        }
        if let Some(id) = query.before_id {
            end = end.min(place_saturating(log, id)?);
        }
        let mut filter = Filter {
            places: start..end,
            conversation: None,
            resource: None,
        };
        if let Some(with) = &query.with {
            let Some(number) = self.conversation(log, &with.bare()).await? else {
                return Ok(None);
            };
            filter.conversation = Some(number);
            filter.resource = with.resource().map(str::to_owned);
        }
        Ok(Some(filter))
    }

    async fn conversation(&self, log: i64, with: &BareJid) -> Result<Option<i64>> {
        let sql = "SELECT id FROM conversation WHERE log = ? AND jid = ?";
        let query = sqlx::query_scalar(sql).bind(log).bind(with.as_str());
        Ok(query.fetch_optional(&self.readers).await?)
    }

    pub(super) async fn find_stamp(&self, log: i64, time: Timestamp) -> Result<i64> {
        let (start, end) = range(log)?;
        let query = sqlx::query_scalar(FIND_STAMP)
            .bind(start)
            .bind(end)
            .bind(time.0);
        Ok(query.fetch_one(&self.readers).await?)
    }

    /// A page of neighbouring entries.
    async fn stretch(&self, filter: Filter, query: &ArchiveQuery) -> Result<Page> {
        let max = query.max.min(PAGE_MAX);
        if max == 0 {
            let count = self.count(&filter).await?;
            return Ok(Page {
                entries: Vec::new(),
                complete: count == Some(0),
                count,
            });
        }
        let mut places = filter.places.clone();
        let log_of = |id: u64| place_saturating(places.start >> 32, id);
        match query.page {
            PageFrom::After(id) => places.start = places.start.max(log_of(id)?.saturating_add(1)),
            PageFrom::Before(id) => places.end = places.end.min(log_of(id)?),
            PageFrom::Start | PageFrom::End => {}
        }
        let backward = matches!(query.page, PageFrom::Before(_) | PageFrom::End);
        let sql = match (backward, filter.conversation) {
            (false, None) => FORWARD,
            (true, None) => BACKWARD,
            (false, Some(_)) => FORWARD_WITH,
            (true, Some(_)) => BACKWARD_WITH,
        };
        let rows: Vec<EntryRow> = sqlx::query_as(sql)
            .bind(places.start)
            .bind(places.end)
            .bind(filter.conversation)
            .bind(filter.resource)
            .bind(max + 1)
            .fetch_all(&self.readers)
            .await?;
        let mut entries = rows.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        let complete = entries.len() <= max as usize;
        entries.truncate(max as usize);
        if backward {
            entries.reverse();
        }
        Ok(finish(entries, complete, query.page))
    }

    async fn count(&self, filter: &Filter) -> Result<Option<u64>> {
        let sql = if filter.conversation.is_some() {
            COUNT_WITH
        } else {
            COUNT
        };
        let count: i64 = sqlx::query_scalar(sql)
            .bind(filter.places.start)
            .bind(filter.places.end)
            .bind(filter.conversation)
            .bind(filter.resource.as_deref())
            .bind(super::signed(COUNT_MAX + 1))
            .fetch_one(&self.readers)
            .await?;
        Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
    }

    /// The entries with these ids, as far as they pass the filters.
    async fn chosen(&self, log: i64, filter: Filter, query: &ArchiveQuery) -> Result<Page> {
        let mut ids = query.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let mut entries = Vec::with_capacity(ids.len());
        for id in ids {
            let only = place(log, id)?;
            if !filter.places.contains(&only) {
                continue;
            }
            let sql = if filter.conversation.is_some() {
                FORWARD_WITH
            } else {
                FORWARD
            };
            let row: Option<EntryRow> = sqlx::query_as(sql)
                .bind(only)
                .bind(only + 1)
                .bind(filter.conversation)
                .bind(filter.resource.as_deref())
                .bind(1)
                .fetch_optional(&self.readers)
                .await?;
            entries.extend(row.map(entry).transpose()?);
        }
        if let Some(search) = &query.search {
            entries.retain(|entry| search.matches(&entry.stanza));
        }
        Ok(cut(entries, query))
    }

    /// The first and the last entry a query shows.
    pub(super) async fn find_bounds(&self, log: i64) -> Result<Option<Bounds>> {
        let (start, end) = range(log)?;
        let first = "SELECT place, stamp FROM entry WHERE place >= ? AND place < ?
                     AND flags & 1 = 0 ORDER BY place LIMIT 1";
        let last = "SELECT place, stamp FROM entry WHERE place >= ? AND place < ?
                    AND flags & 1 = 0 ORDER BY place DESC LIMIT 1";
        let mut found = Vec::with_capacity(2);
        for sql in [first, last] {
            let row: Option<(i64, i64)> = sqlx::query_as(sql)
                .bind(start)
                .bind(end)
                .fetch_optional(&self.readers)
                .await?;
            let Some((place, stamp)) = row else {
                return Ok(None);
            };
            found.push((id_of(place)?, Timestamp(stamp)));
        }
        Ok(Some(Bounds {
            first: found[0],
            last: found[1],
        }))
    }

    /// The id of a log's last entry.
    pub(super) async fn find_head(&self, of: &LogOf) -> Result<u64> {
        if let Some(recent) = self.tails.get(of) {
            return Ok(recent);
        }
        let sql = match of {
            LogOf::Account(_) => HEAD,
            LogOf::Room(_) => ROOM_HEAD,
        };
        let head: Option<i64> = sqlx::query_scalar(sql)
            .bind(of.jid().as_str())
            .fetch_optional(&self.readers)
            .await?;
        unsigned(head.ok_or_else(|| of.no_such())?)
    }

    /// The ids of the last entries of many accounts.
    pub(super) async fn find_heads(&self, accounts: &[BareJid]) -> Result<Vec<u64>> {
        let recent = accounts.iter().cloned().map(LogOf::Account);
        let recent: Vec<Option<u64>> = recent.map(|it| self.tails.get(&it)).collect();
        let mut heads: Vec<u64> = recent.iter().map(|head| head.unwrap_or(0)).collect();
        let asked = accounts.iter().enumerate();
        let numbered: Vec<_> = asked.filter(|(at, _)| recent[*at].is_none()).collect();
        for (size, chunk) in chunks(&numbered) {
            let mut query = sqlx::query_as(HEADS[size].as_str());
            for (number, account) in chunk {
                query = query
                    .bind(super::signed(*number as u64))
                    .bind(account.as_str());
            }
            let rows: Vec<(i64, i64)> = query.fetch_all(&self.readers).await?;
            for (number, head) in rows {
                if let Some(place) = heads.get_mut(unsigned(number)? as usize) {
                    *place = unsigned(head)?;
                }
            }
        }
        Ok(heads)
    }
}

const HEAD: &str = "
    SELECT max(l.head, coalesce(
        (SELECT e.place & 4294967295 FROM entry e
         WHERE e.place > a.id << 32 AND e.place < (a.id + 1) << 32
         ORDER BY e.place DESC LIMIT 1), 0))
    FROM account a JOIN log l ON l.id = a.id WHERE a.jid = ? AND a.removed IS NULL";

const ROOM_HEAD: &str = "
    SELECT max(l.head, coalesce(
        (SELECT e.place & 4294967295 FROM entry e
         WHERE e.place > r.id << 32 AND e.place < (r.id + 1) << 32
         ORDER BY e.place DESC LIMIT 1), 0))
    FROM room r JOIN log l ON l.id = r.id WHERE r.jid = ? AND NOT r.removed";

pub(super) fn empty() -> Page {
    Page {
        entries: Vec::new(),
        complete: true,
        count: Some(0),
    }
}

/// Every statement that reads pages, for a test of their plans.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[
    FORWARD,
    BACKWARD,
    FORWARD_WITH,
    BACKWARD_WITH,
    COUNT,
    COUNT_WITH,
];

/// The other statements here, likewise.
#[cfg(test)]
pub(super) const SINGLE: &[&str] = &[FIND_STAMP, HEAD, ROOM_HEAD];
