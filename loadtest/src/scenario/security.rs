//! Attacks that are about time and crowds, and the server's answer to each.
//! What one connection can do wrong is tested in the server's own crates.
//!
//! Every attack is bounded, ends with one line `PASS` or `FAIL`, and says what
//! it measured. Limits are those of the attack corpus; options change them.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::task::JoinHandle;

use crate::client::Connection;
use crate::error::Result;
use crate::options::{Provision, ReportOptions, Target};
use crate::report::{Report, say, usage_of};

mod bind_flood;
mod certificate;
mod churn;
mod herd;
mod memory;
mod slow;
mod slowloris;
mod timing;

/// How long a bystander's login may take while an attack is on.
const BYSTANDER: Duration = Duration::from_secs(10);

/// `security`
#[derive(Args, Clone, Debug)]
pub(crate) struct SecurityOptions {
    #[command(subcommand)]
    attack: Attack,
}

/// The attacks.
#[derive(Subcommand, Clone, Debug)]
enum Attack {
    /// Clients that do not read while messages pour in for them
    Slow(slow::SlowOptions),
    /// Everybody loses the connection and comes back at once
    Herd(herd::HerdOptions),
    /// Connections that say one byte a second
    Slowloris(slowloris::SlowlorisOptions),
    /// Connections opened and closed, again and again
    Churn(churn::ChurnOptions),
    /// One account binding as many resources as it can
    BindFlood(bind_flood::BindFloodOptions),
    /// The certificate is replaced, also by bad ones, while clients come and go
    Certificate(certificate::CertificateOptions),
    /// Whether refused logins tell which accounts there are
    Timing(timing::TimingOptions),
    /// Bytes and clients pile up until the server is short of memory
    Memory(memory::MemoryOptions),
}

/// What every attack needs to know.
#[derive(Args, Clone, Debug)]
struct Common {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
}

/// Runs an attack.
pub(crate) async fn run(options: SecurityOptions) -> Result<ExitCode> {
    match options.attack {
        Attack::Slow(options) => slow::run(options).await,
        Attack::Herd(options) => herd::run(options).await,
        Attack::Slowloris(options) => slowloris::run(options).await,
        Attack::Churn(options) => churn::run(options).await,
        Attack::BindFlood(options) => bind_flood::run(options).await,
        Attack::Certificate(options) => certificate::run(options).await,
        Attack::Timing(options) => timing::run(options).await,
        Attack::Memory(options) => memory::run(options).await,
    }
}

/// What an attack showed.
struct Verdict {
    name: &'static str,
    report: Report,
    failures: Vec<String>,
    checks: Vec<String>,
}

impl Verdict {
    fn new(name: &'static str, common: &Common) -> Self {
        let mut report = Report::new("security", &common.target, &common.report);
        report.setting("attack", name);
        Self {
            name,
            report,
            failures: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Notes a requirement, in words that hold whether it is met or not.
    fn require(&mut self, is_met: bool, what: String) {
        if is_met {
            self.checks.push(what);
        } else {
            self.failures.push(what);
        }
    }

    /// Somebody else must still get in while the attack is on.
    async fn require_bystander(&mut self, target: &Arc<Target>, number: usize) {
        let login = tokio::time::timeout(BYSTANDER, Connection::login(target, number)).await;
        let what = match &login {
            Ok(Ok(_)) => "a bystander gets in".to_owned(),
            Ok(Err(error)) => format!("a bystander does not get in: {error}"),
            Err(_) => format!("a bystander does not get in within {BYSTANDER:?}"),
        };
        self.require(matches!(login, Ok(Ok(_))), what);
    }

    /// Publishes the report and the verdict's line.
    fn publish(mut self, options: &ReportOptions) -> Result<ExitCode> {
        let passed = self.failures.is_empty();
        self.report.figure("passed", passed);
        self.report.publish(options)?;
        let (word, reasons) = if passed {
            ("PASS", &self.checks)
        } else {
            ("FAIL", &self.failures)
        };
        say(&format!("{word} {}: {}", self.name, reasons.join("; ")));
        Ok(if passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        })
    }
}

/// Watches a process's memory for its highest mark.
struct Peak {
    highest: Arc<AtomicU64>,
    watcher: JoinHandle<()>,
}

impl Peak {
    fn watch(pid: Option<u32>) -> Self {
        const EVERY: Duration = Duration::from_millis(100);
        let highest = Arc::new(AtomicU64::new(0));
        let mark = Arc::clone(&highest);
        let watcher = tokio::spawn(async move {
            while let Some(usage) = usage_of(pid) {
                mark.fetch_max(usage.resident_kib, Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { highest, watcher }
    }

    /// The highest mark in KiB, 0 if no process was named.
    fn stop(self) -> u64 {
        self.watcher.abort();
        self.highest.load(Ordering::Relaxed)
    }
}
