//! What arrives from other nodes.
//!
//! Owns: the order of what waits for the store before it is passed on. Nothing here waits; what
//! takes time has a task of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::codec;
use klatsch_cluster::link::{Channel, Receive};
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::channels::Outgoing;
use klatsch_protocol::facts::Views;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{PresenceKind, Stanza, StreamCondition, StreamError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::absence;
use crate::colleagues;
use crate::comparison;
use crate::directory::Place;
use crate::files;
use crate::mail::{Mail, RoomMail};
use crate::metrics;
use crate::peers::Peers;
use crate::peers::envelope::{Aspect, Envelope, Question, Reply};
use crate::replica::Round;
use crate::room::{RoomMsg, Settled, ask};
use crate::rooms;
use crate::session::{Departing, Heir, SessionMsg, Successor, Waiting};
use crate::sessions::{REPLACE_PATIENCE, Sessions};
use crate::world::{STORE_PATIENCE, World};

/// Where messages of other nodes come in. It is made before the node, which the link is needed
/// for; what comes before the node is there has been missed.
#[derive(Default)]
pub struct Inbox {
    world: OnceLock<Weak<World>>,
    early: Mutex<BTreeSet<NodeId>>,
}

impl Inbox {
    /// An inbox whose node is not there yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on this node hears what comes.
    pub(crate) fn open(&self, world: &Arc<World>) {
        // Nobody opens it twice.
        let _ = self.world.set(Arc::downgrade(world));
        for node in std::mem::take(&mut *self.early()) {
            self.connected(node);
            self.missed(node);
        }
    }

    fn early(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.early.lock().expect("no holder panics")
    }

    fn world(&self) -> Option<(Arc<World>, Arc<Peers>)> {
        let world = self.world.get()?.upgrade()?;
        let peers = world.directory.peers()?.clone();
        Some((world, peers))
    }
}

impl Receive for Inbox {
    fn receive(&self, from: NodeId, channel: Channel, message: Bytes) {
        let Some((world, peers)) = self.world() else {
            self.early().insert(from);
            return;
        };
        match channel {
            Channel::Presence => {
                if let Some(replica) = peers.replica.get() {
                    replica.receive(from, message);
                }
            }
            Channel::Mail => match codec::decode(&message) {
                Ok(envelope) => take(&world, &peers, from, envelope),
                Err(error) => {
                    tracing::warn!(%error, %from, "an envelope cannot be read");
                    metrics::envelope_unknown();
                }
            },
        }
    }

    fn connected(&self, from: NodeId) {
        if let Some((_, peers)) = self.world() {
            peers.note_connected(from);
        }
    }

    fn missed(&self, from: NodeId) {
        let Some((world, peers)) = self.world() else {
            self.early().insert(from);
            return;
        };
        if let Some(replica) = peers.replica.get() {
            replica.missed(from);
        }
        // Answers may be among it, and questions.
        peers.give_up(from);
        peers.missed(from);
        tokio::spawn(absence::tell_missed(world.clone(), from));
        tokio::spawn(async move { comparison::compare_all(&world).await });
    }
}

fn take(world: &Arc<World>, peers: &Arc<Peers>, from: NodeId, envelope: Envelope) {
    match envelope {
        Envelope::Mail {
            to,
            mail,
            is_from_here,
        } => {
            if let Mail::Deliver(stanza) = &*mail {
                follow_if_elsewhere(world, from, stanza);
                if is_from_here {
                    presume(world, from, stanza);
                }
            }
            world.directory.deliver_here(&to, *mail);
        }
        Envelope::Tell(to, mail) => tell(world, peers, from, &to, &mail),
        Envelope::Gone(room, sessions) => {
            if let Some(place) = world.directory.room(room.as_str()) {
                for session in sessions {
                    world.directory.presume_nothing(&session, from);
                    // A room that has just ended has nobody inside.
                    let _ = place.actor.cast(RoomMsg::Gone(session));
                }
            }
        }
        Envelope::SendBack(round) => {
            let peers = peers.clone();
            tokio::spawn(async move { send_back(&peers, from, round).await });
        }
        Envelope::SentBack(round) => {
            if let Some(replica) = peers.replica() {
                replica.sent_back(from, Round(round));
            }
        }
        Envelope::CatchUp(room, sessions, time) => {
            if let Some(place) = world.directory.room(room.as_str()) {
                let time = Duration::from_millis(time);
                // A room that begins shows everybody to its occupants.
                let _ = place.actor.cast(RoomMsg::CatchUp(sessions, time));
            }
        }
        Envelope::ShowAgain(room, sessions, nicks) => {
            if let Some(place) = world.directory.room(room.as_str()) {
                // A room that begins shows everybody to its occupants.
                let _ = place.actor.cast(to_show(sessions, nicks));
            }
        }
        Envelope::ShowAll(session) => {
            tokio::spawn(absence::show_all(world.clone(), session));
        }
        Envelope::Broadcast {
            topic,
            frame,
            is_binary,
        } => {
            let frame = match is_binary {
                true => Outgoing::Binary(frame),
                false => Outgoing::Text(frame),
            };
            world.topics.said_elsewhere(&topic, &frame);
        }
        Envelope::Changed(account, aspect) => changed(world, &account, aspect),
        Envelope::Wanted(key) => {
            if let Some(capabilities) = world.directory.capabilities(&key) {
                peers.teach(from, key, capabilities);
            }
        }
        Envelope::Learned(key, capabilities) => world.directory.learn_from_peer(key, capabilities),
        Envelope::Forward(host, stanza) => {
            // Whoever sent it has been told that it is on its way.
            world.directory.forward_here(host.as_str(), &stanza);
        }
        Envelope::Ask(number, question) => {
            let (world, peers) = (world.clone(), peers.clone());
            tokio::spawn(async move {
                let reply = reply_to(&world, from, *question).await;
                if let Err(unsent) = peers.answer(from, number, reply) {
                    keep(&world, *unsent).await;
                }
            });
        }
        Envelope::Answer(number, reply) => {
            if let Err(unwanted) = peers.answered(from, number, *reply) {
                let world = world.clone();
                tokio::spawn(async move { keep(&world, unwanted).await });
            }
        }
        Envelope::Missed => peers.give_up(from),
        Envelope::Colleagues(version) => colleagues::hear(world, version),
    }
}

/// Sends a number back, if what was shown before it is here. It is asked for again otherwise, when
/// what was lost on its way has been asked for, too.
async fn send_back(peers: &Peers, from: NodeId, round: u64) {
    let Some(replica) = peers.replica() else {
        return;
    };
    if replica.knows_all_of(from).await {
        peers.sent_back(from, round);
    }
}

/// What a room is to show these sessions; without nicks it is everybody.
fn to_show(sessions: Vec<FullJid>, nicks: Vec<String>) -> RoomMsg {
    match nicks.is_empty() {
        true => RoomMsg::ShowAll(sessions),
        false => {
            let nicks = nicks.into_iter().map(|nick| nick.as_str().into()).collect();
            RoomMsg::ShowAgain(sessions, nicks)
        }
    }
}

/// Whoever has sent a stanza by way of a node is there, unless the node is given up: then it does
/// not know yet which of its sessions have gone on elsewhere.
fn presume(world: &World, from: NodeId, stanza: &Stanza) {
    let peers = world.directory.peers();
    if peers.is_some_and(|peers| !peers.members().reaches(from)) {
        return;
    }
    let sender = stanza.from().and_then(|from| from.to_full());
    if let Some(sender) = sender.filter(|sender| world.host.serves(sender.domain())) {
        match is_going(stanza) {
            true => world.directory.presume_nothing(&sender, from),
            false => world.directory.presume(&sender, from),
        }
    }
}

/// A node that stood still may show something of a session, or take its leave of it, long after
/// another has gone on with it: contacts here are told once more what is true.
fn follow_if_elsewhere(world: &Arc<World>, from: NodeId, stanza: &Stanza) {
    let is_shown = |stanza: &Stanza| match stanza {
        Stanza::Presence(it) => {
            matches!(it.kind, PresenceKind::Available | PresenceKind::Unavailable)
        }
        _ => false,
    };
    let sender = stanza.from().and_then(|from| from.to_full());
    if let Some(sender) = sender.filter(|_| is_shown(stanza))
        && let Some(place) = world.directory.place(&sender)
        && place != Place::There(from)
    {
        absence::tell_again(world, sender);
    }
}

fn is_going(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Presence(it) if it.kind == PresenceKind::Unavailable)
}

/// What a room has for sessions here; it hears of those that are not here any more.
fn tell(world: &World, peers: &Peers, from: NodeId, to: &[FullJid], mail: &Bytes) {
    let mail: RoomMail = match codec::decode(mail) {
        Ok(mail) => mail,
        Err(error) => {
            tracing::warn!(%error, %from, "a room's mail cannot be read");
            return metrics::envelope_unknown();
        }
    };
    let room = mail.room();
    let gone = world.directory.tell_here(to, Arc::new(mail));
    if let (Some(room), false) = (room, gone.is_empty()) {
        peers.gone(from, room, gone);
    }
}

fn changed(world: &Arc<World>, account: &BareJid, aspect: Aspect) {
    match aspect {
        Aspect::Data => world.accounts.invalidate(account),
        Aspect::Credentials => world.changed.note(account),
        Aspect::Removed => {
            world.changed.note(account);
            world.accounts.part(account);
            rooms::reread_here(world, account);
        }
    }
}

async fn reply_to(world: &Arc<World>, from: NodeId, question: Question) -> Reply {
    match question {
        Question::Room {
            stanza,
            occupancy,
            counted,
            is_from_here,
        } => {
            if is_from_here {
                presume(world, from, &stanza);
            } else if is_late_farewell(world, from, &stanza) {
                return Reply::Settled(Settled::Done);
            }
            let asked = ask::deliver_here(world, Arc::new(*stanza), occupancy, counted).await;
            asked.map_or(Reply::AskAgain, Reply::Settled)
        }
        Question::Destroy(room, reason) => {
            let asked = ask::destroy_here(world, &room, reason).await;
            asked.map_or(Reply::AskAgain, Reply::Settled)
        }
        Question::Replace(session) => Reply::Done(replace(world, &session, from, None).await),
        Question::TakeOver { account, previd } => {
            Reply::Session(hand_over(world, from, &account, &previd).await)
        }
        Question::Piece(content, offset) => {
            Reply::Piece(files::piece_here(world, content, offset).await)
        }
        Question::ClientHost => Reply::ClientHost(world.settings.client_host.clone()),
        Question::GoOn(waiting) => {
            let sessions = Sessions::new(world.clone());
            Reply::Done(sessions.take_in(*waiting).await)
        }
        Question::GiveWay { session, previd } => {
            Reply::Done(replace(world, &session, from, Some(previd)).await)
        }
    }
}

/// A session whose answer nobody takes is nowhere any more: it goes on here, where its client
/// looks for it.
async fn keep(world: &Arc<World>, reply: Reply) {
    if let Reply::Session(Some(waiting)) = reply {
        let jid = &waiting.session.facts.jid;
        tracing::info!(%jid, "a session that nobody has taken goes on");
        if let Some(sm) = &waiting.session.sm {
            world.given.forget(&sm.id);
        }
        Sessions::new(world.clone()).take_in(*waiting).await;
    }
}

/// Whether somebody is to leave a room whose session has gone on elsewhere and is inside from
/// there: the node that says so may have stood still meanwhile.
fn is_late_farewell(world: &World, from: NodeId, stanza: &Stanza) -> bool {
    let (Some(room), Some(replica)) = (stanza.to(), world.directory.replica()) else {
        return false;
    };
    let session = stanza.from().and_then(|from| from.to_full());
    let place = session.and_then(|session| replica.place_of_insider(&room.bare(), &session));
    is_going(stanza) && place.is_some_and(|place| place != Place::There(from))
}

/// Ends a session whose name another node's session takes, or which goes on there.
async fn replace(world: &World, session: &FullJid, node: NodeId, previd: Option<String>) -> bool {
    let Some(Place::Here(slot)) = world.directory.place(session) else {
        return false;
    };
    let (ended, has_ended) = oneshot::channel();
    let successor = Successor {
        previd,
        node: Some(node),
        ended,
    };
    let slots = &world.directory.slots;
    slots.send(slot, SessionMsg::Replace(successor));
    timeout(REPLACE_PATIENCE, has_ended).await.is_ok()
}

/// Hands a session over to the node its client has come to; once more, if it has been given to that
/// node and has not arrived.
async fn hand_over(
    world: &World,
    node: NodeId,
    account: &BareJid,
    previd: &str,
) -> Option<Box<Waiting>> {
    let slot = world.resumables.slot(previd);
    let published = world.directory.published(account.as_str());
    let Some(slot) = slot.filter(|slot| published.is_some_and(|it| it.has(*slot))) else {
        return given_in_vain(world, node, account, previd);
    };
    let (sender, session) = oneshot::channel();
    let heir = Heir {
        node: Some(node),
        session: sender,
    };
    let conflict = StreamError::new(StreamCondition::Conflict);
    let slots = &world.directory.slots;
    slots.send(slot, SessionMsg::HandOver(conflict, heir));
    let departing = Departing::by(Instant::now() + STORE_PATIENCE, session).await?;
    world.given.note(previd, node, departing.waiting.clone());
    Some(Box::new(departing.waiting))
}

fn given_in_vain(
    world: &World,
    node: NodeId,
    account: &BareJid,
    previd: &str,
) -> Option<Box<Waiting>> {
    let holder = world.directory.replica()?.holder(account, previd);
    if holder.is_some_and(|it| !it.is_over) {
        world.given.forget(previd);
    }
    let waiting = world.given.again(account, previd, node)?;
    tracing::info!(jid = %waiting.session.facts.jid, %node, "a session is given once more");
    Some(Box::new(waiting))
}
