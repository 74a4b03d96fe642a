//! Carries out what a room has decided.

use klatsch_protocol::archive::{ArchiveQuery, Entry, PageFrom};
use klatsch_protocol::features::Service;
use klatsch_protocol::features::muc::effect::{
    Broadcast, HistoryQuery, Load, RoomAnswer, RoomEffect, RoomQuery, Save,
};
use klatsch_protocol::features::muc::facts::Creator;
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{Stanza, StanzaError};
use klatsch_store::StoreError;

use super::{Answered, Live, Received, RoomMsg, Stage, Step, Wait};
use crate::mail::{Heard, RoomMail};
use crate::router::{self, STALE_MAX, Way, patiently, refusal_of};
use crate::world::World;

impl Live {
    /// Carries out one effect. One that takes time leaves [`Step::Waiting`] behind.
    pub(super) fn perform(&mut self, effect: RoomEffect) {
        match effect {
            RoomEffect::Send(stanza) => self.send(stanza),
            RoomEffect::Broadcast(broadcast) => self.broadcast(broadcast),
            RoomEffect::Show(session, stanzas) => self.tell(&[session], RoomMail::Shown(stanzas)),
            RoomEffect::Post(post) => self.post(post),
            RoomEffect::Keep(keep) => {
                let step = self.start_keeping(keep, None);
                self.steps.push_front(step);
            }
            RoomEffect::Save(save) => self.save(save),
            RoomEffect::Load(load) => self.load(load),
            RoomEffect::Remember(session, occupancy) => {
                let mail = RoomMail::Remember(self.jid.clone(), Some(occupancy));
                self.world.directory.tell(&[session], mail);
            }
            RoomEffect::Forget(session, joined) => {
                self.departed.note(&session, joined);
                let mail = RoomMail::Remember(self.jid.clone(), None);
                self.world.directory.tell(&[session], mail);
            }
            RoomEffect::CaughtUp(session, id) => {
                let mail = RoomMail::CaughtUp(self.jid.clone(), id);
                self.world.directory.tell(&[session], mail);
            }
            RoomEffect::Vanish => self.vanish(),
            RoomEffect::Trace(what, why) => tracing::trace!(room = %self.jid, what, why),
        }
    }

    /// Hands a stanza to its address.
    pub(super) fn send(&mut self, stanza: Stanza) {
        match router::route(&self.world, &stanza) {
            Way::Done => {}
            Way::Refused(error) => self.come_back(&stanza, &error),
            // Rooms do not enter rooms, and ask no services.
            Way::Room | Way::Service(..) => {
                tracing::trace!(room = %self.jid, "a stanza for a service");
            }
            Way::Account(account) => {
                let world = self.world.clone();
                tokio::spawn(async move {
                    router::decide_for_account(&world, &account, &stanza, 0).await;
                });
            }
        }
    }

    /// A stanza of the room has come back: a request is refused in the other's name; and who
    /// cannot be reached is not inside (§11.1).
    fn come_back(&mut self, stanza: &Stanza, error: &StanzaError) {
        if let (Stanza::Iq(_), Some(reply)) = (stanza, stanza.error_reply(error)) {
            self.inbox.push_back(Received::Stanza(reply));
        } else if let Some(session) = stanza.to().and_then(|to| to.to_full()) {
            self.inbox.push_back(Received::Gone(session));
        }
    }

    fn broadcast(&mut self, broadcast: Broadcast) {
        let Broadcast { stanza, to, entry } = broadcast;
        if self.world.directory.peers().is_some() {
            self.lately.note(&stanza);
        }
        let room = self.jid.clone();
        let heard = Heard {
            room,
            stanza,
            entry,
        };
        self.tell(&to, RoomMail::Heard(Box::new(heard)));
    }

    /// Tells sessions; those that are not there any more leave the room.
    pub(super) fn tell(&mut self, to: &[FullJid], mail: RoomMail) {
        let gone = self.world.directory.tell(to, mail);
        self.inbox.extend(gone.into_iter().map(Received::Gone));
    }

    fn save(&mut self, save: Box<Save>) {
        let expected = self.room().map_or(0, |room| room.record().version);
        let changes = save.changes.clone();
        self.steps.push_front(Step::Waiting(Wait::Save(save)));
        let (world, jid) = (self.world.clone(), self.jid.clone());
        self.later(async move {
            let saved = world.store.save_room(&jid, expected, changes);
            Answered::Saved(patiently(saved).await)
        });
    }

    fn load(&mut self, load: Box<Load>) {
        let query = load.query.clone();
        let allowed = match (&query, load.origin.from()) {
            (RoomQuery::Archive(query), Some(reader)) => {
                router::may_search(&self.world, reader, query)
            }
            _ => Ok(()),
        };
        self.steps.push_front(Step::Waiting(Wait::Load(load)));
        let (world, jid) = (self.world.clone(), self.jid.clone());
        self.later(async move {
            Answered::Loaded(match allowed {
                Ok(()) => ask(&world, &jid, &query).await,
                Err(error) => RoomAnswer::Failed(error),
            })
        });
    }

    fn vanish(&mut self) {
        self.steps.push_front(Step::Waiting(Wait::Vanish));
        let (world, jid) = (self.world.clone(), self.jid.clone());
        self.later(
            async move { Answered::Vanished(patiently(world.store.remove_room(&jid)).await) },
        );
    }

    fn reload(&mut self, save: Box<Save>) {
        self.steps.push_front(Step::Waiting(Wait::Reload(save)));
        let (world, jid) = (self.world.clone(), self.jid.clone());
        self.later(async move {
            let record = patiently(world.store.room(&jid)).await;
            Answered::Reloaded(record.map(|it| it.map(Box::new)))
        });
    }

    /// Looks at what is remembered, if the account is something here.
    pub(super) fn reread(&mut self, account: &BareJid) {
        let knows = |room: &Room| {
            let record = room.record();
            let is_known = record.affiliations.contains_key(account);
            !room.is_locked() && (is_known || record.hats.worn.contains_key(account))
        };
        if !self.room().is_some_and(knows) {
            return;
        }
        self.steps.push_back(Step::Waiting(Wait::Reread));
        let (world, jid) = (self.world.clone(), self.jid.clone());
        self.later(async move {
            let record = patiently(world.store.room(&jid)).await;
            Answered::Reloaded(record.map(|it| it.map(Box::new)))
        });
    }

    fn reread_done(&mut self, record: Result<Option<Box<RoomRecord>>, StoreError>) {
        let before = self.room().map_or(0, |room| room.record().version);
        match record {
            Ok(Some(record)) if record.version != before => {
                let effects = self.with_room(|room, facts| room.reloaded(*record, facts));
                self.prepend(effects);
            }
            Ok(_) => {}
            // The next change finds out.
            Err(error) => tracing::warn!(room = %self.jid, %error, "a room cannot be read"),
        }
    }

    /// Does something off the actor's loop; its answer comes as mail.
    fn later(&self, answer: impl Future<Output = Answered> + Send + 'static) {
        let me = self.me.clone();
        tokio::spawn(async move {
            let answered = answer.await;
            // A room that is gone meanwhile has nobody to tell.
            let _ = me.cast(RoomMsg::Answered(Box::new(answered)));
        });
    }

    /// What was waited for has come.
    pub(super) fn answered(&mut self, answered: Answered) {
        let Some(Step::Waiting(wait)) = self.steps.pop_front() else {
            debug_assert!(false, "an answer to nothing");
            return;
        };
        match (wait, answered) {
            (Wait::Creator(stanza), Answered::Creator(creator)) => self.found(&stanza, creator),
            (Wait::Load(load), Answered::Loaded(answer)) => {
                let effects = self.with_room(|room, facts| room.loaded(&load, answer, facts));
                self.prepend(effects);
            }
            (Wait::Save(save), Answered::Saved(saved)) => self.saved(save, saved),
            (Wait::Reload(save), Answered::Reloaded(record)) => self.reloaded(*save, record),
            (Wait::Reread, Answered::Reloaded(record)) => self.reread_done(record),
            (Wait::Vanish, Answered::Vanished(removed)) => self.vanished(removed),
            _ => debug_assert!(false, "an answer to another question"),
        }
        self.drive();
    }

    fn found(&mut self, stanza: &Stanza, creator: Result<Creator, StoreError>) {
        match creator {
            Ok(creator) if self.room().is_some() => self.decide_for_steward(stanza, creator),
            Ok(creator) => self.create(stanza, creator),
            Err(error) => {
                let reply = stanza.error_reply(&refusal_of(&error));
                self.prepend(reply.map(RoomEffect::Send).into_iter().collect());
            }
        }
    }

    /// Decides a stanza to a room that nobody owns. Those who administer another domain are
    /// nobody here.
    fn decide_for_steward(&mut self, stanza: &Stanza, sender: Creator) {
        let domain = stanza.from().map(|from| from.domain());
        let service = domain.and_then(|domain| Service::Rooms.at(domain));
        let is_home = service.is_some_and(|service| service.as_str() == self.jid.domain());
        self.is_steward = sender.is_operator && is_home;
        let effects = self.with_room(|room, facts| room.decide(stanza, facts));
        self.prepend(effects);
    }

    fn saved(&mut self, save: Box<Save>, saved: Result<u64, StoreError>) {
        let effects = match saved {
            Ok(version) => self.with_room(|room, facts| room.saved(*save, version, facts)),
            Err(StoreError::Conflict) if self.decisions < STALE_MAX => {
                return self.reload(save);
            }
            Err(error) => self.with_room(|room, _| room.not_saved(&save, refusal_of(&error))),
        };
        self.prepend(effects);
    }

    /// Somebody else has changed the record: what was decided is decided again.
    fn reloaded(&mut self, save: Save, record: Result<Option<Box<RoomRecord>>, StoreError>) {
        let record = match record {
            Ok(Some(record)) => record,
            Ok(None) => {
                let gone = StanzaError::item_not_found();
                let effects = self.with_room(|room, _| room.not_saved(&save, gone));
                return self.prepend(effects);
            }
            Err(error) => {
                let refusal = refusal_of(&error);
                let effects = self.with_room(|room, _| room.not_saved(&save, refusal));
                return self.prepend(effects);
            }
        };
        self.decisions += 1;
        // What is left of the decision was decided on what does not hold.
        self.steps.retain(|step| matches!(step, Step::Settle(..)));
        let mut effects = self.with_room(|room, facts| room.reloaded(*record, facts));
        effects.extend(self.with_room(|room, facts| room.decide(&save.origin, facts)));
        self.prepend(effects);
    }

    fn vanished(&mut self, removed: Result<(), StoreError>) {
        if let Err(error) = removed {
            tracing::warn!(room = %self.jid, %error, "a room that is over is still remembered");
        }
        self.stage = Stage::Absent;
        self.told = None;
    }
}

/// Asks the store about a room.
async fn ask(world: &World, room: &BareJid, query: &RoomQuery) -> RoomAnswer {
    let store = &world.store;
    let answered = match query {
        RoomQuery::History(query) => patiently(history(world, room, query)).await,
        RoomQuery::Archive(query) => patiently(store.room_query(room, query))
            .await
            .map(RoomAnswer::Page),
        RoomQuery::Bounds => patiently(store.room_bounds(room))
            .await
            .map(RoomAnswer::Bounds),
        RoomQuery::Entry(id) => patiently(store.room_entry(room, *id))
            .await
            .map(RoomAnswer::Entry),
        RoomQuery::Rooms(query) => patiently(store.find_rooms(query))
            .await
            .map(RoomAnswer::Rooms),
    };
    match answered {
        Ok(answer) => answer,
        Err(StoreError::NoSuchItem) => RoomAnswer::NoSuchItem,
        // A room that waits for its owner's form is not in the store, and has said nothing.
        Err(StoreError::NoSuchRoom) => nothing_yet(query),
        Err(error) => RoomAnswer::Failed(refusal_of(&error)),
    }
}

fn nothing_yet(query: &RoomQuery) -> RoomAnswer {
    match query {
        RoomQuery::History(_) => RoomAnswer::History {
            entries: Vec::new(),
            head: 0,
        },
        RoomQuery::Bounds => RoomAnswer::Bounds(None),
        _ => RoomAnswer::Failed(StanzaError::item_not_found()),
    }
}

/// The last messages, and where the log ends.
async fn history(
    world: &World,
    room: &BareJid,
    query: &HistoryQuery,
) -> Result<RoomAnswer, StoreError> {
    let head = world.store.room_head(room).await?;
    let entries = match query.stanzas_max {
        0 => Vec::new(),
        max => last_entries(world, room, query, max).await?,
    };
    Ok(RoomAnswer::History { entries, head })
}

async fn last_entries(
    world: &World,
    room: &BareJid,
    query: &HistoryQuery,
    max: u32,
) -> Result<Vec<Entry>, StoreError> {
    let query = ArchiveQuery {
        start: query.since,
        page: PageFrom::End,
        max,
        ..ArchiveQuery::default()
    };
    Ok(world.store.room_query(room, &query).await?.entries)
}
