//! Measures memory four times a second, lets the governor judge it, and carries out what it
//! says: the node hears its level, `/health/ready` and the log hear when it changes.
//!
//! Leaves out judging, which is [`klatsch_actors::strain::governor`]'s.

use crate::health::Health;
use crate::memory::resident_bytes;
use crate::metrics;
use klatsch_actors::sessions::Sessions;
use klatsch_actors::strain::{Governor, Level, Memory, Strain};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// A flood at a gigabit a second brings 30 MB in this time: less than one level.
const EVERY: Duration = Duration::from_millis(250);

/// Watches until it is aborted.
pub(super) async fn run(budget: Memory, sessions: Sessions, health: Health) {
    tracing::info!(
        memory_bytes = budget.resident,
        queued_bytes = budget.queued,
        "memory budget"
    );
    let strain = sessions.strain();
    let measure = || Memory {
        resident: resident_bytes().unwrap_or(0),
        queued: strain.queued_in_all() as u64,
    };
    let let_go = |bytes| sessions.let_go(bytes);
    watch(budget, &strain, &health, measure, let_go).await;
}

async fn watch(
    budget: Memory,
    strain: &Strain,
    health: &Health,
    measure: impl Fn() -> Memory,
    let_go: impl Fn(usize),
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut governor = Governor::new(budget);
    let mut before = Level::Ample;
    loop {
        ticks.tick().await;
        let now = measure();
        let verdict = governor.judge(now);
        strain.set_level(verdict.level, verdict.holds_readers_back);
        metrics::strain(strain);
        if verdict.level != before {
            announce(before, verdict.level, now, health);
        }
        if let Some(bytes) = verdict.lets_go_from {
            tracing::warn!(bytes, "clients for whom so much waits are let go");
            let_go(bytes);
        }
        before = verdict.level;
    }
}

fn announce(before: Level, level: Level, now: Memory, health: &Health) {
    let Memory { resident, queued } = now;
    if level > before {
        tracing::warn!(%level, resident, queued, "memory is short");
    } else {
        tracing::info!(%level, resident, queued, "memory is less short");
    }
    // A node that refuses sessions should be sent none; one that is merely full enough serves.
    let problem = format!("{level}: new sessions are refused");
    let refuses = level >= Level::Scarce;
    health.report("memory", refuses.then_some(problem.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn node_health_and_clients_follow_the_memory() {
        let budget = Memory {
            resident: 100,
            queued: 100,
        };
        let (strain, health) = (Strain::default(), Health::default());
        let (used, gone) = (Cell::new(10), RefCell::new(Vec::new()));
        let measure = || Memory {
            resident: used.get(),
            queued: 0,
        };
        let let_go = |bytes| gone.borrow_mut().push(bytes);
        let mut watching = Box::pin(watch(budget, &strain, &health, measure, let_go));
        for (memory, level, problem) in [
            (10, Level::Ample, None),
            (75, Level::Tight, None),
            (
                85,
                Level::Scarce,
                Some("memory: scarce: new sessions are refused"),
            ),
            (
                95,
                Level::Critical,
                Some("memory: critical: new sessions are refused"),
            ),
            (40, Level::Ample, None),
        ] {
            used.set(memory);
            // One look: time stands still but for the waits themselves.
            assert!(timeout(EVERY, &mut watching).await.is_err());
            assert_eq!(strain.level(), level, "{memory}");
            assert_eq!(health.problems().first().map(String::as_str), problem);
            assert_eq!(strain.refuses_sessions(), problem.is_some());
        }
        assert_eq!(*gone.borrow(), [1024 * 1024], "at 95 % only");
        assert_eq!(strain.reader_rest(), None);
    }
}
