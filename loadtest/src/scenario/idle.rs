//! What a session costs while nobody says anything: resident memory of the
//! server, divided by the sessions it holds, and CPU while they rest.
//!
//! Memory is read when it holds still, before the first login and after the
//! last: garbage of the logins counts, since operators pay for it as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;

use super::{answer_request, ask_version, crowd, provide_accounts};
use crate::client::Connection;
use crate::error::Result;
use crate::options::{Provision, ReportOptions, Target, require_open_files};
use crate::proc::settled;
use crate::report::{Report, provision_note, say, usage_of};

/// How long memory may take to hold still.
const PATIENCE: Duration = Duration::from_secs(90);

/// `idle`
#[derive(Args, Clone, Debug)]
pub(crate) struct IdleOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Sessions, each of an account of its own
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// Logins under way at the same time
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Seconds of rest over which the server's CPU is counted
    #[arg(long, default_value_t = 10)]
    rest: u64,
}

/// Runs the scenario.
pub(crate) async fn run(options: IdleOptions) -> Result<()> {
    require_open_files(options.sessions)?;
    let target = Arc::new(options.target.clone());
    provide_accounts(&target, &options.provision, options.sessions).await?;
    let mut report = Report::new("idle", &target, &options.report);
    report.setting("sessions", options.sessions);
    report.setting("accounts_by", provision_note(&options.provision));

    let before = still(&options).await?;
    let started = Instant::now();
    let mut connections = log_in_all(&target, &options).await?;
    report.figure("login_seconds", started.elapsed().as_secs_f64());
    ask_version(&mut connections[0], &mut report).await;
    let mut alive = JoinSet::new();
    for connection in connections {
        alive.spawn(rest(connection));
    }
    let after = still(&options).await?;
    let resting = usage_of(options.report.pid);
    tokio::time::sleep(Duration::from_secs(options.rest)).await;
    let rested = usage_of(options.report.pid);

    if let (Some((before, before_still)), Some((after, after_still))) = (before, after) {
        let grown = after.resident_kib.saturating_sub(before.resident_kib);
        report.usage(
            Some(before),
            Some(after),
            options.sessions as u64,
            "session",
        );
        report.figure("kib_per_session", grown as f64 / options.sessions as f64);
        report.figure("memory_held_still", before_still && after_still);
    }
    if let (Some(resting), Some(rested)) = (resting, rested) {
        let cpu = rested.cpu.saturating_sub(resting.cpu).as_micros() as f64;
        report.figure(
            "idle_cpu_us_per_session_second",
            cpu / (options.sessions as f64 * options.rest.max(1) as f64),
        );
    }
    report.figure("lost", count_ended(&mut alive));
    report.publish(&options.report)
}

/// The server's usage when it has come to rest, where a process was named.
async fn still(options: &IdleOptions) -> Result<Option<(crate::proc::Usage, bool)>> {
    match options.report.pid {
        Some(pid) => Ok(Some(settled(pid, PATIENCE).await?)),
        None => Ok(None),
    }
}

async fn log_in_all(target: &Arc<Target>, options: &IdleOptions) -> Result<Vec<Connection>> {
    say(&format!("logging {} sessions in", options.sessions));
    let target = Arc::clone(target);
    let one = move |number| {
        let target = Arc::clone(&target);
        async move {
            let (mut connection, _) = Connection::login(&target, number).await?;
            connection.send("<presence/>").await?;
            Ok(connection)
        }
    };
    crowd(options.sessions, options.concurrency, one).await
}

/// Holds a session until its connection ends, answering as a client must.
pub(super) async fn rest(mut connection: Connection) {
    while let Ok(element) = connection.element().await {
        answer_request(&element, &mut connection);
    }
}

/// How many sessions ended on their own.
pub(super) fn count_ended(alive: &mut JoinSet<()>) -> u64 {
    let mut ended = 0;
    while alive.try_join_next().is_some() {
        ended += 1;
    }
    ended
}
