//! Pages of an archive in PostgreSQL (XEP-0313 §4, XEP-0059).
//!
//! Times and ids narrow the query to a range of ids first; then one statement reads the page
//! along the log, or along the conversation when `with` is given. Row C08: every value is a
//! bound parameter, every statement a constant.

use std::ops::Range;

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Page, PageFrom};
use klatsch_protocol::time::Timestamp;

use super::log::{EntryRow, columns, entry};
use super::{Postgres, signed, unsigned};
use crate::error::{Result, StoreError};
use crate::log::{COUNT_MAX, IDS_MAX, PAGE_MAX, cut, finish};

/// Names the entries that a query shows. Of several statements each has the plan that fits it.
macro_rules! visible {
    ($columns:expr, $with:literal, $end:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM entry e WHERE e.log = $1 AND e.id >= $2 AND e.id < $3 AND e.flags & 1 = 0
               AND ($5::text IS NULL OR e.resource = $5) AND ",
            $with,
            " ",
            $end
        )
    };
}

const FORWARD: &str = visible!(columns!(), "$4::text IS NULL", "ORDER BY e.id LIMIT $6");
const BACKWARD: &str = visible!(
    columns!(),
    "$4::text IS NULL",
    "ORDER BY e.id DESC LIMIT $6"
);
const FORWARD_WITH: &str = visible!(columns!(), "e.other = $4", "ORDER BY e.id LIMIT $6");
const BACKWARD_WITH: &str = visible!(columns!(), "e.other = $4", "ORDER BY e.id DESC LIMIT $6");
const COUNT: &str = concat!(
    "SELECT count(*) FROM (",
    visible!("1", "$4::text IS NULL", "LIMIT $6"),
    ") e"
);
const COUNT_WITH: &str = concat!(
    "SELECT count(*) FROM (",
    visible!("1", "e.other = $4", "LIMIT $6"),
    ") e"
);
const CHOSEN: &str = visible!(
    columns!(),
    "($4::text IS NULL OR e.other = $4)",
    "AND e.id = ANY($6) ORDER BY e.id"
);

/// The id of the first entry that is stamped at $2 or later, or the next one's: stamps grow
/// with ids, so it is found by halving.
const FIND_STAMP: &str = "
    WITH RECURSIVE search (low, high) AS (
        SELECT 1::bigint, l.head + 1 FROM log l WHERE l.id = $1
        UNION ALL
        SELECT CASE WHEN found.is_early THEN s.middle + 1 ELSE s.low END,
            CASE WHEN found.is_early THEN s.high ELSE s.middle END
        FROM (SELECT low, high, low + (high - low) / 2 AS middle FROM search WHERE low < high) s
        CROSS JOIN LATERAL (SELECT coalesce((SELECT e.stamp < $2 FROM entry e
            WHERE e.log = $1 AND e.id >= s.middle AND e.id < s.high
            ORDER BY e.id LIMIT 1), false) AS is_early) found
    )
    SELECT low FROM search WHERE low >= high";

/// The filters of a query: in which range of ids, and whom with.
pub(super) struct Filter {
    pub(super) ids: Range<u64>,
    pub(super) other: Option<String>,
    pub(super) resource: Option<String>,
}

impl Filter {
    /// The ids that are left where a page begins.
    pub(super) fn from(&self, page: PageFrom) -> Range<u64> {
        let mut ids = self.ids.clone();
        match page {
            PageFrom::After(id) => ids.start = ids.start.max(id.saturating_add(1)),
            PageFrom::Before(id) => ids.end = ids.end.min(id),
            PageFrom::Start | PageFrom::End => {}
        }
        ids
    }
}

impl Postgres {
    /// The page a query asks for.
    pub(super) async fn page(&self, log: i64, query: &ArchiveQuery) -> Result<Page> {
        self.check_ids(log, query).await?;
        let filter = self.filter(log, query).await?;
        match &query.search {
            // So few entries are looked at one by one.
            _ if !query.ids.is_empty() => self.chosen(log, &filter, query).await,
            Some(search) => self.searched(log, &filter, search, query).await,
            None => self.stretch(log, &filter, query).await,
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
        let asked = query.ids.iter().copied().chain(query.after_id);
        let asked = asked.chain(query.before_id).chain(from);
        let mut ids: Vec<i64> = asked.map(signed).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let wanted = ids.len() as u64;
        let sql = "SELECT count(*) FROM entry WHERE log = $1 AND id = ANY($2)";
        let query = sqlx::query_scalar(sql).bind(log).bind(ids);
        match unsigned(query.fetch_one(&self.pool).await?)? == wanted {
            true => Ok(()),
            false => Err(StoreError::NoSuchItem),
        }
    }

    async fn filter(&self, log: i64, query: &ArchiveQuery) -> Result<Filter> {
        let (mut start, mut end) = (0, u64::MAX);
        if let Some(time) = query.start {
            start = self.find_stamp(log, time).await?;
        }
        if let Some(time) = query.end {
            let after = Timestamp(time.0.saturating_add(1));
            end = self.find_stamp(log, after).await?;
        }
        if let Some(id) = query.after_id {
            start = start.max(id.saturating_add(1));
        }
        if let Some(id) = query.before_id {
            end = end.min(id);
        }
        let with = query.with.as_ref();
        Ok(Filter {
            ids: start..end,
            other: with.map(|with| with.bare_str().to_owned()),
            resource: with.and_then(|with| with.resource().map(str::to_owned)),
        })
    }

    pub(super) async fn find_stamp(&self, log: i64, time: Timestamp) -> Result<u64> {
        let query = sqlx::query_scalar(FIND_STAMP).bind(log).bind(time.0);
        // No log: nothing is before anything.
        unsigned(query.fetch_optional(&self.pool).await?.unwrap_or(0))
    }

    /// A page of neighbouring entries.
    async fn stretch(&self, log: i64, filter: &Filter, query: &ArchiveQuery) -> Result<Page> {
        let max = query.max.min(PAGE_MAX);
        if max == 0 {
            let count = self.count(log, filter).await?;
            return Ok(Page {
                entries: Vec::new(),
                complete: count == Some(0),
                count,
            });
        }
        let ids = filter.from(query.page);
        let backward = matches!(query.page, PageFrom::Before(_) | PageFrom::End);
        let sql = match (backward, &filter.other) {
            (false, None) => FORWARD,
            (true, None) => BACKWARD,
            (false, Some(_)) => FORWARD_WITH,
            (true, Some(_)) => BACKWARD_WITH,
        };
        let rows: Vec<EntryRow> = sqlx::query_as(sql)
            .bind(log)
            .bind(signed(ids.start))
            .bind(signed(ids.end))
            .bind(filter.other.as_deref())
            .bind(filter.resource.as_deref())
            .bind(i64::from(max) + 1)
            .fetch_all(&self.pool)
            .await?;
        let mut entries = rows.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        let complete = entries.len() <= max as usize;
        entries.truncate(max as usize);
        if backward {
            entries.reverse();
        }
        Ok(finish(entries, complete, query.page))
    }

    async fn count(&self, log: i64, filter: &Filter) -> Result<Option<u64>> {
        let sql = match filter.other {
            Some(_) => COUNT_WITH,
            None => COUNT,
        };
        let count: i64 = sqlx::query_scalar(sql)
            .bind(log)
            .bind(signed(filter.ids.start))
            .bind(signed(filter.ids.end))
            .bind(filter.other.as_deref())
            .bind(filter.resource.as_deref())
            .bind(signed(COUNT_MAX + 1))
            .fetch_one(&self.pool)
            .await?;
        Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
    }

    /// The entries with these ids, as far as they pass the filters.
    async fn chosen(&self, log: i64, filter: &Filter, query: &ArchiveQuery) -> Result<Page> {
        let ids: Vec<i64> = query.ids.iter().copied().map(signed).collect();
        let rows: Vec<EntryRow> = sqlx::query_as(CHOSEN)
            .bind(log)
            .bind(signed(filter.ids.start))
            .bind(signed(filter.ids.end))
            .bind(filter.other.as_deref())
            .bind(filter.resource.as_deref())
            .bind(ids)
            .fetch_all(&self.pool)
            .await?;
        let mut entries = rows.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        if let Some(search) = &query.search {
            entries.retain(|entry| search.matches(&entry.stanza));
        }
        Ok(cut(entries, query))
    }

    /// The first and the last entry a query shows.
    pub(super) async fn find_bounds(&self, log: i64) -> Result<Option<Bounds>> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "(SELECT id, stamp FROM entry WHERE log = $1 AND flags & 1 = 0
              ORDER BY id LIMIT 1)
             UNION ALL
             (SELECT id, stamp FROM entry WHERE log = $1 AND flags & 1 = 0
              ORDER BY id DESC LIMIT 1)",
        )
        .bind(log)
        .fetch_all(&self.pool)
        .await?;
        let place = |(id, stamp): &(i64, i64)| -> Result<(u64, Timestamp)> {
            Ok((unsigned(*id)?, Timestamp(*stamp)))
        };
        match (rows.iter().min(), rows.iter().max()) {
            (Some(first), Some(last)) => Ok(Some(Bounds {
                first: place(first)?,
                last: place(last)?,
            })),
            _ => Ok(None),
        }
    }
}
