//! Lists of rooms (XEP-0045 §6.3) and searches for them (XEP-0433).
//!
//! Which room is wanted says the protocol, room by room; here is only the way along the
//! index of public rooms.

use klatsch_protocol::features::muc::search::RoomListQuery;
use klatsch_protocol::features::muc::service::{RoomPage, RoomSummary};

use crate::error::Result;
use crate::log::COUNT_MAX;
use crate::rooms::Way;
use crate::rows::rooms::read_config;
use crate::sqlite::{Sqlite, bare, signed, unsigned};

pub(in crate::sqlite) const ROOMS: &str = "
    SELECT jid FROM room WHERE service = ? AND jid > ? AND NOT removed ORDER BY jid LIMIT ?";

/// What an older version has stored without the setting is persistent.
pub(in crate::sqlite) const TEMPORARY: &str = "
    SELECT jid FROM room WHERE jid > ? AND NOT removed
    AND NOT json_extract(config, '$.persistent') ORDER BY jid LIMIT ?";

pub(in crate::sqlite) const CREATED: &str =
    "SELECT count(*) FROM room WHERE creator = ? AND NOT removed";

pub(in crate::sqlite) const AFTER: &str = "
    SELECT jid, config FROM room
    WHERE service = ? AND jid > ? AND NOT removed AND public ORDER BY jid LIMIT ?";

pub(in crate::sqlite) const BEFORE: &str = "
    SELECT jid, config FROM room
    WHERE service = ? AND jid < ? AND NOT removed AND public ORDER BY jid DESC LIMIT ?";

pub(in crate::sqlite) const COUNT: &str = "SELECT count(*) FROM
    (SELECT 1 FROM room WHERE service = ? AND NOT removed AND public LIMIT ?)";

/// Rooms that one statement reads: a search lets others at the database between two.
const STEP: u32 = 250;

/// Rooms that a search looks at, at most (row C09); more are found with better words.
const LOOKED_AT_MAX: usize = 20_000;

/// After every address: no address has this character.
const END: &str = "\u{10ffff}";

impl Sqlite {
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
            .bind(from.unwrap_or(edge))
            .bind(STEP)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows)
    }

    async fn count_rooms(&self, service: &str) -> Result<Option<u64>> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(service)
            .bind(signed(COUNT_MAX + 1))
            .fetch_one(&self.readers)
            .await?;
        Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
    }
}
