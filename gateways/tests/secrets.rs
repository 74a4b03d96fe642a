//! Row A18: whatever the log level, no password, token or message body is in the log.
//!
//! A process of its own, because its subscriber hears everything that any thread and any
//! library says, at the lowest level there is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the scenes use the rest")]
#[path = "scenes/book.rs"]
mod book;
#[allow(dead_code, reason = "the scenes use the rest")]
#[path = "scenes/client.rs"]
mod client;
#[allow(dead_code, reason = "the scenes use the rest")]
#[path = "scenes/server.rs"]
mod server;

use std::io;
use std::sync::{Arc, Mutex};

use client::Client;
use klatsch_gateways::http::SignupLink;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::ClientBinding;
use klatsch_protocol::sasl::{Hash, Secret, encoding, oauthbearer, plain};
use server::{DOMAIN, PASSWORD, Server, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::level_filters::LevelFilter;

const BODY: &str = "canary-of-the-body";
const WRONG: &str = "canary-of-a-typo";
const CHOSEN: &str = "canary-of-the-form";
const TOKEN: &str = "canary-of-the-link";
const SM: &str = "urn:xmpp:sm:3";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log of everything.
fn listen() -> Log {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
}

#[tokio::test]
async fn a18_no_secret_and_no_body_is_logged_at_any_level() {
    let log = listen();
    let create = Box::new(|_| Box::pin(async { Ok(()) }) as _);
    let server = Server::start_with(Setup {
        signup: Some(SignupLink::new(TOKEN, create)),
        ..Setup::default()
    })
    .await;
    let mut secrets: Vec<String> = [PASSWORD, WRONG, CHOSEN, BODY].map(Into::into).to_vec();
    sign_up(&server).await;
    secrets.extend(log_in_with_passwords(&server).await);
    secrets.push(chat_and_come_back(&server).await);
    secrets.extend(log_in_by_token_and_invite(&server).await);
    secrets.extend(use_the_api(&server).await);
    server.emptied().await;

    let text = log.text();
    // The test hears what it is about: logins that failed, sessions, libraries.
    for heard in ["login failed", "TRACE", "klatsch_"] {
        assert!(text.contains(heard), "{heard:?} is not in the log");
    }
    for secret in &secrets {
        let line = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{secret:?} is in the log");
    }
    // The link's token is in its address, which libraries may name where they are told to
    // say everything; the server's own log settings keep them quiet. Our lines never have it.
    let ours = text.lines().filter(|line| line.contains("klatsch_"));
    let line = ours.into_iter().find(|line| line.contains(TOKEN));
    assert_eq!(line, None);
}

/// Fills in the form of the link.
async fn sign_up(server: &Server) {
    let form = format!("name=root&domain={DOMAIN}&password={CHOSEN}&repeated={CHOSEN}");
    let request = format!(
        "POST /signup/{TOKEN} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// Logs in with PLAIN, wrongly and rightly; what went over the wire is secret, too.
async fn log_in_with_passwords(server: &Server) -> Vec<String> {
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.open().await;
    let mut sent = Vec::new();
    for password in [WRONG, PASSWORD] {
        let message = encoding::encode(&plain::plain_message("anna", &Secret::new(password)));
        client
            .send(&format!(
                "<auth xmlns='{}' mechanism='PLAIN'>{message}</auth>",
                ns::SASL
            ))
            .await;
        client.expect(|it| it.namespace() == ns::SASL).await;
        sent.push(message);
    }
    sent
}

/// Logs in by SASL2 and by the token that gives, invites somebody, who registers, and changes
/// the password; answers what is secret of that.
async fn log_in_by_token_and_invite(server: &Server) -> Vec<String> {
    let agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
    let fast = "urn:xmpp:fast:0";
    let authenticate = |mechanism: &str, data: &[u8], wishes: &str| {
        let data = encoding::encode(data);
        format!(
            "<authenticate xmlns='{}' mechanism='{mechanism}'><initial-response>{data}\
             </initial-response>{agent}{wishes}</authenticate>",
            ns::SASL2
        )
    };
    let wish = format!("<request-token xmlns='{fast}' mechanism='HT-SHA-256-NONE'/>");
    let password = format!("\0anna\0{PASSWORD}");
    let mut first = Client::connect_tls(server.c2s_tls).await;
    first.open().await;
    first
        .send(&authenticate("PLAIN", password.as_bytes(), &wish))
        .await;
    let success = first.expect(|it| it.is("success", ns::SASL2)).await;
    let given = success.payloads().element("token", fast).unwrap();
    let token = given.get("token").unwrap().to_owned();
    let hashed = Hash::Sha256.hmac(token.as_bytes(), b"Initiator");
    let proof = [b"anna\0", &*hashed].concat();
    let wishes = format!("<fast xmlns='{fast}'/><bind xmlns='urn:xmpp:bind:0'/>");
    let mut anna = Client::connect_tls(server.c2s_tls).await;
    anna.open().await;
    anna.send(&authenticate("HT-SHA-256-NONE", &proof, &wishes))
        .await;
    anna.expect(|it| it.is("success", ns::SASL2)).await;
    let invitation = invite(&mut anna).await;
    let mut guest = Client::connect_tls(server.c2s_tls).await;
    guest.open().await;
    for token in [WRONG, &invitation] {
        guest
            .send(&format!(
                "<iq type='set' id='p'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>"
            ))
            .await;
        guest.expect(|it| it.attr("id") == Some("p")).await;
    }
    let fields = |name: &str| {
        format!(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>\
             <password>{CHOSEN}</password></query></iq>"
        )
    };
    for name in ["bert", "carla"] {
        guest.send(&fields(name)).await;
        guest.expect(|it| it.attr("id") == Some("r")).await;
    }
    anna.send(&fields("anna")).await;
    let changed = anna.expect(|it| it.attr("id") == Some("r")).await;
    assert_eq!(changed.attr("type"), Some("result"));
    vec![token, encoding::encode(&proof), invitation]
}

/// Gets tokens of the API by a password, and logs in by one; answers what is secret of that.
async fn use_the_api(server: &Server) -> Vec<String> {
    let mut secrets = Vec::new();
    for (password, audience) in [(WRONG, "xmpp"), (CHOSEN, "session"), (CHOSEN, "xmpp")] {
        let proof = encoding::encode(format!("anna@{DOMAIN}:{password}").as_bytes());
        let body = format!("{{\"audience\":\"{audience}\"}}");
        let request = format!(
            "POST /api/v1/token HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\
             Authorization: Basic {proof}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut tcp = TcpStream::connect(server.http).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let given = answer.split_once("\"token\":\"").map(|(_, it)| it);
        let token = given.and_then(|it| it.split('"').next());
        assert_eq!(token.is_some(), password == CHOSEN, "{answer}");
        secrets.push(proof);
        secrets.extend(token.map(str::to_owned));
    }
    let token = Secret::new(secrets.last().cloned().unwrap());
    let message = encoding::encode(&oauthbearer::bearer_message("", &token));
    for expected in ["success", "challenge"] {
        let mut client = Client::connect(server.c2s).await;
        client.open().await;
        client
            .send(&format!(
                "<auth xmlns='{}' mechanism='OAUTHBEARER'>{message}</auth>",
                ns::SASL
            ))
            .await;
        let answer = client.expect(|it| it.namespace() == ns::SASL).await;
        assert_eq!(answer.name(), expected);
    }
    secrets.push(message);
    secrets
}

/// The token of an invitation.
async fn invite<S: client::Stream>(anna: &mut Client<S>) -> String {
    anna.send(&format!(
        "<iq type='set' id='i' to='{DOMAIN}'><command action='execute' \
         xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite'/></iq>"
    ))
    .await;
    let answer = anna.expect(|it| it.attr("id") == Some("i")).await;
    let answer = String::from_utf8(answer.payloads().bytes().to_vec()).unwrap();
    let (_, behind) = answer.split_once("preauth=").unwrap();
    behind.split(';').next().unwrap().to_owned()
}

/// Chats, reads the archive, loses the connection and resumes; answers the resumption id.
async fn chat_and_come_back(server: &Server) -> String {
    let mut bert = Client::connect_tls(server.c2s_tls).await;
    bert.session("bert", "home").await;
    bert.send("<presence/>").await;
    bert.ping().await;
    let mut anna = Client::connect_tls(server.c2s_tls).await;
    anna.session("anna", "home").await;
    anna.send(&format!("<enable xmlns='{SM}' resume='true'/>"))
        .await;
    let enabled = anna.expect(|it| it.is("enabled", SM)).await;
    let token = enabled.attr("id").unwrap().to_owned();
    anna.send(&format!(
        "<message type='chat' to='bert@{DOMAIN}' id='m'><body>{BODY}</body></message>"
    ))
    .await;
    bert.expect(|it| it.name() == "message").await;
    // Refused and malformed stanzas are where logs are tempting.
    anna.send(&format!(
        "<message type='chat' to='nobody@{DOMAIN}' id='n'><body>{BODY}</body></message>\
         <message to='a@b@c'><body>{BODY}</body></message><iq id='x'><x>{BODY}</x></iq>"
    ))
    .await;
    bert.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
        .await;
    bert.expect(|it| it.attr("id") == Some("q")).await;
    drop(anna);
    let mut again = Client::connect_tls(server.c2s_tls).await;
    again.open().await;
    again.login("anna").await;
    again.open().await;
    again
        .send(&format!("<resume xmlns='{SM}' previd='{token}' h='0'/>"))
        .await;
    again.expect(|it| it.is("resumed", SM)).await;
    // Ends with XML that is none, around a body.
    again
        .send(&format!("<message><body>{BODY}</message></message>"))
        .await;
    again.end().await;
    let mut failing = Client::connect(server.c2s).await;
    failing.open().await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    let outcome = failing.authenticate("anna", WRONG, mechanism).await;
    assert_eq!(outcome, Err("not-authorized".into()));
    token
}
