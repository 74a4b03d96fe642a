//! Clients that go on talking whatever happens to their server: what runs with faults share.
//!
//! `sender.rs` is one client, `circle.rs` who talks to whom, `visits.rs` its rooms, `view.rs`
//! presence, `home.rs` the node it is connected to; `walk.rs` reads every log at the end. They
//! write down what they do and see (`history`), and judge nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{LoadError, Result};
use crate::history::{Event, Recorder};
use crate::options::Target;
use crate::random::Random;

pub(crate) mod circle;
mod home;
mod sender;
#[cfg(test)]
mod tests;
mod view;
mod visits;
pub(crate) mod walk;

use circle::Circle;
use sender::Sender;

/// Clients have to be back, and all messages answered, so soon after the last fault.
const LIVENESS: Duration = Duration::from_secs(60);

/// No arrival for so long means that deliveries have come to rest.
const QUIET: Duration = Duration::from_secs(3);

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients send.
    Talking,
    /// Nothing new is sent; what is under way gets its answer.
    Settling,
    /// Clients leave.
    Over,
}

/// How clients behave. Times are averages in seconds; 0 means never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Messages a client may have unacknowledged.
    pub(crate) window: usize,
    /// Between two messages of a client.
    pub(crate) pause: Duration,
    /// Until a client drops its connection, to resume its session.
    pub(crate) drop_every: f64,
    /// Until it changes its presence.
    pub(crate) change_every: f64,
    /// Until it logs out, to come back later.
    pub(crate) leave_every: f64,
}

/// What the clients of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The nodes; all know all accounts.
    pub(crate) nodes: Arc<[Arc<Target>]>,
    pub(crate) recorder: Recorder,
    pub(crate) circle: Circle,
    pub(crate) habits: Habits,
    pub(crate) random: Random,
    in_flight: AtomicI64,
    arrivals: AtomicU64,
    bound: AtomicI64,
    inside: AtomicI64,
}

impl Shared {
    /// Nobody has come yet.
    pub(crate) fn new(
        nodes: Vec<Arc<Target>>,
        recorder: Recorder,
        circle: Circle,
        habits: Habits,
        random: Random,
    ) -> Self {
        Self {
            nodes: nodes.into(),
            recorder,
            circle,
            habits,
            random,
            in_flight: AtomicI64::new(0),
            arrivals: AtomicU64::new(0),
            bound: AtomicI64::new(0),
            inside: AtomicI64::new(0),
        }
    }

    /// Any node: the accounts are the same everywhere.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.nodes[0]
    }

    /// The bare address of an account.
    pub(crate) fn account(&self, number: u32) -> String {
        self.target().account(number as usize)
    }

    /// The account that an address is of.
    pub(crate) fn number_of(&self, address: &str) -> Option<u32> {
        u32::try_from(self.target().number_of(address)?).ok()
    }

    /// Messages that are not acknowledged.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed).max(0).unsigned_abs()
    }

    /// How many of the clients have a session, or are in their rooms: the smaller share.
    pub(crate) fn share_there(&self) -> f64 {
        let Circle {
            clients, occupants, ..
        } = self.circle;
        let seats = self.circle.rooms * occupants.min(clients);
        let share = |taken: &AtomicI64, of: u32| {
            taken.load(Ordering::Relaxed) as f64 / f64::from(of.max(1))
        };
        let bound = share(&self.bound, clients);
        match seats {
            0 => bound,
            _ => bound.min(share(&self.inside, seats)),
        }
    }

    /// Waits, for a moment, until a message is in flight: a fault between messages proves little.
    pub(crate) async fn await_traffic(&self) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            let in_flight = self.in_flight();
            if in_flight > 0 || Instant::now() >= deadline {
                return in_flight;
            }
            // Shorter than the way to the server and back, so that it is still there when the fault comes.
            tokio::task::yield_now().await;
        }
    }

    /// Waits until every client is back, every message answered and deliveries rest.
    async fn settle(&self) {
        let deadline = Instant::now() + LIVENESS;
        let mut quiet_since = Instant::now();
        let mut arrivals = 0;
        while Instant::now() < deadline {
            let now = self.arrivals.load(Ordering::Relaxed);
            if now != arrivals || self.in_flight() > 0 || self.share_there() < 1.0 {
                arrivals = now;
                quiet_since = Instant::now();
            }
            if quiet_since.elapsed() >= QUIET {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let open = self.in_flight();
        let bound = self.bound.load(Ordering::Relaxed);
        let inside = self.inside.load(Ordering::Relaxed);
        let what = format!(
            "not at rest after {LIVENESS:?}: {open} messages open, {bound} clients online, \
             {inside} seats in rooms taken"
        );
        self.recorder.record(Event::Trouble { what });
    }
}

/// The clients of a run, while they live.
pub(crate) struct Fleet {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    clients: JoinSet<()>,
}

impl Fleet {
    /// Lets all clients come and talk.
    pub(crate) fn launch(shared: &Arc<Shared>) -> Self {
        let (phase, phases) = watch::channel(Phase::Talking);
        let mut clients = JoinSet::new();
        for event in shared.circle.watching() {
            shared.recorder.record(event);
        }
        for number in 1..=shared.circle.clients {
            clients.spawn(Sender::new(number, Arc::clone(shared)).live(phases.clone()));
        }
        Self {
            shared: Arc::clone(shared),
            phase,
            clients,
        }
    }

    /// Has nobody say anything new, waits until all is at rest and for as long as `calm` at
    /// least, and lets the clients leave.
    pub(crate) async fn land(mut self, calm: Duration) -> Result<()> {
        let _ = self.phase.send(Phase::Settling);
        tokio::join!(self.shared.settle(), tokio::time::sleep(calm));
        self.shared.recorder.record(Event::Settled);
        let _ = self.phase.send(Phase::Over);
        while let Some(client) = self.clients.join_next().await {
            client.map_err(|error| LoadError::protocol(format!("a client panicked: {error}")))?;
        }
        Ok(())
    }
}

/// What marks the messages of one run: the same seed run again has other messages.
pub(crate) fn run_mark(random: &Random) -> String {
    format!(
        "{:08x}",
        random.clone().next() as u32 ^ Random::fresh_seed() as u32
    )
}
