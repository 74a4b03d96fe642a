//! Accounts of elsewhere: other names, accounts made at the first login, tokens, and whoever is
//! not to be logged in any more (rows A14, L06).

use std::sync::Arc;
use std::time::Duration;

use klatsch_actors::world::now;
use klatsch_gateways::auth::Standing;
use klatsch_gateways::auth::standing::Watch;
use klatsch_gateways::listener::Limits;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::{Hash, encoding};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;

use crate::book::{Book, john};
use crate::client::{Client, End, Tls, until};
use crate::server::{PASSWORD, Server, Setup};

const BIND: &str = "<bind xmlns='urn:xmpp:bind:0'/>";
const AGENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const TOKEN: &str = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";

async fn server(book: &Book) -> Server {
    book.says(Standing::Good);
    Server::start_with(Setup {
        book: Some(book.clone()),
        ..Setup::default()
    })
    .await
}

async fn plain(server: &Server, name: &str, wishes: &str) -> (Tls, Element) {
    let data = format!("\0{name}\0{PASSWORD}");
    Tls::login_at_once(server.c2s_tls, ("PLAIN", data.as_bytes()), AGENT, wishes).await
}

async fn by_token(server: &Server, name: &str, token: &str) -> Element {
    let hashed = Hash::Sha256.hmac(token.as_bytes(), b"Initiator");
    let data = [name.as_bytes(), b"\0", &*hashed].concat();
    let wishes = format!("<fast xmlns='urn:xmpp:fast:0'/>{BIND}");
    let by_token = ("HT-SHA-256-NONE", &*data);
    Tls::login_at_once(server.c2s_tls, by_token, AGENT, &wishes)
        .await
        .1
}

fn identifier(success: &Element) -> String {
    let it = success.find("authorization-identifier", ns::SASL2);
    it.unwrap_or_else(|| panic!("{success:?}")).text_content()
}

fn token_in(success: &Element) -> String {
    let token = success.find("token", "urn:xmpp:fast:0").unwrap();
    token.get("token").unwrap().to_owned()
}

fn condition(failure: &Element) -> &str {
    failure.children().next().map_or("", Element::name)
}

fn watch(server: &Server) -> Watch {
    let clients = &server.gateways.clients;
    let authenticator = Arc::clone(&clients.authenticator);
    Watch::new(
        clients.sessions.clone(),
        authenticator,
        Duration::from_secs(3600),
    )
}

#[tokio::test]
async fn another_name_is_bound_to_the_account_and_the_first_login_makes_it() {
    let server = server(&Book::default()).await;
    assert_eq!(server.store.credentials(&john()).await.unwrap(), None);
    let (mut client, success) = plain(&server, "doe", BIND).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
    client.ping().await;
    let made = server.store.credentials(&john()).await.unwrap().unwrap();
    assert!(made.scram.is_empty() && !made.disabled);
    // What the account has is the account's, whichever name comes next.
    client
        .send(
            "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='bert@klatsch.test'/>\
             </query></iq>",
        )
        .await;
    client.expect(|it| it.attr("id") == Some("r")).await;
    let (mut other, success) = plain(&server, "john.doe", BIND).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
    other
        .send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    let roster = other.expect(|it| it.attr("id") == Some("g")).await;
    let roster = roster.to_element();
    let query = roster.find("query", "jabber:iq:roster").unwrap();
    let item = query.children().next().unwrap();
    assert_eq!(item.get("jid"), Some("bert@klatsch.test"));
}

#[tokio::test]
async fn login_of_rfc_6120_by_another_name_is_bound_to_the_account() {
    let server = server(&Book::default()).await;
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.open().await;
    let data = encoding::encode(format!("\0doe\0{PASSWORD}").as_bytes());
    let sasl = ns::SASL;
    client
        .send(&format!(
            "<auth xmlns='{sasl}' mechanism='PLAIN'>{data}</auth>"
        ))
        .await;
    client.expect(|it| it.is("success", sasl)).await;
    client.open().await;
    assert_eq!(client.bind("home").await, "john.doe@klatsch.test/home");
}

#[tokio::test]
async fn internal_accounts_go_on_and_a_directory_that_is_down_is_temporary() {
    let book = Book::default();
    let server = server(&book).await;
    book.is_down(true);
    let (_, success) = plain(&server, "anna", BIND).await;
    assert!(identifier(&success).starts_with("anna@klatsch.test/"));
    let (_, failure) = plain(&server, "doe", BIND).await;
    assert_eq!(condition(&failure), "temporary-auth-failure");
    book.is_down(false);
    let (_, success) = plain(&server, "doe", BIND).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
}

#[tokio::test]
async fn a12_directory_that_is_down_makes_nobody_a_guesser() {
    let book = Book::default();
    book.says(Standing::Good);
    let server = Server::start_with(Setup {
        book: Some(book.clone()),
        limits: Limits {
            login_failures_max: 2,
            trusted: Vec::new(),
            ..Setup::default().limits
        },
        ..Setup::default()
    })
    .await;
    book.is_down(true);
    for _ in 0..5 {
        let (_, failure) = plain(&server, "doe", BIND).await;
        assert_eq!(condition(&failure), "temporary-auth-failure");
    }
    book.is_down(false);
    let (_, success) = plain(&server, "doe", BIND).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
}

#[tokio::test]
async fn xep_0484_token_is_the_accounts_under_every_name() {
    let book = Book::default();
    let server = server(&book).await;
    let (_, success) = plain(&server, "doe", &format!("{TOKEN}{BIND}")).await;
    let token = token_in(&success);
    for name in ["doe", "john.doe"] {
        let success = by_token(&server, name, &token).await;
        assert!(
            identifier(&success).starts_with("john.doe@klatsch.test/"),
            "{name}"
        );
    }
    // A directory that is down does not end what it has allowed.
    book.is_down(true);
    let success = by_token(&server, "john.doe", &token).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
    book.is_down(false);
    let failure = by_token(&server, "anna", &token).await;
    assert_eq!(condition(&failure), "not-authorized");
}

#[tokio::test]
async fn l06_whoever_is_barred_loses_sessions_and_tokens() {
    let book = Book::default();
    let server = server(&book).await;
    let (mut john, success) = plain(&server, "doe", &format!("{TOKEN}{BIND}")).await;
    let token = token_in(&success);
    let (mut anna, _) = plain(&server, "anna", BIND).await;
    let watch = watch(&server);
    book.is_down(true);
    watch.look_at_all().await;
    john.ping().await;
    book.is_down(false);
    watch.look_at_all().await;
    john.ping().await;
    book.says(Standing::Barred);
    watch.look_at_all().await;
    assert_eq!(john.end().await, End::Error("not-authorized".to_owned()));
    // Accounts of this server are not the directory's to end.
    anna.ping().await;
    // The token has ended with it, also when the account comes back.
    book.says(Standing::Good);
    let failure = by_token(&server, "john.doe", &token).await;
    assert_eq!(condition(&failure), "not-authorized");
    let (_, success) = plain(&server, "doe", BIND).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
}

#[tokio::test]
async fn l06_whoever_was_barred_while_away_does_not_come_back_by_token() {
    let book = Book::default();
    let server = server(&book).await;
    let (client, success) = plain(&server, "doe", &format!("{TOKEN}{BIND}")).await;
    let token = token_in(&success);
    drop(client);
    for gone in [Standing::Barred, Standing::Unknown] {
        book.says(gone);
        let failure = by_token(&server, "john.doe", &token).await;
        assert_eq!(condition(&failure), "not-authorized", "{gone:?}");
    }
}

/// A time that a directory writes down for what happens now, in whole seconds, after all that has
/// happened before.
async fn next_second() -> Timestamp {
    let second = || now().micros().div_euclid(1_000_000);
    let before = second();
    until(async || second() > before).await;
    Timestamp::from_seconds(second())
}

#[tokio::test]
async fn a14_password_changed_elsewhere_ends_tokens_at_once_and_sessions_with_the_next_look() {
    let book = Book::default();
    let server = server(&book).await;
    let watch = watch(&server);
    book.says(Standing::GoodSince(Timestamp::from_seconds(1_000_000_000)));
    let wishes = format!("{TOKEN}{BIND}");
    let (_, success) = plain(&server, "doe", &wishes).await;
    let token = token_in(&success);
    identifier(&by_token(&server, "doe", &token).await);
    // The installation is the same: this session takes the place of that one.
    let (mut john, _) = plain(&server, "doe", BIND).await;
    watch.look_at_all().await;
    john.ping().await;
    book.says(Standing::GoodSince(next_second().await));
    let failure = by_token(&server, "doe", &token).await;
    assert_eq!(condition(&failure), "credentials-expired");
    watch.look_at_all().await;
    assert_eq!(john.end().await, End::Error("not-authorized".to_owned()));
    // What comes with the new password is good, and no later look ends it.
    let (mut john, success) = plain(&server, "doe", &wishes).await;
    let token = token_in(&success);
    watch.look_at_all().await;
    john.ping().await;
    identifier(&by_token(&server, "doe", &token).await);
}

#[tokio::test]
async fn a14_token_is_as_old_as_the_proof_that_it_came_with() {
    let book = Book::default();
    let server = server(&book).await;
    plain(&server, "doe", BIND).await;
    let changed = next_second().await;
    // By what is remembered of the password before, for a minute.
    let (_, success) = plain(&server, "doe", &format!("{TOKEN}{BIND}")).await;
    let token = token_in(&success);
    book.says(Standing::GoodSince(changed));
    let failure = by_token(&server, "doe", &token).await;
    assert_eq!(condition(&failure), "credentials-expired");
}

#[tokio::test]
async fn a14_account_disabled_here_does_not_log_in_by_what_was_right_a_moment_ago() {
    let server = server(&Book::default()).await;
    let (_, success) = plain(&server, "doe", BIND).await;
    assert!(identifier(&success).starts_with("john.doe@klatsch.test/"));
    server.store.set_disabled(&john(), true).await.unwrap();
    let (_, failure) = plain(&server, "doe", BIND).await;
    assert_eq!(condition(&failure), "account-disabled");
}
