//! The actor of one group of shards.
//!
//! Owns: the replica of the group. Does not own: what readers see (the watcher publishes it),
//! nor what a presence is. Restarted by: nobody, see [`super::Presences::ended`].

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::warn;

use super::status::GroupStatus;
use super::{Waiting, Watcher, lock};
use crate::codec;
use crate::link::{Channel, Handed, Link};
use crate::members::Members;
use crate::node_id::NodeId;
use crate::presence::metrics::Direction;
use crate::presence::{Key, Now, Outgoing, Output, Replica, Settings, Value, metrics, wire};

/// How replication stands is published so often at most: it takes a look at every copy.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Mail of a group.
pub(super) enum MergeMsg<K, V> {
    /// An entry of this node.
    Set {
        shard: u16,
        key: K,
        value: Option<V>,
        since: u64,
    },
    /// Somebody wants to know when what was set is on its way.
    WhenSent(oneshot::Sender<()>),
    /// Somebody wants to know whether everything is here that a node has sent.
    KnowsAllOf(NodeId, oneshot::Sender<bool>),
    /// A message of a peer.
    Heard { from: NodeId, message: Bytes },
    /// What a peer has sent may have been lost.
    Missed { from: NodeId },
    /// What membership thinks now.
    Members(Arc<Members>),
    /// It is time.
    Tick,
}

impl<K: Key, V: Value> ractor::Message for MergeMsg<K, V> {}

/// The actor.
pub(super) struct Group<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> Group<K, V> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

/// What it is started with.
pub(super) struct GroupArguments<K, V> {
    pub(super) settings: Settings,
    pub(super) group: u8,
    pub(super) link: Arc<dyn Link>,
    pub(super) watcher: Arc<dyn Watcher<K, V>>,
    pub(super) waiting: Arc<Waiting>,
}

/// A replica with its clocks and its ways out.
pub(super) struct Merging<K, V> {
    replica: Replica<K, V>,
    link: Arc<dyn Link>,
    watcher: Arc<dyn Watcher<K, V>>,
    waiting: Arc<Waiting>,
    started: Instant,
    timer: Option<(Duration, AbortHandle)>,
    status: GroupStatus,
    published: Option<Duration>,
    /// Who waits until what was set is on its way.
    unsent: Vec<oneshot::Sender<()>>,
}

impl<K: Key, V: Value> Actor for Group<K, V> {
    type Msg = MergeMsg<K, V>;
    type State = Merging<K, V>;
    type Arguments = GroupArguments<K, V>;

    async fn pre_start(
        &self,
        _me: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let me = arguments.link.members().borrow().me;
        Ok(Merging {
            replica: Replica::new(arguments.settings, me, arguments.group),
            link: arguments.link,
            watcher: arguments.watcher,
            waiting: arguments.waiting,
            started: Instant::now(),
            timer: None,
            status: GroupStatus::default(),
            published: None,
            unsent: Vec::new(),
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Self::Msg>,
        message: Self::Msg,
        merging: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let now = merging.now();
        match message {
            MergeMsg::Set {
                shard,
                key,
                value,
                since,
            } => merging.replica.set(shard, key, value, since, now),
            MergeMsg::WhenSent(reply) => merging.unsent.push(reply),
            MergeMsg::KnowsAllOf(node, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(merging.replica.knows_all_of(node));
            }
            MergeMsg::Heard { from, message } => merging.hear(from, &message, now),
            MergeMsg::Missed { from } => merging.replica.missed(from, now),
            MergeMsg::Members(members) => merging.replica.members(&members, now),
            MergeMsg::Tick => merging.replica.tick(now),
        }
        merging.carry_out(now);
        merging.set_timer(&me, now);
        Ok(())
    }

    async fn post_stop(
        &self,
        _me: ActorRef<Self::Msg>,
        merging: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        merging.drop_timer();
        merging.status.leave();
        Ok(())
    }
}

impl<K: Key, V: Value> Merging<K, V> {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            at: self.started.elapsed(),
            wall: wall.unwrap_or_default().as_millis() as u64,
        }
    }

    fn hear(&mut self, from: NodeId, message: &Bytes, now: Now) {
        for missed in self.waiting.release(message.len()) {
            self.replica.missed(missed, now);
        }
        match wire::read(message) {
            Ok(mut envelope) => {
                let entries = envelope.entries_mut();
                entries.for_each(|entry| self.watcher.share(entry));
                self.replica.receive(from, envelope, now);
            }
            Err(refusal) => self.replica.refuse(refusal),
        }
    }

    fn carry_out(&mut self, now: Now) {
        let output = self.replica.take_output();
        for send in &output.sends {
            self.send(send);
        }
        self.tell(output);
        if !self.replica.has_unsent() {
            for asked in self.unsent.drain(..) {
                // Whoever asked may have gone.
                let _ = asked.send(());
            }
        }
        let due = self
            .published
            .is_none_or(|last| now.at >= last + STATUS_EVERY);
        if due {
            self.published = Some(now.at);
            self.status.update(&self.replica);
            *lock(&self.waiting.status) = self.status.clone();
        }
    }

    fn send(&self, send: &Outgoing<K, V>) {
        let message = match codec::encode(&send.envelope) {
            Ok(message) => Bytes::from(message),
            Err(error) => {
                warn!(%error, "presence could not be encoded");
                return;
            }
        };
        for to in &send.to {
            match self
                .link
                .send(*to, send.lane, Channel::Presence, message.clone())
            {
                Handed::Queued => metrics::bytes(Direction::Sent, message.len() as u64),
                // The peer is told by the link that it has missed something.
                Handed::Overflowed => metrics::overflows(Direction::Sent, 1),
                Handed::Unreachable => {}
            }
        }
    }

    fn tell(&mut self, output: Output<K, V>) {
        metrics::count(&output.counts);
        self.status.count(&output.counts);
        for (shard, changes) in output.changes {
            self.watcher.changed(shard, changes);
        }
        for lost in output.lost {
            self.watcher.lost(lost);
        }
    }

    fn drop_timer(&mut self) {
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
        }
    }

    /// One timer, for what is due first.
    fn set_timer(&mut self, me: &ActorRef<MergeMsg<K, V>>, now: Now) {
        let at = self.replica.next_tick();
        let is_set = self
            .timer
            .as_ref()
            .is_some_and(|(set, _)| *set == at && *set > now.at);
        if is_set {
            return;
        }
        self.drop_timer();
        let wait = at.saturating_sub(now.at);
        let timer = me.send_after(wait, || MergeMsg::Tick);
        self.timer = Some((at, timer.abort_handle()));
    }
}
