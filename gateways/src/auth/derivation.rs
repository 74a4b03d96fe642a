//! Key derivations: slow by intent, so they run on threads of their own, as many at once as
//! there are cores, with a bounded queue and a deadline (row A09).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::listener::Limits;
use crate::metrics;

/// The bounded pool.
pub struct Derivations {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    deadline: Duration,
}

/// The pool has more to do than it can do in time; the client should come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl Derivations {
    /// A pool with the queue and deadline of the limits.
    pub fn new(limits: &Limits) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(cores)),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.password_queue_max,
            deadline: limits.password_timeout,
        }
    }

    /// Runs the work when it is its turn.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _place = self.place().ok_or(Busy)?;
        let started = Instant::now();
        let turns = Arc::clone(&self.turns);
        let done = tokio::time::timeout(self.deadline, async move {
            let turn = turns.acquire_owned().await.map_err(|_| Busy)?;
            // The turn goes along: work that nobody waits for any more still occupies a core.
            let work = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                work()
            });
            work.await.map_err(|_| Busy)
        });
        let done = done.await.unwrap_or(Err(Busy));
        metrics::password_check(started.elapsed().as_secs_f64());
        done
    }

    fn place(&self) -> Option<Place<'_>> {
        let place = Place(&self.waiting);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < self.waiting_max).then_some(place)
    }
}

/// A place in the queue; also one that was one too many is given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a09_full_queue_is_refused_at_once_and_recovers() {
        let limits = Limits {
            password_queue_max: 2,
            ..Limits::default()
        };
        let pool = Derivations::new(&limits);
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let slow = pool.run(move || hold.recv().unwrap_or_default());
        let mut slow = std::pin::pin!(slow);
        assert!(futures_util::poll!(&mut slow).is_pending());
        let _second = pool.place().unwrap();
        assert_eq!(pool.run(|| ()).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(slow.await, Ok(()));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a09_work_that_waits_too_long_is_given_up() {
        let limits = Limits {
            password_timeout: Duration::from_millis(20),
            ..Limits::default()
        };
        let pool = Derivations::new(&limits);
        let all = pool.turns.available_permits() as u32;
        let turns = Arc::clone(&pool.turns)
            .acquire_many_owned(all)
            .await
            .unwrap();
        assert_eq!(pool.run(|| ()).await, Err(Busy));
        drop(turns);
        assert_eq!(pool.run(|| ()).await, Ok(()));
    }
}
