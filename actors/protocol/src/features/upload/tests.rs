//! Slots: the examples of XEP-0363, and what must not be had.

use super::*;
use crate::jid::BareJid;
use crate::pipeline;
use crate::testkit::{Given, facts};

const HOST: &str = "upload.example.org";

fn given() -> Given {
    let mut given = facts();
    given.account = BareJid::parse(HOST).unwrap();
    given.host.upload = Settings {
        url: Some("https://{domain}:5443/upload/".to_owned()),
        file_bytes_max: 30_000,
        ..Settings::default()
    };
    given
}

fn decide_from(given: &Given, from: &str, request: &str) -> Vec<Effect> {
    let stanza = format!("<iq from='{from}' to='{HOST}' id='s' type='get'>{request}</iq>");
    let stanza = crate::testkit::parse(&stanza);
    pipeline::decide_service(&stanza, Service::Upload, &given.facts())
}

fn decide(request: &str) -> Vec<Effect> {
    decide_from(&given(), "romeo@example.org/balcony", request)
}

fn asked(request: &str) -> SlotRequest {
    match decide(request).pop() {
        Some(Effect::Load(Query::Slot(request), _)) => *request,
        other => panic!("{other:?}"),
    }
}

fn said(effects: &[Effect]) -> String {
    match effects {
        [Effect::Reply(reply)] => String::from_utf8(reply.to_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn answered(answer: Answer) -> String {
    let request = "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'/>";
    let stanza = crate::testkit::parse(&format!(
        "<iq from='romeo@example.org/balcony' to='{HOST}' id='s' type='get'>{request}</iq>"
    ));
    said(&answer_slot(&stanza, answer, &given().facts()))
}

#[test]
fn section_4_slot_is_asked_for_with_the_name_of_the_file() {
    let request = asked(
        "<request xmlns='urn:xmpp:http:upload:0' filename='très cool.jpg' size='23456' \
         content-type='image/jpeg'/>",
    );
    assert_eq!(request.slot.name, "très cool.jpg");
    assert_eq!(request.slot.size, 23_456);
    assert_eq!(request.content_type.as_deref(), Some("image/jpeg"));
    assert_eq!(request.owner.as_str(), "romeo@example.org");
    assert!(request.expires.is_some());
}

#[test]
fn section_4_the_answer_has_both_places() {
    let slot = Slot::new([0; 16], "très cool.jpg".to_owned(), 7, Timestamp(9_000_000));
    let text = answered(Answer::Slot(Box::new(slot)));
    let get = "https://example.org:5443/upload/AAAAAAAAAAAAAAAAAAAAAA/tr%C3%A8s%20cool.jpg";
    assert!(text.contains(&format!("<get url='{get}'/>")), "{text}");
    let put = format!("<put url='{get}?size=7&amp;until=9&amp;mac=");
    assert!(text.contains(&put), "{text}");
}

#[test]
fn section_5_the_purpose_says_how_long_a_file_stays() {
    let purpose = |purpose: &str| {
        asked(&format!(
            "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'>\
             <{purpose} xmlns='urn:xmpp:http:upload:purpose:0'/></request>"
        ))
        .expires
    };
    let year = Timestamp(1_000_000).plus(Settings::default().retention);
    assert_eq!(purpose("message"), Some(year));
    assert_eq!(purpose("profile"), None);
    assert_eq!(purpose("permanent"), None);
    let soon = Timestamp::parse_xep0082("1970-01-02T00:00:00Z");
    assert_eq!(
        purpose("ephemeral expire-before='1970-01-02T00:00:00Z'"),
        soon
    );
    let late = purpose("ephemeral expire-before='2970-01-02T00:00:00Z'");
    assert_eq!(late, Some(year));
}

#[test]
fn section_6_too_large_a_file_is_refused_with_the_largest_size() {
    let refused = decide("<request xmlns='urn:xmpp:http:upload:0' filename='f' size='30001'/>");
    let text = said(&refused);
    assert!(text.contains("<not-acceptable"), "{text}");
    let max = "<file-too-large xmlns='urn:xmpp:http:upload:0'><max-file-size>30000</max-file-size>";
    assert!(text.contains(max), "{text}");
}

#[test]
fn section_6_over_the_quota_it_is_said_when_to_try_again() {
    let text = answered(Answer::OverQuota(Some(Timestamp(1_500_000))));
    assert!(
        text.contains("<error type='wait'><resource-constraint"),
        "{text}"
    );
    let retry = "<retry xmlns='urn:xmpp:http:upload:0' stamp='1970-01-01T00:00:02Z'/>";
    assert!(text.contains(retry), "{text}");
    assert!(!answered(Answer::OverQuota(None)).contains("<retry"));
}

#[test]
fn h03_what_is_no_request_is_refused() {
    for bad in [
        "<request xmlns='urn:xmpp:http:upload:0' size='1'/>",
        "<request xmlns='urn:xmpp:http:upload:0' filename='f'/>",
        "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='0'/>",
        "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='-1'/>",
        "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='many'/>",
        "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'>\
         <ephemeral xmlns='urn:xmpp:http:upload:purpose:0'/></request>",
        "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'>\
         <ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='1970-01-01T00:00:00Z'/>\
         </request>",
    ] {
        assert!(said(&decide(bad)).contains("<bad-request"), "{bad}");
    }
}

#[test]
fn r14_only_accounts_of_the_domain_get_slots() {
    let request = "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'/>";
    for from in [
        "romeo@example.net/x",
        "example.org",
        "conference.example.org",
    ] {
        let refused = said(&decide_from(&given(), from, request));
        assert!(refused.contains("<forbidden"), "{from}");
    }
}

#[test]
fn without_a_place_for_files_there_is_no_service() {
    let mut given = given();
    given.host.upload.url = None;
    for request in [
        "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    ] {
        let refused = said(&decide_from(&given, "romeo@example.org/x", request));
        assert!(refused.contains("<service-unavailable"), "{request}");
    }
}

#[test]
fn section_3_the_service_says_what_it_is_and_the_largest_size() {
    let text = said(&decide(
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    ));
    for part in [
        "<identity category='store' type='file' name='HTTP File Upload'/>",
        "<feature var='urn:xmpp:http:upload:0'/>",
        "<feature var='urn:xmpp:http:upload:purpose:0#profile'/>",
        "<field var='max-file-size'><value>30000</value></field>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
