//! Serves HTTP/1.1 on an accepted connection, plain or with TLS.
//!
//! Bounds: the header's size and time (row W02); bodies are bounded where they are read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::headers;
use super::requester::Requester;
use crate::listener::{Arrival, Limits, Network, STOP_PATIENCE, Shutdown, Ticket};
use crate::metrics;
use crate::tls::{CertificateStore, HandshakeTurns};

/// How a listener is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

/// What all HTTP listeners share.
pub struct HttpServer {
    /// All paths.
    pub router: Router,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// The certificate of the TLS listener.
    pub certificates: Option<Arc<CertificateStore>>,
    /// Turns at TLS handshakes, shared with the other listeners.
    pub turns: Arc<HandshakeTurns>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// A connection's place, kept alive by each of its requests, so that it outlives an upgrade to
/// WebSocket.
#[derive(Clone)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its Drop")] Arc<Ticket>);

/// Header fields in one request; browsers send about twenty.
const HEADER_FIELDS_MAX: usize = 64;

impl HttpServer {
    /// Serves one connection until it ends; spawn it.
    pub async fn serve(self: Arc<Self>, arrival: Arrival, scheme: Scheme) {
        let Arrival { tcp, peer, ticket } = arrival;
        let place = Place(Arc::new(ticket));
        match scheme {
            Scheme::Http => self.serve_on(tcp, peer, scheme, place).await,
            Scheme::Https => {
                let Some(store) = &self.certificates else {
                    return;
                };
                let acceptor = TlsAcceptor::from(Arc::clone(&store.current().http));
                let deadline = self.limits.tls_handshake_timeout;
                match tokio::time::timeout(deadline, self.turns.take(acceptor.accept(tcp))).await {
                    Ok(Ok(tls)) => {
                        metrics::tls_handshake("done");
                        self.serve_on(tls, peer, scheme, place).await;
                    }
                    Ok(Err(_)) => metrics::tls_handshake("failed"),
                    Err(_) => metrics::tls_handshake("timeout"),
                }
            }
        }
    }

    async fn serve_on<S>(&self, stream: S, peer: SocketAddr, scheme: Scheme, place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = TowerToHyperService::new(self.router.clone());
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            let proxies = &self.trusted_proxies;
            let requester = Requester::of(peer.ip(), scheme, request.headers(), proxies);
            request.extensions_mut().insert(requester);
            request.extensions_mut().insert(place.clone());
            let answer = router.call(request);
            async {
                let mut response = answer.await?;
                headers::secure(&mut response);
                metrics::http_answer(response.status().as_u16());
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = builder(&self.limits).serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let mut shutdown = self.shutdown.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.triggered() => {
                connection.as_mut().graceful_shutdown();
                // What is being answered is answered; who does not read it has had a second.
                let patience = self.limits.close_timeout.min(STOP_PATIENCE);
                tokio::time::timeout(patience, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %peer, error = %error, "HTTP connection ended");
        }
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    // hyper refuses to work with less than 8 KiB.
    let header_bytes = limits.http_header_bytes_max.max(8 * 1024);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Also how long an idle connection is kept.
        .header_read_timeout(limits.http_header_timeout.max(Duration::from_millis(1)))
        .max_buf_size(header_bytes)
        .max_headers(HEADER_FIELDS_MAX)
        .half_close(false);
    builder
}
