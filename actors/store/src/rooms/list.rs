//! Lists of rooms (XEP-0045 §6.3) and searches for them (XEP-0433).
//!
//! Which room is wanted says the protocol, room by room; here is only the way along the public
//! rooms of a service, in the order of their addresses.

use klatsch_protocol::features::muc::search::RoomListQuery;
use klatsch_protocol::features::muc::service::{RoomPage, RoomSummary};

use super::LIST_MAX;
use crate::error::Result;
use crate::log::COUNT_MAX;
use crate::rows::rooms::read_config;
use crate::rows::{bare, unsigned};

/// Rooms that one statement reads: a search lets others at the database between two.
const STEP: u32 = 250;

/// Rooms that a search looks at, at most (row C09); more are found with better words.
const LOOKED_AT_MAX: usize = 20_000;

/// After every address: no address has this character.
const END: &str = "\u{10ffff}";

/// A database that has rooms.
pub(crate) trait PublicRooms: Sync {
    /// So many public rooms of a service, with their configurations: the next beside an address.
    fn public_rooms(
        &self,
        service: &str,
        from: &str,
        is_backward: bool,
        max: u32,
    ) -> impl Future<Output = Result<Vec<(String, String)>>> + Send;
    /// How many of them there are, up to so many.
    fn count_public_rooms(
        &self,
        service: &str,
        max: u64,
    ) -> impl Future<Output = Result<i64>> + Send;
}

/// One page of a list, or of what a search has found.
pub(crate) async fn page(database: &impl PublicRooms, query: &RoomListQuery) -> Result<RoomPage> {
    let (way, service) = (Way::of(query), query.service.as_str());
    let count = match query.terms.is_empty() {
        true => count(database, service).await?,
        false => None,
    };
    let mut found = Vec::new();
    let edge = if way.is_backward { END } else { "" };
    let mut from = way.from.clone().unwrap_or_else(|| edge.to_owned());
    let mut looked_at = 0;
    while found.len() < way.wanted && looked_at < LOOKED_AT_MAX {
        let step = database.public_rooms(service, &from, way.is_backward, STEP);
        let rows = step.await?;
        let is_last = rows.len() < STEP as usize;
        looked_at += rows.len();
        for (jid, config) in rows {
            let room = RoomSummary::of(&bare(&jid)?, &read_config(&config)?, 0);
            found.extend(room.filter(|room| query.wants(room)));
            from = jid;
        }
        if is_last {
            return Ok(way.page(found, count, true));
        }
    }
    Ok(way.page(found, count, false))
}

async fn count(database: &impl PublicRooms, service: &str) -> Result<Option<u64>> {
    let count = database.count_public_rooms(service, COUNT_MAX + 1).await?;
    Ok(Some(unsigned(count)?).filter(|count| *count <= COUNT_MAX))
}

/// Which way a page of rooms goes, and from where (XEP-0059).
pub(crate) struct Way {
    /// Towards smaller addresses.
    pub(crate) is_backward: bool,
    /// The text beside which it begins; `None`: at the end.
    pub(crate) from: Option<String>,
    /// So many rooms tell all: one more than the page has, or what is counted.
    pub(crate) wanted: usize,
    max: usize,
}

impl Way {
    pub(crate) fn of(query: &RoomListQuery) -> Self {
        let (before, after) = (&query.page.before, &query.page.after);
        let from = before.as_ref().or(after.as_ref());
        let max = query.max.min(LIST_MAX) as usize;
        let counted = match query.terms.is_empty() {
            true => 0,
            false => COUNT_MAX as usize + 1,
        };
        Self {
            is_backward: before.is_some(),
            from: from.filter(|from| !from.is_empty()).cloned(),
            wanted: if max == 0 { counted } else { max + 1 },
            max,
        }
    }

    /// The page, from what was found along the way. `count`: how many rooms there are, if that
    /// is known; `is_all`: the way has come to its end.
    pub(crate) fn page(
        &self,
        mut found: Vec<RoomSummary>,
        count: Option<u64>,
        is_all: bool,
    ) -> RoomPage {
        let is_whole = is_all && self.from.is_none();
        let total = (is_whole && found.len() as u64 <= COUNT_MAX).then_some(found.len() as u64);
        let complete = is_all && found.len() <= self.max;
        found.truncate(self.max);
        if self.is_backward {
            found.reverse();
        }
        RoomPage {
            rooms: found,
            count: count.or(total.filter(|_| complete || self.max == 0)),
            complete,
        }
    }
}
