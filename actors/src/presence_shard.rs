//! One slice of who is bound and available.
//!
//! Owns: which resources the accounts of its slice have, here and on other nodes, and their
//! presence. Keeps them in the directory, where everybody reads them, and nothing of it twice: on
//! a node of many there are far more sessions of others than its own. Does not own: who may see
//! it (the roster decides), nor the sessions. Restarted by: [`crate::supervisor`]. On restart:
//! goes on from what is still published.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::presence::GIVES_WAY;
use klatsch_protocol::facts::{AccountView, Resource, Views};
use klatsch_protocol::features::caps;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Presence;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::directory::{Directory, Place, Published};
use crate::replica::{Arrived, Entry, Key, since_now};
use crate::session::SessionMsg;
use crate::slot::Slot;

/// How many slices there are: fixed for all nodes of a cluster.
pub const SHARDS: u16 = 256;

/// Before whatever an entry says that is shown: that stays as it is.
const LONG_AGO: u64 = GIVES_WAY + 1;

/// The slice an account is in.
pub fn shard_of(account: &str) -> u16 {
    (xxh3_64(account.as_bytes()) % u64::from(SHARDS)) as u16
}

/// Mail of a presence shard.
pub enum PresenceShardMsg {
    /// A session wants this resource. Who had it before is answered, to be ended.
    Bind {
        /// What is seen of the new session from then on: one that goes on shows what it has shown.
        resource: Box<Resource>,
        /// Where it is.
        slot: Slot,
        /// How many resources an account may have.
        resources_max: usize,
        /// It waits for its client, who may have begun another session meanwhile: until the client
        /// comes, it gives way to whoever has the resource.
        gives_way: bool,
        /// The answer.
        reply: oneshot::Sender<Result<Option<Place>, NotBound>>,
    },
    /// A session has ended. `reply` hears whether it was still the one bound there.
    Unbind {
        /// Its address.
        jid: FullJid,
        /// Where it was.
        slot: Slot,
        /// It goes on elsewhere: the other nodes see it until somebody shows it anew, or for so
        /// long.
        lingers: Option<Duration>,
        /// The answer.
        reply: Option<oneshot::Sender<bool>>,
    },
    /// A session goes on on another node.
    Moved {
        /// Its address.
        jid: FullJid,
        /// Where it was.
        slot: Slot,
        /// Where it is now.
        node: NodeId,
        /// So long other nodes see it here, until that node shows it.
        lingers: Duration,
    },
    /// Nobody has shown in time what became of a session that has left this node. `reply` hears
    /// whether its name is free, then what was still seen of it.
    GiveUp {
        /// Its address.
        jid: FullJid,
        /// The answer.
        reply: oneshot::Sender<Option<GivenUp>>,
    },
    /// What other nodes show of their sessions has changed.
    Remote(Vec<Arrived>),
    /// Somebody wants to go by what has been said until now: heard once it is published.
    Publish(oneshot::Sender<()>),
    /// What a session here showed that began then has lost to another node's session of its name.
    Lost {
        /// Its address.
        jid: FullJid,
        /// When it began.
        since: u64,
    },
    /// What a bound session shows has changed.
    Show {
        /// What is seen of it now.
        resource: Box<Resource>,
        /// Where it is.
        slot: Slot,
        /// Heard once it is published.
        reply: oneshot::Sender<()>,
    },
}

impl ractor::Message for PresenceShardMsg {}

/// What was seen here of a session that has left and was shown by nobody else.
#[derive(Debug, PartialEq)]
pub struct GivenUp {
    /// The presence of one that was said to have moved.
    pub presence: Option<Arc<Presence>>,
}

/// Why a resource is not given to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBound {
    /// The account has all the resources it may have (row A15).
    TooManyResources,
    /// Another session has it, and this one gives way.
    Taken,
}

/// The actor.
pub struct PresenceShard;

/// What a shard is started with.
pub struct Arguments {
    /// Which slice.
    pub shard: u16,
    /// Where it publishes.
    pub directory: Arc<Directory>,
}

/// The slice: plain data, but for what the directory has.
pub struct Slice {
    directory: Arc<Directory>,
    /// When the sessions here were bound: of two nodes that have the same address the later keeps
    /// it. Their entries began then, or later if another node had the address.
    began: HashMap<Slot, u64>,
    /// Sessions of other nodes that have the address of one here, until one of the two ends.
    shadowed: HashMap<FullJid, Known>,
    /// Sessions that are only said to be on another node, until that node shows them.
    moved: HashMap<FullJid, NodeId>,
}

/// A bound resource.
struct Known {
    resource: Resource,
    place: Place,
}

impl Actor for PresenceShard {
    type Msg = PresenceShardMsg;
    type State = Slice;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _me: ActorRef<Self::Msg>,
        arguments: Arguments,
    ) -> Result<Slice, ActorProcessingErr> {
        Ok(Slice::read_back(arguments.shard, arguments.directory))
    }

    async fn handle(
        &self,
        _me: ActorRef<Self::Msg>,
        message: PresenceShardMsg,
        slice: &mut Slice,
    ) -> Result<(), ActorProcessingErr> {
        #[cfg(feature = "broken")]
        crate::broken::panic_now_and_then(crate::broken::Fragile::PresenceShard);
        // Nobody listening for an answer has ended meanwhile; that is theirs to know.
        match message {
            PresenceShardMsg::Bind {
                resource,
                slot,
                resources_max,
                gives_way,
                reply,
            } => {
                let _ = reply.send(slice.bind(*resource, slot, resources_max, gives_way));
            }
            PresenceShardMsg::Unbind {
                jid,
                slot,
                lingers,
                reply,
            } => {
                let was_bound = slice.unbind(&jid, slot, lingers);
                reply.map(|reply| reply.send(was_bound));
            }
            PresenceShardMsg::Moved {
                jid,
                slot,
                node,
                lingers,
            } => slice.moved(&jid, slot, node, lingers),
            PresenceShardMsg::GiveUp { jid, reply } => {
                let _ = reply.send(slice.give_up(&jid));
            }
            PresenceShardMsg::Remote(changes) => slice.hear(changes),
            PresenceShardMsg::Publish(reply) => drop(reply.send(())),
            PresenceShardMsg::Lost { jid, since } => slice.lost(&jid, since),
            PresenceShardMsg::Show {
                resource,
                slot,
                reply,
            } => {
                slice.show(*resource, slot);
                let _ = reply.send(());
            }
        }
        Ok(())
    }
}

impl Slice {
    fn read_back(shard: u16, directory: Arc<Directory>) -> Self {
        let published = directory.all(|account| shard_of(account.as_str()) == shard);
        let here = published.iter().flat_map(|(_, it)| it.here());
        let began = here.map(|(_, slot)| (slot, LONG_AGO)).collect();
        Self {
            directory,
            began,
            shadowed: HashMap::new(),
            moved: HashMap::new(),
        }
    }

    /// The resources of an account.
    fn resources(&self, account: &BareJid) -> Vec<Known> {
        let Some(published) = self.directory.published(account.as_str()) else {
            return Vec::new();
        };
        let all = published.view.resources.iter().zip(&published.places);
        let known = all.map(|(resource, place)| Known {
            resource: resource.clone(),
            place: *place,
        });
        known.collect()
    }

    /// Gives a resource to a session; the session that had it is answered.
    fn bind(
        &mut self,
        resource: Resource,
        slot: Slot,
        resources_max: usize,
        gives_way: bool,
    ) -> Result<Option<Place>, NotBound> {
        let account = resource.jid.bare();
        let mut resources = self.resources(&account);
        let is_it = |known: &Known| known.resource.jid == resource.jid;
        let before = resources.iter().position(is_it);
        if before.is_none() && resources.len() >= resources_max {
            return Err(NotBound::TooManyResources);
        }
        if before.is_some() && gives_way {
            return Err(NotBound::Taken);
        }
        let replaced = before.map(|index| resources.remove(index).place);
        self.moved.remove(&resource.jid);
        let slot_before = replaced.and_then(Place::slot);
        slot_before.map(|slot| self.began.remove(&slot));
        let began = if gives_way { GIVES_WAY } else { since_now() };
        self.began.insert(slot, began);
        self.share(&resource, slot);
        resources.push(Known {
            resource,
            place: Place::Here(slot),
        });
        self.publish(account, &resources);
        Ok(replaced)
    }

    /// Whoever leaves a name to another session says nothing of it any more.
    fn unbind(&mut self, jid: &FullJid, slot: Slot, lingers: Option<Duration>) -> bool {
        let account = jid.bare();
        let mut resources = self.resources(&account);
        let count = resources.len();
        resources.retain(|known| known.place != Place::Here(slot));
        let was_bound = resources.len() < count;
        if was_bound {
            self.began.remove(&slot);
            match (self.directory.replica(), lingers) {
                (Some(replica), Some(time)) => replica.linger(jid, time),
                (Some(replica), None) => replica.show(jid, None, since_now()),
                (None, _) => {}
            }
            // Another node's session has the name that has become free here.
            resources.extend(self.shadowed.remove(jid));
            self.publish(account, &resources);
        }
        was_bound
    }

    /// A session is on another node from now on, so that nobody misses it until it is shown there.
    fn moved(&mut self, jid: &FullJid, slot: Slot, node: NodeId, lingers: Duration) {
        let account = jid.bare();
        let mut resources = self.resources(&account);
        let mut all = resources.iter_mut();
        let Some(known) = all.find(|known| known.place == Place::Here(slot)) else {
            return;
        };
        match self.shadowed.remove(jid) {
            Some(shown) => *known = shown,
            None => {
                known.place = Place::There(node);
                self.moved.insert(jid.clone(), node);
            }
        }
        self.began.remove(&slot);
        if let Some(replica) = self.directory.replica() {
            replica.linger(jid, lingers);
        }
        self.publish(account, &resources);
    }

    /// A name that lingers goes; nothing if somebody has shown it meanwhile.
    fn give_up(&mut self, jid: &FullJid) -> Option<GivenUp> {
        let mut replica = self.directory.replica().into_iter();
        if !replica.all(|it| it.give_up(jid)) {
            return None;
        }
        let Some(node) = self.moved.remove(jid) else {
            return Some(GivenUp { presence: None });
        };
        let account = jid.bare();
        let mut resources = self.resources(&account);
        let is_it = |it: &Known| it.resource.jid == *jid && it.place == Place::There(node);
        let index = resources.iter().position(is_it);
        let known = index.map(|index| resources.remove(index));
        self.publish(account, &resources);
        let presence = known.and_then(|known| known.resource.presence);
        Some(GivenUp { presence })
    }

    /// Takes what other nodes show.
    fn hear(&mut self, changes: Vec<Arrived>) {
        for change in changes {
            if let Key::Session(jid) = &change.key {
                self.hear_one(jid, &change);
            }
        }
    }

    fn hear_one(&mut self, jid: &FullJid, change: &Arrived) {
        let there = Place::There(change.node);
        let account = jid.bare();
        let mut resources = self.resources(&account);
        let before = resources.iter().position(|it| it.resource.jid == *jid);
        let is_here = before.is_some_and(|it| matches!(resources[it].place, Place::Here(_)));
        match &change.after {
            Some(Entry::Session(resource)) => {
                self.directory.presume_no_other(jid, change.node);
                self.moved.remove(jid);
                self.want_capabilities(resource, change.node);
                let known = Known {
                    resource: (**resource).clone(),
                    place: there,
                };
                match before {
                    // Which of the two has the name their nodes settle.
                    Some(_) if is_here => drop(self.shadowed.insert(jid.clone(), known)),
                    Some(index) => resources[index] = known,
                    None => resources.push(known),
                }
            }
            _ => {
                resources.retain(|it| it.resource.jid != *jid || it.place != there);
                self.shadowed
                    .retain(|shadowed, it| shadowed != jid || it.place != there);
            }
        }
        self.publish(account, &resources);
    }

    /// Notifications go by what a client can do (XEP-0163 §4): a node that does not know it
    /// asks the one that has the client.
    fn want_capabilities(&self, resource: &Resource, node: NodeId) {
        let presence = resource.presence.as_deref();
        let key = presence.and_then(caps::Key::of);
        if let (Some(key), Some(peers)) = (key, self.directory.peers())
            && self.directory.capabilities(&key).is_none()
        {
            peers.want(node, key);
        }
    }

    /// Shows the other nodes what a session here shows.
    fn share(&self, resource: &Resource, slot: Slot) {
        if let Some(replica) = self.directory.replica() {
            let since = self.began.get(&slot).copied();
            replica.show(
                &resource.jid,
                Some(resource),
                since.unwrap_or_else(since_now),
            );
        }
    }

    fn show(&mut self, resource: Resource, slot: Slot) {
        let account = resource.jid.bare();
        let mut resources = self.resources(&account);
        let mut all = resources.iter_mut();
        let Some(known) = all.find(|known| known.place == Place::Here(slot)) else {
            return;
        };
        if !resource.is_away {
            self.client_has_come(&resource.jid, slot);
        }
        self.share(&resource, slot);
        known.resource = resource;
        self.publish(account, &resources);
    }

    /// A session that was to give way begins now, unless it is too late.
    fn client_has_come(&mut self, jid: &FullJid, slot: Slot) {
        if let Some(began) = self.began.get_mut(&slot)
            && *began == GIVES_WAY
            && !self.shadowed.contains_key(jid)
        {
            *began = since_now();
        }
    }

    /// A session here has lost its name, if what has lost is its own and not of one before it.
    fn lost(&self, jid: &FullJid, since: u64) {
        let place = self.directory.place(jid);
        if let Some(Place::Here(slot)) = place
            && self.began.get(&slot).is_none_or(|began| *began <= since)
        {
            self.directory.slots.send(slot, SessionMsg::Superseded);
        }
    }

    fn publish(&self, account: BareJid, known: &[Known]) {
        // Collected from as many as there are, so that there is no room for more.
        let resources = known.iter().map(|it| it.resource.clone()).collect();
        let places = known.iter().map(|it| it.place).collect();
        let view = Arc::new(AccountView { resources });
        self.directory.publish(account, Published { view, places });
    }
}

#[cfg(test)]
mod tests;
