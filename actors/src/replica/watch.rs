//! What follows from what other nodes show: who is there and inside which room, and who has to be
//! told.

use std::sync::{Arc, Weak};

use klatsch_cluster::merge::Watcher;
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::presence::{Lost, Why, snapshot};
use klatsch_protocol::jid::{BareJid, FullJid};

use super::insiders::Insiders;
use super::records::Records;
use super::shared::Shared;
use super::{Arrived, Entry, Key};
use crate::absence::{self, Shown};
use crate::claims;
use crate::directory::Place;
use crate::presence_shard::PresenceShardMsg;
use crate::room::RoomMsg;
use crate::world::World;

/// Whether a session that a node shows no longer goes on already, here or on another one: what was
/// on the node that is lost is told part by part, and the rest may come late.
fn goes_on(world: &World, session: &FullJid, before: NodeId) -> bool {
    let place = world.directory.place(session);
    place.is_some_and(|place| place != Place::There(before))
}

/// Who hears what other nodes show.
pub(super) struct Watch {
    pub(super) world: Weak<World>,
    pub(super) insiders: Arc<Insiders>,
    pub(super) components: Arc<papaya::HashMap<BareJid, NodeId>>,
    pub(super) records: Arc<Records>,
    pub(super) shared: Shared,
}

impl Watcher<Key, Entry> for Watch {
    fn changed(&self, shard: u16, changes: Vec<Arrived>) {
        let Some(world) = self.world.upgrade() else {
            return;
        };
        let (mut sessions, mut told) = (Vec::new(), Vec::new());
        for change in changes {
            match &change.key {
                Key::Session(session) => {
                    told.extend(self.session_changed(&world, session, &change));
                    sessions.push(change);
                }
                Key::Inside(room, session) => self.insider_changed(&world, room, session, &change),
                Key::Component(host) => self.component_changed(host, &change),
                Key::OnTopic(topic, session) => {
                    let shown = match change.after {
                        Some(Entry::OnTopic(shown)) => Some(*shown),
                        _ => None,
                    };
                    world.topics.shown_elsewhere(topic, session, shown);
                }
                Key::Resumption(_, previd) => match change.after {
                    Some(Entry::Resumption(record)) => {
                        self.records.put(previd, change.node, record);
                    }
                    _ => {
                        let is_lost = change.why == Why::NodeDown;
                        self.records.take(previd, change.node, is_lost);
                    }
                },
            }
        }
        if sessions.is_empty() {
            return;
        }
        absence::tell_contacts(&world, told);
        // A shard that is being started again reads back what is published, and hears of the
        // rest when it changes.
        let _ = world
            .registry
            .shard(shard)
            .cast(PresenceShardMsg::Remote(sessions));
    }

    /// The key of this node's entry is another node's too, and theirs began later.
    fn lost(&self, lost: Lost<Key>) {
        let Some(world) = self.world.upgrade() else {
            return;
        };
        if let Some(replica) = world.directory.replica()
            && replica.stop_lingering(&lost.key)
        {
            return;
        }
        if let Key::Session(jid) = lost.key {
            let since = lost.since;
            let shard = world.shard(jid.bare_str());
            // One that is being started again hears nothing: then both stay until one ends.
            let _ = shard.cast(PresenceShardMsg::Lost { jid, since });
        }
    }

    fn share(&self, entry: &mut snapshot::Entry<Key, Entry>) {
        if let Some(world) = self.world.upgrade() {
            self.shared.share(&world.directory, entry);
        }
    }
}

impl Watch {
    /// Answers what contacts here have to be told of a session: everything but a node's loss, the
    /// return from it and what becomes of it behind a cut the session tells itself.
    fn session_changed(&self, world: &World, session: &FullJid, change: &Arrived) -> Option<Shown> {
        let is_followed = world.told.is_to_be_followed(session);
        let before = change.before.as_ref().and_then(Entry::presence);
        let after = change.after.as_ref().and_then(Entry::presence);
        let is_told = match (&change.after, &change.before) {
            // Contacts have seen it go, on whichever node it is back.
            (Some(_), _) if self.records.found(session) || change.why == Why::NodeBack => true,
            // What it has shown on the other side of a cut nobody has said here.
            (Some(_), _) => is_followed || (before != after && claims::are_around_cut(world)),
            // Nobody has to see it go, and nothing is left of it.
            (None, _) if goes_on(world, session, change.node) => false,
            (None, Some(Entry::Session(resource))) if change.why == Why::NodeDown => {
                // Kept as long as the session might come back.
                self.records.leave_resource(session, resource);
                true
            }
            // One whose client has taken it across a cut tells nobody.
            (None, _) => is_followed || claims::may_have_come(world),
        };
        let is_news = before.is_some() || after.is_some();
        (is_told && is_news).then(|| Shown {
            session: session.clone(),
            presence: after.cloned(),
        })
    }

    fn insider_changed(&self, world: &World, room: &BareJid, session: &FullJid, change: &Arrived) {
        let place = world.directory.room(room.as_str());
        match &change.after {
            Some(Entry::Inside(occupancy)) => {
                let there = Place::There(change.node);
                self.insiders.put(room, session, there, occupancy);
                // Who is inside may be shown before who is there: rooms and accounts have
                // shards of their own.
                world.directory.presume(session, change.node);
                if let Some(place) = place {
                    let word = change.why.into();
                    let merge = RoomMsg::Merge(session.clone(), occupancy.clone(), word);
                    // A room that has just ended looks at all of them when it begins.
                    let _ = place.actor.cast(merge);
                }
            }
            _ => {
                let is_lost = change.why == Why::NodeDown;
                if let (true, Some(Entry::Inside(occupancy))) = (is_lost, &change.before)
                    && !goes_on(world, session, change.node)
                {
                    self.records.leave_room(session, occupancy);
                }
                if self
                    .insiders
                    .take_there(room, session, change.node, is_lost)
                    && let Some(place) = place
                {
                    let _ = place.actor.cast(RoomMsg::Gone(session.clone()));
                }
            }
        }
    }

    fn component_changed(&self, host: &BareJid, change: &Arrived) {
        let components = self.components.pin();
        match change.after {
            Some(_) => drop(components.insert(host.clone(), change.node)),
            None if components.get(host) == Some(&change.node) => drop(components.remove(host)),
            None => {}
        }
    }
}
