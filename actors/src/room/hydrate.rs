//! How a room's actor begins and is put away.

use std::time::Duration;

use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::features::muc::facts::{Creator, RoomFacts};
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;
use klatsch_store::StoreError;
use ractor::ActorRef;

use super::keeper::KeeperMsg;
use super::{
    Answered, Arguments, IDLE, Live, REGATHERING, REJOINING, Received, RoomMsg, Settled, Stage,
    Step, Wait, facts,
};
use crate::absence::SHOWN_BY;
use crate::administration::has_role;
use crate::mail::RoomMail;
use crate::metrics;
use crate::router::{patiently, refusal_of};
use crate::world::World;

impl Live {
    pub(super) fn new(arguments: Arguments, me: ActorRef<RoomMsg>) -> Self {
        let Arguments {
            world,
            jid,
            occupants,
            again,
        } = arguments;
        metrics::room_began();
        let live = Self {
            world,
            me,
            jid,
            inside: occupants,
            stage: Stage::Loading,
            is_rejoining: again,
            is_regathering: again,
            rejoining: Vec::new(),
            departed: Default::default(),
            lately: Default::default(),
            inbox: Default::default(),
            steps: Default::default(),
            overlaps: false,
            decisions: 0,
            counted: None,
            is_steward: false,
            tickets: 0,
            told: None,
            is_said_again: true,
            activity: 0,
            is_closing: false,
        };
        live.ask_record();
        if again {
            live.me.send_after(REGATHERING, || RoomMsg::Regathered);
            live.me.send_after(SHOWN_BY, || RoomMsg::ShowLatest);
            live.me.send_after(REJOINING, || RoomMsg::Rejoined);
        }
        live
    }

    fn ask_record(&self) {
        let (world, me, jid) = (self.world.clone(), self.me.clone(), self.jid.clone());
        tokio::spawn(async move {
            let record = patiently(world.store.room(&jid)).await;
            // A room that is gone meanwhile has nobody to tell.
            let _ = me.cast(RoomMsg::Hydrated(record.map(|it| it.map(Box::new))));
        });
    }

    /// What the store remembers has come.
    pub(super) fn hydrated(&mut self, record: Result<Option<Box<RoomRecord>>, StoreError>) {
        if self.is_closing {
            // It lives elsewhere by now.
            return;
        }
        self.stage = match record {
            Ok(Some(record)) => Stage::Here(Box::new(Room::open(self.jid.clone(), *record))),
            Ok(None) => Stage::Absent,
            Err(error) => return self.unread(&error),
        };
        for (session, occupancy) in std::mem::take(&mut self.rejoining) {
            self.rejoin(session, occupancy);
        }
        self.gather();
        self.drive();
    }

    /// The store does not answer: nobody knows what the room is like, so nobody is told that they
    /// are not inside. It is read again when somebody asks, or when the nodes are looked at.
    fn unread(&mut self, error: &StoreError) {
        tracing::warn!(room = %self.jid, %error, "a room cannot be read");
        self.stage = Stage::Unread;
        self.rejoining.clear();
        self.refuse_all(error);
        self.drive();
    }

    /// A room that comes from another node finds its occupants with their nodes. Those that were
    /// on a node that has just been lost go now, so that the others hear of it.
    fn gather(&mut self) {
        let Some(replica) = self.world.directory.replica() else {
            return;
        };
        let (inside, lost) = (
            replica.insiders(&self.jid),
            replica.lost_insiders(&self.jid),
        );
        if inside.is_empty() {
            // There is nobody who would have to hear that the others have gone.
            return;
        }
        let gone = lost.iter().map(|(session, _)| session.clone());
        let gone: Vec<FullJid> = gone.collect();
        for (session, occupancy) in inside.into_iter().chain(lost) {
            self.bring_back(session, Box::new(occupancy));
        }
        self.inbox.extend(gone.into_iter().map(Received::Gone));
    }

    /// Nobody is told of somebody whom all have seen before.
    fn bring_back(&mut self, session: FullJid, occupancy: Box<Occupancy>) {
        match self.stage {
            Stage::Here(_) => {
                let again = |room: &mut Room, facts: &RoomFacts<'_>| {
                    room.rejoin(&session, &occupancy, false, facts)
                };
                let effects = self.with_room(again);
                self.plan(effects, false, None);
            }
            // A new room that waited for its owner's form is remembered nowhere.
            _ => self.tell(&[session], RoomMail::Remember(self.jid.clone(), None)),
        }
    }

    /// Nobody can be answered who waits.
    fn refuse_all(&mut self, error: &StoreError) {
        for received in self.inbox.drain(..) {
            if let Received::Ask(ask) = received {
                // Whoever asked may have gone.
                let _ = ask.reply.send(Settled::Refused(refusal_of(error)));
            }
        }
    }

    /// The sessions inside have had time to say so. What was committed when the room failed
    /// may have been told to nobody: everybody hears where the log ends.
    pub(super) fn regathered(&mut self) {
        self.is_regathering = false;
        self.ask_head();
        self.drive();
    }

    /// Finds out what the one may do who enters a room that is not there, or manages one that
    /// nobody owns.
    pub(super) fn ask_creator(&mut self, stanza: &Stanza) {
        let Some(account) = stanza.from().map(|from| from.bare()) else {
            return;
        };
        let (world, me) = (self.world.clone(), self.me.clone());
        self.steps
            .push_back(Step::Waiting(Wait::Creator(Box::new(stanza.clone()))));
        tokio::spawn(async move {
            let creator = patiently(creator(&world, &account)).await;
            // A room that is gone meanwhile has nobody to tell.
            let _ = me.cast(RoomMsg::Answered(Box::new(Answered::Creator(creator))));
        });
    }

    /// Makes a room for whoever enters it first.
    pub(super) fn create(&mut self, stanza: &Stanza, creator: Creator) {
        let facts = facts(&self.world);
        let (room, effects) = Room::create(self.jid.clone(), stanza, creator, &facts);
        if let Some(room) = room {
            self.stage = Stage::Here(Box::new(room));
            // A little later than the time itself, so that it is over then.
            let after = self.world.settings.rooms.lock_time() + Duration::from_secs(1);
            self.me.send_after(after, || RoomMsg::Tick);
        }
        self.prepend(effects);
    }

    /// Looks whether there is nothing to do: a room that is not there goes at once, one that
    /// nobody is in after a while.
    pub(super) fn look_for_rest(&mut self) {
        match self.stage {
            _ if !self.is_quiet() || self.is_closing => {}
            Stage::Loading => {}
            Stage::Absent | Stage::Unread => self.close(),
            Stage::Here(_) => {
                let activity = self.activity;
                self.me.send_after(IDLE, move || RoomMsg::Rest(activity));
            }
        }
    }

    fn is_quiet(&self) -> bool {
        let is_idle = self.room().is_none_or(Room::is_idle);
        is_idle && !self.is_regathering && self.inbox.is_empty() && self.steps.is_empty()
    }

    pub(super) fn rest(&mut self, activity: u64) {
        if activity != self.activity || !self.is_quiet() {
            return;
        }
        // Whoever was in a temporary room has gone with their node, without a word.
        let effects = match self.may_be_inhabited(None) {
            true => Vec::new(),
            false => self.with_room(|room, _| room.end_if_empty()),
        };
        match effects.is_empty() {
            true => self.close(),
            false => {
                self.plan(effects, false, None);
                self.drive();
            }
        }
    }

    /// From here on whoever asks is not heard, and asks again; the keeper ends the actor.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
        let rest = KeeperMsg::Rest {
            room: self.jid.clone(),
            actor: self.me.get_id(),
        };
        if self.world.registry.room_keeper().cast(rest).is_err() {
            // It is being started again, without us.
            self.me.stop(None);
        }
    }
}

async fn creator(world: &World, account: &BareJid) -> Result<Creator, StoreError> {
    let rooms = world.store.rooms_created(account).await?;
    let credentials = world.store.credentials(account).await?;
    Ok(Creator {
        rooms: usize::try_from(rooms).unwrap_or(usize::MAX),
        is_operator: credentials.is_some_and(|it| it.admin || has_role(world, account)),
    })
}
