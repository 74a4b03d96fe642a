//! External components (XEP-0114 version 1.6): programs that serve hosts of their own.
//!
//! A component has no actor and no log. What is for it goes to its connection at once, or its
//! sender is told that it does not; what it says is decided here, strictly in order, by whoever
//! reads its connection, which is not read meanwhile. Messages that follow each other are
//! committed together. It is listed for as long as its [`Component`] lives.
//!
//! Left out: several connections of one host. The second one is refused, as Prosody does: two
//! programs that take the host from each other in turns would serve nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use klatsch_protocol::effect::{DedupKey, Effect, Keep};
use klatsch_protocol::facts::{AccountData, Views};
use klatsch_protocol::features::component;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::pipeline;
use klatsch_protocol::stanza::{
    Malformed, Message, Stanza, StanzaError, StreamCondition, StreamError,
};
use klatsch_protocol::xml::Fragment;
use klatsch_store::Dedup;
use tokio::sync::oneshot;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_128;

use crate::directory::ComponentPlace;
use crate::log_writer::{Arriving, LogWriterMsg, Outcome, payload_hash};
use crate::metrics;
use crate::room::RoomMsg;
use crate::router;
use crate::session::Sink;
use crate::sessions::random_id;
use crate::world::{STORE_PATIENCE, World};

/// A commit has its end within 30 s, known or not.
const COMMIT_PATIENCE: Duration = Duration::from_secs(40);

/// So many messages are committed together at most: as many as a client may have under way.
const BATCH_MAX: usize = 64;

/// The handle by which gateways take components in.
#[derive(Clone)]
pub struct Components {
    world: Arc<World>,
}

/// A connected component.
pub struct Component {
    world: Arc<World>,
    host: BareJid,
    place: Arc<ComponentPlace>,
}

impl Components {
    /// The components of this node.
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Takes a component in that has proved to be the one of this host. Nothing is written to
    /// its connection before [`Component::start`].
    ///
    /// # Errors
    /// Why its stream ends: it is connected already, or the host is none of a component.
    pub fn take_in(
        &self,
        host: BareJid,
        sink: Arc<dyn Sink>,
    ) -> Result<Component, StreamCondition> {
        if self.world.host.component(host.as_str()).is_none() {
            return Err(StreamCondition::HostUnknown);
        }
        let is_open = AtomicBool::new(false);
        let place = Arc::new(ComponentPlace { sink, is_open });
        let world = self.world.clone();
        if !world.directory.list_component(host.clone(), place.clone()) {
            return Err(StreamCondition::Conflict);
        }
        tracing::info!(component = %host, "component connected");
        Ok(Component { world, host, place })
    }
}

impl Component {
    /// The component knows that it is connected.
    pub fn start(&self) {
        self.place.is_open.store(true, Ordering::Release);
    }

    /// Its host.
    pub fn host(&self) -> &BareJid {
        &self.host
    }

    /// Deals with what the component has sent, in its order; comes back when all of it has been
    /// dealt with.
    ///
    /// # Errors
    /// Why the component's stream has to end; what it sent before that has been dealt with.
    pub async fn take(&self, fragments: Vec<Fragment>) -> Result<(), StreamError> {
        let mut batch = Vec::new();
        for fragment in fragments {
            let stanza = match self.read(fragment) {
                Ok(stanza) => stanza,
                Err(error) => {
                    self.commit(&mut batch).await?;
                    return Err(error);
                }
            };
            match stanza {
                // Deciding takes many turns: boxed, its future costs nothing until then.
                Ok(stanza) => Box::pin(self.decide(stanza, &mut batch)).await?,
                Err(malformed) => {
                    self.commit(&mut batch).await?;
                    self.refuse_malformed(&malformed);
                }
            }
        }
        self.commit(&mut batch).await
    }

    fn read(&self, fragment: Fragment) -> Result<Result<Stanza, Box<Malformed>>, StreamError> {
        if !matches!(fragment.name(), "message" | "presence" | "iq") {
            // RFC 6120 §4.9.3.24.
            return Err(StreamError::new(StreamCondition::UnsupportedStanzaType));
        }
        let stanza = match Stanza::from_fragment(fragment) {
            Ok(stanza) => stanza,
            Err(malformed) => return Ok(Err(Box::new(malformed))),
        };
        component::check_addresses(stanza.head(), &self.host).map_err(StreamError::new)?;
        metrics::stanza_received(&stanza);
        Ok(Ok(stanza))
    }

    async fn decide(&self, stanza: Stanza, batch: &mut Vec<Arriving>) -> Result<(), StreamError> {
        let Some(to) = stanza.to().map(Jid::bare) else {
            return Ok(());
        };
        let book = self.world.directory.book();
        let to = book.owner(&to).unwrap_or(&to).clone();
        if to.domain() == self.host.as_str() {
            // Row R20: what a component says to itself would come back to it for ever.
            self.answer(stanza.error_reply(&StanzaError::not_allowed()))
                .await;
            return Ok(());
        }
        let mut effects = self.effects(&stanza, &to);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Keep(keep) => {
                    batch.push(arriving_of(keep));
                    if batch.len() >= BATCH_MAX {
                        self.commit(batch).await?;
                    }
                }
                Effect::Reply(stanza) | Effect::Route(stanza) => {
                    self.commit(batch).await?;
                    router::route_to_end(&self.world, stanza, 0).await;
                }
                Effect::Trace(what, why) => tracing::trace!(what, why),
                other => debug_assert!(false, "nothing from elsewhere asks for {other:?}"),
            }
        }
        Ok(())
    }

    fn effects(&self, stanza: &Stanza, to: &BareJid) -> VecDeque<Effect> {
        let at_hand = self.world.accounts.at_hand(to);
        let data = at_hand.map_or_else(|| Arc::new(AccountData::default()), |it| it.data());
        pipeline::decide_arrived(stanza, &self.world.facts(to, &data, None)).into()
    }

    /// Commits what has gathered, and says what was refused.
    async fn commit(&self, batch: &mut Vec<Arriving>) -> Result<(), StreamError> {
        if batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(batch);
        let outcomes = self.append(batch.clone()).await;
        for (arriving, outcome) in batch.into_iter().zip(outcomes) {
            if outcome == Outcome::Uncertain {
                // D5: neither kept nor refused can be said.
                return Err(StreamError::new(StreamCondition::InternalServerError));
            }
            let stanza = Stanza::Message(arriving.message);
            let refusal = outcome.refusal();
            self.answer(refusal.and_then(|error| stanza.error_reply(&error)))
                .await;
        }
        Ok(())
    }

    async fn append(&self, arriving: Vec<Arriving>) -> Vec<Outcome> {
        let count = arriving.len();
        let (reply, answered) = oneshot::channel();
        let arrive = LogWriterMsg::Arrive { reply, arriving };
        if self.world.log_writer().cast(arrive).is_err() {
            // It is being started again; it has not seen these.
            return vec![Outcome::Refused; count];
        }
        match timeout(COMMIT_PATIENCE, answered).await {
            Ok(Ok(Ok(arrived))) => arrived.iter().map(Outcome::from).collect(),
            Ok(Ok(Err(outcome))) => vec![outcome; count],
            _ => vec![Outcome::Uncertain; count],
        }
    }

    async fn answer(&self, reply: Option<Stanza>) {
        if let Some(reply) = reply {
            router::route_to_end(&self.world, reply, 1).await;
        }
    }

    fn refuse_malformed(&self, malformed: &Malformed) {
        if let Some(refusal) = malformed.reply() {
            // One that reads too slowly for this hears nothing of it.
            let _ = self.place.sink.nonza(&refusal);
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.place.is_open.store(false, Ordering::Release);
        self.world.directory.unlist_component(&self.host);
        tracing::info!(component = %self.host, "component disconnected");
        tokio::spawn(leave_rooms(self.world.clone(), self.host.clone()));
    }
}

fn arriving_of(keep: Keep) -> Arriving {
    let Keep {
        message,
        recipient,
        dedup,
        ..
    } = keep;
    let dedup = dedup_of(&message, &dedup);
    let to = message.head.to.as_ref().map(Jid::bare);
    let recipient = recipient.or(to).expect("what is kept is for somebody");
    let sender = message.head.from.clone();
    Arriving {
        sender: sender.unwrap_or_else(|| recipient.clone().into()),
        recipient,
        message,
        // It has no log here.
        sent: None,
        dedup,
    }
}

/// The key by which the store recognises a replay (D2), which puts the sender to it.
fn dedup_of(message: &Message, key: &DedupKey) -> Dedup {
    let payload = payload_hash(message);
    let text = match key {
        DedupKey::Origin(id) => format!("origin\0{id}"),
        DedupKey::Stanza(id) => format!("stanza\0{id}\0{payload}"),
        // A component does not resume: nothing tells that it sends something again.
        DedupKey::Counted => format!("once\0{}", random_id()),
    };
    Dedup {
        key: xxh3_128(text.as_bytes()).to_be_bytes(),
        payload,
    }
}

/// Nobody at a component that is gone is inside a room (XEP-0045 §11.1).
async fn leave_rooms(world: Arc<World>, host: BareJid) {
    for (_, place) in world.directory.rooms() {
        let (reply, room) = oneshot::channel();
        if place.actor.cast(RoomMsg::Inspect(reply)).is_err() {
            continue;
        }
        let Ok(Ok(Some(room))) = timeout(STORE_PATIENCE, room).await else {
            continue;
        };
        let inside = room.occupants().iter().flat_map(|occupant| occupant.jids());
        for session in inside.filter(|jid| jid.domain() == host.as_str()) {
            // A room that has ended has nobody inside.
            let _ = place.actor.cast(RoomMsg::Gone(session.clone()));
        }
    }
}
