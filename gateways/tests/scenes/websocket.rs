//! XMPP over WebSocket, and what clients may not do with it (rows W01 to W08).

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use klatsch_gateways::http::HttpSettings;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::{ClientBinding, ScramClient};
use klatsch_protocol::sasl::{Hash, Secret, encoding};
use klatsch_protocol::xml::{Fragment, Limits, parse_fragment};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::client::{PATIENCE, condition};
use crate::server::{DOMAIN, PASSWORD, Server, Setup};

/// A WebSocket client for tests.
pub(crate) struct Socket {
    socket: WebSocketStream<TcpStream>,
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
async fn handshake(address: SocketAddr, changes: &[(&str, &str)]) -> (u16, TcpStream) {
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
        let (status, tcp) = handshake(address, &[]).await;
        assert_eq!(status, 101);
        Self {
            socket: WebSocketStream::from_raw_socket(tcp, Role::Client, None).await,
        }
    }

    async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn open(&mut self) {
        self.send(&format!(
            "<open xmlns='{}' to='{DOMAIN}' version='1.0'/>",
            ns::FRAMING
        ))
        .await;
        self.expect(|it| it.is("open", ns::FRAMING)).await;
        self.expect(|it| it.is("features", ns::STREAMS)).await;
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

    async fn expect(&mut self, fits: impl Fn(&Fragment) -> bool) -> Fragment {
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

    async fn session(&mut self, name: &str) -> String {
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

    async fn ping(&mut self) {
        let ping = "<ping xmlns='urn:xmpp:ping'/>";
        self.send(&format!(
            "<iq xmlns='jabber:client' type='get' id='p' to='{DOMAIN}'>{ping}</iq>"
        ))
        .await;
        self.expect(|it| it.attr("id") == Some("p")).await;
    }
}

/// Writes a frame's bytes as they are, masked unless told otherwise.
async fn raw(tcp: &mut TcpStream, header: FrameHeader, payload: &[u8]) -> std::io::Result<()> {
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

fn masked(opcode: OpCode, is_final: bool) -> FrameHeader {
    FrameHeader {
        is_final,
        opcode,
        mask: Some([1, 2, 3, 4]),
        ..FrameHeader::default()
    }
}

/// Goes on as a client that listens only.
async fn end_of(tcp: TcpStream) -> SocketEnd {
    Socket {
        socket: WebSocketStream::from_raw_socket(tcp, Role::Client, None).await,
    }
    .end()
    .await
}

#[tokio::test]
async fn client_chats_over_websocket_with_one_over_tcp() {
    let server = Server::start().await;
    let mut web = Socket::connect(server.http).await;
    let address = web.session("anna").await;
    let mut tcp = crate::client::Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    tcp.send(&format!(
        "<message to='{address}' type='chat' id='m'><body>hi</body></message>"
    ))
    .await;
    let message = web.expect(|it| it.attr("id") == Some("m")).await;
    assert_eq!(message.namespace(), "jabber:client");
    web.send("<message xmlns='jabber:client' to='bert@klatsch.test/home' id='r'><body>ho</body></message>").await;
    tcp.expect(|it| it.attr("id") == Some("r")).await;
    web.send(&format!("<close xmlns='{}'/>", ns::FRAMING)).await;
    let end = web.end().await;
    assert_eq!(
        end,
        SocketEnd {
            error: None,
            stream_closed: true,
            code: Some(1000)
        }
    );
}

#[tokio::test]
async fn w01_pages_from_elsewhere_may_not_connect() {
    let allowed_origins = vec!["https://intranet.example".to_owned()];
    let http = HttpSettings {
        allowed_origins,
        ..HttpSettings::default()
    };
    let server = Server::start_with(Setup {
        http,
        ..Setup::default()
    })
    .await;
    for (origin, expected) in [
        ("http://klatsch.test", 101),
        ("https://intranet.example", 101),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://klatsch.test.evil.example", 403),
        ("http://klatsch.test:81", 403),
        ("http://klatsch.test`evil.example", 403),
    ] {
        let (status, _) = handshake(server.http, &[("Origin", origin)]).await;
        assert_eq!(status, expected, "{origin}");
    }
    let (status, _) = handshake(server.http, &[("Sec-WebSocket-Protocol", "")]).await;
    assert_eq!(status, 400, "without the subprotocol");
}

#[tokio::test]
async fn plain_websocket_behind_an_unknown_proxy_is_refused() {
    let server = Server::start().await;
    let (status, _) = handshake(server.http, &[("X-Forwarded-For", "192.0.2.1")]).await;
    assert_eq!(status, 403);
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let http = HttpSettings {
        trusted_proxies,
        ..HttpSettings::default()
    };
    let server = Server::start_with(Setup {
        http,
        ..Setup::default()
    })
    .await;
    for (scheme, expected) in [("https", 101), ("http", 403)] {
        let (status, _) = handshake(server.http, &[("X-Forwarded-Proto", scheme)]).await;
        assert_eq!(status, expected, "{scheme}");
    }
}

#[tokio::test]
async fn w02_header_bomb_ends_early() {
    let server = Server::start().await;
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    tcp.write_all(b"GET /xmpp-websocket HTTP/1.1\r\nHost: x\r\nX-Bomb: ")
        .await
        .unwrap();
    let piece = [b'A'; 16 * 1024];
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && tcp.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes taken");
    server.emptied().await;
}

#[tokio::test]
async fn w02_slow_header_ends_at_the_deadline() {
    let http_header_timeout = std::time::Duration::from_millis(300);
    let limits = klatsch_gateways::listener::Limits {
        http_header_timeout,
        ..Setup::default().limits
    };
    let server = Server::start_with(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut answer))
        .await
        .expect("an end")
        .unwrap();
    server.emptied().await;
}

#[tokio::test]
async fn w03_frames_against_the_rules_are_protocol_errors() {
    let server = Server::start().await;
    let text = OpCode::Data(Data::Text);
    let unmasked = FrameHeader {
        mask: None,
        ..masked(text, true)
    };
    let reserved = FrameHeader {
        rsv2: true,
        ..masked(text, true)
    };
    let cases: [(&str, FrameHeader, &[u8]); 5] = [
        ("unmasked", unmasked, b"<open/>"),
        ("reserved bit", reserved, b"<open/>"),
        (
            "reserved opcode",
            masked(OpCode::Data(Data::Reserved(3)), true),
            b"",
        ),
        (
            "fragmented ping",
            masked(OpCode::Control(Control::Ping), false),
            b"",
        ),
        (
            "continuation of nothing",
            masked(OpCode::Data(Data::Continue), true),
            b"",
        ),
    ];
    for (name, header, payload) in cases {
        let (_, mut tcp) = handshake(server.http, &[]).await;
        raw(&mut tcp, header, payload).await.unwrap();
        assert_eq!(end_of(tcp).await.code, Some(1002), "{name}");
    }
    let (_, mut tcp) = handshake(server.http, &[]).await;
    raw(
        &mut tcp,
        masked(OpCode::Control(Control::Ping), true),
        &[0; 126],
    )
    .await
    .unwrap();
    assert_eq!(end_of(tcp).await.code, Some(1002), "long ping");
}

#[tokio::test]
async fn w04_length_without_content_is_refused_before_it_is_stored() {
    let server = Server::start().await;
    let (_, mut tcp) = handshake(server.http, &[]).await;
    let mut header = vec![0x81, 0xff];
    header.extend_from_slice(&(1_u64 << 62).to_be_bytes());
    header.extend_from_slice(&[1, 2, 3, 4]);
    tcp.write_all(&header).await.unwrap();
    let end = end_of(tcp).await;
    assert_eq!(end.error.as_deref(), Some("policy-violation"));
    server.emptied().await;
}

#[tokio::test]
async fn w04_empty_fragments_without_end_are_stopped() {
    let server = Server::start().await;
    let (_, mut tcp) = handshake(server.http, &[]).await;
    raw(&mut tcp, masked(OpCode::Data(Data::Text), false), b"")
        .await
        .unwrap();
    let mut flood = Vec::new();
    for _ in 0..1000 {
        flood.extend_from_slice(&[0x00, 0x80, 1, 2, 3, 4]);
    }
    let mut rounds = 0;
    while rounds < 10_000 && tcp.write_all(&flood).await.is_ok() {
        rounds += 1;
    }
    assert!(rounds < 10_000, "ten million fragments taken");
    drop(tcp);
    server.emptied().await;
}

#[tokio::test]
async fn w05_compression_is_not_negotiated_and_not_read() {
    let server = Server::start().await;
    let offer = [(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    )];
    let (status, mut tcp) = handshake(server.http, &offer).await;
    assert_eq!(status, 101);
    let compressed = FrameHeader {
        rsv1: true,
        ..masked(OpCode::Data(Data::Text), true)
    };
    raw(&mut tcp, compressed, &[0xca, 0x49]).await.unwrap();
    assert_eq!(end_of(tcp).await.code, Some(1002));
}

#[tokio::test]
async fn w06_xml_is_as_strict_as_on_a_stream() {
    let server = Server::start().await;
    for (document, expected) in [
        ("<!DOCTYPE a [<!ENTITY b 'x'>]><open/>", "restricted-xml"),
        (
            "<!-- hi --><open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
            "restricted-xml",
        ),
        ("<?php hi ?><open/>", "restricted-xml"),
        ("<open>", "not-well-formed"),
        ("<a:open/>", "bad-namespace-prefix"),
    ] {
        let mut socket = Socket::connect(server.http).await;
        socket.send(document).await;
        let end = socket.end().await;
        assert_eq!(end.error.as_deref(), Some(expected), "{document}");
        assert!(end.stream_closed, "{document}");
    }
}

#[tokio::test]
async fn w06_depth_and_size_are_limited_after_login() {
    let server = Server::start().await;
    let mut socket = Socket::connect(server.http).await;
    socket.session("anna").await;
    let deep = "<a xmlns='b'>".repeat(100_000 / 13);
    socket
        .send(&format!("<message xmlns='jabber:client'>{deep}"))
        .await;
    assert_eq!(
        socket.end().await.error.as_deref(),
        Some("policy-violation")
    );
    let mut socket = Socket::connect(server.http).await;
    socket.session("anna").await;
    let text = "A".repeat(300 * 1024);
    socket
        .send(&format!(
            "<message xmlns='jabber:client'><body>{text}</body></message>"
        ))
        .await;
    assert_eq!(
        socket.end().await.error.as_deref(),
        Some("policy-violation")
    );
}

#[tokio::test]
async fn w07_only_one_document_of_text_fits_in_a_frame() {
    let server = Server::start().await;
    let (_, mut tcp) = handshake(server.http, &[]).await;
    raw(
        &mut tcp,
        masked(OpCode::Data(Data::Text), true),
        b"<a>\xff\xfe</a>",
    )
    .await
    .unwrap();
    assert_eq!(end_of(tcp).await.code, Some(1007));

    let mut socket = Socket::connect(server.http).await;
    socket
        .socket
        .send(Message::Binary(Bytes::from_static(b"<open/>")))
        .await
        .unwrap();
    assert_eq!(socket.end().await.code, Some(1003));

    let mut socket = Socket::connect(server.http).await;
    socket.session("anna").await;
    let stanza = "<presence xmlns='jabber:client'/>";
    socket.send(&format!("{stanza}{stanza}")).await;
    let end = socket.end().await;
    assert!(end.error.is_some() && end.stream_closed, "{end:?}");
}

#[tokio::test]
async fn w08_ping_flood_is_stopped_and_a_few_pings_are_answered() {
    let server = Server::start().await;
    let mut socket = Socket::connect(server.http).await;
    socket.session("anna").await;
    socket
        .socket
        .send(Message::Ping(Bytes::from_static(b"1")))
        .await
        .unwrap();
    let pong = timeout(PATIENCE, socket.socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"1")));
    socket.ping().await;
    for _ in 0..100 {
        let ping = Frame::ping(Bytes::from_static(b"flood"));
        if socket.socket.send(Message::Frame(ping)).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.end().await.code, Some(1008));
}
