//! Sockets between nodes: TLS with certificates on both sides, deadlines, and the way into
//! ractor_cluster.
//!
//! Whoever connects has five seconds for TLS and five for the handshake, in a task of their
//! own, so that nobody who is silent keeps anybody else waiting (row C02).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ractor::ActorRef;
use ractor_cluster::{BoxRead, BoxWrite, ClusterBidiStream};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::core::Core;
use super::handshake::{self, Agreed, DEADLINE, HandshakeError};
use super::keeper::KeeperMsg;
use crate::credentials::{Tls, node_name};
use crate::metrics;
use crate::node_id::NodeId;

/// The kernel gives up a connection whose data nobody acknowledges for this time. Heartbeats
/// are quicker where packets are; this clears away what they have given up, and is longer than
/// their longest deadline, so that it never decides (2 s there and back: 9 s).
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Fewer reads of the kernel; measured, it saves a third of the receiver's work.
const READ_BYTES: usize = 64 * 1024;

/// How long ractor_cluster may take to be ready: three times there and back at 2 s.
const READY: Duration = Duration::from_secs(10);

/// So many may be in the middle of a handshake at once: every node of the largest cluster…
const HANDSHAKES_MAX: usize = 256;

/// …and so many from one address, so that one cannot keep out all others.
const HANDSHAKES_OF_ADDRESS_MAX: usize = 16;

/// After an error to accept (no file is free) so long is waited.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The way from sockets to the link.
pub(crate) struct Transport {
    pub(crate) core: Arc<Core>,
    pub(crate) keeper: ActorRef<KeeperMsg>,
    pub(crate) tls: RwLock<Arc<Tls>>,
    handshakes: Arc<Mutex<Handshakes>>,
}

impl Transport {
    pub(crate) fn new(core: Arc<Core>, keeper: ActorRef<KeeperMsg>, tls: Tls) -> Self {
        Self {
            core,
            keeper,
            tls: RwLock::new(Arc::new(tls)),
            handshakes: Arc::default(),
        }
    }

    fn tls(&self) -> Arc<Tls> {
        let tls = self.tls.read().unwrap_or_else(PoisonError::into_inner);
        tls.clone()
    }

    /// From now on these credentials are shown and asked for.
    pub(crate) fn renew(&self, tls: Tls) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tls);
    }

    /// Lets other nodes in.
    pub(crate) async fn listen(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (tcp, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept other nodes");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let Some(place) = Place::take(&self.handshakes, address.ip()) else {
                metrics::handshake_failed();
                continue;
            };
            let transport = self.clone();
            tokio::spawn(async move {
                if let Err(error) = transport.welcome(tcp, address).await {
                    metrics::handshake_failed();
                    log_refusal(&error, address);
                }
                drop(place);
            });
        }
    }

    async fn welcome(&self, tcp: TcpStream, address: SocketAddr) -> Result<(), HandshakeError> {
        tune(&tcp)?;
        let accepting = timeout(DEADLINE, self.tls().acceptor.accept(tcp));
        let stream = accepting.await.map_err(|_| HandshakeError::Deadline)??;
        let mut stream = TlsStream::from(stream);
        let name = certificate_name(&stream)?;
        let agreed = handshake::accept(&self.core, &mut stream, &name).await?;
        self.open(stream, agreed, address);
        Ok(())
    }

    /// Connects with the node at an address; `met` is who is there, as soon as that is known.
    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
        met: &mut Option<NodeId>,
    ) -> Result<(), HandshakeError> {
        let connecting = timeout(DEADLINE, TcpStream::connect(address));
        let tcp = connecting.await.map_err(|_| HandshakeError::Deadline)??;
        tune(&tcp)?;
        // Nothing is proved by it, see `credentials`; an address is not sent.
        let nobody = ServerName::IpAddress(address.ip().into());
        let securing = timeout(DEADLINE, self.tls().connector.connect(nobody, tcp));
        let stream = securing.await.map_err(|_| HandshakeError::Deadline)??;
        let mut stream = TlsStream::from(stream);
        let name = certificate_name(&stream)?;
        let agreed = handshake::dial(&self.core, &mut stream, &name, met).await?;
        self.open(stream, agreed, address);
        Ok(())
    }

    /// Hands a stream to ractor_cluster, which has some time to make something of it.
    fn open(&self, stream: TlsStream<TcpStream>, agreed: Agreed, address: SocketAddr) {
        let is_dialled = agreed.is_dialled;
        let connection = self.core.adopt(agreed, address);
        let label = connection.id.to_string();
        let opening = KeeperMsg::Open {
            connection: connection.clone(),
            stream: Box::new(Wire { stream, label }),
            is_dialled,
        };
        if self.keeper.cast(opening).is_err() {
            return self.core.ended(&connection);
        }
        let core = self.core.clone();
        tokio::spawn(async move {
            let ended = timeout(READY, connection.ended()).await;
            if ended.is_err() && !connection.is_live() {
                core.end(Some(connection.id)).await;
            }
        });
    }
}

/// Strangers and silence are everyday; a node that does not fit is an operator's business.
fn log_refusal(error: &HandshakeError, address: SocketAddr) {
    match error {
        HandshakeError::Refused(_) | HandshakeError::Version(_) => {
            tracing::warn!(%address, %error, "a node was not let in");
        }
        _ => tracing::debug!(%address, %error, "a handshake came to nothing"),
    }
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

/// The name in the certificate of the other side, which TLS has verified.
fn certificate_name(stream: &TlsStream<TcpStream>) -> Result<String, HandshakeError> {
    let certificates = stream.get_ref().1.peer_certificates();
    let first = certificates.and_then(|certificates| certificates.first());
    let name = first.and_then(node_name);
    name.ok_or_else(|| io::Error::other("the certificate names no node").into())
}

/// A connection as ractor_cluster takes it.
struct Wire {
    stream: TlsStream<TcpStream>,
    label: String,
}

impl ClusterBidiStream for Wire {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        let (reader, writer) = tokio::io::split(self.stream);
        let reader = BufReader::with_capacity(READ_BYTES, reader);
        (Box::new(reader), Box::new(writer))
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.label.clone())
    }
}

/// Who is in the middle of a handshake.
#[derive(Debug, Default)]
struct Handshakes {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A place among them.
struct Place {
    handshakes: Arc<Mutex<Handshakes>>,
    address: IpAddr,
}

impl Place {
    fn take(handshakes: &Arc<Mutex<Handshakes>>, address: IpAddr) -> Option<Self> {
        let mut taken = handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        let of = taken.of.get(&address).copied().unwrap_or(0);
        if taken.all >= HANDSHAKES_MAX || of >= HANDSHAKES_OF_ADDRESS_MAX {
            return None;
        }
        taken.all += 1;
        taken.of.insert(address, of + 1);
        Some(Self {
            handshakes: handshakes.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .handshakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        match taken.of.get_mut(&self.address) {
            Some(of) if *of > 1 => *of -= 1,
            _ => drop(taken.of.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn c02_one_address_cannot_keep_out_all_others() {
        let handshakes = Arc::default();
        let take = |last| Place::take(&handshakes, address(last));
        let mut of_one: Vec<Place> = std::iter::from_fn(|| take(1)).collect();
        assert_eq!(of_one.len(), HANDSHAKES_OF_ADDRESS_MAX);
        assert!(take(2).is_some());
        of_one.pop();
        assert!(take(1).is_some());
        drop(of_one);
        assert_eq!(handshakes.lock().unwrap().all, 0);
        assert!(handshakes.lock().unwrap().of.is_empty());
    }

    #[test]
    fn c02_handshakes_under_way_are_bounded() {
        let handshakes = Arc::default();
        let places = (0..=255).map(|last| Place::take(&handshakes, address(last)));
        let places: Vec<Place> = places.map(Option::unwrap).collect();
        assert_eq!(places.len(), HANDSHAKES_MAX);
        assert!(Place::take(&handshakes, IpAddr::from([10, 0, 1, 1])).is_none());
    }
}
