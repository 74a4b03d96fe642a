//! One account that binds resource after resource and keeps them all: the
//! server may refuse, must not hang, and must stay there for others.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Common, Peak, Verdict};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Target, require_open_files};
use crate::report::usage_of;
use crate::scenario::{crowd, provide_accounts};

/// Logins at the same time.
const AT_ONCE: usize = 16;

/// `security bind-flood`
#[derive(Args, Clone, Debug)]
pub(super) struct BindFloodOptions {
    #[command(flatten)]
    common: Common,
    /// Resources that the account tries to bind
    #[arg(long, default_value_t = 2000)]
    resources: usize,
    /// Resources of one account that a server may hold at most
    #[arg(long, default_value_t = 1000)]
    most: usize,
    /// Memory that one of them may cost, in KiB
    #[arg(long, default_value_t = 64)]
    kib_each: u64,
}

/// What became of one attempt.
enum Attempt {
    /// Held open until the end.
    Bound(#[expect(dead_code, reason = "only its life counts")] Box<Connection>),
    Refused,
    Stuck,
}

pub(super) async fn run(options: BindFloodOptions) -> Result<ExitCode> {
    require_open_files(options.resources)?;
    let common = &options.common;
    let target = Arc::new(common.target.clone());
    provide_accounts(&target, &common.provision, 2).await?;
    let mut verdict = Verdict::new("bind-flood", common);
    verdict.report.setting("resources", options.resources);
    let before = usage_of(common.report.pid);
    let peak = Peak::watch(common.report.pid);
    let one = {
        let target = Arc::clone(&target);
        move |number| attempt(Arc::clone(&target), number)
    };
    let attempts = crowd(options.resources, AT_ONCE, one).await?;
    verdict.require_bystander(&target, 2).await;
    let highest = peak.stop();

    let count =
        |wanted: fn(&Attempt) -> bool| attempts.iter().filter(|attempt| wanted(attempt)).count();
    let bound = count(|attempt| matches!(attempt, Attempt::Bound(_)));
    let refused = count(|attempt| matches!(attempt, Attempt::Refused));
    let stuck = count(|attempt| matches!(attempt, Attempt::Stuck));
    verdict.report.figure("bound", bound);
    verdict.report.figure("refused", refused);
    verdict.report.figure("without_answer", stuck);
    verdict.require(stuck == 0, format!("{stuck} attempts without an answer"));
    verdict.require(
        bound <= options.most,
        format!("{bound} resources bound (at most {})", options.most),
    );
    if let Some(before) = before {
        let each = highest.saturating_sub(before.resident_kib) as f64 / bound.max(1) as f64;
        verdict.report.figure("kib_per_resource", each);
        verdict.require(
            each <= options.kib_each as f64,
            format!("{each:.1} KiB each (at most {})", options.kib_each),
        );
    }
    verdict.publish(&common.report)
}

async fn attempt(target: Arc<Target>, number: usize) -> Result<Attempt> {
    let bind = async {
        let (mut connection, offers) = Connection::authenticate(&target, 1).await?;
        connection.bind(&format!("r{number}"), offers).await?;
        connection.send("<presence/>").await?;
        Ok(connection)
    };
    match bind.await {
        Ok(connection) => Ok(Attempt::Bound(Box::new(connection))),
        Err(LoadError::Refused(_) | LoadError::Closed(_)) => Ok(Attempt::Refused),
        Err(LoadError::Timeout(_)) => Ok(Attempt::Stuck),
        Err(error) => Err(error),
    }
}
