//! Starts rooms when they are asked, starts them again when they fail, and puts them away.
//!
//! Owns: which rooms are listed in the directory. Does not own: the rooms' state. Restarted
//! by: [`crate::supervisor`]. On restart: its rooms have ended with it; all sessions say in
//! which rooms they are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{ErrorKind, StanzaError};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, Message, SpawnErr, SupervisionEvent};

use super::{Arguments, RoomActor, RoomAsk, RoomEnd, RoomMsg, Settled};
use crate::directory::RoomPlace;
use crate::metrics;
use crate::session::SessionMsg;
use crate::world::World;

/// Mail of the keeper.
pub enum KeeperMsg {
    /// A stanza for a room that is not listed.
    Ask {
        /// The room.
        room: BareJid,
        /// The stanza.
        ask: Box<RoomAsk>,
    },
    /// An operator ends a room that is not listed.
    Destroy {
        /// The room.
        room: BareJid,
        /// How.
        end: RoomEnd,
    },
    /// A room that lives on this node now has people inside.
    Open(BareJid),
    /// Nobody may be inside this room any more, which would end it.
    LookAfter(BareJid),
    /// A session is in this room, which was started again.
    Rejoin {
        /// The session.
        session: FullJid,
        /// Where it is, and as whom.
        occupancy: Box<Occupancy>,
    },
    /// A room has nothing to do.
    Rest {
        /// The room.
        room: BareJid,
        /// Its actor.
        actor: ActorId,
    },
}

impl Message for KeeperMsg {}

/// The actor.
pub struct RoomKeeper;

/// What the keeper knows.
pub struct Kept {
    world: Arc<World>,
    rooms: HashMap<ActorId, BareJid>,
}

impl Actor for RoomKeeper {
    type Msg = KeeperMsg;
    type State = Kept;
    type Arguments = Arc<World>;

    async fn pre_start(
        &self,
        _me: ActorRef<KeeperMsg>,
        world: Arc<World>,
    ) -> Result<Kept, ActorProcessingErr> {
        if world.directory.clear_rooms() {
            let slots = &world.directory.slots;
            slots.send_all(|| SessionMsg::Announce(None));
        }
        let rooms = HashMap::new();
        Ok(Kept { world, rooms })
    }

    async fn handle(
        &self,
        me: ActorRef<KeeperMsg>,
        message: KeeperMsg,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            KeeperMsg::Ask { room, ask } => kept.ask(&me, room, ask).await?,
            KeeperMsg::Destroy { room, end } => {
                let actor = kept.listed_or_opened(&me, &room).await?;
                // A room that ends meanwhile is asked again.
                let _ = actor.cast(RoomMsg::Destroy(end));
            }
            KeeperMsg::Open(room) => drop(kept.listed_or_opened(&me, &room).await?),
            KeeperMsg::LookAfter(room) => kept.look_after(&me, &room).await?,
            KeeperMsg::Rejoin { session, occupancy } => {
                kept.rejoin(&me, session, occupancy).await?;
            }
            KeeperMsg::Rest { room, actor } => kept.rest(&room, actor),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<KeeperMsg>,
        event: SupervisionEvent,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        let (who, error) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who.get_id(), error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, why) => {
                (who.get_id(), why.unwrap_or_default())
            }
            _ => return Ok(()),
        };
        // Those that were put away are not listed any more.
        if let Some(room) = kept.rooms.remove(&who) {
            tracing::error!(%room, error, "a room failed and is started again");
            metrics::actor_restarted();
            kept.world.directory.unlist_room(&room);
            kept.open(&me, &room, true).await?;
            let slots = &kept.world.directory.slots;
            slots.send_all(|| SessionMsg::Announce(Some(room.clone())));
        }
        Ok(())
    }
}

impl Kept {
    async fn ask(
        &mut self,
        me: &ActorRef<KeeperMsg>,
        room: BareJid,
        ask: Box<RoomAsk>,
    ) -> Result<(), SpawnErr> {
        let is_full = self.rooms.len() >= self.world.settings.rooms_loaded_max;
        let listed = self.world.directory.room(room.as_str());
        if listed.is_none() && is_full {
            let error = StanzaError {
                kind: ErrorKind::Wait,
                ..StanzaError::resource_constraint()
            };
            // Whoever asked may have gone.
            let _ = ask.reply.send(Settled::Refused(error));
            return Ok(());
        }
        let actor = match listed {
            Some(place) => place.actor,
            None => self.open(me, &room, false).await?,
        };
        // A room that ends meanwhile is asked again.
        let _ = actor.cast(RoomMsg::Ask(ask));
        Ok(())
    }

    async fn listed_or_opened(
        &mut self,
        me: &ActorRef<KeeperMsg>,
        room: &BareJid,
    ) -> Result<ActorRef<RoomMsg>, SpawnErr> {
        match self.world.directory.room(room.as_str()) {
            Some(place) => Ok(place.actor),
            None => self.open(me, room, false).await,
        }
    }

    /// Starts a room as after a failure: whoever is inside says so, and if nobody does, it is put
    /// away or ends.
    async fn look_after(
        &mut self,
        me: &ActorRef<KeeperMsg>,
        room: &BareJid,
    ) -> Result<(), SpawnErr> {
        let is_full = self.rooms.len() >= self.world.settings.rooms_loaded_max;
        if is_full || self.world.directory.room(room.as_str()).is_some() {
            return Ok(());
        }
        self.open(me, room, true).await?;
        let slots = &self.world.directory.slots;
        slots.send_all(|| SessionMsg::Announce(Some(room.clone())));
        Ok(())
    }

    async fn rejoin(
        &mut self,
        me: &ActorRef<KeeperMsg>,
        session: FullJid,
        occupancy: Box<Occupancy>,
    ) -> Result<(), SpawnErr> {
        let actor = match self.world.directory.room(occupancy.room.as_str()) {
            Some(place) => place.actor,
            None => self.open(me, &occupancy.room, true).await?,
        };
        // A room that fails once more asks once more.
        let _ = actor.cast(RoomMsg::Rejoin(session, occupancy));
        Ok(())
    }

    async fn open(
        &mut self,
        me: &ActorRef<KeeperMsg>,
        room: &BareJid,
        again: bool,
    ) -> Result<ActorRef<RoomMsg>, SpawnErr> {
        let occupants = Arc::new(AtomicU32::new(0));
        let arguments = Arguments {
            world: self.world.clone(),
            jid: room.clone(),
            occupants: occupants.clone(),
            again,
        };
        let (actor, _task) = Actor::spawn_linked(None, RoomActor, arguments, me.get_cell()).await?;
        self.rooms.insert(actor.get_id(), room.clone());
        let place = RoomPlace {
            actor: actor.clone(),
            occupants,
        };
        self.world.directory.list_room(room.clone(), place);
        Ok(actor)
    }

    fn rest(&mut self, room: &BareJid, actor: ActorId) {
        let listed = self.world.directory.room(room.as_str());
        if self.rooms.remove(&actor).is_none() {
            return;
        }
        if let Some(place) = listed.filter(|place| place.actor.get_id() == actor) {
            self.world.directory.unlist_room(room);
            place.actor.stop(None);
        }
    }
}
