//! Experiment 14: clients read one byte a second while messages pour in for
//! them. Their sessions stay within bounds, and nobody else is slower for it:
//! slower, that is, than while the same messages pour in for clients that read.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;

use super::{Common, Peak, Verdict};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Target, require_open_files};
use crate::report::usage_of;
use crate::scenario::chat::exchange::{self, Outcome, Plan};
use crate::scenario::{answer_request, provide_accounts};

/// A slow client's receive buffer: the kernel must not read in its stead.
const RECEIVE_BYTES: u32 = 4096;

/// Bytes of a message that pours in.
const MESSAGE_BYTES: usize = 300;

/// What two runs of the same load differ by on a quiet machine.
const NOISE_MS: f64 = 5.0;

/// `security slow`
#[derive(Args, Clone, Debug)]
pub(super) struct SlowOptions {
    #[command(flatten)]
    common: Common,
    /// Clients that hardly read
    #[arg(long, default_value_t = 10)]
    slow: usize,
    /// Messages for each of them
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Memory that one of them may cost, in KiB
    #[arg(long, default_value_t = 1536)]
    kib_each: u64,
    /// Clients that chat meanwhile
    #[arg(long, default_value_t = 20)]
    bystanders: usize,
    /// Their messages a second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// How much slower, in percent, they may be
    #[arg(long, default_value_t = 10.0)]
    percent: f64,
    /// Seconds of chat beside each of the two floods
    #[arg(long, default_value_t = 15)]
    seconds: u64,
}

pub(super) async fn run(options: SlowOptions) -> Result<ExitCode> {
    let accounts = options.bystanders + 2 * options.slow;
    require_open_files(accounts)?;
    let common = &options.common;
    let target = Arc::new(common.target.clone());
    provide_accounts(&target, &common.provision, accounts + 1).await?;
    let mut verdict = Verdict::new("slow", common);
    verdict.report.setting("slow", options.slow);
    verdict.report.setting("messages_each", options.messages);

    let read = pour(&options, &target, read_all).await?;
    let before = usage_of(common.report.pid);
    let peak = Peak::watch(common.report.pid);
    let slow = pour(&options, &target, read_slowly).await?;
    verdict.require_bystander(&target, accounts + 1).await;
    let highest = peak.stop();

    verdict.report.figure("sent_to_the_slow", slow.sent);
    verdict.report.figure("slow_closed_by_server", slow.closed);
    let (read_ms, slow_ms) = (read.p99_ms(), slow.p99_ms());
    verdict
        .report
        .figure("bystanders_p99_beside_readers_ms", read_ms);
    verdict
        .report
        .figure("bystanders_p99_beside_the_slow_ms", slow_ms);
    let allowed = read_ms * (1.0 + options.percent / 100.0) + NOISE_MS;
    verdict.require(
        slow_ms <= allowed,
        format!("bystanders' p99 {read_ms:.1} ms, then {slow_ms:.1} ms (at most {allowed:.1})"),
    );
    let attacked = slow.bystanders;
    let lost = attacked.tally.sent.saturating_sub(attacked.tally.delivered);
    verdict.require(
        lost == 0,
        format!("{lost} of the bystanders' messages lost"),
    );
    if let Some(before) = before {
        let each = highest.saturating_sub(before.resident_kib) as f64 / options.slow.max(1) as f64;
        verdict.report.figure("kib_per_slow_client", each);
        verdict.require(
            each <= options.kib_each as f64,
            format!("{each:.0} KiB each (at most {})", options.kib_each),
        );
    }
    verdict.publish(&common.report)
}

/// What came of one flood.
struct Poured {
    bystanders: Outcome,
    sent: usize,
    closed: usize,
}

impl Poured {
    fn p99_ms(&self) -> f64 {
        self.bystanders.tally.latency.percentile_ms(0.99)
    }
}

/// Lets messages pour in for clients that read in this way, while the bystanders chat.
async fn pour<R, F>(options: &SlowOptions, target: &Arc<Target>, read: R) -> Result<Poured>
where
    R: Fn(Connection) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut victims = JoinSet::new();
    let mut flooders = JoinSet::new();
    for index in 1..=options.slow {
        let victim = options.bystanders + index;
        victims.spawn(read(log_in_slow(target, victim).await?));
        let flooder = options.bystanders + options.slow + index;
        flooders.spawn(flood(
            Arc::clone(target),
            flooder,
            victim,
            options.messages,
            options.seconds,
        ));
    }
    let bystanders = exchange::run(target, chat(options)).await?;
    let mut sent = 0;
    while let Some(flood) = flooders.join_next().await {
        sent += flood.map_err(|error| LoadError::protocol(error.to_string()))??;
    }
    let mut closed = 0;
    while victims.try_join_next().is_some() {
        closed += 1;
    }
    victims.shutdown().await;
    Ok(Poured {
        bystanders,
        sent,
        closed,
    })
}

/// What the bystanders do.
fn chat(options: &SlowOptions) -> Plan {
    Plan {
        clients: options.bystanders.next_multiple_of(2),
        window: 1,
        rate: Some(options.rate),
        warm: Duration::from_secs(1),
        seconds: Duration::from_secs(options.seconds),
        messages: u64::MAX,
        size: MESSAGE_BYTES,
        management: false,
        full: false,
        pids: options.common.report.pid.into_iter().collect(),
    }
}

async fn log_in_slow(target: &Arc<Target>, number: usize) -> Result<Connection> {
    let (mut connection, _) = Connection::login(target, number).await?;
    connection.limit_receive_buffer(RECEIVE_BYTES)?;
    connection.send("<presence/>").await?;
    Ok(connection)
}

/// Reads as fast as it comes, until the server closes the connection.
async fn read_all(mut connection: Connection) {
    while !matches!(connection.read_raw(16 * 1024).await, Ok(0) | Err(_)) {}
}

/// Reads a byte a second, until the server closes the connection.
async fn read_slowly(mut connection: Connection) {
    while !matches!(connection.read_raw(1).await, Ok(0) | Err(_)) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Sends messages to a slow client, as fast as the server takes them; tells how many.
async fn flood(
    target: Arc<Target>,
    number: usize,
    victim: usize,
    messages: usize,
    seconds: u64,
) -> Result<usize> {
    let deadline = Instant::now() + Duration::from_secs(seconds.max(10) * 2);
    let (mut connection, _) = Connection::login(&target, number).await?;
    let to = target.account(victim);
    let message = format!(
        "<message to='{to}' type='chat'><body>{:x<MESSAGE_BYTES$}</body></message>",
        ""
    );
    for sent in 0..messages {
        if Instant::now() >= deadline {
            return Ok(sent);
        }
        connection.queue(&message);
        tokio::select! {
            biased;
            flushed = connection.flush() => flushed?,
            () = tokio::time::sleep_until(deadline.into()) => return Ok(sent),
        }
        while let Some(klatsch_protocol::xml::Token::Fragment(element)) =
            connection.try_next().await?
        {
            answer_request(&element, &mut connection);
        }
    }
    Ok(messages)
}
