//! Starts the actors of a node and its errand runners: the timers, the cursors that go to the
//! store, and the store's upkeep.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::facts::Host;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::Store;
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::absence::{self, Told};
use crate::accounts::Accounts;
use crate::administration::notices;
use crate::administration::stop::Ending;
use crate::colleagues::{self, Colleagues};
use crate::comparison::{self, tell_tails};
use crate::derivation::Derivations;
use crate::directory::{Directory, Wire};
use crate::faces;
use crate::moving;
use crate::peers::{Inbox, Others, Peers};
use crate::push::{self, Push};
use crate::replica::Replica;
use crate::room::left_behind;
use crate::rooms::{Rooms, groups};
use crate::session::SessionMsg;
use crate::sessions::Sessions;
use crate::slot::Slot;
use crate::supervisor::{Root, RootMsg};
use crate::timers::{TICK, Timers, Wake};
use crate::topics::Topics;
use crate::upkeep;
use crate::world::{Settings, World};

/// How often delivery cursors are written: what a crash loses of them is delivered again, so
/// the client sees the last second twice at most.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

/// A running node.
pub struct Node {
    /// The handle for gateways.
    pub sessions: Sessions,
    /// The handle for operators.
    pub rooms: Rooms,
    /// The handle for whoever reads the organisation's directory.
    pub colleagues: Colleagues,
    root: ActorRef<RootMsg>,
    tree: JoinHandle<()>,
    failure: watch::Receiver<bool>,
    errands: Vec<JoinHandle<()>>,
    /// As long as the node is there, what others say has somewhere to come to.
    _inbox: Option<Arc<Inbox>>,
}

impl Node {
    /// Starts the actors of a node without others.
    ///
    /// # Errors
    /// An actor could not be started, which nothing but a defect causes.
    pub async fn start(
        host: Host,
        settings: Settings,
        store: Store,
        wire: Wire,
    ) -> Result<Self, SpawnErr> {
        Self::start_with(host, settings, store, wire, None).await
    }

    /// Starts the actors of a node that reaches others over this link, from which the inbox
    /// hears.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_with(
        host: Host,
        settings: Settings,
        store: Store,
        wire: Wire,
        others: Option<Others>,
    ) -> Result<Self, SpawnErr> {
        let (push, due) = Push::new();
        let (link, inbox) = others.unzip();
        let peers = link.map(|link| Arc::new(Peers::new(link)));
        let world = Arc::new(World {
            host,
            derivations: Arc::new(Derivations::new(&settings.derivations)),
            settings,
            topics: Topics::new(peers.clone()),
            directory: Arc::new(Directory::new(wire, peers.clone())),
            accounts: Accounts::new(store.clone(), peers.clone()),
            store,
            changed: Default::default(),
            shelf: Default::default(),
            told: Told::default(),
            timers: Timers::default(),
            push,
            web_push: Default::default(),
            searches: Default::default(),
            strangers: Default::default(),
            notices: Default::default(),
            stopping: Default::default(),
            strain: Default::default(),
            resumables: Default::default(),
            given: Default::default(),
            registry: Default::default(),
        });
        let (root, tree) = Actor::spawn(None, Root, world.clone()).await?;
        if let (Some(peers), Some(replica)) = (peers, Replica::start(&world).await?) {
            // Nobody has set it before.
            let _ = peers.replica.set(replica);
        }
        if let Some(inbox) = &inbox {
            inbox.open(&world);
        }
        let (failed, failure) = watch::channel(false);
        let replicating = world.clone();
        let tree = tokio::spawn(async move {
            tokio::select! {
                // However the task ended, the tree is gone.
                _ = tree => {}
                () = end_of_replica(replicating) => {}
            }
            failed.send_replace(true);
        });
        let mut errands = vec![
            tokio::spawn(wake_sessions(world.clone())),
            tokio::spawn(write_cursors(world.clone())),
            tokio::spawn(push::run(world.clone(), due)),
            tokio::spawn(upkeep::run(world.store.clone(), world.settings.retention)),
            tokio::spawn(notices::run(world.clone())),
            tokio::spawn(upkeep::index(world.store.clone())),
            tokio::spawn(comparison::run(world.clone())),
            tokio::spawn(comparison::show_records(world.clone())),
            tokio::spawn(moving::run(world.clone())),
            tokio::spawn(left_behind::run(world.clone())),
            tokio::spawn(faces::run(world.clone())),
            tokio::spawn(groups::run(world.clone())),
            tokio::spawn(colleagues::run(world.clone())),
        ];
        let sessions = Sessions::new(world.clone());
        if let Err(error) = sessions.take_up().await {
            // They stay put away for the next start; their clients log in anew.
            tracing::warn!(%error, "no sessions taken up");
        }
        let taking_up = sessions.clone();
        errands.push(tokio::spawn(async move { taking_up.take_up_left().await }));
        Ok(Self {
            colleagues: Colleagues::new(world.clone()),
            rooms: Rooms::new(world),
            sessions,
            root,
            tree,
            failure,
            errands,
            _inbox: inbox,
        })
    }

    /// Becomes true when the tree of actors has ended by itself, which it does only when its
    /// restart budget is spent.
    pub fn failure(&self) -> watch::Receiver<bool> {
        self.failure.clone()
    }

    /// Becomes something when an administrator has said that the server is to end, and how.
    pub fn ending(&self) -> watch::Receiver<Option<Ending>> {
        self.sessions.world().stopping.ending()
    }

    /// Ends every session or puts it away for the next start, then the actors.
    pub async fn stop(self, patience: Duration) {
        self.sessions.shut_down(patience).await;
        let error = StreamError::new(StreamCondition::SystemShutdown);
        let world = self.sessions.world();
        world.directory.close_components(&error);
        self.errands.iter().for_each(JoinHandle::abort);
        if let Some(replica) = world.directory.replica() {
            replica.stop().await;
        }
        self.root.stop(None);
        let _ = self.tree.await;
    }
}

/// A node without others has none that could end.
async fn end_of_replica(world: Arc<World>) {
    match world.directory.replica() {
        Some(replica) => replica.ended().await,
        None => std::future::pending().await,
    }
}

async fn wake_sessions(world: Arc<World>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tails: HashMap<BareJid, Vec<Slot>> = HashMap::new();
    let mut telling: Option<JoinHandle<()>> = None;
    loop {
        ticks.tick().await;
        for (slot, wake) in world.timers.due(Instant::now()) {
            match wake {
                // Of a session that has ended meanwhile nobody needs to know.
                Wake::TailCheck(_) if world.directory.slots.get(slot).is_none() => {}
                Wake::TailCheck(account) => tails.entry(account).or_default().push(slot),
                Wake::ResumeExpired(connection) => {
                    world
                        .directory
                        .slots
                        .send(slot, SessionMsg::ResumeExpired(connection));
                }
                Wake::CatchUp(session, since) => {
                    tokio::spawn(absence::catch_up(world.clone(), session, since));
                }
            }
        }
        // Others are woken while the store is slow to say where logs end; it is asked once.
        if !tails.is_empty() && telling.as_ref().is_none_or(JoinHandle::is_finished) {
            let (world, tails) = (world.clone(), std::mem::take(&mut tails));
            telling = Some(tokio::spawn(async move { tell_tails(&world, tails).await }));
        }
    }
}

async fn write_cursors(world: Arc<World>) {
    let mut ticks = interval(CURSOR_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = world.accounts.write_cursors().await {
            tracing::warn!(%error, "delivery cursors not written");
        }
    }
}
