//! Who may connect: the global count, the count and rate of each address.
//!
//! Leaves out: failed logins, which `auth::throttle` counts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use klatsch_actors::strain::{Level, Strain};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bucket::{Bucket, Rate};
use super::limits::Limits;
use super::network::AddressKey;

/// Shared by all listeners of a node.
pub struct Admission {
    limits: Arc<Limits>,
    strain: Arc<Strain>,
    places: Arc<Semaphore>,
    places_total: usize,
    // Not what is missing of the places: a loop that waits for a client holds one, too.
    connections: AtomicUsize,
    arrivals: Mutex<Bucket>,
    arrival_rate: Rate,
    address_rate: Rate,
    addresses: Mutex<Addresses>,
}

/// The addresses that are connected or were too fast.
struct Addresses {
    known: HashMap<AddressKey, Address>,
    /// At this many, those that are as good as new are forgotten.
    sweep_at: usize,
}

/// What is remembered of an address while it is connected or was too fast.
struct Address {
    connections: u32,
    arrivals: Bucket,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The address has its share of connections already.
    TooMany,
    /// The address connects too often.
    TooFast,
}

impl Refusal {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooFast => "too_fast",
        }
    }
}

/// A connection's place; dropping it frees the place.
pub struct Ticket {
    admission: Arc<Admission>,
    key: Option<AddressKey>,
    _place: OwnedSemaphorePermit,
}

/// Between two connections that a listener takes while the node is short of memory. Some must
/// get in: who resumes a session, which costs little, and who comes to mend things.
const TRICKLE: Duration = Duration::from_millis(100);

/// Fewer remembered addresses are not worth a sweep.
const ADDRESSES_SWEEP_MIN: usize = 4096;

impl Admission {
    /// Reads the descriptor limit once and derives the number of places from it.
    pub fn new(limits: Arc<Limits>, strain: Arc<Strain>) -> Arc<Self> {
        let places = places(&limits, descriptors_max());
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let rate = if limits.accept_rate == 0 {
            200 * cores
        } else {
            limits.accept_rate
        };
        let arrival_rate = Rate::per_second(rate, rate);
        let per_address = limits.connection_rate_per_address;
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            places_total: places,
            connections: AtomicUsize::new(0),
            arrivals: Mutex::new(Bucket::full(arrival_rate, Instant::now())),
            arrival_rate,
            // A NAT of an office reconnects as a burst: five seconds' worth at once.
            address_rate: Rate::per_second(per_address, per_address.saturating_mul(5)),
            addresses: Mutex::new(Addresses {
                known: HashMap::new(),
                sweep_at: ADDRESSES_SWEEP_MIN,
            }),
            limits,
            strain,
        })
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that may be open at once.
    pub fn connections_max(&self) -> usize {
        self.places_total
    }

    /// The limits in force.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Waits for a free place, while the node is short of memory, and as long as connections arrive too fast. Until then they
    /// stay in the kernel's backlog, which costs nothing.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        if self.strain.level() >= Level::Tight {
            tokio::time::sleep(TRICKLE).await;
        }
        loop {
            let wait = lock(&self.arrivals).wait(self.arrival_rate, Instant::now());
            if wait.is_zero() {
                break;
            }
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }

    /// Decides on an accepted connection.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        place: OwnedSemaphorePermit,
        now: Instant,
    ) -> Result<Ticket, Refusal> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut ticket = Ticket {
            admission: Arc::clone(self),
            key: None,
            _place: place,
        };
        if self.limits.trusts(address) {
            return Ok(ticket);
        }
        lock(&self.arrivals).take(self.arrival_rate, now);
        let key = AddressKey::from(address);
        let mut addresses = lock(&self.addresses);
        addresses.sweep(self.address_rate, now);
        let known = addresses.known.entry(key).or_insert_with(|| Address {
            connections: 0,
            arrivals: Bucket::full(self.address_rate, now),
        });
        if !known.arrivals.take(self.address_rate, now) {
            return Err(Refusal::TooFast);
        }
        if known.connections >= self.limits.connections_per_address {
            return Err(Refusal::TooMany);
        }
        known.connections += 1;
        drop(addresses);
        ticket.key = Some(key);
        Ok(ticket)
    }

    fn leave(&self, key: AddressKey, now: Instant) {
        let mut addresses = lock(&self.addresses);
        let Some(known) = addresses.known.get_mut(&key) else {
            return;
        };
        known.connections = known.connections.saturating_sub(1);
        if known.connections == 0 && known.arrivals.is_full(self.address_rate, now) {
            addresses.known.remove(&key);
        }
    }
}

impl Addresses {
    /// Forgets what is not needed; the next sweep is due when the map has doubled, so that
    /// sweeping costs each arrival a constant.
    fn sweep(&mut self, rate: Rate, now: Instant) {
        if self.known.len() >= self.sweep_at {
            self.known
                .retain(|_, known| known.connections > 0 || !known.arrivals.is_full(rate, now));
            self.sweep_at = ADDRESSES_SWEEP_MIN.max(2 * self.known.len());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(key) = self.key {
            self.admission.leave(key, Instant::now());
        }
    }
}

/// A panic elsewhere must not take the door away: the maps stay consistent at every step.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections may be open: what is configured, within what the descriptors allow.
fn places(limits: &Limits, descriptors: usize) -> usize {
    // Even a tiny descriptor limit leaves some room, or nobody could log in to mend it.
    let allowed = descriptors
        .saturating_sub(limits.reserved_descriptors)
        .max(16);
    let wanted = if limits.connections_max == 0 {
        allowed
    } else {
        limits.connections_max
    };
    wanted.min(allowed).min(Semaphore::MAX_PERMITS)
}

/// The process's soft limit of open files; Linux tells it in /proc.
fn descriptors_max() -> usize {
    const UNKNOWN: usize = 1024;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    match soft {
        Some("unlimited") => Semaphore::MAX_PERMITS,
        Some(number) => number.parse().unwrap_or(UNKNOWN),
        None => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: Limits) -> Arc<Admission> {
        Admission::new(Arc::new(limits), Arc::default())
    }

    async fn admit(at: &Arc<Admission>, address: &str, now: Instant) -> Result<Ticket, Refusal> {
        let place = at.place().await;
        at.admit(address.parse().unwrap(), place, now)
    }

    #[tokio::test]
    async fn address_has_a_share_and_gets_it_back() {
        let at = admission(Limits {
            connections_per_address: 2,
            ..Limits::default()
        });
        let now = Instant::now();
        let first = admit(&at, "192.0.2.1", now).await.ok().unwrap();
        let _second = admit(&at, "192.0.2.1", now).await.ok().unwrap();
        assert_eq!(
            admit(&at, "192.0.2.1", now).await.err(),
            Some(Refusal::TooMany)
        );
        assert!(
            admit(&at, "192.0.2.2", now).await.is_ok(),
            "another address is unaffected"
        );
        drop(first);
        assert!(admit(&at, "192.0.2.1", now).await.is_ok());
        assert_eq!(at.connections(), 1, "dropped tickets free their places");
    }

    #[tokio::test]
    async fn address_that_connects_too_fast_is_turned_away() {
        let limits = Limits {
            connection_rate_per_address: 1,
            ..Limits::default()
        };
        let at = admission(limits);
        let now = Instant::now();
        for _ in 0..5 {
            assert!(admit(&at, "2001:db8::1", now).await.is_ok());
        }
        assert_eq!(
            admit(&at, "2001:db8::2", now).await.err(),
            Some(Refusal::TooFast)
        );
        assert!(
            admit(&at, "2001:db8::2", now + Duration::from_secs(1))
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn trusted_networks_are_spared() {
        let limits = Limits {
            connections_per_address: 1,
            connection_rate_per_address: 0,
            ..Limits::default()
        };
        let at = admission(limits);
        let mut tickets = Vec::new();
        for _ in 0..20 {
            tickets.push(admit(&at, "127.0.0.1", Instant::now()).await.ok().unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_trickle_in_while_memory_is_tight() {
        let at = admission(Limits::default());
        let start = tokio::time::Instant::now();
        let _place = at.place().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        at.strain.set_level(Level::Tight, false);
        for _ in 0..4 {
            let _place = at.place().await;
        }
        assert_eq!(start.elapsed(), 4 * TRICKLE);
        at.strain.set_level(Level::Ample, false);
        let _place = at.place().await;
        assert_eq!(start.elapsed(), 4 * TRICKLE);
    }

    #[test]
    fn places_stay_within_the_descriptors() {
        let limits = Limits {
            reserved_descriptors: 100,
            ..Limits::default()
        };
        assert_eq!(places(&limits, 1000), 900);
        assert_eq!(places(&limits, 50), 16);
        let asked = Limits {
            connections_max: 10,
            ..limits
        };
        assert_eq!(places(&asked, 1000), 10);
    }

    #[test]
    fn descriptor_limit_is_read() {
        assert!(descriptors_max() > 16);
    }
}
