//! How fast an archive is read: page after page of 50 messages, each asked for
//! when the one before is complete, as a client does that catches up. Or, in a long archive, how
//! long single pages take.

mod fill;
mod places;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::chat::exchange::{self, Plan};
use super::{ask_version, crowd, provide_accounts};
use crate::client::Connection;
use crate::client::archive::{query, read_page};
use crate::client::management::Management;
use crate::error::Result;
use crate::options::{Provision, ReportOptions, Target};
use crate::report::{Histogram, Report, provision_note, say, usage_of};

/// `archive`
#[derive(Args, Clone, Debug)]
pub(crate) struct ArchiveOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Messages that the accounts exchange first, in all, so that there is something to read
    #[arg(long, default_value_t = 0)]
    fill: u64,
    /// Seconds that filling may take at most; the report says how many messages that were
    #[arg(long, default_value_t = 3600)]
    fill_seconds: u64,
    /// Fill the first account's archive by this command instead, which reads {file} (XEP-0227)
    #[arg(long, value_name = "COMMAND")]
    fill_command: Option<String>,
    /// Measure this many single pages at the end, in the middle and by search, of the first account
    #[arg(long, default_value_t = 0)]
    places: usize,
    /// Accounts whose archives are read at the same time
    #[arg(long, default_value_t = 2)]
    readers: usize,
    /// Messages asked for at once
    #[arg(long, default_value_t = 50)]
    page: usize,
    /// Messages after which a reader starts over or stops
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Seconds of reading at most; an archive that ends earlier is read again
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// What a reader has read.
#[derive(Debug, Default)]
struct Reading {
    messages: u64,
    pages: Histogram,
}

/// Runs the scenario.
pub(crate) async fn run(options: ArchiveOptions) -> Result<()> {
    let target = Arc::new(options.target.clone());
    // Archives are filled in pairs.
    let accounts = options.readers.max(1).next_multiple_of(2);
    provide_accounts(&target, &options.provision, accounts).await?;
    let mut report = Report::new("archive", &target, &options.report);
    report.setting("readers", options.readers);
    report.setting("page", options.page);
    report.setting("accounts_by", provision_note(&options.provision));
    let filled = fill_archives(&target, &options, accounts).await?;
    report.setting("filled", filled);
    let (mut first, _) = Connection::login(&target, 1).await?;
    ask_version(&mut first, &mut report).await;
    first.close().await;
    match options.places {
        0 => measure(&target, &options, &mut report).await?,
        pages => places::measure(&target, pages, options.page, &mut report).await?,
    }
    report.publish(&options.report)
}

/// Fills the archives; tells with how many messages.
async fn fill_archives(
    target: &Arc<Target>,
    options: &ArchiveOptions,
    accounts: usize,
) -> Result<u64> {
    if options.fill == 0 {
        return Ok(0);
    }
    if let Some(command) = &options.fill_command {
        say(&format!("importing {} messages", options.fill));
        fill::by_command(target, command, options.fill)?;
        return Ok(options.fill);
    }
    say(&format!("exchanging {} messages", options.fill));
    let plan = Plan {
        seconds: Duration::from_secs(options.fill_seconds),
        ..filling(accounts, options.fill)
    };
    let outcome = exchange::run(target, plan).await?;
    Ok(outcome.delivered)
}

async fn measure(
    target: &Arc<Target>,
    options: &ArchiveOptions,
    report: &mut Report,
) -> Result<()> {
    let before = usage_of(options.report.pid);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(options.seconds);
    let (target, copy) = (Arc::clone(target), options.clone());
    let one = move |number| {
        let (target, options) = (Arc::clone(&target), copy.clone());
        async move { read(&target, number, &options, deadline).await }
    };
    let readings = crowd(options.readers, options.readers, one).await?;
    let elapsed = started.elapsed().as_secs_f64();
    let after = usage_of(options.report.pid);
    let mut pages = Histogram::default();
    readings
        .iter()
        .for_each(|reading| pages.merge(&reading.pages));
    let messages: u64 = readings.iter().map(|reading| reading.messages).sum();
    report.figure("seconds", elapsed);
    report.figure("messages", messages);
    report.figure("pages", pages.count());
    report.figure("messages_per_second", messages as f64 / elapsed);
    report.latency("page", &pages);
    report.usage(before, after, messages, "message");
    Ok(())
}

/// Reads one account's archive, again and again, until the time is up.
async fn read(
    target: &Arc<Target>,
    number: usize,
    options: &ArchiveOptions,
    deadline: Instant,
) -> Result<Reading> {
    let (mut connection, _) = Connection::login(target, number).await?;
    let mut reading = Reading::default();
    let mut after: Option<String> = None;
    let mut in_this_walk = 0;
    while Instant::now() < deadline {
        let id = format!("page{}", reading.pages.count());
        let begun = Instant::now();
        connection
            .send(&query(&id, options.page, after.as_deref()))
            .await?;
        let mut messages = 0;
        let count = |_: &_| {
            messages += 1;
            Ok(())
        };
        let end = read_page(&mut connection, None::<&mut Management<()>>, &id, count).await?;
        reading.pages.record(begun.elapsed());
        reading.messages += messages;
        in_this_walk += messages as usize;
        if messages == 0 && after.is_none() {
            break; // There is nothing to read at all.
        }
        let over = end.complete || messages == 0 || in_this_walk >= options.messages;
        after = if over { None } else { end.last };
        in_this_walk = if over { 0 } else { in_this_walk };
    }
    connection.close().await;
    Ok(reading)
}

/// An exchange of so many messages, as fast as the server takes them.
fn filling(clients: usize, messages: u64) -> Plan {
    Plan {
        clients,
        window: 64,
        rate: None,
        warm: Duration::ZERO,
        seconds: Duration::ZERO,
        messages,
        size: 300,
        management: false,
        full: false,
        pids: Vec::new(),
    }
}
