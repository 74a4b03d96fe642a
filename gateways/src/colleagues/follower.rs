//! When the directory is read: at once, then every few minutes, and when an operator says so; by
//! one node of all, in a split by one on each side, which does no harm.
//!
//! Restarted by: nobody; it ends with the server. What it knows of the directory's entries begins
//! anew then, and they are read whole once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klatsch_actors::sessions::Sessions;
use klatsch_protocol::jid::BareJid;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::sync::{Outcome, Sync, SyncError};
use crate::metrics;

/// After a failure it is read again so soon, then later each time, up to the usual interval.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Operators who wait for a reading.
const ASKS_MAX: usize = 8;

/// How often it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one reading to the next.
    pub every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // As often as Kolab's own services look.
            every: Duration::from_secs(300),
        }
    }
}

impl Pace {
    /// How long to wait after so many failures in a row. `chance`, anything: a tenth of the time is
    /// left to it, so that many servers do not ask one directory at the same moment.
    fn wait(self, failures: u32, chance: u32) -> Duration {
        let wait = match failures {
            0 => self.every,
            failures => (AFTER_FAILURE * 2_u32.pow(failures.min(16) - 1)).min(self.every),
        };
        wait - wait / 10 + wait / 5 * (chance % 100) / 100
    }
}

/// How it stands.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// This node reads it.
    pub is_here: bool,
    /// Since when it is being read, in seconds since 1970; `None`: it is not.
    pub reading: Option<u64>,
    /// When it was read last, in seconds since 1970.
    pub read: Option<u64>,
    /// Why the last reading came to nothing.
    pub failure: Option<String>,
    /// What came of the last one that came to something.
    pub outcome: Outcome,
}

/// An operator's hold on it.
#[derive(Clone)]
pub struct Follower {
    status: Arc<Mutex<Status>>,
    asks: mpsc::Sender<Ask>,
}

struct Ask {
    is_forced: bool,
    done: oneshot::Sender<Result<Outcome, String>>,
}

impl Follower {
    /// How it stands.
    pub fn status(&self) -> Status {
        self.held().clone()
    }

    /// Has it read now, on this node; answers what came of it. It is read also where nobody waits
    /// for the answer any more.
    ///
    /// # Errors
    /// Why nothing did.
    pub async fn sync(&self, is_forced: bool) -> Result<Outcome, String> {
        let (done, answer) = oneshot::channel();
        let ask = Ask { is_forced, done };
        let full = || "others wait for it already".to_owned();
        self.asks.try_send(ask).map_err(|_| full())?;
        answer
            .await
            .unwrap_or_else(|_| Err("the server ends".to_owned()))
    }

    fn held(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to follow the directory; `key` says which node of all does.
pub fn follow(
    sync: Sync,
    pace: Pace,
    sessions: Sessions,
    key: BareJid,
) -> (Follower, JoinHandle<()>) {
    let (asks, asked) = mpsc::channel(ASKS_MAX);
    let follower = Follower {
        status: Arc::default(),
        asks,
    };
    // Until it has been read once, it has been silent since now.
    metrics::directory_read(seconds());
    let running = Running {
        sync,
        pace,
        sessions,
        key,
        follower: follower.clone(),
        failures: 0,
    };
    (follower, tokio::spawn(running.run(asked)))
}

struct Running {
    sync: Sync,
    pace: Pace,
    sessions: Sessions,
    key: BareJid,
    follower: Follower,
    failures: u32,
}

impl Running {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut wait = Duration::ZERO;
        loop {
            let ask = tokio::select! {
                ask = asked.recv() => ask,
                () = sleep(wait) => None,
            };
            let is_here = self.sessions.is_in_charge(&self.key);
            self.follower.held().is_here = is_here;
            if let Some(ask) = ask {
                let done = self.read(ask.is_forced).await;
                // Whoever asked may have gone away.
                let _ = ask.done.send(done);
            } else if is_here {
                // What is wrong has been told.
                let _ = self.read(false).await;
            } else {
                self.sync.forget();
                self.failures = 0;
            }
            wait = self.pace.wait(self.failures, chance());
        }
    }

    async fn read(&mut self, is_forced: bool) -> Result<Outcome, String> {
        self.follower.held().reading = Some(seconds());
        let read = self.sync.once(is_forced).await;
        self.follower.held().reading = None;
        match read {
            Ok(outcome) => {
                if self.failures > 0 {
                    tracing::info!("the directory is followed again");
                }
                self.failures = 0;
                self.note(&outcome);
                Ok(outcome)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn note(&self, outcome: &Outcome) {
        if outcome.changes > 0 {
            tracing::info!(
                changes = outcome.changes,
                people = outcome.people,
                groups = outcome.groups,
                skipped = outcome.skipped.len(),
                "people and groups of the directory have changed"
            );
        }
        metrics::directory_read(seconds());
        metrics::directory_synced("done");
        metrics::directory(outcome);
        let mut status = self.follower.held();
        status.read = Some(seconds());
        status.failure = None;
        status.outcome = outcome.clone();
    }

    /// One line for the first of several failures; a loss is told each time, for it needs somebody.
    fn fail(&mut self, error: &SyncError) -> String {
        let text = error.to_string();
        match error {
            SyncError::Loss(_) => {
                metrics::directory_synced("refused");
                tracing::error!(
                    why = text,
                    "the directory has lost most people: nothing changes"
                );
                self.failures = 0;
            }
            _ => {
                metrics::directory_synced("failed");
                if self.failures == 0 {
                    tracing::warn!(
                        why = text,
                        "the directory is not read: what is known of it stays"
                    );
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
        self.follower.held().failure = Some(text.clone());
        text
    }
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn chance() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().subsec_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_that_fails_is_asked_later_each_time_up_to_the_usual_interval() {
        let pace = Pace {
            every: Duration::from_secs(300),
        };
        let seconds = |failures| pace.wait(failures, 50).as_secs();
        assert_eq!([0, 1, 2, 3].map(seconds), [300, 10, 20, 40]);
        assert_eq!([6, 7, u32::MAX].map(seconds), [300, 300, 300]);
        let quick = Pace {
            every: Duration::from_secs(1),
        };
        assert_eq!(quick.wait(1, 50), Duration::from_secs(1));
        for chance in 0..200 {
            let wait = pace.wait(0, chance).as_secs();
            assert!((270..=330).contains(&wait), "{wait}");
        }
    }
}
