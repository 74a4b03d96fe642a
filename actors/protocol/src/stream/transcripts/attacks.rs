//! Negotiations that must not reach a session: rows of the attack corpus by their number,
//! and the order of RFC 6120.

use crate::jid::BareJid;
use crate::sasl::scram::{ClientBinding, ScramClient};
use crate::sasl::{FailureCondition, Hash, Secret};
use crate::stream::testkit::*;
use crate::stream::{Action, Event, StreamSettings, TlsState, Transport};

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const TLS_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";

/// A stream whose features are announced, with TLS.
fn secure() -> Script {
    let mut script = Script::new(StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.event(Event::TlsStarted(bindings()));
    script.send(HEADER);
    script
}

/// The same without TLS, which is required.
fn plaintext() -> Script {
    let mut script = Script::new(settings());
    script.send(HEADER);
    script
}

fn logged_in() -> Script {
    let mut script = secure();
    script.send(&auth("PLAIN", b"\0juliet\0balcony"));
    script.send(HEADER);
    script
}

fn websocket() -> Script {
    Script::new(StreamSettings {
        tls: TlsState::Active,
        transport: Transport::WebSocket,
        ..settings()
    })
}

/// A whole SCRAM exchange; the last answer.
fn scram(script: &mut Script, name: &str, password: &str) -> String {
    let binding = ClientBinding::Unsupported;
    let mut client = ScramClient::new(
        Hash::Sha256,
        name,
        Secret::new(password),
        binding,
        &[200; 16],
    );
    let challenge = script.send(&auth("SCRAM-SHA-256", &client.first()));
    let answer = client
        .answer(&data_of(&challenge, "challenge"), None)
        .unwrap();
    script.send(&sasl("response", &answer))
}

#[test]
fn x15_compression_is_not_offered_and_refused() {
    for mut script in [plaintext(), secure(), logged_in()] {
        let answer = script.send(
            "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
        );
        assert_eq!(
            answer,
            "<failure xmlns='http://jabber.org/protocol/compress'><unsupported-method/></failure>"
        );
        assert!(!script.is_closed());
    }
}

#[test]
fn x16_a_login_before_tls_is_refused() {
    let mut script = plaintext();
    let answer = script.send(&auth("PLAIN", b"\0juliet\0balcony"));
    assert_eq!(answer, failure("encryption-required"));
    assert_eq!(
        script.send(&auth("SCRAM-SHA-1", b"n,,n=juliet,r=abc")),
        failure("encryption-required")
    );
    let asked = |action: &Action| {
        matches!(
            action,
            Action::CheckPassword { .. } | Action::LoadCredentials { .. }
        )
    };
    assert_eq!(script.count(asked), 0);
}

#[test]
fn x16_stanzas_before_binding_close_the_stream() {
    let stanzas = [
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<message to='romeo@example.org'><body>hi</body></message>",
        "<presence/>",
    ];
    for stanza in stanzas {
        for mut script in [plaintext(), secure(), logged_in()] {
            assert_eq!(
                script.send(stanza),
                stream_error("not-authorized"),
                "{stanza}"
            );
            assert!(script.is_closed());
        }
    }
}

#[test]
fn x16_binding_before_login_closes_the_stream() {
    let bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    for mut script in [plaintext(), secure()] {
        assert_eq!(script.send(bind), stream_error("not-authorized"));
    }
}

#[test]
fn x16_unknown_elements_close_the_stream() {
    for element in [
        "<foo xmlns='urn:example'/>",
        "<auth xmlns='urn:example'/>",
        "<foo/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
    ] {
        let mut script = secure();
        assert_eq!(
            script.send(element),
            stream_error("unsupported-stanza-type"),
            "{element}"
        );
    }
}

#[test]
fn x17_a_stream_is_not_opened_for_ever() {
    let mut script = websocket();
    for _ in 0..6 {
        assert!(script.send(OPEN).contains("<stream:features "));
    }
    let answer = script.send(OPEN);
    assert!(answer.contains("<policy-violation "), "{answer}");
    assert!(
        answer.ends_with("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\n"),
        "{answer}"
    );
    assert!(script.is_closed());
}

#[test]
fn x17_refusals_do_not_go_on_for_ever() {
    let mut script = secure();
    let compress = "<compress xmlns='http://jabber.org/protocol/compress'/>";
    for _ in 0..9 {
        assert!(!script.send(compress).contains("stream:error"));
    }
    assert!(
        script
            .send(compress)
            .ends_with(&stream_error("policy-violation"))
    );
}

#[test]
fn x19_a_long_address_is_not_echoed() {
    let mut script = Script::new(settings());
    let answer = script.send(&HEADER.replace("example.org", &"a".repeat(4000)));
    assert!(answer.ends_with(&stream_error("host-unknown")));
    assert!(answer.len() < 512, "{}", answer.len());
}

#[test]
fn a01_bytes_behind_starttls_are_never_used() {
    let mut script = plaintext();
    let injected = auth("PLAIN", b"\0juliet\0balcony");
    let answer = script.send(&format!("{STARTTLS}{injected}"));
    assert_eq!(answer, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(script.performed, [Action::StartTls, Action::Close]);
    assert_eq!(script.event(Event::TlsStarted(bindings())), "");
}

#[test]
fn a01_a_token_during_the_handshake_closes_without_a_word() {
    let mut script = plaintext();
    script.send(STARTTLS);
    assert_eq!(script.send(HEADER), "");
    assert!(script.is_closed());
}

#[test]
fn starttls_twice_or_not_offered_is_refused_and_closes() {
    let mut script = plaintext();
    script.send(STARTTLS);
    script.event(Event::TlsStarted(bindings()));
    script.send(HEADER);
    assert_eq!(script.send(STARTTLS), TLS_FAILURE);
    assert!(script.is_closed());

    let mut script = Script::new(StreamSettings {
        tls: TlsState::Off,
        ..settings()
    });
    assert!(!script.send(HEADER).contains("starttls"));
    assert_eq!(script.send(STARTTLS), TLS_FAILURE);
}

#[test]
fn a05_a_mechanism_that_was_not_offered_is_invalid() {
    let mut script = Script::new(StreamSettings {
        require_tls: false,
        ..settings()
    });
    assert!(!script.send(HEADER).contains("PLAIN"));
    for mechanism in ["PLAIN", "SCRAM-SHA-256-PLUS", "EXTERNAL"] {
        let answer = script.send(&auth(mechanism, b"\0juliet\0balcony"));
        assert!(
            answer.starts_with(&failure("invalid-mechanism")),
            "{mechanism}: {answer}"
        );
    }
}

#[test]
fn a06_a_client_that_saw_no_plus_mechanism_is_stopped_when_there_was_one() {
    let mut script = secure();
    let answer = script.send(&auth("SCRAM-SHA-256", b"y,,n=juliet,r=abc"));
    assert!(answer.contains("<not-authorized/>"), "{answer}");
    let answer = script.send(&auth("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=juliet,r=abc"));
    assert!(answer.contains("<not-authorized/>"), "{answer}");
    assert_eq!(
        script.count(|action| matches!(action, Action::LoadCredentials { .. })),
        0
    );
}

#[test]
fn a06_a_client_that_binds_in_a_way_not_offered_still_has_its_attempts() {
    let mut script = secure();
    let unbound = auth("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=juliet,r=abc");
    for _ in 0..3 {
        let answer = script.send(&unbound);
        assert!(answer.contains("<not-authorized/>"), "{answer}");
    }
    let is_failed = |action: &Action| matches!(action, Action::LoginFailed { .. });
    assert_eq!(script.count(is_failed), 0);
    assert!(scram(&mut script, "juliet", PASSWORD).starts_with("<success"));

    // But not for ever.
    let mut script = secure();
    let asked = (1..20).take_while(|_| {
        script.send(&unbound);
        !script.is_closed()
    });
    assert_eq!(asked.count(), 5);
}

#[test]
fn a07_plain_authzid_of_another_account_is_refused() {
    let others = [
        "romeo",
        "romeo@example.org",
        "juliet@other.example",
        "\u{ff52}omeo@example.org",
        "romeo@example.org/x",
        "juliet@example.org/x",
        "example.org",
    ];
    for authzid in others {
        let mut script = secure();
        let answer = script.send(&auth(
            "PLAIN",
            format!("{authzid}\0juliet\0balcony").as_bytes(),
        ));
        assert_eq!(answer, failure("invalid-authzid"), "{authzid}");
        // Whose a name is, the backend alone knows; what is nobody's address needs no asking.
        let is_address = BareJid::parse(authzid).is_ok_and(|jid| jid.localpart().is_some());
        assert_eq!(
            script.count(|action| matches!(action, Action::CheckPassword { .. })),
            usize::from(is_address),
            "{authzid}"
        );
        assert!(script.stream.account().is_none());
    }
    // Who does not know the password learns nothing of who is who.
    let answer = secure().send(&auth("PLAIN", b"romeo@example.org\0juliet\0window"));
    assert_eq!(answer, failure("not-authorized"));
}

#[test]
fn a07_other_names_of_an_account_are_its_own() {
    for authzid in ["", "juliet@example.org", "capulet@example.org"] {
        let mut script = secure();
        let login = format!("{authzid}\0{ALIAS}\0{PASSWORD}");
        let answer = script.send(&auth("PLAIN", login.as_bytes()));
        assert!(answer.starts_with("<success"), "{authzid}: {answer}");
        let account = script.stream.account().map(BareJid::as_str);
        assert_eq!(account, Some("juliet@example.org"));
    }
    let answer = secure().send(&auth("PLAIN", b"romeo@example.org\0capulet\0balcony"));
    assert_eq!(answer, failure("invalid-authzid"));
}

#[test]
fn a08_account_of_another_domain_stays_where_it_has_logged_in() {
    let mut script = Script::new(StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.event(Event::TlsStarted(bindings()));
    script.send(&HEADER.replace("to='example.org'", "to='other.example'"));
    script.send(&auth("PLAIN", b"\0capulet\0balcony"));
    let account = script.stream.account().map(BareJid::as_str);
    assert_eq!(account, Some("juliet@example.org"));
    let answer = script.send(HEADER);
    assert!(
        answer.ends_with(&stream_error("not-authorized")),
        "{answer}"
    );
}

#[test]
fn a07_scram_authzid_of_another_account_is_refused() {
    let mut script = secure();
    let answer = script.send(&auth(
        "SCRAM-SHA-256",
        b"n,a=romeo@example.org,n=juliet,r=abc",
    ));
    assert_eq!(answer, failure("invalid-authzid"));
}

#[test]
fn a08_a_login_does_not_move_to_another_domain() {
    for to in ["other.example", "unknown.example", ""] {
        let mut script = secure();
        script.send(&auth("PLAIN", b"\0juliet\0balcony"));
        let answer = script.send(&HEADER.replace("to='example.org'", &format!("to='{to}'")));
        assert!(
            answer.ends_with(&stream_error("not-authorized")),
            "{to}: {answer}"
        );
        assert!(script.is_closed());
    }
}

#[test]
fn a10_an_absent_account_has_the_same_salt_twice() {
    let challenge = |mechanism: &str| {
        let mut script = secure();
        let answer = script.send(&auth(mechanism, b"n,,n=nobody,r=abc"));
        String::from_utf8(data_of(&answer, "challenge")).unwrap()
    };
    let first = challenge("SCRAM-SHA-256");
    assert_eq!(first, challenge("SCRAM-SHA-256"));
    assert!(first.contains(",i=10000,"), "{first}");
    assert_ne!(first, challenge("SCRAM-SHA-1"));
}

#[test]
fn a11_absent_accounts_and_wrong_passwords_get_the_same_bytes() {
    let absent = scram(&mut secure(), "nobody", "balcony");
    let wrong = scram(&mut secure(), "juliet", "window");
    assert_eq!(absent, failure("not-authorized"));
    assert_eq!(absent, wrong);

    let absent = secure().send(&auth("PLAIN", b"\0nobody\0balcony"));
    let wrong = secure().send(&auth("PLAIN", b"\0juliet\0window"));
    let no_name = secure().send(&auth("PLAIN", b"\0ju liet\0window"));
    let elsewhere = secure().send(&auth("PLAIN", b"\0juliet@other.example\0balcony"));
    assert_eq!(absent, failure("not-authorized"));
    assert!(
        [wrong, no_name, elsewhere]
            .iter()
            .all(|answer| *answer == absent)
    );
}

#[test]
fn a11_a_disabled_account_shows_only_to_who_knows_the_password() {
    let mut script = secure();
    script.is_disabled = true;
    assert_eq!(
        scram(&mut script, "juliet", "window"),
        failure("not-authorized")
    );
    assert_eq!(
        scram(&mut script, "juliet", PASSWORD),
        failure("account-disabled")
    );
    let reasons: Vec<_> = script
        .performed
        .iter()
        .filter_map(|action| match action {
            Action::LoginFailed {
                account: Some(account),
                reason,
            } => Some((account.as_str(), *reason)),
            _ => None,
        })
        .collect();
    let juliet = "juliet@example.org";
    let expected = [
        (juliet, FailureCondition::NotAuthorized),
        (juliet, FailureCondition::AccountDisabled),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn the_third_failed_login_closes_the_stream() {
    let mut script = secure();
    let wrong = auth("PLAIN", b"\0juliet\0window");
    assert_eq!(script.send(&wrong), failure("not-authorized"));
    assert_eq!(script.send(&wrong), failure("not-authorized"));
    let last = script.send(&wrong);
    assert_eq!(
        last,
        failure("not-authorized") + &stream_error("policy-violation")
    );
    assert!(script.is_closed());
    assert_eq!(script.send(&auth("PLAIN", b"\0juliet\0balcony")), "");
}

#[test]
fn broken_sasl_messages_are_named() {
    let ns = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    let cases = [
        (
            format!("<auth {ns} mechanism='PLAIN'>?</auth>"),
            "incorrect-encoding",
        ),
        (
            format!("<auth {ns} mechanism='PLAIN'>=</auth>"),
            "malformed-request",
        ),
        (format!("<auth {ns}>=</auth>"), "invalid-mechanism"),
        (
            format!("<auth {ns} mechanism='plain'>=</auth>"),
            "invalid-mechanism",
        ),
        (format!("<response {ns}>=</response>"), "malformed-request"),
        (format!("<abort {ns}/>"), "aborted"),
    ];
    for (message, condition) in cases {
        let answer = secure().send(&message);
        assert!(
            answer.contains(&format!("<{condition}/>")),
            "{message}: {answer}"
        );
    }
}

#[test]
fn an_exchange_can_be_aborted_and_begun_again() {
    let mut script = secure();
    script.send(&auth("SCRAM-SHA-256", b"n,,n=juliet,r=abc"));
    let aborted = script.send("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(aborted, failure("aborted"));
    assert!(scram(&mut script, "juliet", PASSWORD).starts_with("<success "));
}

#[test]
fn a_second_auth_ends_the_exchange() {
    let mut script = secure();
    script.send(&auth("SCRAM-SHA-256", b"n,,n=juliet,r=abc"));
    let answer = script.send(&auth("PLAIN", b"\0juliet\0balcony"));
    assert!(answer.contains("<malformed-request/>"), "{answer}");
    assert!(scram(&mut script, "juliet", PASSWORD).starts_with("<success "));
}

#[test]
fn a_second_login_closes_the_stream() {
    let mut script = logged_in();
    assert_eq!(
        script.send(&auth("PLAIN", b"\0juliet\0balcony")),
        stream_error("policy-violation")
    );
}

#[test]
fn an_account_store_that_is_away_is_a_temporary_failure() {
    let mut script = secure();
    script.is_available = false;
    assert_eq!(
        script.send(&auth("PLAIN", b"\0juliet\0balcony")),
        failure("temporary-auth-failure")
    );
    let answer = script.send(&auth("SCRAM-SHA-256", b"n,,n=juliet,r=abc"));
    assert_eq!(answer, failure("temporary-auth-failure"));
}

#[test]
fn headers_that_cannot_be_served_get_a_header_and_an_error() {
    let cases = [
        ("to='example.org'", "", "host-unknown"),
        ("to='example.org'", "to='unknown.example'", "host-unknown"),
        (
            "to='example.org'",
            "to='juliet@example.org'",
            "host-unknown",
        ),
        (" version='1.0' xml", " xml", "unsupported-version"),
        (
            " version='1.0' xml",
            " version='2.0' xml",
            "unsupported-version",
        ),
        ("'jabber:client'", "'jabber:server'", "invalid-namespace"),
        ("streams'>", "stream'>", "invalid-namespace"),
    ];
    for (before, after, condition) in cases {
        let mut script = Script::new(settings());
        let answer = script.send(&HEADER.replace(before, after));
        assert!(
            answer.starts_with("<?xml version='1.0'?><stream:stream "),
            "{answer}"
        );
        assert!(answer.contains(" from='example.org' "), "{answer}");
        assert!(
            answer.ends_with(&stream_error(condition)),
            "{after}: {answer}"
        );
        assert!(script.is_closed());
    }
}

#[test]
fn bytes_that_are_no_xml_get_a_header_and_an_error() {
    let mut script = Script::new(settings());
    let answer = script.send("GET / HTTP/1.1\r\n\r\n");
    assert!(
        answer.starts_with("<?xml version='1.0'?><stream:stream "),
        "{answer}"
    );
    assert!(answer.contains("<stream:error>"), "{answer}");
    assert!(script.is_closed());
}

#[test]
fn silence_and_shutdown_have_their_errors() {
    assert_eq!(
        plaintext().event(Event::TimedOut),
        stream_error("connection-timeout")
    );
    assert_eq!(
        logged_in().event(Event::ShuttingDown),
        stream_error("system-shutdown")
    );
    let mut silent = Script::new(settings());
    let answer = silent.event(Event::TimedOut);
    assert!(
        answer.starts_with("<?xml version='1.0'?><stream:stream "),
        "{answer}"
    );
    assert!(answer.ends_with(&stream_error("connection-timeout")));
    // In the middle of a handshake nothing readable can be said.
    let mut shaking = plaintext();
    shaking.send(STARTTLS);
    assert_eq!(shaking.event(Event::TimedOut), "");
    assert!(shaking.is_closed());
}

#[test]
fn answers_nobody_waits_for_are_ignored() {
    let mut script = secure();
    assert_eq!(
        script.event(Event::Credentials(Some(credentials(Hash::Sha1)))),
        ""
    );
    assert_eq!(
        script.event(Event::PasswordChecked(crate::stream::Verdict::Right(
            BareJid::parse("juliet@example.org").unwrap()
        ))),
        ""
    );
    let gone = Event::Resumed(Err(crate::stream::NotResumed::Gone(None)));
    assert_eq!(script.event(gone), "");
    assert_eq!(script.event(Event::TokenIssued(None)), "");
    assert!(script.stream.account().is_none());
    assert!(scram(&mut script, "juliet", PASSWORD).starts_with("<success "));
}

#[test]
fn websocket_headers_and_starttls_of_tcp_are_refused() {
    let cases = [
        (
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'/>",
            "invalid-namespace",
        ),
        (
            "<open xmlns='jabber:client' to='example.org' version='1.0'/>",
            "invalid-namespace",
        ),
        ("<presence xmlns='jabber:client'/>", "bad-format"),
    ];
    for (frame, condition) in cases {
        let mut script = websocket();
        let answer = script.send(frame);
        assert!(answer.starts_with("<open "), "{answer}");
        assert!(
            answer.contains(&format!("<{condition} ")),
            "{frame}: {answer}"
        );
        assert!(script.is_closed());
    }
    let mut script = websocket();
    script.send(OPEN);
    let answer = script.send(STARTTLS);
    assert!(
        answer.starts_with("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n<close "),
        "{answer}"
    );
}
