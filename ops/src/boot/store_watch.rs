//! Asks the store now and then whether it answers, and lets `/health/ready` follow.
//!
//! Leaves out mending: sessions stay, messages are refused until it answers again (D5).

use crate::health::Health;
use crate::metrics;
use klatsch_store::{Store, StoreError};
use std::future::Future;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How soon a store that is gone is noticed; it has as long to answer.
const EVERY: Duration = Duration::from_secs(5);

/// Watches until it is aborted.
pub(super) async fn run(store: Store, health: Health) {
    watch(&health, || store.health()).await;
}

async fn watch<F: Future<Output = Result<(), StoreError>>>(health: &Health, ask: impl Fn() -> F) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        ticks.tick().await;
        let problem = match timeout(EVERY, ask()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        match &problem {
            Some(problem) if before.is_none() => tracing::error!(problem, "the store fails"),
            None if before.is_some() => tracing::info!("the store answers again"),
            _ => {}
        }
        health.report("store", problem.as_deref());
        metrics::store(problem.is_some());
        before = problem;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::pending;

    /// What is wrong after a question has been answered like this.
    async fn problems(health: &Health, state: &Cell<u8>, now: u8) -> Vec<String> {
        state.set(now);
        let ask = || async {
            match state.get() {
                0 => Ok(()),
                1 => Err(StoreError::Unavailable("disk full".to_owned())),
                _ => pending().await,
            }
        };
        // Time stands still but for the waits themselves.
        let _ = timeout(EVERY + Duration::from_secs(1), watch(health, ask)).await;
        health.problems()
    }

    #[tokio::test(start_paused = true)]
    async fn server_is_ready_as_long_as_the_store_answers() {
        let (health, state) = (Health::default(), Cell::new(0));
        assert_eq!(problems(&health, &state, 0).await, [""; 0]);
        let full = problems(&health, &state, 1).await;
        assert!(full[0].starts_with("store: ") && full[0].contains("disk full"));
        let silent = problems(&health, &state, 2).await;
        assert_eq!(silent, ["store: no answer in time"]);
        assert_eq!(problems(&health, &state, 0).await, [""; 0]);
    }
}
