//! Sessions that are brought to this node: their clients have come here (XEP-0198 §5), or another
//! node gives them away.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use klatsch_cluster::members::State;
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::{BareJid, FullJid};
use ractor::ActorRef;
use tokio::time::{Instant, sleep};

use super::Sessions;
use super::moving::TAKING_OVER;
use crate::absence::{self, ago};
use crate::claims::{self, Claimed};
use crate::directory::Place;
use crate::news::KEPT;
use crate::peers::Peers;
use crate::peers::envelope::{Question, Reply};
use crate::replica::Holder;
use crate::session::{SessionMsg, Waiting};
use crate::slot::Slot;

/// Mail for a session that moves may be on its way for so long.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// A node that has a session shows that to the others within this time.
const SHOWN_SOON: Duration = Duration::from_secs(1);

/// Two nodes that hear each other again know within this time who has which session.
const HEARD_SOON: Duration = Duration::from_secs(3);

/// So often is looked who shows a session that has left its node.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl Sessions {
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
            return match self.take_back(account, previd, &refused) {
                Some(waiting) => self.go_on(waiting).await,
                None => self.take_up_put_away(account, previd).await,
            };
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
        let (actor, has_gone) = match (claimed, revived) {
            (Claimed::Here(actor), revived) => {
                let has_gone = revived.as_ref().is_some_and(|it| it.has_gone);
                revived.into_iter().for_each(|it| it.taken.settle());
                (actor, has_gone)
            }
            (Claimed::Unanswered, Some(revived)) => {
                let (jid, node) = (&holder.session, holder.node.0);
                tracing::info!(%jid, node, "a session goes on without its node");
                let actor = self.take_up_one(revived.waiting).await?;
                revived.taken.settle();
                (actor, revived.has_gone)
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

    /// The session that this node has given to one of these, which say that they do not have it.
    fn take_back(&self, account: &BareJid, previd: &str, refused: &[NodeId]) -> Option<Waiting> {
        let given = &self.world.given;
        let heir = given.heir(previd).filter(|heir| refused.contains(heir))?;
        let waiting = given.again(account, previd, heir)?;
        given.forget(previd);
        Some(waiting)
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
        if !is_heard(peers, node) {
            return None;
        }
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
        let answer = match peers.ask(node, question.clone(), TAKING_OVER).await {
            // The answer was lost with its connection, if there is another one by now.
            None if is_heard(peers, node) => peers.ask(node, question, TAKING_OVER).await,
            answer => answer,
        };
        match answer? {
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

fn is_heard(peers: &Peers, node: NodeId) -> bool {
    let members = peers.members();
    members.member(node).is_some_and(|it| it.state == State::Up)
}

/// Whether a node that does not answer may still have its sessions: one that has hung up is gone.
fn may_live(peers: &Peers, node: NodeId) -> bool {
    let members = peers.members();
    let member = members.member(node);
    member.is_some_and(|it| it.is_silent || matches!(it.state, State::Up | State::Leaving))
}
