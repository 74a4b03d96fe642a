//! Links in memory between nodes of one process, with cuts, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::{Channel, Handed, Lane, Link, Receive};
use crate::members::{Member, Members, State};
use crate::node_id::{Life, NodeId};

/// What connects the nodes.
#[derive(Default)]
pub struct Hub {
    state: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    nodes: BTreeMap<NodeId, Node>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    silent: BTreeSet<NodeId>,
    paused: BTreeSet<NodeId>,
    starting: BTreeSet<NodeId>,
}

struct Node {
    life: Life,
    is_leaving: bool,
    receiver: Weak<dyn Receive>,
    members: watch::Sender<Arc<Members>>,
}

/// One node's end.
pub struct MemoryLink {
    me: Life,
    hub: Arc<Hub>,
    members: watch::Receiver<Arc<Members>>,
}

impl Hub {
    /// A link for a node, which hears nothing before [`Hub::attach`].
    pub fn link(self: &Arc<Self>, me: Life) -> Arc<MemoryLink> {
        let (sender, members) = watch::channel(Arc::new(Members::alone(me)));
        let nobody: Weak<Nobody> = Weak::new();
        let node = Node {
            life: me,
            is_leaving: false,
            receiver: nobody,
            members: sender,
        };
        self.with(|nodes| nodes.nodes.insert(me.node, node));
        Arc::new(MemoryLink {
            me,
            hub: self.clone(),
            members,
        })
    }

    /// Connects a node: from now on it hears the others and they it.
    pub fn attach(&self, node: NodeId, receiver: &Arc<dyn Receive>) {
        self.with(|nodes| {
            if let Some(node) = nodes.nodes.get_mut(&node) {
                node.receiver = Arc::downgrade(receiver);
            }
        });
        self.publish();
    }

    /// A node is gone, as after `kill -9`.
    pub fn lose(&self, node: NodeId) {
        self.with(|nodes| {
            if let Some(node) = nodes.nodes.get_mut(&node) {
                let nobody: Weak<Nobody> = Weak::new();
                node.receiver = nobody;
            }
        });
        self.publish();
    }

    /// A node says that it stops.
    pub fn leave(&self, node: NodeId) {
        self.with(|nodes| {
            if let Some(node) = nodes.nodes.get_mut(&node) {
                node.is_leaving = true;
            }
        });
        self.publish();
    }

    /// Cuts two nodes off from each other.
    pub fn cut(&self, a: NodeId, b: NodeId) {
        self.with(|nodes| nodes.cuts.extend([(a, b), (b, a)]));
        self.publish();
    }

    /// Mends all cuts.
    pub fn heal(&self) {
        self.with(|nodes| nodes.cuts.clear());
        self.publish();
    }

    /// Nothing comes from a node any more and nothing gets there, which nobody has noticed yet.
    pub fn silence(&self, node: NodeId) {
        self.with(|nodes| nodes.silent.insert(node));
    }

    /// A silent node is heard again, before anybody has given it up: it and the others have
    /// missed something of each other.
    pub fn end_silence(&self, node: NodeId) {
        self.with(|nodes| nodes.silent.remove(&node));
        let mut receivers = self.with(|nodes| nodes.receivers());
        if let Some(itself) = receivers.remove(&node) {
            for (other, receiver) in receivers {
                receiver.missed(node);
                itself.missed(other);
            }
        }
    }

    /// A node stands still, as after SIGSTOP: the others give it up, and it knows nothing of that.
    pub fn pause(&self, node: NodeId) {
        self.with(|nodes| nodes.paused.insert(node));
        self.publish();
    }

    /// Such a node wakes, and the others see it again: it has given up none of them.
    pub fn wake(&self, node: NodeId) {
        self.with(|nodes| nodes.paused.remove(&node));
        self.publish();
        let mut receivers = self.with(|nodes| nodes.receivers());
        if let Some(itself) = receivers.remove(&node) {
            receivers.keys().for_each(|other| connect(&itself, *other));
        }
    }

    /// A node is connected and not there yet: what it is sent gets there, and is lost.
    pub fn begin_start(&self, node: NodeId) {
        self.with(|nodes| nodes.starting.insert(node));
    }

    /// Such a node is there, and knows that it has missed something.
    pub fn end_start(&self, node: NodeId) {
        self.with(|nodes| nodes.starting.remove(&node));
        let mut receivers = self.with(|nodes| nodes.receivers());
        if let Some(itself) = receivers.remove(&node) {
            receivers.keys().for_each(|other| itself.missed(*other));
        }
    }

    fn with<A>(&self, change: impl FnOnce(&mut Nodes) -> A) -> A {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells every node what it sees now, and those that see each other again that they have
    /// missed something.
    fn publish(&self) {
        let seen = self.with(|nodes| nodes.seen());
        for (receiver, back) in seen {
            back.into_iter().for_each(|node| connect(&receiver, node));
        }
    }
}

impl Nodes {
    /// Publishes what each node sees; answers who sees whom again.
    fn seen(&self) -> Vec<(Arc<dyn Receive>, Vec<NodeId>)> {
        let mut again = Vec::new();
        let paused = &self.paused;
        let awake = self.nodes.values();
        for node in awake.filter(|it| !paused.contains(&it.life.node)) {
            let members = Arc::new(self.members_of(node));
            let before = node.members.send_replace(members.clone());
            let back = members.reachable().map(|member| member.life.node);
            let back = back.filter(|other| !before.reaches(*other)).collect();
            again.extend(node.receiver.upgrade().map(|receiver| (receiver, back)));
        }
        again
    }

    fn members_of(&self, node: &Node) -> Members {
        let others = self.nodes.values();
        let others = others.filter(|other| other.life.node != node.life.node);
        let others = others.map(|other| Member {
            life: other.life,
            name: format!("node{}", other.life.node).into(),
            state: self.state_of(node, other),
            is_silent: self.does_not_hear(node, other),
        });
        Members {
            me: node.life,
            others: others.collect(),
            is_leaving: node.is_leaving,
        }
    }

    fn state_of(&self, seer: &Node, seen: &Node) -> State {
        match seen.receiver.strong_count() {
            0 => State::Down,
            _ if self.does_not_hear(seer, seen) => State::Down,
            _ if seen.is_leaving => State::Leaving,
            _ => State::Up,
        }
    }

    /// Though that one lives.
    fn does_not_hear(&self, seer: &Node, seen: &Node) -> bool {
        let is_cut = self.cuts.contains(&(seer.life.node, seen.life.node));
        is_cut || self.paused.contains(&seen.life.node)
    }

    fn receiver(&self, from: NodeId, to: NodeId) -> Option<Arc<dyn Receive>> {
        let node = self.nodes.get(&to)?;
        let says_nothing = |node: &NodeId| self.silent.contains(node) || self.paused.contains(node);
        let is_silent = [from, to].iter().any(says_nothing);
        let is_cut = self.cuts.contains(&(from, to));
        (!is_cut && !is_silent).then(|| node.receiver.upgrade())?
    }

    fn receivers(&self) -> BTreeMap<NodeId, Arc<dyn Receive>> {
        let nodes = self.nodes.iter();
        nodes
            .filter_map(|(id, node)| Some((*id, node.receiver.upgrade()?)))
            .collect()
    }
}

impl Link for MemoryLink {
    fn send(&self, to: NodeId, _lane: Lane, channel: Channel, message: Bytes) -> Handed {
        let (receiver, is_lost) = self.hub.with(|nodes| {
            let receiver = nodes.receiver(self.me.node, to);
            (receiver, nodes.starting.contains(&to))
        });
        match receiver {
            Some(_) if is_lost => Handed::Queued,
            Some(receiver) => {
                receiver.receive(self.me.node, channel, message);
                Handed::Queued
            }
            None => Handed::Unreachable,
        }
    }

    fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.members.clone()
    }
}

fn connect(receiver: &Arc<dyn Receive>, node: NodeId) {
    receiver.connected(node);
    receiver.missed(node);
}

/// Who hears nothing.
struct Nobody;

impl Receive for Nobody {
    fn receive(&self, _from: NodeId, _channel: Channel, _message: Bytes) {}
    fn missed(&self, _from: NodeId) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_id::Incarnation;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(NodeId, Bytes)>>, Mutex<Vec<NodeId>>);

    impl Receive for Heard {
        fn receive(&self, from: NodeId, _channel: Channel, message: Bytes) {
            self.0.lock().unwrap().push((from, message));
        }
        fn missed(&self, from: NodeId) {
            self.1.lock().unwrap().push(from);
        }
    }

    fn life(node: u16) -> Life {
        Life {
            node: NodeId(node),
            incarnation: Incarnation(1),
        }
    }

    #[test]
    fn a_cut_loses_what_is_sent_and_its_end_says_that_something_was_missed() {
        let hub = Arc::new(Hub::default());
        let (one, two) = (hub.link(life(1)), hub.link(life(2)));
        let heard = Arc::new(Heard::default());
        let first: Arc<dyn Receive> = Arc::new(Heard::default());
        let second: Arc<dyn Receive> = heard.clone();
        hub.attach(NodeId(1), &first);
        hub.attach(NodeId(2), &second);
        let say = |text| one.send(NodeId(2), Lane::Bulk, Channel::Mail, Bytes::from(text));
        assert_eq!(say("before"), Handed::Queued);
        hub.cut(NodeId(1), NodeId(2));
        assert_eq!(say("during"), Handed::Unreachable);
        assert!(two.members().borrow().misses_somebody());
        heard.1.lock().unwrap().clear();
        hub.heal();
        assert_eq!(say("after"), Handed::Queued);
        assert_eq!(*heard.1.lock().unwrap(), [NodeId(1)]);
        let texts: Vec<_> = heard
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|(_, t)| t.clone())
            .collect();
        assert_eq!(texts, ["before", "after"]);
    }
}
