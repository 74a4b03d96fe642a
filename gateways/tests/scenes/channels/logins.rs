//! Who gets in, and how a connection ends.

use serde_json::json;

use super::talker::{Talker, as_user, handshake};
use crate::client::Client;
use crate::server::{PASSWORD, Server, Setup};
use klatsch_gateways::channels::ChannelsSettings;
use klatsch_gateways::http::HttpSettings;

#[tokio::test]
async fn only_version_two_and_who_is_known_get_in() {
    let server = Server::start().await;
    let password = PASSWORD.replace(' ', "+");
    for (query, expected) in [
        (as_user("anna"), 101),
        (as_user("anna@klatsch.test"), 101),
        (format!("jid=anna&password={password}"), 403),
        (format!("vsn=1.0.0&jid=anna&password={password}"), 403),
        (format!("vsn=3.0.0&jid=anna&password={password}"), 403),
        ("vsn=2.0.0&jid=anna&password=wrong".to_owned(), 403),
        ("vsn=2.0.0&jid=nobody&password=wrong".to_owned(), 403),
        (
            format!("vsn=2.0.0&jid=anna@evil.test&password={password}"),
            403,
        ),
        (
            format!("vsn=2.0.0&jid=klatsch.test&password={password}"),
            403,
        ),
        ("vsn=2.0.0&jid=anna".to_owned(), 403),
        ("vsn=2.0.0".to_owned(), 403),
        ("vsn=2.0.0&token=x.y".to_owned(), 403),
        (
            "vsn=2.0.0&token=YW5uYUBrbGF0c2NoLnRlc3QAcGFnZQ.AAAA".to_owned(),
            403,
        ),
        ("%ff%".to_owned(), 403),
    ] {
        let answer = handshake(server.http, &query, &[]).await;
        assert_eq!(answer.status, expected, "{query}");
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_a_bad_request() {
    let server = Server::start().await;
    for change in [
        ("Upgrade", ""),
        ("Connection", "keep-alive"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", "c2hvcnQ="),
    ] {
        let answer = handshake(server.http, &as_user("anna"), &[change]).await;
        assert_eq!(answer.status, 400, "{change:?}");
    }
}

#[tokio::test]
async fn token_logs_in_by_parameter_or_header_and_the_subprotocol_is_answered() {
    let server = Server::start().await;
    let token = server.api_token("anna").await;
    let answer = handshake(server.http, &format!("vsn=2.0.0&token={token}"), &[]).await;
    assert_eq!(answer.status, 101);
    assert!(!answer.head.contains("sec-websocket-protocol"));
    let encoded = klatsch_protocol::sasl::encoding::encode(token.as_bytes());
    let encoded = encoded.trim_end_matches('=');
    let list = format!("phoenix, base64url.bearer.phx.{encoded}");
    let header = [("Sec-WebSocket-Protocol", &*list)];
    let answer = handshake(server.http, "vsn=2.0.0", &header).await;
    assert_eq!(answer.status, 101);
    assert!(
        answer.head.contains("sec-websocket-protocol: phoenix\r\n"),
        "{}",
        answer.head
    );
}

#[tokio::test]
async fn password_does_not_travel_unencrypted() {
    let server = Server::start().await;
    let forwarded = [("X-Forwarded-For", "192.0.2.1")];
    let answer = handshake(server.http, &as_user("anna"), &forwarded).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn w01_page_from_elsewhere_may_not_connect() {
    let server = Server::start_with(Setup {
        http: HttpSettings {
            allowed_origins: vec!["https://intranet.example".to_owned()],
            ..HttpSettings::default()
        },
        channels: ChannelsSettings {
            allowed_origins: vec!["https://calendar.example".to_owned()],
            ..ChannelsSettings::default()
        },
        ..Setup::default()
    })
    .await;
    for (origin, expected) in [
        ("http://klatsch.test", 101),
        ("https://intranet.example", 101),
        ("https://calendar.example", 101),
        ("https://evil.example", 403),
        ("null", 403),
        ("https://calendar.example.evil.example", 403),
        ("https://calendar.example:444", 403),
        ("http://klatsch.test`evil.example", 403),
    ] {
        let answer = handshake(server.http, &as_user("anna"), &[("Origin", origin)]).await;
        assert_eq!(answer.status, expected, "{origin}");
    }
}

#[tokio::test]
async fn channels_that_are_switched_off_are_not_there() {
    let server = Server::start_with(Setup {
        channels: ChannelsSettings {
            enabled: false,
            ..ChannelsSettings::default()
        },
        ..Setup::default()
    })
    .await;
    assert_eq!(
        handshake(server.http, &as_user("anna"), &[]).await.status,
        404
    );
}

#[tokio::test]
async fn silent_client_is_let_go_and_one_with_a_heartbeat_stays() {
    let server = Server::start_with(Setup {
        channels: ChannelsSettings {
            idle_seconds: 1,
            ..ChannelsSettings::default()
        },
        ..Setup::default()
    })
    .await;
    let mut alive = Talker::connect(&server, "anna").await;
    let mut silent = Talker::connect(&server, "anna").await;
    let mut silent = tokio::spawn(async move { silent.end().await });
    let code = loop {
        alive.beat().await;
        let wait = std::time::Duration::from_millis(100);
        if let Ok(code) = tokio::time::timeout(wait, &mut silent).await {
            break code.unwrap();
        }
    };
    assert_eq!(code, Some(1001));
    alive.quiet().await;
}

#[tokio::test]
async fn connection_with_the_same_resource_takes_its_place_for_good() {
    let server = Server::start().await;
    let query = format!("{}&resource=page", as_user("anna"));
    let mut first = Talker::connect_with(&server, &query).await;
    let mut second = Talker::connect_with(&server, &query).await;
    assert_eq!(first.end().await, Some(1000));
    let me = second.join("user:anna@klatsch.test", json!({})).await;
    assert_eq!(me["jid"], "anna@klatsch.test/page");
}

#[tokio::test]
async fn stopping_server_says_that_it_starts_again() {
    let server = Server::start().await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join("user:anna@klatsch.test", json!({})).await;
    server.stop().await;
    assert_eq!(anna.end().await, Some(1012));
}

#[tokio::test]
async fn client_that_has_gone_is_seen_to_go() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join("room:team@conference.klatsch.test", json!({}))
        .await;
    bert.send(
        "<presence to='team@conference.klatsch.test/Bert'>\
         <x xmlns='http://jabber.org/protocol/muc'/></presence>",
    )
    .await;
    bert.expect(|it| it.name() == "message").await;
    drop(anna);
    let gone = bert
        .expect(|it| it.attr("type") == Some("unavailable"))
        .await;
    assert_eq!(gone.attr("from"), Some("team@conference.klatsch.test/anna"));
}
