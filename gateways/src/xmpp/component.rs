//! External components over TCP: XEP-0114 version 1.6.
//!
//! One task a connection, as for clients: what a component sends is dealt with here, and while
//! that takes time its socket is not read but written to. Leaves out: TLS, which the
//! specification does not have; the listener is for this machine, or for a network one trusts.

use std::io;
use std::sync::Arc;

use klatsch_actors::components::{Component, Components};
use klatsch_actors::session::{Pressure, Sink};
use klatsch_actors::strain::Strain;
use klatsch_protocol::ns;
use klatsch_protocol::stanza::{Stanza, StreamCondition, StreamError};
use klatsch_protocol::stream::component::{ComponentStream, Secrets, Step};
use klatsch_protocol::xml::{Element, Fragment, Limits as XmlLimits, Token, Tokenizer};
use tokio::time::{Instant, sleep, timeout_at};

use super::negotiation::random_bytes;
use super::socket::{Connection, Received, Wake};
use crate::listener::{Arrival, Limits, Shutdown};
use crate::metrics;
use crate::pace::{Pace, is_stanza};

const TRANSPORT: &str = "component";

/// So much may wait for a component: what many people have for it while it is busy for a
/// second. Beyond that senders are told to wait.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A component speaks for many: it may send as fast as so many clients.
const CLIENTS: u32 = 20;

/// So many stanzas are dealt with together.
const TAKE_MAX: usize = 64;

/// What all connections of components share.
pub struct ComponentGateway {
    components: Components,
    secrets: Arc<Secrets>,
    limits: Limits,
    shutdown: Shutdown,
    strain: Arc<Strain>,
}

impl ComponentGateway {
    /// For components with these secrets.
    pub fn new(
        components: Components,
        secrets: Secrets,
        limits: &Limits,
        shutdown: Shutdown,
        strain: Arc<Strain>,
    ) -> Self {
        let limits = Limits {
            send_queue_bytes_max: limits.send_queue_bytes_max.max(QUEUE_BYTES_MAX),
            session_byte_rate: limits.session_byte_rate.saturating_mul(CLIENTS),
            session_byte_burst: limits.session_byte_burst.saturating_mul(CLIENTS),
            session_stanza_rate: limits.session_stanza_rate.saturating_mul(CLIENTS),
            session_stanza_burst: limits.session_stanza_burst.saturating_mul(CLIENTS),
            ..limits.clone()
        };
        let secrets = Arc::new(secrets);
        Self {
            components,
            secrets,
            limits,
            shutdown,
            strain,
        }
    }
}

/// Serves one component until its connection ends; spawn it.
pub async fn serve(gateway: Arc<ComponentGateway>, arrival: Arrival) {
    let Arrival { tcp, peer, ticket } = arrival;
    let _ticket = ticket;
    let _open = metrics::Open::new(TRANSPORT);
    let strain = Arc::clone(&gateway.strain);
    let connection = Connection::new(tcp, peer, &gateway.limits, Arc::clone(&strain));
    let connection = Arc::new(connection);
    if let Some((component, tokenizer)) = negotiate(&gateway, &connection).await {
        let now = Instant::now().into_std();
        let mut reader = Reader {
            connection: &connection,
            tokenizer,
            pace: Pace::of(&gateway.limits, peer.ip(), TRANSPORT, now),
            strain: &strain,
        };
        if let Err(error) = reader.converse(&component).await {
            tracing::debug!(component = %component.host(), %error, "connection lost");
        }
    }
    let patience = gateway.limits.close_timeout;
    let mut shutdown = gateway.shutdown.clone();
    let enough = shutdown.closing_is_over(patience);
    connection
        .finish(strain.closing_patience(patience), enough)
        .await;
}

/// Brings a component to its handshake within the absolute deadline.
async fn negotiate(
    gateway: &ComponentGateway,
    connection: &Arc<Connection>,
) -> Option<(Component, Tokenizer)> {
    let deadline = Instant::now() + gateway.limits.negotiation_timeout;
    let mut greeting = Greeting {
        gateway,
        connection,
        tokenizer: Tokenizer::new(XmlLimits::BEFORE_LOGIN),
        stream: ComponentStream::new(Arc::clone(&gateway.secrets), random_bytes()),
    };
    let mut shutdown = gateway.shutdown.clone();
    let condition = tokio::select! {
        outcome = timeout_at(deadline, greeting.shake_hands()) => match outcome {
            Ok(Ok(Some(component))) => return Some((component, greeting.tokenizer)),
            Ok(Ok(None)) => return None,
            Ok(Err(error)) => {
                tracing::debug!(peer = %connection.peer(), %error, "negotiation failed");
                return None;
            }
            Err(_) => StreamCondition::ConnectionTimeout,
        },
        () = shutdown.triggered() => StreamCondition::SystemShutdown,
    };
    greeting.fail(condition);
    None
}

/// A component that has proved nothing yet.
struct Greeting<'a> {
    gateway: &'a ComponentGateway,
    connection: &'a Arc<Connection>,
    tokenizer: Tokenizer,
    stream: ComponentStream,
}

impl Greeting<'_> {
    async fn shake_hands(&mut self) -> io::Result<Option<Component>> {
        loop {
            match self.connection.wake().await? {
                Wake::Drained => continue,
                Wake::Closing => return Ok(None),
                Wake::Readable => {}
            }
            loop {
                let received = self
                    .connection
                    .receive_into(&mut self.tokenizer, TRANSPORT)?;
                loop {
                    let token = match self.tokenizer.next() {
                        Ok(Some(token)) => token,
                        Ok(None) => break,
                        Err(error) => {
                            self.fail(error.condition());
                            return Ok(None);
                        }
                    };
                    let mut answer = Vec::new();
                    match self.stream.take(&token, &mut answer) {
                        Step::GoOn => drop(self.connection.send(&answer)),
                        Step::Closed(condition) => {
                            self.close(&answer, condition);
                            return Ok(None);
                        }
                        Step::Proved(host) => {
                            let sink = ComponentSink(Arc::clone(self.connection));
                            let taken = self.gateway.components.take_in(host, Arc::new(sink));
                            return Ok(self.welcome(taken));
                        }
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

    fn welcome(&mut self, taken: Result<Component, StreamCondition>) -> Option<Component> {
        match taken {
            Ok(component) => {
                let mut answer = Vec::new();
                self.stream.accept(&mut answer);
                // A failed write is met again by the reader.
                let _ = self.connection.send(&answer);
                self.tokenizer.set_limits(XmlLimits::S2S);
                component.start();
                Some(component)
            }
            Err(condition) => {
                self.fail(condition);
                None
            }
        }
    }

    fn fail(&mut self, condition: StreamCondition) {
        let mut answer = Vec::new();
        self.stream.fail(condition, &mut answer);
        self.close(&answer, Some(condition));
    }

    fn close(&self, last: &[u8], condition: Option<StreamCondition>) {
        if let Some(condition) = condition {
            metrics::stream_error(condition.as_str());
            let (peer, condition) = (self.connection.peer(), condition.as_str());
            tracing::warn!(%peer, condition, "component refused");
        }
        self.connection.end(last);
    }
}

/// Reads a connected component.
struct Reader<'a> {
    connection: &'a Connection,
    tokenizer: Tokenizer,
    pace: Option<Box<Pace>>,
    strain: &'a Strain,
}

impl Reader<'_> {
    /// Deals with what the component says, until one side closes.
    async fn converse(&mut self, component: &Component) -> io::Result<()> {
        // What was sent right behind the handshake is here already.
        if !self.take(component).await {
            return Ok(());
        }
        loop {
            match self.connection.wake().await? {
                Wake::Drained => {}
                Wake::Closing => return Ok(()),
                Wake::Readable => loop {
                    if !self.hold_back().await {
                        return Ok(());
                    }
                    let received = self
                        .connection
                        .receive_into(&mut self.tokenizer, TRANSPORT)?;
                    if let (Some(pace), Received::Bytes(count)) = (&mut self.pace, received) {
                        pace.count_bytes(count);
                    }
                    if !self.take(component).await {
                        return Ok(());
                    }
                    match received {
                        Received::Bytes(_) => {}
                        Received::Nothing => break,
                        Received::End => return Ok(()),
                    }
                },
            }
        }
    }

    /// Waits while the component is too fast or the node short of memory; false: the connection
    /// is to close.
    async fn hold_back(&mut self) -> bool {
        while let Some(wait) = self.wait() {
            let waited = self.connection.flush_until_closing(sleep(wait), || {});
            if waited.await.is_none() {
                return false;
            }
        }
        match self.strain.reader_rest() {
            Some(rest) => {
                let rested = self.connection.flush_until_closing(sleep(rest), || {});
                rested.await.is_some()
            }
            None => true,
        }
    }

    fn wait(&mut self) -> Option<std::time::Duration> {
        let pace = self.pace.as_mut()?;
        pace.wait(|| Instant::now().into_std())
    }

    /// Deals with every complete stanza; false: the stream is over.
    async fn take(&mut self, component: &Component) -> bool {
        loop {
            let (fragments, end) = self.next_fragments();
            let count = fragments.len();
            if count > 0 {
                let taking = Box::pin(component.take(fragments));
                let taken = self.connection.flush_while(taking, || {}).await;
                if let Err(error) = taken {
                    let (host, condition) = (component.host(), error.condition.as_str());
                    tracing::warn!(component = %host, condition, "component's stream ended");
                    self.close(Some(error));
                    return false;
                }
            }
            match end {
                Some(error) => {
                    self.close(error);
                    return false;
                }
                None if count < TAKE_MAX => return true,
                None => {}
            }
            if !self.hold_back().await {
                return false;
            }
        }
    }

    /// The stanzas that are complete, not too many, and with what the stream ends behind them.
    fn next_fragments(&mut self) -> (Vec<Fragment>, Option<Option<StreamError>>) {
        let mut fragments = Vec::new();
        while fragments.len() < TAKE_MAX {
            let error = match self.tokenizer.next() {
                Ok(Some(Token::Fragment(fragment))) => {
                    if let Some(pace) = self.pace.as_mut().filter(|_| is_stanza(fragment.name())) {
                        pace.count_stanza();
                    }
                    fragments.push(fragment);
                    continue;
                }
                Ok(None) => break,
                Ok(Some(Token::Footer)) => None,
                Ok(Some(Token::Header(_))) => Some(StreamCondition::NotWellFormed),
                Err(error) => Some(error.condition()),
            };
            return (fragments, Some(error.map(StreamError::new)));
        }
        (fragments, None)
    }

    fn close(&self, error: Option<StreamError>) {
        Sink::close(self.connection, error);
    }
}

/// What is for a component: too much of it is refused, and the component stays connected, for
/// everybody else's sake.
struct ComponentSink(Arc<Connection>);

impl Sink for ComponentSink {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        self.0.offer(|buffer| stanza.write(buffer))
    }

    fn nonza(&self, element: &Element) -> Pressure {
        self.0.offer(|buffer| element.write(buffer, ns::CLIENT))
    }

    fn close(&self, error: Option<StreamError>) {
        Sink::close(&*self.0, error);
    }

    fn queued(&self) -> usize {
        self.0.queued()
    }
}
