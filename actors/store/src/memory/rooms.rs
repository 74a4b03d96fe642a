//! Rooms in memory.

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page};
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord, Subject};
use klatsch_protocol::features::muc::search::RoomListQuery;
use klatsch_protocol::features::muc::service::{RoomPage, RoomSummary};
use klatsch_protocol::jid::BareJid;

use super::log::Log;
use super::renaming::replace;
use super::{Memory, State};
use crate::error::{Result, StoreError};
use crate::log::COUNT_MAX;
use crate::rooms::list::Way;
use crate::rooms::{LIST_MAX, RoomAppend, RoomAppended, Rooms, dedup_of};

/// A room.
pub(super) struct Held {
    record: RoomRecord,
    pub(super) log: Log,
}

impl State {
    fn save(&mut self, room: &BareJid, expected: u64, changes: &[RoomChange]) -> Result<u64> {
        let found = self.rooms.get(room).map(|held| &held.record);
        let (mut record, changes) = match (found, changes) {
            (None, [RoomChange::Create(record), rest @ ..]) if expected == 0 => {
                let past = self.past_rooms.get(room).copied().unwrap_or_default();
                let mut record = (**record).clone();
                record.version = past.0;
                (record, rest)
            }
            (None, _) => return Err(StoreError::NoSuchRoom),
            (Some(record), _) if record.version != expected => return Err(StoreError::Conflict),
            (Some(record), []) => return Ok(record.version),
            (Some(record), changes) => (record.clone(), changes),
        };
        record.version += 1;
        let is_made_again = |change| matches!(change, &RoomChange::Create(_));
        if changes.iter().any(is_made_again) {
            return Err(StoreError::Conflict);
        }
        changes.iter().for_each(|change| record.apply(change));
        let is_standing = |change: &RoomChange| matches!(change, RoomChange::Affiliation(_));
        let is_new = !self.rooms.contains_key(room);
        let has_owner = record.affiliates(Affiliation::Owner).next().is_some();
        if !has_owner && (is_new || changes.iter().any(is_standing)) {
            return Err(StoreError::Conflict);
        }
        let version = record.version;
        self.put(room, record);
        if changes.contains(&RoomChange::Destroy) {
            self.remove(room);
        }
        Ok(version)
    }

    fn put(&mut self, room: &BareJid, record: RoomRecord) {
        match self.rooms.get_mut(room) {
            Some(held) => held.record = record,
            None => {
                let past = self.past_rooms.get(room).copied().unwrap_or_default();
                let log = Log::after(past.1);
                self.rooms.insert(room.clone(), Held { record, log });
            }
        }
    }

    fn remove(&mut self, room: &BareJid) {
        if let Some(held) = self.rooms.remove(room) {
            let past = (held.record.version, held.log.head());
            self.past_rooms.insert(room.clone(), past);
        }
    }

    /// What a removed account was to rooms goes with it, but for bans.
    pub(super) fn forget_in_rooms(&mut self, account: &BareJid) {
        for Held { record, .. } in self.rooms.values_mut() {
            let was = record.affiliations.get(account).map(|it| it.affiliation);
            let was = was.filter(|was| *was != Affiliation::Outcast);
            let wore = record.hats.worn.remove(account).is_some();
            if was.is_none() && !wore {
                continue;
            }
            if was.is_some() {
                record.affiliations.remove(account);
            }
            record.version += 1;
            let owns = |record: &RoomRecord| record.affiliates(Affiliation::Owner).next().is_some();
            if was == Some(Affiliation::Owner) && !owns(record) {
                let next = record.affiliations.values_mut();
                next.filter(|it| it.affiliation == Affiliation::Admin)
                    .for_each(|it| it.affiliation = Affiliation::Owner);
            }
        }
    }

    /// Somebody has got another address.
    pub(super) fn rename_in_rooms(&mut self, from: &BareJid, to: &BareJid) {
        for Held { record, .. } in self.rooms.values_mut() {
            replace(&mut record.creator, from, to);
            let standing = record.affiliations.remove(from);
            let hats = record.hats.worn.remove(from);
            if standing.is_none() && hats.is_none() {
                continue;
            }
            record.version += 1;
            let standing = standing.map(|it| (to.clone(), it));
            record.affiliations.extend(standing);
            if let Some(hats) = hats {
                record.hats.worn.entry(to.clone()).or_default().extend(hats);
            }
        }
    }

    pub(super) fn append_room(&mut self, append: &RoomAppend) -> RoomAppended {
        let Some(Held { record, log }) = self.rooms.get_mut(&append.room) else {
            return RoomAppended::NoSuchRoom;
        };
        let dedup = append.dedup.as_ref();
        let dedup = dedup.map(|dedup| dedup_of(&append.sender, dedup));
        if let (Some(dedup), Some((payload, placed, _))) = (&dedup, log.said(dedup.as_ref())) {
            return match payload == dedup.payload {
                true => RoomAppended::Replay(placed),
                false => RoomAppended::ReplayOtherPayload,
            };
        }
        let (sender, message) = (&append.sender, &append.message);
        let placed = log.place(sender, Direction::Received, message, 0, append.now);
        log.say(dedup.as_ref(), placed, None);
        if let Some(subject) = &append.subject {
            record.subject = Some(Subject {
                stamp: placed.stamp,
                ..subject.clone()
            });
        }
        // Only what is there can be retracted.
        let tombstone = append.tombstone.as_ref().filter(|it| it.id < placed.id);
        if let Some(tombstone) = tombstone {
            log.replace(tombstone.id, &tombstone.stanza);
        }
        RoomAppended::Stored(placed)
    }

    /// The public rooms a query wants, along the way of its page.
    fn along(&self, query: &RoomListQuery, way: &Way) -> Vec<RoomSummary> {
        let listed = self.rooms.iter();
        let listed = listed.filter_map(|(jid, it)| RoomSummary::of(jid, &it.record.config, 0));
        let listed = listed.filter(|room| query.wants(room));
        let from = way.from.as_deref();
        match way.is_backward {
            false => listed
                .filter(|room| from.is_none_or(|from| room.cursor() > from))
                .collect(),
            true => listed
                .rev()
                .filter(|room| from.is_none_or(|from| room.cursor() < from))
                .collect(),
        }
    }
}

impl Memory {
    fn read_room<T>(&self, room: &BareJid, read: impl FnOnce(&Held) -> T) -> Result<T> {
        let state = self.state();
        let held = state.rooms.get(room).map(read);
        held.ok_or(StoreError::NoSuchRoom)
    }
}

impl Rooms for Memory {
    async fn room(&self, room: &BareJid) -> Result<Option<RoomRecord>> {
        Ok(self.state().rooms.get(room).map(|held| held.record.clone()))
    }

    async fn save_room(
        &self,
        room: &BareJid,
        expected: u64,
        changes: Vec<RoomChange>,
    ) -> Result<u64> {
        self.state().save(room, expected, &changes)
    }

    async fn remove_room(&self, room: &BareJid) -> Result<()> {
        self.state().remove(room);
        Ok(())
    }

    async fn find_rooms(&self, query: &RoomListQuery) -> Result<RoomPage> {
        let way = Way::of(query);
        let state = self.state();
        let service = query.service.as_str();
        let in_all = state
            .rooms
            .iter()
            .filter(|(jid, held)| jid.domain() == service && held.record.config.public);
        let in_all = Some(in_all.count() as u64).filter(|count| *count <= COUNT_MAX);
        let count = in_all.filter(|_| query.terms.is_empty());
        Ok(way.page(state.along(query, &way), count, true))
    }

    async fn rooms(
        &self,
        service: &str,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<BareJid>> {
        let state = self.state();
        let rooms = state
            .rooms
            .keys()
            .filter(|room| room.domain() == service && after.is_none_or(|after| *room > after));
        Ok(rooms.take(max.min(LIST_MAX) as usize).cloned().collect())
    }

    async fn temporary_rooms(&self, after: Option<&BareJid>, max: u32) -> Result<Vec<BareJid>> {
        let state = self.state();
        let rooms = state.rooms.iter().filter(|(room, kept)| {
            !kept.record.config.persistent && after.is_none_or(|after| *room > after)
        });
        let rooms = rooms.map(|(room, _)| room.clone());
        Ok(rooms.take(max.min(LIST_MAX) as usize).collect())
    }

    async fn rooms_created(&self, creator: &BareJid) -> Result<u64> {
        let state = self.state();
        let created = state.rooms.values();
        let created = created.filter(|held| held.record.creator == *creator);
        Ok(created.count() as u64)
    }

    async fn append_room(&self, batch: Vec<RoomAppend>) -> Result<Vec<RoomAppended>> {
        let mut state = self.state();
        Ok(batch.iter().map(|it| state.append_room(it)).collect())
    }

    async fn room_head(&self, room: &BareJid) -> Result<u64> {
        self.read_room(room, |held| held.log.head())
    }

    async fn room_entries(&self, room: &BareJid, after: u64, max: u32) -> Result<Vec<Entry>> {
        self.read_room(room, |held| held.log.later(after, max))
    }

    async fn room_entry(&self, room: &BareJid, id: u64) -> Result<Option<Entry>> {
        self.read_room(room, |held| held.log.entry(id))
    }

    async fn room_query(&self, room: &BareJid, query: &ArchiveQuery) -> Result<Page> {
        self.read_room(room, |held| held.log.page(query))?
    }

    async fn room_bounds(&self, room: &BareJid) -> Result<Option<Bounds>> {
        self.read_room(room, |held| held.log.bounds())
    }
}
