//! Every metric, declared once with its help, and the recorder that renders them for Prometheus.
//!
//! Labels take their values from the lists here and from nothing a peer sends, so that the number
//! of series is fixed. Whoever counts something uses the name from this table with the `metrics`
//! crate's macros; lower crates write the name out, for they know nothing of this one.

use crate::error::Error;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often each size was seen, by upper bounds.
    Histogram,
}

/// A metric's declaration.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, unit last.
    pub name: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// What it tells.
    pub help: &'static str,
    /// Its label with every value it can have; an empty name for none.
    pub label: (&'static str, &'static [&'static str]),
}

const NO_LABEL: (&str, &[&str]) = ("", &[]);

/// Bounds of durations in seconds: a commit takes 0.2 ms on a good day, a second on a bad one.
const SECONDS: &[f64] = &[
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// Bounds of whatever is counted in pieces.
const PIECES: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
];

/// Resident memory, read whenever somebody asks.
pub const RESIDENT_MEMORY: &str = "klatsch_resident_memory_bytes";
/// Open files, read whenever somebody asks.
pub const OPEN_FILES: &str = "klatsch_open_files";
/// When this process started.
pub const START_TIME: &str = "klatsch_start_time_seconds";
/// Sessions now.
pub const SESSIONS: &str = "klatsch_sessions";
/// Logins by outcome.
pub const LOGINS: &str = "klatsch_logins_total";
/// Stanzas by kind.
pub const STANZAS: &str = "klatsch_stanzas_total";
/// How long a commit of the archive took.
pub const ARCHIVE_COMMIT: &str = "klatsch_archive_commit_seconds";
/// How many messages a commit of the archive held.
pub const ARCHIVE_BATCH: &str = "klatsch_archive_batch_messages";
/// What waits, by queue.
pub const QUEUE_DEPTH: &str = "klatsch_queue_depth";
/// Actors that were restarted.
pub const ACTOR_RESTARTS: &str = "klatsch_actor_restarts_total";
/// Connections now, by transport.
pub const CONNECTIONS: &str = "klatsch_connections";
/// Connections turned away, by reason.
pub const CONNECTIONS_REFUSED: &str = "klatsch_connections_refused_total";

/// Every metric there is.
pub const METRICS: &[Metric] = &[
    Metric {
        name: SESSIONS,
        kind: Kind::Gauge,
        help: "Sessions: bound resources, by whether a client is connected",
        label: ("state", &["connected", "detached"]),
    },
    Metric {
        name: LOGINS,
        kind: Kind::Counter,
        help: "Logins by outcome",
        label: (
            "outcome",
            &["success", "wrong_password", "refused", "unavailable"],
        ),
    },
    Metric {
        name: STANZAS,
        kind: Kind::Counter,
        help: "Stanzas taken from clients, by kind",
        label: ("kind", &["message", "presence", "iq"]),
    },
    Metric {
        name: ARCHIVE_COMMIT,
        kind: Kind::Histogram,
        help: "Seconds that a commit of the archive took",
        label: NO_LABEL,
    },
    Metric {
        name: ARCHIVE_BATCH,
        kind: Kind::Histogram,
        help: "Messages that a commit of the archive held",
        label: NO_LABEL,
    },
    Metric {
        name: QUEUE_DEPTH,
        kind: Kind::Gauge,
        help: "What waits, by queue",
        label: (
            "queue",
            &["log_writer", "password_checks", "presence", "offline"],
        ),
    },
    Metric {
        name: ACTOR_RESTARTS,
        kind: Kind::Counter,
        help: "Actors that failed and were started again, by kind",
        label: (
            "actor",
            &["session", "presence_shard", "log_writer", "supervisor"],
        ),
    },
    Metric {
        name: CONNECTIONS,
        kind: Kind::Gauge,
        help: "Connections now, by transport",
        label: ("transport", &["tcp", "tls", "websocket"]),
    },
    Metric {
        name: CONNECTIONS_REFUSED,
        kind: Kind::Counter,
        help: "Connections turned away, by reason",
        label: (
            "reason",
            &["per_address", "rate", "total", "handshake", "timeout"],
        ),
    },
    Metric {
        name: RESIDENT_MEMORY,
        kind: Kind::Gauge,
        help: "Resident memory of the process",
        label: NO_LABEL,
    },
    Metric {
        name: OPEN_FILES,
        kind: Kind::Gauge,
        help: "Open files of the process",
        label: NO_LABEL,
    },
    Metric {
        name: START_TIME,
        kind: Kind::Gauge,
        help: "When the process started, seconds since 1970",
        label: NO_LABEL,
    },
];

/// Renders the metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts counting for the whole process.
    pub fn start() -> Result<Self, Error> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        let taken = |_| Error::Refused("metrics are counted already".to_owned());
        metrics::set_global_recorder(recorder).map_err(taken)?;
        declare();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        gauge!(START_TIME).set(now.as_secs_f64());
        Ok(Self(handle))
    }

    /// Everything counted, as Prometheus reads it.
    pub fn render(&self) -> String {
        gauge!(RESIDENT_MEMORY).set(resident_bytes().unwrap_or(0) as f64);
        gauge!(OPEN_FILES).set(open_files().unwrap_or(0) as f64);
        self.0.render()
    }

    /// Sorts what was observed into its bounds; without it observations pile up between readings.
    pub fn tidy_up(&self) {
        self.0.run_upkeep();
    }
}

/// The recorder. What is measured ends in its unit, which chooses the bounds.
fn recorder() -> Result<PrometheusRecorder, Error> {
    let wrong = |error| Error::Refused(format!("metrics: {error}"));
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets(PIECES)
        .map_err(wrong)?;
    Ok(builder
        .set_buckets_for_metric(seconds, SECONDS)
        .map_err(wrong)?
        .build_recorder())
}

/// Describes every metric and starts it at zero, so that a rate can be taken from the first event.
fn declare() {
    for metric in METRICS {
        let unit = if metric.name.ends_with("_bytes") {
            Unit::Bytes
        } else {
            Unit::Count
        };
        match metric.kind {
            Kind::Counter => {
                describe_counter!(metric.name, unit, metric.help);
                each_series(metric, |name, labels| counter!(name, labels).absolute(0));
            }
            Kind::Gauge => {
                describe_gauge!(metric.name, unit, metric.help);
                each_series(metric, |name, labels| gauge!(name, labels).set(0.0));
            }
            Kind::Histogram => describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

/// Calls back with each value of the metric's label, or once without.
fn each_series(metric: &Metric, act: impl Fn(&'static str, Vec<metrics::Label>)) {
    let (name, values) = metric.label;
    if values.is_empty() {
        act(metric.name, Vec::new());
    }
    for value in values {
        act(
            metric.name,
            vec![metrics::Label::from_static_parts(name, value)],
        );
    }
}

/// Resident memory. `status` has it in KiB; `statm` has pages, whose size differs between machines.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::histogram;

    #[test]
    fn every_declared_metric_renders_with_help_and_every_label() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            declare();
            for metric in METRICS
                .iter()
                .filter(|metric| matches!(metric.kind, Kind::Histogram))
            {
                histogram!(metric.name).record(0.003);
            }
        });
        let text = handle.render();
        for metric in METRICS {
            assert!(
                text.contains(&format!("# HELP {} {}", metric.name, metric.help)),
                "{text}"
            );
            for value in metric.label.1 {
                let series = format!("{}{{{}=\"{value}\"}} 0", metric.name, metric.label.0);
                assert!(text.contains(&series), "{series} is not in {text}");
            }
        }
        assert!(
            text.contains("klatsch_archive_commit_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn names_say_their_unit_and_stand_once() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in METRICS {
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            assert!(metric.name.starts_with("klatsch_"));
            assert_eq!(
                metric.kind == Kind::Counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn process_knows_its_memory_and_files() {
        assert!(resident_bytes().unwrap() > 1024 * 1024);
        assert!(open_files().unwrap() > 2);
    }
}
