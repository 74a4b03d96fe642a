//! Rooms in PostgreSQL: `record.rs` reads what is remembered of a room, `change.rs` changes it,
//! `list.rs` finds rooms, `notes.rs` is what a message says of its room, `forget.rs` what a
//! removed account was to rooms.

mod change;
pub(super) mod forget;
mod list;
pub(super) mod notes;
mod record;

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Entry, Page};
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::features::muc::search::RoomListQuery;
use klatsch_protocol::features::muc::service::RoomPage;
use klatsch_protocol::jid::BareJid;

use super::log::LogOf;
use super::{Postgres, bare, unsigned};
use crate::error::Result;
use crate::log::{LogAppend, LogAppended, Logs};
use crate::rooms::list::page;
use crate::rooms::{LIST_MAX, RoomAppend, RoomAppended, Rooms};

impl Rooms for Postgres {
    async fn room(&self, room: &BareJid) -> Result<Option<RoomRecord>> {
        self.read_room(room).await
    }

    async fn save_room(
        &self,
        room: &BareJid,
        expected: u64,
        changes: Vec<RoomChange>,
    ) -> Result<u64> {
        let room = room.clone();
        self.write(move |connection| {
            Box::pin(async move { change::save(connection, &room, expected, &changes).await })
        })
        .await
    }

    async fn remove_room(&self, room: &BareJid) -> Result<()> {
        let room = room.clone();
        self.write(move |connection| {
            Box::pin(async move { change::remove(connection, &room).await })
        })
        .await
    }

    async fn find_rooms(&self, query: &RoomListQuery) -> Result<RoomPage> {
        page(self, query).await
    }

    async fn rooms(
        &self,
        service: &str,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<BareJid>> {
        let rooms: Vec<String> = sqlx::query_scalar(list::ROOMS)
            .bind(service)
            .bind(after.map_or("", BareJid::as_str))
            .bind(i64::from(max.min(LIST_MAX)))
            .fetch_all(&self.pool)
            .await?;
        rooms.iter().map(|text| bare(text)).collect()
    }

    async fn temporary_rooms(&self, after: Option<&BareJid>, max: u32) -> Result<Vec<BareJid>> {
        let rooms: Vec<String> = sqlx::query_scalar(list::TEMPORARY)
            .bind(after.map_or("", BareJid::as_str))
            .bind(i64::from(max.min(LIST_MAX)))
            .fetch_all(&self.pool)
            .await?;
        rooms.iter().map(|text| bare(text)).collect()
    }

    async fn rooms_created(&self, creator: &BareJid) -> Result<u64> {
        let count = sqlx::query_scalar(list::CREATED)
            .bind(creator.as_str())
            .fetch_one(&self.pool)
            .await?;
        unsigned(count)
    }

    async fn append_room(&self, batch: Vec<RoomAppend>) -> Result<Vec<RoomAppended>> {
        let batch = batch.into_iter().map(Box::new).map(LogAppend::Room);
        let answers = self.append_all(batch.collect()).await?.into_iter();
        Ok(answers.filter_map(LogAppended::room).collect())
    }

    async fn room_head(&self, room: &BareJid) -> Result<u64> {
        self.find_head(&LogOf::Room(room.clone())).await
    }

    async fn room_entries(&self, room: &BareJid, after: u64, max: u32) -> Result<Vec<Entry>> {
        self.entries_of(&LogOf::Room(room.clone()), after, max)
            .await
    }

    async fn room_entry(&self, room: &BareJid, id: u64) -> Result<Option<Entry>> {
        let next = self.room_entries(room, id.saturating_sub(1), 1).await?;
        Ok(next.into_iter().find(|entry| entry.id == id))
    }

    async fn room_query(&self, room: &BareJid, query: &ArchiveQuery) -> Result<Page> {
        let log = self.number(&LogOf::Room(room.clone())).await?;
        self.page(log, query).await
    }

    async fn room_bounds(&self, room: &BareJid) -> Result<Option<Bounds>> {
        let log = self.number(&LogOf::Room(room.clone())).await?;
        self.find_bounds(log).await
    }
}
