//! Experiment 21: clients that do not read pile up bytes, and more and more clients come, until
//! the server is short of memory. It must shed them and stay within its limit, serve those who
//! were there before, and take new clients again when the pressure is gone.
//!
//! The limit is the server's: run it in a control group, or with `limits.memory_bytes_max`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Common, Peak, Verdict};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Target, require_open_files};
use crate::report::{Histogram, usage_of};
use crate::scenario::provide_accounts;

/// A hoarder's receive buffer: the kernel must not read in its stead.
const RECEIVE_BYTES: u32 = 4096;

/// What a hoarder sends itself at once.
const PIECE_BYTES: usize = 48 * 1024;

/// Between two pings of the client that was there before.
const PING_EVERY: Duration = Duration::from_millis(200);

/// `security memory`
#[derive(Args, Clone, Debug)]
pub(super) struct MemoryOptions {
    #[command(flatten)]
    common: Common,
    /// Clients that pile up bytes
    #[arg(long, default_value_t = 300)]
    hoarders: usize,
    /// MiB that each of them tries to pile up
    #[arg(long, default_value_t = 16)]
    mib_each: usize,
    /// Clients that come while they do, one after the other
    #[arg(long, default_value_t = 2_000)]
    comers: usize,
    /// Seconds of pressure
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// MiB of memory that the server may have at most
    #[arg(long, default_value_t = 256)]
    most_mib: u64,
    /// Seconds in which the client that was there before is answered, at most
    #[arg(long, default_value_t = 5.0)]
    answer_within: f64,
    /// Seconds after which a new client gets in when the pressure is gone
    #[arg(long, default_value_t = 30)]
    recovery: u64,
}

/// What the attackers have met.
#[derive(Default)]
struct Met {
    bound: AtomicUsize,
    refused: AtomicUsize,
    let_go: AtomicUsize,
    is_over: AtomicBool,
}

pub(super) async fn run(options: MemoryOptions) -> Result<ExitCode> {
    let accounts = options.hoarders + options.comers;
    require_open_files(accounts)?;
    let common = &options.common;
    let target = Arc::new(common.target.clone());
    provide_accounts(&target, &common.provision, accounts + 2).await?;
    let mut verdict = Verdict::new("memory", common);
    verdict.report.setting("hoarders", options.hoarders);
    verdict.report.setting("comers", options.comers);
    verdict.report.setting("most_mib", options.most_mib);
    let (there, _) = Connection::login(&target, accounts + 1).await?;
    let peak = Peak::watch(common.report.pid);
    let met = Arc::new(Met::default());

    let mut attackers = JoinSet::new();
    for number in 1..=options.hoarders {
        let (target, met) = (Arc::clone(&target), Arc::clone(&met));
        let bytes = options.mib_each * 1024 * 1024;
        attackers.spawn(async move { hoard(target, number, bytes, &met).await });
    }
    attackers.spawn(come(Arc::clone(&target), options.clone(), Arc::clone(&met)));
    let answers = ask(there, Duration::from_secs(options.seconds)).await;
    met.is_over.store(true, Ordering::Relaxed);
    attackers.shutdown().await;
    let highest = peak.stop();
    let recovered = recover(&target, accounts + 2, &options).await;

    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (refused, let_go) = (count(&met.refused), count(&met.let_go));
    verdict.report.figure("bound", count(&met.bound));
    verdict.report.figure("refused", refused);
    verdict.report.figure("let_go", let_go);
    verdict.require(
        refused + let_go > 0,
        format!("{refused} clients refused, {let_go} let go: the server sheds"),
    );
    judge_answers(&mut verdict, &options, answers);
    judge_memory(&mut verdict, &options, highest);
    let text = match recovered {
        Some(seconds) => format!("a new client got in {seconds:.1} s after the end"),
        None => format!("no new client got in within {} s", options.recovery),
    };
    verdict.require(recovered.is_some(), text);
    verdict.publish(&common.report)
}

fn judge_answers(verdict: &mut Verdict, options: &MemoryOptions, answers: Result<Histogram>) {
    match answers {
        Ok(answers) => {
            let worst = answers.percentile_ms(1.0) / 1000.0;
            verdict.report.latency("answer", &answers);
            verdict.require(
                worst <= options.answer_within,
                format!("who was there was answered within {worst:.1} s"),
            );
        }
        Err(error) => verdict.require(false, format!("who was there was not served: {error}")),
    }
}

fn judge_memory(verdict: &mut Verdict, options: &MemoryOptions, highest_kib: u64) {
    if options.common.report.pid.is_none() {
        return;
    }
    let is_alive = usage_of(options.common.report.pid).is_some();
    verdict.require(is_alive, "the server lives".to_owned());
    verdict.report.figure("server_rss_peak_kib", highest_kib);
    let mebibytes = highest_kib / 1024;
    verdict.require(
        mebibytes <= options.most_mib,
        format!("{mebibytes} MiB at most (allowed {})", options.most_mib),
    );
}

/// Sends itself what it does not read, again and again, as long as the attack lasts.
async fn hoard(target: Arc<Target>, number: usize, bytes: usize, met: &Met) {
    while !met.is_over.load(Ordering::Relaxed) {
        match Connection::login(&target, number).await {
            Ok((connection, _)) => {
                met.bound.fetch_add(1, Ordering::Relaxed);
                if pile_up(connection, bytes).await.is_err() {
                    met.let_go.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) => note_refusal(&error, met),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// An error is the end of the connection; without one it stays until the attack is over.
async fn pile_up(mut connection: Connection, bytes: usize) -> Result<()> {
    connection.limit_receive_buffer(RECEIVE_BYTES)?;
    let to = connection.jid.clone();
    let body = "x".repeat(PIECE_BYTES);
    let message = format!("<message to='{to}' type='headline'><body>{body}</body></message>");
    for _ in 0..bytes / PIECE_BYTES {
        connection.send(&message).await?;
    }
    std::future::pending().await
}

/// More and more clients, which stay.
async fn come(target: Arc<Target>, options: MemoryOptions, met: Arc<Met>) {
    let mut there = Vec::new();
    for number in 1..=options.comers {
        match Connection::login(&target, options.hoarders + number).await {
            Ok((connection, _)) => {
                met.bound.fetch_add(1, Ordering::Relaxed);
                there.push(connection);
            }
            Err(error) => note_refusal(&error, &met),
        }
    }
    std::future::pending().await
}

fn note_refusal(error: &LoadError, met: &Met) {
    if matches!(error, LoadError::Refused(_) | LoadError::Timeout(_)) {
        met.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// The client that was there before asks on and on; how long its answers take.
async fn ask(mut there: Connection, duration: Duration) -> Result<Histogram> {
    const GIVEN_UP: Duration = Duration::from_secs(60);
    let until = Instant::now() + duration;
    let mut answers = Histogram::default();
    let ping = "<iq type='get' id='there'><ping xmlns='urn:xmpp:ping'/></iq>";
    while Instant::now() < until {
        let asked = Instant::now();
        timeout(GIVEN_UP, there.request("there", ping))
            .await
            .map_err(|_| LoadError::Timeout("a ping is not answered"))??;
        answers.record(asked.elapsed());
        sleep(PING_EVERY).await;
    }
    Ok(answers)
}

/// Tells after how many seconds a new client got in.
async fn recover(target: &Arc<Target>, number: usize, options: &MemoryOptions) -> Option<f64> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(options.recovery) {
        if let Ok(Ok(_)) = timeout(Duration::from_secs(5), Connection::login(target, number)).await
        {
            return Some(started.elapsed().as_secs_f64());
        }
        sleep(Duration::from_millis(250)).await;
    }
    None
}
