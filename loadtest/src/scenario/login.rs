//! How fast people get in, and what one login costs the server: connect,
//! encrypt, authenticate, bind, leave; again and again.
//!
//! Every account logs in once before the clock starts, so that the driver has
//! derived its keys and the server has its caches as a running one would.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::{ask_version, crowd, provide_accounts};
use crate::client::Connection;
use crate::error::Result;
use crate::options::{Provision, ReportOptions, Target, require_open_files};
use crate::report::{Histogram, Report, provision_note, usage_of};

/// `login`
#[derive(Args, Clone, Debug)]
pub(crate) struct LoginOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Logins in all
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// Accounts that log in by turns
    #[arg(long, default_value_t = 200)]
    accounts: usize,
    /// Logins under way at the same time
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Seconds after which no further login is begun
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// Runs the scenario.
pub(crate) async fn run(options: LoginOptions) -> Result<()> {
    require_open_files(options.concurrency)?;
    let target = Arc::new(options.target.clone());
    provide_accounts(&target, &options.provision, options.accounts).await?;
    let mut report = Report::new("login", &target, &options.report);
    report.setting("accounts", options.accounts);
    report.setting("accounts_by", provision_note(&options.provision));
    report.setting("concurrency", options.concurrency);
    let (mut first, _) = Connection::login(&target, 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;
    storm(&target, options.accounts, &options, u64::MAX).await?;
    measure(&target, &options, &mut report).await?;
    report.publish(&options.report)
}

async fn measure(target: &Arc<Target>, options: &LoginOptions, report: &mut Report) -> Result<()> {
    let before = usage_of(options.report.pid);
    let storm = storm(target, options.count, options, options.seconds).await?;
    let after = usage_of(options.report.pid);
    let seconds = storm.elapsed.as_secs_f64();
    report.figure("logins", storm.latency.count());
    report.figure("seconds", seconds);
    report.figure("logins_per_second", storm.latency.count() as f64 / seconds);
    report.latency("login", &storm.latency);
    report.usage(before, after, storm.latency.count(), "login");
    Ok(())
}

/// What a storm of logins found.
struct Storm {
    /// From connecting to being bound.
    latency: Histogram,
    /// From the first connection to the last binding.
    elapsed: Duration,
}

/// Logs in `count` times. Leaving is part of the cost, but nobody waits for
/// it: some servers take their time to close a stream.
async fn storm(
    target: &Arc<Target>,
    count: usize,
    options: &LoginOptions,
    seconds: u64,
) -> Result<Storm> {
    let target = Arc::clone(target);
    let accounts = options.accounts.max(1);
    let started = Instant::now();
    let one = move |number: usize| {
        let target = Arc::clone(&target);
        async move {
            if started.elapsed().as_secs() >= seconds {
                return Ok(None);
            }
            let begun = Instant::now();
            let (connection, _) = Connection::login(&target, (number - 1) % accounts + 1).await?;
            Ok(Some((begun.elapsed(), tokio::spawn(connection.close()))))
        }
    };
    let logins = crowd(count, options.concurrency, one).await?;
    let elapsed = started.elapsed();
    let mut latency = Histogram::default();
    for (took, leaving) in logins.into_iter().flatten() {
        latency.record(took);
        // A client that could not say goodbye is gone all the same.
        let _ = leaving.await;
    }
    Ok(Storm { latency, elapsed })
}
