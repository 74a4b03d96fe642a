//! Clients that send more than they may (rows X04, X05).

use crate::client::{Client, End, Stream, header};
use crate::server::{DOMAIN, Server};

const KIB: usize = 1024;

/// Sends until the server has had enough; tells how much that was.
async fn flood<S: Stream>(client: &mut Client<S>, most: usize) -> usize {
    let piece = vec![b'A'; 16 * KIB];
    let mut sent = 0;
    while sent < most && client.send_bytes(&piece).await.is_ok() {
        sent += piece.len();
    }
    sent
}

fn policy_violation() -> End {
    End::Error("policy-violation".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x04_oversized_auth_is_refused_long_before_it_is_read() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    client
        .send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>")
        .await;
    // A gibibyte is offered; the kernel's buffers are all that is taken.
    let sent = flood(&mut client, 1024 * KIB * KIB).await;
    assert!(sent < 64 * KIB * KIB, "{sent} bytes taken");
    server.emptied().await;
}

#[tokio::test]
async fn x04_client_is_told_why() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    let text = "A".repeat(9 * KIB);
    client
        .send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{text}"
        ))
        .await;
    assert_eq!(client.end().await, policy_violation());
}

#[tokio::test]
async fn x04_oversized_header_is_refused() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    let endless = format!("<stream:stream xmlns:a='{}", "A".repeat(9 * KIB));
    client.send(&endless).await;
    assert_eq!(client.end().await, policy_violation());
}

#[tokio::test]
async fn x04_many_elements_before_login_are_refused() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    client
        .send(&format!("<x xmlns='y'>{}</x>", "<z/>".repeat(40)))
        .await;
    assert_eq!(client.end().await, policy_violation());
}

/// A message to oneself of exactly this many bytes.
fn message(bytes: usize) -> String {
    let (before, after) = ("<message type='headline'><body>", "</body></message>");
    let text = "A".repeat(bytes - before.len() - after.len());
    format!("{before}{text}{after}")
}

#[tokio::test]
async fn x05_stanza_up_to_the_limit_passes() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    for bytes in [256 * KIB - 1, 256 * KIB] {
        client.send(&message(bytes)).await;
        client.ping().await;
    }
}

#[tokio::test]
async fn x05_stanza_beyond_the_limit_ends_the_stream() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    client
        .send_bytes(message(256 * KIB + 1).as_bytes())
        .await
        .unwrap();
    assert_eq!(client.end().await, policy_violation());
    server.emptied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x05_huge_text_is_refused_and_nobody_else_notices() {
    let server = Server::start().await;
    let mut other = Client::connect(server.c2s).await;
    other.session("bert", "home").await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    client.send("<message><body>").await;
    flood(&mut client, 10 * KIB * KIB).await;
    other.ping().await;
}

#[tokio::test]
async fn x05_stanza_in_pieces_of_a_byte_is_a_stanza() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    let ping = format!("<iq type='get' id='1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
    for byte in ping.as_bytes() {
        client.send_bytes(&[*byte]).await.unwrap();
    }
    client.expect(|it| it.attr("id") == Some("1")).await;
}

#[tokio::test]
async fn white_space_costs_nothing_and_changes_nothing() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    for _ in 0..100 {
        client.send(&" \n".repeat(10 * KIB)).await;
    }
    client.ping().await;
}

#[tokio::test]
async fn stream_is_closed_from_both_sides() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    client.send("</stream:stream>").await;
    assert_eq!(client.end().await, End::Footer);
    drop(client);
    server.emptied().await;
}

#[tokio::test]
async fn broken_xml_is_told_and_ends_the_session() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    let address = client.session("anna", "home").await;
    client.send("<message></presence>").await;
    assert_eq!(client.end().await, End::Error("not-well-formed".into()));
    let mut again = Client::connect(server.c2s).await;
    assert_eq!(again.session("anna", "home").await, address);
    again.ping().await;
}

#[tokio::test]
async fn second_header_in_a_session_ends_it() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    client.send(&header()).await;
    assert!(matches!(client.end().await, End::Error(_)));
}
