//! Accept loops: one for each address, all with the same admission.
//!
//! A full descriptor table pauses a loop and never ends it (row C13). What is too much stays
//! in the kernel's backlog; what one address has too much of is closed at once.
//! Leaves out: the PROXY protocol.

mod admission;
mod bucket;
mod limits;
mod network;
mod shutdown;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

pub use admission::{Admission, Refusal, Ticket};
pub(crate) use bucket::{Bucket, Rate};
pub use limits::Limits;
pub use network::{AddressKey, Network, NetworkError};
pub(crate) use shutdown::STOP_PATIENCE;
pub use shutdown::{Shutdown, ShutdownTrigger};

use crate::metrics;

/// Connections the kernel completes while the loop is busy; it caps this at `somaxconn`.
const BACKLOG: i32 = 4096;

/// How long a loop rests when the process or the machine is out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// An accepted connection with its place.
pub struct Arrival {
    /// The socket.
    pub tcp: TcpStream,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Keep this as long as the connection lives.
    pub ticket: Ticket,
}

/// Opens a listening socket. An IPv6 address is IPv6 only, so that `0.0.0.0` and `[::]` of the
/// same port can both be listened on, whatever the machine's default is.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restarted server must not wait for the old one's connections to time out.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until shutdown; `serve` must not block, it spawns.
pub async fn accept_loop(
    listener: TcpListener,
    name: &'static str,
    admission: Arc<Admission>,
    mut shutdown: Shutdown,
    serve: impl Fn(Arrival),
) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            () = accept_one(&listener, name, &admission, &serve) => {}
        }
    }
}

/// Accepts one connection, or learns why it cannot.
async fn accept_one(
    listener: &TcpListener,
    name: &'static str,
    admission: &Arc<Admission>,
    serve: &impl Fn(Arrival),
) {
    let place = admission.place().await;
    let (tcp, peer) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) if is_exhaustion(&error) => {
            metrics::accept_failed(name);
            tracing::warn!(listener = name, error = %error, "cannot accept, pausing");
            return tokio::time::sleep(EXHAUSTED_PAUSE).await;
        }
        // A client that gave up while it waited (ECONNABORTED) is no reason to stop.
        Err(error) => {
            tracing::debug!(listener = name, error = %error, "connection lost before accept");
            return;
        }
    };
    match admission.admit(peer.ip(), place, Instant::now()) {
        Ok(ticket) => {
            // Options make things better; a socket that refuses one is still a socket.
            if let Err(error) = set_options(&tcp, admission.limits()) {
                tracing::debug!(peer = %peer, error = %error, "cannot set socket options");
            }
            metrics::accepted(name);
            serve(Arrival { tcp, peer, ticket });
        }
        Err(refusal) => {
            metrics::refused(name, refusal.as_str());
            tracing::debug!(listener = name, peer = %peer, reason = refusal.as_str(), "refused");
        }
    }
}

/// The options of every client's socket, whatever is spoken on it.
fn set_options(tcp: &TcpStream, limits: &Limits) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    // Experiment 13: a client whose network died is noticed whether or not we are sending.
    socket.set_tcp_user_timeout(Some(limits.tcp_user_timeout))?;
    let probe = TcpKeepalive::new().with_time(limits.tcp_keepalive);
    socket.set_tcp_keepalive(&probe.with_interval(Duration::from_secs(10)).with_retries(3))
}

/// Tells errors of the machine from those of one connection: EMFILE, ENFILE, ENOBUFS, ENOMEM.
fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(
        error.raw_os_error(),
        Some(ENOMEM | ENFILE | EMFILE | ENOBUFS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_accepted_socket_notices_a_dead_network() {
        let limits = Arc::new(Limits::default());
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        let admission = Admission::new(Arc::clone(&limits), Arc::default());
        let arrived = std::cell::Cell::new(None);
        let keep = |arrival| arrived.set(Some(arrival));
        accept_one(&listener, "test", &admission, &keep).await;
        let arrival: Arrival = arrived.take().unwrap();
        let socket = SockRef::from(&arrival.tcp);
        let timeout = socket.tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(limits.tcp_user_timeout));
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    }
}
