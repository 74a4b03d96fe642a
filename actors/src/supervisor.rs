//! The tree: who restarts whom, and how often that may happen.
//!
//! ```text
//! root ── presence shards (256)      restarted
//!      ├─ log writer                 restarted
//!      ├─ keeper of rooms            restarted; its rooms end with it
//!      │     └─ rooms                restarted by the keeper
//!      └─ session supervisors (64)   restarted; their sessions end with them
//!            └─ sessions             not restarted: the client comes back
//! ```
//!
//! More than [`BUDGET`] failures of the root's children within [`BUDGET_WINDOW`] are no
//! accident any more: the node ends, so that something above it starts it afresh.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use klatsch_protocol::facts::SessionFacts;
use klatsch_protocol::jid::{BareJid, FullJid};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::time::Instant;

use crate::farewell::farewell;
use crate::log_writer::{LogWriter, LogWriterMsg};
use crate::metrics;
use crate::presence_shard::{Arguments as ShardArguments, PresenceShard, PresenceShardMsg, SHARDS};
use crate::room::RoomMsg;
use crate::room::keeper::{KeeperMsg, RoomKeeper};
use crate::slot::Slot;
use crate::world::World;

/// So many failures…
pub const BUDGET: usize = 5;

/// …within this time are too many.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// Sessions are spread over so many supervisors, whose tables stay small.
const SESSION_SUPERVISORS: usize = 64;

/// The actors that may be started again under another reference.
#[derive(Default)]
pub struct Registry {
    shards: OnceLock<Vec<RwLock<ActorRef<PresenceShardMsg>>>>,
    log_writer: OnceLock<RwLock<ActorRef<LogWriterMsg>>>,
    room_keeper: OnceLock<RwLock<ActorRef<KeeperMsg>>>,
    session_supervisors: OnceLock<Vec<RwLock<ActorCell>>>,
}

impl Registry {
    /// A presence shard.
    pub fn shard(&self, shard: u16) -> ActorRef<PresenceShardMsg> {
        let shards = self.shards.get().expect("started before anybody asks");
        shards[usize::from(shard)]
            .read()
            .expect("no holder panics")
            .clone()
    }

    /// The log writer.
    pub fn log_writer(&self) -> ActorRef<LogWriterMsg> {
        let log_writer = self.log_writer.get().expect("started before anybody asks");
        log_writer.read().expect("no holder panics").clone()
    }

    /// The keeper of rooms.
    pub fn room_keeper(&self) -> ActorRef<KeeperMsg> {
        let room_keeper = self.room_keeper.get().expect("started before anybody asks");
        room_keeper.read().expect("no holder panics").clone()
    }

    /// The supervisor for a session.
    pub fn session_supervisor(&self, spread: u64) -> ActorCell {
        let all = self
            .session_supervisors
            .get()
            .expect("started before anybody asks");
        all[spread as usize % all.len()]
            .read()
            .expect("no holder panics")
            .clone()
    }
}

/// Which child of the root an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Child {
    Shard(u16),
    LogWriter,
    Rooms,
    Sessions(usize),
}

/// The root of the tree.
pub struct Root;

/// Mail of the root: it gets none.
pub enum RootMsg {}

impl ractor::Message for RootMsg {}

/// What the root keeps.
pub struct Tree {
    world: Arc<World>,
    children: Vec<(ActorId, Child)>,
    failures: Failures,
}

/// When children failed, lately.
#[derive(Default)]
struct Failures(VecDeque<Instant>);

impl Failures {
    /// Counts a failure; tells whether there have been too many.
    fn is_over_budget(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        self.0.retain(|at| now.duration_since(*at) <= BUDGET_WINDOW);
        self.0.len() > BUDGET
    }
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = Tree;
    type Arguments = Arc<World>;

    async fn pre_start(
        &self,
        me: ActorRef<RootMsg>,
        world: Arc<World>,
    ) -> Result<Tree, ActorProcessingErr> {
        let mut tree = Tree {
            world,
            children: Vec::new(),
            failures: Failures::default(),
        };
        tree.grow(&me.get_cell()).await?;
        Ok(tree)
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<RootMsg>,
        event: SupervisionEvent,
        tree: &mut Tree,
    ) -> Result<(), ActorProcessingErr> {
        let (who, error) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, why) => (who, why.unwrap_or_default()),
            _ => return Ok(()),
        };
        let Some(index) = tree.children.iter().position(|(id, _)| *id == who.get_id()) else {
            return Ok(());
        };
        let (_, child) = tree.children.swap_remove(index);
        tracing::error!(?child, error, "an actor failed and is started again");
        metrics::actor_restarted();
        if tree.failures.is_over_budget(Instant::now()) {
            tracing::error!("actors fail too often: the node ends");
            me.stop(Some("restart budget spent".into()));
            return Ok(());
        }
        tree.start(child, &me.get_cell()).await?;
        Ok(())
    }
}

impl Tree {
    async fn grow(&mut self, me: &ActorCell) -> Result<(), SpawnErr> {
        let mut shards = Vec::with_capacity(usize::from(SHARDS));
        for shard in 0..SHARDS {
            shards.push(RwLock::new(self.spawn_shard(shard, me).await?));
        }
        let log_writer = self.spawn_log_writer(me).await?;
        let room_keeper = self.spawn_room_keeper(me).await?;
        let mut session_supervisors = Vec::with_capacity(SESSION_SUPERVISORS);
        for index in 0..SESSION_SUPERVISORS {
            session_supervisors.push(RwLock::new(self.spawn_session_supervisor(index, me).await?));
        }
        let registry = &self.world.registry;
        let is_first = registry.shards.set(shards).is_ok()
            && registry.log_writer.set(RwLock::new(log_writer)).is_ok()
            && registry.room_keeper.set(RwLock::new(room_keeper)).is_ok()
            && registry
                .session_supervisors
                .set(session_supervisors)
                .is_ok();
        debug_assert!(is_first, "a world has one root");
        Ok(())
    }

    async fn start(&mut self, child: Child, me: &ActorCell) -> Result<(), SpawnErr> {
        let world = self.world.clone();
        let registry = &world.registry;
        match child {
            Child::Shard(shard) => {
                let started = self.spawn_shard(shard, me).await?;
                if let Some(shards) = registry.shards.get() {
                    *shards[usize::from(shard)]
                        .write()
                        .expect("no holder panics") = started;
                }
            }
            Child::LogWriter => {
                let started = self.spawn_log_writer(me).await?;
                if let Some(log_writer) = registry.log_writer.get() {
                    *log_writer.write().expect("no holder panics") = started;
                }
            }
            Child::Rooms => {
                let started = self.spawn_room_keeper(me).await?;
                if let Some(room_keeper) = registry.room_keeper.get() {
                    *room_keeper.write().expect("no holder panics") = started;
                }
            }
            Child::Sessions(index) => {
                let started = self.spawn_session_supervisor(index, me).await?;
                if let Some(all) = registry.session_supervisors.get() {
                    *all[index].write().expect("no holder panics") = started;
                }
            }
        }
        Ok(())
    }

    async fn spawn_shard(
        &mut self,
        shard: u16,
        me: &ActorCell,
    ) -> Result<ActorRef<PresenceShardMsg>, SpawnErr> {
        let arguments = ShardArguments {
            shard,
            directory: self.world.directory.clone(),
        };
        let (actor, _task) =
            Actor::spawn_linked(None, PresenceShard, arguments, me.clone()).await?;
        self.children.push((actor.get_id(), Child::Shard(shard)));
        Ok(actor)
    }

    async fn spawn_log_writer(
        &mut self,
        me: &ActorCell,
    ) -> Result<ActorRef<LogWriterMsg>, SpawnErr> {
        let (actor, _task) =
            Actor::spawn_linked(None, LogWriter, self.world.clone(), me.clone()).await?;
        self.children.push((actor.get_id(), Child::LogWriter));
        Ok(actor)
    }

    async fn spawn_room_keeper(&mut self, me: &ActorCell) -> Result<ActorRef<KeeperMsg>, SpawnErr> {
        let (actor, _task) =
            Actor::spawn_linked(None, RoomKeeper, self.world.clone(), me.clone()).await?;
        self.children.push((actor.get_id(), Child::Rooms));
        Ok(actor)
    }

    async fn spawn_session_supervisor(
        &mut self,
        index: usize,
        me: &ActorCell,
    ) -> Result<ActorCell, SpawnErr> {
        let (actor, _task) =
            Actor::spawn_linked(None, SessionSupervisor, self.world.clone(), me.clone()).await?;
        self.children.push((actor.get_id(), Child::Sessions(index)));
        Ok(actor.get_cell())
    }
}

/// Watches over a share of the sessions.
///
/// Owns: nothing but the link to them. Restarted by: the root. A session that fails has its
/// name taken back and its contacts told; the client's connection has been closed by the
/// session's own end.
pub struct SessionSupervisor;

/// Mail of a session supervisor: it gets none.
pub enum SessionSupervisorMsg {}

impl ractor::Message for SessionSupervisorMsg {}

impl Actor for SessionSupervisor {
    type Msg = SessionSupervisorMsg;
    type State = Arc<World>;
    type Arguments = Arc<World>;

    async fn pre_start(
        &self,
        _me: ActorRef<Self::Msg>,
        world: Arc<World>,
    ) -> Result<Arc<World>, ActorProcessingErr> {
        Ok(world)
    }

    async fn handle_supervisor_evt(
        &self,
        _me: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        world: &mut Arc<World>,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(who, error) = event {
            tracing::error!(%error, "a session failed");
            metrics::session_failed();
            tokio::spawn(bury(world.clone(), who.get_id()));
        }
        Ok(())
    }
}

/// Does for a session that failed what it can no longer do itself.
async fn bury(world: Arc<World>, actor: ActorId) {
    let Some(slot) = world.directory.slots.find(actor) else {
        return;
    };
    metrics::session_ended();
    let everybody = world.directory.all(|_| true);
    for (account, published) in everybody {
        let Some((resource, _)) = published.here().find(|(_, bound)| *bound == slot) else {
            continue;
        };
        forget(&world, &account, &resource.jid, slot);
        for (_, place) in world.directory.rooms() {
            // A room that has just ended has nobody inside.
            let _ = place.actor.cast(RoomMsg::Gone(resource.jid.clone()));
        }
        let mut facts = SessionFacts::new(resource.jid.clone());
        facts.presence = resource.presence.as_deref().cloned().map(Box::new);
        match world.accounts.get(&account).await {
            Ok(cell) => return farewell(world.clone(), slot, cell, facts, Vec::new(), None).await,
            Err(error) => tracing::error!(%error, "contacts of a failed session not told"),
        }
    }
    world.directory.slots.release(slot);
}

/// Nobody goes on with a failed session, here or elsewhere, and no room has it inside. Before its
/// name is free: others hear of both in this order.
fn forget(world: &World, account: &BareJid, session: &FullJid, slot: Slot) {
    let previd = world.resumables.take(slot);
    let Some(replica) = world.directory.replica() else {
        return;
    };
    if let Some(previd) = previd {
        replica.forget_record(account, &previd);
    }
    for room in replica.rooms_of(session) {
        replica.inside(&room, session, slot, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_spread_out_are_no_reason_to_end_and_many_at_once_are() {
        let mut failures = Failures::default();
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(3)).await;
            assert!(!failures.is_over_budget(Instant::now()));
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        let spent: Vec<bool> = (0..6)
            .map(|_| failures.is_over_budget(Instant::now()))
            .collect();
        assert_eq!(spent, [false, false, false, false, false, true]);
    }
}
