//! The nodes of the cluster as one of them sees them.
//!
//! Membership is each node's opinion. It decides only where hints go and where rooms live;
//! order and safety are the store's, so opinions may differ.

use crate::node_id::{Life, NodeId};

/// What a node thinks of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Heard of lately.
    Up,
    /// Silent for longer than is usual, and not yet given up.
    Suspect,
    /// Given up: its sessions are not visible, its rooms live elsewhere.
    Down,
    /// It has said that it stops: no rooms go there any more, its sessions are still visible.
    Leaving,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Up, Self::Suspect, Self::Down, Self::Leaving];

    /// The state's name, for operators and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Leaving => "leaving",
        }
    }
}

/// A node as another sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which node, in the latest life that is known.
    pub life: Life,
    /// What operators call it.
    pub name: Box<str>,
    /// What is thought of it.
    pub state: State,
    /// It is not heard, though it has not closed its connection, as whoever dies does: it may
    /// live behind a cut.
    pub is_silent: bool,
}

impl Member {
    /// What is said to it may arrive, and what its sessions show is visible.
    pub fn is_reachable(&self) -> bool {
        self.state != State::Down
    }
}

/// What one node thinks of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The node that thinks so.
    pub me: Life,
    /// All others that are known, by number.
    pub others: Vec<Member>,
    /// This node stops: it wants no rooms any more.
    pub is_leaving: bool,
}

impl Members {
    /// A node that knows no other.
    pub fn alone(me: Life) -> Self {
        let others = Vec::new();
        Self {
            me,
            others,
            is_leaving: false,
        }
    }

    /// The other node of this number.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.others.iter().find(|other| other.life.node == node)
    }

    /// Tells whether what is said to this node may arrive.
    pub fn reaches(&self, node: NodeId) -> bool {
        node == self.me.node || self.member(node).is_some_and(Member::is_reachable)
    }

    /// The other nodes that can be reached.
    pub fn reachable(&self) -> impl Iterator<Item = &Member> {
        self.others.iter().filter(|other| other.is_reachable())
    }

    /// Tells whether a node that is known cannot be reached: logs are then compared with the
    /// store every second.
    pub fn misses_somebody(&self) -> bool {
        self.others.iter().any(|other| !other.is_reachable())
    }

    /// Tells whether a node that is given up may live behind a cut, where clients come to it.
    pub fn may_claim(&self) -> bool {
        let lives = |other: &Member| other.is_silent && !other.is_reachable();
        self.others.iter().any(lives)
    }

    /// The nodes rooms may live on, by number: all that can be reached and do not stop.
    pub fn homes(&self) -> Vec<NodeId> {
        let others = self.others.iter();
        let staying = others.filter(|other| matches!(other.state, State::Up | State::Suspect));
        let mut homes: Vec<NodeId> = staying.map(|other| other.life.node).collect();
        if !self.is_leaving || homes.is_empty() {
            homes.push(self.me.node);
        }
        homes.sort_unstable();
        homes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_id::Incarnation;

    fn life(node: u16) -> Life {
        Life {
            node: NodeId(node),
            incarnation: Incarnation(1),
        }
    }

    fn members(states: &[State]) -> Members {
        let others = states.iter().zip(2..).map(|(&state, node)| Member {
            life: life(node),
            name: format!("node{node}").into(),
            state,
            is_silent: false,
        });
        Members {
            others: others.collect(),
            ..Members::alone(life(1))
        }
    }

    #[test]
    fn rooms_live_on_nodes_that_are_reached_and_stay() {
        use State::*;
        let all = members(&[Up, Suspect, Down, Leaving]);
        assert_eq!(all.homes(), [NodeId(1), NodeId(2), NodeId(3)]);
        assert!(all.reaches(NodeId(5)) && !all.reaches(NodeId(4)));
    }

    #[test]
    fn a_node_that_stops_keeps_rooms_only_when_there_is_no_other() {
        let mut alone = members(&[]);
        alone.is_leaving = true;
        assert_eq!(alone.homes(), [NodeId(1)]);
        let mut two = members(&[State::Up]);
        two.is_leaving = true;
        assert_eq!(two.homes(), [NodeId(2)]);
    }
}
