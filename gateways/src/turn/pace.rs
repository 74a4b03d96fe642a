//! How many requests an address may make: UDP's senders can be forged, and every answer goes to
//! whoever is named (row T04).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::listener::{AddressKey, Bucket, Rate};

/// Addresses remembered at once, some 600 KiB of them. More at the same time are no clients.
const ADDRESSES_MAX: usize = 8192;

/// Between two looks for addresses that can be forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Counts the requests of addresses.
pub(super) struct Pace {
    rate: Rate,
    addresses: HashMap<AddressKey, Bucket>,
    /// What all those share for whom there is no place.
    crowd: Bucket,
    swept: Instant,
}

impl Pace {
    /// So many a second from one address, and four times as many at once: behind one address
    /// may be an office in which ten people pick up.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let rate = Rate::per_second(per_second, per_second.saturating_mul(4));
        Self {
            rate,
            addresses: HashMap::new(),
            crowd: Bucket::full(rate, now),
            swept: now,
        }
    }

    /// Tells whether an address may ask once more.
    pub(super) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        let key = AddressKey::from(address);
        if let Some(bucket) = self.addresses.get_mut(&key) {
            return bucket.take(self.rate, now);
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            self.sweep(now);
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            return self.crowd.take(self.rate, now);
        }
        let mut bucket = Bucket::full(self.rate, now);
        let allows = bucket.take(self.rate, now);
        self.addresses.insert(key, bucket);
        allows
    }

    /// Forgets those that are as good as new; not at every request of a flood.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) >= SWEEP_EVERY {
            let rate = self.rate;
            self.addresses
                .retain(|_, bucket| !bucket.is_full(rate, now));
            self.swept = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn t04_address_has_a_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(10, start);
        let address = "192.0.2.1".parse().unwrap();
        assert!((0..40).all(|_| pace.allows(address, start)));
        assert!(!pace.allows(address, start));
        let later = start + Duration::from_secs(1);
        let allowed = (0..100).filter(|_| pace.allows(address, later)).count();
        assert_eq!(allowed, 10);
        assert!(pace.allows("192.0.2.2".parse().unwrap(), start));
    }

    #[test]
    fn t04_flood_of_forged_senders_fills_no_memory_and_is_answered_like_one() {
        let start = Instant::now();
        let mut pace = Pace::new(10, start);
        let forged = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        let many = 4 * ADDRESSES_MAX as u32;
        let answered = (0..many)
            .filter(|it| pace.allows(forged(*it), start))
            .count();
        assert_eq!(pace.addresses.len(), ADDRESSES_MAX);
        assert_eq!(answered, ADDRESSES_MAX + 40, "the rest share one burst");
        // Who was there before the flood is not hurt by it, and it is forgotten when it is over.
        assert!(pace.allows(forged(1), start));
        assert!(pace.allows(forged(many), start + Duration::from_secs(10)));
        assert!(pace.addresses.len() < 3);
    }
}
