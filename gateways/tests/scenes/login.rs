//! TLS and logins (rows A01, A03, A04).

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use klatsch_gateways::listener::Limits;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::ClientBinding;
use klatsch_protocol::sasl::{Secret, encoding, plain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, End, PATIENCE, condition, credulous, header, tls};
use crate::server::{DOMAIN, PASSWORD, Server, Setup};

async fn strict_server() -> Server {
    Server::start_with(Setup {
        require_tls: true,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn client_logs_in_over_starttls_and_over_direct_tls() {
    let server = strict_server().await;
    let mut client = Client::connect(server.c2s).await.start_tls().await;
    assert_eq!(
        client.session("anna", "home").await,
        "anna@klatsch.test/home"
    );
    client.ping().await;
    let mut direct = Client::connect_tls(server.c2s_tls).await;
    direct.session("bert", "home").await;
    direct.ping().await;
}

#[tokio::test]
async fn what_comes_with_the_end_of_a_handshake_is_read() {
    let server = strict_server().await;
    let name = rustls::pki_types::ServerName::try_from(DOMAIN).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(credulous(true)), name).unwrap();
    let mut tcp = TcpStream::connect(server.c2s_tls).await.unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    tcp.write_all(&hello).await.unwrap();
    while client.is_handshaking() {
        read_tls(&mut client, &mut tcp).await;
    }
    // The end of the handshake and the client's first words in one segment.
    client.writer().write_all(header().as_bytes()).unwrap();
    let mut last = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut last).unwrap();
    }
    tcp.write_all(&last).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("</stream:features>") {
        read_tls(&mut client, &mut tcp).await;
        // Nothing more now is no fault.
        let _ = client.reader().read_to_string(&mut answer);
    }
}

/// Reads some of what the server says.
async fn read_tls(client: &mut rustls::ClientConnection, tcp: &mut TcpStream) {
    let mut bytes = [0; 4096];
    let count = timeout(PATIENCE, tcp.read(&mut bytes))
        .await
        .expect("the server goes on")
        .unwrap();
    let mut unread = &bytes[..count];
    while !unread.is_empty() {
        client.read_tls(&mut unread).unwrap();
        client.process_new_packets().unwrap();
    }
}

#[tokio::test]
async fn large_stanzas_pass_through_tls() {
    let server = strict_server().await;
    let mut client = Client::connect_tls(server.c2s_tls).await;
    let address = client.session("anna", "home").await;
    let body = "x".repeat(200 * 1024);
    client
        .send(&format!(
            "<message to='{address}' type='headline' id='m'><body>{body}</body></message>"
        ))
        .await;
    let echo = client.expect(|it| it.attr("id") == Some("m")).await;
    let text = echo
        .payloads()
        .text_of("body", ns::CLIENT)
        .or(echo.payloads().text_of("body", ""));
    assert_eq!(text.expect("a body").len(), body.len());
}

#[tokio::test]
async fn both_sides_compute_the_same_channel_binding() {
    let server = strict_server().await;
    let mut client = Client::connect_tls(server.c2s_tls).await;
    let binding = client.binding();
    client.open().await;
    let outcome = client
        .authenticate("anna", PASSWORD, ("SCRAM-SHA-256-PLUS", binding))
        .await;
    assert_eq!(outcome, Ok(()));
}

#[tokio::test]
async fn plain_needs_the_right_password() {
    let server = strict_server().await;
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.open().await;
    for (password, expected) in [("wrong", "failure"), (PASSWORD, "success")] {
        let text = encoding::encode(&plain::plain_message("anna", &Secret::new(password)));
        client
            .send(&format!(
                "<auth xmlns='{}' mechanism='PLAIN'>{text}</auth>",
                ns::SASL
            ))
            .await;
        let answer = client.expect(|it| it.namespace() == ns::SASL).await;
        assert_eq!(answer.name(), expected, "{password}");
    }
}

#[tokio::test]
async fn wrong_password_and_no_account_look_the_same() {
    let server = Server::start().await;
    for name in ["anna", "nobody"] {
        let mut client = Client::connect(server.c2s).await;
        client.open().await;
        let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
        let outcome = client.authenticate(name, "wrong", mechanism).await;
        assert_eq!(outcome, Err("not-authorized".into()), "{name}");
    }
}

#[tokio::test]
async fn login_without_tls_is_refused_where_tls_is_required() {
    let server = strict_server().await;
    let mut client = Client::connect(server.c2s).await;
    let features = client.open().await;
    assert!(features.payloads().has("starttls", ns::TLS));
    assert!(!features.payloads().has("mechanisms", ns::SASL));
    client
        .send(&format!(
            "<auth xmlns='{}' mechanism='SCRAM-SHA-256'>biws</auth>",
            ns::SASL
        ))
        .await;
    let failure = client.expect(|it| it.is("failure", ns::SASL)).await;
    assert_eq!(condition(&failure), "encryption-required");
}

#[tokio::test]
async fn a01_bytes_behind_starttls_never_count() {
    let server = strict_server().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    // One segment: the request, and what an attacker puts behind it.
    let injected = format!(
        "{}<auth xmlns='{}' mechanism='PLAIN'>AGEAYg==</auth>",
        header(),
        ns::SASL
    );
    client
        .send(&format!("<starttls xmlns='{}'/>{injected}", ns::TLS))
        .await;
    // The connection ends without a word that was made from the injected ones.
    while let Some(token) = client.token().await {
        let klatsch_protocol::xml::Token::Fragment(fragment) = token else {
            continue;
        };
        assert!(
            !fragment.is("failure", ns::SASL) && !fragment.is("features", ns::STREAMS),
            "{fragment:?}"
        );
    }
    drop(client);
    server.emptied().await;
}

#[tokio::test]
async fn a01_bytes_between_proceed_and_handshake_never_count() {
    let server = strict_server().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    client
        .send(&format!("<starttls xmlns='{}'/>", ns::TLS))
        .await;
    client.expect(|it| it.is("proceed", ns::TLS)).await;
    client.send("<presence/>").await;
    assert!(
        tls(client.stream, false).await.is_err(),
        "handshake on top of plain text"
    );
    server.emptied().await;
}

/// A ClientHello that offers one version and nothing else, made by hand: our own client
/// library is too modern to ask.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let mut hello = vec![];
    hello.extend_from_slice(&version);
    hello.extend_from_slice(&[7; 32]);
    hello.push(0); // no session
    hello.extend_from_slice(&[0, 4, 0xc0, 0x13, 0x00, 0x2f]); // two old cipher suites
    hello.extend_from_slice(&[1, 0]); // no compression
    let mut handshake = vec![1, 0, 0, hello.len() as u8];
    handshake.extend_from_slice(&hello);
    let mut record = vec![22, 3, 1, 0, handshake.len() as u8];
    record.extend_from_slice(&handshake);
    record
}

#[tokio::test]
async fn a03_old_tls_is_refused() {
    let server = strict_server().await;
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut tcp = TcpStream::connect(server.c2s_tls).await.unwrap();
        tcp.write_all(&client_hello(version)).await.unwrap();
        let mut answer = Vec::new();
        // The server may reset after its alert.
        let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut answer))
            .await
            .expect("an end");
        // RFC 8446 §6: an alert record, fatal.
        assert!(
            answer.is_empty() || (answer[0] == 21 && answer[5] == 2),
            "{version:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a03_renegotiation_does_not_exist() {
    // rustls has none on any version; TLS 1.3 has no such message. What is left to show is
    // that 1.2 and 1.3 are the versions spoken.
    let server = strict_server().await;
    let client = Client::connect_tls(server.c2s_tls).await;
    let version = client.stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn a04_handshake_in_pieces_of_a_byte_succeeds_or_ends_in_time() {
    let tls_handshake_timeout = Duration::from_millis(400);
    let limits = Limits {
        tls_handshake_timeout,
        ..Setup::default().limits
    };
    let server = Server::start_with(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    // Half a ClientHello, and silence.
    let mut silent = TcpStream::connect(server.c2s_tls).await.unwrap();
    silent.write_all(&client_hello([3, 3])[..20]).await.unwrap();
    // Others are not kept waiting by it.
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.session("anna", "home").await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a silent handshake is not ended");
    client.ping().await;
}

#[tokio::test]
async fn a04_silent_handshakes_keep_nobody_out() {
    let server = Server::start().await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        let mut tcp = TcpStream::connect(server.c2s_tls).await.unwrap();
        tcp.write_all(&[22, 3, 1]).await.unwrap();
        silent.push(tcp);
    }
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.session("anna", "home").await;
}

#[tokio::test]
async fn a04_bytes_that_are_no_tls_end_the_connection() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s_tls).await;
    client.send(&header()).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, client.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    server.emptied().await;
}

#[tokio::test]
async fn third_wrong_password_closes_the_stream() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    for _ in 0..3 {
        let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
        assert!(
            client
                .authenticate("anna", "wrong", mechanism)
                .await
                .is_err()
        );
    }
    assert_ne!(client.end().await, End::Silent);
}
