//! Experiment 15: everybody loses the connection at the same moment and comes
//! back with jitter and back-off. Most must be back within a minute, and all
//! in the end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Common, Peak, Verdict};
use crate::client::Connection;
use crate::error::Result;
use crate::options::{Target, require_open_files};
use crate::random::Random;
use crate::report::{Histogram, say, usage_of};
use crate::scenario::{crowd, provide_accounts};

/// Logins at the same time before the fall.
const LOGINS: usize = 32;

/// A try that takes longer is given up and repeated, as clients do.
const TRY: u64 = 20;

/// `security herd`
#[derive(Args, Clone, Debug)]
pub(super) struct HerdOptions {
    #[command(flatten)]
    common: Common,
    /// Clients
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Seconds over which clients spread their first try
    #[arg(long, default_value_t = 10.0)]
    jitter: f64,
    /// Seconds within which nine of ten must be back
    #[arg(long, default_value_t = 60.0)]
    within: f64,
    /// Seconds after which nobody tries any more
    #[arg(long, default_value_t = 180)]
    patience: u64,
    /// What fixes the jitter
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(options: HerdOptions) -> Result<ExitCode> {
    require_open_files(options.clients)?;
    let common = &options.common;
    let target = Arc::new(Target {
        timeout: common.target.timeout.min(TRY),
        ..common.target.clone()
    });
    provide_accounts(&target, &common.provision, options.clients).await?;
    let mut verdict = Verdict::new("herd", common);
    verdict.report.setting("clients", options.clients);
    verdict.report.setting("jitter_seconds", options.jitter);
    say(&format!("logging {} clients in", options.clients));
    let connections = log_in_all(&target, options.clients).await?;
    let before = usage_of(common.report.pid);
    let peak = Peak::watch(common.report.pid);

    drop(connections);
    let fallen = Instant::now();
    let deadline = fallen + Duration::from_secs(options.patience);
    let random = Random::new(options.seed);
    let jitter = options.jitter;
    let one = {
        let target = Arc::clone(&target);
        move |number| {
            come_back(
                Arc::clone(&target),
                number,
                random.part(number as u64),
                jitter,
                deadline,
            )
        }
    };
    let back = crowd(options.clients, options.clients, one).await?;
    let highest = peak.stop();
    verdict.report.usage(
        before,
        usage_of(common.report.pid),
        options.clients as u64,
        "return",
    );
    verdict.report.figure("server_rss_peak_kib", highest);
    judge(&mut verdict, &options, &back, fallen);
    verdict.publish(&common.report)
}

fn judge(verdict: &mut Verdict, options: &HerdOptions, back: &[Option<Return>], fallen: Instant) {
    let mut after = Histogram::default();
    let mut tries = 0;
    for one in back.iter().flatten() {
        after.record(one.at.duration_since(fallen));
        tries += one.tries;
    }
    let away = options.clients as u64 - after.count();
    let most = if away * 10 > options.clients as u64 {
        f64::INFINITY
    } else {
        after.percentile_ms(0.9) / 1000.0
    };
    verdict.report.figure("back", after.count());
    verdict.report.figure("away", away);
    verdict.report.figure("tries", tries);
    verdict.report.figure("nine_of_ten_back_s", most);
    verdict.report.latency("back", &after);
    verdict.require(
        away == 0,
        format!("{away} did not come back within {} s", options.patience),
    );
    verdict.require(
        most <= options.within,
        format!(
            "nine of ten back after {most:.1} s (at most {})",
            options.within
        ),
    );
}

/// A client that is back; its connection stays open until the end.
struct Return {
    at: Instant,
    tries: u64,
    _connection: Connection,
}

/// Tries until it is back, or the time is up.
async fn come_back(
    target: Arc<Target>,
    number: usize,
    mut random: Random,
    jitter: f64,
    deadline: Instant,
) -> Result<Option<Return>> {
    const PAUSE_MAX: f64 = 10.0;
    let mut pause = 1.0;
    tokio::time::sleep(Duration::from_secs_f64(random.between(0.0, jitter))).await;
    for tries in 1.. {
        if let Ok((mut connection, _)) = Connection::login(&target, number).await
            && connection.send("<presence/>").await.is_ok()
        {
            return Ok(Some(Return {
                at: Instant::now(),
                tries,
                _connection: connection,
            }));
        }
        if Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(Duration::from_secs_f64(random.between(pause / 2.0, pause))).await;
        pause = (pause * 2.0).min(PAUSE_MAX);
    }
    Ok(None)
}

async fn log_in_all(target: &Arc<Target>, clients: usize) -> Result<Vec<Connection>> {
    let target = Arc::clone(target);
    let one = move |number| {
        let target = Arc::clone(&target);
        async move {
            let (mut connection, _) = Connection::login(&target, number).await?;
            connection.send("<presence/>").await?;
            Ok(connection)
        }
    };
    crowd(clients, LOGINS, one).await
}
