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

use crate::accounts::Accounts;
use crate::derivation::Derivations;
use crate::directory::{Directory, Wire};
use crate::push::{self, Push};
use crate::rooms::Rooms;
use crate::router::patiently;
use crate::session::SessionMsg;
use crate::sessions::Sessions;
use crate::slot::Slot;
use crate::supervisor::{Root, RootMsg};
use crate::timers::{TICK, Timers, Wake};
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
    root: ActorRef<RootMsg>,
    tree: JoinHandle<()>,
    failure: watch::Receiver<bool>,
    errands: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts the actors.
    ///
    /// # Errors
    /// An actor could not be started, which nothing but a defect causes.
    pub async fn start(
        host: Host,
        settings: Settings,
        store: Store,
        wire: Wire,
    ) -> Result<Self, SpawnErr> {
        let (push, due) = Push::new();
        let world = Arc::new(World {
            host,
            derivations: Arc::new(Derivations::new(&settings.derivations)),
            settings,
            directory: Arc::new(Directory::new(wire)),
            accounts: Accounts::new(store.clone()),
            store,
            changed: Default::default(),
            timers: Timers::default(),
            push,
            searches: Default::default(),
            strain: Default::default(),
            resumables: Default::default(),
            registry: Default::default(),
        });
        let (root, tree) = Actor::spawn(None, Root, world.clone()).await?;
        let (failed, failure) = watch::channel(false);
        let tree = tokio::spawn(async move {
            // However the task ended, the tree is gone.
            let _ = tree.await;
            failed.send_replace(true);
        });
        let errands = vec![
            tokio::spawn(wake_sessions(world.clone())),
            tokio::spawn(write_cursors(world.clone())),
            tokio::spawn(push::run(world.clone(), due)),
            tokio::spawn(upkeep::run(world.store.clone(), world.settings.retention)),
            tokio::spawn(upkeep::index(world.store.clone())),
        ];
        let sessions = Sessions::new(world.clone());
        if let Err(error) = sessions.take_up().await {
            // They stay put away for the next start; their clients log in anew.
            tracing::warn!(%error, "no sessions taken up");
        }
        Ok(Self {
            rooms: Rooms::new(world),
            sessions,
            root,
            tree,
            failure,
            errands,
        })
    }

    /// Becomes true when the tree of actors has ended by itself, which it does only when its
    /// restart budget is spent.
    pub fn failure(&self) -> watch::Receiver<bool> {
        self.failure.clone()
    }

    /// Ends every session or puts it away for the next start, then the actors.
    pub async fn stop(self, patience: Duration) {
        self.sessions.shut_down(patience).await;
        let error = StreamError::new(StreamCondition::SystemShutdown);
        let world = self.sessions.world();
        world.directory.close_components(&error);
        self.errands.iter().for_each(JoinHandle::abort);
        self.root.stop(None);
        let _ = self.tree.await;
    }
}

async fn wake_sessions(world: Arc<World>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut tails: HashMap<BareJid, Vec<Slot>> = HashMap::new();
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
            }
        }
        if !tails.is_empty() {
            tell_tails(&world, tails).await;
        }
    }
}

/// One query for all sessions that look at their tails now.
async fn tell_tails(world: &World, tails: HashMap<BareJid, Vec<Slot>>) {
    let accounts: Vec<BareJid> = tails.keys().cloned().collect();
    let heads = match patiently(world.store.heads(&accounts)).await {
        Ok(heads) => heads,
        Err(error) => {
            tracing::warn!(%error, "tails of logs cannot be compared");
            // A session asks again after it was told something: nothing new.
            vec![0; accounts.len()]
        }
    };
    for (account, head) in accounts.iter().zip(heads) {
        for slot in tails.get(account).into_iter().flatten() {
            world.directory.slots.send(*slot, SessionMsg::Tail(head));
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
