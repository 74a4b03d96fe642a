//! The sessions of those who poll, by tokens that nobody can guess (row W09).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::session::Arrived;
use crate::listener::{AddressKey, Limits};

/// Sessions at once; connections have a bound of their own, and a session is no connection.
const SESSIONS_MAX: usize = 16 * 1024;

/// Requests of one session that may wait for the others: a question and what is said meanwhile.
pub(super) const ARRIVALS_MAX: usize = 4;

/// All sessions of a node.
#[derive(Default)]
pub(in crate::channels) struct Table(Mutex<Known>);

#[derive(Default)]
struct Known {
    sessions: HashMap<String, Arc<Entry>>,
    by_address: HashMap<AddressKey, u32>,
    seats: usize,
}

/// There is no place for another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A session as requests find it.
pub(super) struct Entry {
    pub(super) arrivals: mpsc::Sender<Arrived>,
    pub(super) is_encrypted: bool,
}

/// A session's place in the table; it goes with its session.
pub(super) struct Seat {
    table: Arc<Table>,
    token: String,
    key: Option<AddressKey>,
}

impl Table {
    /// Keeps a place for a session of this address.
    pub(super) fn reserve(
        table: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<Seat, Full> {
        let mut known = table.lock();
        if known.seats >= SESSIONS_MAX {
            return Err(Full);
        }
        let key = (!limits.trusts(address)).then(|| AddressKey::from(address));
        if let Some(key) = key {
            let count = known.by_address.entry(key).or_default();
            if *count >= limits.connections_per_address {
                return Err(Full);
            }
            *count += 1;
        }
        known.seats += 1;
        Ok(Seat {
            table: Arc::clone(table),
            token: random_token(),
            key,
        })
    }

    pub(super) fn find(&self, token: &str) -> Option<Arc<Entry>> {
        self.lock().sessions.get(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Requests find the session from now on.
    pub(super) fn take(&self, entry: Entry) {
        let mut known = self.table.lock();
        known.sessions.insert(self.token.clone(), Arc::new(entry));
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut known = self.table.lock();
        known.sessions.remove(&self.token);
        known.seats -= 1;
        let Some(key) = self.key else { return };
        if let Some(count) = known.by_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                known.by_address.remove(&key);
            }
        }
    }
}

/// 160 random bits.
fn random_token() -> String {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_its_share_of_sessions_and_gets_it_back() {
        let table = Arc::new(Table::default());
        let limits = Limits {
            connections_per_address: 2,
            ..Limits::default()
        };
        let reserve = |address: &str| Table::reserve(&table, address.parse().unwrap(), &limits);
        let first = reserve("192.0.2.1").unwrap_or_else(|_| panic!("a place"));
        let _second = reserve("192.0.2.1").ok();
        assert!(reserve("192.0.2.1").is_err());
        assert!(reserve("192.0.2.2").is_ok() && reserve("127.0.0.1").is_ok());
        let (arrivals, _) = mpsc::channel(1);
        first.take(Entry {
            arrivals,
            is_encrypted: false,
        });
        let token = first.token().to_owned();
        assert!(table.find(&token).is_some());
        drop(first);
        assert!(table.find(&token).is_none());
        assert!(reserve("192.0.2.1").is_ok());
    }

    #[test]
    fn w09_tokens_are_long_and_never_alike() {
        let tokens: std::collections::HashSet<String> = (0..1000).map(|_| random_token()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == 40));
    }
}
