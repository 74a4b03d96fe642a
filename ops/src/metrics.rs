//! The recorder that renders every metric for Prometheus, and the metrics of the process.
//!
//! Each crate declares its own metrics with their help; here they come together. Labels take their
//! values from enums, so that the number of series is fixed (row C10).

use crate::error::Error;
use crate::memory::resident_bytes;
use klatsch_actors::strain::{Queue, Strain};
use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bounds of durations in seconds: a commit takes 0.2 ms on a good day, a second on a bad one.
const SECONDS: &[f64] = &[
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// Bounds of whatever is counted in pieces.
const PIECES: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
];

const RESIDENT_MEMORY: &str = "klatsch_resident_memory_bytes";
const OPEN_FILES: &str = "klatsch_open_files";
const START_TIME: &str = "klatsch_start_time";
const MEMORY_BUDGET: &str = "klatsch_memory_budget_bytes";
const MEMORY_LEVEL: &str = "klatsch_memory_level";
const QUEUED: &str = "klatsch_queued_bytes";
const DISK_FREE: &str = "klatsch_disk_free_bytes";
const DISK_IS_LOW: &str = "klatsch_disk_is_low";
const STORE_IS_DOWN: &str = "klatsch_store_is_down";
const CERTIFICATE_ENDS: &str = "klatsch_certificate_ends";
const CLUSTER_CERTIFICATE_ENDS: &str = "klatsch_cluster_certificate_ends";

/// Name and meaning of every metric of this crate.
const OWN: &[(&str, &str)] = &[
    (RESIDENT_MEMORY, "Resident memory of the process."),
    (OPEN_FILES, "Open files of the process."),
    (START_TIME, "When the process started, seconds since 1970."),
    (MEMORY_BUDGET, "Memory that the process may use."),
    (
        MEMORY_LEVEL,
        "How short of memory the node is: 0 ample, 1 tight, 2 scarce, 3 critical.",
    ),
    (
        QUEUED,
        "Bytes that wait in queues, by queue: outbound, inbound, resume.",
    ),
    (DISK_FREE, "Bytes free on the disk of the store."),
    (
        DISK_IS_LOW,
        "1 while messages are refused because the disk is nearly full.",
    ),
    (STORE_IS_DOWN, "1 while the store does not answer."),
    (
        CERTIFICATE_ENDS,
        "When the certificate for clients ends, seconds since 1970.",
    ),
    (
        CLUSTER_CERTIFICATE_ENDS,
        "When this node's certificate for other nodes ends, seconds since 1970.",
    ),
];

/// The metrics of the crates below, that they declare by name and meaning.
const ALL_BELOW: &[&[(&str, &str)]] = &[
    klatsch_actors::metrics::ALL,
    klatsch_cluster::metrics::ALL,
    klatsch_cluster::presence::metrics::ALL,
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
        describe();
        klatsch_actors::metrics::start();
        gauge!(START_TIME).set(seconds(SystemTime::now()));
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

/// Says what every metric of every crate means.
fn describe() {
    klatsch_gateways::metrics::describe();
    let below = ALL_BELOW.iter().copied().flatten();
    for (name, help) in OWN.iter().chain(below).copied() {
        match kind(name) {
            Kind::Counter => describe_counter!(name, help),
            Kind::Histogram => describe_histogram!(name, help),
            Kind::Gauge => describe_gauge!(name, help),
        }
    }
}

/// The names of all metrics of all crates.
pub fn names() -> impl Iterator<Item = &'static str> {
    let ours = OWN.iter().chain(ALL_BELOW.iter().copied().flatten());
    ours.map(|(name, _)| *name)
        .chain(klatsch_gateways::metrics::NAMES.iter().copied())
}

/// Tells whether a metric is rendered as buckets, sum and count.
pub fn is_histogram(name: &str) -> bool {
    matches!(kind(name), Kind::Histogram)
}

/// How a metric counts.
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A name's last word tells how it counts: so the crates below name what they observe.
fn kind(name: &str) -> Kind {
    match name.rsplit('_').next() {
        Some("total") => Kind::Counter,
        Some("seconds" | "messages") => Kind::Histogram,
        _ => Kind::Gauge,
    }
}

pub(crate) fn memory_budget(bytes: u64) {
    gauge!(MEMORY_BUDGET).set(bytes as f64);
}

pub(crate) fn strain(strain: &Strain) {
    gauge!(MEMORY_LEVEL).set(f64::from(strain.level() as u8));
    for queue in Queue::ALL {
        gauge!(QUEUED, "queue" => queue.as_str()).set(strain.queued(queue) as f64);
    }
}

pub(crate) fn disk(free: u64, is_low: bool) {
    gauge!(DISK_FREE).set(free as f64);
    gauge!(DISK_IS_LOW).set(f64::from(u8::from(is_low)));
}

pub(crate) fn store(is_down: bool) {
    gauge!(STORE_IS_DOWN).set(f64::from(u8::from(is_down)));
}

pub(crate) fn certificate(ends: SystemTime) {
    gauge!(CERTIFICATE_ENDS).set(seconds(ends));
}

pub(crate) fn cluster_certificate(ends: SystemTime) {
    gauge!(CLUSTER_CERTIFICATE_ENDS).set(seconds(ends));
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// Takes down what is declared.
    #[derive(Default)]
    struct Declared(Mutex<BTreeMap<String, String>>);

    impl Declared {
        fn take(&self, name: KeyName, help: SharedString) {
            self.0
                .lock()
                .unwrap()
                .insert(name.as_str().to_owned(), help.into_owned());
        }
    }

    impl Recorder for Declared {
        fn describe_counter(&self, name: KeyName, _unit: Option<Unit>, help: SharedString) {
            self.take(name, help);
        }

        fn describe_gauge(&self, name: KeyName, _unit: Option<Unit>, help: SharedString) {
            self.take(name, help);
        }

        fn describe_histogram(&self, name: KeyName, _unit: Option<Unit>, help: SharedString) {
            self.take(name, help);
        }

        fn register_counter(&self, _key: &Key, _metadata: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    fn declared() -> BTreeMap<String, String> {
        let declared = Declared::default();
        metrics::with_local_recorder(&declared, describe);
        declared.0.into_inner().unwrap()
    }

    #[test]
    fn every_declared_metric_renders_with_its_help() {
        let declared = declared();
        assert!(declared.len() > OWN.len());
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for name in declared.keys().cloned() {
                match kind(&name) {
                    Kind::Counter => metrics::counter!(name).increment(1),
                    Kind::Histogram => metrics::histogram!(name).record(0.003),
                    Kind::Gauge => metrics::gauge!(name).set(1.0),
                }
            }
        });
        let text = handle.render();
        for (name, help) in &declared {
            assert!(
                text.contains(&format!("# HELP {name} {help}\n")),
                "{name} is not in {text}"
            );
        }
    }

    #[test]
    fn observations_are_sorted_by_bounds_that_fit_their_unit() {
        let recorder = recorder().unwrap();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("a_seconds").record(0.003);
            metrics::histogram!("b_messages").record(60.0);
        });
        let text = recorder.handle().render();
        for line in [
            "a_seconds_bucket{le=\"0.002\"} 0",
            "a_seconds_bucket{le=\"0.005\"} 1",
            "b_messages_bucket{le=\"100\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn names_are_those_that_are_declared_each_once() {
        let names: Vec<String> = names().map(str::to_owned).collect();
        let set: std::collections::BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(set.len(), names.len());
        assert_eq!(set, declared().into_keys().collect());
    }

    #[test]
    fn every_name_says_whose_it_is() {
        assert!(declared().keys().all(|name| name.starts_with("klatsch_")));
    }

    #[test]
    fn process_knows_its_files() {
        assert!(open_files().unwrap() > 2);
    }
}
