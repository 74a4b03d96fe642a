//! Key derivations: slow by intent, so they run on threads of their own, as many at once as
//! there are cores, with a bounded queue and a deadline (row A09).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use klatsch_protocol::sasl::credentials::SALT_BYTES;
use klatsch_protocol::sasl::{DEFAULT_ITERATIONS, Hash, PasswordError, ScramCredentials, Secret};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::metrics;

/// What an operator may tune of the pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Derivations that wait or run at once; one more is refused.
    pub waiting_max: usize,
    /// Seconds that one may wait and run.
    pub timeout_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // A second's worth of work for a few cores, and little memory.
            waiting_max: 256,
            // A client that has waited so long asks again.
            timeout_seconds: 2,
        }
    }
}

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
    /// A pool with this queue and deadline.
    pub fn new(settings: &Settings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(cores)),
            waiting: AtomicUsize::new(0),
            waiting_max: settings.waiting_max,
            deadline: Duration::from_secs(settings.timeout_seconds),
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

    /// The keys of a new password, when it is its turn.
    pub async fn keys(&self, password: Secret) -> Result<Vec<ScramCredentials>, KeysError> {
        let derived = self.run(move || keys_of(&password)).await;
        derived.map_err(|Busy| KeysError::Busy)?
    }

    fn place(&self) -> Option<Place<'_>> {
        let place = Place(&self.waiting);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < self.waiting_max).then_some(place)
    }
}

/// Why there are no keys for a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The password cannot be used, for this reason.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The pool is busy.
    #[error("too many passwords are being dealt with, please try again in a moment")]
    Busy,
}

/// What an account keeps instead of its password: keys for every hash, each with a salt of its
/// own. Slow by intent.
///
/// # Errors
/// [`KeysError::Password`] for a password that cannot be used.
pub fn keys_of(password: &Secret) -> Result<Vec<ScramCredentials>, KeysError> {
    let derive = |hash: Hash| {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).expect("the system has randomness");
        ScramCredentials::derive(hash, password.expose(), &salt, DEFAULT_ITERATIONS)
    };
    let keys: Result<Vec<_>, PasswordError> = Hash::ALL.into_iter().map(derive).collect();
    Ok(keys?)
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
        let pool = Derivations::new(&Settings {
            waiting_max: 2,
            ..Settings::default()
        });
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let pool = Arc::new(pool);
        let slow = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.run(move || hold.recv().unwrap_or_default()).await }
        });
        while pool.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let _second = pool.place().unwrap();
        assert_eq!(pool.run(|| ()).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Ok(()));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a09_work_that_waits_too_long_is_given_up() {
        let mut pool = Derivations::new(&Settings::default());
        pool.deadline = Duration::from_millis(20);
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
