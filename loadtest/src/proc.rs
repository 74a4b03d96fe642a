//! What the server costs: resident memory and CPU of one process, from
//! `/proc/PID/stat` and `/proc/PID/status` (proc(5)).
//!
//! Counts the process with all its threads, not its children. CPU comes in
//! clock ticks of 10 ms, so figures per message need thousands of messages.

use std::time::{Duration, Instant};
use std::{fs, io};

/// USER_HZ: what the kernel reports to user space in, on every architecture
/// that Rust's tier 1 and 2 name.
const TICKS_PER_SECOND: u64 = 100;

/// How far apart the samples of [`settled`] are.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// How many samples in a row have to agree: four seconds of quiet outlast the
/// second-long housekeeping timers of the servers we compare.
const SAMPLES_ALIKE: usize = 8;

/// What a process has used so far, and what it holds now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Resident memory.
    pub(crate) resident_kib: u64,
    /// User and system time since the process started.
    pub(crate) cpu: Duration,
    /// Threads alive.
    pub(crate) threads: u64,
}

impl Usage {
    /// Of two processes together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            resident_kib: self.resident_kib + other.resident_kib,
            cpu: self.cpu + other.cpu,
            threads: self.threads + other.threads,
        }
    }
}

/// Reads a process's usage.
pub(crate) fn usage(pid: u32) -> io::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_stat(&stat)
        .map(|cpu| Usage {
            resident_kib: status_field(&status, "VmRSS:"),
            cpu,
            threads: status_field(&status, "Threads:"),
        })
        .ok_or_else(|| io::Error::other("unreadable /proc/PID/stat"))
}

/// Waits until the resident memory holds still, at most `patience`.
///
/// Tells the last reading and whether it did hold still.
pub(crate) async fn settled(pid: u32, patience: Duration) -> io::Result<(Usage, bool)> {
    let deadline = Instant::now() + patience;
    let mut samples = Vec::new();
    loop {
        let now = usage(pid)?;
        samples.push(now.resident_kib);
        if is_still(&samples) {
            return Ok((now, true));
        }
        if Instant::now() >= deadline {
            return Ok((now, false));
        }
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

/// The soft limit of open files of this process.
pub(crate) fn open_files_max() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .and_then(|line| line.split_whitespace().nth(3))
        .and_then(|soft| soft.parse().ok())
        .unwrap_or(1024)
}

/// Whether the last samples lie within half a percent of each other.
fn is_still(samples: &[u64]) -> bool {
    let Some(tail) = samples
        .len()
        .checked_sub(SAMPLES_ALIKE)
        .map(|at| &samples[at..])
    else {
        return false;
    };
    let (low, high) = tail.iter().fold((u64::MAX, 0), |(low, high), &kib| {
        (low.min(kib), high.max(kib))
    });
    high - low <= (high / 200).max(64)
}

/// The CPU time in a line of `/proc/PID/stat`: fields 14 and 15.
fn parse_stat(stat: &str) -> Option<Duration> {
    // The command's name may hold spaces and brackets; what follows the last bracket may not.
    let fields = &stat[stat.rfind(')')? + 1..];
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + system) * 1000 / TICKS_PER_SECOND,
    ))
}

/// The number behind a field of `/proc/PID/status`.
fn status_field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_counts_user_and_system_time_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 100 1000 10";
        assert_eq!(parse_stat(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse_stat("7 (cut"), None);
    }

    #[test]
    fn own_usage_is_readable() {
        let usage = usage(std::process::id()).expect("this process is in /proc");
        assert!(usage.resident_kib > 0);
        assert!(usage.threads > 0);
    }

    #[test]
    fn memory_is_still_when_the_last_samples_agree() {
        let mut samples = vec![1000, 5000];
        assert!(!is_still(&samples));
        samples.extend([10_000; SAMPLES_ALIKE]);
        assert!(is_still(&samples));
        samples.push(11_000);
        assert!(!is_still(&samples));
    }
}
