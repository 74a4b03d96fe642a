//! Clients over WebSocket: RFC 7395 on `/xmpp-websocket`.
//!
//! TLS is the transport's: a plain WebSocket is taken from this very machine or behind a
//! trusted proxy that says https, where its bytes cross no network, and from nowhere else;
//! such a stream counts as encrypted, whatever `c2s.require_tls` says, since there is no
//! STARTTLS by which it could become so (§3.9).
//! Leaves out: permessage-deflate (row W05), and channel bindings, which browsers cannot use.

mod frames;
mod handshake;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use klatsch_actors::session::{Detach, Peer, Sink};
use klatsch_actors::strain::Strain;
use klatsch_protocol::sasl::ChannelBindings;
use klatsch_protocol::stanza::StreamError;
use klatsch_protocol::stream::websocket::{SUBPROTOCOL, is_close};
use klatsch_protocol::stream::{Event, TlsState, Transport as Carrier};
use klatsch_protocol::xml::{Fragment, Limits as XmlLimits, Token, XmlError, parse_fragment};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::frames::{Frame, Frames};
use super::ClientGateway;
use super::negotiation::{Negotiation, Step, Transport};
use super::outbox::Outbox;
use crate::hold::Hold;
use crate::http::{Place, Requester, come_back_later};
use crate::metrics;
use crate::pace::{Pace, is_stanza};

/// Where the endpoint is.
pub const PATH: &str = "/xmpp-websocket";

const TRANSPORT: &str = "websocket";

/// The endpoint and what it needs.
pub struct WebSocketGateway {
    /// What all client connections share.
    pub clients: Arc<ClientGateway>,
    /// Origins whose pages may connect, besides the endpoint's own host.
    pub allowed_origins: Vec<String>,
}

/// The route to merge into the HTTP server's.
pub fn router(gateway: Arc<WebSocketGateway>) -> Router {
    Router::new().route(PATH, get(upgrade)).with_state(gateway)
}

async fn upgrade(
    State(gateway): State<Arc<WebSocketGateway>>,
    Extension(requester): Extension<Requester>,
    Extension(place): Extension<Place>,
    mut request: Request,
) -> Response {
    let accept = match handshake::check(request.headers(), requester, &gateway.allowed_origins) {
        Ok(accept) => accept,
        Err(refusal) => return refusal.into_response(),
    };
    if gateway.clients.sessions.strain().refuses_sessions() {
        return come_back_later().into_response();
    }
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    tokio::spawn(serve(
        Arc::clone(&gateway.clients),
        requester,
        place,
        upgrade,
    ));
    let headers = [
        (CONNECTION, "upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
        (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Serves one client until its connection ends.
async fn serve(
    gateway: Arc<ClientGateway>,
    requester: Requester,
    place: Place,
    upgrade: OnUpgrade,
) {
    let _place = place;
    let Ok(Ok(stream)) = timeout(gateway.limits.http_header_timeout, upgrade).await else {
        return;
    };
    let _open = metrics::Open::new(TRANSPORT);
    let strain = gateway.sessions.strain();
    let outbox = Arc::new(Outbox::new(
        Carrier::WebSocket,
        requester.address,
        &gateway.limits,
        Arc::clone(&strain),
    ));
    let frames = Frames::new(TokioIo::new(stream), Arc::clone(&outbox), &gateway.limits).await;
    let mut connection = Connection {
        frames,
        outbox,
        limits: XmlLimits::BEFORE_LOGIN,
        pace: None,
        strain,
    };
    // Boxed, so that the memory of a negotiation goes when it is over.
    let negotiated = Box::pin(connection.negotiate(&gateway, requester)).await;
    if let Some(hold) = negotiated {
        let now = Instant::now().into_std();
        connection.pace = Pace::of(&gateway.limits, requester.address, TRANSPORT, now);
        let how = connection.converse(&hold).await.unwrap_or(Detach::Lost);
        hold.release(how);
        if how == Detach::Closed {
            connection.hear_out(gateway.limits.close_timeout).await;
        }
    }
    // What waits is sent, then the WebSocket is closed (RFC 7395 §3.6.1).
    let patience = gateway.limits.close_timeout;
    if !matches!(
        timeout(
            connection.strain.closing_patience(patience),
            connection.frames.send_the_rest()
        )
        .await,
        Ok(Ok(()))
    ) {
        return;
    }
    let mut shutdown = gateway.shutdown.clone();
    tokio::select! {
        () = connection.frames.read_the_rest() => {}
        () = shutdown.closing_is_over(patience) => {}
    }
}

/// A client's WebSocket.
struct Connection<S> {
    frames: Frames<S>,
    outbox: Arc<Outbox>,
    limits: XmlLimits,
    /// How fast it may go on once it is bound.
    pace: Option<Box<Pace>>,
    strain: Arc<Strain>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Brings a client to its session within the absolute deadline (row X13).
    async fn negotiate(&mut self, gateway: &Arc<ClientGateway>, from: Requester) -> Option<Hold> {
        let deadline = Instant::now() + gateway.limits.negotiation_timeout;
        // What is not encrypted comes from this very machine, or there would be no handshake; a
        // password is not sent in the clear there either (row A05).
        let tls = match from.encrypted {
            true => TlsState::Active,
            false => TlsState::Off,
        };
        let settings = gateway.stream_settings(Carrier::WebSocket, tls, from.secure);
        let peer = Peer {
            address: from.address,
            is_secure: from.secure,
            proved: std::time::Instant::now(),
        };
        let side = Side {
            outbox: Arc::clone(&self.outbox),
            is_logged_in: false,
        };
        let mut negotiation = Negotiation::new(Arc::clone(gateway), settings, side, peer);
        let mut shutdown = gateway.shutdown.clone();
        let last_event = tokio::select! {
            outcome = timeout_at(deadline, self.reach_session(&mut negotiation, gateway)) => {
                match outcome {
                    Ok(outcome) => return outcome.ok().flatten(),
                    Err(_) => Event::TimedOut,
                }
            }
            () = shutdown.triggered() => Event::ShuttingDown,
        };
        // The machine writes why and closes; there is nothing to wait for.
        let _ = negotiation.handle(last_event).await;
        None
    }

    async fn reach_session(
        &mut self,
        negotiation: &mut Negotiation<Side>,
        gateway: &ClientGateway,
    ) -> io::Result<Option<Hold>> {
        loop {
            let event = match self.frames.next().await? {
                Frame::Text(text) => match parse_fragment(text.as_bytes(), &self.limits) {
                    Ok(fragment) => Event::Token(Token::Fragment(fragment)),
                    Err(error) => Event::Broken(error),
                },
                Frame::Drained => continue,
                // A frame beyond the bound of all messages is one beyond the stanza's, too.
                Frame::TooLarge => Event::Broken(XmlError::TooLarge("message")),
                Frame::End | Frame::Closing => return Ok(None),
            };
            let step = negotiation.handle(event).await?;
            if negotiation.transport.is_logged_in {
                let stanza_bytes = gateway.limits.stanza_bytes_max;
                self.limits = XmlLimits {
                    stanza_bytes,
                    ..XmlLimits::AFTER_LOGIN
                };
            }
            match step {
                Step::GoOn => {}
                Step::Bound(hold) => return Ok(Some(hold)),
                Step::Closed => return Ok(None),
            }
        }
    }

    /// Carries what the client says to its session, until one of them ends.
    async fn converse(&mut self, hold: &Hold) -> io::Result<Detach> {
        let session = hold.session();
        loop {
            let fragment = match self.frames.next().await? {
                Frame::Text(text) => match parse_fragment(text.as_bytes(), &self.limits) {
                    Ok(fragment) => {
                        self.count(text.len(), &fragment);
                        fragment
                    }
                    Err(error) => return Ok(self.refuse(error)),
                },
                Frame::Drained => {
                    session.writable();
                    continue;
                }
                Frame::TooLarge => return Ok(self.refuse(XmlError::TooLarge("message"))),
                Frame::End | Frame::Closing => return Ok(Detach::Lost),
            };
            if let Some(ended) = self.hand_over(fragment, hold).await? {
                return Ok(ended);
            }
        }
    }

    async fn hand_over(&mut self, fragment: Fragment, hold: &Hold) -> io::Result<Option<Detach>> {
        if is_close(&fragment) {
            return Ok(Some(Detach::Closed));
        }
        let session = hold.session();
        if !self.keep_pace(hold).await? || !self.rest(hold).await? {
            return Ok(Some(Detach::Lost));
        }
        let inbound = session.inbound(fragment);
        let taken = self
            .frames
            .send_while(inbound, || session.writable())
            .await?;
        Ok((!taken).then_some(Detach::Lost))
    }

    /// A client that has closed its stream may still be told what becomes of what it has sent:
    /// its session answers the `<close/>` (RFC 7395 §3.6) when all that is dealt with.
    async fn hear_out(&mut self, patience: Duration) {
        let _ = self.frames.send_until_closing(sleep(patience), || ()).await;
        self.outbox.close(None);
    }

    fn count(&mut self, bytes: usize, fragment: &Fragment) {
        let Some(pace) = &mut self.pace else { return };
        pace.count_bytes(bytes);
        if is_stanza(fragment.name()) {
            pace.count_stanza();
        }
    }

    /// Waits while the client is too fast, sending what waits for it; false: the connection is
    /// to close.
    async fn keep_pace(&mut self, hold: &Hold) -> io::Result<bool> {
        let Some(pace) = &mut self.pace else {
            return Ok(true);
        };
        while let Some(wait) = pace.wait(|| Instant::now().into_std()) {
            let waited = self
                .frames
                .send_until_closing(sleep(wait), || hold.session().writable());
            if waited.await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rests while the node is short of memory, sending what waits; false: the connection is to
    /// close.
    async fn rest(&mut self, hold: &Hold) -> io::Result<bool> {
        let Some(rest) = self.strain.reader_rest() else {
            return Ok(true);
        };
        let rested = self
            .frames
            .send_until_closing(sleep(rest), || hold.session().writable());
        Ok(rested.await?.is_some())
    }

    /// A client that breaks the rules of XML ends its session: resuming would bring the same
    /// again.
    fn refuse(&self, error: XmlError) -> Detach {
        self.outbox.close(Some(StreamError::new(error.condition())));
        Detach::Closed
    }
}

/// The WebSocket side of a negotiation.
struct Side {
    outbox: Arc<Outbox>,
    is_logged_in: bool,
}

impl Transport for Side {
    fn write(&mut self, bytes: &[u8]) {
        self.outbox.push(bytes);
    }

    async fn start_tls(&mut self) -> io::Result<Option<ChannelBindings>> {
        // §3.9: never offered, so never asked for.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn logged_in(&mut self, _is_restarted: bool) {
        self.is_logged_in = true;
    }

    fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.outbox) as Arc<dyn Sink>
    }
}
