//! Logins that were right a moment ago.
//!
//! Clients reconnect in bursts, and a webmail asks at each page: a directory, or a mail server
//! behind it, is not asked again for the same within a minute. Nothing of a password is kept,
//! only what a key that this process alone has makes of it; what was wrong is not remembered. Of an
//! account one login is remembered, the last that was asked about.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use klatsch_protocol::jid::BareJid;
use sha2::Sha256;

use super::Attempt;
use super::throttle::make_room;

/// A password that was changed still works for so long.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// What a login is remembered by.
type Print = [u8; 32];

/// A login that was right.
struct Entry {
    account: BareJid,
    until: Instant,
}

/// The logins of one backend.
pub(super) struct Cache {
    key: [u8; 32],
    entries: Mutex<HashMap<Print, Entry>>,
}

impl Cache {
    /// Remembers nothing yet; without randomness for its key, it never will.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        Some(Self {
            key,
            entries: Mutex::default(),
        })
    }

    /// Whose login this is, if it was right lately.
    pub(super) fn get(&self, attempt: &Attempt, now: Instant) -> Option<BareJid> {
        let entries = self.entries();
        let entry = entries.get(&self.print(attempt))?;
        (now < entry.until).then(|| entry.account.clone())
    }

    /// It was right just now.
    pub(super) fn put(&self, attempt: &Attempt, account: &BareJid, now: Instant) {
        let mut entries = self.entries();
        // Another password that was right may be the one before it.
        entries.retain(|_, entry| entry.account != *account);
        make_room(&mut entries, |entry| now < entry.until);
        entries.insert(
            self.print(attempt),
            Entry {
                account: account.clone(),
                until: now + REMEMBERED,
            },
        );
    }

    /// How long ago it was asked whether an account's login is right, if that is remembered.
    pub(super) fn age(&self, account: &BareJid, now: Instant) -> Option<Duration> {
        let entries = self.entries();
        let entry = entries.values().find(|entry| entry.account == *account)?;
        let left = entry.until.checked_duration_since(now)?;
        Some(REMEMBERED.saturating_sub(left))
    }

    /// Forgets an account's logins.
    pub(super) fn forget(&self, account: &BareJid) {
        self.entries().retain(|_, entry| entry.account != *account);
    }

    /// Lengths go in too, so that no two logins look alike.
    fn print(&self, attempt: &Attempt) -> Print {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is a key");
        let login = &attempt.login;
        for part in [
            login.domain().as_str(),
            login.name(),
            attempt.password.expose(),
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Print, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatsch_protocol::sasl::{Login, Secret};

    fn attempt(name: &str, password: &str) -> Attempt {
        let domain = BareJid::parse("example.org").unwrap();
        Attempt {
            login: Login::new(name, &domain).unwrap(),
            password: Secret::new(password),
            peer: [127, 0, 0, 1].into(),
        }
    }

    #[test]
    fn right_login_is_remembered_for_a_minute_and_no_other() {
        let cache = Cache::new().unwrap();
        let account = BareJid::parse("john.doe@example.org").unwrap();
        let now = Instant::now();
        cache.put(&attempt("doe", "secret"), &account, now);
        let found = |name, password, later| cache.get(&attempt(name, password), now + later);
        let nearly = REMEMBERED - Duration::from_millis(1);
        assert_eq!(found("doe", "secret", nearly), Some(account.clone()));
        assert_eq!(found("doe", "secret", REMEMBERED), None);
        for (name, password) in [("doe", "wrong"), ("poe", "secret"), ("does", "ecret")] {
            assert_eq!(
                found(name, password, Duration::ZERO),
                None,
                "{name} {password}"
            );
        }
        let age = |later| cache.age(&account, now + later);
        assert_eq!(age(Duration::from_secs(20)), Some(Duration::from_secs(20)));
        assert_eq!(age(REMEMBERED * 2), None);
        // After a change of the password the one before is not remembered beside it.
        cache.put(&attempt("doe", "another"), &account, now);
        assert_eq!(found("doe", "secret", Duration::ZERO), None);
        cache.forget(&account);
        assert_eq!(found("doe", "another", Duration::ZERO), None);
    }

    #[test]
    fn a18_nothing_of_a_password_lies_in_memory() {
        let cache = Cache::new().unwrap();
        let account = BareJid::parse("john.doe@example.org").unwrap();
        cache.put(&attempt("doe", "canary"), &account, Instant::now());
        let entries = cache.entries();
        let print = entries.keys().next().unwrap();
        assert!(!print.windows(6).any(|bytes| bytes == b"canary"));
        let other = Cache::new().unwrap();
        assert_ne!(
            *print,
            other.print(&attempt("doe", "canary")),
            "each has its own key"
        );
    }
}
