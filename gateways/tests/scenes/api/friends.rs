//! Who sees whom, and how somebody wants to be seen.

use klatsch_protocol::features::roster::Subscription;
use klatsch_protocol::ns;
use klatsch_protocol::xml::Fragment;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep};

use super::{account, befriend, call, list};
use crate::client::{Client, PATIENCE};
use crate::server::{DOMAIN, Server, Setup};

async fn server() -> Server {
    let accounts = ["anna", "bert", "carla"].map(str::to_owned).to_vec();
    Server::start_with(Setup {
        accounts,
        ..Setup::default()
    })
    .await
}

async fn online(server: &Server, name: &str, inside: &str) -> Client<TcpStream> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, "phone").await;
    client.send(&format!("<presence>{inside}</presence>")).await;
    client.ping().await;
    client
}

/// Looks until something is seen, as a page does that asks now and then.
async fn seen(server: &Server, name: &str, of: &str, expected: &str) {
    let body = format!(r#"{{"addresses":["{of}@{DOMAIN}"]}}"#);
    let end = Instant::now() + PATIENCE;
    loop {
        let reply = call(server, name, ("POST", "/presence"), &body).await;
        let word = reply.json()["presence"][format!("{of}@{DOMAIN}")].to_string();
        if word == expected {
            return;
        }
        assert!(Instant::now() < end, "{word} instead of {expected}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Presence of this account with this state and line.
fn shows(from: &str, show: Option<&str>, status: Option<&str>) -> impl Fn(&Fragment) -> bool {
    let from = format!("{from}@{DOMAIN}/phone");
    let (show, status) = (show.map(str::to_owned), status.map(str::to_owned));
    move |it| {
        let text = |name| it.payloads().text_of(name, ns::CLIENT).map(String::from);
        it.name() == "presence"
            && it.attr("from") == Some(&from)
            && it.attr("type").is_none()
            && text("show") == show
            && text("status") == status
    }
}

#[tokio::test]
async fn contacts_are_seen_as_they_are_by_both_ways_of_asking() {
    let server = server().await;
    befriend(&server, "anna", "bert").await;
    seen(&server, "anna", "bert", r#"{"show":"offline"}"#).await;
    let bert = online(
        &server,
        "bert",
        "<show>away</show><status>at lunch</status>",
    )
    .await;
    let away = r#"{"show":"away","status":"at lunch"}"#;
    seen(&server, "anna", "bert", away).await;
    let path = format!("/presence?address=bert%40{DOMAIN}&address=carla@{DOMAIN}");
    let reply = call(&server, "anna", ("GET", &path), "").await;
    let expected = format!(
        r#"{{"presence":{{"bert@{DOMAIN}":{away},"carla@{DOMAIN}":{{"show":"unknown"}}}}}}"#
    );
    assert_eq!(reply.text, expected);
    drop(bert);
    seen(&server, "anna", "bert", r#"{"show":"offline"}"#).await;
}

#[tokio::test]
async fn a11_who_may_not_be_seen_and_who_is_not_there_are_one_answer_byte_for_byte() {
    let server = server().await;
    let _bert = online(&server, "bert", "<status>secret</status>").await;
    let ask = async |address: &str| {
        let body = format!(r#"{{"addresses":["{address}"]}}"#);
        let reply = call(&server, "anna", ("POST", "/presence"), &body).await;
        // Two answers are made at two times.
        let head: Vec<String> = reply
            .head
            .lines()
            .filter(|line| !line.starts_with("date:"))
            .map(|line| line.replace(address, "ADDRESS"))
            .collect();
        (reply.status, head, reply.text.replace(address, "ADDRESS"))
    };
    // As long as a name that is there.
    let nobody = ask("nora@klatsch.test").await;
    assert_eq!(nobody.2, r#"{"presence":{"ADDRESS":{"show":"unknown"}}}"#);
    assert_eq!(ask("bert@klatsch.test").await, nobody, "a stranger");
    // One roster alone says that they see each other: the other decides (row R15).
    list(&server, "anna", "bert", Subscription::Both).await;
    assert_eq!(ask("bert@klatsch.test").await, nobody, "no leave from bert");
    list(&server, "anna", "bert", Subscription::None).await;
    list(&server, "bert", "anna", Subscription::Both).await;
    assert_eq!(ask("bert@klatsch.test").await, nobody, "not wanted by anna");
    befriend(&server, "anna", "bert").await;
    assert_ne!(ask("bert@klatsch.test").await, nobody);
    // Row R16.
    let bert = account("bert");
    let version = server.store.blocklist(&bert).await.unwrap().version;
    let blocked = vec![account("anna").into()];
    let store = &server.store;
    let blocking = store.change_blocklist(&bert, version, blocked, Vec::new());
    blocking.await.unwrap();
    assert_eq!(ask("bert@klatsch.test").await, nobody, "blocked");
    // Row R14.
    assert_eq!(ask("bert@elsewher.org").await, nobody, "elsewhere");
}

#[tokio::test]
async fn wish_is_seen_by_contacts_at_once_and_taken_back() {
    let server = server().await;
    befriend(&server, "anna", "bert").await;
    let mut bert = online(&server, "bert", "").await;
    let mut anna = online(&server, "anna", "<show>chat</show><status>here</status>").await;
    bert.expect(shows("anna", Some("chat"), Some("here"))).await;

    let wish = r#"{"show":"away","status":"In einer Sitzung"}"#;
    let wished = call(&server, "anna", ("PUT", "/me/presence"), wish).await;
    assert_eq!(wished.text, r#"{"wish":"away"}"#);
    let line = Some("In einer Sitzung");
    bert.expect(shows("anna", Some("away"), line)).await;
    // Her own clients see what others see.
    anna.expect(shows("anna", Some("away"), line)).await;
    let seen_as = r#"{"show":"away","status":"In einer Sitzung"}"#;
    seen(&server, "bert", "anna", seen_as).await;
    let me = call(&server, "anna", ("GET", "/me"), "").await.json();
    assert_eq!((&me["show"], &me["wish"]), (&"away".into(), &"away".into()));

    // What a client says meanwhile waits.
    anna.send("<presence><show>dnd</show></presence>").await;
    bert.expect(shows("anna", Some("away"), line)).await;
    let auto = r#"{"show":"auto"}"#;
    call(&server, "anna", ("PUT", "/me/presence"), auto).await;
    bert.expect(shows("anna", Some("dnd"), None)).await;
    seen(&server, "bert", "anna", r#"{"show":"dnd"}"#).await;
}

#[tokio::test]
async fn wish_holds_for_who_comes_later_and_makes_nobody_available() {
    let server = server().await;
    befriend(&server, "anna", "bert").await;
    let mut bert = online(&server, "bert", "").await;
    // Connected, and not available yet.
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "phone").await;
    let wish = r#"{"show":"dnd"}"#;
    call(&server, "anna", ("PUT", "/me/presence"), wish).await;
    seen(&server, "bert", "anna", r#"{"show":"offline"}"#).await;
    anna.send("<presence/>").await;
    bert.expect(shows("anna", Some("dnd"), None)).await;
    let wish = r#"{"show":"xa"}"#;
    call(&server, "anna", ("PUT", "/me/presence"), wish).await;
    bert.expect(shows("anna", Some("xa"), None)).await;
    drop(anna);
    bert.expect(|it| it.attr("type") == Some("unavailable"))
        .await;
    let _anna = online(&server, "anna", "").await;
    bert.expect(shows("anna", Some("xa"), None)).await;
    // Who comes even later looks them up.
    let mut again = Client::connect(server.c2s).await;
    again.session("bert", "desk").await;
    again.send("<presence/>").await;
    again.expect(shows("anna", Some("xa"), None)).await;
}

#[tokio::test]
async fn wish_of_one_node_is_seen_on_the_other() {
    let [one, other] = Server::pair().await;
    befriend(&one, "anna", "bert").await;
    let mut bert = online(&one, "bert", "").await;
    let _anna = online(&other, "anna", "").await;
    bert.expect(shows("anna", None, None)).await;
    let wish = r#"{"show":"xa","status":"tomorrow"}"#;
    call(&one, "anna", ("PUT", "/me/presence"), wish).await;
    bert.expect(shows("anna", Some("xa"), Some("tomorrow")))
        .await;
    let seen_as = r#"{"show":"xa","status":"tomorrow"}"#;
    seen(&one, "bert", "anna", seen_as).await;
    seen(&other, "bert", "anna", seen_as).await;
}

#[tokio::test]
async fn what_no_client_has_taken_is_unread() {
    let server = server().await;
    let unread = async || {
        let me = call(&server, "anna", ("GET", "/me"), "").await.json();
        me["unread"].as_u64().unwrap()
    };
    assert_eq!(unread().await, 0);
    let mut bert = online(&server, "bert", "").await;
    for id in ["one", "two"] {
        let body = format!(
            "<message to='anna@{DOMAIN}' type='chat' id='{id}-of-two'><body>{id}</body></message>"
        );
        bert.send(&body).await;
    }
    bert.ping().await;
    assert_eq!(unread().await, 2);
}

#[tokio::test]
async fn a11_chat_begins_with_anybody_and_nobody_is_told_apart_from_no_account() {
    let server = server().await;
    let ask = async |with: &str| {
        let body = format!(r#"{{"with":"{with}"}}"#);
        call(&server, "anna", ("POST", "/chats"), &body).await
    };
    let found = ask("Bert@klatsch.test").await;
    assert_eq!(found.field("jid"), "bert@klatsch.test");
    assert_eq!(found.field("url"), "/chat/?with=bert%40klatsch.test");
    let nobody = ask("nora@klatsch.test").await;
    let as_nobody = found.text.replace("bert", "nora");
    assert_eq!((nobody.status, nobody.text), (200, as_nobody));
    // Where nothing can be written to there is no chat.
    for nowhere in ["a@elsewhere.example", "klatsch.test", ""] {
        let refused = ask(nowhere).await.refusal();
        assert_eq!(refused, (404, "item-not-found".into()), "{nowhere}");
    }
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "phone").await;
    anna.send(
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>\
         <item jid='bert@klatsch.test'/></block></iq>",
    )
    .await;
    anna.expect(|it| it.attr("id") == Some("b")).await;
    let blocked = ask("bert@klatsch.test").await.refusal();
    assert_eq!(blocked, (404, "item-not-found".into()));
}

#[tokio::test]
async fn chat_has_its_last_message_and_how_many_are_unread() {
    let server = server().await;
    let ask = async |name: &str, with: &str| {
        let body = format!(r#"{{"with":"{with}@klatsch.test"}}"#);
        let reply = call(&server, name, ("POST", "/chats"), &body).await;
        let found = reply.json();
        (found["unread"].clone(), found["last"].clone())
    };
    assert_eq!(ask("anna", "bert").await, (json!(0), Value::Null));
    let mut bert = online(&server, "bert", "").await;
    for text in ["first", "second"] {
        bert.send(&format!(
            "<message to='anna@klatsch.test' type='chat' id='{text}'><body>{text}</body></message>"
        ))
        .await;
    }
    bert.ping().await;
    let (unread, last) = ask("anna", "bert").await;
    assert_eq!(unread, 2);
    assert_eq!(last["from"], "bert@klatsch.test");
    assert_eq!(last["body"], "second");
    assert!(last["stamp"].as_str().is_some_and(|it| it.ends_with('Z')));
    // Whoever has written has read; and a conversation is between two.
    let (unread, last) = ask("bert", "anna").await;
    assert_eq!(
        (unread, last["from"].clone()),
        (json!(0), json!("bert@klatsch.test"))
    );
    assert_eq!(ask("anna", "carla").await, (json!(0), Value::Null));
    // XEP-0490: a client has displayed the first.
    let first = last["id"].as_str().unwrap().parse::<u64>().unwrap() - 1;
    let mut anna = online(&server, "anna", "").await;
    anna.send(&format!(
        "<iq type='set' id='d'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <publish node='urn:xmpp:mds:displayed:0'><item id='bert@klatsch.test'>\
         <displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' \
         by='anna@klatsch.test' id='{first}'/></displayed></item></publish></pubsub></iq>"
    ))
    .await;
    anna.expect(|it| it.attr("id") == Some("d")).await;
    assert_eq!(ask("anna", "bert").await.0, 1);
    anna.send("<message to='bert@klatsch.test' type='chat' id='x'><body>third</body></message>")
        .await;
    anna.ping().await;
    let (unread, last) = ask("anna", "bert").await;
    assert_eq!((unread, last["body"].clone()), (json!(0), json!("third")));
}
