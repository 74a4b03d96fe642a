//! The join tokens that are out: which are good, how often and until when. Pure.
//!
//! Kept in memory by the node that gave them out: a restart withdraws them all.

use super::token::SECRET_BYTES;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Tokens remembered at once: more nodes than anybody adds in an hour take one token with many uses.
const TOKENS_MAX: usize = 64;

/// How long a token that is over is remembered, so that whoever comes late is told why.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long the door stays open behind the last token: who comes late or twice is told so.
const LINGER: Duration = Duration::from_secs(600);

/// Nodes that ask at once before they have to wait: a rack that is set up.
const ATTEMPTS_BURST: u32 = 20;

/// How often one more may ask. A token cannot be guessed; this bounds what strangers cost.
const ATTEMPT_EVERY: Duration = Duration::from_millis(500);

/// Why a new node is not taken in. The names are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Nobody gave such a token out, or this node has been restarted since.
    #[error(
        "nobody there knows this token: was the node restarted? `klatsch cluster token` makes another"
    )]
    Unknown,
    /// Its time is over.
    #[error("this token has expired: `klatsch cluster token` makes another")]
    Expired,
    /// As many nodes as may have used it.
    #[error("this token has been used: `klatsch cluster token` makes another")]
    Used,
    /// Too many ask.
    #[error("too many nodes ask at the moment: try again in a minute")]
    TooMany,
    /// A node of this name is in the cluster.
    #[error("a node of this name is in the cluster: set cluster.name to another")]
    NameTaken,
    /// The name is none.
    #[error("this is no name for a node: set cluster.name")]
    BadName,
    /// Nobody can be reached at such an address.
    #[error("cluster.advertise of this node is no HOST:PORT")]
    BadAddress,
    /// What was said is no question.
    #[error("the question was not understood: are both nodes of the same version?")]
    NotUnderstood,
    /// A refusal of a later version.
    #[serde(other)]
    #[error("refused for a reason that only a later version knows")]
    Other,
}

/// The tokens that are out.
#[derive(Debug)]
pub struct Tokens {
    out: BTreeMap<[u8; 32], Out>,
    attempts: Attempts,
}

#[derive(Debug)]
struct Out {
    until: Instant,
    uses_left: u32,
}

impl Tokens {
    /// None is out.
    pub fn new(now: Instant) -> Self {
        Self {
            out: BTreeMap::new(),
            attempts: Attempts {
                left: ATTEMPTS_BURST,
                since: now,
            },
        }
    }

    /// Gives one out; false when too many are.
    pub fn give(
        &mut self,
        secret: &[u8; SECRET_BYTES],
        uses: u32,
        until: Instant,
        now: Instant,
    ) -> bool {
        self.out.retain(|_, it| now < it.until + REMEMBERED);
        if self.out.len() >= TOKENS_MAX {
            return false;
        }
        let out = Out {
            until,
            uses_left: uses,
        };
        self.out.insert(hash(secret), out);
        true
    }

    /// Counts somebody who asks, whatever for.
    ///
    /// # Errors
    /// Too many do.
    pub fn attempt(&mut self, now: Instant) -> Result<(), Refusal> {
        self.attempts
            .take(now)
            .then_some(())
            .ok_or(Refusal::TooMany)
    }

    /// Tells whether a token is good, and uses nothing up.
    ///
    /// # Errors
    /// It is good no more, or never was.
    pub fn look(&self, secret: &[u8; SECRET_BYTES], now: Instant) -> Result<(), Refusal> {
        // Found by its hash: how long the search takes tells nothing about the secret.
        match self.out.get(&hash(secret)) {
            None => Err(Refusal::Unknown),
            Some(out) if now >= out.until => Err(Refusal::Expired),
            Some(out) if out.uses_left == 0 => Err(Refusal::Used),
            Some(_) => Ok(()),
        }
    }

    /// Uses a token up by one.
    ///
    /// # Errors
    /// As [`Tokens::look`].
    pub fn redeem(&mut self, secret: &[u8; SECRET_BYTES], now: Instant) -> Result<(), Refusal> {
        self.look(secret, now)?;
        if let Some(out) = self.out.get_mut(&hash(secret)) {
            out.uses_left = out.uses_left.saturating_sub(1);
        }
        Ok(())
    }

    /// Until when somebody may come; `None`: nobody does any more.
    pub fn expected_until(&self, now: Instant) -> Option<Instant> {
        let ends = self.out.values().map(|it| it.until + LINGER);
        ends.max().filter(|end| now < *end)
    }
}

fn hash(secret: &[u8; SECRET_BYTES]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// How many may still ask.
#[derive(Debug)]
struct Attempts {
    left: u32,
    since: Instant,
}

impl Attempts {
    fn take(&mut self, now: Instant) -> bool {
        let ticks = now.duration_since(self.since).as_millis() / ATTEMPT_EVERY.as_millis();
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        if ticks > 0 {
            self.left = self.left.saturating_add(ticks).min(ATTEMPTS_BURST);
            self.since = now;
        }
        let is_one_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_one_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; SECRET_BYTES] = [5; SECRET_BYTES];
    const MINUTE: Duration = Duration::from_secs(60);

    fn with_one(uses: u32) -> (Tokens, Instant) {
        let now = Instant::now();
        let mut tokens = Tokens::new(now);
        assert!(tokens.give(&SECRET, uses, now + MINUTE, now));
        (tokens, now)
    }

    #[test]
    fn token_is_good_for_as_many_nodes_as_it_says() {
        let (mut tokens, now) = with_one(2);
        assert_eq!(tokens.redeem(&SECRET, now), Ok(()));
        assert_eq!(tokens.redeem(&SECRET, now), Ok(()));
        assert_eq!(tokens.redeem(&SECRET, now), Err(Refusal::Used));
    }

    #[test]
    fn token_is_good_until_its_time_is_over() {
        let (mut tokens, now) = with_one(1);
        let end = now + MINUTE;
        assert_eq!(tokens.redeem(&SECRET, end), Err(Refusal::Expired));
        assert_eq!(
            tokens.redeem(&SECRET, end - Duration::from_millis(1)),
            Ok(())
        );
    }

    #[test]
    fn token_that_nobody_gave_out_is_unknown() {
        let (mut tokens, now) = with_one(1);
        assert_eq!(
            tokens.redeem(&[6; SECRET_BYTES], now),
            Err(Refusal::Unknown)
        );
        assert_eq!(tokens.redeem(&SECRET, now), Ok(()));
    }

    #[test]
    fn somebody_is_expected_until_the_last_token_has_been_over_for_a_while() {
        let now = Instant::now();
        assert_eq!(Tokens::new(now).expected_until(now), None);
        let (mut tokens, now) = with_one(1);
        assert!(tokens.give(&[6; SECRET_BYTES], 1, now + 2 * MINUTE, now));
        let end = now + 2 * MINUTE + LINGER;
        assert_eq!(tokens.expected_until(now), Some(end));
        assert_eq!(tokens.expected_until(end), None);
    }

    #[test]
    fn tokens_are_bounded_and_forgotten_in_the_end() {
        let now = Instant::now();
        let mut tokens = Tokens::new(now);
        for n in 0..TOKENS_MAX {
            assert!(tokens.give(&[n as u8; SECRET_BYTES], 1, now + MINUTE, now));
        }
        assert!(!tokens.give(&[255; SECRET_BYTES], 1, now + MINUTE, now));
        let later = now + MINUTE + REMEMBERED;
        assert!(tokens.give(&[255; SECRET_BYTES], 1, later + MINUTE, later));
        assert_eq!(
            tokens.redeem(&[0; SECRET_BYTES], later),
            Err(Refusal::Unknown)
        );
    }

    #[test]
    fn who_asks_too_often_waits() {
        let (mut tokens, now) = with_one(1);
        for _ in 0..ATTEMPTS_BURST {
            assert_eq!(tokens.attempt(now), Ok(()));
        }
        assert_eq!(tokens.attempt(now), Err(Refusal::TooMany));
        let later = now + ATTEMPT_EVERY;
        assert_eq!(tokens.attempt(later), Ok(()));
        assert_eq!(tokens.attempt(later), Err(Refusal::TooMany));
    }

    #[test]
    fn refusal_of_a_later_version_is_understood_as_one() {
        let read: Refusal = serde_json::from_str("\"moon_is_full\"").unwrap();
        assert_eq!(read, Refusal::Other);
        assert_eq!(
            serde_json::to_string(&Refusal::NameTaken).unwrap(),
            "\"name_taken\""
        );
    }
}
