//! A token bucket; time comes in as an argument.

use std::time::{Duration, Instant};

/// Lets `rate` things a second pass, and `burst` at once.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// How fast a bucket fills and how much it holds; shared by many buckets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl Rate {
    pub(crate) fn per_second(rate: u32, burst: u32) -> Self {
        Self {
            per_second: f64::from(rate),
            burst: f64::from(burst),
        }
    }
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: rate.burst,
            filled: now,
        }
    }

    /// Takes one token if there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Takes so many tokens, or as many as there are; tells how many that was.
    pub(crate) fn take_up_to(&mut self, wanted: f64, rate: Rate, now: Instant) -> f64 {
        self.fill(rate, now);
        let taken = wanted.min(self.tokens);
        self.tokens -= taken;
        taken
    }

    /// How long until a token is there; zero if one is there now.
    pub(crate) fn wait(&mut self, rate: Rate, now: Instant) -> Duration {
        self.fill(rate, now);
        if self.tokens >= 1.0 {
            return Duration::ZERO;
        }
        // A rate of zero never fills; an hour is as good as never and does not overflow.
        let seconds = (1.0 - self.tokens) / rate.per_second.max(1.0 / 3600.0);
        Duration::from_secs_f64(seconds)
    }

    /// Tells whether the last token was just taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.tokens < 1.0
    }

    /// Tells whether the bucket is as good as new, so that it need not be remembered.
    pub(crate) fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        self.tokens >= rate.burst
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second).min(rate.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        let rate = Rate::per_second(10, 3);
        let start = Instant::now();
        let mut bucket = Bucket::full(rate, start);
        assert!((0..3).all(|_| bucket.take(rate, start)));
        assert!(!bucket.take(rate, start));
        assert_eq!(bucket.wait(rate, start), Duration::from_millis(100));
        let later = start + Duration::from_millis(150);
        assert!(bucket.take(rate, later));
        assert!(!bucket.take(rate, later));
        assert!(bucket.is_full(rate, start + Duration::from_secs(1)));
    }
}
