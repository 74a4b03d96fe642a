//! The other nodes: what this one says to them, asks them and knows of them.
//!
//! Owns: the questions that wait for an answer. A node without others has none of this.
//! Nothing here waits for a peer but `Peers::ask`, and that in the task of whoever asks.

pub mod envelope;
mod receive;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::codec;
use klatsch_cluster::link::memory::Hub;
use klatsch_cluster::link::{Channel, Handed, Lane, Link, Receive};
use klatsch_cluster::members::Members;
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::placement;
use klatsch_protocol::channels::Outgoing;
use klatsch_protocol::features::caps;
use klatsch_protocol::features::muc::nick::Nick;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

pub use self::receive::Inbox;
use crate::files::Contents;
use crate::mail::{Address, Mail, RoomMail};
use crate::metrics;
use crate::peers::envelope::{Aspect, Envelope, Question, Reply};
use crate::replica::{Replica, Round};
use crate::room::Settled;

/// The other nodes.
pub struct Peers {
    link: Arc<dyn Link>,
    /// What the nodes show each other, once it is started.
    pub(crate) replica: OnceLock<Replica>,
    /// The contents of files of this node.
    pub(crate) contents: OnceLock<Arc<dyn Contents>>,
    questions: Questions,
    cuts: Mutex<Cuts>,
}

/// Which nodes this one has heard, and when there was last another connection with one of them.
#[derive(Default)]
struct Cuts {
    heard: HashMap<NodeId, Life>,
    healed: Option<Instant>,
}

/// Two halves of a cluster have settled what they know of each other within this time.
const SETTLED: Duration = Duration::from_secs(60);

/// What a node needs to have others: the way to them, and where what they say comes in.
pub type Others = (Arc<dyn Link>, Arc<Inbox>);

/// So many nodes that can live in one process, linked in memory: for tests of what is above.
pub fn in_one_process(count: u16) -> Vec<Others> {
    let hub = Arc::new(Hub::default());
    let node = |number| {
        let life = Life {
            node: NodeId(number),
            incarnation: Incarnation(1),
        };
        let link: Arc<dyn Link> = hub.link(life);
        let inbox = Inbox::new();
        let receiver: Arc<dyn Receive> = inbox.clone();
        hub.attach(life.node, &receiver);
        (link, inbox)
    };
    (1..=count).map(node).collect()
}

/// The questions that wait.
#[derive(Default)]
struct Questions {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, (NodeId, oneshot::Sender<Reply>)>>,
}

impl Questions {
    fn note(&self, node: NodeId) -> (u64, oneshot::Receiver<Reply>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.insert(number, (node, sender));
        (number, reply)
    }

    /// Takes a question out, if it was this node's to answer.
    fn take(&self, number: u64, node: NodeId) -> Option<oneshot::Sender<Reply>> {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        match waiting.get(&number) {
            Some((asked, _)) if *asked == node => waiting.remove(&number).map(|it| it.1),
            _ => None,
        }
    }

    fn is_any_for(&self, node: NodeId) -> bool {
        let waiting = self.waiting.lock().expect("no holder panics");
        waiting.values().any(|(asked, _)| *asked == node)
    }

    /// Nobody there answers any more.
    fn forget(&self, node: NodeId) {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.retain(|_, (asked, _)| *asked != node);
    }
}

impl Peers {
    /// What is reached over this link.
    pub fn new(link: Arc<dyn Link>) -> Self {
        Self {
            link,
            replica: OnceLock::new(),
            contents: OnceLock::new(),
            questions: Questions::default(),
            cuts: Mutex::default(),
        }
    }

    /// The link.
    pub(crate) fn link(&self) -> &Arc<dyn Link> {
        &self.link
    }

    /// What the nodes show each other, once that has started.
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.get()
    }

    /// The nodes as this one sees them now.
    pub fn members(&self) -> Arc<Members> {
        self.link.members().borrow().clone()
    }

    /// There is a new connection with a node. One that has been there all the time may have lived
    /// behind a cut, or this one did: who stood still has given up nobody, and was given up.
    pub(crate) fn note_connected(&self, node: NodeId) {
        let Some(life) = self.members().member(node).map(|member| member.life) else {
            return;
        };
        let mut cuts = self.cuts.lock().expect("no holder panics");
        if cuts.heard.insert(node, life) == Some(life) {
            cuts.healed = Some(Instant::now());
        }
    }

    /// Tells whether a cut has ended a moment ago.
    pub(crate) fn were_cut_lately(&self) -> bool {
        let cuts = self.cuts.lock().expect("no holder panics");
        cuts.healed.is_some_and(|healed| healed.elapsed() < SETTLED)
    }

    /// The node a room lives on; `None`: this one.
    pub fn home(&self, room: &BareJid) -> Option<NodeId> {
        let members = self.members();
        home(room, &members).filter(|home| *home != members.me.node)
    }

    /// Sends mail to another node's sessions, encoded once for all of these nodes; tells whether
    /// it is on its way to any.
    pub(crate) fn mail(
        &self,
        nodes: &[NodeId],
        to: &Address,
        mail: &Mail,
        is_from_here: bool,
    ) -> bool {
        let envelope = Envelope::Mail {
            to: to.clone(),
            mail: Box::new(mail.clone()),
            is_from_here,
        };
        let Some(encoded) = encoded(&envelope) else {
            return false;
        };
        let sent = nodes
            .iter()
            .map(|node| self.hand(*node, Lane::Bulk, encoded.clone()));
        // All of them, whatever became of the first.
        sent.fold(false, |any, sent| any | sent)
    }

    /// What a room says, encoded once for all nodes.
    pub(crate) fn encode_room_mail(mail: &RoomMail) -> Option<Bytes> {
        match codec::encode(mail) {
            Ok(bytes) => Some(bytes.into()),
            Err(error) => {
                tracing::error!(%error, "a room's mail has no encoding");
                None
            }
        }
    }

    /// Tells sessions of another node what a room has for them.
    pub(crate) fn tell(&self, node: NodeId, to: Vec<FullJid>, mail: Bytes) {
        self.say(node, Lane::Bulk, &Envelope::Tell(to, mail));
    }

    /// Tells a room on another node that these sessions are not here.
    fn gone(&self, node: NodeId, room: BareJid, sessions: Vec<FullJid>) {
        self.say(node, Lane::Bulk, &Envelope::Gone(room, sessions));
    }

    /// Asks a room on another node to show sessions here what they may have missed.
    pub(crate) fn catch_up(
        &self,
        node: NodeId,
        room: BareJid,
        sessions: Vec<FullJid>,
        time: Duration,
    ) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.say(node, Lane::Bulk, &Envelope::CatchUp(room, sessions, time));
    }

    /// Asks a node to show a session that has gone there who is there.
    pub(crate) fn show_all(&self, node: NodeId, session: &FullJid) {
        self.say(node, Lane::Bulk, &Envelope::ShowAll(session.clone()));
    }

    /// Asks a room on another node to show sessions what is true of these nicks.
    pub(crate) fn show_again(
        &self,
        node: NodeId,
        room: BareJid,
        sessions: Vec<FullJid>,
        nicks: &[Nick],
    ) {
        let nicks = nicks.iter().map(|nick| nick.to_string()).collect();
        self.say(
            node,
            Lane::Bulk,
            &Envelope::ShowAgain(room, sessions, nicks),
        );
    }

    /// Tells all nodes that something about an account has changed.
    pub(crate) fn changed(&self, account: &BareJid, aspect: Aspect) {
        let envelope = Envelope::Changed(account.clone(), aspect);
        let Some(encoded) = encoded(&envelope) else {
            return;
        };
        for member in self.members().reachable() {
            // In the lane of mail: what follows from the change comes behind it.
            self.hand(member.life.node, Lane::Bulk, encoded.clone());
        }
    }

    /// Tells all nodes what software can do.
    pub(crate) fn learned(&self, key: caps::Key, capabilities: Arc<caps::Capabilities>) {
        let Some(encoded) = encoded(&Envelope::Learned(key, capabilities)) else {
            return;
        };
        for member in self.members().reachable() {
            self.hand(member.life.node, Lane::Bulk, encoded.clone());
        }
    }

    /// Tells all nodes what somebody has pushed on a topic of an app, encoded once.
    pub(crate) fn broadcast(&self, topic: &str, frame: &Outgoing) {
        let members = self.members();
        let mut nodes = members.reachable().peekable();
        if nodes.peek().is_none() {
            return;
        }
        let (frame, is_binary) = match frame {
            Outgoing::Text(frame) => (frame.clone(), false),
            Outgoing::Binary(frame) => (frame.clone(), true),
        };
        let envelope = Envelope::Broadcast {
            topic: topic.into(),
            frame,
            is_binary,
        };
        let Some(encoded) = encoded(&envelope) else {
            return;
        };
        for member in nodes {
            self.hand(member.life.node, Lane::Bulk, encoded.clone());
        }
    }

    /// Tells all nodes that the organisation's people and groups have this version in the store.
    pub(crate) fn say_colleagues(&self, version: u64) {
        let Some(encoded) = encoded(&Envelope::Colleagues(version)) else {
            return;
        };
        for member in self.members().reachable() {
            self.hand(member.life.node, Lane::Bulk, encoded.clone());
        }
    }

    fn teach(&self, node: NodeId, key: caps::Key, capabilities: Arc<caps::Capabilities>) {
        self.say(node, Lane::Bulk, &Envelope::Learned(key, capabilities));
    }

    /// Asks a node what software can do that somebody there uses; it answers when it knows.
    pub(crate) fn want(&self, node: NodeId, key: caps::Key) {
        self.say(node, Lane::Bulk, &Envelope::Wanted(key));
    }

    /// Hands a stanza to a component that is connected to another node.
    pub(crate) fn forward(&self, node: NodeId, host: &BareJid, stanza: &Stanza) -> bool {
        let envelope = Envelope::Forward(host.clone(), Box::new(stanza.clone()));
        self.say(node, Lane::Bulk, &envelope)
    }

    /// Asks a node and waits; `None`: there is no answer to be had.
    pub(crate) async fn ask(
        &self,
        node: NodeId,
        question: Question,
        patience: Duration,
    ) -> Option<Reply> {
        let (number, reply) = self.questions.note(node);
        let envelope = Envelope::Ask(number, Box::new(question));
        let reply = match self.say(node, Lane::Bulk, &envelope) {
            true => timeout(patience, reply).await.ok().and_then(Result::ok),
            false => None,
        };
        self.questions.take(number, node);
        reply
    }

    /// Answers a question of another node.
    ///
    /// # Errors
    /// The answer: it is not on its way.
    fn answer(&self, node: NodeId, number: u64, reply: Reply) -> Result<(), Box<Reply>> {
        let envelope = Envelope::Answer(number, Box::new(reply));
        match (self.say(node, Lane::Control, &envelope), envelope) {
            (false, Envelope::Answer(_, reply)) => Err(reply),
            _ => Ok(()),
        }
    }

    /// An answer has come.
    ///
    /// # Errors
    /// The answer: nobody waits for it any more.
    fn answered(&self, node: NodeId, number: u64, reply: Reply) -> Result<(), Reply> {
        match self.questions.take(number, node) {
            Some(waiting) => waiting.send(reply),
            None => Err(reply),
        }
    }

    /// What was asked of this node is asked again, there or elsewhere.
    pub(crate) fn give_up(&self, node: NodeId) {
        self.questions.forget(node);
    }

    /// Tells whether a node has been asked something and has not answered yet.
    pub fn is_asking(&self, node: NodeId) -> bool {
        self.questions.is_any_for(node)
    }

    /// Has all nodes that are not given up send a number back.
    pub(crate) fn send_back(&self, round: Round) {
        let Some(encoded) = encoded(&Envelope::SendBack(round.0)) else {
            return;
        };
        for member in self.members().reachable() {
            // In the lane of presence, so that it arrives behind it.
            self.hand(member.life.node, Lane::Control, encoded.clone());
        }
    }

    fn sent_back(&self, node: NodeId, round: u64) {
        self.say(node, Lane::Control, &Envelope::SentBack(round));
    }

    /// Tells a node that something it has said may be lost here.
    fn missed(&self, node: NodeId) {
        self.say(node, Lane::Control, &Envelope::Missed);
    }

    fn say(&self, node: NodeId, lane: Lane, envelope: &Envelope) -> bool {
        encoded(envelope).is_some_and(|encoded| self.hand(node, lane, encoded))
    }

    fn hand(&self, node: NodeId, lane: Lane, encoded: Bytes) -> bool {
        match self.link.send(node, lane, Channel::Mail, encoded) {
            Handed::Queued => true,
            Handed::Overflowed | Handed::Unreachable => {
                metrics::envelope_lost();
                false
            }
        }
    }
}

/// What a node has settled; nothing when it does not answer.
pub(crate) fn settled(reply: Option<Reply>) -> Option<Settled> {
    match reply {
        Some(Reply::Settled(settled)) => Some(settled),
        _ => None,
    }
}

/// Where a room lives as these nodes are seen.
pub(crate) fn home(room: &BareJid, members: &Members) -> Option<NodeId> {
    placement::home(room.as_str().as_bytes(), &members.homes())
}

/// What is too large for the wire is lost as anything else may be: logs have the messages.
fn encoded(envelope: &Envelope) -> Option<Bytes> {
    match codec::encode(envelope) {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            tracing::error!(%error, "an envelope has no encoding");
            None
        }
    }
}
