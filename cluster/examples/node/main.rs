//! A node of its own, which does what it is told on standard input and says on standard output
//! what it hears. Nodes find each other's routers through a registry of their process, so
//! several are several processes (`tests/processes/`).
//!
//! - `node certificates DIR NAME…`: makes an authority, a secret and certificates for nodes
//! - `node run DIR NUMBER INCARNATION NAME PEER…`: runs a node
//! - `node bench`: what an envelope costs

#![expect(clippy::print_stdout, reason = "standard output is what it is for")]

mod bench;
mod certificates;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::cluster::{Cluster, Identity};
use klatsch_cluster::credentials::Credentials;
use klatsch_cluster::link::{Channel, Handed, Lane, Link, Receive};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::settings::Settings;
use tokio::sync::mpsc;

type Outcome<A> = Result<A, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["certificates", dir, ref names @ ..] => certificates::make(Path::new(dir), names),
        ["run", dir, number, incarnation, name, ref peers @ ..] => {
            let life = Life {
                node: NodeId(number.parse()?),
                incarnation: Incarnation(incarnation.parse()?),
            };
            runtime()?.block_on(run(Path::new(dir), life, name, peers))
        }
        ["bench"] => bench::run(),
        _ => Err("see the head of examples/node/main.rs".into()),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// Says what it hears; of what begins with `#` only how much it was.
#[derive(Default)]
struct Loud {
    counted: AtomicU64,
}

impl Receive for Loud {
    fn receive(&self, from: NodeId, channel: Channel, message: Bytes) {
        if message.starts_with(b"#") {
            self.counted.fetch_add(1, Relaxed);
            return;
        }
        let text = String::from_utf8_lossy(&message);
        println!("got {from} {channel:?} {text}");
    }

    fn missed(&self, from: NodeId) {
        println!("missed {from}");
    }
}

async fn run(dir: &Path, life: Life, name: &str, peers: &[&str]) -> Outcome<()> {
    let settings = Settings {
        listen: "127.0.0.1:0".parse()?,
        peers: peers.iter().map(|peer| (*peer).to_owned()).collect(),
        ..Settings::default()
    };
    let credentials = read(dir, name)?;
    let name = name.to_owned();
    let loud = Arc::new(Loud::default());
    let identity = Identity { life, name };
    let cluster = Cluster::start(settings, identity, &credentials, loud.clone()).await?;
    println!("listening {}", cluster.listening());
    tokio::spawn(tell_members(cluster.clone()));
    let mut lines = commands();
    while let Some(line) = lines.recv().await {
        obey(&cluster, &loud, &line).await?;
    }
    cluster.close().await;
    Ok(())
}

/// The lines of standard input, read by a thread of their own.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
    });
    lines
}

fn read(dir: &Path, name: &str) -> Outcome<Credentials> {
    let text = |file: String| std::fs::read_to_string(dir.join(file));
    Ok(Credentials {
        chain: text(format!("{name}.pem"))?,
        key: text(format!("{name}.key"))?.into(),
        authority: text("authority.pem".to_owned())?,
        secret: text("secret".to_owned())?.into(),
    })
}

async fn tell_members(cluster: Arc<Cluster>) {
    let mut members = cluster.members();
    let mut told = Vec::new();
    loop {
        let others = members.borrow_and_update().others.clone();
        for other in others.iter().filter(|other| !told.contains(*other)) {
            let Life { node, incarnation } = other.life;
            println!("member {node} {} {incarnation}", other.state.as_str());
        }
        told = others;
        if members.changed().await.is_err() {
            return;
        }
    }
}

async fn obey(cluster: &Cluster, loud: &Loud, line: &str) -> Outcome<()> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["send", to, lane, ref text @ ..] => {
            let lane = if lane == "control" {
                Lane::Control
            } else {
                Lane::Bulk
            };
            let message = Bytes::from(text.join(" "));
            let handed = cluster.send(NodeId(to.parse()?), lane, Channel::Mail, message);
            println!("handed {handed:?}");
        }
        ["fill", to, bytes] => fill(cluster, NodeId(to.parse()?), bytes.parse()?),
        ["flood", to, count, bytes] => {
            flood(cluster, NodeId(to.parse()?), count.parse()?, bytes.parse()?).await;
        }
        ["trickle", to, count, bytes] => {
            trickle(cluster, NodeId(to.parse()?), count.parse()?, bytes.parse()?).await;
        }
        ["counted"] => println!("counted {}", loud.counted.load(Relaxed)),
        ["cpu"] => println!("cpu {}", cpu_milliseconds()?),
        ["status"] => println!("status {:?}", cluster.status()),
        ["leave"] => cluster.leave(),
        _ => return Err(format!("what is {line:?}?").into()),
    }
    Ok(())
}

/// Sends until nothing more is taken.
fn fill(cluster: &Cluster, to: NodeId, bytes: usize) {
    let message = counted(bytes);
    let send = || cluster.send(to, Lane::Bulk, Channel::Mail, message.clone());
    let taken = (0..1_000_000)
        .take_while(|_| send() == Handed::Queued)
        .count();
    println!("filled {taken}");
}

/// Sends so many messages, as fast as they are taken.
async fn flood(cluster: &Cluster, to: NodeId, count: usize, bytes: usize) {
    let message = counted(bytes);
    let mut sent = 0;
    while sent < count {
        match cluster.send(to, Lane::Bulk, Channel::Mail, message.clone()) {
            Handed::Queued => sent += 1,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    println!("flooded {sent}");
}

/// Sends so many messages, one each millisecond: none finds company.
async fn trickle(cluster: &Cluster, to: NodeId, count: usize, bytes: usize) {
    let message = counted(bytes);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    for _ in 0..count {
        ticks.tick().await;
        cluster.send(to, Lane::Control, Channel::Mail, message.clone());
    }
    println!("trickled {count}");
}

fn counted(bytes: usize) -> Bytes {
    vec![b'#'; bytes].into()
}

/// The process's CPU time, from the kernel's ticks of 10 ms.
fn cpu_milliseconds() -> Outcome<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no such file as it was")?;
    let ticks = |field: &str| field.parse::<u64>();
    let fields: Vec<&str> = fields.split(' ').collect();
    Ok(10 * (ticks(fields[11])? + ticks(fields[12])?))
}
