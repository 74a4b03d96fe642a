//! From where BOSH is taken: behind which proxies, from whose pages, and without TLS (rows W01, W10
//! and A05).

use klatsch_gateways::http::HttpSettings;
use klatsch_gateways::listener::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::requests::{begin, post};
use crate::server::{DOMAIN, Server, Setup};

async fn server_with(http: HttpSettings) -> Server {
    Server::start_with(Setup {
        http,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn w10_w01_bosh_believes_neither_strangers_nor_foreign_pages() {
    let server = Server::start().await;
    let refused = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ];
    for header in refused {
        let reply = post(server.http, &[header], begin(1, "").as_bytes()).await;
        assert_eq!(reply.status, 403, "{header:?}");
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
    }
    let http = HttpSettings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        allowed_origins: vec!["https://intranet.example".to_owned()],
    };
    let server = server_with(http).await;
    let plain = [("X-Forwarded-Proto", "http")];
    assert_eq!(
        post(server.http, &plain, begin(1, "").as_bytes())
            .await
            .status,
        403
    );
    let page = [
        ("X-Forwarded-Proto", "https"),
        ("Origin", "https://intranet.example"),
    ];
    let reply = post(server.http, &page, begin(1, "").as_bytes()).await;
    let allowed = "access-control-allow-origin: https://intranet.example";
    assert!(reply.head.contains(allowed), "{}", reply.head);
    // §19.1: the proxy's https is TLS, so that plain requests do not get into the session.
    let sid = reply.attr("sid").unwrap();
    assert!(reply.text.contains("PLAIN"), "{}", reply.text);
    let ns = klatsch_protocol::stream::bosh::NS;
    let next = format!("<body xmlns='{ns}' sid='{sid}' rid='2'/>");
    assert_eq!(post(server.http, &plain, next.as_bytes()).await.status, 403);
}

#[tokio::test]
async fn w10_sessions_are_counted_by_the_address_the_proxy_saw() {
    let limits = Limits {
        connections_per_address: 1,
        ..Setup::default().limits
    };
    let http = HttpSettings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..HttpSettings::default()
    };
    let setup = Setup {
        limits,
        http,
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    // What stands left of the proxy's word, anybody can have written.
    for (seen, is_taken) in [
        ("192.0.2.1", true),
        ("192.0.2.2", true),
        ("192.0.2.9, 192.0.2.1", false),
    ] {
        let headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", seen)];
        let reply = post(server.http, &headers, begin(1, "").as_bytes()).await;
        assert_eq!(reply.attr("sid").is_some(), is_taken, "{seen}");
    }
}

async fn ask(server: &Server, head: &str) -> String {
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    let request = format!("{head}\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer.to_lowercase()
}

#[tokio::test]
async fn w01_browsers_ask_first_and_hear_whose_pages_may() {
    let http = HttpSettings {
        allowed_origins: vec!["https://intranet.example".to_owned()],
        ..HttpSettings::default()
    };
    let server = server_with(http).await;
    let options = "OPTIONS /http-bind HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\nOrigin: ";
    let answer = ask(&server, &format!("{options}https://intranet.example")).await;
    assert!(answer.starts_with("http/1.1 204"), "{answer}");
    for header in [
        "access-control-allow-origin: https://intranet.example",
        "access-control-allow-methods: post, options",
        "access-control-allow-headers: content-type",
    ] {
        assert!(answer.contains(header), "{answer}");
    }
    assert!(!answer.contains("credentials"), "{answer}");
    let answer = ask(&server, &format!("{options}https://evil.example")).await;
    assert!(answer.starts_with("http/1.1 403"), "{answer}");
    assert!(!answer.contains("access-control"), "{answer}");
    // With a browser there is nothing to see.
    let answer = ask(&server, "GET /http-bind HTTP/1.1").await;
    assert!(answer.starts_with("http/1.1 405"), "{answer}");
    assert!(answer.contains("allow: post, options"), "{answer}");
    let reply = post(server.http, &[("Content-Encoding", "gzip")], b"x").await;
    assert_eq!(reply.status, 415);
}

#[tokio::test]
async fn a05_plain_bosh_takes_logins_but_no_passwords() {
    let server = Server::start_with(Setup {
        require_tls: true,
        ..Setup::default()
    })
    .await;
    let reply = post(server.http, &[], begin(1, "").as_bytes()).await;
    assert!(reply.text.contains("SCRAM-SHA-256"), "{}", reply.text);
    assert!(!reply.text.contains("PLAIN"), "{}", reply.text);
}
