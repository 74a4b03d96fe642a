//! A WebSocket client made for tests: its handshake and its frames can be wrong.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::{ClientBinding, ScramClient};
use klatsch_protocol::sasl::{Hash, Secret, encoding};
use klatsch_protocol::xml::{Fragment, Limits, parse_fragment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use crate::client::{PATIENCE, condition};
use crate::server::{DOMAIN, PASSWORD};

/// A WebSocket client for tests.
pub(crate) struct Socket {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

/// How a WebSocket ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketEnd {
    /// The stream error, if there was one.
    pub(crate) error: Option<String>,
    /// Whether the stream was closed.
    pub(crate) stream_closed: bool,
    /// The WebSocket's close code.
    pub(crate) code: Option<u16>,
}

/// A handshake without a library, so that it can be wrong; the answer is status and socket.
pub(crate) async fn handshake(address: SocketAddr, changes: &[(&str, &str)]) -> (u16, TcpStream) {
    let mut fields = vec![
        ("Host", DOMAIN),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "xmpp"),
    ];
    fields.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let mut request = String::from("GET /xmpp-websocket HTTP/1.1\r\n");
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, tcp.read_u8())
            .await
            .expect("an answer")
            .expect("an answer");
        answer.push(byte);
    }
    let answer = String::from_utf8(answer).unwrap();
    let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
    if status == 101 {
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert!(
            answer
                .to_lowercase()
                .contains("sec-websocket-protocol: xmpp"),
            "{answer}"
        );
    }
    (status, tcp)
}

impl Socket {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[]).await
    }

    pub(crate) async fn connect_with(address: SocketAddr, changes: &[(&str, &str)]) -> Self {
        let (status, tcp) = handshake(address, changes).await;
        assert_eq!(status, 101);
        Self {
            socket: WebSocketStream::from_raw_socket(tcp, Role::Client, None).await,
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Opens the stream and returns its features.
    pub(crate) async fn open(&mut self) -> Fragment {
        self.send(&format!(
            "<open xmlns='{}' to='{DOMAIN}' version='1.0'/>",
            ns::FRAMING
        ))
        .await;
        self.expect(|it| it.is("open", ns::FRAMING)).await;
        self.expect(|it| it.is("features", ns::STREAMS)).await
    }

    async fn fragment(&mut self) -> Fragment {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("an answer");
            match message.expect("an open socket").expect("a sound frame") {
                Message::Text(text) => {
                    return parse_fragment(text.as_bytes(), &Limits::S2S).expect("a document");
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn expect(&mut self, fits: impl Fn(&Fragment) -> bool) -> Fragment {
        loop {
            let fragment = self.fragment().await;
            if fits(&fragment) {
                return fragment;
            }
            assert!(
                !fragment.is("error", ns::STREAMS),
                "{:?}",
                condition(&fragment)
            );
        }
    }

    pub(crate) async fn end(&mut self) -> SocketEnd {
        let mut end = SocketEnd::default();
        while let Some(Ok(message)) = timeout(PATIENCE, self.socket.next()).await.expect("an end") {
            match message {
                Message::Text(text) => {
                    let fragment = parse_fragment(text.as_bytes(), &Limits::S2S).unwrap();
                    if fragment.is("error", ns::STREAMS) {
                        end.error = Some(condition(&fragment));
                    }
                    end.stream_closed |= fragment.is("close", ns::FRAMING);
                }
                Message::Close(frame) => end.code = frame.map(|frame| frame.code.into()),
                _ => {}
            }
        }
        end
    }

    pub(crate) async fn session(&mut self, name: &str) -> String {
        self.open().await;
        let password = Secret::new(PASSWORD);
        let mut scram = ScramClient::new(
            Hash::Sha256,
            name,
            password,
            ClientBinding::Unsupported,
            &[3; 18],
        );
        let (sasl, first) = (ns::SASL, encoding::encode(&scram.first()));
        self.send(&format!(
            "<auth xmlns='{sasl}' mechanism='SCRAM-SHA-256'>{first}</auth>"
        ))
        .await;
        let challenge = self.expect(|it| it.is("challenge", ns::SASL)).await;
        let last = scram
            .answer(&encoding::decode(challenge.text()).unwrap(), None)
            .unwrap();
        self.send(&format!(
            "<response xmlns='{sasl}'>{}</response>",
            encoding::encode(&last)
        ))
        .await;
        self.expect(|it| it.is("success", ns::SASL)).await;
        self.open().await;
        let bind = format!("<bind xmlns='{}'/>", ns::BIND);
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' id='b'>{bind}</iq>"
        ))
        .await;
        let result = self.expect(|it| it.attr("id") == Some("b")).await;
        let bind = result.payloads().element("bind", ns::BIND).expect("bind");
        bind.find("jid", ns::BIND).expect("jid").text_content()
    }

    pub(crate) async fn ping(&mut self) {
        let ping = "<ping xmlns='urn:xmpp:ping'/>";
        self.send(&format!(
            "<iq xmlns='jabber:client' type='get' id='p' to='{DOMAIN}'>{ping}</iq>"
        ))
        .await;
        self.expect(|it| it.attr("id") == Some("p")).await;
    }
}

/// Writes a frame's bytes as they are, masked unless told otherwise.
pub(crate) async fn raw(
    tcp: &mut TcpStream,
    header: FrameHeader,
    payload: &[u8],
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).unwrap();
    let mask = header.mask.unwrap_or_default();
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    tcp.write_all(&bytes).await
}

pub(crate) fn masked(opcode: OpCode, is_final: bool) -> FrameHeader {
    FrameHeader {
        is_final,
        opcode,
        mask: Some([1, 2, 3, 4]),
        ..FrameHeader::default()
    }
}

/// Goes on as a client that listens only.
pub(crate) async fn end_of(tcp: TcpStream) -> SocketEnd {
    Socket {
        socket: WebSocketStream::from_raw_socket(tcp, Role::Client, None).await,
    }
    .end()
    .await
}

/// Asks for a path with a header that does not end, of which the server must not take much.
pub(crate) async fn send_bomb(address: SocketAddr, path: &str) {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Bomb: ");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'A'; 16 * 1024];
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && tcp.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes taken");
}
