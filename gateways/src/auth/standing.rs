//! Whether those who are logged in still may be (rows A14, L06).
//!
//! A directory tells nobody when it disables somebody, so it is asked: every few minutes about
//! each account with a session on this node, and whenever one logs in by a token. Who may not
//! any more loses sessions and tokens. A backend that is down or slow says nothing, and what
//! nobody says changes nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use klatsch_actors::sessions::Sessions;
use klatsch_protocol::jid::BareJid;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::Authenticator;
use crate::metrics;

/// What a backend says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may be logged in.
    Good,
    /// It may not.
    Barred,
    /// There is no such account.
    Unknown,
    /// It can tell only with a password.
    Silent,
    /// It cannot tell now.
    Unavailable,
}

impl Standing {
    /// What backends say together, in their order: the first who knows the account decides. An
    /// account that none knows is gone, if all have said so.
    #[must_use]
    pub fn of_all(said: &[Self]) -> Self {
        let mut all_know = !said.is_empty();
        for standing in said {
            match standing {
                Self::Good | Self::Barred => return *standing,
                Self::Unknown => {}
                Self::Silent | Self::Unavailable => all_know = false,
            }
        }
        match all_know {
            true => Self::Barred,
            false => Self::Unavailable,
        }
    }
}

/// From one look at an account to the next: a directory has a small search for each account that
/// is logged in.
pub const LOOK_EVERY: Duration = Duration::from_secs(200);

/// Whoever was shown the door is gone within five minutes, and a look takes its time.
pub const LOOK_EVERY_MAX: Duration = Duration::from_secs(240);

/// Questions at once: a few, so that people who log in do not wait behind them.
const AT_ONCE: usize = 2;

/// Looks after the sessions of a node.
pub struct Watch {
    sessions: Sessions,
    authenticator: Arc<Authenticator>,
    every: Duration,
}

impl Watch {
    /// Looks every so often.
    pub fn new(sessions: Sessions, authenticator: Arc<Authenticator>, every: Duration) -> Self {
        Self {
            sessions,
            authenticator,
            every,
        }
    }

    /// Looks for as long as it is run.
    pub async fn run(self) {
        let mut changed = self.sessions.world().changed.listen();
        let mut next = Instant::now() + self.every;
        loop {
            tokio::select! {
                () = sleep_until(next) => {
                    self.look_at_all().await;
                    next = Instant::now() + self.every;
                }
                // A password that was right a minute ago may not be any more (row A14).
                account = changed.recv() => match account {
                    Ok(account) => self.authenticator.forget(&account),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Looks at every account with a session here.
    pub async fn look_at_all(&self) {
        let accounts = self.sessions.accounts_here();
        let looks = stream::iter(accounts).map(|account| self.look_at(account));
        looks
            .buffer_unordered(AT_ONCE)
            .for_each(|()| std::future::ready(()))
            .await;
    }

    async fn look_at(&self, account: BareJid) {
        if self.authenticator.standing(&account).await != Standing::Barred {
            return;
        }
        metrics::login("ended");
        tracing::info!(jid = %account, "account may not be logged in any more, sessions end");
        self.authenticator.forget(&account);
        if let Err(error) = self.sessions.revoke(&account).await {
            tracing::warn!(jid = %account, error = %error, "its tokens could not be taken away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Barred, Good, Silent, Unavailable, Unknown};
    use super::*;

    #[test]
    fn l06_first_who_knows_the_account_decides() {
        for (said, expected) in [
            (&[Good][..], Good),
            (&[Unknown, Good], Good),
            (&[Unknown, Barred], Barred),
            (&[Barred, Good], Barred),
            (&[Unavailable, Barred], Barred),
        ] {
            assert_eq!(Standing::of_all(said), expected, "{said:?}");
        }
    }

    #[test]
    fn l06_account_is_gone_only_if_everybody_says_so() {
        assert_eq!(Standing::of_all(&[Unknown, Unknown]), Barred);
        for said in [
            &[Unknown, Unavailable][..],
            &[Unknown, Silent],
            &[Silent],
            &[],
        ] {
            assert_eq!(Standing::of_all(said), Unavailable, "{said:?}");
        }
    }
}
