//! Negotiations of today (XEP-0388, XEP-0386, XEP-0484, XEP-0198 §9), byte for byte.

use crate::sasl::scram::{ClientBinding, ScramClient};
use crate::sasl::{Hash, Secret, encoding};
use crate::stream::testkit::*;
use crate::stream::{Action, Event, StreamSettings, TlsState, Wishes};

pub(super) const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>AwesomeXMPP\
    </software><device>Kiva&apos;s Phone</device></user-agent>";
pub(super) const BIND: &str = "<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag></bind>";
pub(super) const NS: &str = "urn:xmpp:sasl:2";

/// A stream over TLS with its features announced, and what it announced.
pub(super) fn secure() -> (Script, String) {
    let mut script = Script::new(StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.event(Event::TlsStarted(bindings()));
    let features = script.send(HEADER);
    (script, features)
}

pub(super) fn authenticate(mechanism: &str, data: &[u8], wishes: &str) -> String {
    let data = encoding::encode(data);
    format!(
        "<authenticate xmlns='{NS}' mechanism='{mechanism}'><initial-response>{data}\
         </initial-response>{wishes}</authenticate>"
    )
}

/// A login by password, with these wishes.
pub(super) fn plain(wishes: &str) -> (Script, String) {
    let (mut script, _) = secure();
    let answer = script.send(&authenticate("PLAIN", b"\0juliet\0balcony", wishes));
    (script, answer)
}

pub(super) fn token(mechanism: &str, token: &str, channel: &[u8]) -> Vec<u8> {
    assert!(mechanism.starts_with("HT-SHA-256-"));
    let hashed = Hash::Sha256.hmac(token.as_bytes(), &[b"Initiator", channel].concat());
    [b"juliet\0", &*hashed].concat()
}

fn failed(condition: &str) -> String {
    let condition = format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    format!("<failure xmlns='{NS}'>{condition}</failure>")
}

pub(super) fn success(identifier: &str, results: &str) -> String {
    format!(
        "<success xmlns='{NS}'><authorization-identifier>{identifier}</authorization-identifier>\
         {results}</success>"
    )
}

#[test]
fn section_2_1_what_can_be_done_in_one_go_is_announced_under_tls_only() {
    let (_, features) = secure();
    let names = [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "PLAIN",
    ];
    let expected = authentication(&names, &["HT-SHA-256-EXPR", "HT-SHA-256-NONE"]);
    assert!(features.contains(&expected), "{features}");
    let mut script = Script::new(StreamSettings {
        require_tls: false,
        ..settings()
    });
    assert!(!script.send(HEADER).contains(NS));
    let refused = script.send(&authenticate("PLAIN", b"\0juliet\0balcony", ""));
    assert_eq!(refused, failed("invalid-mechanism"));
}

#[test]
fn section_5_1_a_password_and_no_more_saves_the_second_stream() {
    let (mut script, answer) = plain(AGENT);
    let (said, features) = answer.split_once("<stream:features>").unwrap();
    assert_eq!(said, success("juliet@example.org", ""));
    assert!(features.starts_with("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"));
    let bound =
        script.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(
        bound.contains("<jid>juliet@example.org/chosen</jid>"),
        "{bound}"
    );
}

#[test]
fn section_2_5_scram_bound_to_the_channel_goes_through_challenge_and_response() {
    let (mut script, _) = secure();
    let binding = ClientBinding::Bound(crate::sasl::BindingType::TlsExporter, vec![4; 32]);
    let password = Secret::new(PASSWORD);
    let mut client = ScramClient::new(Hash::Sha256, "juliet", password, binding, &[200; 16]);
    let asked = script.send(&authenticate("SCRAM-SHA-256-PLUS", &client.first(), BIND));
    let data = |text: &str, name: &str| {
        let begin = format!("<{name}>");
        let begin = text.split_once(&begin).map(|it| it.1);
        encoding::decode(begin.unwrap_or(text).split('<').next().unwrap()).unwrap()
    };
    let challenge = asked
        .strip_prefix("<challenge xmlns='urn:xmpp:sasl:2'>")
        .unwrap();
    let answer = client.answer(&data(challenge, ""), None).unwrap();
    let response = format!(
        "<response xmlns='{NS}'>{}</response>",
        encoding::encode(&answer)
    );
    let done = script.send(&response);
    assert_eq!(client.verify(&data(&done, "additional-data")), Ok(()));
    assert!(
        done.contains("<bound xmlns='urn:xmpp:bind:0'/></success>"),
        "{done}"
    );
}

#[test]
fn a_login_without_a_first_message_is_asked_for_it() {
    let (mut script, _) = secure();
    let asked = script.send(&format!("<authenticate xmlns='{NS}' mechanism='PLAIN'/>"));
    assert_eq!(asked, format!("<challenge xmlns='{NS}'/>"));
    let data = encoding::encode(b"\0juliet\0balcony");
    let done = script.send(&format!("<response xmlns='{NS}'>{data}</response>"));
    assert!(
        done.starts_with(&success("juliet@example.org", "")),
        "{done}"
    );
}

#[test]
fn section_2_6_2_a_failure_names_its_condition_and_does_nothing_that_was_wished() {
    for (login, condition) in [
        (
            authenticate("PLAIN", b"\0juliet\0wrong", BIND),
            "not-authorized",
        ),
        (authenticate("CRAM-MD5", b"", BIND), "invalid-mechanism"),
    ] {
        let (mut script, _) = secure();
        assert_eq!(script.send(&login), failed(condition));
        assert_eq!(script.count(|it| matches!(it, Action::Bind { .. })), 0);
        // The stream is as it was: RFC 6120's way is open as well.
        let told = script.send(&auth("PLAIN", b"\0juliet\0wrong"));
        assert!(told.contains("urn:ietf:params:xml:ns:xmpp-sasl"), "{told}");
        assert!(!told.contains(NS));
    }
}

#[test]
fn section_4_4_whoever_is_named_in_the_header_is_who_logs_in_for_another() {
    let mut script = Script::new(StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.send(&HEADER.replace("to=", "from='romeo@example.org' to="));
    let login = authenticate("PLAIN", b"juliet@example.org\0juliet\0balcony", "");
    assert_eq!(script.send(&login), failed("invalid-authzid"));
}

#[test]
fn section_2_4_anything_else_during_the_exchange_ends_the_stream() {
    for intruder in [
        "<presence/>".to_owned(),
        authenticate("PLAIN", b"\0juliet\0balcony", ""),
        sasl("response", b"x"),
    ] {
        let (mut script, _) = secure();
        script.send(&format!("<authenticate xmlns='{NS}' mechanism='PLAIN'/>"));
        assert_eq!(script.send(&intruder), stream_error("policy-violation"));
        assert!(script.is_closed());
    }
    let (mut script, _) = secure();
    let alone = script.send(&format!("<response xmlns='{NS}'/>"));
    assert_eq!(alone, stream_error("policy-violation"));
    let (mut script, _) = plain("");
    let again = script.send(&authenticate("PLAIN", b"\0juliet\0balcony", ""));
    assert_eq!(again, stream_error("policy-violation"));
}

#[test]
fn section_4_5_a_client_may_give_up() {
    let (mut script, _) = secure();
    script.send(&format!("<authenticate xmlns='{NS}' mechanism='PLAIN'/>"));
    let given_up = script.send(&format!("<abort xmlns='{NS}'><text>tired</text></abort>"));
    assert_eq!(given_up, failed("aborted"));
}

#[test]
fn a05_before_tls_nothing_is_looked_at() {
    let mut script = Script::new(settings());
    script.send(HEADER);
    let refused = script.send(&authenticate("PLAIN", b"\0juliet\0balcony", ""));
    assert_eq!(refused, failed("encryption-required"));
}

#[test]
fn xep_0386_a_session_comes_with_the_login_and_is_as_wished() {
    let wishes = BIND.replace(
        "</bind>",
        "<enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='1'/>\
         <inactive xmlns='urn:xmpp:csi:0'/></bind>",
    );
    let (script, answer) = plain(&(AGENT.to_owned() + &wishes));
    let Some(Action::Bind {
        wishes: Some(asked),
        ..
    }) = script.performed.iter().rev().nth(1)
    else {
        panic!("no session was asked for: {:?}", script.performed);
    };
    let expected = Wishes {
        carbons: true,
        inactive: true,
        sm: Some(true),
    };
    assert_eq!(*asked, expected);
    let Some(Action::Bound(jid)) = script.performed.last() else {
        panic!("no session");
    };
    assert!(jid.resource().starts_with("AwesomeXMPP/"), "{jid}");
    let told = success(jid.as_str(), "<bound xmlns='urn:xmpp:bind:0'/>");
    assert!(answer.starts_with(&told), "{answer}");
    let features = answer.split_once("<stream:features>").unwrap().1;
    assert!(
        !features.contains("xmpp-bind"),
        "nothing is to be bound any more: {features}"
    );
}

#[test]
fn xep_0198_section_9_2_a_session_comes_back_with_the_login_or_another_is_bound() {
    let resume = |previd: &str, h: &str| {
        format!("<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='{h}'/>") + BIND
    };
    let (script, answer) = plain(&resume("alive", "3"));
    let resumed = "<resumed xmlns='urn:xmpp:sm:3' previd='alive' h='5'/>";
    assert!(
        answer.starts_with(&success("juliet@example.org/before", resumed)),
        "{answer}"
    );
    assert_eq!(script.performed.last(), Some(&Action::Resumed));
    assert_eq!(script.count(|it| matches!(it, Action::Bind { .. })), 0);

    for (previd, h, why) in [
        (
            "expired",
            "3",
            "<failed xmlns='urn:xmpp:sm:3' h='7'><item-not-found",
        ),
        (
            "short",
            "3",
            "<failed xmlns='urn:xmpp:sm:3'><unexpected-request",
        ),
        ("alive", "x", "<failed xmlns='urn:xmpp:sm:3'><bad-request"),
    ] {
        let (script, answer) = plain(&resume(previd, h));
        assert!(answer.contains(why), "{answer}");
        assert!(
            answer.contains("<bound xmlns='urn:xmpp:bind:0'/></success>"),
            "{answer}"
        );
        assert!(matches!(script.performed.last(), Some(Action::Bound(_))));
    }
}

#[test]
fn a_login_whose_session_cannot_be_made_fails_and_may_be_tried_again() {
    let (mut script, _) = secure();
    let login = authenticate("PLAIN", b"\0juliet\0balcony", BIND);
    script.is_full = true;
    let refused = script.send(&login);
    assert!(refused.contains("<temporary-auth-failure"), "{refused}");
    script.is_full = false;
    assert!(script.send(&login).contains("<bound"));
}

#[test]
fn xep_0484_a_token_is_given_to_a_client_with_a_name_and_logs_it_in() {
    let wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
    let given = "<token xmlns='urn:xmpp:fast:0' token='fresh' expiry='2020-09-13T12:26:40Z'/>";
    let (_, answer) = plain(&(AGENT.to_owned() + wish));
    assert!(answer.contains(given), "{answer}");
    let (_, answer) = plain(wish);
    assert!(!answer.contains("token"), "{answer}");
    let unknown = wish.replace("NONE", "UNIQ");
    assert!(!plain(&(AGENT.to_owned() + &unknown)).1.contains("token"));

    let fast = AGENT.to_owned() + "<fast xmlns='urn:xmpp:fast:0' count='12'/>";
    for (name, channel) in [("HT-SHA-256-NONE", &[][..]), ("HT-SHA-256-EXPR", &[4; 32])] {
        let (mut script, _) = secure();
        let login = authenticate(name, &token(name, TOKEN, channel), &(fast.clone() + BIND));
        let answer = script.send(&login);
        let proof = Hash::Sha256.hmac(TOKEN.as_bytes(), &[b"Responder", channel].concat());
        let proof = format!(
            "<additional-data>{}</additional-data>",
            encoding::encode(&proof)
        );
        assert!(answer.contains(&proof), "{answer}");
        assert!(answer.contains("<bound"), "{answer}");
        assert!(!answer.contains("<token"), "{answer}");
    }
}

#[test]
fn a13_a_token_that_is_wrong_old_or_of_another_channel_fails_by_name() {
    let none = "HT-SHA-256-NONE";
    let exporter = "HT-SHA-256-EXPR";
    let used = |count: u32| format!("{AGENT}<fast xmlns='urn:xmpp:fast:0' count='{count}'/>");
    for (name, data, wishes, condition) in [
        (none, token(none, "guess", &[]), used(3), "not-authorized"),
        (exporter, token(none, TOKEN, &[]), used(3), "not-authorized"),
        (
            none,
            token(none, TOKEN, &[]),
            used(1),
            "credentials-expired",
        ),
        // Neither a password's mechanism nor without what it is bound to.
        (
            none,
            token(none, TOKEN, &[]),
            AGENT.to_owned(),
            "invalid-mechanism",
        ),
        (
            none,
            token(none, TOKEN, &[]),
            used(3).replace("d456", "zzzz"),
            "invalid-mechanism",
        ),
        (
            "HT-SHA-256-ENDP",
            token(none, TOKEN, &[]),
            used(3),
            "invalid-mechanism",
        ),
    ] {
        let (mut script, _) = secure();
        let answer = script.send(&authenticate(name, &data, &wishes));
        assert!(
            answer.starts_with(&failed(condition)),
            "{name} {condition}: {answer}"
        );
        assert_eq!(script.stream.account(), None);
    }
}

#[test]
fn xep_0484_section_3_5_an_old_token_is_renewed_unless_it_is_to_be_the_last() {
    let name = "HT-SHA-256-NONE";
    for (last, is_renewed) in [("", true), (" invalidate='true'", false)] {
        let (mut script, _) = secure();
        let wishes = format!("{AGENT}<fast xmlns='urn:xmpp:fast:0' count='99'{last}/>");
        let answer = script.send(&authenticate(name, &token(name, TOKEN, &[]), &wishes));
        assert_eq!(answer.contains("token='fresh'"), is_renewed, "{answer}");
    }
}

#[test]
fn a07_authzid_of_another_account_is_refused_in_sasl2_too() {
    for (authzid, checked) in [
        ("romeo", 0),
        ("romeo@example.org", 1),
        ("juliet@other.example", 1),
        ("\u{ff52}omeo@example.org", 1),
        ("juliet@example.org/x", 0),
        ("example.org", 0),
    ] {
        let (mut script, _) = secure();
        let data = format!("{authzid}\0juliet\0balcony");
        let answer = script.send(&authenticate("PLAIN", data.as_bytes(), BIND));
        assert_eq!(answer, failed("invalid-authzid"), "{authzid}");
        let asked = script.count(|action| matches!(action, Action::CheckPassword { .. }));
        let bound = script.count(|action| matches!(action, Action::Bind { .. }));
        assert_eq!((asked, bound), (checked, 0), "{authzid}");
    }
    let (mut script, _) = secure();
    let first = b"n,a=romeo@example.org,n=juliet,r=abc";
    let answer = script.send(&authenticate("SCRAM-SHA-256", first, BIND));
    assert_eq!(answer, failed("invalid-authzid"));
    // Every form of the own address is the own address.
    for authzid in [
        "juliet@example.org",
        "Juliet@Example.org",
        "\u{ff4a}uliet@example.org",
    ] {
        let (mut script, _) = secure();
        let data = format!("{authzid}\0juliet\0balcony");
        let answer = script.send(&authenticate("PLAIN", data.as_bytes(), ""));
        assert!(
            answer.contains(&success("juliet@example.org", "")),
            "{answer}"
        );
    }
}

#[test]
fn a08_a_login_by_sasl2_does_not_move_to_another_domain() {
    for to in ["other.example", "unknown.example", ""] {
        for wishes in ["", BIND] {
            let (mut script, _) = secure();
            let data = authenticate("PLAIN", b"\0juliet\0balcony", wishes);
            assert!(script.send(&data).contains("<success"));
            let bound = script.count(|action| matches!(action, Action::Bind { .. }));
            let answer = script.send(&HEADER.replace("to='example.org'", &format!("to='{to}'")));
            // No stream follows such a login: another header is no XML of this one.
            assert!(!answer.contains("<stream:features"), "{to}: {answer}");
            assert!(answer.is_empty() || script.is_closed(), "{to}: {answer}");
            assert_eq!(
                script.stream.account().unwrap().as_str(),
                "juliet@example.org"
            );
            let after = script.count(|action| matches!(action, Action::Bind { .. }));
            assert_eq!(bound, after);
        }
    }
}
