//! The link's actors, and who restarts whom.
//!
//! ```text
//! keeper ── router            restarted
//!        └─ NodeServer        restarted
//!             └─ sessions     not restarted: nodes dial again
//! ```
//!
//! When one of the two fails, both begin anew and all connections end: the other nodes dial
//! again, and everybody compares what has been missed. ractor_cluster's own listener is not
//! used; it stands on loopback and wants a certificate of the cluster like ours. Whatever comes
//! in by it is no connection of ours and is stopped.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::node::NodeServerSessionInformation;
use ractor_cluster::{
    ClusterBidiStream, IncomingEncryptionMode, NodeEventSubscription, NodeServer, NodeServerMessage,
};
use tokio_rustls::TlsAcceptor;

use super::batch::FRAME_BYTES_MAX;
use super::connection::Connection;
use super::core::Core;
use super::router::{self, Router, RouterMsg};
use crate::metrics;

/// When the actors do not start again, it is tried again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Keeps the link's actors running.
pub(crate) struct Keeper;

/// What the keeper is started with.
pub(crate) struct Arguments {
    pub(crate) core: Arc<Core>,
    /// What nodes prove to each other that they know.
    pub(crate) cookie: String,
    /// For ractor_cluster's own listener.
    pub(crate) acceptor: TlsAcceptor,
}

/// Mail of the keeper.
pub(crate) enum KeeperMsg {
    /// A connection has been agreed on.
    Open {
        connection: Arc<Connection>,
        stream: Box<dyn ClusterBidiStream>,
        is_dialled: bool,
    },
    /// The actors are to be started again.
    Restart,
}

impl ractor::Message for KeeperMsg {}

/// What the keeper keeps.
pub(crate) struct Kept {
    plan: Arguments,
    running: Option<(ActorRef<NodeServerMessage>, ActorRef<RouterMsg>)>,
}

impl Actor for Keeper {
    type Msg = KeeperMsg;
    type State = Kept;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<KeeperMsg>,
        plan: Arguments,
    ) -> Result<Kept, ActorProcessingErr> {
        let mut kept = Kept {
            plan,
            running: None,
        };
        kept.start(me.get_cell()).await?;
        Ok(kept)
    }

    async fn handle(
        &self,
        me: ActorRef<KeeperMsg>,
        message: KeeperMsg,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            KeeperMsg::Open {
                connection,
                stream,
                is_dialled,
            } => kept.open(&connection, stream, is_dialled),
            KeeperMsg::Restart => {
                if let Err(error) = kept.start(me.get_cell()).await {
                    tracing::error!(error = %error, "the cluster link does not start again");
                    me.send_after(TRY_AGAIN, || KeeperMsg::Restart);
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<KeeperMsg>,
        event: SupervisionEvent,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        let (who, error) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, why) => (who, why.unwrap_or_default()),
            _ => return Ok(()),
        };
        if kept.is_mine(&who) {
            tracing::error!(error, "the cluster link has failed and starts again");
            metrics::restarted();
            kept.stop();
            me.cast(KeeperMsg::Restart)?;
        }
        Ok(())
    }
}

impl Kept {
    async fn start(&mut self, me: ActorCell) -> Result<(), ActorProcessingErr> {
        let core = self.plan.core.clone();
        let (router, _) = Actor::spawn_linked(None, Router, core.clone(), me.clone()).await?;
        let server = Actor::spawn_linked(None, self.node_server(), (), me).await;
        // A router without a server would be a second one when it is tried again.
        let (server, _) = server.inspect_err(|_| router.stop(None))?;
        server.cast(NodeServerMessage::SubscribeToEvents {
            id: "link".to_owned(),
            subscription: Box::new(Events(core)),
        })?;
        self.running = Some((server, router));
        Ok(())
    }

    fn node_server(&self) -> NodeServer {
        let me = self.plan.core.me();
        // The incarnation is part of the name, so that a life never competes with an earlier one.
        NodeServer::new(
            0,
            self.plan.cookie.clone(),
            format!("{}.{}", me.node, me.incarnation),
            "klatsch".to_owned(),
            Some(IncomingEncryptionMode::Tls(self.plan.acceptor.clone())),
            Some(ractor_cluster::node::NodeConnectionMode::Isolated),
        )
        .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .with_max_inbound_frame_size(FRAME_BYTES_MAX as u64)
    }

    fn open(
        &self,
        connection: &Arc<Connection>,
        stream: Box<dyn ClusterBidiStream>,
        is_dialled: bool,
    ) {
        let opening = NodeServerMessage::ConnectionOpenedExternal {
            stream,
            is_server: !is_dialled,
        };
        let server = self.running.as_ref().map(|(server, _)| server);
        if server.is_none_or(|server| server.cast(opening).is_err()) {
            self.plan.core.ended(connection);
        }
    }

    fn is_mine(&self, who: &ActorCell) -> bool {
        self.running.as_ref().is_some_and(|(server, router)| {
            [server.get_id(), router.get_id()].contains(&who.get_id())
        })
    }

    fn stop(&mut self) {
        if let Some((server, router)) = self.running.take() {
            server.stop(None);
            router.stop(None);
        }
        for connection in self.plan.core.connections() {
            connection.stop();
            self.plan.core.ended(&connection);
        }
    }
}

/// What ractor_cluster tells of its sessions. The label of a session's stream is the number of
/// our connection.
struct Events(Arc<Core>);

impl Events {
    fn connection(&self, session: &NodeServerSessionInformation) -> Option<Arc<Connection>> {
        let id = session.peer_addr.parse().ok()?;
        self.0.connection(id)
    }
}

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, session: NodeServerSessionInformation) {
        match self.connection(&session) {
            Some(connection) => connection.began(session.actor),
            None => session.actor.stop(None),
        }
    }

    fn node_session_authenticated(&self, _session: NodeServerSessionInformation) {}

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        let Some(connection) = self.connection(&session) else {
            return;
        };
        match router::find(session.node_id) {
            Some(router) => self.0.ready(&connection, router),
            None => {
                tracing::error!(node = %connection.life.node, "a node without a router");
                connection.stop();
            }
        }
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        if let Some(connection) = self.connection(&session) {
            self.0.ended(&connection);
        }
    }
}
