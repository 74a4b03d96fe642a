//! How much an account may write to people who do not know it (row R17, "spim"): a budget of
//! messages, and one of people it writes to for the first time.
//!
//! Both are the account's, not the session's, so that ten sessions or another login bring
//! nothing; a restart begins anew, which nobody but the operator can cause. Each node counts for
//! itself. Who is a stranger is asked of the sender's own roster, which is at hand:
//! [`klatsch_protocol::routing::stranger`].
//!
//! Left out: requests for a subscription, of which each contact keeps one, however often it is
//! sent; whether a stranger has written first, which would have to be remembered of every message
//! that arrives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{ErrorKind, StanzaError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// What an operator may tune of messages to strangers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Messages a second to strangers that an account may go on with; 0: no limit.
    pub message_rate: u32,
    /// Messages to strangers it may send at once before that rate holds.
    pub message_burst: u32,
    /// Strangers an hour that an account may write to for the first time; 0: no limit.
    pub new_rate: u32,
    /// Strangers it may write to for the first time before that rate holds.
    pub new_burst: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Two people in haste who have not become contacts yet; a bot that says something
            // every second to everybody is a component or has subscribers.
            message_rate: 1,
            message_burst: 300,
            // All of a department on its first day, and then a new acquaintance every minute.
            new_rate: 60,
            new_burst: 200,
        }
    }
}

/// Accounts are spread over so many locks, for every message to a stranger takes one.
const SHARDS: usize = 32;

/// A shard is swept when it has so many accounts, or twice as many as its last sweep left.
const SWEPT_FROM: usize = 64;

/// So many of the strangers an account has written to are known again, 8 bytes each: several
/// times as many as the burst of new ones. Older ones are new when they are written to again.
const KNOWN_MAX: usize = 1024;

const HOUR_SECONDS: f64 = 3600.0;

/// The budgets of all accounts that have written to strangers lately.
#[derive(Default)]
pub struct Strangers([Mutex<Shard>; SHARDS]);

#[derive(Default)]
struct Shard {
    spent: HashMap<BareJid, Spent>,
    /// How many accounts the last sweep left.
    left: usize,
}

/// What an account has spent of its budgets.
struct Spent {
    messages: f64,
    new: f64,
    at: Instant,
    /// The strangers it has written to, by hash, oldest first.
    known: VecDeque<u64>,
}

impl Strangers {
    /// Takes a message to this stranger out of the account's budgets; a refused one costs
    /// nothing.
    ///
    /// # Errors
    /// `<policy-violation type='wait'/>` when one of them is spent.
    pub fn take(
        &self,
        account: &BareJid,
        stranger: &BareJid,
        settings: &Settings,
        now: Instant,
    ) -> Result<(), StanzaError> {
        if settings.message_rate == 0 && settings.new_rate == 0 {
            return Ok(());
        }
        let mut shard = self.shard(account);
        shard.sweep(settings, now);
        let spent = shard.spent.entry(account.clone());
        let spent = spent.or_insert_with(|| Spent::nothing(now));
        spent.refill(settings, now);
        spent.take(xxh3_64(stranger.as_str().as_bytes()), settings)
    }

    fn shard(&self, account: &BareJid) -> MutexGuard<'_, Shard> {
        let place = xxh3_64(account.as_str().as_bytes()) as usize % SHARDS;
        self.0[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Forgets who has all of its budgets again, now and then, so that it costs next to nothing
    /// for each message.
    fn sweep(&mut self, settings: &Settings, now: Instant) {
        if self.spent.len() < SWEPT_FROM.max(2 * self.left) {
            return;
        }
        self.spent.retain(|_, spent| {
            spent.refill(settings, now);
            spent.messages > 0.0 || spent.new > 0.0
        });
        self.left = self.spent.len();
    }
}

impl Spent {
    fn nothing(at: Instant) -> Self {
        Self {
            messages: 0.0,
            new: 0.0,
            at,
            known: VecDeque::new(),
        }
    }

    fn refill(&mut self, settings: &Settings, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        let message_rate = f64::from(settings.message_rate);
        let new_rate = f64::from(settings.new_rate) / HOUR_SECONDS;
        self.messages = (self.messages - since * message_rate).max(0.0);
        self.new = (self.new - since * new_rate).max(0.0);
        self.at = self.at.max(now);
    }

    fn take(&mut self, stranger: u64, settings: &Settings) -> Result<(), StanzaError> {
        let (counts, counts_new) = (settings.message_rate > 0, settings.new_rate > 0);
        let is_new = counts_new && !self.known.contains(&stranger);
        if counts && !has_room(self.messages, settings.message_burst) {
            return Err(refusal("too many messages to people who do not know you"));
        }
        if is_new && !has_room(self.new, settings.new_burst) {
            return Err(refusal("too many people who do not know you"));
        }
        if counts {
            self.messages += 1.0;
        }
        if is_new {
            self.new += 1.0;
            if self.known.len() == KNOWN_MAX {
                self.known.pop_front();
            }
            self.known.push_back(stranger);
        }
        Ok(())
    }
}

fn has_room(spent: f64, burst: u32) -> bool {
    spent + 1.0 <= f64::from(burst.max(1))
}

fn refusal(text: &'static str) -> StanzaError {
    // RFC 6120 §8.3.3.12 allows `wait`: later it will pass.
    StanzaError::policy_violation()
        .with_kind(ErrorKind::Wait)
        .with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SETTINGS: Settings = Settings {
        message_rate: 1,
        message_burst: 10,
        new_rate: 60,
        new_burst: 4,
    };

    fn account(name: &str) -> BareJid {
        BareJid::parse(&format!("{name}@example.org")).unwrap()
    }

    fn write(strangers: &Strangers, from: &str, to: &str, now: Instant) -> bool {
        let taken = strangers.take(&account(from), &account(to), &SETTINGS, now);
        taken.is_ok()
    }

    #[test]
    fn r17_a_stranger_hears_a_burst_and_then_a_message_a_second() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let heard = |now| {
            (0..100)
                .filter(|_| write(&strangers, "iago", "romeo", now))
                .count()
        };
        assert_eq!(heard(start), 10);
        assert_eq!(heard(start + Duration::from_secs(3)), 3);
        assert_eq!(heard(start + Duration::from_secs(600)), 10);
        // Others have budgets of their own.
        assert!(write(&strangers, "juliet", "romeo", start));
    }

    #[test]
    fn r17_new_strangers_are_few_and_known_ones_go_on() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let later = start + Duration::from_secs(61);
        let reached = |now, names: std::ops::Range<u32>| {
            names
                .filter(|n| write(&strangers, "iago", &format!("u{n}"), now))
                .count()
        };
        assert_eq!(reached(start, 0..100), 4);
        assert!(write(&strangers, "iago", "u0", start));
        assert_eq!(reached(later, 100..200), 1);
        let refused = strangers.take(&account("iago"), &account("new"), &SETTINGS, later);
        let error = refused.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Wait);
        assert_eq!(error.condition.as_str(), "policy-violation");
    }

    #[test]
    fn r17_no_rate_is_no_limit_of_its_own() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let only = |message_rate, new_rate| Settings {
            message_rate,
            new_rate,
            ..SETTINGS
        };
        let sent = |settings: Settings, is_one: bool| {
            let to = |n| account(&format!("u{}", if is_one { 0 } else { n }));
            let from = account("iago");
            let take = |n| strangers.take(&from, &to(n), &settings, now).is_ok();
            (0..50).filter(|n| take(*n)).count()
        };
        assert_eq!(sent(only(0, 0), false), 50);
        assert_eq!(sent(only(0, 60), true), 50);
        assert_eq!(sent(only(1, 0), false), 10);
    }

    #[test]
    fn r17_whoever_has_its_budgets_again_is_forgotten_and_nobody_else() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        for n in 0..100 {
            write(&strangers, "iago", &format!("u{n}"), start);
        }
        for n in 0..20_000 {
            write(&strangers, &format!("u{n}"), "romeo", start);
        }
        let later = start + Duration::from_secs(120);
        for n in 0..20_000 {
            write(&strangers, &format!("v{n}"), "romeo", later);
        }
        let remembered: usize = strangers
            .0
            .iter()
            .map(|shard| shard.lock().unwrap().spent.len())
            .sum();
        assert!(remembered < 30_000, "{remembered}");
        // Two of four have come back in two minutes.
        let reached = (200..300).filter(|n| write(&strangers, "iago", &format!("u{n}"), later));
        assert_eq!(reached.count(), 2);
    }
}
