//! People talking in pairs: what a routed message costs, how long it takes,
//! and whether all arrive once and in order.
//!
//! Closed loop: so many messages are under way in a pair, and whoever receives
//! one sends the next. Open loop: messages start at a given rate whatever the
//! server does, and their latency counts from when they were due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::{ask_version, provide_accounts};
use crate::client::Connection;
use crate::error::Result;
use crate::options::{Provision, ReportOptions, Target, require_open_files};
use crate::report::{Report, provision_note};

pub(crate) mod exchange;
mod talker;

use exchange::{Outcome, Plan};

/// `chat`
#[derive(Args, Clone, Debug)]
pub(crate) struct ChatOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Clients, in pairs
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Messages under way in a pair
    #[arg(long, default_value_t = 4)]
    window: usize,
    /// Open loop: messages a second of all clients together
    #[arg(long, conflicts_with = "window")]
    rate: Option<f64>,
    /// Seconds that are measured
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds before, that are not
    #[arg(long, default_value_t = 3)]
    warm: u64,
    /// Stop earlier, after so many messages
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    messages: u64,
    /// Bytes of a stanza
    #[arg(long, default_value_t = 300)]
    size: usize,
    /// Use stream management, and measure when messages are acknowledged
    #[arg(long)]
    sm: bool,
    /// Address messages to the full JID instead of the bare one
    #[arg(long)]
    full: bool,
}

/// Runs the scenario.
pub(crate) async fn run(options: ChatOptions) -> Result<()> {
    require_open_files(options.clients)?;
    let target = Arc::new(options.target.clone());
    provide_accounts(&target, &options.provision, options.clients).await?;
    let mut report = Report::new("chat", &target, &options.report);
    describe(&mut report, &options);
    let (mut first, _) = Connection::login(&target, 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;
    let outcome = exchange::run(&target, plan(&options)).await?;
    conclude(&mut report, &outcome);
    report.publish(&options.report)
}

fn plan(options: &ChatOptions) -> Plan {
    Plan {
        clients: options.clients,
        window: options.window,
        rate: options.rate,
        warm: Duration::from_secs(options.warm),
        seconds: Duration::from_secs(options.seconds),
        messages: options.messages,
        size: options.size,
        management: options.sm,
        full: options.full,
        pids: options.report.pid.into_iter().collect(),
    }
}

fn describe(report: &mut Report, options: &ChatOptions) {
    report.setting("clients", options.clients);
    match options.rate {
        Some(rate) => report.setting("rate", rate),
        None => report.setting("window", options.window),
    }
    report.setting("stanza_bytes", options.size);
    report.setting("sm", options.sm);
    report.setting("to", if options.full { "full" } else { "bare" });
    report.setting("accounts_by", provision_note(&options.provision));
}

/// Puts what came of an exchange into the report.
pub(crate) fn conclude(report: &mut Report, outcome: &Outcome) {
    let seconds = outcome.elapsed.as_secs_f64();
    let tally = &outcome.tally;
    report.figure("seconds", seconds);
    report.figure("delivered", outcome.delivered);
    report.figure("messages_per_second", outcome.delivered as f64 / seconds);
    report.figure(
        "lost",
        tally.sent.saturating_sub(tally.delivered + tally.refused),
    );
    report.figure("refused", tally.refused);
    report.figure("twice", tally.twice);
    report.figure("out_of_order", tally.reordered);
    report.figure("connections_lost", tally.connections_lost);
    report.latency("delivery", &tally.latency);
    if outcome.acked > 0 {
        report.figure("acked_per_second", outcome.acked as f64 / seconds);
        report.latency("ack", &tally.ack_latency);
    }
    report.usage(outcome.before, outcome.after, outcome.delivered, "message");
    let driver_us = outcome.driver_cpu.as_micros() as f64;
    report.figure(
        "driver_cpu_us_per_message",
        driver_us / outcome.delivered.max(1) as f64,
    );
}

/// A clock that all clients of a run share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the start.
    pub(crate) fn micros(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
