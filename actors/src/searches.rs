//! How often an account may search archives (XEP-0431, row C08): a search costs many times what
//! a page costs, so it has a bucket of its own, the same for all of the account's sessions and
//! for every archive it may read.
//!
//! How many searches run at once is the store's affair.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{ErrorKind, StanzaError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Those whose buckets are full again are forgotten when so many accounts are remembered, or
/// twice as many as were left the last time: it costs each search next to nothing.
const SWEPT_FROM: usize = 1024;

/// What an operator may tune of searches.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Searches a second that an account may go on with; 0: no limit.
    pub rate: u32,
    /// Searches it may make at once before that rate holds.
    pub burst: u32,
}

impl Default for Settings {
    fn default() -> Self {
        // Somebody who types, with a client that searches at every letter, and pages on.
        Self { rate: 2, burst: 40 }
    }
}

/// What is left in the bucket of an account.
#[derive(Debug, Clone, Copy)]
struct Left {
    tokens: f64,
    filled: Instant,
}

/// The buckets of all accounts that have searched lately.
#[derive(Default)]
pub struct Searches(Mutex<Buckets>);

#[derive(Default)]
struct Buckets {
    of: HashMap<BareJid, Left>,
    /// How many the last sweep left.
    left: usize,
}

impl Searches {
    /// Takes a search out of the account's bucket.
    ///
    /// # Errors
    /// `<resource-constraint type='wait'/>` when there is none left.
    pub fn take(
        &self,
        account: &BareJid,
        settings: Settings,
        now: Instant,
    ) -> Result<(), StanzaError> {
        if settings.rate == 0 {
            return Ok(());
        }
        let (rate, burst) = (f64::from(settings.rate), f64::from(settings.burst.max(1)));
        let filled = |left: &Left| {
            let since = now.saturating_duration_since(left.filled).as_secs_f64();
            burst.min(left.tokens + since * rate)
        };
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.of.len() >= SWEPT_FROM.max(2 * buckets.left) {
            buckets.of.retain(|_, left| filled(left) < burst);
            buckets.left = buckets.of.len();
        }
        let tokens = buckets.of.get(account).map_or(burst, filled);
        if tokens < 1.0 {
            return Err(too_many());
        }
        let left = Left {
            tokens: tokens - 1.0,
            filled: now,
        };
        buckets.of.insert(account.clone(), left);
        Ok(())
    }
}

fn too_many() -> StanzaError {
    StanzaError {
        kind: ErrorKind::Wait,
        ..StanzaError::resource_constraint().with_text("too many searches; try again soon")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SETTINGS: Settings = Settings { rate: 2, burst: 5 };

    fn account(name: &str) -> BareJid {
        BareJid::parse(&format!("{name}@example.org")).unwrap()
    }

    fn taken(searches: &Searches, name: &str, now: Instant) -> usize {
        let take = || searches.take(&account(name), SETTINGS, now).is_ok();
        (0..100).take_while(|_| take()).count()
    }

    #[test]
    fn c08_an_account_searches_a_burst_and_then_at_its_rate() {
        let (searches, start) = (Searches::default(), Instant::now());
        assert_eq!(taken(&searches, "romeo", start), 5);
        assert_eq!(taken(&searches, "juliet", start), 5);
        assert_eq!(taken(&searches, "romeo", start + Duration::from_secs(2)), 4);
        assert_eq!(
            taken(&searches, "romeo", start + Duration::from_secs(60)),
            5
        );
        let error = searches
            .take(&account("juliet"), SETTINGS, start)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Wait);
    }

    #[test]
    fn c08_full_buckets_are_forgotten_and_spent_ones_are_not() {
        let (searches, start) = (Searches::default(), Instant::now());
        let mut now = start;
        for n in 0..10 * SWEPT_FROM {
            if n == 9 * SWEPT_FROM {
                assert_eq!(taken(&searches, "romeo", now), 5);
            }
            // Half a second later a bucket is full again.
            let step = if n < 9 * SWEPT_FROM { 1000 } else { 100 };
            now += Duration::from_micros(step);
            let once = searches.take(&account(&format!("u{n}")), SETTINGS, now);
            once.unwrap();
        }
        assert_eq!(taken(&searches, "romeo", now), 0);
        let remembered = searches.0.lock().unwrap().of.len();
        assert!(remembered <= 2 * SWEPT_FROM, "{remembered}");
    }

    #[test]
    fn c08_accounts_that_all_have_spent_something_are_not_looked_through_at_every_search() {
        let (searches, now) = (Searches::default(), Instant::now());
        let mut swept = 0;
        let mut left = 0;
        for n in 0..8 * SWEPT_FROM {
            let one = account(&format!("u{n}"));
            searches.take(&one, SETTINGS, now).unwrap();
            let buckets = searches.0.lock().unwrap();
            swept += usize::from(buckets.left != left);
            left = buckets.left;
        }
        assert!((1..=4).contains(&swept), "{swept} sweeps");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let none = Settings { rate: 0, burst: 0 };
        let searches = Searches::default();
        for _ in 0..1000 {
            searches
                .take(&account("romeo"), none, Instant::now())
                .unwrap();
        }
    }
}
