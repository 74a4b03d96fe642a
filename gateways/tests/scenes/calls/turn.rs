//! A TURN client made for tests, with a codec of its own: nothing here shares a line with the
//! server, so that both cannot be wrong in the same way.

use std::net::{Ipv4Addr, SocketAddr};

use klatsch_protocol::sasl::Hash;
use md5::{Digest as _, Md5};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::client::PATIENCE;

const COOKIE: u32 = 0x2112_a442;

/// What a client was told by XEP-0215.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) server: SocketAddr,
    pub(crate) username: String,
    pub(crate) password: String,
}

/// A client of the relay, with a socket of its own.
pub(crate) struct Caller {
    socket: UdpSocket,
    credentials: Credentials,
    realm: String,
    nonce: String,
    asked: u32,
}

/// An answer: what it is, and its attributes.
struct Answer {
    kind: u16,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Caller {
    pub(crate) async fn new(credentials: Credentials) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(credentials.server).await.unwrap();
        Self {
            socket,
            credentials,
            realm: String::new(),
            nonce: String::new(),
            asked: 0,
        }
    }

    /// Where the server sees this client.
    pub(crate) async fn mapped(&mut self) -> SocketAddr {
        let answer = self.ask(0x0001, &[], false).await;
        assert_eq!(answer.kind, 0x0101);
        unmask(answer.get(0x0020).unwrap())
    }

    /// Its own address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Gets a relay, or is told why not.
    pub(crate) async fn allocate(&mut self) -> Result<SocketAddr, (u16, String)> {
        let transport = (0x0019, vec![17, 0, 0, 0]);
        let challenge = self
            .ask(0x0003, std::slice::from_ref(&transport), false)
            .await;
        assert_eq!(challenge.error().unwrap().0, 401);
        self.realm = challenge.text(0x0014);
        self.nonce = challenge.text(0x0015);
        let answer = self.ask(0x0003, &[transport], true).await;
        match answer.error() {
            Some(error) => Err(error),
            None => Ok(unmask(answer.get(0x0016).unwrap())),
        }
    }

    /// Gives the relay back.
    pub(crate) async fn give_back(&mut self) {
        let answer = self.ask(0x0004, &[(0x000d, vec![0; 4])], true).await;
        assert_eq!(answer.kind, 0x0104);
    }

    /// Gives a peer a number.
    pub(crate) async fn bind(
        &mut self,
        number: u16,
        peer: SocketAddr,
    ) -> Result<(), (u16, String)> {
        let [a, b] = number.to_be_bytes();
        let attributes = [(0x000c, vec![a, b, 0, 0]), (0x0012, mask(peer))];
        let answer = self.ask(0x0009, &attributes, true).await;
        answer.error().map_or(Ok(()), Err)
    }

    pub(crate) async fn send(&self, number: u16, data: &[u8]) {
        let mut datagram = number.to_be_bytes().to_vec();
        datagram.extend_from_slice(&(data.len() as u16).to_be_bytes());
        datagram.extend_from_slice(data);
        self.socket.send(&datagram).await.unwrap();
    }

    /// The next data, with the number it came on.
    pub(crate) async fn data(&self) -> (u16, Vec<u8>) {
        let datagram = self.next().await;
        let number = u16::from_be_bytes([datagram[0], datagram[1]]);
        let length = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
        (number, datagram[4..4 + length].to_vec())
    }

    async fn next(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let read = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let length = read.expect("the relay answers").unwrap();
        buffer.truncate(length);
        buffer
    }

    async fn ask(&mut self, kind: u16, attributes: &[(u16, Vec<u8>)], is_signed: bool) -> Answer {
        self.asked += 1;
        let mut message = kind.to_be_bytes().to_vec();
        message.extend_from_slice(&[0, 0]);
        message.extend_from_slice(&COOKIE.to_be_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&self.asked.to_be_bytes());
        for (kind, value) in attributes {
            put(&mut message, *kind, value);
        }
        if is_signed {
            self.sign(&mut message);
        }
        self.socket.send(&message).await.unwrap();
        let answer = self.next().await;
        assert_eq!(answer[4..20], message[4..20], "the answer to this request");
        Answer::read(&answer)
    }

    fn sign(&self, message: &mut Vec<u8>) {
        let Credentials {
            username, password, ..
        } = &self.credentials;
        put(message, 0x0006, username.as_bytes());
        put(message, 0x0014, self.realm.as_bytes());
        put(message, 0x0015, self.nonce.as_bytes());
        let key = Md5::digest(format!("{username}:{}:{password}", self.realm));
        let end = message.len() + 24;
        set_length(message, end);
        let mac = Hash::Sha1.hmac(&key, message);
        put(message, 0x0008, &mac);
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let mut attributes = Vec::new();
        let mut rest = &bytes[20..];
        while let [a, b, c, d, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            attributes.push((u16::from_be_bytes([*a, *b]), after[..length].to_vec()));
            rest = &after[length.next_multiple_of(4)..];
        }
        assert!(rest.is_empty());
        Self {
            kind: u16::from_be_bytes([bytes[0], bytes[1]]),
            attributes,
        }
    }

    fn get(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|(other, _)| *other == kind);
        found.map(|(_, value)| &value[..])
    }

    fn text(&self, kind: u16) -> String {
        String::from_utf8(self.get(kind).unwrap().to_vec()).unwrap()
    }

    fn error(&self) -> Option<(u16, String)> {
        let value = self.get(0x0009)?;
        let code = u16::from(value[2]) * 100 + u16::from(value[3]);
        Some((code, String::from_utf8(value[4..].to_vec()).unwrap()))
    }
}

fn put(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    while !message.len().is_multiple_of(4) {
        message.push(0);
    }
    let end = message.len();
    set_length(message, end);
}

fn set_length(message: &mut [u8], end: usize) {
    message[2..4].copy_from_slice(&((end - 20) as u16).to_be_bytes());
}

fn mask(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else {
        panic!("these tests speak IPv4")
    };
    let port = address.port() ^ (COOKIE >> 16) as u16;
    let ip = address.ip().to_bits() ^ COOKIE;
    let mut value = vec![0, 1];
    value.extend_from_slice(&port.to_be_bytes());
    value.extend_from_slice(&ip.to_be_bytes());
    value
}

fn unmask(value: &[u8]) -> SocketAddr {
    assert_eq!((value[1], value.len()), (1, 8));
    let port = u16::from_be_bytes([value[2], value[3]]) ^ (COOKIE >> 16) as u16;
    let ip = u32::from_be_bytes([value[4], value[5], value[6], value[7]]) ^ COOKIE;
    (Ipv4Addr::from_bits(ip), port).into()
}
