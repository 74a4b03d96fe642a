//! Rules of [`super`], with the examples of XEP-0363 §5 to §7.

use super::*;
use crate::pipeline;
use crate::testkit::{Given, bare, facts, stanza};

const REQUEST: &str = "<request xmlns='urn:xmpp:http:upload:0' filename='très cool.jpg' \
                       size='23456' content-type='image/jpeg'";

fn given() -> Given {
    let mut given = facts();
    given.account = bare("upload.example.org");
    given.host.upload = Some(Settings {
        url: "https://{domain}:5443/".to_owned(),
        ..Settings::default()
    });
    given
}

fn asks(given: &Given, from: &str, payload: &str) -> Vec<Effect> {
    let iq = format!("<iq from='{from}' id='s' to='upload.example.org' type='get'>{payload}</iq>");
    pipeline::decide_service(&stanza(&iq), Service::Upload, &given.account_facts())
}

fn romeo_asks(given: &Given, payload: &str) -> Vec<Effect> {
    asks(given, "romeo@example.org/garden", payload)
}

#[track_caller]
fn reservation(effects: &[Effect]) -> &Reservation {
    match effects {
        [Effect::Load(Query::Reserve(reservation), _)] => reservation,
        other => panic!("no slot: {other:?}"),
    }
}

#[track_caller]
fn replied(effects: &[Effect]) -> String {
    match effects {
        [Effect::Reply(stanza)] => String::from_utf8(stanza.to_bytes().to_vec()).unwrap(),
        other => panic!("no answer: {other:?}"),
    }
}

fn answered(given: &Given, effects: &[Effect], reserved: Reserved) -> String {
    let [Effect::Load(_, go_on)] = effects else {
        panic!("{effects:?}")
    };
    let iq = stanza(&format!(
        "<iq from='romeo@example.org/garden' id='s' to='upload.example.org' type='get'>{REQUEST}/></iq>"
    ));
    replied(&go_on(
        &iq,
        Answer::Reserved(reserved),
        &given.account_facts(),
    ))
}

#[test]
fn section_5_a_slot_has_two_addresses() {
    let given = given();
    let effects = romeo_asks(&given, &format!("{REQUEST}/>"));
    let slot = reservation(&effects).slot.clone();
    assert_eq!((slot.size, &*slot.name), (23_456, "très cool.jpg"));
    assert_eq!(slot.account.as_str(), "romeo@example.org");
    let settings = given.host.upload.clone().unwrap();
    let text = answered(&given, &effects, Reserved::Granted(Box::new(slot.clone())));
    let url =
        "https://example.org:5443/upload/00000000000000000000000000000007/tr%C3%A8s%20cool.jpg";
    let wanted = format!(
        "<slot xmlns='urn:xmpp:http:upload:0'><put url='{url}?slot={}'/><get url='{url}'/></slot>",
        slot.sign(&settings.key)
    );
    assert!(text.contains(&wanted), "{text}");
}

#[test]
fn section_6_purposes_are_kept_for_different_times() {
    let given = given();
    let settings = given.host.upload.clone().unwrap();
    let purpose = |inner: &str| {
        let inner = inner.replace("%", "xmlns='urn:xmpp:http:upload:purpose:0'");
        let effects = romeo_asks(&given, &format!("{REQUEST}>{inner}</request>"));
        let reservation = reservation(&effects).clone();
        (
            reservation.slot.purpose,
            reservation.slot.keep_until,
            reservation.bytes_max,
        )
    };
    let (month, quota) = (
        given.now.plus(settings.retention),
        settings.quota_bytes_per_account,
    );
    assert_eq!(purpose(""), (Purpose::Message, month, quota));
    assert_eq!(purpose("<message %/>"), (Purpose::Message, month, quota));
    let profile = given.now.plus(settings.profile_retention);
    let wanted = (Purpose::Profile, profile, settings.profile_quota_bytes);
    assert_eq!(purpose("<profile %/>"), wanted);
    let soon = Timestamp::parse_xep0082("1970-01-02T00:00:00Z").unwrap();
    let ephemeral = "<ephemeral % expire-before='1970-01-02T00:00:00Z'/>";
    assert_eq!(purpose(ephemeral), (Purpose::Ephemeral, soon, quota));
    let far = "<ephemeral % expire-before='2970-01-02T00:00:00Z'/>";
    assert_eq!(purpose(far), (Purpose::Ephemeral, month, quota));
}

#[test]
fn section_6_what_is_not_kept_that_long_is_refused() {
    let given = given();
    for (purpose, condition) in [
        ("<permanent %/>", "feature-not-implemented"),
        ("<ephemeral %/>", "bad-request"),
        (
            "<ephemeral % expire-before='1970-01-01T00:00:00Z'/>",
            "bad-request",
        ),
        ("<message %/><profile %/>", "bad-request"),
    ] {
        let purpose = purpose.replace('%', "xmlns='urn:xmpp:http:upload:purpose:0'");
        let text = replied(&romeo_asks(
            &given,
            &format!("{REQUEST}>{purpose}</request>"),
        ));
        assert!(text.contains(condition), "{purpose}: {text}");
    }
}

#[test]
fn section_7_a_file_that_is_too_large_is_refused_with_the_size_that_would_do() {
    let mut given = given();
    given.host.upload.as_mut().unwrap().size_bytes_max = 20_000;
    let text = replied(&romeo_asks(&given, &format!("{REQUEST}/>")));
    let wanted = "<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                  <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>File too large. The maximum file \
                  size is 20000 bytes</text><file-too-large xmlns='urn:xmpp:http:upload:0'>\
                  <max-file-size>20000</max-file-size></file-too-large></error>";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn section_7_a_full_quota_is_refused_with_the_time_to_try_again() {
    let given = given();
    let effects = romeo_asks(&given, &format!("{REQUEST}/>"));
    let text = answered(
        &given,
        &effects,
        Reserved::Full(Timestamp(1_512_344_524_000_001)),
    );
    let wanted = "<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                  <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Quota reached</text>\
                  <retry xmlns='urn:xmpp:http:upload:0' stamp='2017-12-03T23:42:05Z'/></error>";
    assert!(text.contains("<error type='wait'>"), "{text}");
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn r14_accounts_of_another_domain_get_no_slot() {
    let mut given = given();
    given.host.domains.push(bare("example.net"));
    for stranger in [
        "romeo@example.net/garden",
        "example.org",
        "x@conference.example.org/n",
    ] {
        let text = replied(&asks(&given, stranger, &format!("{REQUEST}/>")));
        assert!(
            text.contains("<error type='auth'><forbidden"),
            "{stranger}: {text}"
        );
    }
}

#[test]
fn requests_that_make_no_sense_are_bad() {
    let given = given();
    for attributes in [
        "size='5'",
        "filename='' size='5'",
        "filename='a'",
        "filename='a' size='0'",
        "filename='a' size='-1'",
        "filename='a' size='1e3'",
        "filename='a' size='18446744073709551616'",
        "filename='a' size='5' content-type='jpeg'",
        "filename='a' size='5' content-type='a/b&#10;c: d'",
        "filename='a' size='5' content-type='é/b'",
    ] {
        let text = replied(&romeo_asks(
            &given,
            &format!("<request xmlns='{NS}' {attributes}/>"),
        ));
        assert!(text.contains("bad-request"), "{attributes}: {text}");
    }
}

#[test]
fn h01_names_of_files_are_tidied_before_anybody_sees_them() {
    let given = given();
    let request = format!("<request xmlns='{NS}' filename='../../x' size='1'/>");
    assert_eq!(&*reservation(&romeo_asks(&given, &request)).slot.name, "x");
}

#[test]
fn section_4_the_service_says_what_a_file_may_weigh() {
    let given = given();
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let text = replied(&romeo_asks(&given, query));
    for part in [
        "<identity category='store' type='file' name='HTTP File Upload'/>",
        "<feature var='urn:xmpp:http:upload:0'/>",
        "<feature var='urn:xmpp:http:upload:purpose:0#profile'/>",
        "<field var='max-file-size'><value>104857600</value></field>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("permanent"));
}

#[test]
fn a_server_without_uploads_has_no_such_host() {
    let given = facts();
    assert_eq!(given.host.service("upload.example.org"), None);
    let items = given.sends(
        "<iq type='get' id='1' to='example.org'>\
         <query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    );
    assert!(!replied(&items).contains("upload."));
}
