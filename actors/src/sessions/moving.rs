//! Sessions that leave a node that stops. Their clients are told where the session goes (RFC 6120
//! §4.9.3.19), if that node has a host of its own for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{REPLACE_PATIENCE, Sessions};
use crate::peers::Peers;
use crate::peers::envelope::{Question, Reply};
use crate::session::{Departing, Heir, Left, SessionMsg, Waiting};
use crate::slot::Slot;
use crate::world::STORE_PATIENCE;

/// A session that is handed over may have to wait for a commit; its client waits too. Its node says
/// that it cannot leave before it is taken for one that does not answer.
pub(super) const TAKING_OVER: Duration = STORE_PATIENCE.saturating_add(Duration::from_secs(2));

/// So many sessions are handed over at once, even of a node that has few.
const SLICE_MIN: usize = 50;

/// So many of them are on their way to other nodes at the same moment: each costs its new node
/// some reads of the store.
const HANDED_AT_ONCE: usize = 32;

/// A client that has lost its connection is back within that, and the next ones come.
const BETWEEN_SLICES: Duration = Duration::from_secs(1);

/// A node that does not say at once where clients reach it has not been asked.
const ASKING: Duration = Duration::from_secs(2);

/// Where clients reach nodes.
pub(super) type ClientHosts = HashMap<NodeId, String>;

impl Sessions {
    /// Another node's session has this name and ends. One that is not reached ends when it is:
    /// of two with one name the later keeps it. So does one, without a word, that is seen to be
    /// the session which is resumed by this id and goes on here.
    pub(super) async fn replace_there(&self, node: NodeId, jid: &FullJid, previd: Option<&str>) {
        let Some(peers) = self.world.directory.peers() else {
            return;
        };
        let question = match previd {
            None => Question::Replace(jid.clone()),
            Some(previd) if self.holder(jid, previd) == Some(node) => return,
            Some(previd) => Question::GiveWay {
                session: jid.clone(),
                previd: previd.to_owned(),
            },
        };
        let _ = peers.ask(node, question, REPLACE_PATIENCE).await;
    }

    /// Gives the sessions of this node to the others, a hundredth of them at a time, so that
    /// their clients do not all come back at once. Those that cannot be resumed end; what no
    /// other node takes stays.
    pub async fn hand_over_all(&self) {
        let sessions = self.sessions_here();
        let hosts = self.client_hosts().await;
        let at_once = (sessions.len() / 100).max(SLICE_MIN);
        for (number, slice) in sessions.chunks(at_once).enumerate() {
            if number > 0 {
                sleep(BETWEEN_SLICES).await;
            }
            let deadline = Instant::now() + TAKING_OVER;
            for departing in self.hand_over_these(slice, &hosts, deadline).await {
                self.tell(departing.slot, Left::Nowhere);
            }
        }
    }

    /// Gives sessions to other nodes, some at a time; answers those that nobody takes. Those
    /// that are not ready before the deadline stay.
    pub(super) async fn hand_over_these(
        &self,
        sessions: &[(FullJid, Slot)],
        hosts: &ClientHosts,
        deadline: Instant,
    ) -> Vec<Departing> {
        let homes = self.world.directory.peers().map(homes_elsewhere);
        let homes = homes.unwrap_or_default();
        let turns = Arc::new(Semaphore::new(HANDED_AT_ONCE));
        let mut under_way = JoinSet::new();
        for (jid, slot) in sessions {
            let host = heir_of(jid, &homes).and_then(|node| hosts.get(&node));
            let asked = self.ask_for(*slot, parting_word(host.map(String::as_str)));
            let (sessions, turns) = (self.clone(), Arc::clone(&turns));
            under_way.spawn(async move {
                // Otherwise it has ended, or its store does not answer in time: then it stays.
                let departing = Departing::by(deadline, asked).await?;
                let _turn = turns.acquire().await.ok()?;
                sessions.give_away(*departing).await
            });
        }
        let mut left = Vec::new();
        while let Some(departing) = under_way.join_next().await {
            left.extend(departing.ok().flatten());
        }
        left
    }

    /// Gives a session to another node, where its client finds it; answers one that nobody takes.
    async fn give_away(&self, departing: Departing) -> Option<Departing> {
        let Some(peers) = self.world.directory.peers() else {
            return Some(departing);
        };
        let mut homes = homes_elsewhere(peers);
        while let Some(node) = heir_of(&departing.waiting.session.facts.jid, &homes) {
            if go_on_there(peers, node, &departing.waiting).await {
                self.tell(departing.slot, Left::To(node));
                return None;
            }
            homes.retain(|other| *other != node);
        }
        Some(departing)
    }

    /// Says what has become of a session that was handed over.
    pub(crate) fn tell(&self, slot: Slot, left: Left) {
        // One that its client has had brought elsewhere meanwhile is gone.
        self.world
            .directory
            .slots
            .send(slot, SessionMsg::Left(left));
    }

    /// How many sessions are on this node.
    pub fn count_here(&self) -> usize {
        self.sessions_here().len()
    }

    pub(super) fn sessions_here(&self) -> Vec<(FullJid, Slot)> {
        let all = self.world.directory.all(|_| true);
        let here = all.iter().flat_map(|(_, published)| published.here());
        here.map(|(resource, slot)| (resource.jid.clone(), slot))
            .collect()
    }

    /// Where clients reach the other nodes, as far as these say so.
    pub(super) async fn client_hosts(&self) -> ClientHosts {
        let Some(peers) = self.world.directory.peers() else {
            return ClientHosts::new();
        };
        let homes = homes_elsewhere(peers);
        let asked = homes.into_iter().map(|node| {
            let peers = Arc::clone(peers);
            let asking = async move { peers.ask(node, Question::ClientHost, ASKING).await };
            (node, tokio::spawn(asking))
        });
        let asked: Vec<_> = asked.collect();
        let mut hosts = ClientHosts::new();
        for (node, answer) in asked {
            if let Ok(Some(Reply::ClientHost(Some(host)))) = answer.await {
                hosts.insert(node, host);
            }
        }
        hosts
    }

    /// Asks a session to leave; its connection ends with this error.
    pub(crate) fn ask_for(
        &self,
        slot: Slot,
        error: StreamError,
    ) -> oneshot::Receiver<Box<Departing>> {
        let (sender, session) = oneshot::channel();
        let heir = Heir {
            node: None,
            session: sender,
        };
        let slots = &self.world.directory.slots;
        slots.send(slot, SessionMsg::HandOver(error, heir));
        session
    }
}

/// Asks a node to go on with a session. One that does not answer may have begun to all the same, or
/// its answer be lost: it is asked again before another one is, and says then that it has it.
async fn go_on_there(peers: &Peers, node: NodeId, waiting: &Waiting) -> bool {
    let ask = async || {
        let question = Question::GoOn(Box::new(waiting.clone()));
        peers.ask(node, question, TAKING_OVER).await
    };
    let answer = match ask().await {
        None => ask().await,
        answer => answer,
    };
    answer == Some(Reply::Done(true))
}

/// What the client of a session hears that goes elsewhere.
fn parting_word(host: Option<&str>) -> StreamError {
    let stops = || StreamError::new(StreamCondition::SystemShutdown);
    host.map_or_else(stops, StreamError::see_other_host)
}

/// The other nodes that sessions may go to.
fn homes_elsewhere(peers: &Arc<Peers>) -> Vec<NodeId> {
    let members = peers.members();
    let mut homes = members.homes();
    homes.retain(|node| *node != members.me.node);
    homes
}

/// Which of these goes on with a session.
fn heir_of(jid: &FullJid, homes: &[NodeId]) -> Option<NodeId> {
    placement::home(jid.as_str().as_bytes(), homes)
}
