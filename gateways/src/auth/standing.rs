//! Whether those who are logged in still may be (rows A14, L06).
//!
//! A directory tells nobody when it disables somebody, so it is asked: every few minutes about
//! each account with a session on this node, and whenever one logs in by a token. Who may not
//! any more loses sessions and tokens. A backend that is down or slow says nothing, and what
//! nobody says changes nothing.
//!
//! Some directories say when a password was changed. Then tokens of before are good no longer,
//! and sessions end with the first look that sees the change, as with a password of our own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use klatsch_actors::sessions::Sessions;
use klatsch_actors::world::now;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::Authenticator;
use crate::metrics;

/// What a backend says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may be logged in.
    Good,
    /// It may be logged in, by a password that was changed then.
    GoodSince(Timestamp),
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
        let knows = |it: &&Self| matches!(it, Self::Good | Self::GoodSince(_) | Self::Barred);
        match said.iter().find(knows) {
            Some(standing) => *standing,
            None if said.is_empty() || said.contains(&Self::Unavailable) => Self::Unavailable,
            None if said.contains(&Self::Silent) => Self::Silent,
            None => Self::Barred,
        }
    }
}

/// Tells whether something was given to whoever knew a password that has been changed since then.
/// Directories write whole seconds; a change that is yet to come is a clock's that is wrong.
#[must_use]
pub(super) fn is_outdated(given: Timestamp, changed: Timestamp, now: Timestamp) -> bool {
    let second = |it: Timestamp| it.micros().div_euclid(1_000_000);
    changed <= now && second(given) < second(changed)
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
    /// When passwords were changed, as the last look has seen it; `None`: nobody said.
    changed: Mutex<HashMap<BareJid, Option<Timestamp>>>,
}

impl Watch {
    /// Looks every so often.
    pub fn new(sessions: Sessions, authenticator: Arc<Authenticator>, every: Duration) -> Self {
        Self {
            sessions,
            authenticator,
            every,
            changed: Mutex::default(),
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
        let here: HashSet<&BareJid> = accounts.iter().collect();
        self.changed().retain(|account, _| here.contains(account));
        let looks = stream::iter(accounts).map(|account| self.look_at(account));
        looks
            .buffer_unordered(AT_ONCE)
            .for_each(|()| std::future::ready(()))
            .await;
    }

    async fn look_at(&self, account: BareJid) {
        let changed = match self.authenticator.standing(&account).await {
            Standing::Barred => return self.show_out(account).await,
            Standing::Good => None,
            Standing::GoodSince(changed) => Some(changed),
            _ => return,
        };
        if self.is_news(&account, changed) {
            self.ask_again(&account);
        }
    }

    /// Whether a password was changed since the look before. Where nobody said so far when, a
    /// change of long ago may only have become readable.
    fn is_news(&self, account: &BareJid, changed: Option<Timestamp>) -> bool {
        let before = self.changed().insert(account.clone(), changed);
        match (before, changed) {
            (Some(before), Some(changed)) => {
                before.unwrap_or_else(|| now().minus(self.every * 2)) < changed
            }
            _ => false,
        }
    }

    /// Its clients have to log in anew: by the new password, or by a token that came with it.
    fn ask_again(&self, account: &BareJid) {
        metrics::login("ended");
        tracing::info!(jid = %account, "the password was changed elsewhere, sessions end");
        self.authenticator.forget(account);
        self.sessions.end_account(account);
    }

    fn changed(&self) -> MutexGuard<'_, HashMap<BareJid, Option<Timestamp>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn show_out(&self, account: BareJid) {
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
    fn what_was_given_before_a_change_of_the_password_is_outdated() {
        let at = |micros: i64| Timestamp(1_000_000_000 + micros);
        let later = at(60_000_000);
        for (given, changed, now, expected) in [
            (at(0), at(1_000_000), later, true),
            (at(1_900_000), at(2_000_000), later, true),
            // The directory has cut off the part of the second in which both happened.
            (at(2_900_000), at(2_000_000), later, false),
            (at(2_000_000), at(2_000_000), later, false),
            (at(3_000_000), at(2_000_000), later, false),
            // Its clock is ahead of ours: it counts when the time has come.
            (at(0), at(2_000_000), at(1_000_000), false),
        ] {
            assert_eq!(is_outdated(given, changed, now), expected, "{given:?}");
        }
    }

    #[test]
    fn l06_account_is_gone_only_if_everybody_says_so() {
        assert_eq!(Standing::of_all(&[Unknown, Unknown]), Barred);
        for (said, expected) in [
            (&[Unknown, Unavailable][..], Unavailable),
            (&[Silent, Unavailable], Unavailable),
            (&[Unknown, Silent], Silent),
            (&[Silent], Silent),
            (&[], Unavailable),
        ] {
            assert_eq!(Standing::of_all(said), expected, "{said:?}");
        }
    }
}
