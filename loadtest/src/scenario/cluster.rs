//! Messages that cross nodes: what a cluster delivers, and what each message costs on all nodes
//! together and in the store; and what sessions cost that rest (`rest.rs`).
//!
//! The nodes are started for the run, as in `chaos`, and left in peace. The two of every pair are
//! on different nodes where there are several.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::ask_version;
use super::chat::conclude;
use super::chat::exchange::{self, Plan};
use super::fleet::circle::Circle;
use crate::client::Connection;
use crate::error::Result;
use crate::lab::laboratory::{self, Laboratory, LaboratoryOptions, interruptible};
use crate::options::{ReportOptions, Target, require_open_files};
use crate::report::{Report, usage_of};

mod rest;

/// Seconds that one step of a login may take.
const STEP_SECONDS: u64 = 60;

/// `cluster`
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterOptions {
    #[command(flatten)]
    report: ReportOptions,
    #[command(flatten)]
    lab: LaboratoryOptions,
    /// Clients, in pairs
    #[arg(long, default_value_t = 200)]
    clients: u32,
    /// Messages under way in a pair
    #[arg(long, default_value_t = 4)]
    window: usize,
    /// Seconds that are measured
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds before, that are not
    #[arg(long, default_value_t = 3)]
    warm: u64,
    /// Bytes of a stanza
    #[arg(long, default_value_t = 300)]
    size: usize,
    /// Use stream management, and measure when messages are acknowledged
    #[arg(long)]
    sm: bool,
    /// Measure memory instead: that many sessions that rest, all on the first node
    #[arg(long, conflicts_with_all = ["sm", "window", "size"])]
    idle: bool,
}

/// Runs the scenario.
pub(crate) async fn run(options: ClusterOptions) -> Result<ExitCode> {
    interruptible(Box::pin(measure(options))).await?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(options: ClusterOptions) -> Result<()> {
    require_open_files(options.clients as usize)?;
    let target = laboratory::target(STEP_SECONDS);
    let circle = Circle {
        clients: options.clients,
        ..Circle::default()
    };
    let lab = Laboratory::open(&options.lab, &target, &circle).await?;
    let hosts: Vec<_> = lab.targets.iter().map(|node| node.host.clone()).collect();
    let dealt = Arc::new(Target {
        host: hosts.join(","),
        ..Target::clone(&lab.targets[0])
    });
    let mut report = Report::new("cluster", &dealt, &options.report);
    report.setting("nodes", options.lab.nodes);
    report.setting("store", options.lab.store_name());
    report.setting("clients", options.clients);
    report.setting("window", options.window);
    report.setting("stanza_bytes", options.size);
    report.setting("sm", options.sm);
    let (mut first, _) = Connection::login(&dealt, 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;
    if options.idle {
        rest::measure(&options, &lab, &mut report).await?;
        return report.publish(&options.report);
    }
    let store = lab.postgres.as_ref();
    let before = store.and_then(|store| usage_of(store.pids()));
    let outcome = exchange::run(&dealt, plan(&options, &lab)).await?;
    // With the warming up, which is short, and the few that have come since.
    let after = store.and_then(|store| usage_of(store.pids()));
    if let (Some(before), Some(after)) = (before, after) {
        let cpu = after.cpu.saturating_sub(before.cpu);
        report.figure("store_cpu_ms", cpu.as_secs_f64() * 1000.0);
    }
    conclude(&mut report, &outcome);
    report.publish(&options.report)
}

fn plan(options: &ClusterOptions, lab: &Laboratory) -> Plan {
    Plan {
        clients: options.clients as usize,
        window: options.window,
        rate: None,
        warm: Duration::from_secs(options.warm),
        seconds: Duration::from_secs(options.seconds),
        messages: u64::MAX,
        size: options.size,
        management: options.sm,
        full: false,
        pids: lab.nodes.iter().map(|node| node.server.pid()).collect(),
    }
}
