//! Tests with sockets, on loopback: what the state machine decides is what arrives.

use super::stun::{Class, Message, Writer, attribute, method};
use super::*;
use crate::listener::ShutdownTrigger;
use std::time::Duration;
use tokio::time::timeout;

const REALM: &str = "example.org";
/// Nobody waits longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings {
        realm: REALM.to_owned(),
        secret: Secret((*b"secret").into()),
        credentials: Duration::from_secs(3600),
        addresses: Vec::new(),
        // What the kernel gives out itself ends before.
        ports: 61_200..=61_999,
        allow_peers: Vec::new(),
        allocations_max: 100,
        allocations_per_account: 50,
        allocation_max: Duration::from_secs(7200),
        bytes_per_second: 1_000_000,
        requests_per_second: 1_000,
    }
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn started(settings: Settings) -> (SocketAddr, ShutdownTrigger, JoinHandle<()>) {
    let server = TurnServer::bind(&[loopback()], settings).unwrap().unwrap();
    let address = server.addresses()[0];
    let (trigger, shutdown) = ShutdownTrigger::new();
    let changed = broadcast::Sender::new(1).subscribe();
    let task = server.start(shutdown, changed);
    (address, trigger, task)
}

/// A client with its own socket.
struct Caller {
    socket: UdpSocket,
    nonce: String,
    asked: u8,
}

impl Caller {
    async fn at(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind(loopback()).await.unwrap();
        socket.connect(server).await.unwrap();
        let mut caller = Self {
            socket,
            nonce: String::new(),
            asked: 0,
        };
        let request = Writer::new(Class::Request, method::ALLOCATE, [0; 12]).finish(false);
        let answer = caller.hears(&request).await;
        let answer = Message::parse(&answer).unwrap();
        caller.nonce = answer.text(attribute::NONCE).unwrap().to_owned();
        caller
    }

    async fn next(&self) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let read = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        buffer.truncate(read.expect("the server answers").unwrap());
        buffer
    }

    async fn hears(&self, datagram: &[u8]) -> Vec<u8> {
        self.socket.send(datagram).await.unwrap();
        self.next().await
    }

    async fn asks(&mut self, method: u16, with: impl FnOnce(Writer) -> Writer) -> Vec<u8> {
        self.asked += 1;
        let name = "9999999999:anna";
        let keys = Keys::new(REALM.to_owned(), settings().secret, [0; 32]);
        let request = with(Writer::new(Class::Request, method, [self.asked; 12]))
            .put(attribute::USERNAME, name.as_bytes())
            .put(attribute::REALM, REALM.as_bytes())
            .put(attribute::NONCE, self.nonce.as_bytes())
            .sign(&keys.of(name));
        self.hears(&request.finish(true)).await
    }

    async fn allocate(&mut self) -> SocketAddr {
        let transport = |it: Writer| it.put(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let answer = self.asks(method::ALLOCATE, transport).await;
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.class, Class::Success);
        answer.address(attribute::XOR_RELAYED_ADDRESS).unwrap()
    }

    async fn permit(&mut self, peer: SocketAddr) -> Class {
        let to = |it: Writer| it.put_address(attribute::XOR_PEER_ADDRESS, peer);
        let answer = self.asks(method::CREATE_PERMISSION, to).await;
        Message::parse(&answer).unwrap().class
    }

    async fn bind(&mut self, number: u16, peer: SocketAddr) -> Class {
        let [a, b] = number.to_be_bytes();
        let on = |it: Writer| {
            it.put(attribute::CHANNEL_NUMBER, &[a, b, 0, 0])
                .put_address(attribute::XOR_PEER_ADDRESS, peer)
        };
        let answer = self.asks(method::CHANNEL_BIND, on).await;
        Message::parse(&answer).unwrap().class
    }

    async fn send(&self, peer: SocketAddr, data: &[u8]) {
        let indication = Writer::new(Class::Indication, method::SEND, [7; 12])
            .put_address(attribute::XOR_PEER_ADDRESS, peer)
            .put(attribute::DATA, data);
        self.socket.send(&indication.finish(false)).await.unwrap();
    }

    /// Once this is answered, all that was said before has been dealt with.
    async fn is_done(&self) {
        let request = Writer::new(Class::Request, method::BINDING, [8; 12]).finish(false);
        self.hears(&request).await;
    }
}

#[tokio::test]
async fn t01_a_refused_peer_gets_not_a_single_byte() {
    let (server, _trigger, _task) = started(settings());
    let victim = UdpSocket::bind(loopback()).await.unwrap();
    let at = victim.local_addr().unwrap();
    let mut caller = Caller::at(server).await;
    caller.allocate().await;
    // The victim's address is that of the relays, so that only what is sent can be refused.
    caller.permit(at).await;
    caller.send(at, b"x").await;
    caller.bind(0x4000, at).await;
    let channel = [&[0x40, 0, 0, 1][..], b"x"].concat();
    caller.socket.send(&channel).await.unwrap();
    // Other names of the same machine are no peers at all.
    for other in ["127.0.0.2", "127.1.2.3"] {
        let other = SocketAddr::new(other.parse().unwrap(), at.port());
        assert_eq!(caller.permit(other).await, Class::Error);
        assert_eq!(caller.bind(0x4001, other).await, Class::Error);
        caller.send(other, b"x").await;
    }
    caller.is_done().await;
    let mut buffer = [0; 16];
    let heard = victim.try_recv(&mut buffer);
    assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn an_allowed_peer_is_reached_and_heard() {
    let (server, _trigger, _task) = started(Settings {
        allow_peers: vec![Network::V4_LOOPBACK],
        ..settings()
    });
    let peer = UdpSocket::bind(loopback()).await.unwrap();
    let at = peer.local_addr().unwrap();
    let mut caller = Caller::at(server).await;
    let relay = caller.allocate().await;
    assert_eq!(caller.permit(at).await, Class::Success);
    caller.send(at, b"out").await;
    let mut buffer = [0; 16];
    let read = timeout(PATIENCE, peer.recv_from(&mut buffer)).await;
    let (length, from) = read.unwrap().unwrap();
    assert_eq!((&buffer[..length], from), (&b"out"[..], relay));
    peer.send_to(b"in", relay).await.unwrap();
    let heard = caller.next().await;
    let heard = Message::parse(&heard).unwrap();
    assert_eq!(heard.get(attribute::DATA), Some(&b"in"[..]));
    assert_eq!(heard.address(attribute::XOR_PEER_ADDRESS), Some(at));
}

#[tokio::test]
async fn server_that_stops_frees_its_ports() {
    let (server, trigger, task) = started(settings());
    let mut caller = Caller::at(server).await;
    let relay = caller.allocate().await;
    assert!(sockets::bind(relay).is_err());
    trigger.trigger();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    // The readers' tasks let go of their sockets when they are next looked at.
    let freed = async {
        while sockets::bind(relay).is_err() || sockets::bind(server).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn port_that_is_taken_is_named() {
    let other = UdpSocket::bind(loopback()).await.unwrap();
    let taken = other.local_addr().unwrap();
    let refused = TurnServer::bind(&[taken], settings()).err().unwrap();
    assert!(refused.to_string().starts_with(&format!("{taken}: ")));
    assert!(TurnServer::bind(&[], settings()).unwrap().is_none());
}

#[tokio::test]
async fn clients_are_told_where_stun_and_turn_are() {
    let server = TurnServer::bind(&[loopback()], settings())
        .unwrap()
        .unwrap();
    let port = server.addresses()[0].port();
    let told = server.told();
    let services: Vec<String> = told
        .services
        .iter()
        .map(|it| format!("{}:{}:{}?{}", it.kind, it.host, it.port, it.transport))
        .collect();
    let stun = format!("stun:127.0.0.1:{port}?udp");
    assert_eq!(services, [stun, format!("turn:127.0.0.1:{port}?udp")]);
    // Behind a router it is the router's address.
    let settings = Settings {
        addresses: vec!["9.9.9.9".parse().unwrap()],
        ..settings()
    };
    let server = TurnServer::bind(&[loopback()], settings).unwrap().unwrap();
    assert!(server.told().services.iter().all(|it| it.host == "9.9.9.9"));
}

#[test]
fn realm_stays_short() {
    assert_eq!(realm("example.org"), "example.org");
    let long = "ä".repeat(100);
    assert_eq!(realm(&long).len(), 126);
}
