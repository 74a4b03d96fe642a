//! Judges how short of memory the node is, and what is to be done about it. Pure: it is told
//! what was measured and answers with what follows.
//!
//! The fuller of two measures counts: the memory of the process against what it may have, and
//! the bytes in queues against their budget. From 70 % on, new connections trickle in; from
//! 80 % on, new sessions are refused; from 90 % on, readers are held back and the clients for
//! whom most waits are let go, the heaviest first. Rooms and logs are never let go.

use std::fmt;

/// How short of memory the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    /// There is enough.
    #[default]
    Ample = 0,
    /// From 70 % on: new connections are taken one by one.
    Tight = 1,
    /// From 80 % on: new sessions are refused, resumed ones are not.
    Scarce = 2,
    /// From 90 % on: the heaviest clients are let go.
    Critical = 3,
}

impl Level {
    /// The inverse of `as u8`.
    pub(super) fn of(number: u8) -> Self {
        match number {
            0 => Self::Ample,
            1 => Self::Tight,
            2 => Self::Scarce,
            _ => Self::Critical,
        }
    }

    /// The part of the budget, in percent, at which a level begins.
    fn begins_at(self) -> u64 {
        match self {
            Self::Ample => 0,
            Self::Tight => 70,
            Self::Scarce => 80,
            Self::Critical => 90,
        }
    }

    /// The level below.
    fn below(self) -> Self {
        Self::of((self as u8).saturating_sub(1))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ample => "ample",
            Self::Tight => "tight",
            Self::Scarce => "scarce",
            Self::Critical => "critical",
        })
    }
}

/// A level is left only when so many percent less than it begins at are used: who stands at a
/// threshold must not go to and fro over it.
const HYSTERESIS: u64 = 5;

/// Readers are held back when queues are as full as this, in percent, however much memory there
/// is: what they read would only be queued.
const QUEUES_FULL: u64 = 80;

/// At first only clients for whom this much waits are let go: the default of what may wait for
/// one at all.
const HEAVIEST: usize = 1024 * 1024;

/// A client for whom less waits is no burden worth a reconnection.
const LIGHTEST: usize = 64 * 1024;

/// Looks between two rounds of letting clients go: their memory has to come back first.
const LOOKS_BETWEEN: u32 = 4;

/// What was measured, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident memory of the process.
    pub resident: u64,
    /// Bytes in queues.
    pub queued: u64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How short of memory the node is.
    pub level: Level,
    /// Readers rest before each read.
    pub holds_readers_back: bool,
    /// Clients for whom at least so many bytes wait are let go, now.
    pub lets_go_from: Option<usize>,
}

/// Remembers what it decided last.
pub struct Governor {
    budget: Memory,
    level: Level,
    holds_readers_back: bool,
    lets_go_from: usize,
    looks: u32,
}

impl Governor {
    /// Judges against this budget.
    pub fn new(budget: Memory) -> Self {
        Self {
            budget,
            level: Level::Ample,
            holds_readers_back: false,
            lets_go_from: HEAVIEST,
            looks: 0,
        }
    }

    /// Judges what was measured now.
    pub fn judge(&mut self, now: Memory) -> Verdict {
        let queues = percent(now.queued, self.budget.queued);
        let used = queues.max(percent(now.resident, self.budget.resident));
        self.level = level(self.level, used);
        self.holds_readers_back = self.level == Level::Critical
            || queues >= QUEUES_FULL
            || self.holds_readers_back && queues + HYSTERESIS >= QUEUES_FULL;
        Verdict {
            level: self.level,
            holds_readers_back: self.holds_readers_back,
            lets_go_from: self.lets_go(),
        }
    }

    /// The next round: the heaviest first, then those for whom half as much waits.
    fn lets_go(&mut self) -> Option<usize> {
        if self.level < Level::Critical {
            self.lets_go_from = HEAVIEST;
            self.looks = 0;
            return None;
        }
        let is_due = self.looks.is_multiple_of(LOOKS_BETWEEN);
        self.looks = self.looks.wrapping_add(1);
        if !is_due {
            return None;
        }
        let from = self.lets_go_from;
        self.lets_go_from = (from / 2).max(LIGHTEST);
        Some(from)
    }
}

/// The level that follows at so many percent.
fn level(before: Level, used: u64) -> Level {
    let reached = [Level::Critical, Level::Scarce, Level::Tight]
        .into_iter()
        .find(|level| used >= level.begins_at())
        .unwrap_or(Level::Ample);
    let mut kept = before;
    while kept > reached && used + HYSTERESIS < kept.begins_at() {
        kept = kept.below();
    }
    kept.max(reached)
}

/// A budget of nothing is none.
fn percent(used: u64, budget: u64) -> u64 {
    match budget {
        0 => 0,
        _ => (u128::from(used) * 100 / u128::from(budget)) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn governor() -> Governor {
        Governor::new(Memory {
            resident: 1000 * MIB,
            queued: 100 * MIB,
        })
    }

    fn resident(mebibytes: u64) -> Memory {
        Memory {
            resident: mebibytes * MIB,
            queued: 0,
        }
    }

    #[test]
    fn levels_begin_where_they_say() {
        for (used, expected) in [
            (699, Level::Ample),
            (700, Level::Tight),
            (799, Level::Tight),
            (800, Level::Scarce),
            (900, Level::Critical),
            (5000, Level::Critical),
        ] {
            assert_eq!(governor().judge(resident(used)).level, expected, "{used}");
        }
    }

    #[test]
    fn level_is_left_only_well_below_its_beginning() {
        let mut governor = governor();
        assert_eq!(governor.judge(resident(900)).level, Level::Critical);
        assert_eq!(governor.judge(resident(860)).level, Level::Critical);
        assert_eq!(governor.judge(resident(840)).level, Level::Scarce);
        assert_eq!(governor.judge(resident(760)).level, Level::Scarce);
        assert_eq!(governor.judge(resident(900)).level, Level::Critical);
        assert_eq!(governor.judge(resident(100)).level, Level::Ample);
    }

    #[test]
    fn fuller_measure_counts() {
        let queues = Memory {
            resident: 10 * MIB,
            queued: 81 * MIB,
        };
        let verdict = governor().judge(queues);
        assert_eq!(verdict.level, Level::Scarce);
        assert!(verdict.holds_readers_back);
        let memory = governor().judge(resident(810));
        assert_eq!(memory.level, Level::Scarce);
        assert!(
            !memory.holds_readers_back,
            "sessions that merely exist must not slow anybody down"
        );
    }

    #[test]
    fn heaviest_clients_go_first_and_light_ones_never() {
        let mut governor = governor();
        let rounds: Vec<usize> = (0..40)
            .filter_map(|_| governor.judge(resident(950)).lets_go_from)
            .collect();
        assert_eq!(rounds[..5], [1 << 20, 1 << 19, 1 << 18, 1 << 17, 1 << 16]);
        assert_eq!(rounds.len(), 10);
        assert!(rounds[5..].iter().all(|from| *from == LIGHTEST));
    }

    #[test]
    fn after_a_recovery_it_begins_with_the_heaviest_again() {
        let mut governor = governor();
        for _ in 0..20 {
            governor.judge(resident(950));
        }
        assert_eq!(governor.judge(resident(100)).lets_go_from, None);
        let again = governor.judge(resident(950)).lets_go_from;
        assert_eq!(again, Some(HEAVIEST));
    }

    #[test]
    fn no_budget_is_no_limit() {
        let mut governor = Governor::new(Memory {
            resident: 0,
            queued: 0,
        });
        let much = Memory {
            resident: u64::MAX,
            queued: u64::MAX,
        };
        assert_eq!(governor.judge(much).level, Level::Ample);
    }
}
