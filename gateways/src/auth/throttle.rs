//! How many logins may be tried: slows guessing down without locking anybody out (row A12).
//!
//! An address that tries too often is asked to come later, one that fails too often is banned
//! for a while. An account that is being guessed answers later and later, so that somebody
//! with many addresses gains little, and its owner waits two seconds at most.
//! Time comes in as an argument.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::listener::{AddressKey, Bucket, Limits, Rate};

/// Counts attempts and failures; shared by all transports.
pub struct Throttle {
    limits: Arc<Limits>,
    addresses: Mutex<HashMap<AddressKey, Address>>,
    accounts: Mutex<HashMap<u64, Failures>>,
    // Accounts are remembered by a keyed hash: small, and nobody can aim at a collision.
    hasher: RandomState,
}

struct Address {
    attempts: Bucket,
    /// Runs empty when there were too many failures.
    failures: Bucket,
    banned_until: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// What an attempt may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Go on after this delay.
    After(Duration),
    /// Tell the client to come later.
    TooFast,
    /// Tell the client to come later; it will be long.
    Banned,
}

/// So many failures of an account cost nothing: people mistype.
const FREE_FAILURES: u32 = 5;

/// The longest delay: an owner waits it gladly, a guesser gets 1,800 guesses an hour.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// Failures of an account are forgotten after this.
const FAILURES_FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// Entries remembered at most: bounded memory matters more than a long memory.
const ENTRIES_MAX: usize = 32 * 1024;

impl Throttle {
    /// A throttle that knows nobody.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            addresses: Mutex::default(),
            accounts: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// Asks leave for one attempt from an address on an account.
    pub fn ask(&self, address: IpAddr, account: &str, now: Instant) -> Leave {
        if !self.limits.trusts(address) {
            let rate = self.attempt_rate();
            let leave = self.with_address(address, now, |known| {
                if known.banned_until.is_some_and(|until| now < until) {
                    return Some(Leave::Banned);
                }
                (!known.attempts.take(rate, now)).then_some(Leave::TooFast)
            });
            if let Some(refused) = leave {
                return refused;
            }
        }
        let accounts = lock(&self.accounts);
        let failures = accounts.get(&self.hasher.hash_one(account)).copied();
        Leave::After(failures.map_or(Duration::ZERO, |failures| failures.delay(now)))
    }

    /// Tells whether an address would get no leave now, without counting that as an attempt.
    pub fn refuses(&self, address: IpAddr, now: Instant) -> bool {
        if self.limits.trusts(address) {
            return false;
        }
        self.with_address(address, now, |known| {
            known.banned_until.is_some_and(|until| now < until) || known.attempts.is_spent()
        })
    }

    /// Notes a failed attempt.
    pub fn failed(&self, address: IpAddr, account: Option<&str>, now: Instant) {
        if let Some(account) = account {
            self.count(account, now);
        }
        // A ban of a trusted proxy or of this machine would be a ban of everybody behind it.
        if self.limits.trusts(address) {
            return;
        }
        let rate = self.failure_rate();
        let ban = now + self.limits.login_ban;
        let is_new = self.with_address(address, now, |known| {
            let banned = !known.failures.take(rate, now) || known.failures.is_spent();
            let is_new = banned && known.banned_until.is_none_or(|until| until <= now);
            if is_new {
                known.banned_until = Some(ban);
            }
            is_new
        });
        if is_new {
            // The words fail2ban looks for; see the documentation before changing them.
            tracing::warn!(peer = %address, "too many failed logins, address banned");
        }
    }

    /// Forgets an account's failures after its owner got in.
    pub fn succeeded(&self, account: &str) {
        lock(&self.accounts).remove(&self.hasher.hash_one(account));
    }

    fn count(&self, account: &str, now: Instant) {
        let mut accounts = lock(&self.accounts);
        make_room(&mut accounts, |failures| !failures.is_old(now));
        let key = self.hasher.hash_one(account);
        let failures = accounts.entry(key).or_insert(Failures {
            count: 0,
            last: now,
        });
        let before = if failures.is_old(now) {
            0
        } else {
            failures.count
        };
        *failures = Failures {
            count: before.saturating_add(1),
            last: now,
        };
    }

    fn with_address<T>(
        &self,
        address: IpAddr,
        now: Instant,
        use_it: impl FnOnce(&mut Address) -> T,
    ) -> T {
        let (attempt_rate, failure_rate) = (self.attempt_rate(), self.failure_rate());
        let mut addresses = lock(&self.addresses);
        make_room(&mut addresses, |known| {
            known.banned_until.is_some_and(|until| now < until)
                || !known.attempts.is_full(attempt_rate, now)
                || !known.failures.is_full(failure_rate, now)
        });
        use_it(addresses.entry(address.into()).or_insert_with(|| Address {
            attempts: Bucket::full(attempt_rate, now),
            failures: Bucket::full(failure_rate, now),
            banned_until: None,
        }))
    }

    /// An office behind one address may come back at once: five minutes' worth in a burst.
    fn attempt_rate(&self) -> Rate {
        let a_minute = f64::from(self.limits.login_rate_per_address);
        Rate {
            per_second: a_minute / 60.0,
            burst: a_minute * 5.0,
        }
    }

    /// As many failures an hour as lead to a ban.
    fn failure_rate(&self) -> Rate {
        let failures = f64::from(self.limits.login_failures_max.max(1));
        Rate {
            per_second: failures / 3600.0,
            burst: failures,
        }
    }
}

impl Failures {
    fn is_old(self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) > FAILURES_FORGOTTEN
    }

    /// Doubles from an eighth of a second with each failure.
    fn delay(self, now: Instant) -> Duration {
        if self.count < FREE_FAILURES || self.is_old(now) {
            return Duration::ZERO;
        }
        let doublings = (self.count - FREE_FAILURES).min(8);
        (Duration::from_millis(125) * (1 << doublings)).min(DELAY_MAX)
    }
}

/// Sweeps a full map. At least half of it is free afterwards, whatever it takes, so that sweeps
/// stay rare when somebody fills it on purpose.
pub(crate) fn make_room<K: Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    mut keep: impl FnMut(&mut V) -> bool,
) {
    if map.len() < ENTRIES_MAX {
        return;
    }
    map.retain(|_, value| keep(value));
    if map.len() > ENTRIES_MAX / 2 {
        let mut keep = false;
        map.retain(|_, _| {
            keep = !keep;
            keep
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn throttle() -> Throttle {
        Throttle::new(Arc::new(Limits::default()))
    }

    #[test]
    fn a12_hundred_failures_are_a_ban_and_other_addresses_are_unaffected() {
        let throttle = throttle();
        let now = Instant::now();
        let (bad, good) = (address("2001:db8::1"), address("2001:db8:1::1"));
        for n in 0..100 {
            assert!(
                matches!(throttle.ask(bad, "anna@x", now), Leave::After(_)),
                "{n}"
            );
            throttle.failed(bad, Some("anna@x"), now);
        }
        assert_eq!(
            throttle.ask(address("2001:db8::2"), "bert@x", now),
            Leave::Banned
        );
        assert_eq!(
            throttle.ask(good, "bert@x", now),
            Leave::After(Duration::ZERO)
        );
        let later = now + Duration::from_secs(3601);
        assert_eq!(
            throttle.ask(bad, "bert@x", later),
            Leave::After(Duration::ZERO)
        );
    }

    #[test]
    fn a12_office_of_two_hundred_comes_back_at_once() {
        let throttle = throttle();
        let now = Instant::now();
        for n in 0..200 {
            let account = format!("user{n}@x");
            let leave = throttle.ask(address("192.0.2.1"), &account, now);
            assert_eq!(leave, Leave::After(Duration::ZERO));
            throttle.succeeded(&account);
        }
        let more =
            (0..200).filter(|_| throttle.ask(address("192.0.2.1"), "a@x", now) == Leave::TooFast);
        assert_eq!(more.count(), 100);
    }

    #[test]
    fn a12_guessed_account_answers_later_and_its_owner_resets_it() {
        let throttle = throttle();
        let now = Instant::now();
        for n in 0..20 {
            throttle.failed(address(&format!("192.0.2.{n}")), Some("anna@x"), now);
        }
        let owner = address("198.51.100.1");
        assert_eq!(throttle.ask(owner, "anna@x", now), Leave::After(DELAY_MAX));
        assert_eq!(
            throttle.ask(owner, "bert@x", now),
            Leave::After(Duration::ZERO)
        );
        throttle.succeeded("anna@x");
        assert_eq!(
            throttle.ask(owner, "anna@x", now),
            Leave::After(Duration::ZERO)
        );
    }

    #[test]
    fn a12_trusted_networks_are_never_banned_but_their_guesses_are_slowed() {
        let throttle = throttle();
        let now = Instant::now();
        for _ in 0..1000 {
            throttle.failed(address("127.0.0.1"), Some("anna@x"), now);
        }
        assert_eq!(
            throttle.ask(address("127.0.0.1"), "anna@x", now),
            Leave::After(DELAY_MAX)
        );
    }

    #[test]
    fn a12_memory_is_bounded_whatever_is_tried() {
        let throttle = throttle();
        let now = Instant::now();
        for n in 0..100_000_u32 {
            throttle.failed(IpAddr::from(n.to_be_bytes()), Some(&n.to_string()), now);
        }
        assert!(lock(&throttle.addresses).len() <= ENTRIES_MAX);
        assert!(lock(&throttle.accounts).len() <= ENTRIES_MAX);
    }
}
