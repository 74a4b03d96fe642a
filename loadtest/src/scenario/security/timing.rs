//! Row A10: whether the time a refused login takes tells that there is such an account.
//!
//! Wrong passwords for an account that is there and for one that is not, in turns, so that
//! whatever else the machine does meets both; then the rank sum test of Mann and Whitney.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Common, Verdict};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::Target;
use crate::scenario::provide_accounts;

/// Counted down from here: far beyond the accounts that there are.
const ABSENT: usize = 99_999_999;

/// Attempts that warm caches and are not counted.
const WARM: usize = 50;

/// Attempts on one account: a server may make further ones wait, which would say nothing.
const EACH: usize = 4;

/// `security timing`
#[derive(Args, Clone, Debug)]
pub(super) struct TimingOptions {
    #[command(flatten)]
    common: Common,
    /// Attempts for each of the two
    #[arg(long, default_value_t = 2000)]
    samples: usize,
    /// The probability below which a difference is none of chance
    #[arg(long, default_value_t = 0.01)]
    chance: f64,
}

pub(super) async fn run(options: TimingOptions) -> Result<ExitCode> {
    let common = &options.common;
    let accounts = (WARM + options.samples).div_ceil(EACH);
    provide_accounts(
        &Arc::new(common.target.clone()),
        &common.provision,
        accounts,
    )
    .await?;
    let target = Arc::new(Target {
        password: "not this one".to_owned(),
        ..common.target.clone()
    });
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    for attempt in 0..WARM + options.samples {
        let account = attempt / EACH;
        let there = refused(&target, account + 1).await?;
        let not = refused(&target, ABSENT - account).await?;
        if attempt >= WARM {
            present.push(there);
            absent.push(not);
        }
    }
    let mut verdict = Verdict::new("timing", common);
    verdict.report.setting("samples", options.samples);
    verdict
        .report
        .figure("present_median_us", median_us(&mut present));
    verdict
        .report
        .figure("absent_median_us", median_us(&mut absent));
    let chance = mann_whitney(&present, &absent);
    verdict.report.figure("probability", chance);
    verdict.require(
        chance > options.chance,
        format!("an account that is there is told from one that is not with p = {chance:.4}"),
    );
    verdict.publish(&common.report)
}

/// How long a refusal takes, without connecting.
async fn refused(target: &Arc<Target>, number: usize) -> Result<Duration> {
    let (mut connection, features) = Connection::negotiate(target).await?;
    let begun = Instant::now();
    match connection.prove_identity(&features, number).await {
        Err(LoadError::Refused(why)) if why.contains("not-authorized") => Ok(begun.elapsed()),
        Err(error) => Err(error),
        Ok(()) => Err(LoadError::protocol("a wrong password is let in".to_owned())),
    }
}

fn median_us(sample: &mut [Duration]) -> f64 {
    sample.sort_unstable();
    let median = sample.get(sample.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64() * 1e6
}

/// The probability that two samples of the same thing differ as much as these do, both ways
/// (Mann and Whitney 1947, by the normal approximation; ties of nanoseconds do not matter).
fn mann_whitney(one: &[Duration], other: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = one.iter().map(|it| (*it, true)).collect();
    all.extend(other.iter().map(|it| (*it, false)));
    all.sort_unstable();
    let ranks = all.iter().enumerate().filter(|(_, (_, is_one))| *is_one);
    let sum: f64 = ranks.map(|(index, _)| index as f64 + 1.0).sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let u = sum - n * (n + 1.0) / 2.0;
    let deviation = (n * m * (n + m + 1.0) / 12.0).sqrt();
    if deviation == 0.0 {
        return 1.0;
    }
    let z = (u - n * m / 2.0).abs() / deviation;
    2.0 * upper_tail(z)
}

/// The normal distribution beyond `z` (Abramowitz and Stegun 26.2.17; error below 1e-7).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let terms = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let polynomial = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(from: u64, step: u64) -> Vec<Duration> {
        (0..200)
            .map(|n| Duration::from_micros(from + n * step))
            .collect()
    }

    #[test]
    fn the_tail_is_that_of_the_tables() {
        assert!((upper_tail(0.0) - 0.5).abs() < 1e-6);
        assert!((upper_tail(1.96) - 0.025).abs() < 1e-4);
        assert!((upper_tail(2.575_829) - 0.005).abs() < 1e-6);
    }

    #[test]
    fn samples_that_interleave_are_of_one_kind_and_shifted_ones_are_not() {
        let (even, odd) = (sample(0, 2), sample(1, 2));
        assert!(mann_whitney(&even, &odd) > 0.9);
        assert!(mann_whitney(&even, &sample(100, 2)) < 0.01);
        assert!(mann_whitney(&sample(100, 2), &even) < 0.01);
    }
}
