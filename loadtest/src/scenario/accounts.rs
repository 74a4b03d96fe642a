//! Two things that a benchmark does around its runs: creating the accounts
//! once, and noting how a server started.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{ask_version, provide_accounts};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Provision, ReportOptions, Target};
use crate::proc::settled;
use crate::report::Report;

/// `accounts`
#[derive(Args, Clone, Debug)]
pub(crate) struct AccountsOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    /// How many accounts there should be
    #[arg(long)]
    count: usize,
}

/// `start`
#[derive(Args, Clone, Debug)]
pub(crate) struct StartOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    report: ReportOptions,
    /// Milliseconds from the start of the process until it answered a stream
    #[arg(long)]
    cold_start_ms: u64,
}

/// Creates accounts.
pub(crate) async fn create(options: AccountsOptions) -> Result<()> {
    provide_accounts(&Arc::new(options.target), &options.provision, options.count).await
}

/// Notes how fast a server started and what it holds while nobody is there.
pub(crate) async fn note_start(options: StartOptions) -> Result<()> {
    let pid = options
        .report
        .pid
        .ok_or_else(|| LoadError::Usage("--pid, please".into()))?;
    let target = Arc::new(options.target.clone());
    let mut report = Report::new("start", &target, &options.report);
    let (empty, still) = settled(pid, Duration::from_secs(30)).await?;
    report.figure("cold_start_ms", options.cold_start_ms);
    report.figure("empty_rss_kib", empty.resident_kib);
    report.figure("server_threads", empty.threads);
    report.figure("memory_held_still", still);
    let (mut first, _) = Connection::login(&target, 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;
    report.publish(&options.report)
}
