//! The listeners a server opens, and what stands behind each.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http::{HttpServer, Scheme};
use crate::listener::{Admission, Arrival, accept_loop};
use crate::xmpp::ClientGateway;
use crate::xmpp::c2s::{self, Mode};
use crate::xmpp::component::{self, ComponentGateway};

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// XMPP clients, with STARTTLS.
    C2s,
    /// XMPP clients, with direct TLS.
    C2sTls,
    /// External components.
    Component,
    /// HTTP and WebSocket, plain.
    Http,
    /// HTTP and WebSocket, with TLS.
    Https,
}

/// All gateways of a node.
#[derive(Clone)]
pub struct Gateways {
    /// Clients that speak XMPP, over TCP and WebSocket.
    pub clients: Arc<ClientGateway>,
    /// Programs that serve hosts of their own.
    pub components: Arc<ComponentGateway>,
    /// Everything that speaks HTTP.
    pub http: Arc<HttpServer>,
    /// Who may connect.
    pub admission: Arc<Admission>,
}

/// How often a server that stops looks whether its connections are gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

impl Gateways {
    /// Serves a listening socket until shutdown.
    pub fn open(&self, door: Door, listener: TcpListener) -> JoinHandle<()> {
        let admission = Arc::clone(&self.admission);
        let shutdown = self.clients.shutdown.clone();
        let gateways = self.clone();
        let serve = move |arrival| gateways.serve(door, arrival);
        tokio::spawn(accept_loop(
            listener,
            door.name(),
            admission,
            shutdown,
            serve,
        ))
    }

    /// Waits until every connection is closed, at most this long; tells whether they are.
    pub async fn drained(&self, patience: Duration) -> bool {
        let gone = async {
            while self.admission.connections() > 0 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        tokio::time::timeout(patience, gone).await.is_ok()
    }

    fn serve(&self, door: Door, arrival: Arrival) {
        let (clients, http) = (Arc::clone(&self.clients), Arc::clone(&self.http));
        // The task ends with its connection; nobody waits for it.
        let _task = match door {
            Door::C2s => tokio::spawn(c2s::serve(clients, arrival, Mode::StartTls)),
            Door::C2sTls => tokio::spawn(c2s::serve(clients, arrival, Mode::DirectTls)),
            Door::Component => {
                tokio::spawn(component::serve(Arc::clone(&self.components), arrival))
            }
            Door::Http => tokio::spawn(http.serve(arrival, Scheme::Http)),
            Door::Https => tokio::spawn(http.serve(arrival, Scheme::Https)),
        };
    }
}

impl Door {
    /// The name in metrics and logs, which is also the key in `[listen]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::C2s => "c2s",
            Self::C2sTls => "c2s_tls",
            Self::Component => "component",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
