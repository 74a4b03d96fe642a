//! Registration before the login, with and without an invitation (XEP-0077, XEP-0445).

use crate::stream::register::Registration;
use crate::stream::testkit::*;
use crate::stream::{Action, StreamSettings, TlsState};

const OPEN: Registration = Registration {
    is_open: true,
    is_by_invitation: false,
};
const INVITED: Registration = Registration {
    is_open: false,
    is_by_invitation: true,
};
const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";
const GET: &str = "<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>";

/// A stream under TLS whose features have been sent, and those.
fn opened(registration: Registration) -> (Script, String) {
    let mut script = Script::new(StreamSettings {
        registration,
        tls: TlsState::Active,
        ..settings()
    });
    let features = script.send(HEADER);
    (script, features)
}

fn set(name: &str, password: &str) -> String {
    format!(
        "<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>{name}</username>\
         <password>{password}</password></query></iq>"
    )
}

fn preauth(token: &str) -> String {
    format!("<iq type='set' id='p'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>")
}

fn made(script: &Script) -> usize {
    script.count(|action| matches!(action, Action::Register(_)))
}

#[test]
fn stranger_registers_once_where_registration_is_open() {
    let (mut script, features) = opened(OPEN);
    assert!(features.contains("<register xmlns='http://jabber.org/features/iq-register'/>"));
    assert!(!features.contains("ibr-token"));
    let form = script.send(GET);
    assert!(
        form.contains("type='result'") && form.contains("<password/>"),
        "{form}"
    );
    let done = script.send(&set("Romeo", "a long password"));
    assert!(done.contains("<iq type='result' id='s'/>"), "{done}");
    let Some(Action::Register(new)) = script.performed.last() else {
        panic!("nobody is asked")
    };
    assert_eq!(new.account.as_str(), "romeo@example.org");
    let again = script.send(&set("another", "a long password"));
    assert!(again.contains("<not-acceptable"), "{again}");
    assert_eq!(made(&script), 1);
}

#[test]
fn refusals_of_registration_have_names() {
    let (mut script, _) = opened(OPEN);
    for (sent, condition) in [
        (set("juliet", "a long password"), "conflict"),
        (set("romeo", "short"), "not-acceptable"),
        (set("a b", "a long password"), "not-acceptable"),
        (set("r\u{43e}meo", "a long password"), "not-acceptable"),
        (set("", "a long password"), "not-acceptable"),
        (
            "<iq type='set' id='s'><query xmlns='jabber:iq:register'><remove/></query></iq>"
                .to_owned(),
            "unexpected-request",
        ),
        (GET.replace("id='g'", ""), "bad-request"),
    ] {
        let answer = script.send(&sent);
        assert!(
            answer.contains(&format!("<{condition} ")),
            "{sent}: {answer}"
        );
    }
    assert!(!script.is_closed());
    assert_eq!(made(&script), 1, "only what is sound is tried");
}

#[test]
fn a16_nobody_registers_without_an_invitation_where_one_is_needed() {
    let (mut script, features) = opened(INVITED);
    assert!(
        features.contains("<register xmlns='urn:xmpp:ibr-token:0'/>"),
        "{features}"
    );
    for sent in [GET, &set("romeo", "a long password")] {
        let answer = script.send(sent);
        assert!(answer.contains("<forbidden "), "{answer}");
    }
    let answer = script.send(&preauth("guessed"));
    assert!(answer.contains("<item-not-found "), "{answer}");
    assert!(script.send(GET).contains("<forbidden "));
    let answer = script.send(&preauth(INVITATION));
    assert!(answer.contains("<iq type='result' id='p'/>"), "{answer}");
    assert!(script.send(GET).contains("<username/>"));
    assert!(
        script
            .send(&set("romeo", "a long password"))
            .contains("type='result'")
    );
    let Some(Action::Register(new)) = script.performed.last() else {
        panic!("nobody is asked")
    };
    assert_eq!(new.token.as_ref().unwrap().expose(), INVITATION);
}

#[test]
fn a11_where_nobody_may_register_no_name_is_told_to_be_taken() {
    let (mut script, features) = opened(Registration::default());
    assert!(!features.contains("register"), "{features}");
    let taken = script.send(&set("juliet", "a long password"));
    let free = script.send(&set("nobody", "a long password"));
    assert!(taken.contains("<service-unavailable "), "{taken}");
    assert_eq!(taken, free);
    assert_eq!(made(&script), 0);
}

#[test]
fn a16_guesses_of_tokens_end_the_stream() {
    let (mut script, _) = opened(INVITED);
    for n in 0..10 {
        assert!(!script.is_closed());
        script.send(&preauth(&format!("guess{n}")));
    }
    assert!(script.is_closed());
}

#[test]
fn registration_waits_for_tls_where_that_is_required() {
    let mut script = Script::new(StreamSettings {
        registration: OPEN,
        ..settings()
    });
    let features = script.send(HEADER);
    assert!(!features.contains("register"), "{features}");
    let answer = script.send(&set("romeo", "a long password"));
    assert!(answer.contains("<not-authorized "), "{answer}");
    assert!(script.is_closed());
    assert_eq!(made(&script), 0);
}

#[test]
fn registration_does_not_come_into_an_exchange() {
    let (mut script, _) = opened(OPEN);
    script.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'/>");
    let answer = script.send(&set("romeo", "a long password"));
    assert!(answer.contains("<policy-violation "), "{answer}");
    assert_eq!(made(&script), 0);
}
