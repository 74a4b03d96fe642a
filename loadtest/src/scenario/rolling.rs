//! A rolling restart under load, as an upgrade is made: every node in turn is drained, stopped
//! with SIGTERM and started again, perhaps as another program; the next one follows when all
//! nodes see each other. Clients talk all the time, and the history is checked (D1–D4, D6).
//!
//! Beside the checker's rules it is judged by what is promised of it: no acknowledged message is
//! lost, and so many sessions go on. Clients never hang up or leave by themselves here: who loses
//! a connection loses it by the restart.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::time::sleep;

use super::ask_version;
use super::chaos::{self, proof};
use super::crash::{STEP_SECONDS, VerdictOptions, conclude, finish, verdict};
use super::fleet::circle::Circle;
use super::fleet::{Fleet, Habits, Shared, run_mark, walk};
use crate::checker::{Checker, Experiment, Findings};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::history::{self, Event, Recorder};
use crate::lab::laboratory::{self, Laboratory, LaboratoryOptions, interruptible};
use crate::options::{ReportOptions, Target, require_open_files};
use crate::random::Random;
use crate::report::{Histogram, Report, say};

/// What the history calls it.
const FAULT: &str = "rolling";

/// Of the sessions that lose their connection so many are promised to go on, of a hundred.
const RESUMED_MIN: f64 = 95.0;

/// How long all nodes may take to see each other again.
const TOGETHER_MAX: Duration = Duration::from_secs(30);

/// Behind the last node it is calm for so long at least: presence has ten seconds (D6).
const CALM: Duration = Duration::from_secs(12);

/// How a node goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// `klatsch cluster drain`, then SIGTERM: sessions leave in slices
    Drain,
    /// SIGTERM alone: all sessions leave at once
    Stop,
}

/// `rolling`
#[derive(Args, Clone, Debug)]
pub(crate) struct RollingOptions {
    #[command(flatten)]
    report: ReportOptions,
    #[command(flatten)]
    verdict: VerdictOptions,
    #[command(flatten)]
    lab: LaboratoryOptions,
    /// How a node goes
    #[arg(long, value_enum, default_value = "drain")]
    way: Way,
    /// The program that is started in place of the old one; by default the same
    #[arg(long, value_name = "FILE")]
    next: Option<PathBuf>,
    /// Seconds of load before the first node goes
    #[arg(long, default_value_t = 10.0)]
    warm: f64,
    /// Seconds between two nodes, after all see each other
    #[arg(long, default_value_t = 5.0)]
    pause: f64,
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
    /// Seconds after which a client changes its presence, on average; 0 for never
    #[arg(long, default_value_t = 20.0)]
    change_every: f64,
    /// File that gets the history
    #[arg(long, default_value = "rolling-history.jsonl")]
    history: PathBuf,
}

/// How long each node took.
#[derive(Debug, Default)]
struct Times {
    drained: Histogram,
    stopped: Histogram,
    started: Histogram,
    together: Histogram,
}

/// Runs the scenario, and tells whether its outcome is the expected one.
pub(crate) async fn run(options: RollingOptions) -> Result<ExitCode> {
    interruptible(Box::pin(attempt(options))).await
}

async fn attempt(options: RollingOptions) -> Result<ExitCode> {
    require_open_files(options.clients as usize)?;
    if options.clients < 4 || options.lab.nodes < 2 {
        return Err(LoadError::Usage(
            "a rolling restart takes at least two nodes and four clients".into(),
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
    let (path, times) = finish(history, driven)?;
    drop(lab);
    let findings = Checker::check(history::read(&path)?)?;
    conclude(&mut report, &findings);
    let rolling = findings.experiments.get(FAULT);
    let is_kept = rolling.is_some_and(keeps_promise);
    figures(&mut report, rolling, &times);
    report.publish(&options.report)?;
    judge(&findings, &options.verdict, is_kept)
}

/// The checker's verdict, and the share of sessions that went on.
fn judge(findings: &Findings, options: &VerdictOptions, is_kept: bool) -> Result<ExitCode> {
    let code = verdict(findings, options, false);
    if code == ExitCode::SUCCESS && !is_kept {
        say(&format!(
            "fewer than {RESUMED_MIN} % of the sessions went on"
        ));
        return Ok(ExitCode::from(1));
    }
    Ok(code)
}

fn circle(options: &RollingOptions, random: &Random) -> Circle {
    Circle {
        clients: options.clients,
        rooms: options.rooms,
        occupants: options.occupants,
        service: laboratory::rooms_host(),
        run: run_mark(random),
        watches: true,
    }
}

fn describe(options: &RollingOptions, target: &Target, seed: u64) -> Report {
    let mut report = Report::new("rolling", target, &options.report);
    report.setting("seed", seed);
    report.setting("nodes", options.lab.nodes);
    report.setting("store", options.lab.store_name());
    report.setting("clients", options.clients);
    report.setting("rate", options.rate);
    report.setting("rooms", options.rooms);
    report.setting("occupants", options.occupants);
    let way = match options.way {
        Way::Drain => "drain",
        Way::Stop => "stop",
    };
    report.setting("way", way);
    report.setting("another_program", options.next.is_some());
    report
}

/// Everything between the first login and the last page of the last log.
async fn drive(
    options: &RollingOptions,
    seed: u64,
    circle: Circle,
    recorder: Recorder,
    lab: &mut Laboratory,
) -> Result<Times> {
    recorder.record(Event::Run {
        seed,
        clients: circle.clients,
        run: circle.run.clone(),
        rooms: circle.rooms,
        nodes: options.lab.nodes,
    });
    let habits = Habits {
        window: options.window,
        pause: Duration::from_secs_f64(f64::from(options.clients) / options.rate.max(0.001)),
        drop_every: 0.0,
        change_every: options.change_every,
        leave_every: 0.0,
    };
    let targets = lab.targets.clone();
    let random = Random::new(seed);
    let shared = Arc::new(Shared::new(targets, recorder, circle, habits, random));
    let fleet = Fleet::launch(&shared);
    chaos::gather(&shared).await?;
    sleep(Duration::from_secs_f64(options.warm.max(0.0))).await;
    let mut times = Times::default();
    for number in 1..=options.lab.nodes {
        replace(options, number, &shared, lab, &mut times).await?;
        sleep(Duration::from_secs_f64(options.pause.max(0.0))).await;
    }
    fleet.land(CALM).await?;
    walk::all(&shared).await?;
    Ok(times)
}

/// Takes one node out of service and brings it back.
async fn replace(
    options: &RollingOptions,
    number: u32,
    shared: &Arc<Shared>,
    lab: &mut Laboratory,
    times: &mut Times,
) -> Result<()> {
    let in_flight = shared.await_traffic().await;
    shared.recorder.record(Event::Fault {
        number,
        fault: FAULT.into(),
        what: format!("node {number}"),
        in_flight,
    });
    let before = lab.node(number).server.pid();
    if options.way == Way::Drain {
        timed(&mut times.drained, lab.node(number).drain()).await?;
    }
    timed(&mut times.stopped, lab.node(number).server.stop()).await?;
    lab.node(number).run_next(options.next.as_deref(), &[]);
    timed(&mut times.started, lab.restart(number)).await?;
    if lab.node(number).server.pid() != before {
        let by = "its process is another one".into();
        shared.recorder.record(Event::Proven { number, by });
    }
    shared.recorder.record(Event::Healed { number });
    let since = Instant::now();
    timed(&mut times.together, together(lab, since + TOGETHER_MAX)).await?;
    let after_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    shared.recorder.record(Event::Noticed {
        number,
        is_up: true,
        after_ms,
    });
    say(&format!("node {number} is back"));
    Ok(())
}

async fn timed<T>(times: &mut Histogram, work: impl Future<Output = Result<T>>) -> Result<T> {
    let since = Instant::now();
    let outcome = work.await;
    times.record(since.elapsed());
    outcome
}

/// Waits until all nodes call all others up.
async fn together(lab: &Laboratory, deadline: Instant) -> Result<()> {
    let others = lab.nodes.len() - 1;
    for node in &lab.nodes {
        if !proof::sees(node, deadline, others).await {
            return Err(LoadError::Timeout("the nodes do not find each other again"));
        }
    }
    Ok(())
}

/// Of the sessions that lost their connection, how many of a hundred went on.
fn resumed_percent(rolling: &Experiment) -> f64 {
    let all = rolling.resumed + rolling.not_resumed;
    rolling.resumed as f64 * 100.0 / all.max(1) as f64
}

/// Where nobody has lost a connection, nothing was restarted.
fn keeps_promise(rolling: &Experiment) -> bool {
    rolling.resumed > 0 && resumed_percent(rolling) >= RESUMED_MIN
}

fn figures(report: &mut Report, rolling: Option<&Experiment>, times: &Times) {
    if let Some(rolling) = rolling {
        report.figure("lost_connections", rolling.away.count());
        report.figure("resumed_percent", resumed_percent(rolling));
        report.figure("failed_to_resume", rolling.not_resumed);
        report.figure("sent_elsewhere", rolling.sent_elsewhere);
        report.figure("followed", rolling.followed);
        report.latency("away", &rolling.away);
        report.latency("answered", &rolling.answered);
        report.latency("views", &rolling.views);
    }
    report.latency("drained", &times.drained);
    report.latency("stopped", &times.stopped);
    report.latency("started", &times.started);
    report.latency("together", &times.together);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_its_promise_when_nearly_all_sessions_go_on() {
        let of = |resumed, not_resumed| Experiment {
            resumed,
            not_resumed,
            ..Experiment::default()
        };
        assert!(keeps_promise(&of(95, 5)));
        assert!(!keeps_promise(&of(94, 6)));
        assert!(!keeps_promise(&of(0, 0)));
    }
}
