//! What the nodes show each other: who is bound where, who is inside which room, and which
//! components are connected.
//!
//! Owns: what is known of insiders, here and there. Does not own: how it gets from node to node
//! (`klatsch_cluster` does, which knows no address), nor what is visible of accounts (the
//! presence shards do). Every entry is written by the node that has it, so that a node that is
//! gone takes its own with it and two nodes never argue.

mod acks;
mod insiders;
mod lingering;
mod records;
mod shared;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::merge::{Presences, StartError, Status};
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::presence::Change;
use klatsch_protocol::channels;
use klatsch_protocol::facts::{Resource, Views};
use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Presence;
use ractor::SpawnErr;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub use self::acks::Ack;
use self::acks::Acks;
pub(crate) use self::acks::Round;
use self::insiders::Insiders;
use self::lingering::Lingering;
pub use self::records::{Holder, Record, Revived};
use self::records::{Left, Records};
use self::shared::Shared;
use self::watch::Watch;
use crate::absence;
use crate::directory::Place;
use crate::presence_shard::{PresenceShardMsg, shard_of};
use crate::room::RoomMsg;
use crate::slot::Slot;
use crate::world::{World, now};

/// A session that another node goes on with is shown by both for so long at most, so that
/// nobody sees it go.
pub(crate) const LINGERING: Duration = Duration::from_secs(10);

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// A session.
    Session(FullJid),
    /// A session inside a room.
    Inside(BareJid, FullJid),
    /// An external component.
    Component(BareJid),
    /// How to go on with a session of this account, by its resumption id.
    Resumption(BareJid, Arc<str>),
    /// A session shown on a topic of an app.
    OnTopic(Box<str>, FullJid),
}

/// What a node shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// What is seen of a session.
    Session(Box<Resource>),
    /// As whom it is in a room.
    Inside(Box<Occupancy>),
    /// A component is connected.
    Component,
    /// How far a session is.
    Resumption(Arc<Record>),
    /// What it shows there.
    OnTopic(Box<channels::Shown>),
}

impl Entry {
    /// The presence of a session.
    fn presence(&self) -> Option<&Arc<Presence>> {
        match self {
            Self::Session(resource) => resource.presence.as_ref(),
            _ => None,
        }
    }
}

impl Key {
    fn shard(&self) -> u16 {
        match self {
            Self::Session(jid) => shard_of(jid.bare_str()),
            Self::Inside(room, _) => shard_of(room.as_str()),
            Self::Component(host) => shard_of(host.as_str()),
            Self::Resumption(account, _) => shard_of(account.as_str()),
            Self::OnTopic(topic, _) => shard_of(topic),
        }
    }
}

/// A change that arrived from another node.
pub type Arrived = Change<Key, Entry>;

/// What this node shows the others, and what it knows from them.
pub struct Replica {
    presences: Presences<Key, Entry>,
    insiders: Arc<Insiders>,
    components: Arc<papaya::HashMap<BareJid, NodeId>>,
    records: Arc<Records>,
    lingering: Lingering,
    /// Records that have changed since others were shown.
    unshown: Mutex<HashMap<Key, Record>>,
    acks: Acks,
}

impl Replica {
    /// Starts to show and to watch.
    ///
    /// # Errors
    /// An actor could not be started, which nothing but a defect causes.
    pub(crate) async fn start(world: &Arc<World>) -> Result<Option<Self>, SpawnErr> {
        let Some(peers) = world.directory.peers() else {
            return Ok(None);
        };
        let (insiders, components) = (Arc::default(), Arc::default());
        let records = Arc::default();
        let watch = Watch {
            world: Arc::downgrade(world),
            insiders: Arc::clone(&insiders),
            components: Arc::clone(&components),
            records: Arc::clone(&records),
            shared: Shared::default(),
        };
        let settings = world.settings.replication.clone();
        let link = peers.link().clone();
        let started = Presences::start(settings, link, Arc::new(watch)).await;
        let presences = started.map_err(|StartError::Spawn(error)| error)?;
        Ok(Some(Self {
            presences,
            insiders,
            components,
            records,
            lingering: Lingering::default(),
            unshown: Mutex::default(),
            acks: Acks::default(),
        }))
    }

    /// What another node has sent.
    pub(crate) fn receive(&self, from: NodeId, message: Bytes) {
        self.presences.receive(from, message);
    }

    /// Something another node has sent may be lost.
    pub(crate) fn missed(&self, from: NodeId) {
        self.presences.missed(from);
    }

    /// How replication goes, for operators.
    pub fn status(&self) -> Status {
        self.presences.status()
    }

    fn set(&self, key: Key, entry: Option<Entry>, since: u64) {
        self.presences.set(key.shard(), key, entry, since);
    }

    /// Shows what is seen of a session here, or that it has ended.
    pub(crate) fn show(&self, jid: &FullJid, resource: Option<&Resource>, since: u64) {
        let key = Key::Session(jid.clone());
        let entry = resource.map(|it| Entry::Session(Box::new(it.clone())));
        let mut lingering = self.lingering.lock();
        lingering.take(&key);
        self.set(key, entry, since);
    }

    /// The session in this slot is inside a room, or no longer: then nothing changes if another
    /// one has its name, and is inside.
    pub(crate) fn inside(
        &self,
        room: &BareJid,
        session: &FullJid,
        slot: Slot,
        occupancy: Option<&Occupancy>,
    ) {
        let key = Key::Inside(room.clone(), session.clone());
        let mut lingering = self.lingering.lock();
        match occupancy {
            Some(occupancy) => {
                let place = Place::Here(slot);
                self.insiders.put(room, session, place, occupancy);
            }
            None if self.insiders.is_of_another(room, session, slot) => return,
            None => drop(self.insiders.take_here(room, session)),
        }
        lingering.take(&key);
        let entry = occupancy.map(|it| Entry::Inside(Box::new(it.clone())));
        self.set(key, entry, since_now());
    }

    /// A component is connected here, or no longer.
    pub(crate) fn show_component(&self, host: &BareJid, is_connected: bool) {
        let entry = is_connected.then_some(Entry::Component);
        self.set(Key::Component(host.clone()), entry, since_now());
    }

    /// What a session here shows on a topic of an app, or that it shows nothing any more.
    pub(crate) fn on_topic(&self, topic: &str, who: &FullJid, shown: Option<&channels::Shown>) {
        let key = Key::OnTopic(topic.into(), who.clone());
        let entry = shown.map(|it| Entry::OnTopic(Box::new(it.clone())));
        self.set(key, entry, since_now());
    }

    /// The other node a component is connected to.
    pub(crate) fn component(&self, host: &str) -> Option<(BareJid, NodeId)> {
        let components = self.components.pin();
        let found = components.get_key_value(host);
        found.map(|(host, node)| (host.clone(), *node))
    }

    /// A session is so far now. Others see it a little later, with what else has changed.
    pub(crate) fn record(&self, previd: &str, record: Record) {
        let account = record.facts.jid.bare();
        let key = Key::Resumption(account, previd.into());
        let mut unshown = self.unshown.lock().expect("no holder panics");
        unshown.insert(key, record);
    }

    /// A client wants to be told once the others know what has just been recorded.
    pub(crate) fn acknowledge_when_known(&self, slot: Slot, ack: Ack) {
        self.acks.ask(slot, ack);
    }

    /// Shows the records that have changed; answers, once they are on their way, what is to be
    /// sent back by those who know them.
    pub(crate) async fn show_records(&self) -> Option<Round> {
        // In this order: a record is there before anybody waits for it.
        let round = self.acks.shown(Instant::now());
        self.show_changed_records();
        if round.is_some() {
            self.presences.sent().await;
        }
        round
    }

    fn show_changed_records(&self) {
        // A session that ends forgets its record behind this, and not in between.
        let mut unshown = self.unshown.lock().expect("no holder panics");
        for (key, record) in std::mem::take(&mut *unshown) {
            let entry = Entry::Resumption(Arc::new(record));
            self.set(key, Some(entry), since_now());
        }
    }

    /// Tells whether everything is known here that a node has shown until now.
    pub(crate) async fn knows_all_of(&self, node: NodeId) -> bool {
        self.presences.knows_all_of(node).await
    }

    /// A node knows what was shown before this round.
    pub(crate) fn sent_back(&self, from: NodeId, round: Round) {
        self.acks.came_back(from, round);
    }

    /// Whether anybody waits to be told what all these nodes know.
    pub(crate) fn has_acks_known_by(&self, nodes: &[NodeId]) -> bool {
        self.acks.are_known_by(nodes, Instant::now())
    }

    /// Who can be acknowledged.
    pub(crate) fn take_known_acks(&self) -> HashMap<Slot, Ack> {
        self.acks.take_known()
    }

    /// A session here can be resumed no longer, or is another node's.
    pub(crate) fn forget_record(&self, account: &BareJid, previd: &str) {
        let key = Key::Resumption(account.clone(), previd.into());
        let mut unshown = self.unshown.lock().expect("no holder panics");
        unshown.remove(&key);
        self.set(key, None, since_now());
    }

    /// How much another node's session has handled, as far as is known here.
    pub fn handled(&self, account: &BareJid, previd: &str) -> Option<u32> {
        self.records.handled(account, previd)
    }

    /// The node that has a session which can be resumed, or had it when it was lost.
    pub(crate) fn holder(&self, account: &BareJid, previd: &str) -> Option<Holder> {
        self.records.holder(account, previd)
    }

    /// The session of a node that is gone or does not answer.
    pub(crate) fn revive(
        &self,
        world: &World,
        account: &BareJid,
        previd: &str,
        h: u32,
    ) -> Option<Revived> {
        let seen = |session: &FullJid| {
            let view = world.directory.view(account);
            let resource = view.resource(session).cloned();
            Left::new(resource, self.insiders.rooms_of(session))
        };
        self.records.revive(account, previd, h, seen)
    }

    /// Tells whether contacts here have been told that a session has gone with its node, which
    /// holds no longer.
    pub(crate) fn take_told_gone(&self, session: &FullJid) -> bool {
        self.records.found(session)
    }

    /// Another node goes on with a session: what is shown of it stays until that node shows it,
    /// or for so long. Its presence shard says so when it frees the name, and nobody else: it
    /// knows whether another session here has the name.
    pub(crate) fn linger(&self, session: &FullJid, time: Duration) {
        let key = Key::Session(session.clone());
        self.lingering.lock().put(key, Instant::now() + time);
    }

    /// The same for a room it is inside.
    pub(crate) fn linger_inside(
        &self,
        room: &BareJid,
        session: &FullJid,
        slot: Slot,
        time: Duration,
    ) {
        let mut lingering = self.lingering.lock();
        if !self.insiders.is_of_another(room, session, slot) {
            let key = Key::Inside(room.clone(), session.clone());
            lingering.put(key, Instant::now() + time);
        }
    }

    /// Nobody shows a session that has left this node: it goes, if it lingers still. Its presence
    /// shard says so.
    pub(crate) fn give_up(&self, session: &FullJid) -> bool {
        self.stop_lingering(&Key::Session(session.clone()))
    }

    /// What lingers is shown no longer; false: it does not linger.
    fn stop_lingering(&self, key: &Key) -> bool {
        let mut lingering = self.lingering.lock();
        let lingers = lingering.take(key);
        if lingers {
            self.set(key.clone(), None, since_now());
        }
        lingers
    }

    /// Stops showing what nobody has taken over in time.
    pub(crate) fn sweep(&self, world: &Arc<World>, kept: Duration) {
        let now = Instant::now();
        self.records.sweep(now, kept);
        for key in self.lingering.over(now) {
            match key {
                Key::Session(session) => drop(tokio::spawn(give_up(world.clone(), session))),
                Key::Inside(room, session) => self.give_up_inside(world, room, session),
                _ => {}
            }
        }
        self.insiders.forget_lost(now);
    }

    /// The same for a room such a session was inside.
    fn give_up_inside(&self, world: &World, room: BareJid, session: FullJid) {
        let place = world.directory.room(room.as_str());
        let key = Key::Inside(room.clone(), session.clone());
        let mut lingering = self.lingering.lock();
        if !lingering.take(&key) {
            return;
        }
        if self.insiders.take_here(&room, &session)
            && let Some(place) = place
        {
            // A room that has just ended looks at all of them when it begins.
            let _ = place.actor.cast(RoomMsg::Gone(session));
        }
        self.set(key, None, since_now());
    }

    /// Everybody who is inside a room, on whichever node.
    pub fn insiders(&self, room: &BareJid) -> Vec<(FullJid, Occupancy)> {
        self.insiders.of(room)
    }

    /// How many they are.
    pub(crate) fn count(&self, room: &BareJid) -> u32 {
        u32::try_from(self.insiders.count(room)).unwrap_or(u32::MAX)
    }

    /// Tells whether a node shows a session as inside.
    pub(crate) fn is_inside(&self, room: &BareJid, session: &FullJid) -> bool {
        self.insiders.has(room, session)
    }

    /// Where a session is that is shown as inside.
    pub(crate) fn place_of_insider(&self, room: &BareJid, session: &FullJid) -> Option<Place> {
        self.insiders.place_of(room, session)
    }

    /// The rooms a session is inside.
    pub(crate) fn rooms_of(&self, session: &FullJid) -> Vec<BareJid> {
        let inside = self.insiders.rooms_of(session).into_iter();
        inside.map(|occupancy| occupancy.room).collect()
    }

    /// Those of them whose sessions are on this node.
    pub(crate) fn insiders_here(&self, room: &BareJid) -> Vec<FullJid> {
        self.insiders.here(room)
    }

    /// Who was inside a room on a node that has just been lost.
    pub(crate) fn lost_insiders(&self, room: &BareJid) -> Vec<(FullJid, Occupancy)> {
        self.insiders.lost(room)
    }

    /// All rooms somebody is inside.
    pub(crate) fn rooms(&self) -> Vec<BareJid> {
        self.insiders.rooms()
    }

    /// Returns when it no longer works: a defect, after which this node has to begin another
    /// life, for what it has shown is lost.
    pub(crate) async fn ended(&self) {
        self.presences.ended().await;
    }

    /// Stops showing anything.
    pub(crate) async fn stop(&self) {
        self.presences.stop().await;
    }
}

/// When an entry began, milliseconds since 1970: of two nodes that have the same, the later has it.
pub(crate) fn since_now() -> u64 {
    u64::try_from(now().0 / 1000).unwrap_or(0)
}

/// A session that left this node has lingered for long enough. A shard that is being started again
/// is asked once more a second later.
async fn give_up(world: Arc<World>, jid: FullJid) {
    let (reply, given_up) = oneshot::channel();
    let session = jid.clone();
    let asked = PresenceShardMsg::GiveUp { jid, reply };
    if world.shard(session.bare_str()).cast(asked).is_ok()
        && let Ok(Some(given_up)) = given_up.await
        && world.directory.place(&session).is_none()
    {
        absence::tell_given_up(&world, session, given_up).await;
    }
}
