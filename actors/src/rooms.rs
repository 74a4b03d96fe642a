//! The handle by which operators reach rooms: what the store remembers of them, and who is in
//! those that are at hand; rooms that come with something else are made in [`found`].

pub mod found;
pub(crate) mod groups;

use std::sync::Arc;

use klatsch_protocol::features::Service;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::BareJid;
use klatsch_store::StoreError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::room::{RoomMsg, Settled, ask};
use crate::router::patiently;
use crate::world::{STORE_PATIENCE, World};

/// The rooms of this server.
#[derive(Clone)]
pub struct Rooms {
    world: Arc<World>,
}

impl Rooms {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// The rooms of a domain that the store remembers, after one of them, at most `max`, with
    /// how many sessions are inside.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(
        &self,
        domain: &BareJid,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<(BareJid, u32)>, StoreError> {
        let Some(service) = Service::Rooms.at(domain.as_str()) else {
            return Ok(Vec::new());
        };
        let rooms = patiently(self.world.store.rooms(service.as_str(), after, max)).await?;
        let inside = |room: BareJid| {
            let inside = self.world.directory.occupants(&room);
            (room, inside)
        };
        Ok(rooms.into_iter().map(inside).collect())
    }

    /// A room as data; `None` when there is none.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn inspect(&self, room: &BareJid) -> Result<Option<Box<Room>>, StoreError> {
        if let Some(live) = self.look_at(room).await {
            return Ok(Some(live));
        }
        let record = patiently(self.world.store.room(room)).await?;
        Ok(record.map(|record| Box::new(Room::open(room.clone(), record))))
    }

    /// A room that is at hand.
    async fn look_at(&self, room: &BareJid) -> Option<Box<Room>> {
        let place = self.world.directory.room(room.as_str())?;
        let (reply, live) = oneshot::channel();
        place.actor.cast(RoomMsg::Inspect(reply)).ok()?;
        timeout(STORE_PATIENCE, live).await.ok()?.ok()?
    }

    /// Ends a room in the name of the server (XEP-0045 §10.9): everybody inside is told.
    /// False: there is no such room.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn destroy(&self, room: &BareJid, reason: Option<&str>) -> Result<bool, StoreError> {
        if self.inspect(room).await?.is_none() {
            return Ok(false);
        }
        match ask::destroy(&self.world, room, reason).await {
            Settled::Done | Settled::Replied(_) => {}
            Settled::Refused(_) | Settled::Uncertain => {
                return Err(StoreError::Unavailable("the room does not answer".into()));
            }
        }
        // A room that could not be removed says so by being there.
        match patiently(self.world.store.room(room)).await? {
            Some(_) => Err(StoreError::Unavailable("the room is still there".into())),
            None => Ok(true),
        }
    }
}

/// Rooms at hand that know an account look at what is remembered of them: it was removed, and
/// whoever has its address next is nobody there (row C15).
pub(crate) fn reread_here(world: &World, account: &BareJid) {
    for (_, place) in world.directory.rooms() {
        // A room that has just ended is read anew.
        let _ = place.actor.cast(RoomMsg::Reread(account.clone()));
    }
}
