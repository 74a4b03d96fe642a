//! Tokens for one login and for the API (row H13), and SASL OAUTHBEARER.

use klatsch_protocol::account::{AccountAct, AccountChange};
use klatsch_protocol::ns;
use klatsch_protocol::sasl::oauthbearer::{bearer_message, error_answer};
use klatsch_protocol::sasl::{Secret, encoding};
use klatsch_protocol::xml::Fragment;

use super::{account, call, with_token};
use crate::client::{Client, condition};
use crate::server::{DOMAIN, Server};
use crate::socket::Socket;

async fn token(server: &Server, name: &str, audience: &str) -> String {
    let body = format!(r#"{{"audience":"{audience}"}}"#);
    let reply = call(server, name, ("POST", "/token"), &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["expires_in"], 60);
    assert_eq!(reply.field("jid"), format!("{name}@{DOMAIN}"));
    reply.field("token")
}

/// Logs in by a token over a WebSocket, as a page on this machine does; the error is the
/// failure's condition.
async fn log_in(server: &Server, token: &str, authzid: &str) -> Result<Socket, String> {
    let mut socket = Socket::connect(server.http).await;
    socket.open().await;
    let (sasl, first) = (ns::SASL, bearer_message(authzid, &Secret::new(token)));
    let first = encoding::encode(&first);
    socket
        .send(&format!(
            "<auth xmlns='{sasl}' mechanism='OAUTHBEARER'>{first}</auth>"
        ))
        .await;
    let answer = socket.expect(|it| it.namespace() == sasl).await;
    match answer.name() {
        "success" => return Ok(socket),
        "challenge" => {}
        _ => return Err(condition(&answer)),
    }
    let told = encoding::decode(answer.text()).unwrap();
    assert_eq!(told, br#"{"status":"invalid_token"}"#);
    let heard = encoding::encode(&error_answer());
    socket
        .send(&format!("<response xmlns='{sasl}'>{heard}</response>"))
        .await;
    let failure = socket.expect(|it| it.is("failure", sasl)).await;
    Err(condition(&failure))
}

async fn refusal(server: &Server, token: &str, authzid: &str) -> String {
    let outcome = log_in(server, token, authzid).await;
    outcome.err().expect("a refusal")
}

#[tokio::test]
async fn h13_token_logs_in_once_and_its_page_never_sees_a_password() {
    let server = Server::start().await;
    let reply = call(&server, "anna", ("POST", "/token"), "{}").await;
    assert_eq!(reply.field("websocket"), "/xmpp-websocket");
    let token = reply.field("token");
    let mut socket = log_in(&server, &token, "").await.unwrap();
    socket.open().await;
    let bind = format!("<bind xmlns='{}'/>", ns::BIND);
    let iq = format!("<iq xmlns='jabber:client' type='set' id='b'>{bind}</iq>");
    socket.send(&iq).await;
    let bound = socket.expect(|it| it.attr("id") == Some("b")).await;
    assert_eq!(bound.attr("type"), Some("result"));
    socket.ping().await;
    assert_eq!(refusal(&server, &token, "").await, "not-authorized");
}

#[tokio::test]
async fn h13_token_is_its_accounts_alone() {
    let server = Server::start().await;
    let first = token(&server, "anna", "xmpp").await;
    let other = format!("bert@{DOMAIN}");
    assert_eq!(refusal(&server, &first, &other).await, "invalid-authzid");
    // It was shown by somebody it is not of: whoever else has it now has nothing.
    assert_eq!(refusal(&server, &first, "").await, "not-authorized");
    let second = token(&server, "anna", "xmpp").await;
    let own = format!("anna@{DOMAIN}");
    assert!(log_in(&server, &second, &own).await.is_ok());
}

#[tokio::test]
async fn h13_token_for_something_else_logs_nobody_in() {
    let server = Server::start().await;
    let for_session = token(&server, "anna", "session").await;
    assert_eq!(refusal(&server, &for_session, "").await, "not-authorized");
    let session = with_token(&server, &for_session, ("POST", "/session"), "{}").await;
    let session = session.field("token");
    assert_eq!(refusal(&server, &session, "").await, "not-authorized");
    let of_program = server.api_token("anna").await;
    assert_eq!(refusal(&server, &of_program, "").await, "not-authorized");
    // The session is none the worse for that.
    let me = with_token(&server, &session, ("GET", "/me"), "").await;
    assert_eq!(me.status, 200);
}

#[tokio::test]
async fn token_for_a_session_is_exchanged_once_and_for_nothing_else() {
    let server = Server::start().await;
    let once = token(&server, "anna", "session").await;
    for (asked, body) in [(("GET", "/me"), ""), (("POST", "/token"), "{}")] {
        let reply = with_token(&server, &once, asked, body).await;
        assert_eq!(reply.refusal(), (401, "not-authorized".into()), "{asked:?}");
    }
    let for_login = token(&server, "anna", "xmpp").await;
    for wrong in [&for_login, &server.api_token("anna").await] {
        let reply = with_token(&server, wrong, ("POST", "/session"), "{}").await;
        assert_eq!(reply.refusal(), (401, "not-authorized".into()));
    }
    let begun = with_token(&server, &once, ("POST", "/session"), "{}").await;
    assert_eq!(begun.status, 200, "{begun:?}");
    assert_eq!(begun.json()["expires_in"], 3600);
    let session = begun.field("token");
    for _ in 0..3 {
        let me = with_token(&server, &session, ("GET", "/me"), "").await;
        assert_eq!(me.field("jid"), format!("anna@{DOMAIN}"));
    }
    // A session makes neither sessions nor tokens: whoever finds one has it for an hour.
    for path in ["/session", "/token"] {
        let reply = with_token(&server, &session, ("POST", path), "{}").await;
        assert_eq!(reply.refusal(), (401, "not-authorized".into()), "{path}");
    }
    let again = with_token(&server, &once, ("POST", "/session"), "{}").await;
    assert_eq!(again.refusal(), (401, "not-authorized".into()));
}

#[tokio::test]
async fn a14_tokens_and_sessions_end_with_the_password() {
    let server = Server::start().await;
    let waiting = token(&server, "anna", "xmpp").await;
    let session = call(&server, "anna", ("POST", "/session"), "{}").await;
    let session = session.field("token");
    let change = AccountChange {
        account: account("anna"),
        act: AccountAct::Password(Secret::new("another password")),
    };
    let sessions = &server.gateways.clients.sessions;
    sessions.change_account(change).await.unwrap();
    assert_eq!(refusal(&server, &waiting, "").await, "not-authorized");
    let me = with_token(&server, &session, ("GET", "/me"), "").await;
    assert_eq!(me.refusal(), (401, "not-authorized".into()));
}

#[tokio::test]
async fn account_that_is_disabled_meanwhile_is_told_so() {
    let server = Server::start().await;
    let waiting = token(&server, "anna", "xmpp").await;
    let session = call(&server, "anna", ("POST", "/session"), "{}").await;
    let session = session.field("token");
    server
        .store
        .set_disabled(&account("anna"), true)
        .await
        .unwrap();
    assert_eq!(refusal(&server, &waiting, "").await, "account-disabled");
    let me = with_token(&server, &session, ("GET", "/me"), "").await;
    assert_eq!(me.refusal(), (403, "account-disabled".into()));
}

#[tokio::test]
async fn token_of_one_node_is_good_once_on_all_of_them() {
    let [one, other] = Server::pair().await;
    let first = token(&one, "anna", "xmpp").await;
    assert!(log_in(&other, &first, "").await.is_ok());
    for node in [&one, &other] {
        assert_eq!(refusal(node, &first, "").await, "not-authorized");
    }
    let session = call(&one, "anna", ("POST", "/session"), "{}").await;
    let me = with_token(&other, &session.field("token"), ("GET", "/me"), "").await;
    assert_eq!(me.status, 200);
}

#[tokio::test]
async fn login_in_one_go_under_tls_gives_a_token_for_the_next() {
    let server = Server::start().await;
    let first = token(&server, "anna", "xmpp").await;
    let mut client = Client::connect_tls(server.c2s_tls).await;
    let features = client.open().await;
    let offers = |features: &Fragment| {
        let sasl2 = features.payloads().element("authentication", ns::SASL2);
        let mechanisms = sasl2.expect("SASL2");
        let mut names = mechanisms.children().map(|it| it.text_content());
        names.any(|name| name == "OAUTHBEARER")
    };
    assert!(offers(&features), "{features:?}");
    let data = encoding::encode(&bearer_message("", &Secret::new(first)));
    client
        .send(&format!(
            "<authenticate xmlns='{}' mechanism='OAUTHBEARER'>\
             <initial-response>{data}</initial-response>\
             <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>\
             <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>\
             <bind xmlns='urn:xmpp:bind:0'/></authenticate>",
            ns::SASL2
        ))
        .await;
    let success = client.expect(|it| it.is("success", ns::SASL2)).await;
    let given = success.payloads().element("token", "urn:xmpp:fast:0");
    assert!(given.expect("a token").get("token").is_some());
    client.ping().await;
}
