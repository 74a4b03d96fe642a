//! The sessions there are, by ids that nobody can guess (row W09).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klatsch_protocol::stream::bosh::Condition;
use klatsch_protocol::xml::Limits as XmlLimits;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::Answer;
use super::arrived::Arrived;
use super::terms::Terms;
use crate::listener::{AddressKey, Limits};

/// Sessions at once. One that says nothing costs a task and a few kilobytes; connections have
/// a bound of their own, and a session is no connection.
const SESSIONS_MAX: usize = 16 * 1024;

/// Requests of one session that may be here beyond those agreed on: one that pauses or ends it
/// (XEP-0124 §11), and two that were sent again because a connection broke.
const SEATS_MORE: usize = 3;

/// All sessions of a node.
#[derive(Default)]
pub struct Table(Mutex<Known>);

#[derive(Default)]
struct Known {
    sessions: HashMap<String, Arc<Entry>>,
    by_address: HashMap<AddressKey, u32>,
}

/// Why there is no place for another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The address has its share already.
    Address,
    /// There are too many.
    Node,
}

/// A session as requests find it.
pub(super) struct Entry {
    pub(super) arrivals: mpsc::Sender<Arrived>,
    /// What its requests sit on while they are here.
    pub(super) seats: Arc<Semaphore>,
    /// There was no seat for a request.
    pub(super) overrun: Notify,
    pub(super) is_encrypted: bool,
    pub(super) content_type: &'static str,
    is_legacy: bool,
    is_logged_in: AtomicBool,
}

/// A session's place in the table; it goes with its session.
pub(super) struct Place {
    table: Arc<Table>,
    sid: String,
    key: Option<AddressKey>,
}

impl Table {
    /// Takes a session in and gives it its id.
    pub(super) fn add(
        table: &Arc<Self>,
        entry: Arc<Entry>,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<Place, Full> {
        let mut known = table.lock();
        if known.sessions.len() >= SESSIONS_MAX {
            return Err(Full::Node);
        }
        let key = (!limits.trusts(address)).then(|| AddressKey::from(address));
        if let Some(key) = key {
            let count = known.by_address.entry(key).or_default();
            if *count >= limits.connections_per_address {
                return Err(Full::Address);
            }
            *count += 1;
        }
        let sid = random_sid();
        known.sessions.insert(sid.clone(), entry);
        let table = Arc::clone(table);
        Ok(Place { table, sid, key })
    }

    pub(super) fn find(&self, sid: &str) -> Option<Arc<Entry>> {
        self.lock().sessions.get(sid).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn sid(&self) -> &str {
        &self.sid
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.table.lock();
        known.sessions.remove(&self.sid);
        let Some(key) = self.key else { return };
        if let Some(count) = known.by_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                known.by_address.remove(&key);
            }
        }
    }
}

impl Entry {
    pub(super) fn new(
        terms: &Terms,
        is_encrypted: bool,
        content_type: &'static str,
        is_legacy: bool,
    ) -> (Self, mpsc::Receiver<Arrived>) {
        let seats = terms.requests() as usize + SEATS_MORE;
        let (arrivals, receiver) = mpsc::channel(seats);
        let entry = Self {
            arrivals,
            seats: Arc::new(Semaphore::new(seats)),
            overrun: Notify::new(),
            is_encrypted,
            content_type,
            is_legacy,
            is_logged_in: AtomicBool::new(false),
        };
        (entry, receiver)
    }

    /// How large its stanzas may be now.
    pub(super) fn limits(&self, limits: &Limits) -> XmlLimits {
        match self.is_logged_in.load(Ordering::Acquire) {
            false => XmlLimits::BEFORE_LOGIN,
            true => XmlLimits {
                stanza_bytes: limits.stanza_bytes_max,
                ..XmlLimits::AFTER_LOGIN
            },
        }
    }

    pub(super) fn logged_in(&self) {
        self.is_logged_in.store(true, Ordering::Release);
    }

    /// The status for a session that ends like this.
    pub(super) fn status(&self, condition: Option<Condition>) -> u16 {
        match condition {
            Some(condition) if self.is_legacy => condition.legacy_status(),
            _ => 200,
        }
    }

    /// What a request hears that has no session, or loses it.
    pub(super) fn refusal(&self, condition: Condition) -> Answer {
        Answer {
            content_type: self.content_type,
            ..Answer::refusal(condition, self.is_legacy)
        }
    }
}

/// 160 random bits.
fn random_sid() -> String {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn entry() -> Arc<Entry> {
        let wishes = klatsch_protocol::stream::bosh::Wishes {
            wait: None,
            hold: None,
            version: None,
            content: None,
            acks: false,
        };
        Arc::new(Entry::new(&Terms::agree(&wishes), false, "text/xml", false).0)
    }

    #[test]
    fn w09_ids_are_long_and_never_alike() {
        let ids: HashSet<String> = (0..10_000).map(|_| random_sid()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 40));
        // Each of 160 bits is set about as often as not.
        for at in 0..40 {
            let digits: HashSet<_> = ids.iter().map(|id| id.as_bytes()[at]).collect();
            assert_eq!(digits.len(), 16, "digit {at}");
        }
    }

    #[test]
    fn w09_address_has_its_share_of_sessions_and_gets_it_back() {
        let table = Arc::new(Table::default());
        let limits = Limits {
            connections_per_address: 2,
            ..Limits::default()
        };
        let add = |address: &str| Table::add(&table, entry(), address.parse().unwrap(), &limits);
        let first = add("192.0.2.1").ok().unwrap();
        let _second = add("192.0.2.1").ok().unwrap();
        assert_eq!(add("192.0.2.1").err(), Some(Full::Address));
        assert!(add("192.0.2.2").is_ok() && add("127.0.0.1").is_ok());
        assert!(table.find(first.sid()).is_some());
        let sid = first.sid().to_owned();
        drop(first);
        assert!(table.find(&sid).is_none());
        assert!(add("192.0.2.1").is_ok());
    }
}
