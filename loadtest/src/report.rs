//! What a run found: one JSON line for the record, the same as text for the
//! person who waits for it.
//!
//! Every line says where it comes from (date, commit, versions, machine,
//! settings), since a figure without them cannot be repeated.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use klatsch_protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::options::{Provision, ReportOptions, Target};
use crate::proc::Usage;

pub(crate) mod chaos;
mod cluster;
mod histogram;
pub(crate) mod table;

pub(crate) use histogram::Histogram;

/// A report in the making.
pub(crate) struct Report {
    scenario: &'static str,
    server: (String, String),
    settings: Map<String, Value>,
    figures: Map<String, Value>,
}

impl Report {
    /// Starts the report of a scenario.
    pub(crate) fn new(scenario: &'static str, target: &Target, options: &ReportOptions) -> Self {
        let mut settings = Map::new();
        settings.insert("tls".into(), target.tls.name().into());
        settings.insert("mechanism".into(), target.mechanism.clone().into());
        for (key, value) in &options.settings {
            settings.insert(key.clone(), value.clone().into());
        }
        let server = (
            options.server_name.clone().unwrap_or_default(),
            options.server_version.clone().unwrap_or_default(),
        );
        Self {
            scenario,
            server,
            settings,
            figures: Map::new(),
        }
    }

    /// Fills in the server's name and version where the command line gave none.
    pub(crate) fn server(&mut self, name: String, version: String) {
        if self.server.0.is_empty() {
            self.server.0 = name;
        }
        if self.server.1.is_empty() {
            self.server.1 = version;
        }
    }

    /// Notes how the run was set up.
    pub(crate) fn setting(&mut self, name: &str, value: impl Into<Value>) {
        self.settings.insert(name.into(), value.into());
    }

    /// Notes what the run found.
    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.into(), rounded(value.into()));
    }

    /// Notes a distribution: how many, p50, p99, p99.9 and the largest.
    pub(crate) fn latency(&mut self, name: &str, histogram: &Histogram) {
        if histogram.count() == 0 {
            return;
        }
        self.figure(&format!("{name}_p50_ms"), histogram.percentile_ms(0.5));
        self.figure(&format!("{name}_p99_ms"), histogram.percentile_ms(0.99));
        self.figure(&format!("{name}_p999_ms"), histogram.percentile_ms(0.999));
        self.figure(&format!("{name}_max_ms"), histogram.max_ms());
    }

    /// Notes what the server used between two readings, and the CPU time of one of `operations`.
    pub(crate) fn usage(
        &mut self,
        before: Option<Usage>,
        after: Option<Usage>,
        operations: u64,
        unit: &str,
    ) {
        let (Some(before), Some(after)) = (before, after) else {
            return;
        };
        let cpu = after.cpu.saturating_sub(before.cpu);
        self.figure("server_rss_before_kib", before.resident_kib);
        self.figure("server_rss_after_kib", after.resident_kib);
        self.figure(
            "server_cpu_ms",
            u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX),
        );
        self.figure("server_threads", after.threads);
        if operations > 0 {
            self.figure(
                &format!("cpu_us_per_{unit}"),
                cpu.as_micros() as f64 / operations as f64,
            );
        }
    }

    /// Prints the report, and appends its JSON line where it is wanted.
    pub(crate) fn publish(&self, options: &ReportOptions) -> Result<()> {
        let line = self.to_json(options);
        say(&self.to_text());
        if let Some(path) = &options.json {
            append_line(path, &line)?;
        }
        Ok(())
    }

    fn to_json(&self, options: &ReportOptions) -> Value {
        json!({
            "scenario": self.scenario,
            "date": now().to_xep0082(),
            "commit": options.commit,
            "server": { "name": self.server.0, "version": self.server.1 },
            "loadtest": env!("CARGO_PKG_VERSION"),
            "machine": machine(),
            "settings": self.settings,
            "figures": self.figures,
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{} · {} {}\n", self.scenario, self.server.0, self.server.1);
        let all = self.settings.iter().chain(&self.figures);
        // What has figures of its own has a table of its own.
        for (name, value) in all.filter(|(_, value)| !value.is_object()) {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("  {name:<28} {value}\n"));
        }
        text
    }
}

/// Prints a line for the person at the terminal.
#[expect(
    clippy::print_stdout,
    reason = "the one place where this program talks"
)]
pub(crate) fn say(text: &str) {
    println!("{}", text.trim_end());
}

/// The time of day; the driver is no pure crate.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The usage of the server's processes together, where some were named and all are there.
pub(crate) fn usage_of(pids: impl IntoIterator<Item = u32>) -> Option<Usage> {
    let usages = pids.into_iter().map(|pid| crate::proc::usage(pid).ok());
    usages.reduce(|all, one| Some(all?.plus(one?))).flatten()
}

/// Notes how the accounts came to be.
pub(crate) fn provision_note(provision: &Provision) -> &'static str {
    if provision.register {
        "in-band registration"
    } else if provision.accounts_command.is_some() {
        "command"
    } else {
        "existing"
    }
}

fn append_line(path: &Path, line: &Value) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")?;
    Ok(())
}

/// The machine both sides ran on: figures of two machines do not compare.
fn machine() -> Value {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cores": cores, "cpu": model.map(|(_, name)| name), "kernel": kernel.trim() })
}

/// Three digits behind the point are more than any figure here deserves.
fn rounded(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => json!((number * 1000.0).round() / 1000.0),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::test_target;
    use std::time::Duration;

    fn options() -> ReportOptions {
        ReportOptions {
            pid: None,
            json: None,
            commit: Some("abc".into()),
            server_name: None,
            server_version: None,
            settings: vec![("archive".into(), "on".into())],
        }
    }

    #[test]
    fn a_line_says_where_it_comes_from() {
        let mut report = Report::new("chat", &test_target(), &options());
        report.server("klatsch".into(), "0.1.0".into());
        report.figure("lost", 0);
        let line = report.to_json(&options());
        assert_eq!(line["commit"], "abc");
        assert_eq!(line["server"]["name"], "klatsch");
        assert_eq!(line["settings"]["archive"], "on");
        assert!(
            line["date"]
                .as_str()
                .is_some_and(|date| date.starts_with("20"))
        );
    }

    #[test]
    fn cpu_is_shared_out_among_the_operations() {
        let mut report = Report::new("chat", &test_target(), &options());
        let before = Usage {
            resident_kib: 10,
            cpu: Duration::from_secs(1),
            threads: 1,
        };
        let after = Usage {
            resident_kib: 20,
            cpu: Duration::from_secs(3),
            threads: 1,
        };
        report.usage(Some(before), Some(after), 100_000, "message");
        assert_eq!(report.figures["cpu_us_per_message"], 20.0);
    }
}
