//! Logins by bearer token (RFC 7628), byte for byte.

use super::sasl2::{AGENT, BIND, NS, authenticate, success};
use crate::sasl::oauthbearer::{INVALID_TOKEN, bearer_message, error_answer};
use crate::sasl::{FailureCondition, Mechanism, Secret, encoding};
use crate::stream::testkit::*;
use crate::stream::{Action, Event, StreamSettings, TlsState, Transport};

fn with_bearer(settings: StreamSettings) -> Script {
    let mut mechanisms = settings.mechanisms.clone();
    mechanisms.push(Mechanism::OauthBearer);
    Script::new(StreamSettings {
        mechanisms,
        ..settings
    })
}

/// A stream over TLS with its features announced.
fn secure() -> Script {
    let mut script = with_bearer(StreamSettings {
        tls: TlsState::Active,
        ..settings()
    });
    script.event(Event::TlsStarted(bindings()));
    script.send(HEADER);
    script
}

fn bearer(authzid: &str, token: &str) -> Vec<u8> {
    bearer_message(authzid, &Secret::new(token))
}

/// How often a failure was noted, by its condition.
fn noted(script: &Script, condition: FailureCondition) -> usize {
    script.count(
        |action| matches!(action, Action::LoginFailed { reason, .. } if *reason == condition),
    )
}

#[test]
fn token_tells_whose_login_it_is() {
    for authzid in ["", "juliet@example.org"] {
        let mut script = secure();
        let done = script.send(&auth("OAUTHBEARER", &bearer(authzid, BEARER)));
        assert_eq!(done, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        let is_juliet = |action: &Action| matches!(action, Action::Authenticated { account, .. } if account.as_str() == "juliet@example.org");
        assert_eq!(script.count(is_juliet), 1, "{authzid}");
    }
}

#[test]
fn section_3_2_3_a_wrong_token_is_told_apart_from_the_failure_that_follows() {
    let mut script = secure();
    let told = script.send(&auth("OAUTHBEARER", &bearer("", "forged")));
    assert_eq!(told, sasl("challenge", INVALID_TOKEN));
    // Who goes away now has guessed all the same.
    assert_eq!(noted(&script, FailureCondition::NotAuthorized), 1);
    let ended = script.send(&sasl("response", &error_answer()));
    assert_eq!(ended, failure("not-authorized"));
    assert_eq!(noted(&script, FailureCondition::NotAuthorized), 1);
    // The stream goes on.
    let done = script.send(&auth("PLAIN", b"\0juliet\0balcony"));
    assert!(done.contains("<success"), "{done}");
}

#[test]
fn client_that_aborts_instead_has_failed_as_well() {
    let mut script = secure();
    script.send(&auth("OAUTHBEARER", &bearer("", "forged")));
    let ended = script.send("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(ended, failure("not-authorized"));
}

#[test]
fn section_4_3_an_empty_authorization_learns_what_a_wrong_token_learns() {
    let mut script = secure();
    let told = script.send(&auth("OAUTHBEARER", b"n,,\x01auth=\x01\x01"));
    assert_eq!(told, sasl("challenge", INVALID_TOKEN));
    assert_eq!(script.count(|it| matches!(it, Action::CheckBearer(_))), 0);
}

#[test]
fn a07_token_lets_nobody_act_for_another() {
    for (authzid, token, condition) in [
        ("romeo@example.org", BEARER, "invalid-authzid"),
        ("juliet", BEARER, "invalid-authzid"),
        ("juliet@example.org/balcony", BEARER, "invalid-authzid"),
        // An account of another domain of this server is nobody here (row R14).
        ("", BEARER_ELSEWHERE, "not-authorized"),
        ("juliet@other.example", BEARER_ELSEWHERE, "not-authorized"),
        ("", BEARER_DISABLED, "account-disabled"),
    ] {
        let mut script = secure();
        let told = script.send(&auth("OAUTHBEARER", &bearer(authzid, token)));
        assert_eq!(told, sasl("challenge", INVALID_TOKEN), "{authzid} {token}");
        let ended = script.send(&sasl("response", &error_answer()));
        assert_eq!(ended, failure(condition), "{authzid} {token}");
    }
}

#[test]
fn token_that_cannot_be_judged_is_no_wrong_token() {
    let mut script = secure();
    script.is_available = false;
    let told = script.send(&auth("OAUTHBEARER", &bearer("", BEARER)));
    assert_eq!(told, failure("temporary-auth-failure"));
}

#[test]
fn guesses_are_counted_and_end_the_stream() {
    let mut script = secure();
    for attempt in 1..=3 {
        assert!(!script.is_closed(), "{attempt}");
        script.send(&auth("OAUTHBEARER", &bearer("", "forged")));
        script.send(&sasl("response", &error_answer()));
    }
    assert!(script.is_closed());
}

#[test]
fn login_in_one_go_gives_a_token_of_its_own_and_adds_no_keys() {
    let mut script = secure();
    let upgrade = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>";
    let wants = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/>";
    let wishes = format!("{AGENT}{wants}{upgrade}{BIND}");
    let done = script.send(&authenticate("OAUTHBEARER", &bearer("", BEARER), &wishes));
    assert!(
        done.contains("<token xmlns='urn:xmpp:fast:0' token='fresh'"),
        "{done}"
    );
    assert!(done.contains("<bound xmlns='urn:xmpp:bind:0'/>"), "{done}");
    assert_eq!(
        script.count(|it| matches!(it, Action::FindLackingKeys { .. })),
        0
    );
    let mut script = secure();
    let done = script.send(&authenticate("OAUTHBEARER", &bearer("", BEARER), AGENT));
    assert!(
        done.starts_with(&success("juliet@example.org", "")),
        "{done}"
    );
}

#[test]
fn errors_of_a_login_in_one_go_are_in_its_words() {
    let mut script = secure();
    let told = script.send(&authenticate("OAUTHBEARER", &bearer("", "forged"), ""));
    let data = encoding::encode(INVALID_TOKEN);
    assert_eq!(told, format!("<challenge xmlns='{NS}'>{data}</challenge>"));
    let ended = script.send(&format!("<response xmlns='{NS}'>AQ==</response>"));
    let condition = "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    assert_eq!(
        ended,
        format!("<failure xmlns='{NS}'>{condition}</failure>")
    );
}

#[test]
fn browser_on_this_machine_logs_in_without_tls() {
    let local = StreamSettings {
        require_tls: false,
        tls: TlsState::Off,
        transport: Transport::WebSocket,
        ..settings()
    };
    let mut script = with_bearer(local);
    let features = script.send(OPEN);
    assert!(
        features.contains("<mechanism>OAUTHBEARER</mechanism>"),
        "{features}"
    );
    assert!(
        !features.contains("<mechanism>PLAIN</mechanism>"),
        "{features}"
    );
    let done = script.send(&auth("OAUTHBEARER", &bearer("", BEARER)));
    assert!(done.starts_with("<success"), "{done}");
}

#[test]
fn a05_token_is_not_taken_where_a_network_may_listen() {
    let mut script = with_bearer(settings());
    assert!(!script.send(HEADER).contains("OAUTHBEARER"));
    let told = script.send(&auth("OAUTHBEARER", &bearer("", BEARER)));
    assert_eq!(told, failure("encryption-required"));
    assert_eq!(script.count(|it| matches!(it, Action::CheckBearer(_))), 0);
}
