//! Sessions that go from node to node: their clients come to another one (XEP-0198 §5), or their
//! node stops. Then clients are told where the session goes (RFC 6120 §4.9.3.19), if that node
//! has a host of its own for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use klatsch_cluster::members::State;
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{REPLACE_PATIENCE, Sessions};
use crate::absence::{self, ago};
use crate::claims::{self, Claimed};
use crate::directory::Place;
use crate::news::KEPT;
use crate::peers::Peers;
use crate::peers::envelope::{Question, Reply};
use crate::replica::Holder;
use crate::session::{Departing, Heir, Left, SessionMsg, Waiting};
use crate::slot::Slot;
use crate::world::STORE_PATIENCE;

/// A session that is handed over may have to wait for a commit; its client waits too. Its node says
/// that it cannot leave before it is taken for one that does not answer.
const TAKING_OVER: Duration = STORE_PATIENCE.saturating_add(Duration::from_secs(2));

/// Mail for a session that moves may be on its way for so long.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// A node that has a session shows that to the others within this time.
const SHOWN_SOON: Duration = Duration::from_secs(1);

/// Two nodes that hear each other again know within this time who has which session.
const HEARD_SOON: Duration = Duration::from_secs(3);

/// So often is looked who shows a session that has left its node.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

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

    /// The node that shows a session which is resumed by this id.
    pub(crate) fn holder(&self, jid: &FullJid, previd: &str) -> Option<NodeId> {
        let replica = self.world.directory.replica()?;
        let holder = replica.holder(&jid.bare(), previd)?;
        (!holder.is_over).then_some(holder.node)
    }

    /// Brings a session here from whichever node has it, or had it.
    pub(super) async fn take_over(
        &self,
        account: &BareJid,
        previd: &str,
        h: u32,
    ) -> Option<ActorRef<SessionMsg>> {
        let peers = self.world.directory.peers()?;
        let replica = peers.replica()?;
        claims::end_older(self).await;
        let (silent, refused) = match self.ask_for_it(peers, account, previd).await {
            Asked::Found(actor) if peers.were_cut_lately() => {
                if let Some(session) = self.resumed_as(account, previd) {
                    tokio::spawn(absence::show_all(self.world.clone(), session));
                }
                return actor;
            }
            Asked::Found(actor) => return actor,
            Asked::Unfound { silent, refused } => (silent, refused),
        };
        let Some(holder) = replica.holder(account, previd) else {
            return self.take_up_put_away(account, previd).await;
        };
        if refused.contains(&holder.node) && !holder.is_over {
            // It has it still, and cannot give it away: what its client has sent waits for the
            // store. Two would not agree how far the session is.
            return None;
        }
        // First what is known: it goes with its node, which may begin another life meanwhile.
        let revived = replica.revive(&self.world, account, previd, h);
        let claimed = match silent.contains(&holder.node) {
            true => claims::claim(self, holder.node, &holder.session, previd).await,
            false => Claimed::Unanswered,
        };
        let has_gone = revived.as_ref().is_some_and(|it| it.has_gone);
        let actor = match (claimed, revived) {
            (Claimed::Here(actor), _) => actor,
            (Claimed::Unanswered, Some(revived)) => {
                let (jid, node) = (&holder.session, holder.node.0);
                tracing::info!(%jid, node, "a session goes on without its node");
                self.take_up_one(revived.waiting).await?
            }
            (Claimed::Unanswered, None) => return self.take_up_put_away(account, previd).await,
            (Claimed::Denied, _) => return None,
        };
        // Its node may have been given up just now.
        let has_gone = replica.take_told_gone(&holder.session) || has_gone;
        // One that has ended already tells nobody anything.
        let since = ago(KEPT);
        let _ = actor.cast(SessionMsg::GoesOn { since, has_gone });
        tokio::spawn(absence::show_all(self.world.clone(), holder.session));
        Some(actor)
    }

    /// The address of an account's session that can be resumed by this id.
    fn resumed_as(&self, account: &BareJid, previd: &str) -> Option<FullJid> {
        let slot = self.slot_of(account, previd)?;
        let published = self.world.directory.published(account.as_str())?;
        let mut here = published.here();
        let found = here.find(|(_, it)| *it == slot);
        found.map(|(resource, _)| resource.jid.clone())
    }

    /// Asks the nodes that may have a session for it: first the one that shows it, then those with
    /// other sessions of its account, all at once, for one of them may be silent. One that has it
    /// no longer has given it to another, which shows it soon. Around a cut it may be on any node,
    /// also on one that is just being heard again.
    async fn ask_for_it(&self, peers: &Arc<Peers>, account: &BareJid, previd: &str) -> Asked {
        let (mut asked, mut silent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let is_cut = claims::are_around_cut(&self.world);
        let patience = if is_cut { HEARD_SOON } else { SHOWN_SOON };
        let mut deadline = Instant::now() + patience;
        let holder_now = || peers.replica().and_then(|it| it.holder(account, previd));
        loop {
            // Whoever had it may have given it to this node meanwhile.
            if let Some(actor) = self.resumable_here(account, previd) {
                return Asked::Found(Some(actor));
            }
            let holder = holder_now();
            let mut nodes = match &holder {
                Some(holder) if !asked.contains(&holder.node) => vec![holder.node],
                None if is_cut => reachable(peers),
                _ => self.nodes_of(account),
            };
            nodes.retain(|node| !asked.contains(node));
            if !nodes.is_empty() {
                asked.extend(&nodes);
                match self.ask_these(peers, &nodes, account, previd).await {
                    Asked::Found(actor) => return Asked::Found(actor),
                    Asked::Unfound {
                        silent: more,
                        refused: no,
                    } => {
                        silent.extend(more);
                        refused.extend(no);
                        deadline = deadline.max(Instant::now() + SHOWN_SOON);
                    }
                }
                continue;
            }
            // Another node may show it by now.
            let is_moving = |it: Holder| !it.is_over && refused.contains(&it.node);
            let may_be_shown = holder.map_or(is_cut, is_moving);
            if !may_be_shown || Instant::now() >= deadline {
                return Asked::Unfound { silent, refused };
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Asks some nodes at once for a session that one of them may have.
    async fn ask_these(
        &self,
        peers: &Arc<Peers>,
        nodes: &[NodeId],
        account: &BareJid,
        previd: &str,
    ) -> Asked {
        let asking = nodes.iter().map(|node| async move {
            let answer = self.ask_node(peers, *node, account, previd).await;
            (*node, answer)
        });
        let mut asking: FuturesUnordered<_> = asking.collect();
        let (mut silent, mut refused) = (Vec::new(), Vec::new());
        while let Some((node, answer)) = asking.next().await {
            match answer {
                // An answer that comes too late is taken in again where it arrives.
                Some(Some(waiting)) => return Asked::Found(self.begin_taken(waiting).await),
                Some(None) => refused.push(node),
                None if may_live(peers, node) => silent.push(node),
                None => {}
            }
        }
        Asked::Unfound { silent, refused }
    }

    /// Asks a node for a session that was not heard when it was asked for it first, if it is now.
    pub(crate) async fn ask_again(
        &self,
        node: NodeId,
        account: &BareJid,
        previd: &str,
    ) -> Option<ActorRef<SessionMsg>> {
        let peers = self.world.directory.peers()?;
        let members = peers.members();
        members.member(node).filter(|it| it.state == State::Up)?;
        let waiting = self.ask_node(peers, node, account, previd).await??;
        self.begin_taken(waiting).await
    }

    /// Asks a node for a session; nothing: it does not answer.
    async fn ask_node(
        &self,
        peers: &Arc<Peers>,
        node: NodeId,
        account: &BareJid,
        previd: &str,
    ) -> Option<Option<Waiting>> {
        let question = Question::TakeOver {
            account: account.clone(),
            previd: previd.to_owned(),
        };
        match peers.ask(node, question, TAKING_OVER).await? {
            Reply::Session(waiting) => Some(waiting.map(|waiting| *waiting)),
            _ => Some(None),
        }
    }

    async fn begin_taken(&self, waiting: Waiting) -> Option<ActorRef<SessionMsg>> {
        if self.is_here(&waiting) {
            let jid = waiting.session.facts.jid.bare();
            let previd = waiting.session.sm.as_ref().map(|sm| sm.id.as_str());
            return self.resumable_here(&jid, previd.unwrap_or_default());
        }
        self.go_on(waiting).await
    }

    /// Takes a session in that another node gives away; false: it cannot go on here. One whose
    /// client was faster, and has had it brought here or has begun another, is settled.
    pub async fn take_in(&self, waiting: Waiting) -> bool {
        claims::end_older(self).await;
        self.is_here(&waiting) || self.go_on(waiting).await.is_some()
    }

    /// Whether a session of this name is here.
    fn is_here(&self, waiting: &Waiting) -> bool {
        let place = self.world.directory.place(&waiting.session.facts.jid);
        matches!(place, Some(Place::Here(_)))
    }

    fn resumable_here(&self, account: &BareJid, previd: &str) -> Option<ActorRef<SessionMsg>> {
        self.world
            .directory
            .slots
            .get(self.slot_of(account, previd)?)
    }

    /// The slot of an account's session that can be resumed here by this id.
    pub(crate) fn slot_of(&self, account: &BareJid, previd: &str) -> Option<Slot> {
        let slot = self.world.resumables.slot(previd)?;
        self.owns(account, slot).then_some(slot)
    }

    /// Takes a session up that another node has handed over. What is on its way to it there
    /// comes after it, or is lost.
    pub(crate) async fn go_on(&self, waiting: Waiting) -> Option<ActorRef<SessionMsg>> {
        let actor = self.take_up_one(waiting).await?;
        let (since, has_gone) = (ago(ON_ITS_WAY), false);
        // One that has ended already misses nothing.
        let _ = actor.cast(SessionMsg::GoesOn { since, has_gone });
        Some(actor)
    }

    /// A session that a node has put away that is not back yet.
    pub(crate) async fn take_up_put_away(
        &self,
        account: &BareJid,
        previd: &str,
    ) -> Option<ActorRef<SessionMsg>> {
        self.take_up_one_of(account, previd).await;
        self.resumable_here(account, previd)
    }

    /// The other nodes that have sessions of an account.
    fn nodes_of(&self, account: &BareJid) -> Vec<NodeId> {
        let published = self.world.directory.published(account.as_str());
        published.map_or_else(Vec::new, |published| published.nodes())
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

/// What became of a question for a session.
enum Asked {
    /// Another node had it; nothing: it cannot go on here.
    Found(Option<ActorRef<SessionMsg>>),
    /// Nobody gives it away.
    Unfound {
        /// These do not answer, and may live.
        silent: Vec<NodeId>,
        /// These say no.
        refused: Vec<NodeId>,
    },
}

fn reachable(peers: &Peers) -> Vec<NodeId> {
    let members = peers.members();
    members.reachable().map(|it| it.life.node).collect()
}

/// Whether a node that does not answer may still have its sessions: one that has hung up is gone.
fn may_live(peers: &Peers, node: NodeId) -> bool {
    let members = peers.members();
    let member = members.member(node);
    member.is_some_and(|it| it.is_silent || matches!(it.state, State::Up | State::Leaving))
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
