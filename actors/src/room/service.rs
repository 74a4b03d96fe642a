//! Answers for the service that hosts rooms.

use std::sync::Arc;

use klatsch_protocol::features::muc::effect::{Load, RoomAnswer, RoomEffect, RoomQuery};
use klatsch_protocol::features::muc::service::{self, RoomPage};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::Stanza;
use klatsch_store::StoreError;

use super::{facts, fullest};
use crate::router::{self, patiently, refusal_of};
use crate::world::World;

/// Answers a stanza to the service itself.
pub(super) async fn answer(world: &Arc<World>, address: &BareJid, stanza: &Stanza) {
    let effects = service::decide(address, stanza, &facts(world));
    for effect in effects {
        match effect {
            RoomEffect::Load(load) => {
                let answered = ask(world, &load).await;
                for effect in service::loaded(address, &load, answered) {
                    send(world, effect);
                }
            }
            other => send(world, other),
        }
    }
}

fn send(world: &World, effect: RoomEffect) {
    match effect {
        // Answers go to the session that asked, or to nobody.
        RoomEffect::Send(stanza) => drop(router::route(world, &stanza)),
        RoomEffect::Trace(what, why) => tracing::trace!(what, why),
        other => debug_assert!(false, "the service cannot ask for {other:?}"),
    }
}

async fn ask(world: &World, load: &Load) -> RoomAnswer {
    let RoomQuery::Rooms(query) = &load.query else {
        return RoomAnswer::NoSuchItem;
    };
    let found = match fullest::is_asked_for(query) {
        true => fullest::find(world, query).await,
        false => {
            let found = patiently(world.store.find_rooms(query)).await;
            found.map(|page| counted(world, page))
        }
    };
    match found {
        Ok(page) => RoomAnswer::Rooms(page),
        Err(StoreError::NoSuchItem) => RoomAnswer::NoSuchItem,
        Err(error) => RoomAnswer::Failed(refusal_of(&error)),
    }
}

/// The store does not know who is inside; the rooms at hand do.
fn counted(world: &World, mut page: RoomPage) -> RoomPage {
    for room in &mut page.rooms {
        room.occupants = world.directory.occupants(&room.jid);
    }
    page
}
