//! Where new nodes are taken in: a small TLS listener that is open only while somebody may come
//! with a token.
//!
//! Strangers get no further than a handshake: they cannot guess a token, so few of them are
//! served at once, each for seconds, and what they ask is bounded.

use super::identity::Identity;
use super::joined::Joined;
use super::joining::{Question, Reply, TALK_MAX, read_line, write_line};
use super::secret::ClusterSecret;
use super::tls;
use super::token::JoinToken;
use super::tokens::{Refusal, Tokens};
use crate::boot::secrets::{from_hex, random};
use crate::config::cluster::{is_name, split};
use crate::error::Error;
use klatsch_gateways::listener::listen;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

/// Nodes served at once: as many strangers have to be silent together before a node waits (row C02).
const AT_ONCE_MAX: usize = 32;

/// Addresses told to new nodes: more nodes than a cluster may have.
const PEERS_MAX: usize = 128;

/// How long to wait when the process is out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Longest time a token is good: it travels by chat or terminal, not by post.
pub const LASTING_MAX: Duration = Duration::from_secs(24 * 3600);

/// Keeps what is known of a cluster.
pub type Keep = dyn Fn(&Joined) -> Result<(), Error> + Send + Sync;

/// What the desk knows of its node.
pub struct Ground {
    /// What is handed to new nodes.
    pub secret: Arc<ClusterSecret>,
    /// As whom the desk answers.
    pub identity: Arc<Identity>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// By which host new nodes reach these addresses.
    pub host: String,
    /// What is told to new nodes, with all addresses that are known so far.
    pub told: Joined,
    /// Keeps what is known now that another node has joined.
    pub keep: Box<Keep>,
    /// Tells whether a node of this name is in the cluster.
    pub is_taken: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Takes new nodes in.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    ground: Ground,
    acceptor: TlsAcceptor,
    state: Mutex<State>,
}

struct State {
    tokens: Tokens,
    told: Joined,
    /// The port, while the desk is open.
    port: Option<u16>,
}

impl Desk {
    /// A desk that is closed.
    ///
    /// # Errors
    /// The TLS library does not do what it must.
    pub fn new(ground: Ground) -> Result<Self, Error> {
        let acceptor = TlsAcceptor::from(tls::server(Arc::clone(&ground.identity))?);
        let state = State {
            tokens: Tokens::new(Instant::now()),
            told: ground.told.clone(),
            port: None,
        };
        Ok(Self(Arc::new(Inner {
            ground,
            acceptor,
            state: Mutex::new(state),
        })))
    }

    /// Makes a token for so many nodes and opens the desk.
    ///
    /// # Errors
    /// Nothing can be listened on, too many tokens are out, or there is no randomness.
    pub fn issue(&self, uses: u32, lasting: Duration) -> Result<JoinToken, Error> {
        let secret = random()?;
        let mut state = self.state();
        let port = match state.port {
            Some(port) => port,
            None => self.open()?,
        };
        state.port = Some(port);
        let now = Instant::now();
        if !state
            .tokens
            .give(&secret, uses, now + lasting.min(LASTING_MAX), now)
        {
            return Err(Error::Refused("too many join tokens are out".to_owned()));
        }
        tracing::info!(uses, seconds = lasting.as_secs(), port, "join token made");
        Ok(JoinToken {
            secret,
            fingerprint: self.0.ground.secret.authority().fingerprint(),
            address: format!("{}:{port}", self.0.ground.host),
        })
    }

    /// Listens and serves until nobody is expected any more. One address may fail as long as
    /// another does not, as on a host without IPv6.
    fn open(&self) -> Result<u16, Error> {
        let mut port = None;
        let mut failures = Vec::new();
        for address in &self.0.ground.addresses {
            // With port 0 the first address chooses for the others.
            let address = SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
            match listen(address).and_then(|it| Ok((it.local_addr()?.port(), it))) {
                Ok((own, listener)) => {
                    port = Some(own);
                    tokio::spawn(self.clone().serve(listener));
                }
                Err(error) => failures.push(format!("cluster.join_port: {address}: {error}")),
            }
        }
        port.ok_or_else(|| Error::Refused(failures.join("\n")))
    }

    async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        while let Some(end) = self.open_until() {
            tokio::select! {
                () = sleep_until(end) => {}
                arrival = accept(&listener, &places) => {
                    let Some((stream, from, place)) = arrival else { continue };
                    let desk = self.clone();
                    tokio::spawn(async move {
                        if timeout(TALK_MAX, desk.talk(stream, from)).await.is_err() {
                            tracing::warn!(%from, "somebody at the join port took too long");
                        }
                        drop(place);
                    });
                }
            }
        }
    }

    /// Until when the desk is open; with `None` it counts as closed, so that the next token
    /// opens it again.
    fn open_until(&self) -> Option<Instant> {
        let mut state = self.state();
        let until = state.tokens.expected_until(Instant::now());
        if until.is_none() {
            state.port = None;
        }
        until
    }

    async fn talk(&self, stream: TcpStream, from: SocketAddr) {
        let stream = match self.0.acceptor.accept(stream).await {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%from, %error, "no TLS at the join port"),
        };
        let mut stream = BufReader::new(stream);
        let reply = match read_line::<Question, _>(&mut stream).await {
            Ok(question) => self.answer(question, from),
            Err(error) => return tracing::debug!(%from, %error, "no question at the join port"),
        };
        // Who is gone has to come again with another token.
        let told = write_line(&mut stream, &reply).await;
        let closed = match told {
            Ok(()) => stream.shutdown().await,
            Err(error) => Err(error),
        };
        if let Err(error) = closed {
            tracing::warn!(%from, %error, "the answer did not arrive at the join port");
        }
    }

    fn answer(&self, question: Option<Question>, from: SocketAddr) -> Reply {
        let (name, address) = question
            .as_ref()
            .map(|it| (it.name.clone(), it.address.clone()))
            .unzip();
        match self.decide(question) {
            Ok(told) => {
                tracing::info!(%from, name, address, "a node has joined");
                let secret = self.0.ground.secret.to_text();
                Reply::Welcome { secret, told }
            }
            Err(refusal) => {
                tracing::warn!(%from, name, address, %refusal, "a node may not join");
                Reply::Refused(refusal)
            }
        }
    }

    fn decide(&self, question: Option<Question>) -> Result<Joined, Refusal> {
        let mut state = self.state();
        let now = Instant::now();
        state.tokens.attempt(now)?;
        let question = question.ok_or(Refusal::NotUnderstood)?;
        let secret = from_hex(&question.secret).ok_or(Refusal::NotUnderstood)?;
        // Only who has a good token learns which names there are.
        state.tokens.look(&secret, now)?;
        if !is_name(&question.name) {
            return Err(Refusal::BadName);
        }
        if split(&question.address).is_none() {
            return Err(Refusal::BadAddress);
        }
        if (self.0.ground.is_taken)(&question.name) {
            return Err(Refusal::NameTaken);
        }
        state.tokens.redeem(&secret, now)?;
        Ok(self.remember(&mut state, question.address))
    }

    /// What is told to a node at this address; the next one is told of it, too. For every two
    /// nodes one has to name the other: the later names the earlier.
    fn remember(&self, state: &mut State, address: String) -> Joined {
        let mut told = state.told.clone();
        told.peers.retain(|peer| *peer != address);
        state.told.peers.clone_from(&told.peers);
        state.told.peers.push(address);
        let forgotten = state.told.peers.len().saturating_sub(PEERS_MAX);
        state.told.peers.drain(..forgotten);
        if let Err(error) = (self.0.ground.keep)(&state.told) {
            tracing::error!(%error, "the address of a new node is not kept");
        }
        told
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who has come, once there is a place.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, from)) => Some((stream, from, place)),
        Err(_) => {
            sleep(EXHAUSTED_PAUSE).await;
            None
        }
    }
}

#[cfg(test)]
mod tests;
