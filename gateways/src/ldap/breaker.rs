//! Leaves a directory alone that does not answer (row L08).
//!
//! Without it, everybody who logs in while the directory hangs would wait for it, and keep a
//! place that others wait for. Pure: the time comes in.

use std::time::{Duration, Instant};

/// So many failures in a row and it is left alone: one is a packet lost.
const FAILURES: u32 = 3;

/// For so long at first, and twice as long each time it fails again.
const REST_MIN: Duration = Duration::from_secs(1);

/// People come back as soon as it does, nearly.
const REST_MAX: Duration = Duration::from_secs(15);

/// What is known of a directory's health.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    /// Until then it is left alone.
    rests_until: Option<Instant>,
    rest: Duration,
}

impl Breaker {
    /// Whether it may be asked. After a rest, one question finds out how it is; the others wait
    /// for another rest's time.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        match self.rests_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.rests_until = Some(now + self.rest);
                true
            }
        }
    }

    /// It has answered; tells whether that is news.
    pub(crate) fn answered(&mut self) -> bool {
        let was_resting = self.rests_until.is_some();
        *self = Self::default();
        was_resting
    }

    /// It has not answered; tells whether it rests from now on and did not before.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return false;
        }
        let is_new = self.rests_until.is_none();
        self.rest = (self.rest * 2).clamp(REST_MIN, REST_MAX);
        self.rests_until = Some(now + self.rest);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l08_directory_that_fails_is_left_alone_and_asked_once_in_a_while() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 1..FAILURES {
            assert!(breaker.allows(now) && !breaker.failed(now));
        }
        assert!(breaker.allows(now) && breaker.failed(now));
        assert!(!breaker.allows(now));
        let mut asked = 0;
        for _ in 0..600 {
            now += Duration::from_millis(100);
            if breaker.allows(now) {
                asked += 1;
                assert!(!breaker.failed(now), "it rests already");
                assert!(!breaker.allows(now), "one question at a time");
            }
        }
        assert!((4..=8).contains(&asked), "{asked} questions in a minute");
        now += REST_MAX;
        assert!(breaker.allows(now));
        assert!(breaker.answered());
        assert!(breaker.allows(now) && !breaker.answered());
    }

    #[test]
    fn failures_with_answers_between_them_do_not_add_up() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..10 {
            assert!(!breaker.failed(now));
            breaker.answered();
        }
        assert!(breaker.allows(now));
    }
}
