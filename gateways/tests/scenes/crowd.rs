//! Logins of many at once and of one who guesses (rows A09, A12).

use std::net::{Ipv4Addr, SocketAddr};

use klatsch_actors::derivation;
use klatsch_actors::world::Settings;
use klatsch_gateways::listener::Limits;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::ClientBinding;
use klatsch_protocol::sasl::{Secret, encoding, plain};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{Client, condition};
use crate::server::{PASSWORD, Server, Setup};

fn plain(name: &str, password: &str) -> String {
    let message = encoding::encode(&plain::plain_message(name, &Secret::new(password)));
    format!(
        "<auth xmlns='{}' mechanism='PLAIN'>{message}</auth>",
        ns::SASL
    )
}

#[tokio::test]
async fn a09_crowd_of_password_checks_is_bounded_and_others_go_on() {
    let server = Server::start_with(Setup {
        settings: Settings {
            derivations: derivation::Settings {
                waiting_max: 2,
                ..derivation::Settings::default()
            },
            ..Settings::default()
        },
        ..Setup::default()
    })
    .await;
    let mut anna = Client::connect_tls(server.c2s_tls).await;
    anna.session("anna", "home").await;
    let mut crowd = Vec::new();
    for _ in 0..40 {
        let mut client = Client::connect_tls(server.c2s_tls).await;
        client.open().await;
        crowd.push(client);
    }
    for (n, client) in crowd.iter_mut().enumerate() {
        client.send(&plain(&format!("guess{n}"), "wrong")).await;
    }
    anna.ping().await;
    for client in &mut crowd {
        let answer = client.expect(|it| it.is("failure", ns::SASL)).await;
        let condition = condition(&answer);
        // Either it was checked, or there was no place in the queue: nobody just waits.
        let is_known = matches!(&*condition, "not-authorized" | "temporary-auth-failure");
        assert!(is_known, "{condition}");
        anna.ping().await;
    }
    let mut bert = Client::connect_tls(server.c2s_tls).await;
    bert.session("bert", "home").await;
}

/// A client that comes from this address of the machine.
async fn connect_from(from: [u8; 4], to: SocketAddr) -> Client<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(from), 0).into()).unwrap();
    Client::over(socket.connect(to).await.unwrap())
}

#[tokio::test]
async fn a12_who_guesses_is_banned_and_another_address_is_not() {
    let server = Server::start_with(Setup {
        limits: Limits {
            trusted: Vec::new(),
            login_failures_max: 4,
            ..Limits::default()
        },
        ..Setup::default()
    })
    .await;
    let mechanism = || ("SCRAM-SHA-256", ClientBinding::Unsupported);
    for n in 0..4 {
        let mut guesser = connect_from([127, 0, 0, 3], server.c2s).await;
        guesser.open().await;
        let name = format!("nobody{n}");
        let outcome = guesser.authenticate(&name, "guess", mechanism()).await;
        assert_eq!(outcome, Err("not-authorized".into()), "{n}");
    }
    let mut guesser = connect_from([127, 0, 0, 3], server.c2s).await;
    guesser.open().await;
    let outcome = guesser.authenticate("anna", PASSWORD, mechanism()).await;
    assert_eq!(outcome, Err("temporary-auth-failure".into()), "banned");
    let mut anna = connect_from([127, 0, 0, 4], server.c2s).await;
    anna.session("anna", "home").await;
    anna.ping().await;
}
