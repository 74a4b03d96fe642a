//! The merge actors: they drive [`crate::presence`] over the link.
//!
//! One actor for each group of shards, so that groups merge beside each other and an entry
//! costs no actor. [`Presences`] is the handle: an entry of this node and a message of a peer
//! become mail, and nobody waits. What comes out goes to the link and to a [`Watcher`].

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

use crate::link::Link;
use crate::members::Members;
use crate::node_id::NodeId;
use crate::presence::metrics::Direction;
use crate::presence::snapshot::Entry;
use crate::presence::{Change, Key, Lost, Settings, Value, metrics, wire};

mod group;
mod keeper;
mod status;

use self::group::{Group, GroupArguments, MergeMsg};
use self::keeper::{Keeper, KeeperArguments};
pub use self::status::{NodeStatus, Status};

/// So many bytes of messages may wait for one actor: a page from each of thirty peers. What
/// comes on top is dropped, and asked for when there is room again.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Who hears what other nodes' entries show.
pub trait Watcher<K, V>: Send + Sync {
    /// Net differences of what readers see of other nodes, by shard. Must not wait.
    fn changed(&self, shard: u16, changes: Vec<Change<K, V>>);

    /// An entry of this node has lost to another node's for the same key: its session has to
    /// end, and with it the entry.
    fn lost(&self, lost: Lost<K>);

    /// An entry of another node has been read and may be kept for long: what of it is in memory
    /// already can take the place of what was read, if it is the same. Must not wait.
    fn share(&self, _entry: &mut Entry<K, V>) {}
}

/// Why merging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An actor could not be started.
    #[error("merge actor could not be started: {0}")]
    Spawn(#[from] SpawnErr),
}

/// Presence as this node and all others see it. Cheap to clone.
pub struct Presences<K, V> {
    shared: Arc<Shared<K, V>>,
}

impl<K, V> Clone for Presences<K, V> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Self { shared }
    }
}

struct Shared<K, V> {
    settings: Settings,
    mailboxes: Vec<Mailbox<K, V>>,
    keeper: ActorRef<()>,
    members: watch::Receiver<Arc<Members>>,
    listening: AbortHandle,
    ended: watch::Receiver<bool>,
}

/// The way to a group's actor.
struct Mailbox<K, V> {
    actor: ActorRef<MergeMsg<K, V>>,
    waiting: Arc<Waiting>,
}

/// What waits for an actor.
#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    dropped: Mutex<BTreeSet<NodeId>>,
    status: Mutex<status::GroupStatus>,
}

impl Waiting {
    /// Makes room for a message; if there is none, its sender is remembered.
    fn admits(&self, from: NodeId, bytes: usize) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= WAITING_BYTES_MAX {
            return true;
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        lock(&self.dropped).insert(from);
        metrics::overflows(Direction::Received, 1);
        false
    }

    /// A message is being dealt with; answers whose messages have been dropped, once there is
    /// room for more.
    fn release(&self, bytes: usize) -> BTreeSet<NodeId> {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        match before - bytes < WAITING_BYTES_MAX / 2 {
            true => std::mem::take(&mut *lock(&self.dropped)),
            false => BTreeSet::new(),
        }
    }
}

/// What is guarded is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Key, V: Value> Presences<K, V> {
    /// Starts the actors. The nodes, and which one this is, are those of the link.
    pub async fn start(
        settings: Settings,
        link: Arc<dyn Link>,
        watcher: Arc<dyn Watcher<K, V>>,
    ) -> Result<Self, StartError> {
        metrics::start();
        let members = link.members();
        let (keeper, keeping) = Actor::spawn(None, Keeper, KeeperArguments).await?;
        let mut mailboxes = Vec::new();
        for group in 0..settings.groups {
            let waiting = Arc::new(Waiting::default());
            let arguments = GroupArguments {
                settings: settings.clone(),
                group,
                link: link.clone(),
                watcher: watcher.clone(),
                waiting: waiting.clone(),
            };
            let cell = keeper.get_cell();
            let (actor, _) = Actor::spawn_linked(None, Group::new(), arguments, cell).await?;
            mailboxes.push(Mailbox { actor, waiting });
        }
        let actors = mailboxes.iter().map(|it| it.actor.clone()).collect();
        let listening = tokio::spawn(listen(members.clone(), actors)).abort_handle();
        let shared = Shared {
            settings,
            mailboxes,
            keeper,
            members,
            listening,
            ended: end_of(keeping),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// An entry of this node, or none any more under this key. Never waits. `since` is when
    /// its session began, milliseconds since 1970: should two nodes have an entry for a key,
    /// that of the later session wins. Whoever knows of the other's entry is later, whatever
    /// the clocks say, but for one that [`crate::presence::GIVES_WAY`].
    pub fn set(&self, shard: u16, key: K, value: Option<V>, since: u64) {
        let group = self.shared.settings.group_of(shard);
        self.cast(
            group,
            MergeMsg::Set {
                shard,
                key,
                value,
                since,
            },
        );
    }

    /// Waits until everything that was set before is on its way to those who have copies: what is
    /// said to them then comes behind it.
    pub async fn sent(&self) {
        let mut sent = Vec::new();
        for group in 0..self.shared.settings.groups {
            let (reply, is_sent) = oneshot::channel();
            self.cast(group, MergeMsg::WhenSent(reply));
            sent.push(is_sent);
        }
        for is_sent in sent {
            // An actor that has ended sends nothing any more: see `ended`.
            let _ = is_sent.await;
        }
    }

    /// Tells whether everything is here that a node has sent until now: nothing of it is known to
    /// be lost, or still asked for.
    pub async fn knows_all_of(&self, node: NodeId) -> bool {
        let mut answers = Vec::new();
        for group in 0..self.shared.settings.groups {
            let (reply, answer) = oneshot::channel();
            self.cast(group, MergeMsg::KnowsAllOf(node, reply));
            answers.push(answer);
        }
        for answer in answers {
            if answer.await != Ok(true) {
                return false;
            }
        }
        true
    }

    /// A message of [`crate::link::Channel::Presence`] has arrived. Never waits.
    pub fn receive(&self, from: NodeId, message: Bytes) {
        let group = wire::group_of(&message).unwrap_or(u8::MAX);
        let Some(mailbox) = self.shared.mailboxes.get(usize::from(group)) else {
            metrics::refused(crate::presence::replica::apply::Refusal::Malformed);
            return;
        };
        metrics::bytes(Direction::Received, message.len() as u64);
        if mailbox.waiting.admits(from, message.len()) {
            self.cast(group, MergeMsg::Heard { from, message });
        }
    }

    /// What `from` has sent may have been lost on the way: see
    /// [`crate::link::Receive::missed`].
    pub fn missed(&self, from: NodeId) {
        for group in 0..self.shared.settings.groups {
            self.cast(group, MergeMsg::Missed { from });
        }
    }

    fn cast(&self, group: u8, message: MergeMsg<K, V>) {
        if let Some(mailbox) = self.shared.mailboxes.get(usize::from(group)) {
            // An actor that has ended takes nothing any more: see `ended`.
            let _ = mailbox.actor.cast(message);
        }
    }

    /// The nodes that have a copy of a shard, as this node sees it: whoever wants to know of
    /// an entry and is none of them asks one.
    pub fn replicas_of(&self, shard: u16) -> Vec<NodeId> {
        let members = self.shared.members.borrow().clone();
        let mut reachable: Vec<NodeId> = members.reachable().map(|it| it.life.node).collect();
        reachable.push(members.me.node);
        reachable.sort_unstable();
        let known = members.others.len() + 1;
        self.shared.settings.replicas_of(shard, &reachable, known)
    }

    /// How replication stands: a few seconds old.
    pub fn status(&self) -> Status {
        let groups = self.shared.mailboxes.iter();
        Status::of(groups.map(|mailbox| lock(&mailbox.waiting.status).clone()))
    }

    /// Stops; entries of this node are gone for the others when membership says so.
    pub async fn stop(&self) {
        self.shared.listening.abort();
        self.shared.keeper.stop(None);
        self.ended().await;
    }

    /// Returns when the actors have ended: after [`Presences::stop`], or after a defect. What
    /// this node has written would be lost with a merge actor, and with it the versions that
    /// all others know, so none is started again: the node has to begin another life.
    pub async fn ended(&self) {
        let mut ended = self.shared.ended.clone();
        // Whoever would have said so is gone: that says it too.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

/// Tells the actors what membership thinks.
async fn listen<K: Key, V: Value>(
    mut members: watch::Receiver<Arc<Members>>,
    actors: Vec<ActorRef<MergeMsg<K, V>>>,
) {
    loop {
        let now = members.borrow_and_update().clone();
        for actor in &actors {
            let _ = actor.cast(MergeMsg::Members(now.clone()));
        }
        if members.changed().await.is_err() {
            return;
        }
    }
}

fn end_of(keeping: JoinHandle<()>) -> watch::Receiver<bool> {
    let (sender, ended) = watch::channel(false);
    tokio::spawn(async move {
        let _ = keeping.await;
        let _ = sender.send(true);
    });
    ended
}
