//! Figures as lines of JSON.

use std::fmt::Write;

use crate::cluster::Cost;

/// A figure.
pub(crate) struct Figure(String);

impl Figure {
    pub(crate) fn new(scenario: &str, nodes: usize, presences: usize) -> Self {
        Self(format!(
            "{{\"scenario\":\"{scenario}\",\"nodes\":{nodes},\"presences\":{presences}"
        ))
    }

    pub(crate) fn with(mut self, name: &str, number: u64) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.0, ",\"{name}\":{number}");
        self
    }

    pub(crate) fn print(self, cost: &Cost) {
        let nodes = cost.sent.len().max(1) as u64;
        let (sum, most) = (cost.sent.iter().sum::<u64>(), cost.sent.iter().max());
        let line = self
            .with("bytes", sum)
            .with("bytes_a_node", sum / nodes)
            .with("bytes_of_the_busiest", most.copied().unwrap_or(0))
            .with("messages", cost.messages)
            .with("cpu_us", cost.cpu.as_micros() as u64)
            .with("cpu_us_a_node", cost.cpu.as_micros() as u64 / nodes)
            .with("changes_told", cost.told)
            .with("virtual_ms", cost.time.as_millis() as u64);
        println!("{}}}", line.0);
    }
}

/// Nanoseconds that this thread has had a processor.
pub(crate) fn on_processor() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let time = times.split(' ').next().and_then(|it| it.parse().ok());
    time.unwrap_or(0)
}

/// Resident memory of this process.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
