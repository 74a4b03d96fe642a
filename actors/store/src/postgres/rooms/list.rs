//! Lists of rooms (XEP-0045 §6.3) and searches for them (XEP-0433).
//!
//! Which room is wanted says the protocol, room by room; here is only the way along the
//! index of public rooms.

use klatsch_protocol::features::muc::search::RoomListQuery;
use klatsch_protocol::features::muc::service::{RoomPage, RoomSummary};

use crate::error::Result;
use crate::log::COUNT_MAX;
use crate::postgres::text::escaped;
use crate::postgres::{Postgres, bare, signed, unsigned};
use crate::rooms::Way;
use crate::rows::rooms::read_config;

/// Compared as a pair, here and below: the plan of a prepared statement, which knows no service,
/// might otherwise go along the rooms of all services.
pub(super) const ROOMS: &str = "
    SELECT jid FROM room WHERE (service, jid) > ($1, $2) AND service <= $1 AND NOT removed
    ORDER BY service, jid LIMIT $3";

/// There are few rooms beside what is in them, so all are looked at.
pub(super) const TEMPORARY: &str = "
    SELECT jid FROM room WHERE jid > $1 AND NOT removed
    AND NOT (config::jsonb ->> 'persistent')::boolean ORDER BY jid LIMIT $2";

pub(super) const CREATED: &str = "SELECT count(*) FROM room WHERE creator = $1 AND NOT removed";

const AFTER: &str = "
    SELECT jid, config FROM room
    WHERE (service, jid) > ($1, $2) AND service <= $1 AND NOT removed AND public
    ORDER BY service, jid LIMIT $3";

const BEFORE: &str = "
    SELECT jid, config FROM room
    WHERE (service, jid) < ($1, $2) AND service >= $1 AND NOT removed AND public
    ORDER BY service DESC, jid DESC LIMIT $3";

const COUNT: &str = "SELECT count(*) FROM
    (SELECT 1 FROM room WHERE service = $1 AND NOT removed AND public LIMIT $2) counted";

/// Rooms that one statement reads: a search lets others at the database between two.
const STEP: u32 = 250;

/// Rooms that a search looks at, at most (row C09); more are found with better words.
const LOOKED_AT_MAX: usize = 20_000;

/// After every address: no address has this character.
const END: &str = "\u{10ffff}";

impl Postgres {
    pub(super) async fn room_page(&self, query: &RoomListQuery) -> Result<RoomPage> {
        let way = Way::of(query);
        let count = match query.terms.is_empty() {
            true => self.count_rooms(query.service.as_str()).await?,
            false => None,
        };
        let mut found = Vec::new();
        let mut from = way.from.clone();
        let mut looked_at = 0;
        while found.len() < way.wanted && looked_at < LOOKED_AT_MAX {
            let rows = self.step(query, &way, from.as_deref()).await?;
            let is_last = rows.len() < STEP as usize;
            looked_at += rows.len();
            from = rows.last().map(|(jid, _)| jid.clone());
            for (jid, config) in rows {
                let room = RoomSummary::of(&bare(&jid)?, &read_config(&config)?, 0);
                found.extend(room.filter(|room| query.wants(room)));
            }
            if is_last {
                return Ok(way.page(found, count, true));
            }
        }
        Ok(way.page(found, count, false))
    }

    async fn step(
        &self,
        query: &RoomListQuery,
        way: &Way,
        from: Option<&str>,
    ) -> Result<Vec<(String, String)>> {
        let (sql, edge) = match way.is_backward {
            true => (BEFORE, END),
            false => (AFTER, ""),
        };
        let rows = sqlx::query_as(sql)
            .bind(query.service.as_str())
            .bind(escaped(from.unwrap_or(edge)))
            .bind(i64::from(STEP))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows)
    }

    async fn count_rooms(&self, service: &str) -> Result<Option<u64>> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(service)
            .bind(signed(COUNT_MAX + 1))
            .fetch_one(&self.pool)
            .await?;
        Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
    }
}
