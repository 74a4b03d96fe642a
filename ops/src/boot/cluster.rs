//! A server's part in its cluster: its credentials, its number from the store, its link.
//!
//! Leaves out what travels over the link, which is the actors', and discovery, the link's.

use super::Foundation;
use crate::cluster::commands::{ClusterCommands, Nodes, Part};
use crate::cluster::desk::{Desk, Ground};
use crate::cluster::drain::Drain;
use crate::cluster::identity::Identity;
use crate::cluster::joined::Joined;
use crate::cluster::secret::ClusterSecret;
use crate::cluster::status::{NodeStatus, PresenceStatus};
use crate::config::Config;
use crate::error::Error;
use crate::health::Health;
use klatsch_actors::peers::{Inbox, Others};
use klatsch_actors::sessions::Sessions;
use klatsch_cluster::cluster::{self, Cluster};
use klatsch_cluster::link::{Link, Receive};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Store, StoreError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a node that knows of others waits for one before it takes clients all the same:
/// longer than a node that is there takes to answer.
const JOINING_MAX: Duration = Duration::from_secs(10);

/// A node whose clock is further off stamps messages wrongly, and what it says of times is not
/// believed by others.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(60);

/// How soon a node notices that another process runs as itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What makes a server a node.
pub(crate) struct NodeCredentials {
    /// What all nodes share.
    pub(crate) secret: Arc<ClusterSecret>,
    /// Who this one is.
    identity: Arc<Identity>,
}

impl NodeCredentials {
    /// Those of a node, the first of which makes the cluster's secret; nothing for a server
    /// that is alone.
    pub(super) fn load_or_make(config: &Config, data: &Path) -> Result<Option<Self>, Error> {
        if !config.cluster.is_on() {
            return Ok(None);
        }
        let now = SystemTime::now();
        let path = config.cluster.secret_file(data);
        let secret = Arc::new(ClusterSecret::load_or_make(&path, now)?);
        let identity = Identity::make(Arc::clone(&secret), &config.cluster.name(), now)?;
        Ok(Some(Self { secret, identity }))
    }
}

/// A node's part in its cluster.
pub(super) struct Linked {
    link: Arc<Cluster>,
    inbox: Arc<Inbox>,
    desk: Desk,
    advertised: String,
    tasks: Vec<JoinHandle<()>>,
}

/// Takes the node's number and life from the store, and connects it with the others; nothing
/// for a server that is alone.
pub(super) async fn link(foundation: &Foundation, store: &Store) -> Result<Option<Linked>, Error> {
    let Some(credentials) = &foundation.credentials else {
        return Ok(None);
    };
    let config = &foundation.config;
    foundation.health.report("cluster", Some("joining"));
    let life = life(store, &config.cluster.name()).await?;
    let inbox = Inbox::new();
    let identity = cluster::Identity {
        life,
        name: config.cluster.name(),
    };
    let own = credentials.identity.credentials();
    let receiver: Arc<dyn Receive> = Arc::clone(&inbox) as _;
    let link = Cluster::start(config.cluster.settings(), identity, &own, receiver).await?;
    tracing::info!(node = %life.node, incarnation = %life.incarnation, listen = %link.listening(), "part of the cluster");
    let renewing = Arc::clone(&link);
    let renew = Arc::clone(&credentials.identity).keep(move |own| renewing.renew(own));
    let watch = watch(
        Arc::clone(&link),
        foundation.health.clone(),
        config.cluster.knows_others(),
    );
    Ok(Some(Linked {
        desk: desk(foundation, credentials, &link)?,
        advertised: config.cluster.advertise(),
        tasks: vec![tokio::spawn(renew), tokio::spawn(watch)],
        link,
        inbox,
    }))
}

impl Linked {
    /// How the actors reach other nodes, and where what those say comes in.
    pub(super) fn others(&self) -> Others {
        (Arc::clone(&self.link) as _, Arc::clone(&self.inbox))
    }

    /// What operators may ask and order. `end` is set when the server is to stop.
    pub(super) fn commands(
        &self,
        sessions: &Sessions,
        end: watch::Sender<bool>,
    ) -> ClusterCommands {
        let nodes: Arc<dyn Nodes> = Arc::new(Seen {
            sessions: sessions.clone(),
            link: Arc::clone(&self.link),
            advertised: self.advertised.clone(),
        });
        ClusterCommands::new(Some(Part {
            drain: Drain::new(Arc::clone(&nodes), sessions.clone(), end),
            desk: self.desk.clone(),
            sessions: sessions.clone(),
            nodes,
        }))
    }

    /// The others give this node's rooms a home elsewhere.
    pub(super) fn leave(&self) {
        self.link.leave();
    }

    /// Ends the node's part.
    pub(super) async fn close(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.link.close().await;
    }
}

/// The number that the store gives to a node of this name, and a new life.
async fn life(store: &Store, name: &str) -> Result<Life, Error> {
    let lost = |error: StoreError| Error::Store(error.to_string());
    // Order is the store's, but stamps are the nodes': a clock that is wrong shows everywhere.
    if let Some(theirs) = store.clock().await.map_err(lost)? {
        let apart = Duration::from_micros(now().0.abs_diff(theirs.0));
        if apart > CLOCKS_APART_MAX {
            return Err(Error::Refused(format!(
                "the clock here and the store's are {} s apart: set it right first",
                apart.as_secs()
            )));
        }
    }
    let life = store.join(name, now()).await.map_err(lost)?;
    Ok(Life {
        node: NodeId(life.node),
        incarnation: Incarnation(life.incarnation),
    })
}

/// The time, microseconds since 1970.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn desk(
    foundation: &Foundation,
    credentials: &NodeCredentials,
    link: &Arc<Cluster>,
) -> Result<Desk, Error> {
    let config = &foundation.config;
    let addresses = config.cluster.listen.addresses().into_iter();
    let port = config.cluster.join_port;
    let data = foundation.data.path().to_owned();
    let advertised = config.cluster.advertise();
    let link = Arc::clone(link);
    Desk::new(Ground {
        secret: Arc::clone(&credentials.secret),
        identity: Arc::clone(&credentials.identity),
        addresses: addresses.map(|it| SocketAddr::new(it.ip(), port)).collect(),
        host: config.cluster.advertised_host(),
        told: Joined::of(config),
        keep: Box::new(move |told| keep(&data, told, &advertised)),
        is_taken: Box::new(move |name| is_taken(&link, name)),
    })
}

/// Keeps the addresses of nodes that have joined here: this one dials them, too, after its next
/// start.
fn keep(data: &Path, told: &Joined, advertised: &str) -> Result<(), Error> {
    let mut own = Joined::read(data)?.unwrap_or_default();
    let others = told.peers.iter().filter(|peer| *peer != advertised);
    own.peers = others.cloned().collect();
    own.write(data)
}

/// A node that is down may join again, under its name.
fn is_taken(link: &Cluster, name: &str) -> bool {
    let status = link.status();
    let mut others = status.peers.iter();
    status.name == name || others.any(|it| it.name == name && it.state != "down")
}

/// Lets readiness follow: a node that knows of others joins until it reaches one, and must not
/// serve while another process runs as itself.
async fn watch(link: Arc<Cluster>, health: Health, knows_others: bool) {
    if knows_others {
        let mut members = link.members();
        let reached = members.wait_for(|members| members.reachable().next().is_some());
        if timeout(JOINING_MAX, reached).await.is_err() {
            tracing::warn!("no other node answers yet");
        }
    }
    loop {
        let problem = link.status().is_superseded;
        let problem = problem.then_some("another process runs as this node, in a later life");
        health.report("cluster", problem);
        sleep(LOOK_EVERY).await;
    }
}

/// What commands see of link and replicas.
struct Seen {
    sessions: Sessions,
    link: Arc<Cluster>,
    advertised: String,
}

impl Nodes for Seen {
    fn nodes(&self) -> Vec<NodeStatus> {
        NodeStatus::of_link(&self.link.status(), &self.advertised)
    }

    fn presence(&self) -> Option<PresenceStatus> {
        let peers = self.sessions.world().directory.peers()?;
        let status = peers.replica()?.status();
        Some(PresenceStatus::of_replicas(&status))
    }

    fn leave(&self) {
        self.link.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_is_alone_makes_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let made = NodeCredentials::load_or_make(&Config::default(), folder.path()).unwrap();
        assert!(made.is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn first_node_makes_the_secret_from_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config: Config = toml::from_str("[cluster]\nlisten = \"127.0.0.1:0\"\n").unwrap();
        let first = NodeCredentials::load_or_make(&config, folder.path())
            .unwrap()
            .unwrap();
        let again = NodeCredentials::load_or_make(&config, folder.path())
            .unwrap()
            .unwrap();
        assert_eq!(first.secret.secrets(), again.secret.secrets());
    }

    #[test]
    fn node_keeps_the_addresses_of_those_that_joined_and_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let told = Joined {
            peers: vec!["a:1".to_owned(), "b:1".to_owned()],
            domains: vec!["elsewhere.example".to_owned()],
            ..Joined::default()
        };
        keep(folder.path(), &told, "a:1").unwrap();
        let kept = Joined::read(folder.path()).unwrap().unwrap();
        assert_eq!(
            (kept.peers, kept.domains),
            (vec!["b:1".to_owned()], Vec::new())
        );
    }
}
