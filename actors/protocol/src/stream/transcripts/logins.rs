//! Negotiations that reach a session.

use crate::sasl::scram::{ClientBinding, ScramClient};
use crate::sasl::{BindingType, Hash, Mechanism, Secret, downgrade};
use crate::stream::testkit::*;
use crate::stream::{Action, Event, TlsState, Transport};

const LIMITS_BEFORE: &str =
    "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>8192</max-bytes></limits>";

/// The server's header with its n-th random bytes, in the client's language.
fn header(number: u8) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' id='{}' from='example.org' version='1.0' \
         xml:lang='de'>",
        format!("{number:02x}").repeat(16)
    )
}

fn mechanisms(names: &[&str]) -> String {
    let items: String = names
        .iter()
        .map(|name| format!("<mechanism>{name}</mechanism>"))
        .collect();
    format!("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{items}</mechanisms>")
}

fn features(content: &str) -> String {
    format!("<stream:features>{content}</stream:features>")
}

fn features_after_login() -> String {
    features(
        "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
         <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
         <sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/>\
         <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>\
         <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes></limits>",
    )
}

const BIND: &str = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>balcony</resource></bind></iq>";
const BIND_RESULT: &str = "<iq type='result' id='b1'>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>juliet@example.org/balcony</jid></bind></iq>";

/// Logs in by SCRAM; checks the signed lists and the server's signature.
fn login_scram(
    script: &mut Script,
    mechanism: Mechanism,
    binding: ClientBinding,
    offered: &[&str],
) {
    let hash = mechanism.hash().unwrap();
    let types: &[&str] = if offered.iter().any(|name| name.ends_with("-PLUS")) {
        &["tls-exporter"]
    } else {
        &[]
    };
    let mut client = ScramClient::new(hash, "juliet", Secret::new(PASSWORD), binding, &[200; 16]);
    let challenge = script.send(&auth(mechanism.name(), &client.first()));
    let challenge = data_of(&challenge, "challenge");
    let signed = downgrade::list_hash(hash, offered, types);
    assert!(
        str::from_utf8(&challenge)
            .unwrap()
            .ends_with(&format!(",h={signed}"))
    );
    let answer = client.answer(&challenge, Some(&signed)).unwrap();
    let success = script.send(&sasl("response", &answer));
    assert_eq!(client.verify(&data_of(&success, "success")), Ok(()));
    assert!(matches!(
        script.performed.last(),
        Some(Action::Authenticated { .. })
    ));
}

/// A stream that is logged in, with the features after login announced.
fn logged_in() -> Script {
    let mut script = Script::new(crate::stream::StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.send(HEADER);
    script.send(&auth("PLAIN", b"\0juliet\0balcony"));
    assert_eq!(script.send(HEADER), header(2) + &features_after_login());
    script
}

#[test]
fn starttls_then_scram_sha_1_then_bind() {
    let mut script = Script::new(settings());
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
    let expected = header(1) + &features(&(starttls.to_owned() + LIMITS_BEFORE));
    assert_eq!(script.send(HEADER), expected);

    let proceed = script.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(
        proceed,
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    );
    assert_eq!(script.performed, [Action::StartTls]);
    assert_eq!(script.event(Event::TlsStarted(bindings())), "");

    let offered = [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "PLAIN",
    ];
    let binding = "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>\
        <channel-binding type='tls-exporter'/></sasl-channel-binding>";
    let today = authentication(&offered, &["HT-SHA-256-EXPR", "HT-SHA-256-NONE"]);
    let expected = [binding, &mechanisms(&offered), &today, LIMITS_BEFORE].concat();
    assert_eq!(script.send(HEADER), header(2) + &features(&expected));
    login_scram(
        &mut script,
        Mechanism::Scram(Hash::Sha1),
        ClientBinding::Unsupported,
        &offered,
    );

    assert_eq!(script.send(HEADER), header(4) + &features_after_login());
    assert_eq!(script.send(BIND), BIND_RESULT);
    let last = script.performed.last();
    assert!(
        matches!(last, Some(Action::Bound(jid)) if jid.as_str() == "juliet@example.org/balcony")
    );
    assert!(script.stream.is_finished());
}

#[test]
fn direct_tls_then_scram_sha_256_plus_then_bind() {
    let mut script = Script::new(crate::stream::StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.event(Event::TlsStarted(bindings()));
    script.send(HEADER);
    let offered = [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "PLAIN",
    ];
    let binding = ClientBinding::Bound(BindingType::TlsExporter, vec![4; 32]);
    login_scram(
        &mut script,
        Mechanism::ScramPlus(Hash::Sha256),
        binding,
        &offered,
    );
    assert_eq!(script.send(HEADER), header(3) + &features_after_login());
    assert_eq!(script.send(BIND), BIND_RESULT);
}

#[test]
fn plain_with_and_without_an_initial_response() {
    let mut script = logged_in();
    assert_eq!(script.send(BIND), BIND_RESULT);

    let mut script = Script::new(crate::stream::StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.send(HEADER);
    let challenge =
        script.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
    assert_eq!(
        challenge,
        "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    );
    let success = script.send(&sasl("response", b"juliet@example.org\0juliet\0balcony"));
    assert_eq!(
        success,
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    );
}

#[test]
fn websocket_then_scram_then_bind() {
    let framing = "xmlns='urn:ietf:params:xml:ns:xmpp-framing'";
    let stream = "xmlns:stream='http://etherx.jabber.org/streams'";
    let mut script = Script::new(crate::stream::StreamSettings {
        tls: TlsState::Active,
        transport: Transport::WebSocket,
        ..settings()
    });
    let offered = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"];
    let id = "01".repeat(16);
    let expected = format!(
        "<open {framing} id='{id}' from='example.org' version='1.0' xml:lang='en'/>\n\
         <stream:features {stream}>{}{}{LIMITS_BEFORE}</stream:features>\n",
        mechanisms(&offered),
        authentication(&offered, &["HT-SHA-256-NONE"])
    );
    assert_eq!(script.send(OPEN), expected);
    login_scram(
        &mut script,
        Mechanism::Scram(Hash::Sha256),
        ClientBinding::NotOffered,
        &offered,
    );
    assert!(
        script
            .send(OPEN)
            .starts_with(&format!("<open {framing} id="))
    );
    let framed = BIND.replace("<iq ", "<iq xmlns='jabber:client' ");
    assert_eq!(
        script.send(&framed),
        BIND_RESULT.replace("<iq ", "<iq xmlns='jabber:client' ") + "\n"
    );
    assert!(matches!(script.performed.last(), Some(Action::Bound(_))));
}

#[test]
fn websocket_close_is_answered_with_close() {
    let mut script = Script::new(crate::stream::StreamSettings {
        tls: TlsState::Active,
        transport: Transport::WebSocket,
        ..settings()
    });
    script.send(OPEN);
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    assert_eq!(script.send(close), format!("{close}\n"));
    assert!(script.is_closed());
}

#[test]
fn a_footer_is_answered_with_a_footer() {
    let mut script = Script::new(settings());
    script.send(HEADER);
    assert_eq!(script.send("</stream:stream>"), "</stream:stream>");
    assert!(script.is_closed());
}

#[test]
fn a_living_session_is_resumed() {
    let mut script = logged_in();
    let resumed = script.send("<resume xmlns='urn:xmpp:sm:3' previd='alive' h='3'/>");
    assert_eq!(
        resumed,
        "<resumed xmlns='urn:xmpp:sm:3' previd='alive' h='5'/>"
    );
    assert_eq!(script.performed.last(), Some(&Action::Resumed));
    let asked = |action: &Action| matches!(action, Action::Resume { previd, h: 3, .. } if previd == "alive");
    assert_eq!(script.count(asked), 1);
}

#[test]
fn a_failed_resumption_leaves_binding_open() {
    let mut script = logged_in();
    let gone = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
    let failed = script.send("<resume xmlns='urn:xmpp:sm:3' previd='expired' h='3'/>");
    assert_eq!(
        failed,
        format!("<failed xmlns='urn:xmpp:sm:3' h='7'>{gone}</failed>")
    );
    let failed = script.send("<resume xmlns='urn:xmpp:sm:3' previd='unknown' h='0'/>");
    assert_eq!(
        failed,
        format!("<failed xmlns='urn:xmpp:sm:3'>{gone}</failed>")
    );
    assert_eq!(script.send(BIND), BIND_RESULT);
}

#[test]
fn client_that_resumes_with_too_high_a_count_is_refused_and_ended() {
    let mut script = logged_in();
    let answer = script.send("<resume xmlns='urn:xmpp:sm:3' previd='short' h='30'/>");
    assert_eq!(
        answer,
        "<failed xmlns='urn:xmpp:sm:3'>\
         <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\
         <stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         </stream:error></stream:stream>"
    );
    assert_eq!(script.performed.last(), Some(&Action::Close));
}

#[test]
fn broken_resumptions_are_bad_requests() {
    for request in [
        "previd='alive'",
        "h='1'",
        "previd='' h='1'",
        "previd='alive' h='-1'",
        "previd='alive' h='4294967296'",
    ] {
        let mut script = logged_in();
        let failed = script.send(&format!("<resume xmlns='urn:xmpp:sm:3' {request}/>"));
        assert!(failed.contains("<bad-request "), "{request}: {failed}");
        assert_eq!(script.send(BIND), BIND_RESULT);
    }
}

#[test]
fn a_client_may_leave_its_resource_to_the_server() {
    for resource in ["", "<resource/>"] {
        let mut script = logged_in();
        let answer = script.send(&format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
        ));
        assert!(
            answer.contains("<jid>juliet@example.org/chosen</jid>"),
            "{answer}"
        );
    }
}

#[test]
fn a_refused_resource_is_an_error_and_another_may_follow() {
    let mut script = logged_in();
    for (resource, condition) in [
        ("taken", "conflict"),
        ("bad\u{e000}", "bad-request"),
        ("&#9;", "bad-request"),
    ] {
        let answer =
            script.send(&BIND.replace("<resource>balcony", &format!("<resource>{resource}")));
        assert!(
            answer.starts_with("<iq type='error' id='b1'><error "),
            "{answer}"
        );
        assert!(answer.contains(condition), "{answer}");
    }
    assert_eq!(script.send(BIND), BIND_RESULT);
}

#[test]
fn enabling_stream_management_before_binding_is_unexpected() {
    let mut script = logged_in();
    assert_eq!(
        script.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"),
        "<failed xmlns='urn:xmpp:sm:3'>\
         <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    );
    assert_eq!(script.send(BIND), BIND_RESULT);
}

#[test]
fn a_bound_stream_leaves_everything_to_the_session() {
    let mut script = logged_in();
    script.send(BIND);
    assert_eq!(script.send("<presence/>"), "");
    assert!(!script.is_closed());
    assert_eq!(
        script.event(Event::ShuttingDown),
        stream_error("system-shutdown")
    );
    assert!(script.is_closed());
}
