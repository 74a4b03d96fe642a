//! When the tail of its log is compared with a session's cursor.
//!
//! A session hears of tails that it has not asked for, too: each second while a node is missing.
//! So one look at a time brings the next, whatever else is heard; otherwise each tail would begin
//! a row of looks of its own, and none of them would ever end.

use std::time::Duration;

use tokio::time::Instant;

/// The looks of a session.
#[derive(Debug, Default)]
pub(super) struct TailChecks {
    made: u8,
    /// When the next one is due.
    due: Option<Instant>,
}

impl TailChecks {
    /// A client has come: hints may have gone elsewhere just now.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// In how long to look again; nothing while a look is due that is still to come.
    pub(super) fn next(&mut self, now: Instant, regular: Duration) -> Option<Duration> {
        if self.due.is_some_and(|due| due > now) {
            return None;
        }
        let after = match self.made {
            0 => Duration::ZERO,
            1 => Duration::from_secs(1),
            2 => Duration::from_secs(4),
            _ => regular,
        };
        self.made = self.made.saturating_add(1);
        self.due = Some(now + after);
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGULAR: Duration = Duration::from_secs(60);

    #[test]
    fn looks_come_soon_after_a_client_and_seldom_later() {
        let (mut checks, mut now) = (TailChecks::default(), Instant::now());
        for after in [0, 1, 4, 60, 60] {
            let after = Duration::from_secs(after);
            assert_eq!(checks.next(now, REGULAR), Some(after));
            now += after;
        }
        checks.begin();
        assert_eq!(checks.next(now, REGULAR), Some(Duration::ZERO));
    }

    #[test]
    fn tails_that_come_unasked_bring_no_looks_of_their_own() {
        let (mut checks, now) = (TailChecks::default(), Instant::now());
        for _ in 0..3 {
            checks.due = None;
            checks.next(now, REGULAR);
        }
        for second in 0..60 {
            let now = now + Duration::from_secs(second);
            let looks = checks.next(now, REGULAR);
            assert_eq!(looks.is_some(), second == 4, "{second}");
        }
    }
}
