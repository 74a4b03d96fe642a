//! The sockets of clients and relays, and the tasks that read them.
//!
//! A lock guards all relays: what is done under it takes microseconds and never waits. What a
//! socket cannot take at once is lost, as datagrams are.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use klatsch_protocol::features::external_services::{Secret, alias};
use klatsch_protocol::jid::BareJid;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;

use super::allocation::Client;
use super::relays::{Now, Relays, World};

/// Bytes read of a datagram: media keeps below 1,500; whatever fills this was cut off.
const DATAGRAM_MAX: usize = 4096;

/// Bytes that wait for a client's socket to be read: a tenth of a second of all relays.
const BUFFER: usize = 1024 * 1024;

/// Ports tried for one relay; whoever else uses this range has not so many in a row.
const PORTS_TRIED: usize = 64;

/// How long a reader rests when its socket fails.
const FAILED_PAUSE: Duration = Duration::from_millis(200);

/// How often it is looked for relays that have ended.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Where relays are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home {
    /// What is told.
    pub(super) public: IpAddr,
    /// What sockets are bound to.
    pub(super) bound: IpAddr,
}

/// All relays with their sockets.
pub(super) struct Shared(Mutex<State>);

struct State {
    relays: Relays,
    sockets: Sockets,
}

/// The world of the relays.
struct Sockets {
    /// For the tasks that read relays.
    shared: Weak<Shared>,
    clients: Vec<Arc<UdpSocket>>,
    homes: Vec<Home>,
    ports: RangeInclusive<u16>,
    open: HashMap<SocketAddr, Open>,
    /// Anything can be bound here (net.ipv4.ip_nonlocal_bind): it proves nothing.
    binds_anything: bool,
}

/// The socket of a relay and its reader.
struct Open {
    socket: Arc<UdpSocket>,
    reader: AbortHandle,
}

impl Shared {
    pub(super) fn new(
        relays: Relays,
        clients: Vec<Arc<UdpSocket>>,
        homes: Vec<Home>,
        ports: RangeInclusive<u16>,
    ) -> Arc<Self> {
        // TEST-NET-1 is nobody's.
        let binds_anything = can_bind(IpAddr::from([192, 0, 2, 1]));
        Arc::new_cyclic(|shared| {
            Self(Mutex::new(State {
                relays,
                sockets: Sockets {
                    shared: Weak::clone(shared),
                    clients,
                    homes,
                    ports,
                    open: HashMap::new(),
                    binds_anything,
                },
            }))
        })
    }

    fn with(&self, act: impl FnOnce(&mut Relays, &mut Sockets)) {
        // A panic elsewhere must not end all calls: the maps are whole after every step.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { relays, sockets } = &mut *state;
        act(relays, sockets);
    }

    /// Ends all relays.
    pub(super) fn end_all(&self) {
        self.with(|relays, sockets| relays.end_all(sockets));
    }

    /// Ends what accounts have that change, and what they could begin with; names are good for so
    /// long.
    pub(super) async fn revoke(
        self: Arc<Self>,
        mut changed: broadcast::Receiver<BareJid>,
        secret: Secret,
        good_for: Duration,
    ) {
        loop {
            match changed.recv().await {
                Ok(account) => {
                    let account = alias(&secret, &account);
                    let until = now().seconds + good_for.as_secs();
                    self.with(|relays, sockets| relays.revoke(&account, until, sockets));
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "too many accounts changed at once for relays");
                }
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    /// Reads a socket of clients, for ever.
    pub(super) async fn read_clients(self: Arc<Self>, socket: Arc<UdpSocket>, number: usize) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let (length, address) = read(&socket, &mut buffer).await;
            let client = Client {
                socket: number,
                address,
            };
            let datagram = &buffer[..length];
            self.with(|relays, sockets| relays.client_says(client, datagram, now(), sockets));
        }
    }

    /// Looks for relays that have ended, for ever.
    pub(super) async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.with(|relays, sockets| relays.sweep(now(), sockets));
        }
    }
}

impl World for Sockets {
    fn open(&mut self, address: IpAddr) -> Option<u16> {
        let home = *self.homes.iter().find(|home| home.public == address)?;
        let free = |port: &u16| !self.open.contains_key(&(address, *port).into());
        let ports = self.ports.clone();
        let (before, after) = (ports.clone(), ports.clone());
        // Nobody may guess the next one (RFC 6056).
        let first = random_of(ports)?;
        let in_turn = after.filter(|it| *it >= first);
        let in_turn = in_turn.chain(before.filter(|it| *it < first));
        let tried = in_turn.filter(free).take(PORTS_TRIED);
        let mut bound = tried.map(|port| bind((home.bound, port).into()).map(|it| (port, it)));
        let (port, socket) = bound.find_map(Result::ok)?;
        let (relay, socket) = (SocketAddr::new(address, port), Arc::new(socket));
        let reading = read_relay(Weak::clone(&self.shared), Arc::clone(&socket), relay);
        let reader = tokio::spawn(reading).abort_handle();
        self.open.insert(relay, Open { socket, reader });
        Some(port)
    }

    fn close(&mut self, relay: SocketAddr) {
        if let Some(open) = self.open.remove(&relay) {
            open.reader.abort();
        }
    }

    fn to_client(&mut self, client: Client, datagram: &[u8]) {
        if let Some(socket) = self.clients.get(client.socket) {
            send(socket, client.address, datagram);
        }
    }

    fn to_peer(&mut self, relay: SocketAddr, peer: SocketAddr, data: &[u8]) {
        if let Some(open) = self.open.get(&relay) {
            send(&open.socket, peer, data);
        }
    }

    /// Only this machine's addresses can be bound, those too that came a moment ago.
    fn is_own(&self, address: IpAddr) -> bool {
        let is_bound = |home: &Home| home.public == address || home.bound == address;
        self.homes.iter().any(is_bound) || !self.binds_anything && can_bind(address)
    }
}

/// Reads a relay until it is closed.
async fn read_relay(shared: Weak<Shared>, socket: Arc<UdpSocket>, relay: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let (length, peer) = read(&socket, &mut buffer).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let data = &buffer[..length];
        shared.with(|relays, sockets| relays.peer_says(relay, peer, data, now(), sockets));
    }
}

/// The next datagram that is whole.
async fn read(socket: &UdpSocket, buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        match socket.recv_from(buffer).await {
            Ok((length, from)) if length < buffer.len() => return (length, from),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot read a socket of relays");
                tokio::time::sleep(FAILED_PAUSE).await;
            }
        }
    }
}

/// Datagrams may be lost: what the kernel has no room for is.
fn send(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) {
    if let Err(error) = socket.try_send_to(datagram, to) {
        tracing::debug!(%error, %to, "datagram not sent");
    }
}

/// Binds a socket to an address alone; an IPv6 address is IPv6 only.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// The same for clients, of whom many speak at once.
pub(super) fn bind_for_clients(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind(address)?;
    // The kernel grants what it likes.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER);
    Ok(socket)
}

fn can_bind(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// One of these ports.
fn random_of(mut ports: RangeInclusive<u16>) -> Option<u16> {
    let random = usize::try_from(getrandom::u32().ok()?).ok()?;
    let count = ports.len();
    ports.nth(random.checked_rem(count)?)
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        instant: Instant::now(),
        seconds: since.unwrap_or_default().as_secs(),
    }
}
