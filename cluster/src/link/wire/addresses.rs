//! Where nodes listen, as they tell each other.
//!
//! A node says where it listens, and where those listen with which it is connected: over a new
//! connection all of it, and to everybody what is new, once between two signs of life. So a node
//! that was started with the address of one other dials all, and finds them again when that one
//! is gone. Nobody tells of a node that is not there, or an address would never be forgotten.
//! What is known after a restart is [`crate::discovery`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::membership::{FORGET_LOST, NODES_MAX};
use crate::node_id::{Life, NodeId};
use crate::settings::has_port;

/// Longest address, bytes: a name of DNS and a port.
const ADDRESS_BYTES_MAX: usize = 253 + 6;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listening {
    /// Who.
    pub(crate) life: Life,
    /// `HOST:PORT`.
    pub(crate) address: Box<str>,
}

/// Where others are to be found, by node.
pub(crate) type Places = BTreeMap<NodeId, Box<str>>;

/// What one node knows of addresses.
#[derive(Debug)]
pub(crate) struct Addresses {
    me: Life,
    own: Option<Box<str>>,
    known: BTreeMap<NodeId, Known>,
    connected: BTreeSet<NodeId>,
    /// Nodes of which the others are to hear.
    news: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Known {
    listening: Listening,
    told: Duration,
    /// There has been a connection: whether it is remembered is the membership's to say.
    is_met: bool,
}

impl Addresses {
    /// Nobody else is known yet. `own` is where others reach this node, if that can be said.
    pub(crate) fn new(me: Life, own: Option<&str>) -> Self {
        Self {
            me,
            own: own.map(Into::into),
            known: BTreeMap::new(),
            connected: BTreeSet::new(),
            news: BTreeSet::new(),
        }
    }

    /// A connection with a node lives. Answers what to tell it.
    pub(crate) fn connected(&mut self, node: NodeId) -> Vec<Listening> {
        let others = self.tell(self.connected.iter().filter(|it| **it != node));
        self.connected.insert(node);
        if let Some(known) = self.known.get_mut(&node) {
            known.is_met = true;
            self.news.insert(node);
        }
        let own = self.own.as_ref().map(|address| Listening {
            life: self.me,
            address: address.clone(),
        });
        own.into_iter().chain(others).collect()
    }

    /// There is no connection with a node any more.
    pub(crate) fn disconnected(&mut self, node: NodeId) {
        self.connected.remove(&node);
    }

    /// Takes what a node has told.
    pub(crate) fn hear(&mut self, from: NodeId, told: Vec<Listening>, now: Duration) {
        for listening in told.into_iter().take(NODES_MAX) {
            let is_address = listening.address.len() <= ADDRESS_BYTES_MAX;
            let is_mine = listening.life.node == self.me.node;
            if !is_mine && is_address && has_port(&listening.address) {
                self.hear_one(from, listening, now);
            }
        }
    }

    fn hear_one(&mut self, from: NodeId, listening: Listening, now: Duration) {
        let node = listening.life.node;
        let Some(known) = self.known.get_mut(&node) else {
            if self.known.len() < NODES_MAX {
                let is_met = self.connected.contains(&node);
                let told = now;
                self.known.insert(
                    node,
                    Known {
                        listening,
                        told,
                        is_met,
                    },
                );
                self.be_news(node);
            }
            return;
        };
        known.told = now;
        let (before, after) = (known.listening.life, listening.life);
        // A node knows best where it listens; of two others the one that knows a later life.
        let is_better = from == node || after.incarnation > before.incarnation;
        if is_better && after.incarnation >= before.incarnation && known.listening != listening {
            known.listening = listening;
            self.be_news(node);
        }
    }

    fn be_news(&mut self, node: NodeId) {
        if self.connected.contains(&node) {
            self.news.insert(node);
        }
    }

    /// What everybody is to hear now.
    pub(crate) fn take_news(&mut self) -> Vec<Listening> {
        let news = std::mem::take(&mut self.news);
        self.tell(news.iter().filter(|node| self.connected.contains(node)))
    }

    fn tell<'a>(&self, nodes: impl Iterator<Item = &'a NodeId>) -> Vec<Listening> {
        let known = nodes.filter_map(|node| self.known.get(node));
        known.map(|known| known.listening.clone()).collect()
    }

    /// Forgets nodes that are not remembered otherwise either, and those that were never met.
    pub(crate) fn forget(&mut self, now: Duration, is_remembered: impl Fn(NodeId) -> bool) {
        self.known.retain(|node, known| match known.is_met {
            true => is_remembered(*node),
            false => now.saturating_sub(known.told) < FORGET_LOST,
        });
    }

    /// Where a node listens.
    pub(crate) fn of(&self, node: NodeId) -> Option<&str> {
        self.known.get(&node).map(|known| &*known.listening.address)
    }

    /// Where all nodes listen that are known.
    pub(crate) fn places(&self) -> Places {
        let known = self.known.iter();
        known
            .map(|(node, known)| (*node, known.listening.address.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_id::Incarnation;

    const START: Duration = Duration::ZERO;

    fn life(node: u16, incarnation: u64) -> Life {
        Life {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
        }
    }

    fn listening(node: u16, incarnation: u64, address: &str) -> Listening {
        Listening {
            life: life(node, incarnation),
            address: address.into(),
        }
    }

    fn addresses(node: u16) -> Addresses {
        Addresses::new(life(node, 1), Some(&format!("node{node}:5290")))
    }

    /// Two nodes get a connection, and tell each other what they know.
    fn connect(one: &mut Addresses, other: &mut Addresses) {
        let told = one.connected(other.me.node);
        other.hear(one.me.node, told, START);
        let told = other.connected(one.me.node);
        one.hear(other.me.node, told, START);
    }

    #[test]
    fn a_node_that_knows_one_other_learns_of_all() {
        let mut nodes = [addresses(1), addresses(2), addresses(3)];
        let [one, two, three] = &mut nodes;
        connect(one, two);
        connect(one, three);
        assert_eq!(three.of(NodeId(1)), Some("node1:5290"));
        assert_eq!(three.of(NodeId(2)), Some("node2:5290"));
        // The one that came first hears of the latecomer.
        let news = one.take_news();
        assert!(news.contains(&listening(3, 1, "node3:5290")), "{news:?}");
        two.hear(NodeId(1), news, START);
        assert_eq!(two.of(NodeId(3)), Some("node3:5290"));
        assert!(one.take_news().is_empty());
        assert!(two.take_news().len() <= 1, "it has no connection with it");
    }

    #[test]
    fn nobody_tells_of_a_node_that_is_not_there() {
        let (mut one, mut two) = (addresses(1), addresses(2));
        connect(&mut one, &mut two);
        one.hear(NodeId(2), vec![listening(3, 1, "node3:5290")], START);
        one.disconnected(NodeId(2));
        assert_eq!(one.connected(NodeId(4)), [listening(1, 1, "node1:5290")]);
        assert!(one.take_news().is_empty());
    }

    #[test]
    fn a_node_itself_knows_best_where_it_listens() {
        let mut one = addresses(1);
        one.hear(NodeId(2), vec![listening(3, 2, "old:1")], START);
        one.hear(NodeId(4), vec![listening(3, 2, "other:1")], START);
        assert_eq!(one.of(NodeId(3)), Some("old:1"));
        one.hear(NodeId(3), vec![listening(3, 2, "itself:1")], START);
        one.hear(NodeId(2), vec![listening(3, 2, "old:1")], START);
        assert_eq!(one.of(NodeId(3)), Some("itself:1"));
        one.hear(NodeId(2), vec![listening(3, 1, "earlier:1")], START);
        assert_eq!(one.of(NodeId(3)), Some("itself:1"));
        one.hear(NodeId(2), vec![listening(3, 3, "later:1")], START);
        assert_eq!(one.of(NodeId(3)), Some("later:1"));
    }

    #[test]
    fn c04_what_is_no_address_or_too_much_is_not_taken() {
        let mut one = addresses(1);
        let long = format!("{}:1", "a".repeat(ADDRESS_BYTES_MAX));
        let wrong = ["", "node3", "node3:0", ":5290", &long];
        let told = wrong.iter().map(|address| listening(3, 1, address));
        one.hear(NodeId(2), told.collect(), START);
        one.hear(NodeId(2), vec![listening(1, 9, "me:1")], START);
        assert!(one.places().is_empty());
        let many = (2..5000).map(|node| listening(node, 1, "a:1"));
        one.hear(NodeId(2), many.collect(), START);
        let more = (5000..9000).map(|node| listening(node, 1, "a:1"));
        one.hear(NodeId(2), more.collect(), START);
        assert_eq!(one.places().len(), NODES_MAX);
    }

    #[test]
    fn addresses_are_forgotten_with_their_nodes() {
        let (mut one, mut two) = (addresses(1), addresses(2));
        connect(&mut one, &mut two);
        one.hear(NodeId(2), vec![listening(3, 1, "never:1")], START);
        one.forget(FORGET_LOST - Duration::from_secs(1), |_| true);
        assert_eq!(one.places().len(), 2);
        one.forget(FORGET_LOST, |_| true);
        assert_eq!(one.of(NodeId(3)), None);
        one.forget(FORGET_LOST, |node| node != NodeId(2));
        assert!(one.places().is_empty());
    }
}
