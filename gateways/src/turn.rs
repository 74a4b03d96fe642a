//! STUN and TURN built in: relays for calls whose two ends cannot reach each other, over UDP
//! (RFC 8489, RFC 8656).
//!
//! `relays.rs` decides, `sockets.rs` sends and receives; who may use it is told by XEP-0215
//! (`protocol/src/features/external_services.rs`), with credentials that end by themselves.
//!
//! Why our own: the crate `turn` 0.17 keeps every nonce that a stranger has asked for, starts a
//! task for each of as many permissions and channels as a client likes, lets anybody refresh
//! another's allocation, and cannot refuse a peer; `turn-server-proto` 0.7 has a table of users
//! and neither quotas nor a say in peers. All that would have had to stand before them, with a
//! parser of its own.

mod allocation;
mod keys;
mod pace;
mod peers;
mod relays;
mod sockets;
mod stun;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use klatsch_protocol::features::external_services::{self, ExternalService, Secret};
use klatsch_protocol::jid::BareJid;
use tokio::net::UdpSocket;
use tokio::sync::broadcast;
use tokio::task::{JoinHandle, JoinSet};

use crate::listener::{Network, Rate, Shutdown};
use keys::Keys;
use relays::{Relays, Rules};
use sockets::{Home, Shared, bind_for_clients};

/// RFC 8489 §14.9 allows 763 bytes; answers to strangers must stay small, and a longer
/// domain is known by its beginning as well.
const REALM_BYTES_MAX: usize = 127;

/// How long a task that failed rests before it is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What an operator can say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain that the credentials are for.
    pub realm: String,
    /// What credentials are made with; the same on all nodes.
    pub secret: Secret,
    /// How long they are good for new relays.
    pub credentials: Duration,
    /// This machine as others see it; where none is named, the address by which it reaches
    /// others.
    pub addresses: Vec<IpAddr>,
    /// The UDP ports of relays.
    pub ports: RangeInclusive<u16>,
    /// Networks that relays may send to although they are private.
    pub allow_peers: Vec<Network>,
    /// Relays at once.
    pub allocations_max: usize,
    /// Relays of one account at once.
    pub allocations_per_account: usize,
    /// How long a relay lasts at most.
    pub allocation_max: Duration,
    /// Bytes a second of one relay in one direction.
    pub bytes_per_second: u32,
    /// Requests a second of one IPv4 address or one IPv6 /64.
    pub requests_per_second: u32,
}

/// Nobody can be served at this address.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {error}")]
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

/// A server whose sockets are bound.
pub struct TurnServer {
    shared: Arc<Shared>,
    clients: Vec<Arc<UdpSocket>>,
    told: external_services::Settings,
    secret: Secret,
}

impl TurnServer {
    /// Binds the sockets for clients. An address family that the machine lacks is passed over.
    ///
    /// # Errors
    /// A port is taken, or there is no address at all.
    pub fn bind(listen: &[SocketAddr], settings: Settings) -> Result<Option<Self>, BindError> {
        let clients = bind_all(listen)?;
        let bound: Vec<SocketAddr> = clients.iter().flat_map(|it| it.local_addr()).collect();
        if bound.is_empty() {
            return Ok(None);
        }
        let homes = homes(&settings.addresses, &bound);
        let told = told(&settings, &homes, &bound);
        let mut nonce_key = [0; 32];
        if let Err(error) = getrandom::fill(&mut nonce_key) {
            let error = io::Error::other(error.to_string());
            return Err(BindError::new(bound[0], error));
        }
        let realm = realm(&settings.realm).to_owned();
        let keys = Keys::new(realm, settings.secret.clone(), nonce_key);
        let (ports, secret) = (settings.ports.clone(), settings.secret.clone());
        let relays = Relays::new(rules(settings, &homes), keys, Instant::now());
        Ok(Some(Self {
            shared: Shared::new(relays, clients.clone(), homes, ports),
            clients,
            told,
            secret,
        }))
    }

    /// What clients are told of it (XEP-0215).
    pub fn told(&self) -> &external_services::Settings {
        &self.told
    }

    /// Tells whether relays can be reached from the Internet, as far as their addresses say.
    pub fn is_public(&self) -> bool {
        let mut hosts = self
            .told
            .services
            .iter()
            .flat_map(|it| it.host.parse::<IpAddr>());
        hosts.any(|host| peers::judge(host).is_none())
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.clients.iter().flat_map(|it| it.local_addr()).collect()
    }

    /// Serves until shutdown; a part that fails is started again. Accounts that change lose what
    /// they have.
    pub fn start(
        self,
        mut shutdown: Shutdown,
        changed: broadcast::Receiver<BareJid>,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.triggered() => {}
                () = self.serve(changed) => {}
            }
            self.shared.end_all();
        })
    }

    async fn serve(&self, changed: broadcast::Receiver<BareJid>) {
        let shared = || Arc::clone(&self.shared);
        let sockets = self.clients.iter().enumerate();
        let mut parts: Vec<BoxFuture<'_, ()>> = sockets
            .map(|(number, socket)| {
                keep(move || shared().read_clients(Arc::clone(socket), number)).boxed()
            })
            .collect();
        parts.push(keep(move || shared().sweep()).boxed());
        let revoke = move || {
            let (secret, changed) = (self.secret.clone(), changed.resubscribe());
            shared().revoke(changed, secret, self.told.lifetime)
        };
        parts.push(keep(revoke).boxed());
        join_all(parts).await;
    }
}

impl BindError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        Self { address, error }
    }
}

/// Runs something in a task of its own, and again when it fails. Dropped, it ends.
async fn keep<F>(make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut tasks = JoinSet::new();
        tasks.spawn(make());
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(%error, "a part of the relay failed, starting it again");
                tokio::time::sleep(RESTART_PAUSE).await;
            }
            _ => return,
        }
    }
}

/// Binds every address whose family the machine has.
fn bind_all(listen: &[SocketAddr]) -> Result<Vec<Arc<UdpSocket>>, BindError> {
    let mut bound = Vec::new();
    let mut failed = None;
    for address in listen {
        match bind_for_clients(*address) {
            Ok(socket) => bound.push(Arc::new(socket)),
            Err(error) => {
                let is_taken = error.kind() == io::ErrorKind::AddrInUse;
                let error = BindError::new(*address, error);
                // Half a server, with another one's other half, would be found out by nobody.
                if is_taken {
                    return Err(error);
                }
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) if bound.is_empty() => Err(error),
        _ => Ok(bound),
    }
}

/// Where relays are: at most one address of a family.
fn homes(named: &[IpAddr], bound: &[SocketAddr]) -> Vec<Home> {
    let of = |is_ipv6: bool| {
        let mut listening = bound.iter().map(SocketAddr::ip);
        let listening = listening.find(|it| it.is_ipv6() == is_ipv6);
        let named = named.iter().copied().find(|it| it.is_ipv6() == is_ipv6);
        let public = named.or_else(|| seen_from_outside(listening?))?;
        let bound = listening.unwrap_or(unspecified(is_ipv6));
        Some(Home { public, bound })
    };
    let found: Vec<Home> = [false, true].into_iter().filter_map(of).collect();
    if found.is_empty() {
        // A machine without a network: its own clients can still call each other.
        let public = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let bound = unspecified(false);
        return vec![Home { public, bound }];
    }
    found
}

/// The address that others see: the one listened at, or the one by which the Internet is
/// reached.
fn seen_from_outside(listening: IpAddr) -> Option<IpAddr> {
    if !listening.is_unspecified() {
        return Some(listening);
    }
    // Nothing is sent: connecting a socket for datagrams only asks for the way. To where the
    // name servers of the root are there is one, if there is any.
    let far: SocketAddr = if listening.is_ipv6() {
        (Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30), 53).into()
    } else {
        (Ipv4Addr::new(198, 41, 0, 4), 53).into()
    };
    let socket = std::net::UdpSocket::bind((listening, 0)).ok()?;
    socket.connect(far).ok()?;
    let address = socket.local_addr().ok()?.ip();
    // An IPv6 address of the inner network helps nobody who has no other way in.
    let is_useful = address.is_ipv4() || peers::judge(address).is_none();
    is_useful.then_some(address)
}

fn unspecified(is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

/// STUN and TURN at each address that clients can reach.
fn told(settings: &Settings, homes: &[Home], bound: &[SocketAddr]) -> external_services::Settings {
    let services = homes.iter().flat_map(|home| {
        let public = home.public;
        let same = bound.iter().find(|it| it.is_ipv6() == public.is_ipv6());
        let port = same.map(SocketAddr::port);
        let kinds = port
            .into_iter()
            .flat_map(|port| [("stun", port), ("turn", port)]);
        kinds.map(move |(kind, port)| ExternalService {
            kind,
            host: public.to_string(),
            port,
            transport: "udp",
        })
    });
    external_services::Settings {
        services: services.collect(),
        secret: Some(settings.secret.clone()),
        lifetime: settings.credentials,
    }
}

fn rules(settings: Settings, homes: &[Home]) -> Rules {
    let rate = settings.bytes_per_second;
    Rules {
        addresses: homes.iter().map(|home| home.public).collect(),
        allow_peers: settings.allow_peers,
        allocations_max: settings.allocations_max,
        allocations_per_account: settings.allocations_per_account,
        // A second's worth at once: pictures come in bursts.
        rate: Rate::per_second(rate, rate),
        requests_per_second: settings.requests_per_second,
        allocation_max: settings.allocation_max,
    }
}

/// The domain, or as much of it as fits.
fn realm(domain: &str) -> &str {
    let mut end = domain.len().min(REALM_BYTES_MAX);
    while !domain.is_char_boundary(end) {
        end -= 1;
    }
    &domain[..end]
}

#[cfg(test)]
mod tests;
