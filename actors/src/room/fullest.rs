//! Searches that ask for the number of people in a room (XEP-0433 §5.1): the fullest first, or
//! those with so many at least. The store knows of nobody inside; the rooms at hand do, and what
//! other nodes show.
//!
//! The answer begins with the rooms somebody is in, the fullest first, and goes on with all others
//! in the order of their addresses. People come and go between two pages, so a room may be on
//! both or on none, as the specification allows.

use std::collections::{HashMap, HashSet};

use klatsch_protocol::features::muc::search::{Order, RoomListQuery};
use klatsch_protocol::features::muc::service::{RoomPage, RoomSummary};
use klatsch_protocol::jid::BareJid;
use klatsch_store::StoreError;
use klatsch_store::rooms::LIST_MAX;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::RoomMsg;
use crate::directory::RoomPlace;
use crate::router::patiently;
use crate::world::{STORE_PATIENCE, World};

/// Rooms with somebody inside that are asked for one page at most (row C09); the next page goes on
/// behind its last.
const ASKED_MAX: usize = 500;

/// Pages of the store that are read for one of ours at most: rooms somebody is in stand among the
/// others.
const READ_MAX: usize = 8;

/// Whether a query is answered here.
pub(super) fn is_asked_for(query: &RoomListQuery) -> bool {
    query.order == Order::Occupants || query.occupants_min > 0
}

/// A page of rooms.
pub(super) async fn find(world: &World, query: &RoomListQuery) -> Result<RoomPage, StoreError> {
    let search = Search {
        world,
        query,
        inhabited: inhabited(world, query, matching(world, query).await?),
    };
    match &query.page.before {
        _ if query.max == 0 => search.count().await,
        Some(before) => search.backward(before).await,
        None => search.forward(query.page.after.as_deref()).await,
    }
}

/// A room somebody is in.
struct Inhabited {
    room: BareJid,
    /// Its actor, if it lives on this node.
    place: Option<RoomPlace>,
    inside: u32,
}

/// The rooms that have the words of a query, unless those are many: the store finds them sooner
/// than all rooms somebody is in can be asked.
async fn matching(
    world: &World,
    query: &RoomListQuery,
) -> Result<Option<HashSet<BareJid>>, StoreError> {
    if query.terms.is_empty() {
        return Ok(None);
    }
    let all = RoomListQuery {
        // The store knows of nobody inside.
        occupants_min: 0,
        page: Default::default(),
        max: LIST_MAX,
        ..query.clone()
    };
    let page = patiently(world.store.find_rooms(&all)).await?;
    let found = page.rooms.into_iter().map(|room| room.jid);
    Ok(page.complete.then(|| found.collect()))
}

/// The rooms somebody is in, in the order that is asked for: all, or those among the matching.
fn inhabited(
    world: &World,
    query: &RoomListQuery,
    matching: Option<HashSet<BareJid>>,
) -> Vec<Inhabited> {
    let matches = |room: &BareJid| matching.as_ref().is_none_or(|rooms| rooms.contains(room));
    let replica = world.directory.replica();
    let there = replica.map_or_else(Vec::new, |replica| replica.rooms());
    let there = there.into_iter().map(|room| (room, None));
    let here = world.directory.rooms().into_iter();
    let here = here.map(|(room, place)| (room, Some(place)));
    // Those that are here come last, and stay.
    let all: HashMap<BareJid, Option<RoomPlace>> = there.chain(here).collect();
    let of_service = all
        .into_iter()
        .filter(|(room, _)| room.domain() == query.service.as_str() && matches(room));
    let counted = of_service.map(|(room, place)| Inhabited {
        inside: world.directory.occupants(&room),
        room,
        place,
    });
    let least = query.occupants_min.max(1);
    let mut rooms: Vec<_> = counted.filter(|it| it.inside >= least).collect();
    rooms.sort_unstable_by(|one, other| {
        let fuller = other.inside.cmp(&one.inside);
        fuller.then_with(|| one.room.cmp(&other.room))
    });
    if query.order == Order::Address {
        rooms.sort_unstable_by(|one, other| one.room.cmp(&other.room));
    }
    rooms
}

struct Search<'a> {
    world: &'a World,
    query: &'a RoomListQuery,
    inhabited: Vec<Inhabited>,
}

impl Search<'_> {
    fn max(&self) -> usize {
        self.query.max as usize
    }

    /// Whether rooms that nobody is in are wanted too.
    fn wants_others(&self) -> bool {
        self.query.occupants_min == 0
    }

    /// Where a room stands among those somebody is in.
    fn position(&self, cursor: &str) -> Option<usize> {
        let mut rooms = self.inhabited.iter();
        rooms.position(|it| it.room.as_str() == cursor)
    }

    /// One of the rooms somebody is in, as it is listed, if it is wanted.
    async fn summary(&self, at: usize) -> Result<Option<RoomSummary>, StoreError> {
        let Some(found) = self.inhabited.get(at) else {
            return Ok(None);
        };
        let summary = match &found.place {
            Some(place) => ask(place).await,
            None => self.read(found).await?,
        };
        let summary = summary.map(|summary| RoomSummary {
            occupants: found.inside,
            ..summary
        });
        Ok(summary.filter(|summary| self.query.wants(summary)))
    }

    /// A room of another node, from the store.
    async fn read(&self, found: &Inhabited) -> Result<Option<RoomSummary>, StoreError> {
        let record = patiently(self.world.store.room(&found.room)).await?;
        Ok(record.and_then(|it| RoomSummary::of(&found.room, &it.config, found.inside)))
    }

    /// The others, from the store: more than a page of them, if there are.
    async fn others(
        &self,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<RoomPage, StoreError> {
        let known: HashSet<&str> = self.inhabited.iter().map(|it| it.room.as_str()).collect();
        let mut query = self.query.clone();
        query.page.after = after.map(str::to_owned);
        query.page.before = before.map(str::to_owned);
        let among = u32::try_from(known.len().min(ASKED_MAX)).unwrap_or(u32::MAX);
        query.max = query.max.saturating_add(among);
        let mut found = RoomPage::default();
        for _ in 0..READ_MAX {
            let page = patiently(self.world.store.find_rooms(&query)).await?;
            found.count = found.count.or(page.count);
            found.complete = page.complete;
            let edge = match before {
                Some(_) => page.rooms.first(),
                None => page.rooms.last(),
            };
            let edge = edge.map(|room| room.jid.as_str().to_owned());
            let mut rooms = page.rooms;
            rooms.retain(|room| !known.contains(room.jid.as_str()));
            match before {
                Some(_) => drop(found.rooms.splice(0..0, rooms)),
                None => found.rooms.extend(rooms),
            }
            if found.complete || found.rooms.len() > self.max() || edge.is_none() {
                break;
            }
            match before {
                Some(_) => query.page.before = edge,
                None => query.page.after = edge,
            }
        }
        Ok(found)
    }

    async fn count(&self) -> Result<RoomPage, StoreError> {
        if self.wants_others() {
            return patiently(self.world.store.find_rooms(self.query)).await;
        }
        let mut count = 0;
        for at in 0..self.inhabited.len().min(ASKED_MAX) {
            count += u64::from(self.summary(at).await?.is_some());
        }
        let is_all = self.inhabited.len() <= ASKED_MAX;
        Ok(RoomPage {
            count: is_all.then_some(count),
            ..RoomPage::default()
        })
    }

    async fn forward(&self, after: Option<&str>) -> Result<RoomPage, StoreError> {
        let after = after.filter(|after| !after.is_empty());
        let known = after.map(|after| self.position(after));
        let mut page = RoomPage {
            complete: true,
            ..RoomPage::default()
        };
        let first = match known {
            None => 0,
            Some(Some(at)) => at + 1,
            // Beyond all of them.
            Some(None) => self.inhabited.len(),
        };
        for at in first..self.inhabited.len() {
            if page.rooms.len() == self.max() || at - first == ASKED_MAX {
                page.complete = false;
                return Ok(page);
            }
            page.rooms.extend(self.summary(at).await?);
        }
        if self.wants_others() {
            let from = after.filter(|_| known == Some(None));
            let others = self.others(from, None).await?;
            page.complete = others.complete;
            page.count = others.count;
            page.rooms.extend(others.rooms);
        }
        page.complete &= page.rooms.len() <= self.max();
        page.rooms.truncate(self.max());
        Ok(page)
    }

    async fn backward(&self, before: &str) -> Result<RoomPage, StoreError> {
        let known = self.position(before);
        let mut page = RoomPage {
            complete: true,
            ..RoomPage::default()
        };
        if known.is_none() && self.wants_others() {
            page = self.others(None, Some(before)).await?;
        }
        // From the cursor to the beginning.
        page.rooms.reverse();
        let first = known.unwrap_or(self.inhabited.len());
        let mut at = first;
        while page.complete && at > 0 && page.rooms.len() <= self.max() {
            page.complete = first - at < ASKED_MAX;
            at -= 1;
            page.rooms.extend(self.summary(at).await?);
        }
        page.complete &= page.rooms.len() <= self.max();
        page.rooms.truncate(self.max());
        page.rooms.reverse();
        Ok(page)
    }
}

/// How a room of this node is listed, and whether it is.
async fn ask(place: &RoomPlace) -> Option<RoomSummary> {
    let (reply, summary) = oneshot::channel();
    place.actor.cast(RoomMsg::Summarize(reply)).ok()?;
    // A room that is ending does not answer.
    timeout(STORE_PATIENCE, summary).await.ok()?.ok()?
}
