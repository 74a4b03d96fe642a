//! A network that loses, repeats, delays, reorders and is cut.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::random::Random;

/// Milliseconds since the simulation began.
pub(crate) type Time = u64;

/// A node by its place.
pub(crate) type Place = usize;

/// So much may be on its way from one node to another; what comes on top is dropped.
const IN_FLIGHT_MAX: usize = 256;

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Of a hundred messages so many are lost…
    pub(crate) loss: u64,
    /// …and so many come twice.
    pub(crate) repeats: u64,
    /// The longest delay.
    pub(crate) delay: Time,
    /// Messages may overtake each other.
    pub(crate) reorders: bool,
}

impl Weather {
    /// Nothing is lost.
    pub(crate) const FINE: Self = Self {
        loss: 0,
        repeats: 0,
        delay: 5,
        reorders: false,
    };
}

/// A message on its way.
pub(crate) struct Letter {
    pub(crate) from: Place,
    pub(crate) to: Place,
    /// The life of the receiver it was sent to: a connection does not outlive one.
    pub(crate) life: u64,
    pub(crate) bytes: Bytes,
}

/// The network.
pub(crate) struct Network {
    pub(crate) weather: Weather,
    flying: BTreeMap<(Time, u64), Letter>,
    count: BTreeMap<(Place, Place), usize>,
    last: BTreeMap<(Place, Place), Time>,
    cuts: BTreeSet<(Place, Place)>,
    sent: u64,
    /// Bytes that were sent in all.
    pub(crate) bytes: u64,
    /// The most that was ever on its way between two nodes.
    pub(crate) fullest: usize,
}

impl Network {
    pub(crate) fn new(weather: Weather) -> Self {
        Self {
            weather,
            flying: BTreeMap::new(),
            count: BTreeMap::new(),
            last: BTreeMap::new(),
            cuts: BTreeSet::new(),
            sent: 0,
            bytes: 0,
            fullest: 0,
        }
    }

    /// Sends a message; tells whether it fitted in.
    pub(crate) fn send(&mut self, now: Time, letter: Letter, random: &mut Random) -> bool {
        let pair = (letter.from, letter.to);
        if self.is_cut(pair) || random.chance(self.weather.loss) {
            return true;
        }
        let again = random.chance(self.weather.repeats);
        for _ in 0..1 + usize::from(again) {
            let in_flight = self.count.entry(pair).or_default();
            if *in_flight >= IN_FLIGHT_MAX {
                return false;
            }
            *in_flight += 1;
            self.fullest = self.fullest.max(*in_flight);
            let mut at = now + random.between(1, self.weather.delay);
            if !self.weather.reorders {
                let last = self.last.entry(pair).or_default();
                at = at.max(*last);
                *last = at;
            }
            self.sent += 1;
            self.bytes += letter.bytes.len() as u64;
            let copy = Letter {
                bytes: letter.bytes.clone(),
                ..letter
            };
            self.flying.insert((at, self.sent), copy);
        }
        true
    }

    /// When something arrives next.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.flying.keys().next().map(|(at, _)| *at)
    }

    /// What arrives now, unless the line has been cut meanwhile.
    pub(crate) fn take(&mut self, now: Time) -> Option<Letter> {
        loop {
            let first = self
                .flying
                .first_entry()
                .filter(|first| first.key().0 <= now)?;
            let letter = first.remove();
            let pair = (letter.from, letter.to);
            self.count.entry(pair).and_modify(|count| *count -= 1);
            if !self.is_cut(pair) {
                return Some(letter);
            }
        }
    }

    /// Nothing gets from the one to the other any more.
    pub(crate) fn cut(&mut self, from: Place, to: Place) {
        self.cuts.insert((from, to));
    }

    /// Mends all cuts.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn is_cut(&self, pair: (Place, Place)) -> bool {
        self.cuts.contains(&pair)
    }
}
