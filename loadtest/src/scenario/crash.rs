//! The delivery contract under fire: clients talk with stream management while
//! the server is killed with -9, or stopped, and started again, at random but from a seed;
//! then every archive is read and the history checked (promises D1–D4).
//!
//! The run starts the server itself and kills that process alone. It counts
//! only if kills hit messages in flight. What a kill cannot show is the loss
//! of pages the kernel already has: that needs a power cut.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::fleet::circle::Circle;
use super::fleet::{Fleet, Habits, Shared, run_mark, walk};
use super::{ask_version, provide_accounts};
use crate::checker::{Checker, Findings};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::history::{self, Event, History, Recorder};
use crate::lab::server::Server;
use crate::options::{Provision, ReportOptions, Target, require_open_files};
use crate::random::Random;
use crate::report::{Report, provision_note, say};

mod disk;

/// No login step takes longer here, or a client would wait for a dead server.
pub(crate) const STEP_SECONDS: u64 = 10;

/// `crash`
#[derive(Args, Clone, Debug)]
pub(crate) struct CrashOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Command that runs the server in the foreground; words are split at blanks
    #[arg(long, value_name = "COMMAND")]
    server: String,
    /// File that gets the server's output
    #[arg(long, default_value = "crash-server.log")]
    server_log: PathBuf,
    /// File that gets the history
    #[arg(long, default_value = "crash-history.jsonl")]
    history: PathBuf,
    /// Clients, each of an account of its own
    #[arg(long, default_value_t = 200)]
    clients: u32,
    /// Messages a second of all clients together
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Messages a client may have unacknowledged
    #[arg(long, default_value_t = 20)]
    window: usize,
    /// Seconds of faults
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Seconds between kills, at least
    #[arg(long, default_value_t = 3.0)]
    kill_min: f64,
    /// Seconds between kills, at most
    #[arg(long, default_value_t = 15.0)]
    kill_max: f64,
    /// Seconds the server stays down, at most
    #[arg(long, default_value_t = 3.0)]
    down_max: f64,
    /// Every so many times the server is stopped with SIGTERM instead; 0 for never
    #[arg(long, default_value_t = 3)]
    stop_every: u32,
    /// Small file system that holds the server's data: it is filled up, by turns with kills
    #[arg(long, value_name = "DIR")]
    fill_dir: Option<PathBuf>,
    /// No kills: only full disks
    #[arg(long, requires = "fill_dir")]
    no_kill: bool,
    /// Seconds after which a client drops its connection, on average; 0 for never
    #[arg(long, default_value_t = 60.0)]
    drop_every: f64,
    /// What fixes the random choices; printed, and taken from the system by default
    #[arg(long)]
    seed: Option<u64>,
    /// Succeed only if the checker finds a broken promise
    #[arg(long)]
    expect_violation: bool,
    #[command(flatten)]
    verdict: VerdictOptions,
}

/// How findings are judged.
#[derive(Args, Clone, Debug)]
pub(crate) struct VerdictOptions {
    /// Defects that do not fail the run, by name; for servers that promise less
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) allow: Vec<String>,
}

/// `check`
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckOptions {
    /// Histories that crash runs have written
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    verdict: VerdictOptions,
}

/// Runs the scenario, and tells whether its outcome is the expected one.
pub(crate) async fn run(options: CrashOptions) -> Result<ExitCode> {
    if options.clients < 4 {
        return Err(LoadError::Usage(
            "a crash run takes at least four clients".into(),
        ));
    }
    require_open_files(options.clients as usize)?;
    let target = Arc::new(Target {
        timeout: options.target.timeout.min(STEP_SECONDS),
        ..options.target.clone()
    });
    let seed = options.seed.unwrap_or_else(Random::fresh_seed);
    say(&format!("seed {seed}"));
    let mut report = describe(&options, seed);
    let command = options.server.split_whitespace().map(str::to_owned);
    let mut server = Server::start(command.collect(), &options.server_log)?;
    server.ready(&target).await?;
    provide_accounts(&target, &options.provision, options.clients as usize).await?;
    let (mut first, _) = Connection::login(&target, 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;

    let (recorder, history) = Recorder::create(&options.history)?;
    let driven = drive(&options, &target, seed, recorder, &mut server).await;
    drop(server);
    let (path, ()) = finish(history, driven)?;
    let findings = Checker::check(history::read(&path)?)?;
    conclude(&mut report, &findings);
    report.publish(&options.report)?;
    Ok(verdict(
        &findings,
        &options.verdict,
        options.expect_violation,
    ))
}

/// Checks saved histories.
pub(crate) fn check(options: &CheckOptions) -> Result<ExitCode> {
    let mut worst = ExitCode::SUCCESS;
    for file in &options.files {
        let findings = Checker::check(history::read(file)?)?;
        say(&format!("{}:", file.display()));
        let code = verdict(&findings, &options.verdict, false);
        if code != ExitCode::SUCCESS {
            worst = code;
        }
    }
    Ok(worst)
}

/// Everything between the first login and the last page of the last archive.
async fn drive(
    options: &CrashOptions,
    target: &Arc<Target>,
    seed: u64,
    recorder: Recorder,
    server: &mut Server,
) -> Result<()> {
    let random = Random::new(seed);
    let run = run_mark(&random);
    recorder.record(Event::Run {
        seed,
        clients: options.clients,
        run: run.clone(),
        rooms: 0,
        nodes: 1,
    });
    let circle = Circle {
        clients: options.clients,
        run,
        ..Circle::default()
    };
    let habits = Habits {
        window: options.window,
        pause: Duration::from_secs_f64(f64::from(options.clients) / options.rate.max(0.001)),
        drop_every: options.drop_every,
        change_every: 0.0,
        leave_every: 0.0,
    };
    let nodes = vec![Arc::clone(target)];
    let shared = Shared::new(nodes, recorder, circle, habits, random.clone());
    let shared = Arc::new(shared);
    let fleet = Fleet::launch(&shared);
    faults(options, &shared, random.part(0), server).await?;
    fleet.land(Duration::ZERO).await?;
    walk::all(&shared).await
}

/// Kills or stops the server and starts it again, or fills its disk, until the time is up.
async fn faults(
    options: &CrashOptions,
    shared: &Shared,
    mut random: Random,
    server: &mut Server,
) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut departures = 0u32;
    loop {
        let pause = Duration::from_secs_f64(random.between(options.kill_min, options.kill_max));
        if Instant::now() + pause >= deadline {
            tokio::time::sleep(deadline.saturating_duration_since(Instant::now())).await;
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        let in_flight = shared.await_traffic().await;
        let down = Duration::from_secs_f64(random.between(0.0, options.down_max));
        match &options.fill_dir {
            Some(folder) if options.no_kill || random.below(2) == 0 => {
                shared.recorder.record(Event::Filled { in_flight });
                disk::keep_full(folder, down).await?;
                shared.recorder.record(Event::Freed);
            }
            _ => {
                departures += 1;
                if options.stop_every > 0 && departures.is_multiple_of(options.stop_every) {
                    shared.recorder.record(Event::Stopped { in_flight });
                    server.stop().await?;
                } else {
                    shared.recorder.record(Event::Killed { in_flight });
                    server.kill()?;
                }
                tokio::time::sleep(down).await;
                server.restart()?;
                let after_ms = server.ready(shared.target()).await?;
                shared.recorder.record(Event::Started { after_ms });
            }
        }
    }
}

/// Waits until the history is written, whatever became of the run.
pub(crate) fn finish<T>(history: History, driven: Result<T>) -> Result<(Arc<PathBuf>, T)> {
    // The history of a failed run is worth reading too.
    let path = history.finish()?;
    driven.map(|driven| (path, driven))
}

fn describe(options: &CrashOptions, seed: u64) -> Report {
    let mut report = Report::new("crash", &options.target, &options.report);
    report.setting("seed", seed);
    report.setting("clients", options.clients);
    report.setting("rate", options.rate);
    report.setting("seconds", options.seconds);
    report.setting(
        "kill_every_seconds",
        format!("{}–{}", options.kill_min, options.kill_max),
    );
    report.setting("accounts_by", provision_note(&options.provision));
    report
}

/// Puts what the checker counted into the report.
pub(crate) fn conclude(report: &mut Report, findings: &Findings) {
    let coverage = &findings.coverage;
    for (name, count) in [
        ("invoked", coverage.invoked),
        ("acked", coverage.acked),
        ("failed", coverage.failed),
        ("unknown", coverage.unknown),
        ("resent", coverage.resent),
        ("received", coverage.received),
        ("redelivered", coverage.redelivered),
        ("archived", coverage.archived),
        ("kills", coverage.kills),
        ("stops", coverage.stops),
        ("fills", coverage.fills),
        ("faults", coverage.faults),
        ("faults_that_hit", coverage.faults_that_hit),
        ("in_flight_at_faults", coverage.hit),
        ("resumed", coverage.resumed),
        ("not_resumed", coverage.not_resumed),
        ("resumed_after_stop", coverage.resumed_after_stop),
        ("not_resumed_after_stop", coverage.not_resumed_after_stop),
        ("dropped", coverage.dropped),
        ("not_live", coverage.not_live),
    ] {
        report.figure(name, count);
    }
    for (defect, count) in findings.counts() {
        report.figure(defect.name(), count);
    }
    report.figure("clean", findings.is_clean());
}

/// Says what the findings mean, and the exit code that says the same.
pub(crate) fn verdict(
    findings: &Findings,
    options: &VerdictOptions,
    expect_violation: bool,
) -> ExitCode {
    say(&findings.to_string());
    let is_allowed = |name: &str| options.allow.iter().any(|allowed| allowed == name);
    let broken = findings
        .counts()
        .any(|(defect, _)| !is_allowed(defect.name()));
    let missing = findings.missing();
    // A broken promise is one however little else happened; only silence needs a reason to count.
    if !broken && !missing.is_empty() {
        say(&format!("the run does not count: {}", missing.join("; ")));
        return ExitCode::from(3);
    }
    match (broken, expect_violation) {
        (false, false) => say("clean: nothing lost, nothing twice, nothing out of order"),
        (true, false) => say("BROKEN PROMISES"),
        (true, true) => say("the checker complains, as it should"),
        (false, true) => say("THE CHECKER FOUND NOTHING, though it should"),
    }
    if broken == expect_violation {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
