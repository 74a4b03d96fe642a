//! How fast a client may go on sending once it is bound: so many bytes and so many stanzas a
//! second, and a burst of both. Who is faster is read more slowly, and hears no error.
//!
//! A bucket is asked for a share of its tokens at a time, so that a stanza costs a subtraction
//! and the clock is read a few times in each burst. Nobody is woken for it: a client that says
//! nothing costs the bytes of this and no timer. Trusted addresses have no pace at all.
//! Leaves out: dear requests (the archive, discovery of many items), which have no bucket of
//! their own.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::listener::{Bucket, Limits, Rate};
use crate::metrics;

/// A bucket is emptied in so many shares; what a client may send at once is at most one share
/// more than its burst.
const SHARES: f64 = 8.0;

/// The longest the reader waits before it looks again: a slow rate must not make it deaf.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The pace of one client.
pub(crate) struct Pace {
    bytes: Meter,
    stanzas: Meter,
    transport: &'static str,
    was_too_fast: bool,
}

/// One of its rates.
struct Meter {
    // None: no limit.
    rate: Option<Rate>,
    bucket: Bucket,
    /// Taken from the bucket and not used; below zero it is owed.
    left: f64,
}

impl Pace {
    /// The pace of a client at this address; `None` for those whom no rate applies to.
    pub(crate) fn of(
        limits: &Limits,
        address: IpAddr,
        transport: &'static str,
        now: Instant,
    ) -> Option<Box<Self>> {
        let is_limited = limits.session_byte_rate > 0 || limits.session_stanza_rate > 0;
        let pace = || {
            Box::new(Self {
                bytes: Meter::full(limits.session_byte_rate, limits.session_byte_burst, now),
                stanzas: Meter::full(limits.session_stanza_rate, limits.session_stanza_burst, now),
                transport,
                was_too_fast: false,
            })
        };
        (is_limited && !limits.trusts(address)).then(pace)
    }

    /// So many bytes have been read.
    pub(crate) fn count_bytes(&mut self, count: usize) {
        self.bytes.left -= count as f64;
    }

    /// A stanza is about to be handed over.
    pub(crate) fn count_stanza(&mut self) {
        self.stanzas.left -= 1.0;
    }

    /// How long nothing may be read; `None` if there is no need to wait. The clock is read only
    /// when a share is used up.
    pub(crate) fn wait(&mut self, clock: impl FnOnce() -> Instant) -> Option<Duration> {
        if self.bytes.left >= 0.0 && self.stanzas.left >= 0.0 {
            return None;
        }
        let now = clock();
        let wait = self.bytes.settle(now).max(self.stanzas.settle(now));
        if wait.is_zero() {
            return None;
        }
        if !self.was_too_fast {
            self.was_too_fast = true;
            metrics::throttled(self.transport);
        }
        Some(wait.clamp(Duration::from_millis(1), WAIT_MAX))
    }
}

impl Meter {
    fn full(rate: u32, burst: u32, now: Instant) -> Self {
        let limited = (rate > 0).then(|| Rate::per_second(rate, burst.max(1)));
        Self {
            rate: limited,
            bucket: Bucket::full(Rate::per_second(rate, burst.max(1)), now),
            left: 0.0,
        }
    }

    /// Pays what is owed and takes the next share; tells how long to wait for what is missing.
    fn settle(&mut self, now: Instant) -> Duration {
        let Some(rate) = self.rate else {
            self.left = 0.0;
            return Duration::ZERO;
        };
        if self.left >= 0.0 {
            return Duration::ZERO;
        }
        let wanted = rate.burst / SHARES - self.left;
        self.left += self.bucket.take_up_to(wanted, rate, now);
        match self.left < 0.0 {
            true => Duration::from_secs_f64(-self.left / rate.per_second),
            false => Duration::ZERO,
        }
    }
}

/// Tells a stanza from the rest of what stands at the top of a stream: acknowledgements answer
/// what the server sent, so only their bytes count.
pub(crate) fn is_stanza(name: &str) -> bool {
    matches!(name, "message" | "presence" | "iq")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: &str = "192.0.2.1";

    fn limits(byte_rate: u32, stanza_rate: u32) -> Limits {
        Limits {
            session_byte_rate: byte_rate,
            session_byte_burst: 8000,
            session_stanza_rate: stanza_rate,
            session_stanza_burst: 16,
            ..Limits::default()
        }
    }

    fn pace(limits: &Limits, address: &str, now: Instant) -> Option<Box<Pace>> {
        Pace::of(limits, address.parse().unwrap(), "tcp", now)
    }

    /// Sends as fast as it may; tells how much went within so many seconds.
    fn sent_within(
        pace: &mut Pace,
        start: Instant,
        seconds: u64,
        count: impl Fn(&mut Pace),
    ) -> u32 {
        let (mut now, mut sent) = (start, 0);
        while now < start + Duration::from_secs(seconds) {
            match pace.wait(|| now) {
                Some(wait) => now += wait,
                None => {
                    count(pace);
                    sent += 1;
                }
            }
        }
        sent
    }

    #[test]
    fn x18_burst_then_rate_of_bytes() {
        let start = Instant::now();
        let mut pace = pace(&limits(1000, 0), STRANGER, start).unwrap();
        let sent = sent_within(&mut pace, start, 10, |pace| pace.count_bytes(100));
        assert!((180..=182).contains(&sent), "{sent} pieces");
    }

    #[test]
    fn x18_burst_then_rate_of_stanzas() {
        let start = Instant::now();
        let mut pace = pace(&limits(0, 5), STRANGER, start).unwrap();
        let sent = sent_within(&mut pace, start, 10, Pace::count_stanza);
        assert!((66..=67).contains(&sent), "{sent} stanzas");
    }

    #[test]
    fn what_is_sent_at_once_is_a_burst_and_a_share_at_most() {
        let start = Instant::now();
        let mut pace = pace(&limits(0, 5), STRANGER, start).unwrap();
        pace.count_stanza();
        assert_eq!(pace.wait(|| start), None);
        let later = start + Duration::from_secs(3600);
        let mut sent = 0;
        while pace.wait(|| later).is_none() {
            pace.count_stanza();
            sent += 1;
        }
        assert!((16..=16 + 3).contains(&sent), "{sent} stanzas");
    }

    #[test]
    fn clock_is_read_a_few_times_in_each_burst() {
        let start = Instant::now();
        let mut pace = pace(&limits(0, 5), STRANGER, start).unwrap();
        let looks = std::cell::Cell::new(0);
        for _ in 0..16 {
            pace.count_stanza();
            let clock = || {
                looks.set(looks.get() + 1);
                start
            };
            assert_eq!(pace.wait(clock), None);
        }
        assert!(looks.get() <= 8, "{} looks", looks.get());
    }

    #[test]
    fn trusted_addresses_and_rates_of_zero_have_no_pace() {
        let now = Instant::now();
        assert!(pace(&Limits::default(), "127.0.0.1", now).is_none());
        assert!(pace(&Limits::default(), STRANGER, now).is_some());
        assert!(pace(&limits(0, 0), STRANGER, now).is_none());
    }

    #[test]
    fn slow_rate_does_not_make_the_reader_deaf() {
        let start = Instant::now();
        let mut pace = pace(&limits(1, 0), STRANGER, start).unwrap();
        pace.count_bytes(200_000);
        assert_eq!(pace.wait(|| start), Some(WAIT_MAX));
    }
}
