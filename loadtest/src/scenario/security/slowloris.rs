//! Row X13: connections that send their header byte by byte, or finish it and
//! then say nothing. The negotiation deadline is absolute: bytes do not move it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Common, Peak, Verdict};
use crate::client::transport::Transport;
use crate::error::Result;
use crate::options::{Target, require_open_files};
use crate::report::{Histogram, usage_of};
use crate::scenario::{crowd, provide_accounts};

/// `security slowloris`
#[derive(Args, Clone, Debug)]
pub(super) struct SlowlorisOptions {
    #[command(flatten)]
    common: Common,
    /// Connections, half of them dribbling, half of them silent behind their header
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Seconds within which the server must have closed them all
    #[arg(long, default_value_t = 32)]
    within: u64,
    /// Memory that one of them may cost, in KiB
    #[arg(long, default_value_t = 48)]
    kib_each: u64,
}

pub(super) async fn run(options: SlowlorisOptions) -> Result<ExitCode> {
    require_open_files(options.connections)?;
    let common = &options.common;
    let target = Arc::new(common.target.clone());
    provide_accounts(&target, &common.provision, 1).await?;
    let mut verdict = Verdict::new("slowloris", common);
    verdict.report.setting("connections", options.connections);
    let before = usage_of(common.report.pid);
    let peak = Peak::watch(common.report.pid);
    let attackers = {
        let target = Arc::clone(&target);
        let give_up = Duration::from_secs(options.within + 8);
        let one = move |number| dribble(Arc::clone(&target), number % 2 == 0, give_up);
        tokio::spawn(crowd(options.connections, options.connections, one))
    };
    tokio::time::sleep(Duration::from_secs(options.within / 2)).await;
    verdict.require_bystander(&target, 1).await;
    let lives = attackers
        .await
        .map_err(|error| crate::error::LoadError::protocol(error.to_string()))??;
    let highest = peak.stop();

    let mut ages = Histogram::default();
    lives.iter().flatten().for_each(|age| ages.record(*age));
    let open = lives.iter().filter(|age| age.is_none()).count();
    verdict.report.figure("closed", ages.count());
    verdict.report.figure("left_open", open);
    verdict.report.latency("closed_after", &ages);
    let oldest = ages.max_ms() / 1000.0;
    let in_time = open == 0 && oldest <= options.within as f64;
    verdict.require(
        in_time,
        format!(
            "{open} left open, the last closed after {oldest:.1} s (at most {})",
            options.within
        ),
    );
    if let Some(before) = before {
        let each = highest.saturating_sub(before.resident_kib) as f64 / options.connections as f64;
        verdict.report.figure("kib_per_connection", each);
        verdict.require(
            each <= options.kib_each as f64,
            format!("{each:.1} KiB each (at most {})", options.kib_each),
        );
    }
    verdict.publish(&common.report)
}

/// One attacker; tells when the server closed it, or `None` if it did not.
async fn dribble(
    target: Arc<Target>,
    dribbles: bool,
    give_up: Duration,
) -> Result<Option<Duration>> {
    let mut socket = Transport::connect(&target).await?;
    let opened = Instant::now();
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{}' version='1.0'>",
        target.domain
    );
    let mut bytes = header.as_bytes();
    let (mut reader, mut writer) = tokio::io::split(&mut socket);
    let mut heard = [0; 512];
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while opened.elapsed() < give_up {
        tokio::select! {
            read = reader.read(&mut heard) => {
                if matches!(read, Ok(0) | Err(_)) {
                    return Ok(Some(opened.elapsed()));
                }
            }
            _ = ticks.tick() => {
                let count = if dribbles { 1 } else { bytes.len() }.min(bytes.len());
                // A server that has closed says so to the reader.
                let _ = writer.write_all(&bytes[..count]).await;
                bytes = &bytes[count..];
            }
        }
    }
    Ok(None)
}
