//! A cluster under fire: real nodes in network namespaces, under load, while a seeded plan
//! kills, stops, cuts, freezes and starves them and their store; then every log is read from
//! every node and the history checked (promises D1–D4 and D6).
//!
//! `plan.rs` says what is broken when, `nemesis.rs` breaks it, `proof.rs` sees that it is broken;
//! what is broken is a [`Laboratory`]. A run counts only if every fault was seen to be there and
//! met messages under way. Without root there is one node on loopback, and only the faults that
//! need no network. What this cannot show: power cuts, and scale beyond one machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::ask_version;
use super::crash::{STEP_SECONDS, VerdictOptions, conclude, finish, verdict};
use super::fleet::circle::Circle;
use super::fleet::{Fleet, Habits, Shared, run_mark, walk};
use crate::checker::{Checker, Experiment, Findings};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::history::{self, Event, Recorder};
use crate::lab::detour::Detour;
use crate::lab::laboratory::{self, Laboratory, LaboratoryOptions, interruptible};
use crate::options::{ReportOptions, Target, require_open_files};
use crate::random::Random;
use crate::report::{Histogram, Report, chaos, say};

mod nemesis;
pub(crate) mod plan;
pub(crate) mod proof;

use nemesis::Nemesis;
use plan::{Kind, Means};

/// Where Debian has libfaketime, below the folder of the machine's kind.
const FAKETIME: &str = "faketime/libfaketime.so.1";

/// How long all clients may take to come, and to be in all their rooms.
const GATHER_MAX: Duration = Duration::from_secs(120);

/// As many of them are there when faults begin.
const GATHERED: f64 = 0.9;

/// Behind the last fault it is calm for so long at least, see `plan::CALM`.
const CALM: Duration = Duration::from_secs(12);

/// `chaos`
#[derive(Args, Clone, Debug)]
pub(crate) struct ChaosOptions {
    #[command(flatten)]
    report: ReportOptions,
    #[command(flatten)]
    verdict: VerdictOptions,
    #[command(flatten)]
    lab: LaboratoryOptions,
    /// A klatsch built with the feature `broken`, for the experiment in which actors panic
    #[arg(long, value_name = "FILE")]
    broken: Option<PathBuf>,
    /// Minutes of the whole run, but for the time that the logs take to be read
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Seconds of load before the first fault
    #[arg(long, default_value_t = 10.0)]
    warm: f64,
    /// The faults, by name; all that are possible by default
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME")]
    faults: Vec<Kind>,
    /// What fixes the random choices; printed, and taken from the system by default
    #[arg(long)]
    seed: Option<u64>,
    /// Clients, each of an account of its own, dealt out to all nodes
    #[arg(long, default_value_t = 60)]
    clients: u32,
    /// Messages a second of all clients together
    #[arg(long, default_value_t = 120.0)]
    rate: f64,
    /// Messages a client may have unacknowledged
    #[arg(long, default_value_t = 20)]
    window: usize,
    /// Rooms
    #[arg(long, default_value_t = 6)]
    rooms: u32,
    /// Occupants of each
    #[arg(long, default_value_t = 12)]
    occupants: u32,
    /// Seconds after which a client drops its connection, on average; 0 for never
    #[arg(long, default_value_t = 60.0)]
    drop_every: f64,
    /// Seconds after which a client changes its presence, on average; 0 for never
    #[arg(long, default_value_t = 20.0)]
    change_every: f64,
    /// Seconds after which a client logs out for a while, on average; 0 for never
    #[arg(long, default_value_t = 120.0)]
    leave_every: f64,
    /// File that gets the history
    #[arg(long, default_value = "chaos-history.jsonl")]
    history: PathBuf,
    /// Succeed only if the checker finds a broken promise
    #[arg(long)]
    expect_violation: bool,
}

/// Runs the scenario, and tells whether its outcome is the expected one.
pub(crate) async fn run(options: ChaosOptions) -> Result<ExitCode> {
    interruptible(Box::pin(attempt(options))).await
}

async fn attempt(options: ChaosOptions) -> Result<ExitCode> {
    require_open_files(options.clients as usize)?;
    if options.clients < 4 {
        return Err(LoadError::Usage(
            "a chaos run takes at least four clients".into(),
        ));
    }
    let seed = options.seed.unwrap_or_else(Random::fresh_seed);
    say(&format!("seed {seed}"));
    let target = laboratory::target(STEP_SECONDS);
    let circle = circle(&options, &Random::new(seed));
    let mut lab = Laboratory::open(&options.lab, &target, &circle).await?;
    let mut report = describe(&options, &target, seed);
    let (mut first, _) = Connection::login(&lab.targets[0], 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;

    let (recorder, history) = Recorder::create(&options.history)?;
    let driven = drive(&options, seed, circle, recorder, &mut lab).await;
    let (path, resident_kib) = finish(history, driven)?;
    drop(lab);
    let findings = Checker::check(history::read(&path)?)?;
    conclude(&mut report, &findings);
    report.figure("resident_kib_max", resident_kib);
    let experiments = experiments(&findings);
    let table = chaos::of_one(&experiments);
    report.figure("experiments", experiments);
    report.publish(&options.report)?;
    say(&table);
    let expects = options.expect_violation;
    Ok(verdict(&findings, &options.verdict, expects))
}

fn circle(options: &ChaosOptions, random: &Random) -> Circle {
    Circle {
        clients: options.clients,
        rooms: options.rooms,
        occupants: options.occupants,
        service: laboratory::rooms_host(),
        run: run_mark(random),
        watches: true,
    }
}

/// Everything between the first login and the last page of the last log; tells the largest
/// resident memory of a node, KiB.
async fn drive(
    options: &ChaosOptions,
    seed: u64,
    circle: Circle,
    recorder: Recorder,
    lab: &mut Laboratory,
) -> Result<u64> {
    recorder.record(Event::Run {
        seed,
        clients: circle.clients,
        run: circle.run.clone(),
        rooms: circle.rooms,
        nodes: options.lab.nodes,
    });
    let random = Random::new(seed);
    let habits = Habits {
        window: options.window,
        pause: Duration::from_secs_f64(f64::from(options.clients) / options.rate.max(0.001)),
        drop_every: options.drop_every,
        change_every: options.change_every,
        leave_every: options.leave_every,
    };
    let targets = lab.targets.clone();
    let shared = Shared::new(targets, recorder, circle, habits, random.clone());
    let shared = Arc::new(shared);
    let fleet = Fleet::launch(&shared);
    gather(&shared).await?;
    sleep(Duration::from_secs_f64(options.warm.max(0.0))).await;
    let steps = steps(options, seed, lab)?;
    let mut nemesis = Nemesis {
        lab,
        shared: &shared,
        random: random.part(0),
        faketime: faketime(),
        broken: options.broken.clone(),
        number: 0,
        resident_kib: 0,
    };
    for step in &steps {
        nemesis.strike(step).await?;
    }
    let resident_kib = nemesis.resident_kib;
    fleet.land(CALM).await?;
    walk::all(&shared).await?;
    Ok(resident_kib)
}

/// The faults of this run.
fn steps(options: &ChaosOptions, seed: u64, lab: &Laboratory) -> Result<Vec<plan::Step>> {
    let network = lab.network.as_ref();
    let means = Means {
        nodes: options.lab.nodes,
        network: network.is_some(),
        postgres: lab.postgres.is_some(),
        tun: network.is_some() && Detour::is_possible(),
        faketime: faketime().is_some(),
        broken: options.broken.is_some(),
    };
    let all = Kind::value_variants();
    let wanted = if options.faults.is_empty() {
        all
    } else {
        &options.faults
    };
    // The clients come and go in the minutes, too.
    let around = options.warm + CALM.as_secs_f64();
    let time = Duration::from_secs_f64((options.minutes * 60.0 - around).max(0.0));
    let steps = plan::plan(seed, &means, wanted, time);
    match steps.is_empty() {
        true => Err(LoadError::Usage(
            "none of these faults is possible here".into(),
        )),
        false => Ok(steps),
    }
}

/// Waits until nearly all clients have come and are in their rooms: some are always away.
pub(super) async fn gather(shared: &Shared) -> Result<()> {
    let all = async {
        while shared.share_there() < GATHERED {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let gathered = tokio::time::timeout(GATHER_MAX, all).await;
    gathered.map_err(|_| LoadError::Timeout("the clients do not come"))
}

fn faketime() -> Option<PathBuf> {
    let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let library = PathBuf::from(folder).join(FAKETIME);
    library.is_file().then_some(library)
}

fn describe(options: &ChaosOptions, target: &Target, seed: u64) -> Report {
    let mut report = Report::new("chaos", target, &options.report);
    report.setting("seed", seed);
    report.setting("nodes", options.lab.nodes);
    report.setting("store", options.lab.store_name());
    report.setting("minutes", options.minutes);
    report.setting("clients", options.clients);
    report.setting("rate", options.rate);
    report.setting("rooms", options.rooms);
    report.setting("occupants", options.occupants);
    report
}

/// What each kind of fault did, for the report.
fn experiments(findings: &Findings) -> Value {
    let all = findings.experiments.iter();
    let all = all.map(|(fault, experiment)| (fault.clone(), figures(experiment)));
    Value::Object(all.collect())
}

pub(super) fn figures(experiment: &Experiment) -> Value {
    let mut figures = Map::new();
    for (name, count) in [
        ("times", experiment.times),
        ("in_flight", experiment.in_flight),
        ("acked", experiment.acked),
        ("failed", experiment.failed),
        ("lost_connections", experiment.away.count()),
        ("resumed", experiment.resumed),
        ("not_resumed", experiment.not_resumed),
        ("sent_elsewhere", experiment.sent_elsewhere),
        ("followed", experiment.followed),
    ] {
        figures.insert(name.into(), count.into());
    }
    let mut worst = |name: &str, of: &Histogram| {
        if of.count() > 0 {
            figures.insert(
                format!("{name}_p99_ms"),
                json!(of.percentile_ms(0.99).round()),
            );
            figures.insert(format!("{name}_max_ms"), json!(of.max_ms().round()));
        }
    };
    worst("away", &experiment.away);
    worst("answered", &experiment.answered);
    worst("service", &experiment.service);
    worst("views", &experiment.views);
    worst("down", &experiment.down);
    worst("up", &experiment.up);
    Value::Object(figures)
}
