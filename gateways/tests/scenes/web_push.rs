//! Browsers are told while nobody looks (RFC 8030, 8291, 8292): from a message to what the
//! browser's service worker reads, with a push service on this machine.

mod browser;

use std::time::{SystemTime, UNIX_EPOCH};

use browser::{Browser, PushService, Received, identified};
use klatsch_gateways::web_push::{VapidKey, WebPushSettings};
use klatsch_protocol::features::web_push::{self, NS};
use klatsch_protocol::jid::BareJid;
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, End, condition, until};
use crate::server::{DOMAIN, Server, Setup, WEB_PUSH_KEY};

const PUSH: &str = "push.klatsch.test";
const ANNA: &str = "anna@klatsch.test";
const BERT: &str = "bert@klatsch.test";

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

async fn start() -> (Server, PushService) {
    let service = PushService::start().await;
    (start_with(&service, &["anna", "bert"]).await, service)
}

async fn start_with(service: &PushService, accounts: &[&str]) -> Server {
    Server::start_with(Setup {
        accounts: accounts.iter().copied().map(str::to_owned).collect(),
        web_push: Some(WebPushSettings {
            hosts: vec![format!("localhost:{}", service.port)],
            contact: "mailto:root@klatsch.test".to_owned(),
            private_addresses: true,
            authorities: service.pem.clone().into_bytes(),
        }),
        ..Setup::default()
    })
    .await
}

async fn online(server: &Server, name: &str) -> Client<TcpStream> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, "web").await;
    client.send("<presence/>").await;
    client.ping().await;
    client
}

fn a_browser() -> Browser {
    Browser::new([5; 32], [6; 16])
}

/// Registers a browser; the answer is its node and its secret.
async fn register(client: &mut Client<TcpStream>, browser: &Browser, port: u16) -> [String; 2] {
    let (key, auth) = (browser.p256dh(), browser.auth());
    client
        .send(&format!(
            "<iq type='set' to='{PUSH}' id='r'><register xmlns='{NS}' \
             endpoint='https://localhost:{port}/to/anna' p256dh='{key}' auth='{auth}'/></iq>"
        ))
        .await;
    let answer = client.expect(|it| it.attr("id") == Some("r")).await;
    let registered = answer.payloads().element("registered", NS);
    let registered = registered.unwrap_or_else(|| panic!("{answer:?}"));
    ["node", "secret"].map(|name| registered.get(name).unwrap().to_owned())
}

async fn enable(client: &mut Client<TcpStream>, node: &str, secret: &str) {
    client
        .send(&format!(
            "<iq type='set' id='e'><enable xmlns='urn:xmpp:push:0' jid='{PUSH}' node='{node}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>\
             http://jabber.org/protocol/pubsub#publish-options</value></field>\
             <field var='secret'><value>{secret}</value></field></x></enable></iq>"
        ))
        .await;
    let enabled = client.expect(|it| it.attr("id") == Some("e")).await;
    assert_eq!(enabled.attr("type"), Some("result"));
}

/// Anna's browser has subscribed, and she has closed its window; the answer is the node.
async fn subscribed(server: &Server, browser: &Browser, port: u16) -> String {
    let mut client = online(server, "anna").await;
    let [node, secret] = register(&mut client, browser, port).await;
    enable(&mut client, &node, &secret).await;
    client.send("</stream:stream>").await;
    assert_eq!(client.end().await, End::Footer);
    node
}

async fn write(from: &mut Client<TcpStream>, text: &str) {
    from.send(&format!(
        "<message to='{ANNA}' type='chat' id='{text}-12345'><body>{text}</body></message>"
    ))
    .await;
    from.ping().await;
}

fn read(browser: &Browser, received: &Received) -> serde_json::Value {
    serde_json::from_slice(&browser.open(&received.body)).unwrap()
}

/// Waits until none of Anna's devices is told any more.
async fn until_disabled(server: &Server) {
    let is_none = async || server.store.registrations(&jid(ANNA)).await == Ok(Vec::new());
    until(is_none).await;
}

#[tokio::test]
async fn browser_is_told_what_only_it_can_read_by_a_server_that_says_who_it_is() {
    let (server, mut service) = start().await;
    let browser = a_browser();
    subscribed(&server, &browser, service.port).await;
    let mut bert = online(&server, "bert").await;
    write(&mut bert, "psst").await;
    let told = service.next().await;
    assert_eq!(told.line(), "POST /to/anna HTTP/1.1");
    for (name, value) in [
        ("content-encoding", "aes128gcm"),
        ("ttl", "86400"),
        ("urgency", "normal"),
        ("host", &format!("localhost:{}", service.port)),
    ] {
        assert_eq!(told.header(name), value, "{name}");
    }
    let conversation = web_push::conversation(&jid(ANNA), &jid(BERT));
    assert_eq!(told.header("topic"), format!("chat{conversation}"));
    // Nothing of who has written and what.
    let expected = serde_json::json!({
        "conversation": conversation, "kind": "message", "count": 1
    });
    assert_eq!(read(&browser, &told), expected);
    let (claims, key) = identified(told.header("authorization"));
    assert_eq!(key, VapidKey::from_seed(WEB_PUSH_KEY).public());
    assert_eq!(claims["aud"], format!("https://localhost:{}", service.port));
    assert_eq!(claims["sub"], "mailto:root@klatsch.test");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = claims["exp"].as_u64().unwrap() - now.as_secs();
    assert!((3_600..=86_400).contains(&left), "{left}");
}

#[tokio::test]
async fn call_wakes_the_device_and_is_not_worth_telling_later() {
    let (server, mut service) = start().await;
    let browser = a_browser();
    subscribed(&server, &browser, service.port).await;
    let mut bert = online(&server, "bert").await;
    for (payload, kind) in [("propose", "call"), ("retract", "call-ended")] {
        bert.send(&format!(
            "<message to='{ANNA}' type='chat' id='{payload}-1234'>\
             <{payload} xmlns='urn:xmpp:jingle-message:0' id='call-1'/>\
             <store xmlns='urn:xmpp:hints'/></message>"
        ))
        .await;
        let told = service.next().await;
        assert_eq!((told.header("urgency"), told.header("ttl")), ("high", "30"));
        assert!(told.header("topic").starts_with("call"));
        assert_eq!(read(&browser, &told)["kind"], kind);
    }
}

#[tokio::test]
async fn browser_that_is_gone_is_told_no_more() {
    let (server, mut service) = start().await;
    let node = subscribed(&server, &a_browser(), service.port).await;
    service.answer("410 Gone");
    let mut bert = online(&server, "bert").await;
    write(&mut bert, "one").await;
    service.next().await;
    let is_gone = async || server.store.web_push(&jid(ANNA), &node).await == Ok(None);
    until(is_gone).await;
    // The next one finds that out, and the device is enabled no more (XEP-0357 §7.1).
    write(&mut bert, "two").await;
    until_disabled(&server).await;
}

#[tokio::test]
async fn push_service_that_is_busy_is_asked_again_when_it_wants() {
    let (server, mut service) = start().await;
    let browser = a_browser();
    subscribed(&server, &browser, service.port).await;
    service.answer("503 Service Unavailable\r\nRetry-After: 0");
    service.answer("429 Too Many Requests\r\nRetry-After: 0");
    let mut bert = online(&server, "bert").await;
    write(&mut bert, "one").await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(service.next().await);
    }
    for one in &told {
        assert_eq!(read(&browser, one)["count"], 1);
    }
    // Each is encrypted anew.
    assert_ne!(told[0].body, told[1].body);
}

#[tokio::test]
async fn h07_push_service_leads_the_server_nowhere() {
    let (server, mut service) = start().await;
    subscribed(&server, &a_browser(), service.port).await;
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = inside.local_addr().unwrap();
    for status in ["301", "302", "307", "308"] {
        service.answer(&format!(
            "{status} Elsewhere\r\nLocation: http://{address}/"
        ));
    }
    let mut bert = online(&server, "bert").await;
    for text in ["one", "two", "three", "four", "five"] {
        write(&mut bert, text).await;
        service.next().await;
    }
    let led = std::future::poll_fn(|context| match inside.poll_accept(context) {
        std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
        std::task::Poll::Pending => std::task::Poll::Ready(false),
    });
    assert!(!led.await, "a redirect was followed");
}

#[tokio::test]
async fn h07_browser_is_registered_at_push_services_alone() {
    let (server, service) = start().await;
    let mut client = online(&server, "anna").await;
    let browser = a_browser();
    let (key, auth, port) = (browser.p256dh(), browser.auth(), service.port);
    for (endpoint, wanted) in [
        (format!("http://localhost:{port}/x"), "bad-request"),
        (format!("https://127.0.0.1:{port}/x"), "not-allowed"),
        ("https://localhost/x".to_owned(), "not-allowed"),
        ("https://169.254.169.254/latest/".to_owned(), "not-allowed"),
        (
            format!("https://localhost:{port}@evil.example/x"),
            "bad-request",
        ),
        (format!("https://[::1]:{port}/x"), "bad-request"),
    ] {
        client
            .send(&format!(
                "<iq type='set' to='{PUSH}' id='x'><register xmlns='{NS}' \
                 endpoint='{endpoint}' p256dh='{key}' auth='{auth}'/></iq>"
            ))
            .await;
        let answer = client.expect(|it| it.attr("id") == Some("x")).await;
        let error = answer.payloads().element("error", "jabber:client").unwrap();
        let first = error.children().next().unwrap().name().to_owned();
        assert_eq!(first, wanted, "{endpoint}: {}", condition(&answer));
    }
}

#[tokio::test]
async fn r16_who_is_blocked_reaches_no_browser() {
    let mut service = PushService::start().await;
    let server = start_with(&service, &["anna", "bert", "eve"]).await;
    let browser = a_browser();
    let mut client = online(&server, "anna").await;
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='eve@klatsch.test'/></block>";
    client
        .send(&format!("<iq type='set' id='block'>{block}</iq>"))
        .await;
    client.expect(|it| it.attr("id") == Some("block")).await;
    client.send("</stream:stream>").await;
    client.end().await;
    subscribed(&server, &browser, service.port).await;
    let mut eve = online(&server, "eve").await;
    let mut bert = online(&server, "bert").await;
    let by_bert = web_push::conversation(&jid(ANNA), &jid(BERT));
    for text in ["one", "two"] {
        write(&mut eve, text).await;
        write(&mut bert, text).await;
        let told = read(&browser, &service.next().await);
        assert_eq!(told["conversation"], by_bert);
    }
}

#[tokio::test]
async fn node_is_told_nothing_without_its_secret() {
    let (server, service) = start().await;
    let mut client = online(&server, "anna").await;
    let [node, _] = register(&mut client, &a_browser(), service.port).await;
    enable(&mut client, &node, "a guess").await;
    client.send("</stream:stream>").await;
    client.end().await;
    let mut bert = online(&server, "bert").await;
    write(&mut bert, "one").await;
    until_disabled(&server).await;
    assert!(
        server
            .store
            .web_push(&jid(ANNA), &node)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn app_server_says_what_it_is_and_forgets_when_it_is_asked_to() {
    let (server, service) = start().await;
    let mut client = online(&server, "anna").await;
    let ask = |to: &str, what: &str| {
        format!(
            "<iq type='get' to='{to}' id='d'><query xmlns='http://jabber.org/protocol/disco#{what}'/></iq>"
        )
    };
    client.send(&ask(DOMAIN, "items")).await;
    let items = client.expect(|it| it.attr("id") == Some("d")).await;
    let text = String::from_utf8(items.payloads().bytes().to_vec()).unwrap();
    assert!(text.contains(PUSH), "{text}");
    client.send(&ask(PUSH, "info")).await;
    let info = client.expect(|it| it.attr("id") == Some("d")).await;
    let text = String::from_utf8(info.payloads().bytes().to_vec()).unwrap();
    for part in ["category='pubsub'", "type='push'", NS, "urn:xmpp:push:0"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let [node, _] = register(&mut client, &a_browser(), service.port).await;
    client
        .send(&format!(
            "<iq type='set' to='{PUSH}' id='u'><unregister xmlns='{NS}' node='{node}'/></iq>"
        ))
        .await;
    let answer = client.expect(|it| it.attr("id") == Some("u")).await;
    assert_eq!(answer.attr("type"), Some("result"));
    let kept = server.store.web_push(&jid(ANNA), &node).await.unwrap();
    assert!(kept.is_none());
}
