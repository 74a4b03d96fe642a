//! A node's part in its cluster, from start to end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ractor::Actor;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::credentials::{Credentials, Tls};
use crate::discovery;
use crate::error::ClusterError;
use crate::link::wire::core::Core;
use crate::link::wire::dialler;
use crate::link::wire::keeper::{Arguments, Keeper};
use crate::link::wire::transport::Transport;
use crate::link::{Channel, Handed, Lane, Link, Receive};
use crate::members::Members;
use crate::metrics;
use crate::node_id::{Life, NodeId};
use crate::settings::Settings;
use crate::status::ClusterStatus;

/// How often the others are judged: what is down is known so much later at most.
const LOOK: Duration = Duration::from_millis(250);

/// A node that ends gives its last words this time to arrive.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Who a node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its number and its life, from the store.
    pub life: Life,
    /// What operators call it: the name in its certificate.
    pub name: String,
}

/// A node's part in its cluster.
///
/// A process can have one: ractor's registry, through which nodes find each other's routers, is
/// the process's.
pub struct Cluster {
    core: Arc<Core>,
    transport: Arc<Transport>,
    listen: SocketAddr,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Cluster {
    /// Listens, and looks for the others. What they send goes to `receiver`, on a task of the
    /// link, which must not wait.
    pub async fn start(
        settings: Settings,
        identity: Identity,
        credentials: &Credentials,
        receiver: Arc<dyn Receive>,
    ) -> Result<Arc<Self>, ClusterError> {
        settings.check()?;
        let tls = own_tls(credentials, &identity.name)?;
        let listener = listen(settings.listen).await?;
        let listen = listener
            .local_addr()
            .map_err(|error| ClusterError::Listen {
                address: settings.listen,
                error,
            })?;
        metrics::start();
        let settings = advertised(settings, listen);
        let core = Core::new(identity.life, &identity.name, settings, receiver);
        let core = Arc::new(core);
        let arguments = Arguments {
            core: core.clone(),
            cookie: credentials.cookie()?,
            acceptor: tls.acceptor.clone(),
        };
        let (keeper, _) = Actor::spawn(None, Keeper, arguments).await?;
        let transport = Arc::new(Transport::new(core.clone(), keeper, tls));
        let tasks = start_tasks(&core, &transport, listener, listen.port());
        Ok(Arc::new(Self {
            core,
            transport,
            listen,
            tasks: Mutex::new(tasks),
        }))
    }

    /// Where other nodes connect.
    pub fn listening(&self) -> SocketAddr {
        self.listen
    }

    /// This node stops: the others give its rooms a home elsewhere, and still speak with it.
    pub fn leave(&self) {
        self.core.leave();
    }

    /// Ends the node's part: the others hear that it is gone.
    pub async fn close(&self) {
        self.abort();
        self.core.leave();
        sleep(LAST_WORDS).await;
        let ending = Some(Duration::from_secs(2));
        if self
            .transport
            .keeper
            .stop_and_wait(None, ending)
            .await
            .is_err()
        {
            self.transport.keeper.kill();
        }
    }

    /// Shows these credentials from now on, to whoever connects next.
    pub fn renew(&self, credentials: &Credentials) -> Result<(), ClusterError> {
        self.transport
            .renew(own_tls(credentials, self.core.name())?);
        Ok(())
    }

    /// The cluster as this node sees it, for operators.
    pub fn status(&self) -> ClusterStatus {
        ClusterStatus {
            node: self.core.me().node.0,
            incarnation: self.core.me().incarnation.0,
            name: self.core.name().to_owned(),
            listen: self.listen,
            is_leaving: self.core.members().borrow().is_leaving,
            is_superseded: self.core.is_superseded(),
            peers: self.core.status(),
        }
    }

    fn abort(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.drain(..) {
            task.abort();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.abort();
        self.transport.keeper.stop(None);
    }
}

impl Link for Cluster {
    fn send(&self, to: NodeId, lane: Lane, channel: Channel, message: Bytes) -> Handed {
        self.core.send(to, lane, channel, message)
    }

    fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.core.members()
    }
}

/// The credentials, if they are this node's.
fn own_tls(credentials: &Credentials, name: &str) -> Result<Tls, ClusterError> {
    let tls = credentials.tls()?;
    match *tls.name == *name {
        true => Ok(tls),
        false => Err(ClusterError::Name {
            certificate: tls.name.into(),
            name: name.to_owned(),
        }),
    }
}

/// Where others reach this node, if nobody has said it and that can be known.
fn advertised(settings: Settings, listen: SocketAddr) -> Settings {
    let own = (!listen.ip().is_unspecified()).then(|| listen.to_string());
    Settings {
        advertise: settings.advertise.or(own),
        ..settings
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ClusterError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| ClusterError::Listen { address, error })
}

fn start_tasks(
    core: &Arc<Core>,
    transport: &Arc<Transport>,
    listener: TcpListener,
    port: u16,
) -> Vec<JoinHandle<()>> {
    let (targets, resolving) = discovery::start(core.settings(), port);
    let mut tasks = vec![
        tokio::spawn(transport.clone().listen(listener)),
        tokio::spawn(dialler::follow(transport.clone(), targets)),
        tokio::spawn(dialler::follow_told(transport.clone())),
        tokio::spawn(look(core.clone())),
        tokio::spawn(beat(core.clone())),
    ];
    tasks.extend(resolving);
    tasks
}

/// Judges the others, four times a second.
async fn look(core: Arc<Core>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        core.look();
    }
}

/// Says to all that this node lives.
async fn beat(core: Arc<Core>) {
    let mut ticks = interval(core.settings().heartbeat());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        core.beat();
        core.observe();
    }
}
