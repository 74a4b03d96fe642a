//! Row X14: connections opened and closed before any login. Memory must come
//! back to where it was.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Common, Verdict};
use crate::client::Connection;
use crate::error::Result;
use crate::options::Target;
use crate::proc::settled;
use crate::scenario::{crowd, provide_accounts};

/// Connections at the same time.
const AT_ONCE: usize = 64;

/// Growth below this is the allocator's breathing, whatever the percentage.
const SLACK_KIB: f64 = 1024.0;

/// How long memory may take to hold still.
const PATIENCE: Duration = Duration::from_secs(30);

/// `security churn`
#[derive(Args, Clone, Debug)]
pub(super) struct ChurnOptions {
    #[command(flatten)]
    common: Common,
    /// Connections opened and closed in all
    #[arg(long, default_value_t = 100_000)]
    connections: usize,
    /// Seconds at most
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Memory that may remain, in percent
    #[arg(long, default_value_t = 2.0)]
    percent: f64,
}

pub(super) async fn run(options: ChurnOptions) -> Result<ExitCode> {
    let common = &options.common;
    let target = Arc::new(common.target.clone());
    provide_accounts(&target, &common.provision, 1).await?;
    let mut verdict = Verdict::new("churn", common);
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    // The first tenth warms pools and caches, which a server may keep.
    open_and_close(&target, options.connections / 10, deadline).await?;
    let before = rest(common).await?;
    let started = Instant::now();
    let opened = open_and_close(&target, options.connections, deadline).await?;
    verdict.report.figure("connections", opened);
    verdict.report.figure(
        "connections_per_second",
        opened as f64 / started.elapsed().as_secs_f64(),
    );
    verdict.require_bystander(&target, 1).await;
    if let (Some(before), Some(after)) = (before, rest(common).await?) {
        let grown = after as f64 - before as f64;
        let allowed = (before as f64 * options.percent / 100.0).max(SLACK_KIB);
        verdict.report.figure("rss_before_kib", before);
        verdict.report.figure("rss_after_kib", after);
        verdict.require(
            grown <= allowed,
            format!("memory grew by {grown} KiB (at most {allowed:.0}) over {opened} connections"),
        );
    }
    verdict.publish(&common.report)
}

async fn rest(common: &Common) -> Result<Option<u64>> {
    match common.report.pid {
        Some(pid) => Ok(Some(settled(pid, PATIENCE).await?.0.resident_kib)),
        None => Ok(None),
    }
}

/// Opens and closes connections; tells how many there were until the deadline.
async fn open_and_close(target: &Arc<Target>, count: usize, deadline: Instant) -> Result<usize> {
    let target = Arc::clone(target);
    let one = move |number: usize| {
        let target = Arc::clone(&target);
        async move {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            let mut connection = Connection::connect(&target).await?;
            // Some never speak, some leave in the middle of the negotiation.
            if number.is_multiple_of(2) {
                connection.open_stream().await?;
            }
            Ok(true)
        }
    };
    let opened = crowd(count, AT_ONCE, one).await?;
    Ok(opened.into_iter().filter(|opened| *opened).count())
}
