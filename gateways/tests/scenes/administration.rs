//! What an administrator does from a client (XEP-0050, XEP-0133), against a whole server.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Fragment;
use tokio::net::TcpStream;

use crate::client::{Client, End};
use crate::server::{DOMAIN, OTHER_DOMAIN, Server};

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const ADMIN: &str = "http://jabber.org/protocol/admin";

type Tcp = Client<TcpStream>;

/// A server whose administrator is anna.
async fn server() -> Server {
    let server = Server::start().await;
    let anna = BareJid::parse(&format!("anna@{DOMAIN}")).unwrap();
    let store = &server.gateways.clients.sessions.world().store;
    store.set_admin(&anna, true).await.unwrap();
    server
}

async fn online(server: &Server, name: &str, resource: &str) -> Tcp {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client.send("<presence/>").await;
    client.ping().await;
    client
}

/// Submits a command's form; the answer.
async fn submit(client: &mut Tcp, to: &str, command: &str, fields: &[(&str, &str)]) -> Fragment {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    client
        .send(&format!(
            "<iq type='set' id='{command}' to='{to}'>\
             <command xmlns='{COMMANDS}' node='{ADMIN}#{command}'>\
             <x xmlns='jabber:x:data' type='submit'>{fields}</x></command></iq>"
        ))
        .await;
    client.expect(|it| it.attr("id") == Some(command)).await
}

async fn completed(client: &mut Tcp, command: &str, fields: &[(&str, &str)]) -> String {
    let answer = submit(client, DOMAIN, command, fields).await;
    let text = inner(&answer);
    assert!(text.contains("status='completed'"), "{command}: {text}");
    text
}

async fn refused(client: &mut Tcp, to: &str, command: &str, condition: &str) {
    let fields = [("accountjid", "carl@klatsch.test"), ("password", "pw")];
    let answer = submit(client, to, command, &fields).await;
    let text = inner(&answer);
    assert!(text.contains(condition), "{command}: {text}");
}

fn inner(fragment: &Fragment) -> String {
    String::from_utf8_lossy(fragment.payloads().bytes()).into_owned()
}

/// What a login comes to: nothing, or the condition of its failure.
async fn login(server: &Server, name: &str, password: &str) -> Result<(), String> {
    use klatsch_protocol::sasl::scram::ClientBinding;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    client.authenticate(name, password, mechanism).await
}

#[tokio::test]
async fn an_account_is_made_given_a_password_disabled_and_deleted() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let carl = format!("carl@{DOMAIN}");
    let made = [
        ("accountjid", &*carl),
        ("password", "first"),
        ("password-verify", "first"),
    ];
    completed(&mut anna, "add-user", &made).await;
    assert_eq!(login(&server, "carl", "first").await, Ok(()));
    let again = submit(&mut anna, DOMAIN, "add-user", &made).await;
    assert!(inner(&again).contains("<conflict"), "{}", inner(&again));

    let changed = [("accountjid", &*carl), ("password", "second")];
    completed(&mut anna, "change-user-password", &changed).await;
    assert_eq!(login(&server, "carl", "second").await, Ok(()));
    assert!(login(&server, "carl", "first").await.is_err());

    let named = [("accountjids", &*carl)];
    completed(&mut anna, "disable-user", &named).await;
    let disabled = login(&server, "carl", "second").await;
    assert_eq!(disabled, Err("account-disabled".to_owned()));
    let listed = completed(&mut anna, "get-disabled-users-list", &[("max_items", "25")]).await;
    assert!(listed.contains(&carl), "{listed}");
    completed(&mut anna, "reenable-user", &named).await;
    assert_eq!(login(&server, "carl", "second").await, Ok(()));

    completed(&mut anna, "delete-user", &named).await;
    assert!(login(&server, "carl", "second").await.is_err());
    let gone = submit(&mut anna, DOMAIN, "user-stats", &[("accountjid", &*carl)]).await;
    assert!(inner(&gone).contains("<item-not-found"), "{}", inner(&gone));
}

#[tokio::test]
async fn a_session_ends_when_an_administrator_says_so() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    let mut other = online(&server, "bert", "phone").await;
    let desk = format!("bert@{DOMAIN}/desk");
    completed(&mut anna, "end-user-session", &[("accountjids", &desk)]).await;
    assert_eq!(bert.end().await, End::Error("policy-violation".to_owned()));
    other.ping().await;
    let stats = [("accountjid", "bert@klatsch.test")];
    let about = completed(&mut anna, "user-stats", &stats).await;
    assert!(
        about.contains("phone") && !about.contains("desk"),
        "{about}"
    );
}

#[tokio::test]
async fn an_announcement_reaches_everybody_online() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    completed(&mut anna, "announce", &[("announcement", "tea is ready")]).await;
    let told = bert.expect(|it| it.name() == "message").await;
    assert_eq!(told.attr("from"), Some(DOMAIN));
    assert!(inner(&told).contains("tea is ready"));
    let online = completed(&mut anna, "get-online-users-num", &[]).await;
    assert!(online.contains("<value>2</value>"), "{online}");
}

#[tokio::test]
async fn r13_only_an_administrator_of_the_domain_is_obeyed() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    refused(&mut bert, DOMAIN, "add-user", "<forbidden").await;
    // An administrator of this domain is nobody in the other one.
    refused(&mut anna, OTHER_DOMAIN, "add-user", "<forbidden").await;
    // Whoever is no administrator any more is none, also in a session that is open.
    let lines = [("adminjids", "bert@klatsch.test")];
    completed(&mut anna, "edit-admin", &lines).await;
    completed(
        &mut bert,
        "edit-admin",
        &[("adminjids", "-anna@klatsch.test")],
    )
    .await;
    refused(&mut anna, DOMAIN, "add-user", "<forbidden").await;
}
