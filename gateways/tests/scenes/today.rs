//! Logins of today through a whole server: SASL2 (XEP-0388), Bind 2 (XEP-0386), resumption in
//! one go (XEP-0198 §9) and tokens (XEP-0484).
//!
//! What each element looks like is shown byte by byte in `protocol/src/stream/transcripts`.

use std::sync::Arc;

use klatsch_protocol::ns;
use klatsch_protocol::sasl::{Hash, encoding};
use klatsch_protocol::xml::Element;

use crate::client::{Client, Tls};
use crate::server::{PASSWORD, Server};

const SM: &str = "urn:xmpp:sm:3";
const BIND: &str = "urn:xmpp:bind:0";
const FAST: &str = "urn:xmpp:fast:0";
const PHONE: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const LAPTOP: &str = "aaaaaaaa-4d72-4749-b3d3-740edbf87770";

/// A login by password, with these wishes; the answer is `<success/>` or `<failure/>`.
async fn plain(server: &Server, name: &str, agent: &str, wishes: &str) -> (Tls, Element) {
    let data = format!("\0{name}\0{PASSWORD}");
    Tls::login_at_once(server.c2s_tls, ("PLAIN", data.as_bytes()), agent, wishes).await
}

/// A login by token.
async fn token(server: &Server, token: &str, agent: &str, wishes: &str) -> (Tls, Element) {
    let hashed = Hash::Sha256.hmac(token.as_bytes(), b"Initiator");
    let data = [b"anna\0", &*hashed].concat();
    Tls::login_at_once(server.c2s_tls, ("HT-SHA-256-NONE", &data), agent, wishes).await
}

fn identifier(success: &Element) -> String {
    let it = success.find("authorization-identifier", ns::SASL2);
    it.unwrap_or_else(|| panic!("{success:?}")).text_content()
}

fn bind(wishes: &str) -> String {
    format!("<bind xmlns='{BIND}'><tag>Test</tag>{wishes}</bind>")
}

fn failure(answer: &Element) -> Option<&str> {
    let condition = answer.children().next().map(Element::name);
    condition.filter(|_| answer.is("failure", ns::SASL2))
}

/// A message to anna that is kept.
async fn write_to_anna(server: &Server, text: &str) {
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send(&format!(
        "<message to='anna@klatsch.test' type='chat' id='{text}-12345'><body>{text}</body></message>"
    ))
    .await;
    bert.ping().await;
}

#[tokio::test]
async fn a_client_is_bound_with_its_login_and_has_what_it_wished() {
    let server = Server::start().await;
    let wishes = "<enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='1'/>";
    let (mut phone, success) = plain(&server, "anna", PHONE, &bind(wishes)).await;
    let jid = identifier(&success);
    assert!(jid.starts_with("anna@klatsch.test/Test/"), "{jid}");
    let bound = success.find("bound", BIND).unwrap();
    let enabled = bound.find("enabled", SM).unwrap();
    assert_eq!(enabled.get("resume"), Some("true"));
    assert!(bound.find("metadata", "urn:xmpp:mam:2").is_some());
    // Features follow, without what the session has already, and stanzas are taken at once.
    let features = phone.expect(|it| it.is("features", ns::STREAMS)).await;
    assert!(!features.payloads().has("sm", SM), "{features:?}");
    assert!(features.payloads().has("csi", "urn:xmpp:csi:0"));
    phone.ping().await;

    // Carbons are on: what another resource sends is seen here.
    phone.send("<presence/>").await;
    phone.ping().await;
    let (mut laptop, _) = plain(&server, "anna", LAPTOP, &bind("")).await;
    let features = laptop.expect(|it| it.is("features", ns::STREAMS)).await;
    assert!(features.payloads().has("sm", SM), "it may still be enabled");
    laptop
        .send("<message to='bert@klatsch.test' type='chat' id='c1-123456'><body>x</body></message>")
        .await;
    let carbon = phone.expect(|it| it.name() == "message").await;
    assert!(
        carbon.payloads().has("sent", "urn:xmpp:carbons:2"),
        "{carbon:?}"
    );
}

#[tokio::test]
async fn a_client_that_comes_again_has_the_same_name_and_ends_its_earlier_session() {
    let server = Server::start().await;
    let (mut first, one) = plain(&server, "anna", PHONE, &bind("")).await;
    let (mut again, two) = plain(&server, "anna", PHONE, &bind("")).await;
    assert_eq!(identifier(&one), identifier(&two));
    assert_eq!(
        first.end().await,
        crate::client::End::Error("conflict".into())
    );
    again.ping().await;
    let (_, three) = plain(&server, "anna", LAPTOP, &bind("")).await;
    assert_ne!(identifier(&one), identifier(&three));
}

#[tokio::test]
async fn xep_0386_what_has_waited_is_in_the_archive_and_not_sent() {
    let server = Server::start().await;
    write_to_anna(&server, "early").await;
    let (mut anna, success) = plain(&server, "anna", PHONE, &bind("")).await;
    let bound = success.find("bound", BIND).unwrap();
    let metadata = bound.find("metadata", "urn:xmpp:mam:2").unwrap();
    let end = metadata.find("end", "urn:xmpp:mam:2").unwrap();
    assert!(end.get("id").is_some() && end.get("timestamp").is_some());
    anna.send("<presence/>").await;
    write_to_anna(&server, "late").await;
    let message = anna.expect(|it| it.name() == "message").await;
    let body = message.payloads().element("body", ns::CLIENT).unwrap();
    assert_eq!(body.text_content(), "late");
}

#[tokio::test]
async fn a_client_that_binds_in_the_old_way_gets_what_has_waited() {
    let server = Server::start().await;
    write_to_anna(&server, "early").await;
    let (mut anna, success) = plain(&server, "anna", PHONE, "").await;
    assert_eq!(identifier(&success), "anna@klatsch.test");
    anna.expect(|it| it.is("features", ns::STREAMS)).await;
    assert_eq!(anna.bind("old").await, "anna@klatsch.test/old");
    anna.send("<presence/>").await;
    anna.expect(|it| it.name() == "message").await;
}

#[tokio::test]
async fn xep_0198_section_9_a_lost_session_comes_back_with_the_login() {
    let server = Server::start().await;
    let wishes = bind("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    let (mut lost, success) = plain(&server, "anna", PHONE, &wishes).await;
    let bound = success.find("bound", BIND).unwrap();
    let previd = bound
        .find("enabled", SM)
        .unwrap()
        .get("id")
        .unwrap()
        .to_owned();
    lost.send("<presence/>").await;
    lost.ping().await;
    drop(lost);
    write_to_anna(&server, "meanwhile").await;

    let resume = |previd: &str| format!("<resume xmlns='{SM}' previd='{previd}' h='2'/>");
    let (mut back, success) = plain(&server, "anna", PHONE, &(resume(&previd) + &wishes)).await;
    let resumed = success.find("resumed", SM).unwrap();
    assert_eq!(resumed.get("h"), Some("2"));
    assert!(success.find("bound", BIND).is_none());
    back.expect(|it| it.name() == "message").await;
    back.ping().await;

    // Row A13: another's session is nobody's.
    let (mut other, success) = plain(&server, "bert", PHONE, &(resume(&previd) + &wishes)).await;
    assert!(success.find("failed", SM).is_some());
    assert!(success.find("bound", BIND).is_some());
    other.ping().await;
    back.ping().await;
}

#[tokio::test]
async fn a13_a_token_logs_its_client_in_and_nobody_else() {
    let server = Server::start().await;
    let wish = format!("<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/>");
    let (_, success) = plain(&server, "anna", PHONE, &wish).await;
    let given = success.find("token", FAST).unwrap();
    let secret = given.get("token").unwrap().to_owned();
    assert!(given.get("expiry").unwrap().ends_with('Z'));
    let fast = |count: u32| format!("<fast xmlns='{FAST}' count='{count}'/>") + &bind("");

    let (mut anna, success) = token(&server, &secret, PHONE, &fast(1)).await;
    assert_eq!(success.name(), "success", "{success:?}");
    let proof = Hash::Sha256.hmac(secret.as_bytes(), b"Responder");
    let shown = success.find("additional-data", ns::SASL2).unwrap();
    assert_eq!(shown.text_content(), encoding::encode(&proof));
    anna.ping().await;

    // Played again, from another client, with another token.
    for (secret, agent, count) in [
        (&secret, PHONE, 1),
        (&secret, LAPTOP, 2),
        (&"guess".to_owned(), PHONE, 2),
    ] {
        let (_, answer) = token(&server, secret, agent, &fast(count)).await;
        assert_eq!(failure(&answer), Some("not-authorized"), "{agent} {count}");
    }
    // None of that has done the token any harm; then its client gives it back.
    let last = format!("<fast xmlns='{FAST}' count='2' invalidate='true'/>");
    let (_, answer) = token(&server, &secret, PHONE, &last).await;
    assert_eq!(answer.name(), "success");
    let (_, answer) = token(&server, &secret, PHONE, &fast(3)).await;
    assert_eq!(failure(&answer), Some("not-authorized"));
}

#[tokio::test]
async fn a13_of_many_logins_by_one_count_one_gets_in() {
    let server = Arc::new(Server::start().await);
    let wish = format!("<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/>");
    let (_, success) = plain(&server, "anna", PHONE, &wish).await;
    let secret = success
        .find("token", FAST)
        .unwrap()
        .get("token")
        .unwrap()
        .to_owned();
    let attempts = (0..8).map(|_| {
        let (server, secret) = (Arc::clone(&server), secret.clone());
        tokio::spawn(async move {
            let once = format!("<fast xmlns='{FAST}' count='1'/>");
            token(&server, &secret, PHONE, &once).await.1.name() == "success"
        })
    });
    let mut let_in = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        let_in += usize::from(attempt.await.unwrap());
    }
    assert_eq!(let_in, 1);
}
