//! XMPP over WebSocket, and what clients may not do with it (rows W01 to W08).

use futures_util::{SinkExt, StreamExt};
use klatsch_gateways::http::HttpSettings;
use klatsch_protocol::ns;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::client::PATIENCE;
use crate::server::{Server, Setup};
use crate::socket::{Socket, SocketEnd, end_of, handshake, masked, raw, send_bomb};

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

/// A server that believes a proxy on its own machine.
async fn behind_a_proxy() -> Server {
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let http = HttpSettings {
        trusted_proxies,
        ..HttpSettings::default()
    };
    Server::start_with(Setup {
        http,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn plain_websocket_behind_an_unknown_proxy_is_refused() {
    let server = Server::start().await;
    let (status, _) = handshake(server.http, &[("X-Forwarded-For", "192.0.2.1")]).await;
    assert_eq!(status, 403);
    let server = behind_a_proxy().await;
    for (scheme, expected) in [("https", 101), ("http", 403)] {
        let (status, _) = handshake(server.http, &[("X-Forwarded-Proto", scheme)]).await;
        assert_eq!(status, expected, "{scheme}");
    }
}

#[tokio::test]
async fn a05_plain_websocket_takes_logins_but_no_passwords() {
    let server = Server::start_with(Setup {
        require_tls: true,
        ..Setup::default()
    })
    .await;
    let features = Socket::connect(server.http).await.open().await;
    let mechanisms = features.payloads().element("mechanisms", ns::SASL).unwrap();
    let names: Vec<_> = mechanisms.children().map(|it| it.text_content()).collect();
    // A token for one login is good for a minute, and nothing crosses a network.
    let without_plain = [
        "SCRAM-SHA-512",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "OAUTHBEARER",
    ];
    assert_eq!(names, without_plain);

    let server = behind_a_proxy().await;
    let proxied = Socket::connect_with(server.http, &[("X-Forwarded-Proto", "https")]);
    let features = proxied.await.open().await;
    let mechanisms = features.payloads().element("mechanisms", ns::SASL).unwrap();
    assert!(mechanisms.children().any(|it| it.text_content() == "PLAIN"));
}

#[tokio::test]
async fn w02_header_bomb_ends_early() {
    let server = Server::start().await;
    send_bomb(server.http, "/xmpp-websocket").await;
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
