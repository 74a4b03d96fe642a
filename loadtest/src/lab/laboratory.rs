//! The nodes of a run with what they stand on, started in order and taken down in the reverse one.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::command::{is_there, run, word};
use super::network::{Network, Place};
use super::node::{Common, Node, make_secret, target_of};
use super::people;
use super::postgres::Postgres;
use crate::error::{LoadError, Result};
use crate::options::{Target, Tls};
use crate::report::{say, usage_of};
use crate::scenario::fleet::circle::Circle;

/// The domain of the accounts; nobody looks it up.
const DOMAIN: &str = "chaos.example";

/// How long nodes may take to find each other.
const FORM_MAX: Duration = Duration::from_secs(60);

/// How long the accounts may take: each costs the derivation of its keys.
const IMPORT_SECONDS: u32 = 300;

/// Where PostgreSQL listens in its own namespace.
const POSTGRES_PORT: u16 = 5432;

/// What a laboratory is made of. Fields are dropped in this order.
pub(crate) struct Laboratory {
    /// The nodes, by their numbers less one.
    pub(crate) nodes: Vec<Node>,
    /// The store, where it is one of its own.
    pub(crate) postgres: Option<Postgres>,
    /// The network, where there is one.
    pub(crate) network: Option<Network>,
    /// Where clients connect.
    pub(crate) targets: Vec<Arc<Target>>,
    _folder: Folder,
}

/// The run's folder, removed at the end unless it is to be kept.
struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed is left to whoever cleans the temporary folder.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// What nodes stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A PostgreSQL that the run starts.
    Postgres,
    /// The node's own file; for one node alone.
    Sqlite,
}

/// What is built.
#[derive(Args, Clone, Debug)]
pub(crate) struct LaboratoryOptions {
    /// The program under test; by default the klatsch beside this one
    #[arg(long, value_name = "FILE")]
    klatsch: Option<PathBuf>,
    /// Nodes
    #[arg(long, default_value_t = 3)]
    pub(crate) nodes: u32,
    /// What they stand on
    #[arg(long, value_enum, default_value = "postgres")]
    store: Store,
    /// Folder that keeps data and logs in one for each run; by default they are removed
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

impl LaboratoryOptions {
    /// The store's word of the command line.
    pub(crate) fn store_name(&self) -> String {
        let value = self.store.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(LoadError::Usage(what.into()));
        if !(1..=99).contains(&self.nodes) {
            return refuse("between 1 and 99 nodes");
        }
        if self.nodes > 1 && self.store == Store::Sqlite {
            return refuse("several nodes share a PostgreSQL: --store postgres");
        }
        Ok(())
    }
}

/// What clients know of every node, but for its address.
pub(crate) fn target(step_seconds: u64) -> Target {
    Target {
        host: String::new(),
        port: 0,
        tls: Tls::Direct,
        domain: DOMAIN.into(),
        prefix: "user".into(),
        password: "a chaos pass phrase".into(),
        mechanism: "SCRAM-SHA-1".into(),
        timeout: step_seconds,
    }
}

/// The host of the rooms.
pub(crate) fn rooms_host() -> String {
    format!("conference.{DOMAIN}")
}

/// Does something that SIGINT and SIGTERM end, so that what it has built is taken down.
pub(crate) async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let interrupted = || Err(LoadError::Usage("interrupted".into()));
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => interrupted(),
        _ = terminate.recv() => interrupted(),
    }
}

/// The klatsch that was built together with this program.
fn beside() -> Result<PathBuf> {
    let mine = std::env::current_exe()?;
    let folder = mine.parent().unwrap_or(Path::new("."));
    let klatsch = folder.join("klatsch");
    match klatsch.is_file() {
        true => Ok(klatsch),
        false => Err(LoadError::Usage(format!(
            "no klatsch in {}: --klatsch FILE",
            folder.display()
        ))),
    }
}

/// Whether this machine and user can make network namespaces.
fn has_namespaces() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let has_programs = ["ip", "nft", "ss"].iter().all(|program| is_there(program));
    is_root && has_programs && run(&["unshare", "--net", "true"]).is_ok()
}

impl Laboratory {
    /// Builds network and store, starts the nodes, and makes the accounts.
    pub(crate) async fn open(
        options: &LaboratoryOptions,
        target: &Target,
        circle: &Circle,
    ) -> Result<Self> {
        options.check()?;
        let temporary = || std::env::temp_dir().join(format!("klatsch-lab-{}", std::process::id()));
        let path = options.work.clone().unwrap_or_else(temporary);
        fs::create_dir_all(&path)?;
        let folder = Folder {
            path: path.clone(),
            is_kept: options.work.is_some(),
        };
        let klatsch = options.klatsch.clone().map_or_else(beside, Ok)?;
        let (mut laboratory, common) = Self::lay_out(options, target, klatsch, folder)?;
        if options.nodes > 1 {
            make_secret(&common)?;
        }
        laboratory.add_node(&common).await?;
        let file = path.join("people.xml");
        fs::write(&file, people::file(target, circle))?;
        let import = ["import", &word(&file)];
        laboratory.nodes[0].command(IMPORT_SECONDS, &import)?;
        while (laboratory.nodes.len() as u32) < options.nodes {
            laboratory.add_node(&common).await?;
        }
        laboratory.formed().await?;
        Ok(laboratory)
    }

    /// Builds network and store.
    fn lay_out(
        options: &LaboratoryOptions,
        target: &Target,
        klatsch: PathBuf,
        folder: Folder,
    ) -> Result<(Self, Arc<Common>)> {
        let network = match has_namespaces() {
            true => Some(Network::set_up(options.nodes)?),
            false if options.nodes == 1 => None,
            false => {
                return Err(LoadError::Usage(
                    "several nodes need network namespaces: root, ip, nft and ss".into(),
                ));
            }
        };
        let postgres = match options.store {
            Store::Postgres => Some(start_postgres(&folder.path, network.as_ref())?),
            Store::Sqlite => None,
        };
        let addresses = (1..=options.nodes).map(|number| match &network {
            Some(network) => network.address(Place::Node(number)),
            None => "127.0.0.1".into(),
        });
        let url = postgres.as_ref().map(Postgres::url);
        let trusted = network.as_ref().map(Network::everybody);
        let common = Arc::new(Common {
            klatsch,
            folder: folder.path.clone(),
            domain: target.domain.clone(),
            store: url.unwrap_or_else(|| "sqlite:klatsch.db".into()),
            trusted: trusted.unwrap_or_else(|| "::1/128".into()),
            addresses: addresses.collect(),
        });
        let targets = common.addresses.iter();
        let targets = targets.map(|address| Arc::new(target_of(target, address)));
        let laboratory = Self {
            nodes: Vec::new(),
            postgres,
            network,
            targets: targets.collect(),
            _folder: folder,
        };
        Ok((laboratory, common))
    }

    /// Starts the next node and waits until it answers.
    async fn add_node(&mut self, common: &Arc<Common>) -> Result<()> {
        let number = self.nodes.len() as u32 + 1;
        let network = self.network.as_ref();
        let at = network.map(|network| network.at(Place::Node(number)));
        let node = Node::start(number, common, at.unwrap_or_default())?;
        self.nodes.push(node);
        let target = &self.targets[number as usize - 1];
        let node = &mut self.nodes[number as usize - 1];
        let after_ms = node.server.ready(target).await?;
        say(&format!("node {number} answers after {after_ms} ms"));
        Ok(())
    }

    /// Waits until every node sees every other.
    async fn formed(&self) -> Result<()> {
        let others = self.nodes.len() - 1;
        let deadline = Instant::now() + FORM_MAX;
        for node in &self.nodes {
            while others > 0 && node.others_up()? < others {
                if Instant::now() > deadline {
                    return Err(LoadError::Timeout("the nodes do not find each other"));
                }
                sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    /// A node by its number.
    pub(crate) fn node(&mut self, number: u32) -> &mut Node {
        &mut self.nodes[number as usize - 1]
    }

    /// The largest resident memory of a node, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let usages = self.nodes.iter().map(|node| usage_of([node.server.pid()]));
        let resident = usages.flatten().map(|usage| usage.resident_kib);
        resident.max().unwrap_or(0)
    }

    /// Starts a node again that has ended, and waits until it answers.
    pub(crate) async fn restart(&mut self, number: u32) -> Result<()> {
        let target = Arc::clone(&self.targets[number as usize - 1]);
        let server = &mut self.node(number).server;
        server.restart()?;
        server.ready(&target).await.map(drop)
    }
}

/// In its own namespace, or on a free port of loopback.
fn start_postgres(folder: &Path, network: Option<&Network>) -> Result<Postgres> {
    let folder = folder.join("postgres");
    match network {
        Some(network) => {
            let (at, address) = (network.at(Place::Store), network.address(Place::Store));
            Postgres::set_up(&folder, &at, &address, POSTGRES_PORT)
        }
        None => {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            Postgres::set_up(&folder, &[], "127.0.0.1", port)
        }
    }
}
