//! Latencies in buckets that grow with the value: 64 to each power of two, so
//! a percentile is exact within 1.6 % and recording costs one addition.

use std::time::Duration;

/// Below this every microsecond has a bucket of its own.
const EXACT: u64 = 128;

/// Buckets to a power of two above [`EXACT`].
const PER_OCTAVE: u64 = 64;

/// A distribution of durations, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// Adds one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(micros);
        self.max = self.max.max(micros);
    }

    /// Adds all of another distribution.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many durations were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The largest, in milliseconds.
    pub(crate) fn max_ms(&self) -> f64 {
        self.max as f64 / 1000.0
    }

    /// The smallest duration that `share` of all do not exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(bucket as u64).min(self.max) as f64 / 1000.0;
            }
        }
        0.0
    }
}

/// Where a value is counted.
fn bucket_of(micros: u64) -> usize {
    if micros < EXACT {
        return micros as usize;
    }
    let octave = u64::from(63 - micros.leading_zeros());
    let within = (micros >> (octave - 6)) - PER_OCTAVE;
    (EXACT + (octave - 7) * PER_OCTAVE + within) as usize
}

/// The largest value that is counted in a bucket.
fn upper_bound(bucket: u64) -> u64 {
    if bucket < EXACT {
        return bucket;
    }
    let octave = (bucket - EXACT) / PER_OCTAVE + 7;
    let within = (bucket - EXACT) % PER_OCTAVE + PER_OCTAVE;
    ((within + 1) << (octave - 6)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..2000 {
            let top = upper_bound(bucket);
            assert_eq!(bucket_of(top), bucket as usize);
            assert_eq!(bucket_of(top + 1), bucket as usize + 1);
        }
    }

    #[test]
    fn percentiles_are_exact_within_two_percent() {
        let mut histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert!((histogram.percentile_ms(0.5) - 50.0).abs() < 1.0);
        assert!((histogram.percentile_ms(0.99) - 99.0).abs() < 2.0);
        assert!((histogram.percentile_ms(1.0) - 100.0).abs() < 0.1);
    }

    #[test]
    fn a_merge_counts_both() {
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        a.record(Duration::from_millis(1));
        b.record(Duration::from_secs(2));
        a.merge(&b);
        assert_eq!(a.count(), 2);
        assert_eq!(a.max_ms(), 2000.0);
    }
}
