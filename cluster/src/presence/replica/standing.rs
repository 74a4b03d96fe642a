//! Nodes that come, go and begin another life: what membership says of them, and what follows
//! for their copies.

use std::time::Duration;

use super::apply::Refusal;
use super::{Broken, Replica};
use crate::members::Members;
use crate::node_id::{Incarnation, NodeId};
use crate::presence::shard::Cause;
use crate::presence::{Key, Now, Value, Why};

/// After a question to a node that got no answer, others are asked for it for so long.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// A node that has not said hello for so many times is asked about elsewhere.
const HELLOS_MISSED: u32 = 3;

/// Another node.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) incarnation: Incarnation,
    pub(super) standing: Standing,
    /// Its copies go then, if it is not back.
    pub(super) until: Option<Duration>,
    /// When it last said hello itself.
    pub(super) heard: Duration,
    /// When it last did not answer.
    pub(super) silent: Option<Duration>,
    /// It has been down, and its copies are not known to be up to date yet.
    pub(super) is_returning: bool,
    /// Something it has sent may be lost, and it has not said since then what there is.
    pub(super) is_missed: bool,
    /// Who else has something newer of it.
    pub(super) relay: Option<NodeId>,
}

/// What is done with a node's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are seen.
    Shown,
    /// The node is down: they are kept for a while, and not seen.
    Hidden,
    /// The node has been down for long: nothing is left of it but the number of its life.
    Gone,
}

impl Peer {
    pub(super) fn is_shown(&self) -> bool {
        self.standing == Standing::Shown
    }

    /// What the node says of itself does not arrive: what others say of it counts.
    pub(super) fn is_silent(&self, now: Now, hello: Duration) -> bool {
        let was_silent = |at: Duration| now.at < at + SILENT_FOR;
        self.silent.is_some_and(was_silent) || now.at > self.heard + hello * HELLOS_MISSED
    }
}

impl<K: Key, V: Value> Replica<K, V> {
    /// What is thought of a node.
    pub fn standing(&self, node: NodeId) -> Option<(Incarnation, Standing)> {
        let peer = self.peers.get(&node)?;
        Some((peer.incarnation, peer.standing))
    }

    /// The other nodes that are known, with what is thought of them and how many shards are
    /// known to be behind.
    pub fn peers(&self) -> impl Iterator<Item = (NodeId, Incarnation, Standing, usize)> {
        self.peers.iter().map(|(node, peer)| {
            let behind = self.behind.get(node).map_or(0, |places| places.len());
            (*node, peer.incarnation, peer.standing, behind)
        })
    }

    /// Membership has changed.
    pub fn members(&mut self, members: &Members, now: Now) {
        let mut back = Vec::new();
        for member in &members.others {
            let life = member.life;
            let is_new = self.meet(life.node, life.incarnation, now);
            match member.is_reachable() && self.is_current(life.node, life.incarnation) {
                true if self.bring_back(life.node, now) || is_new => back.push(life.node),
                true => {}
                false => self.lose(life.node, now),
            }
        }
        let known = |node: &NodeId| members.member(*node).is_some();
        let left: Vec<NodeId> = self
            .peers
            .keys()
            .copied()
            .filter(|node| !known(node))
            .collect();
        left.into_iter().for_each(|node| self.lose(node, now));
        let has_moved = self.place_copies(members, now);
        match has_moved {
            true => self.say_hello_to_all(true),
            false => self.say_hello(&back, true),
        }
        self.settle(now);
    }

    /// The life is not one that is over; a node that membership believes in an earlier life
    /// than it has spoken in itself is there all the same.
    fn is_current(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.peers
            .get(&node)
            .is_none_or(|peer| peer.incarnation == incarnation || peer.is_shown())
    }

    /// Learns of a life of a node; tells whether it is another one than was known. That one is
    /// over then.
    fn meet(&mut self, node: NodeId, incarnation: Incarnation, now: Now) -> bool {
        let peer = self.peers.entry(node).or_insert(Peer {
            incarnation,
            standing: Standing::Gone,
            until: None,
            heard: now.at,
            silent: None,
            is_returning: false,
            is_missed: false,
            relay: None,
        });
        let is_new = incarnation > peer.incarnation;
        if is_new {
            peer.incarnation = incarnation;
            (peer.silent, peer.relay, peer.is_returning) = (None, None, false);
            if self.broken != Some(Broken::EarlierLives) {
                self.forget(node, now);
            }
        }
        is_new
    }

    /// Tells whether a node is listened to that speaks in this life.
    pub(super) fn is_listened_to(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        now: Now,
    ) -> Result<bool, Refusal> {
        let Some(peer) = self.peers.get(&node) else {
            // Membership has not said who that is: what is missed is compared when it has.
            return Ok(false);
        };
        let (known, is_shown) = (peer.incarnation, peer.is_shown());
        if incarnation < known && self.broken != Some(Broken::EarlierLives) {
            return Err(Refusal::OldLife);
        }
        if is_shown && self.meet(node, incarnation, now) {
            self.is_behind_everywhere(node);
        }
        Ok(is_shown)
    }

    /// A node can be reached; tells whether that is new.
    fn bring_back(&mut self, node: NodeId, now: Now) -> bool {
        let due = self.settings.coalesce;
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| !peer.is_shown()) else {
            return false;
        };
        peer.is_returning = peer.standing == Standing::Hidden;
        (peer.standing, peer.until, peer.heard) = (Standing::Shown, None, now.at);
        peer.silent = None;
        for place in 0..self.shards.len() {
            let cause = self.paced(place, Why::NodeBack, due, now);
            if self.shards[place].is_wanted() {
                self.shards[place].show(node, cause);
                self.untold.insert(place);
            }
        }
        true
    }

    /// A node is down: what it shows is not seen any more, and kept for a while.
    fn lose(&mut self, node: NodeId, now: Now) {
        let (due, retain) = (self.settings.coalesce, self.settings.retain);
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.is_shown()) else {
            return;
        };
        (peer.standing, peer.until) = (Standing::Hidden, Some(now.at + retain));
        self.behind.remove(&node);
        self.asking
            .retain(|asked, asking| *asked != node && asking.node != node);
        for place in 0..self.shards.len() {
            let cause = self.paced(place, Why::NodeDown, due, now);
            self.shards[place].hide(node, cause);
            self.untold.insert(place);
        }
    }

    /// The shards take turns.
    pub(super) fn paced(&self, place: usize, why: Why, wait: Duration, now: Now) -> Cause {
        let share = place as f64 / self.shards.len() as f64;
        let due = now.at + wait + self.settings.spread.mul_f64(share);
        Cause {
            why,
            due: Some(due),
        }
    }

    /// Drops all that is known of a node's entries.
    fn forget(&mut self, node: NodeId, now: Now) {
        for place in 0..self.shards.len() {
            let cause = self.paced(place, Why::NodeDown, self.settings.coalesce, now);
            self.shards[place].forget(node, cause);
            self.untold.insert(place);
        }
        self.behind.remove(&node);
        self.asking.retain(|_, asking| asking.node != node);
    }

    /// Drops the copies of nodes that have been down for long.
    pub(super) fn forget_the_long_gone(&mut self, now: Now) {
        let is_over = |until: Option<Duration>| until.is_some_and(|until| until <= now.at);
        let over = self.peers.iter().filter(|(_, peer)| is_over(peer.until));
        let over: Vec<NodeId> = over.map(|(node, _)| *node).collect();
        for node in over {
            self.forget(node, now);
            if let Some(peer) = self.peers.get_mut(&node) {
                (peer.standing, peer.until) = (Standing::Gone, None);
            }
        }
    }

    /// Decides which nodes have copies of which shards; tells whether this node is to have one
    /// that it had not.
    fn place_copies(&mut self, members: &Members, now: Now) -> bool {
        let me = self.me.node;
        let shown = self.peers.iter().filter(|(_, peer)| peer.is_shown());
        let mut reachable: Vec<NodeId> = shown.map(|(node, _)| *node).collect();
        reachable.push(me);
        reachable.sort_unstable();
        let known = members.others.len() + 1;
        let mut has_more = false;
        for place in 0..self.shards.len() {
            let number = self.shards[place].number();
            let replicas = self.settings.replicas_of(number, &reachable, known);
            let was_wanted = self.shards[place].is_wanted();
            self.shards[place].replicas = replicas;
            match (was_wanted, self.shards[place].is_wanted()) {
                (false, true) => has_more = true,
                (true, false) => self.give_away(place, now),
                _ => {}
            }
        }
        has_more
    }

    /// Other nodes have the copies of this shard from now on.
    fn give_away(&mut self, place: usize, now: Now) {
        let cause = self.paced(place, Why::Moved, self.settings.coalesce, now);
        let shard = &mut self.shards[place];
        let nodes: Vec<NodeId> = shard.copies().map(|(node, _)| node).collect();
        nodes.into_iter().for_each(|node| shard.forget(node, cause));
        for places in self.behind.values_mut() {
            places.remove(&place);
        }
        self.untold.insert(place);
    }
}
