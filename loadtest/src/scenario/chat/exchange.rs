//! One exchange of messages: everybody logs in, talks for a while, and stops;
//! then what is still under way may arrive before the losses are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Clock;
use super::talker::{Talker, Tally};
use crate::error::{LoadError, Result};
use crate::options::Target;
use crate::proc::Usage;
use crate::report::usage_of;
use crate::scenario::crowd;

/// Logins at the same time; they are not what is measured here.
const LOGINS: usize = 16;

/// Without a single arrival for so long, what is under way counts as lost.
const SILENCE: Duration = Duration::from_secs(5);

/// However slowly they arrive, stragglers are waited for no longer.
const STRAGGLERS: Duration = Duration::from_secs(60);

/// How an exchange goes.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Clients, in pairs: 1 with 2, 3 with 4, …
    pub(crate) clients: usize,
    /// Closed loop: messages under way in a pair.
    pub(crate) window: usize,
    /// Open loop: messages a second in all.
    pub(crate) rate: Option<f64>,
    /// Time before the measurement.
    pub(crate) warm: Duration,
    /// Time that is measured.
    pub(crate) seconds: Duration,
    /// Messages after which nobody sends any more.
    pub(crate) messages: u64,
    /// Bytes of a stanza.
    pub(crate) size: usize,
    /// Whether acknowledgements are asked for and measured.
    pub(crate) management: bool,
    /// Whether messages go to full addresses.
    pub(crate) full: bool,
    /// The server's processes.
    pub(crate) pids: Vec<u32>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Counts over the whole exchange, latencies of the measured part.
    pub(crate) tally: Tally,
    /// Messages delivered in the measured time.
    pub(crate) delivered: u64,
    /// Messages acknowledged in the measured time.
    pub(crate) acked: u64,
    /// The measured time.
    pub(crate) elapsed: Duration,
    /// The server before the measured time.
    pub(crate) before: Option<Usage>,
    /// The server after it.
    pub(crate) after: Option<Usage>,
    /// What the driver itself used meanwhile: on a shared machine it is part of the picture.
    pub(crate) driver_cpu: Duration,
}

/// What the talkers of an exchange share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) plan: Plan,
    pub(super) clock: Clock,
    /// Marks this exchange's ids: what an earlier one left on the server is not ours.
    pub(super) run: String,
    pub(super) delivered: AtomicU64,
    pub(super) acked: AtomicU64,
    /// Latencies of messages sent before this time are not recorded.
    pub(super) measured_from: AtomicU64,
    sent: AtomicU64,
    sending: AtomicBool,
    exhausted: Notify,
}

impl Shared {
    /// Takes one message from the budget; false when it is time to be silent.
    pub(super) fn may_send(&self) -> bool {
        if !self.sending.load(Ordering::Relaxed) {
            return false;
        }
        if self.sent.fetch_add(1, Ordering::Relaxed) < self.plan.messages {
            return true;
        }
        self.sent.fetch_sub(1, Ordering::Relaxed);
        self.exhausted.notify_one();
        false
    }

    fn counts(&self) -> (u64, u64) {
        (
            self.delivered.load(Ordering::Relaxed),
            self.acked.load(Ordering::Relaxed),
        )
    }
}

/// Runs an exchange between the accounts `1..=clients`.
pub(crate) async fn run(target: &Arc<Target>, plan: Plan) -> Result<Outcome> {
    if plan.clients < 2 || plan.clients % 2 == 1 {
        return Err(LoadError::Usage(
            "clients talk in pairs: an even number, please".into(),
        ));
    }
    let talkers = log_in(target, &plan).await?;
    let shared = Arc::new(Shared {
        clock: Clock::start(),
        run: format!("{:08x}", crate::random::Random::fresh_seed() as u32),
        delivered: AtomicU64::new(0),
        acked: AtomicU64::new(0),
        measured_from: AtomicU64::new(u64::MAX),
        sent: AtomicU64::new(0),
        sending: AtomicBool::new(true),
        exhausted: Notify::new(),
        plan,
    });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for talker in talkers {
        tasks.spawn(talker.talk(Arc::clone(&shared), stopped.clone()));
    }
    let mut outcome = measure(&shared).await;
    shared.sending.store(false, Ordering::Relaxed);
    wait_for_stragglers(&shared).await;
    let _ = stop.send(true);
    while let Some(tally) = tasks.join_next().await {
        outcome.tally.add(
            &tally.map_err(|error| LoadError::protocol(format!("a client panicked: {error}")))?,
        );
    }
    Ok(outcome)
}

/// Logs everybody in, in the order of their numbers.
async fn log_in(target: &Arc<Target>, plan: &Plan) -> Result<Vec<Talker>> {
    let target = Arc::clone(target);
    let management = plan.management;
    let full = plan.full;
    let one = move |number| {
        let target = Arc::clone(&target);
        async move { Talker::log_in(&target, number, management).await }
    };
    let mut talkers = crowd(plan.clients, LOGINS, one).await?;
    talkers.sort_by_key(Talker::number);
    for pair in talkers.chunks_exact_mut(2) {
        let (first, second) = pair.split_at_mut(1);
        Talker::introduce(&mut first[0], &mut second[0], full);
    }
    Ok(talkers)
}

/// Warms up, then reads counters and usage around the measured time.
async fn measure(shared: &Shared) -> Outcome {
    tokio::time::sleep(shared.plan.warm).await;
    let before = usage_of(shared.plan.pids.iter().copied());
    let (delivered, acked) = shared.counts();
    shared
        .measured_from
        .store(shared.clock.micros(), Ordering::Relaxed);
    let driver = driver_cpu();
    let started = Instant::now();
    tokio::select! {
        () = tokio::time::sleep(shared.plan.seconds) => {}
        () = all_delivered(shared) => {}
    }
    let (delivered_after, acked_after) = shared.counts();
    Outcome {
        tally: Tally::default(),
        delivered: delivered_after - delivered,
        acked: acked_after - acked,
        elapsed: started.elapsed(),
        before,
        after: usage_of(shared.plan.pids.iter().copied()),
        driver_cpu: driver_cpu().saturating_sub(driver),
    }
}

/// CPU time of this process.
fn driver_cpu() -> Duration {
    usage_of(Some(std::process::id())).map_or(Duration::ZERO, |usage| usage.cpu)
}

/// Returns once the whole budget of messages has been delivered.
async fn all_delivered(shared: &Shared) {
    shared.exhausted.notified().await;
    wait_for_stragglers(shared).await;
}

/// Waits until all that was sent has arrived, or nothing comes any more.
async fn wait_for_stragglers(shared: &Shared) {
    let deadline = Instant::now() + STRAGGLERS;
    let mut last = (shared.counts(), Instant::now());
    while Instant::now() < deadline && last.1.elapsed() < SILENCE {
        let counts = shared.counts();
        let sent = shared.sent.load(Ordering::Relaxed);
        let acked = !shared.plan.management || counts.1 >= sent;
        if counts.0 >= sent && acked {
            return;
        }
        if counts != last.0 {
            last = (counts, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
