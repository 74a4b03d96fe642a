//! Clients that send faster than they may are read more slowly, and lose nothing by it.
//!
//! Times are checked from below only: a bucket may fill late on a busy machine, never early.

use std::time::{Duration, Instant};

use klatsch_gateways::listener::Limits;
use klatsch_protocol::xml::Fragment;

use crate::client::Client;
use crate::server::{DOMAIN, Server, Setup};
use crate::socket::Socket;

/// Stanzas that are sent at once.
const FLOOD: usize = 150;

/// A server that trusts nobody, not even this machine.
async fn server(limits: Limits) -> Server {
    let trusted = Vec::new();
    let connection_rate_per_address = 1000;
    Server::start_with(Setup {
        limits: Limits {
            trusted,
            connection_rate_per_address,
            close_timeout: Duration::from_millis(500),
            ..limits
        },
        ..Setup::default()
    })
    .await
}

/// 100 stanzas a second, and 20 at once.
fn few_stanzas() -> Limits {
    Limits {
        session_stanza_rate: 100,
        session_stanza_burst: 20,
        ..Limits::default()
    }
}

fn ping(number: usize) -> String {
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    format!("<iq xmlns='jabber:client' type='get' id='p{number}' to='{DOMAIN}'>{ping}</iq>")
}

fn is_answer(fragment: &Fragment, number: usize) -> bool {
    fragment.attr("id") == Some(format!("p{number}").as_str())
        && fragment.attr("type") == Some("result")
}

/// The least time in which so many stanzas may be taken: what goes beyond a burst and a share
/// of one eighth of it takes its time.
fn least_time() -> Duration {
    Duration::from_secs_f64((FLOOD as f64 - 20.0 * 1.125) / 100.0)
}

#[tokio::test]
async fn x18_flood_of_stanzas_is_taken_at_its_rate_and_without_an_error() {
    let server = server(few_stanzas()).await;
    let mut flooder = Client::connect(server.c2s).await;
    flooder.session("anna", "home").await;
    let mut other = Client::connect(server.c2s).await;
    other.session("bert", "home").await;
    let start = Instant::now();
    let flood: String = (0..FLOOD).map(ping).collect();
    flooder.send(&flood).await;
    // Meanwhile everybody else is served, and the flooder gets what is sent to it.
    other.ping().await;
    let to = format!("anna@{DOMAIN}/home");
    other
        .send(&format!(
            "<message to='{to}' id='m'><body>hi</body></message>"
        ))
        .await;
    flooder.expect(|it| it.attr("id") == Some("m")).await;
    flooder.expect(|it| is_answer(it, FLOOD - 1)).await;
    let elapsed = start.elapsed();
    assert!(elapsed >= least_time(), "{elapsed:?}");
}

#[tokio::test]
async fn x18_flood_of_white_space_is_read_at_its_rate() {
    const KIB: u32 = 1024;
    let server = server(Limits {
        session_byte_rate: 256 * KIB,
        session_byte_burst: 64 * KIB,
        ..Limits::default()
    })
    .await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    let start = Instant::now();
    client.send(&" ".repeat(256 * KIB as usize)).await;
    client.ping().await;
    let elapsed = start.elapsed();
    // The last piece of 16 KiB is read on credit.
    let least = Duration::from_secs_f64((256.0 - 16.0 - 64.0 * 1.125) / 256.0);
    assert!(elapsed >= least, "{elapsed:?}");
}

#[tokio::test]
async fn x18_flood_over_websocket_is_taken_at_its_rate_and_without_an_error() {
    let server = server(few_stanzas()).await;
    let mut web = Socket::connect(server.http).await;
    web.session("anna").await;
    let start = Instant::now();
    for number in 0..FLOOD {
        web.send(&ping(number)).await;
    }
    web.expect(|it| is_answer(it, FLOOD - 1)).await;
    let elapsed = start.elapsed();
    assert!(elapsed >= least_time(), "{elapsed:?}");
}

#[tokio::test]
async fn acknowledgements_are_no_stanzas() {
    let server = server(Limits {
        session_stanza_rate: 1,
        session_stanza_burst: 8,
        ..Limits::default()
    })
    .await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    // Each would cost a second.
    client.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    client.send(&"<r xmlns='urn:xmpp:sm:3'/>".repeat(100)).await;
    client.ping().await;
}

#[tokio::test]
async fn throttled_client_does_not_keep_a_server_from_stopping() {
    let server = server(Limits {
        session_stanza_rate: 1,
        session_stanza_burst: 1,
        ..Limits::default()
    })
    .await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    let flood: String = (0..FLOOD).map(ping).collect();
    client.send(&flood).await;
    client.expect(|it| is_answer(it, 0)).await;
    server.trigger.trigger();
    let error = klatsch_protocol::stanza::StreamCondition::SystemShutdown.into();
    let me = klatsch_protocol::jid::BareJid::new(Some("anna"), DOMAIN).unwrap();
    server.gateways.clients.sessions.kick_account(&me, error);
    drop(client);
    server.emptied().await;
}
