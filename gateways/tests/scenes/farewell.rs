//! What a client that closes its stream is still told (RFC 6120 §4.4, XEP-0198 §4).

use klatsch_protocol::ns;

use crate::client::{Client, End};
use crate::server::Server;
use crate::socket::Socket;

const SM: &str = "urn:xmpp:sm:3";

#[tokio::test]
async fn who_closes_behind_a_message_is_told_that_it_is_kept_before_the_stream_ends() {
    let server = Server::start().await;
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "home").await;
    anna.send(&format!("<enable xmlns='{SM}' resume='true'/>"))
        .await;
    anna.expect(|it| it.is("enabled", SM)).await;
    anna.send(
        "<message to='bert@klatsch.test' type='chat' id='m'><body>bye</body></message>\
         </stream:stream>",
    )
    .await;
    let ack = anna.expect(|it| it.is("a", SM)).await;
    assert_eq!(ack.attr("h"), Some("1"));
    assert_eq!(anna.end().await, End::Footer);
}

#[tokio::test]
async fn who_closes_behind_a_message_hears_that_it_was_refused() {
    let server = Server::start().await;
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "home").await;
    anna.send(
        "<message to='nobody@klatsch.test' type='chat' id='m'><body>bye</body></message>\
         </stream:stream>",
    )
    .await;
    let refusal = anna.expect(|it| it.attr("id") == Some("m")).await;
    assert_eq!(refusal.attr("type"), Some("error"));
    assert_eq!(anna.end().await, End::Footer);
}

#[tokio::test]
async fn a_browser_that_closes_behind_a_message_is_told_so_too() {
    let server = Server::start().await;
    let mut web = Socket::connect(server.http).await;
    web.session("anna").await;
    web.send(&format!("<enable xmlns='{SM}' resume='true'/>"))
        .await;
    web.expect(|it| it.is("enabled", SM)).await;
    web.send(
        "<message xmlns='jabber:client' to='bert@klatsch.test' type='chat' id='m'>\
         <body>bye</body></message>",
    )
    .await;
    web.send(&format!("<close xmlns='{}'/>", ns::FRAMING)).await;
    let ack = web.expect(|it| it.is("a", SM)).await;
    assert_eq!(ack.attr("h"), Some("1"));
    assert!(web.end().await.stream_closed);
}
