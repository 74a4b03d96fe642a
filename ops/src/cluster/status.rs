//! The cluster as one of its nodes sees it: what `klatsch cluster status` shows, as data.
//!
//! The JSON form is for scripts: keys are added, not renamed.

use klatsch_cluster::merge::{self, Status as Replicas};
use klatsch_cluster::status::{ClusterStatus as LinkStatus, PeerStatus};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// This node first, then the others by number.
    pub nodes: Vec<NodeStatus>,
    /// Sessions on this node.
    pub sessions: u64,
    /// Rooms that live on this node.
    pub rooms: u64,
    /// How presence is replicated, as far as this node knows.
    pub presence: Option<PresenceStatus>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What operators call it.
    pub name: String,
    /// Its number, which the store has given out.
    pub number: u16,
    /// Which of its lives: larger after each start.
    pub incarnation: u64,
    /// What is thought of it: up, suspect, down or leaving; of this node also superseded, when
    /// another process runs as the same node.
    pub state: String,
    /// Seconds since it is so.
    pub state_seconds: Option<u64>,
    /// Where it is reached, or from where it came.
    pub address: Option<String>,
    /// Microseconds that a message and its answer take.
    pub round_trip_microseconds: Option<u64>,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: u64,
    /// Messages for it that were dropped because too much waited.
    pub dropped: u64,
}

/// How presence is replicated, a few seconds old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceStatus {
    /// Entries that this node has written.
    pub own_entries: u64,
    /// Entries of other nodes that are here.
    pub remote_entries: u64,
    /// Shards in which other nodes are known to have something newer.
    pub shards_behind: u64,
    /// Differences that readers have not been told yet.
    pub changes_pending: u64,
    /// Messages refused so far.
    pub refused: u64,
    /// Milliseconds since something of another node was merged; nothing before the first time.
    pub last_merge_milliseconds: Option<u64>,
}

impl PresenceStatus {
    /// Of all shards together.
    pub fn of_replicas(status: &Replicas) -> Self {
        let sum = |count: fn(&merge::NodeStatus) -> usize| {
            let counts = status.nodes.iter().map(count);
            counts.sum::<usize>() as u64
        };
        let milliseconds = |ago: Duration| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        Self {
            own_entries: status.own as u64,
            remote_entries: sum(|node| node.entries),
            shards_behind: sum(|node| node.shards_behind),
            changes_pending: status.pending as u64,
            refused: status.refused,
            last_merge_milliseconds: status.last_merge.map(milliseconds),
        }
    }
}

impl NodeStatus {
    /// All nodes of the link, this one first.
    pub fn of_link(status: &LinkStatus, advertised: &str) -> Vec<Self> {
        let state = match status {
            it if it.is_superseded => "superseded",
            it if it.is_leaving => "leaving",
            _ => "up",
        };
        let me = Self {
            name: status.name.clone(),
            number: status.node,
            incarnation: status.incarnation,
            state: state.to_owned(),
            state_seconds: None,
            address: Some(advertised.to_owned()),
            round_trip_microseconds: None,
            queued_bytes: 0,
            dropped: 0,
        };
        let others = status.peers.iter().map(Self::of_peer);
        std::iter::once(me).chain(others).collect()
    }

    fn of_peer(peer: &PeerStatus) -> Self {
        Self {
            name: peer.name.clone(),
            number: peer.node,
            incarnation: peer.incarnation,
            state: peer.state.to_owned(),
            state_seconds: Some(peer.state_seconds),
            address: peer.address.clone(),
            round_trip_microseconds: (peer.round_trip_us > 0).then_some(peer.round_trip_us),
            queued_bytes: peer.queued_bytes as u64,
            dropped: peer.overflows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatsch_cluster::node_id::{Incarnation, NodeId};

    fn link() -> LinkStatus {
        LinkStatus {
            node: 2,
            incarnation: 9,
            name: "node2".to_owned(),
            listen: "0.0.0.0:5290".parse().unwrap(),
            is_leaving: false,
            is_superseded: false,
            peers: Vec::new(),
        }
    }

    #[test]
    fn presence_is_the_sum_of_what_is_here_of_all_nodes() {
        let node = |number, entries, shards_behind| merge::NodeStatus {
            node: NodeId(number),
            incarnation: Incarnation(1),
            is_visible: true,
            entries,
            version: 9,
            shards_behind,
        };
        let status = PresenceStatus::of_replicas(&Replicas {
            own: 5,
            last_merge: Some(Duration::from_millis(1500)),
            nodes: vec![node(2, 7, 1), node(3, 11, 0)],
            ..Replicas::default()
        });
        assert_eq!((status.own_entries, status.remote_entries), (5, 18));
        assert_eq!(status.shards_behind, 1);
        assert_eq!(status.last_merge_milliseconds, Some(1500));
    }

    #[test]
    fn this_node_stands_first_with_the_address_others_use() {
        let nodes = NodeStatus::of_link(&link(), "node2:5290");
        assert_eq!((&*nodes[0].name, &*nodes[0].state), ("node2", "up"));
        assert_eq!(nodes[0].address.as_deref(), Some("node2:5290"));
    }

    #[test]
    fn node_that_another_process_runs_as_says_so_above_all() {
        let mut link = link();
        link.is_leaving = true;
        assert_eq!(NodeStatus::of_link(&link, "n:1")[0].state, "leaving");
        link.is_superseded = true;
        assert_eq!(NodeStatus::of_link(&link, "n:1")[0].state, "superseded");
    }
}
