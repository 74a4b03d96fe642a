//! Clients that take their time (rows X13, X14), and those that read too slowly.

use std::time::{Duration, Instant};

use klatsch_actors::strain::{Level, Queue};
use klatsch_gateways::listener::Limits;
use klatsch_protocol::ns;

use crate::client::{Client, End, PATIENCE, header, until};
use crate::server::{DOMAIN, Server, Setup};

async fn hasty_server() -> Server {
    let negotiation_timeout = Duration::from_millis(400);
    let limits = Limits {
        negotiation_timeout,
        ..Setup::default().limits
    };
    Server::start_with(Setup {
        limits,
        ..Setup::default()
    })
    .await
}

fn timed_out() -> End {
    End::Error("connection-timeout".into())
}

#[tokio::test]
async fn x13_silent_client_is_closed_at_the_deadline() {
    let server = hasty_server().await;
    let mut client = Client::connect(server.c2s).await;
    assert_eq!(client.end().await, timed_out());
    server.emptied().await;
}

#[tokio::test]
async fn x13_bytes_do_not_move_the_deadline() {
    let server = hasty_server().await;
    let started = Instant::now();
    let mut client = Client::connect(server.c2s).await;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for byte in header().bytes().chain(std::iter::repeat(b' ')) {
        tick.tick().await;
        if client.send_bytes(&[byte]).await.is_err() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "still open");
    }
    server.emptied().await;
}

#[tokio::test]
async fn x13_client_between_two_steps_is_closed_at_the_deadline() {
    let server = hasty_server().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    client.login("anna").await;
    client.open().await;
    assert_eq!(client.end().await, timed_out());
}

#[tokio::test]
async fn x13_session_has_no_deadline() {
    let server = hasty_server().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    // Those who came later and did nothing are gone; the session is not.
    let mut idle = Client::connect(server.c2s).await;
    assert_eq!(idle.end().await, timed_out());
    client.ping().await;
}

#[tokio::test]
async fn x13_websocket_has_the_same_deadline() {
    let server = hasty_server().await;
    let mut socket = crate::socket::Socket::connect(server.http).await;
    assert_eq!(
        socket.end().await.error.as_deref(),
        Some("connection-timeout")
    );
}

#[tokio::test]
async fn x14_connections_that_come_and_go_leave_nothing() {
    let server = Server::start().await;
    for round in 0..200 {
        let mut client = Client::connect(server.c2s).await;
        match round % 3 {
            0 => {}
            1 => client.send("<stream:stream xmlns='jab").await,
            _ => drop(client.open().await),
        }
    }
    server.emptied().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
}

#[tokio::test]
async fn x14_pings_before_login_are_no_life() {
    let server = hasty_server().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    client
        .send(&format!(
            "<iq type='get' id='1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
    assert_eq!(client.end().await, End::Error("not-authorized".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_does_not_read_is_closed_and_nobody_else_notices() {
    let limits = Limits {
        send_queue_bytes_max: 128 * 1024,
        ..Setup::default().limits
    };
    let server = Server::start_with(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut deaf = Client::connect(server.c2s).await;
    let address = deaf.session("anna", "deaf").await;
    let mut loud = Client::connect(server.c2s).await;
    loud.session("bert", "home").await;
    let body = "A".repeat(64 * 1024);
    let before = server.connections();
    // Far more than the kernel's buffers hold.
    for _ in 0..1000 {
        loud.send(&format!(
            "<message to='{address}' type='headline'><body>{body}</body></message>"
        ))
        .await;
        if server.connections() < before {
            break;
        }
    }
    loud.ping().await;
    assert_eq!(
        server.connections(),
        before - 1,
        "the deaf client is still there"
    );
}

/// Experiment 21 in small: what waits is counted on the whole node, and comes back at once
/// when the client for whom it waits is let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_a_client_that_does_not_read_comes_back_when_it_is_let_go() {
    const ENOUGH: usize = 256 * 1024;
    let server = Server::start().await;
    let strain = server.gateways.clients.sessions.strain();
    let mut deaf = Client::connect(server.c2s).await;
    let address = deaf.session("anna", "deaf").await;
    let mut loud = Client::connect(server.c2s).await;
    loud.session("bert", "home").await;
    let body = "A".repeat(64 * 1024);
    for _ in 0..1000 {
        loud.send(&format!(
            "<message to='{address}' type='headline'><body>{body}</body></message>"
        ))
        .await;
        if strain.queued(Queue::Outbound) >= ENOUGH {
            break;
        }
    }
    loud.ping().await;
    assert!(strain.queued(Queue::Outbound) >= ENOUGH);
    server.gateways.clients.sessions.let_go(ENOUGH);
    // Its memory and its place come back.
    until(async || strain.queued(Queue::Outbound) == 0 && server.connections() <= 1).await;
    loud.ping().await;
}

#[tokio::test]
async fn node_short_of_memory_says_so_to_who_comes_and_serves_who_is_there() {
    let server = Server::start().await;
    let strain = server.gateways.clients.sessions.strain();
    let mut there = Client::connect(server.c2s).await;
    there.session("anna", "home").await;
    strain.set_level(Level::Critical, true);
    there.ping().await;
    let mut comes = Client::connect(server.c2s).await;
    comes.open().await;
    comes.login("bert").await;
    comes.open().await;
    comes
        .send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        .await;
    let answer = comes.expect(|it| it.attr("id") == Some("b")).await;
    let error = answer.payloads().element("error", ns::CLIENT).unwrap();
    assert_eq!(error.get("type"), Some("wait"));
    assert!(error.find("resource-constraint", ns::STANZAS).is_some());
    let (status, _) = crate::socket::handshake(server.http, &[]).await;
    assert_eq!(status, 503);
    strain.set_level(Level::Ample, false);
    assert_eq!(comes.bind("home").await, format!("bert@{DOMAIN}/home"));
}

#[tokio::test]
async fn stopping_server_waits_a_second_for_who_does_not_close() {
    let limits = Limits {
        close_timeout: Duration::from_secs(60),
        ..Setup::default().limits
    };
    let server = Server::start_with(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    let mut web = crate::socket::Socket::connect(server.http).await;
    web.session("bert").await;
    server.trigger.trigger();
    let patience = Duration::from_secs(5);
    server.gateways.clients.sessions.shut_down(patience).await;
    // Neither client reads, answers or closes.
    server.emptied().await;
    drop((client, web));
}

#[tokio::test]
async fn shutdown_ends_negotiations_with_a_word() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    server.trigger.trigger();
    assert_eq!(client.end().await, End::Error("system-shutdown".into()));
    server.emptied().await;
}
