//! Clients over TCP: RFC 6120, with STARTTLS (§5) or direct TLS (XEP-0368 version 1.1.0).
//!
//! One task a connection. It reads, hands fragments to the session and waits while the session
//! has enough to do, so that a client that floods is read no faster than it is served.
//! Leaves out: what stanzas mean.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use klatsch_actors::session::{Detach, Peer, Sink};
use klatsch_actors::strain::Strain;
use klatsch_protocol::sasl::ChannelBindings;
use klatsch_protocol::stanza::StreamError;
use klatsch_protocol::stream::{Event, TlsState, Transport as Carrier};
use klatsch_protocol::xml::{Limits as XmlLimits, Token, Tokenizer, XmlError};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::ClientGateway;
use super::negotiation::{Negotiation, Step, Transport};
use super::socket::{Connection, Received, Wake};
use crate::hold::Hold;
use crate::listener::Arrival;
use crate::metrics;
use crate::pace::{Pace, is_stanza};

const TRANSPORT: &str = "tcp";

/// How TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// When the client asks for it.
    StartTls,
    /// With the first byte.
    DirectTls,
}

/// Serves one client until its connection ends; spawn it.
pub async fn serve(gateway: Arc<ClientGateway>, arrival: Arrival, mode: Mode) {
    let Arrival { tcp, peer, ticket } = arrival;
    let _ticket = ticket;
    let _open = metrics::Open::new(TRANSPORT);
    let is_local = tcp
        .local_addr()
        .is_ok_and(|local| local.ip().to_canonical().is_loopback());
    let strain = gateway.sessions.strain();
    let connection = Connection::new(tcp, peer, &gateway.limits, Arc::clone(&strain));
    let connection = Arc::new(connection);
    // Boxed, so that the memory of a negotiation goes when it is over.
    let negotiated = Box::pin(negotiate(&gateway, &connection, mode, is_local)).await;
    if let Some((hold, tokenizer)) = negotiated {
        let now = Instant::now().into_std();
        let mut reader = Reader {
            connection: &connection,
            tokenizer,
            pace: Pace::of(&gateway.limits, peer.ip(), TRANSPORT, now),
            strain: &strain,
        };
        let how = match reader.converse(&hold).await {
            Ok(how) => how,
            Err(error) => {
                tracing::debug!(peer = %peer, error = %error, "connection lost");
                Detach::Lost
            }
        };
        hold.release(how);
        if how == Detach::Closed {
            hear_out(&connection, gateway.limits.close_timeout).await;
        }
    }
    let patience = gateway.limits.close_timeout;
    let mut shutdown = gateway.shutdown.clone();
    let enough = shutdown.closing_is_over(patience);
    connection
        .finish(strain.closing_patience(patience), enough)
        .await;
}

/// A client that has closed its stream may still be told what becomes of what it has sent: its
/// session answers the footer when all that is dealt with (RFC 6120 §4.4), or nobody does.
async fn hear_out(connection: &Connection, patience: Duration) {
    let _ = connection.flush_until_closing(sleep(patience), || ()).await;
    Sink::close(connection, None);
}

/// Brings a client to its session within the absolute deadline (row X13).
async fn negotiate(
    gateway: &Arc<ClientGateway>,
    connection: &Arc<Connection>,
    mode: Mode,
    is_local: bool,
) -> Option<(Hold, Tokenizer)> {
    let deadline = Instant::now() + gateway.limits.negotiation_timeout;
    let settings = gateway.stream_settings(Carrier::Tcp, tls_state(gateway, mode), is_local);
    let address = connection.peer().ip().to_canonical();
    let peer = Peer {
        address,
        is_secure: address.is_loopback(),
        proved: std::time::Instant::now(),
    };
    let transport = Tcp {
        connection: Arc::clone(connection),
        tokenizer: Tokenizer::new(XmlLimits::BEFORE_LOGIN),
        gateway: Arc::clone(gateway),
    };
    let mut negotiation = Negotiation::new(Arc::clone(gateway), settings, transport, peer);
    let mut shutdown = gateway.shutdown.clone();
    let last_event = tokio::select! {
        outcome = timeout_at(deadline, reach_session(&mut negotiation, mode)) => match outcome {
            Ok(Ok(Some(hold))) => return Some((hold, negotiation.transport.tokenizer)),
            Ok(Ok(None)) => return None,
            Ok(Err(error)) => {
                tracing::debug!(peer = %address, error = %error, "negotiation failed");
                return None;
            }
            Err(_) => Event::TimedOut,
        },
        () = shutdown.triggered() => Event::ShuttingDown,
    };
    // The machine writes why and closes; there is nothing to wait for.
    let _ = negotiation.handle(last_event).await;
    None
}

fn tls_state(gateway: &ClientGateway, mode: Mode) -> TlsState {
    match (mode, &gateway.certificates) {
        (Mode::DirectTls, _) => TlsState::Active,
        (Mode::StartTls, Some(_)) => TlsState::Offered,
        (Mode::StartTls, None) => TlsState::Off,
    }
}

async fn reach_session(negotiation: &mut Negotiation<Tcp>, mode: Mode) -> io::Result<Option<Hold>> {
    if mode == Mode::DirectTls {
        let Some(bindings) = negotiation.transport.start_tls().await? else {
            return Ok(None);
        };
        negotiation.encrypted();
        negotiation.handle(Event::TlsStarted(bindings)).await?;
    }
    let connection = Arc::clone(&negotiation.transport.connection);
    loop {
        match connection.wake().await? {
            Wake::Drained => continue,
            Wake::Closing => return Ok(None),
            Wake::Readable => {}
        }
        loop {
            let received =
                connection.receive_into(&mut negotiation.transport.tokenizer, TRANSPORT)?;
            while let Some(event) = next_event(&mut negotiation.transport.tokenizer) {
                match negotiation.handle(event).await? {
                    Step::GoOn => {}
                    Step::Bound(hold) => return Ok(Some(hold)),
                    Step::Closed => return Ok(None),
                }
            }
            match received {
                Received::Bytes(_) => {}
                Received::Nothing => break,
                Received::End => return Ok(None),
            }
        }
    }
}

fn next_event(tokenizer: &mut Tokenizer) -> Option<Event> {
    match tokenizer.next() {
        Ok(token) => token.map(Event::Token),
        Err(error) => Some(Event::Broken(error)),
    }
}

/// Reads a bound client.
struct Reader<'a> {
    connection: &'a Connection,
    tokenizer: Tokenizer,
    pace: Option<Box<Pace>>,
    strain: &'a Strain,
}

impl Reader<'_> {
    /// Carries what the client says to its session, until one of them ends.
    async fn converse(&mut self, hold: &Hold) -> io::Result<Detach> {
        // What the client sent right behind its bind request is here already.
        if let Some(ended) = self.hand_over(hold).await {
            return Ok(ended);
        }
        loop {
            match self.connection.wake().await? {
                Wake::Drained => hold.session().writable(),
                // Whoever closed, the session or a full queue, the session may be resumed unless
                // it has ended itself.
                Wake::Closing => return Ok(Detach::Lost),
                Wake::Readable => loop {
                    if self.is_held_back() && !Box::pin(self.hold_back(hold)).await {
                        return Ok(Detach::Lost);
                    }
                    let received = self
                        .connection
                        .receive_into(&mut self.tokenizer, TRANSPORT)?;
                    if let (Some(pace), Received::Bytes(count)) = (&mut self.pace, received) {
                        pace.count_bytes(count);
                    }
                    if let Some(ended) = self.hand_over(hold).await {
                        return Ok(ended);
                    }
                    match received {
                        Received::Bytes(_) => {}
                        Received::Nothing => break,
                        Received::End => return Ok(Detach::Lost),
                    }
                },
            }
        }
    }

    /// Tells whether this client may have to wait before it is read on. Most need not, and no
    /// idle connection holds room for waiting.
    fn is_held_back(&self) -> bool {
        self.pace.is_some() || self.strain.reader_rest().is_some()
    }

    /// Waits until the client may be read on; false: the connection is to close.
    async fn hold_back(&mut self, hold: &Hold) -> bool {
        self.keep_pace(hold).await && self.rest(hold).await
    }

    /// Waits while the client is too fast, sending what waits for it; false: the connection is
    /// to close.
    async fn keep_pace(&mut self, hold: &Hold) -> bool {
        let Some(pace) = &mut self.pace else {
            return true;
        };
        while let Some(wait) = pace.wait(|| Instant::now().into_std()) {
            let waited = self
                .connection
                .flush_until_closing(sleep(wait), || hold.session().writable());
            if waited.await.is_none() {
                return false;
            }
        }
        true
    }

    /// Rests while the node is short of memory, sending what waits; false: the connection is to
    /// close.
    async fn rest(&self, hold: &Hold) -> bool {
        let Some(rest) = self.strain.reader_rest() else {
            return true;
        };
        let rested = self
            .connection
            .flush_until_closing(sleep(rest), || hold.session().writable());
        rested.await.is_some()
    }

    /// Gives the session every complete fragment; tells when that was the end.
    async fn hand_over(&mut self, hold: &Hold) -> Option<Detach> {
        let session = hold.session();
        loop {
            match self.tokenizer.next() {
                Ok(None) => return None,
                Ok(Some(Token::Fragment(fragment))) => {
                    if let Some(pace) = &mut self.pace
                        && is_stanza(fragment.name())
                    {
                        pace.count_stanza();
                        if !Box::pin(self.keep_pace(hold)).await {
                            return Some(Detach::Lost);
                        }
                    }
                    let taken = match session.try_inbound(fragment) {
                        Ok(taken) => taken,
                        // Boxed: waiting is rare, and every idle connection would hold room
                        // for it.
                        Err(fragment) => {
                            let inbound = session.inbound(fragment);
                            let waiting =
                                self.connection.flush_while(inbound, || session.writable());
                            Box::pin(waiting).await
                        }
                    };
                    if !taken {
                        return Some(Detach::Lost);
                    }
                }
                Ok(Some(Token::Footer)) => return Some(Detach::Closed),
                // A second header without a reason for one is no well-formed document.
                Ok(Some(Token::Header(_))) => {
                    return Some(refuse(self.connection, &XmlError::NotWellFormed));
                }
                Err(error) => return Some(refuse(self.connection, &error)),
            }
        }
    }
}

/// A client that breaks the rules of XML ends its session: resuming would bring the same again.
fn refuse(connection: &Connection, error: &XmlError) -> Detach {
    Sink::close(connection, Some(StreamError::new(error.condition())));
    Detach::Closed
}

/// The TCP side of a negotiation.
struct Tcp {
    connection: Arc<Connection>,
    tokenizer: Tokenizer,
    gateway: Arc<ClientGateway>,
}

impl Transport for Tcp {
    fn write(&mut self, bytes: &[u8]) {
        // A failed write is met again by the reader.
        let _ = self.connection.send(bytes);
    }

    async fn start_tls(&mut self) -> io::Result<Option<ChannelBindings>> {
        if self.tokenizer.buffered() > 0 {
            return Ok(None);
        }
        self.tokenizer.restart();
        let Some(store) = &self.gateway.certificates else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let identity = store.current();
        let handshake = self.connection.start_tls(&identity, &self.gateway.turns);
        let outcome = timeout(self.gateway.limits.tls_handshake_timeout, handshake).await;
        metrics::tls_handshake(match &outcome {
            Ok(Ok(_)) => "done",
            Ok(Err(_)) => "failed",
            Err(_) => "timeout",
        });
        outcome
            .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
            .map(Some)
    }

    fn logged_in(&mut self, is_restarted: bool) {
        if is_restarted {
            self.tokenizer.restart();
        }
        let stanza_bytes = self.gateway.limits.stanza_bytes_max;
        self.tokenizer.set_limits(XmlLimits {
            stanza_bytes,
            ..XmlLimits::AFTER_LOGIN
        });
    }

    fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.connection) as Arc<dyn Sink>
    }
}
