//! What all parts of the link share: this node, the others, and what connects them.
//!
//! Locks are held for a few instructions, one at a time, and never while a receiver is called.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ractor::ActorCell;
use tokio::sync::watch;
use tokio::time::Instant;

use super::addresses::{Addresses, Listening, Places};
use super::batch::{Batch, BatchError, Item, Token};
use super::claims::{Claims, ConnectionId, SharedClaims};
use super::connection::{Connection, Traffic};
use super::handshake::{Agreed, Hello};
use crate::link::{Channel, Handed, Lane, Receive};
use crate::members::Members;
use crate::membership::{Membership, Refusal, Timing};
use crate::metrics;
use crate::node_id::{Life, NodeId};
use crate::settings::Settings;
use crate::status::PeerStatus;

/// How long the end of a connection is waited for before it is taken for ended.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// Who waits for the end of a connection looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A connection that is given up has this time to say why.
const LAST_WORD: Duration = Duration::from_millis(200);

/// What all parts of the link share.
pub(crate) struct Core {
    me: Life,
    name: Box<str>,
    settings: Settings,
    started: Instant,
    receiver: Arc<dyn Receive>,
    membership: Mutex<Membership>,
    claims: SharedClaims,
    addresses: Mutex<Addresses>,
    places: watch::Sender<Places>,
    connections: Mutex<HashMap<ConnectionId, Arc<Connection>>>,
    by_node: papaya::HashMap<NodeId, Arc<Connection>>,
    by_token: papaya::HashMap<Token, Arc<Connection>>,
    traffic: Mutex<HashMap<NodeId, Arc<Traffic>>>,
    members: watch::Sender<Arc<Members>>,
    /// Counts connections that have ended: who waits to dial again looks then.
    endings: watch::Sender<u64>,
}

fn lock<A>(mutex: &Mutex<A>) -> MutexGuard<'_, A> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(
        me: Life,
        name: &str,
        settings: Settings,
        receiver: Arc<dyn Receive>,
    ) -> Self {
        let timing = Timing {
            heartbeat: settings.heartbeat(),
        };
        Self {
            me,
            name: name.into(),
            started: Instant::now(),
            receiver,
            membership: Mutex::new(Membership::new(me, name, timing)),
            claims: Arc::new(Mutex::new(Claims::new(me.node))),
            addresses: Mutex::new(Addresses::new(me, settings.advertise.as_deref())),
            places: watch::Sender::new(Places::new()),
            connections: Mutex::default(),
            by_node: papaya::HashMap::new(),
            by_token: papaya::HashMap::new(),
            traffic: Mutex::default(),
            members: watch::Sender::new(Arc::new(Members::alone(me))),
            endings: watch::Sender::new(0),
            settings,
        }
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn me(&self) -> Life {
        self.me
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.members.subscribe()
    }

    /// Where other nodes listen, as they have told.
    pub(crate) fn places(&self) -> watch::Receiver<Places> {
        self.places.subscribe()
    }

    pub(crate) fn claims(&self) -> &SharedClaims {
        &self.claims
    }

    pub(crate) fn hello(&self, token: Token) -> Hello {
        Hello::new(self.me, &self.name, token)
    }

    /// 128 random bits.
    pub(crate) fn new_token(&self) -> io::Result<Token> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Token::from_le_bytes(bytes))
    }

    /// Whether a node may be spoken with.
    pub(crate) fn check(&self, peer: &Hello) -> Result<(), Refusal> {
        let result = lock(&self.membership).check(peer.life, &peer.name);
        if result == Err(Refusal::Taken) && peer.life.node == self.me.node {
            self.superseded();
        }
        result
    }

    /// A later life of this node is known.
    pub(crate) fn superseded(&self) {
        if lock(&self.membership).superseded() {
            tracing::error!(
                node = %self.me.node, incarnation = %self.me.incarnation,
                "another process runs as this node, in a later life: this one should be stopped"
            );
        }
    }

    pub(crate) fn is_superseded(&self) -> bool {
        lock(&self.membership).is_superseded()
    }

    /// Makes a connection of what was agreed. Nobody lives by it yet.
    pub(crate) fn adopt(&self, agreed: Agreed, address: SocketAddr) -> Arc<Connection> {
        let traffic = self.traffic_of(agreed.peer.life.node);
        let queue = self.settings.queue_bytes_max;
        let connection = Arc::new(Connection::new(agreed, address, traffic, queue));
        lock(&self.connections).insert(connection.id, connection.clone());
        let by_token = self.by_token.pin();
        by_token.insert(connection.token, connection.clone());
        connection
    }

    fn traffic_of(&self, node: NodeId) -> Arc<Traffic> {
        lock(&self.traffic).entry(node).or_default().clone()
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        lock(&self.connections).get(&id).cloned()
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).values().cloned().collect()
    }

    /// Tells whether there is a connection with a node, or about to be.
    pub(crate) fn is_connected(&self, node: NodeId) -> bool {
        lock(&self.claims).connection(node).is_some()
    }

    /// Waits until there is no connection with a node.
    pub(crate) async fn until_lost(&self, node: NodeId) {
        let mut endings = self.endings.subscribe();
        while self.is_connected(node) {
            // A handshake that fails ends nothing, but also gives a place back.
            let _ = tokio::time::timeout(LOOK_AGAIN, endings.changed()).await;
        }
    }

    /// The other node is there: what it has sent before may have been lost.
    pub(crate) fn live(&self, connection: &Arc<Connection>) {
        if connection.has_ended() || !connection.becomes_live() {
            return;
        }
        let Connection { life, name, .. } = &**connection;
        tracing::info!(
            node = %life.node, incarnation = %life.incarnation, peer = %name,
            address = %connection.address, "connected with a node"
        );
        metrics::connected();
        self.by_node.pin().insert(life.node, connection.clone());
        let now = self.now();
        self.change(|members| members.connected(*life, name, connection.round_trip, now));
        self.receiver.connected(life.node);
        self.receiver.missed(life.node);
        let told = lock(&self.addresses).connected(life.node);
        self.tell(connection, told);
        // Its end may have come in between.
        if connection.has_ended() {
            self.unlist(connection);
        }
    }

    /// What waits for the other node may go to its router from now on.
    pub(crate) fn ready(self: &Arc<Self>, connection: &Arc<Connection>, router: ActorCell) {
        self.live(connection);
        let core = self.clone();
        tokio::spawn(connection.clone().pump(router, move || core.now()));
    }

    /// Ends a connection, and returns when it is no more.
    pub(crate) async fn end(&self, id: Option<ConnectionId>) {
        let Some(connection) = id.and_then(|id| self.connection(id)) else {
            return;
        };
        connection.stop();
        if tokio::time::timeout(END_DEADLINE, connection.ended())
            .await
            .is_err()
        {
            self.ended(&connection);
        }
    }

    /// A connection has ended.
    pub(crate) fn ended(&self, connection: &Arc<Connection>) {
        if !connection.ends() {
            return;
        }
        lock(&self.connections).remove(&connection.id);
        self.by_token.pin().remove(&connection.token);
        if connection.is_live() {
            let node = connection.life.node;
            tracing::info!(%node, peer = %connection.name, "connection with a node has ended");
            metrics::lost(connection.outbox().queued());
            self.unlist(connection);
        }
        self.endings.send_modify(|count| *count += 1);
    }

    fn unlist(&self, connection: &Connection) {
        self.forget(connection);
        let (life, now) = (connection.life, self.now());
        self.change(|members| members.disconnected(life, now));
    }

    fn tell(&self, connection: &Connection, told: Vec<Listening>) {
        if !told.is_empty() {
            connection.outbox().tell(told);
            connection.wake();
        }
    }

    /// Tells everybody of addresses that are new, and forgets old ones.
    fn tell_news(&self) {
        let members = self.members.borrow().clone();
        let mut addresses = lock(&self.addresses);
        addresses.forget(self.now(), |node| members.member(node).is_some());
        let news = addresses.take_news();
        self.publish_places(&addresses);
        drop(addresses);
        for connection in self.connections() {
            let is_other = |told: &&Listening| told.life.node != connection.life.node;
            if connection.is_live() {
                self.tell(&connection, news.iter().filter(is_other).cloned().collect());
            }
        }
    }

    /// Under the lock, so that the latest is published last.
    fn publish_places(&self, addresses: &Addresses) {
        let places = addresses.places();
        self.places.send_if_modified(|known| {
            let is_new = *known != places;
            *known = places;
            is_new
        });
    }

    fn hear_addresses(&self, from: NodeId, told: Vec<Listening>) {
        let mut addresses = lock(&self.addresses);
        addresses.hear(from, told, self.now());
        self.publish_places(&addresses);
    }

    /// Nothing more is sent over this connection.
    fn forget(&self, connection: &Connection) {
        let is_this = |_: &NodeId, current: &Arc<Connection>| current.id == connection.id;
        let by_node = self.by_node.pin();
        // It may have been another's turn already.
        let removed = by_node.remove_if(&connection.life.node, is_this);
        if let Ok(Some((node, _))) = removed {
            lock(&self.addresses).disconnected(*node);
        }
    }

    /// Changes what is thought of others, and publishes it if it is something else now.
    fn change<A>(&self, change: impl FnOnce(&mut Membership) -> A) -> A {
        let mut membership = lock(&self.membership);
        let before = membership.changes();
        let answer = change(&mut membership);
        if membership.changes() != before {
            // Under the lock: the latest is published last.
            self.members.send_replace(Arc::new(membership.members()));
        }
        answer
    }

    /// This node stops: says so to all.
    pub(crate) fn leave(&self) {
        self.change(Membership::leave);
        self.beat();
    }

    /// Says to all that this node lives, and what is new.
    pub(crate) fn beat(&self) {
        self.tell_news();
        let now = self.now();
        for connection in self.connections() {
            let beat = lock(&self.membership).beat_for(connection.life.node, now);
            if let Some(beat) = beat.filter(|_| connection.is_live()) {
                connection.outbox().beat(beat);
                connection.wake();
            }
        }
    }

    /// Judges who is there. Connections with nodes that are down end, with a last word.
    pub(crate) fn look(self: &Arc<Self>) {
        let now = self.now();
        let closing = self.change(|members| members.look(now));
        for life in closing {
            tracing::warn!(node = %life.node, "a node is down: nothing has been heard of it");
            let connection = self.by_node.pin().get(&life.node).cloned();
            if let Some(connection) = connection.filter(|found| found.life == life) {
                self.give_up(connection);
            }
        }
    }

    /// Shows what only can be seen by looking.
    pub(crate) fn observe(&self) {
        metrics::members(&self.members.borrow());
        let mut queued_bytes = 0;
        for connection in self.connections() {
            queued_bytes += connection.outbox().queued_bytes();
            let vitals = lock(&self.membership).vitals(connection.life.node);
            if let Some(vitals) = vitals {
                metrics::round_trip(vitals.round_trip);
            }
        }
        metrics::queued_bytes(queued_bytes);
    }

    fn give_up(self: &Arc<Self>, connection: Arc<Connection>) {
        self.forget(&connection);
        let beat = lock(&self.membership).beat_for(connection.life.node, self.now());
        if let Some(beat) = beat {
            connection.outbox().beat(beat);
            connection.wake();
        }
        let core = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LAST_WORD).await;
            core.end(Some(connection.id)).await;
        });
    }

    /// Sends a message. Never waits.
    pub(crate) fn send(&self, to: NodeId, lane: Lane, channel: Channel, message: Bytes) -> Handed {
        let by_node = self.by_node.pin();
        let Some(connection) = by_node.get(&to) else {
            return Handed::Unreachable;
        };
        let now = self.now();
        let is_queued = connection.outbox().push(lane, channel, message, now);
        connection.wake();
        match is_queued {
            true => Handed::Queued,
            false => {
                Traffic::add(&connection.traffic.overflows, 1);
                metrics::overflowed();
                Handed::Overflowed
            }
        }
    }

    /// A batch has come.
    pub(crate) fn receive(&self, bytes: Bytes) {
        let length = bytes.len();
        let batch = match Batch::parse(&bytes) {
            Ok(batch) => batch,
            // Without a token nobody is known to have sent it.
            Err(error) => return metrics::refused_batch(&error),
        };
        let connection = self.by_token.pin().get(&batch.token).cloned();
        let Some(connection) = connection else {
            return metrics::unknown_token();
        };
        self.live(&connection);
        let now = self.now();
        self.change(|members| members.heard(connection.life, now));
        if connection.outbox().acknowledged(batch.received) {
            connection.wake();
        }
        if let Err(error) = self.take_items(&connection, batch) {
            metrics::refused_batch(&error);
            tracing::error!(node = %connection.life.node, %error, "connection ended for what came");
            connection.stop();
        }
        if connection.outbox().received(length) {
            connection.wake();
        }
    }

    fn take_items(&self, connection: &Connection, batch: Batch) -> Result<(), BatchError> {
        let from = connection.life.node;
        let (bytes, mut envelopes) = (batch.len(), 0);
        for item in batch.items() {
            match item? {
                Item::Envelope(channel, message) => {
                    envelopes += 1;
                    self.receiver.receive(from, channel, message);
                }
                Item::Heartbeat(beat) => {
                    let (life, now) = (connection.life, self.now());
                    let is_deaf = self.change(|members| members.heartbeat(life, beat, now));
                    if is_deaf {
                        tracing::warn!(node = %from, "a node is down: it does not hear this one");
                        self.forget(connection);
                        connection.stop();
                    }
                }
                Item::Missed => self.receiver.missed(from),
                Item::Listening(told) => self.hear_addresses(from, told),
                Item::Unknown => metrics::unknown_item(),
            }
        }
        Traffic::add(&connection.traffic.received_envelopes, envelopes);
        Traffic::add(&connection.traffic.received_bytes, bytes);
        metrics::received(envelopes, bytes);
        Ok(())
    }

    /// What every node known is like, for operators.
    pub(crate) fn status(&self) -> Vec<PeerStatus> {
        let members = self.members.borrow().clone();
        let now = self.now();
        let describe = |member: &crate::members::Member| {
            let node = member.life.node;
            let vitals = lock(&self.membership).vitals(node);
            let connection = self.by_node.pin().get(&node).cloned();
            let traffic = self.traffic_of(node);
            let addresses = lock(&self.addresses);
            let (connection, listens) = (connection.as_deref(), addresses.of(node));
            PeerStatus::new(member, vitals, connection, listens, &traffic, now)
        };
        members.others.iter().map(describe).collect()
    }
}

#[cfg(test)]
mod tests;
