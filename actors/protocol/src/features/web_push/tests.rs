//! Who registers, who is told, and what must not be had.

use super::*;
use crate::pipeline;
use crate::testkit::{Given, facts};

const HOST: &str = "push.example.org";
const CLIENT: &str = "romeo@example.org/balcony";
const URL: &str = "https://fcm.googleapis.com/fcm/send/x";

fn given() -> Given {
    let mut given = facts();
    given.account = BareJid::parse(HOST).unwrap();
    given.host.web_push = Some(Settings::default());
    given
}

fn decide(given: &Given, from: &str, payload: &str) -> Vec<Effect> {
    let stanza = format!("<iq from='{from}' to='{HOST}' id='s' type='set'>{payload}</iq>");
    let stanza = crate::testkit::parse(&stanza);
    pipeline::decide_service(&stanza, Service::Push, &given.facts())
}

fn asked(effects: Vec<Effect>) -> Ask {
    match effects.into_iter().next() {
        Some(Effect::Load(Query::WebPush(ask), _)) => *ask,
        other => panic!("{other:?}"),
    }
}

fn refused(effects: &[Effect]) -> String {
    match effects {
        [Effect::Reply(reply)] => String::from_utf8(reply.to_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn request(endpoint: &str, key: &[u8], auth: &[u8]) -> String {
    let (key, auth) = (URL_SAFE_NO_PAD.encode(key), URL_SAFE_NO_PAD.encode(auth));
    format!("<register xmlns='{NS}' endpoint='{endpoint}' p256dh='{key}' auth='{auth}'/>")
}

fn whole(endpoint: &str) -> String {
    request(endpoint, &[4; KEY_BYTES], &[1; AUTH_BYTES])
}

#[test]
fn browser_is_registered_and_its_secret_is_told_and_not_kept() {
    let Ask::Register(registration, secret) = asked(decide(&given(), CLIENT, &whole(URL))) else {
        panic!("it was to be registered");
    };
    assert_eq!(registration.owner.as_str(), "romeo@example.org");
    assert_eq!(registration.endpoint, URL);
    assert_eq!(registration.secret, hash_of(secret.expose()));
    let stanza = crate::testkit::parse(
        "<iq from='a@example.org/x' id='s' type='set'><register xmlns='x'/></iq>",
    );
    let told = Answer::WebPush(Told::Registered("n".to_owned(), secret.clone()));
    let text = refused(&answered(&stanza, told, &given().facts()));
    assert!(
        text.contains("node='n'") && text.contains(secret.expose()),
        "{text}"
    );
}

#[test]
fn h07_what_is_no_push_service_is_refused_by_name() {
    for (payload, condition) in [
        (whole("https://169.254.169.254/latest/"), "not-allowed"),
        (whole("https://evil.example/x"), "not-allowed"),
        (whole("http://fcm.googleapis.com/x"), "bad-request"),
        (whole(""), "bad-request"),
        (request(URL, &[4; 64], &[1; 16]), "bad-request"),
        (request(URL, &[2; 65], &[1; 16]), "bad-request"),
        (request(URL, &[4; 65], &[1; 15]), "bad-request"),
        (format!("<register xmlns='{NS}'/>"), "bad-request"),
        (format!("<unregister xmlns='{NS}'/>"), "bad-request"),
    ] {
        let text = refused(&decide(&given(), CLIENT, &payload));
        assert!(
            text.contains(&format!("<{condition}")),
            "{condition} in {text}"
        );
    }
}

#[test]
fn app_server_is_for_accounts_of_its_domain() {
    for from in ["eve@elsewhere.example/x", "example.org", "irc.example.net"] {
        let text = refused(&decide(&given(), from, &whole(URL)));
        assert!(text.contains("<forbidden"), "{from}: {text}");
    }
}

#[test]
fn without_the_setting_there_is_no_such_host() {
    let mut given = given();
    assert!(given.host.service(HOST).is_some());
    given.host.web_push = None;
    assert!(given.host.service(HOST).is_none());
}

fn notification(settings: &str, about: &str) -> String {
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item>\
         <notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field>\
         <field var='message-count'><value>2</value></field>\
         <field var='last-message-body'><value>psst</value></field></x>{about}\
         </notification></item></publish>{settings}</pubsub>"
    )
}

const OPTIONS: &str = "<publish-options><x xmlns='jabber:x:data' type='submit'>\
    <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value>\
    </field><field var='secret'><value>s</value></field></x></publish-options>";
const ABOUT: &str = "<about xmlns='urn:klatsch:web-push:0' conversation='abc' kind='call'/>";

#[test]
fn server_tells_a_node_and_content_stays_here() {
    let told = decide(&given(), "romeo@example.org", &notification(OPTIONS, ABOUT));
    let Ask::Notify {
        node,
        secret,
        notice,
        ..
    } = asked(told)
    else {
        panic!("it was to be told");
    };
    assert_eq!((node.as_str(), secret), ("n", hash_of("s")));
    assert_eq!((notice.count, notice.about.kind), (2, Kind::Call));
    assert_eq!((notice.body, notice.sender), (None, None));
    let mut open = given();
    open.host.web_push = Some(Settings {
        has_content: true,
        ..Settings::default()
    });
    let told = decide(&open, "romeo@example.org", &notification(OPTIONS, ABOUT));
    let Ask::Notify { notice, .. } = asked(told) else {
        panic!("it was to be told");
    };
    assert_eq!(notice.body.as_deref(), Some("psst"));
}

#[test]
fn only_the_server_tells_and_only_what_it_can_say() {
    let text = refused(&decide(&given(), CLIENT, &notification(OPTIONS, ABOUT)));
    assert!(text.contains("<forbidden"), "{text}");
    let odd = "<about xmlns='urn:klatsch:web-push:0' conversation='a b' kind='call'/>";
    for (settings, about) in [("", ABOUT), (OPTIONS, ""), (OPTIONS, odd)] {
        let effects = decide(
            &given(),
            "romeo@example.org",
            &notification(settings, about),
        );
        let text = refused(&effects);
        assert!(text.contains("<bad-request"), "{text}");
    }
}

#[test]
fn answers_say_what_the_account_s_server_is_to_do() {
    let stanza = crate::testkit::parse(
        "<iq from='a@example.org' id='s' type='set'><pubsub xmlns='x'/></iq>",
    );
    let said = |told| refused(&answered(&stanza, Answer::WebPush(told), &given().facts()));
    assert!(said(Told::NoSuchNode).contains("<item-not-found"));
    assert!(said(Told::Busy).contains("<resource-constraint"));
    assert!(said(Told::Done).contains("type='result'"));
}

#[test]
fn conversation_is_told_apart_by_who_knows_both_addresses() {
    let jid = |text| BareJid::parse(text).unwrap();
    let one = conversation(&jid("romeo@example.org"), &jid("juliet@example.org"));
    // By Python: base64.urlsafe_b64encode(hashlib.sha256(b"…").digest()[:16]).
    assert_eq!(one, "IiaLeD4glA-DfYeOyozJUw");
    assert_ne!(
        one,
        conversation(&jid("juliet@example.org"), &jid("romeo@example.org"))
    );
}

#[test]
fn call_wakes_and_does_not_wait() {
    assert_eq!(Kind::Call.urgency(), "high");
    assert!(Kind::Call.lifetime() < Duration::from_secs(60));
    let notice = |kind| Notice {
        about: About {
            conversation: conversation(
                &BareJid::parse("a@example.org").unwrap(),
                &BareJid::parse("b@example.org").unwrap(),
            ),
            kind,
        },
        count: 1,
        sender: None,
        body: None,
    };
    // Who has given up takes the place of who calls, and of nothing else.
    assert_eq!(notice(Kind::Call).topic(), notice(Kind::CallEnded).topic());
    assert_ne!(notice(Kind::Call).topic(), notice(Kind::Message).topic());
    assert!(notice(Kind::Call).topic().len() <= 32);
}
