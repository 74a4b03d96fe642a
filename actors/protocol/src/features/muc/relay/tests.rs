//! Rules of [`super`], with the examples of XEP-0410 §3 and XEP-0045 §6.6 and §17.4.

use crate::features::muc::testkit::*;
use crate::testkit::parse;

fn ping(from: &str, nick: &str) -> String {
    format!(
        "<iq from='{from}' id='s2c1' type='get' to='{COVEN}/{nick}'><ping xmlns='urn:xmpp:ping'/></iq>"
    )
}

fn asks(from: &str, nick: &str, namespace: &str) -> String {
    format!(
        "<iq from='{from}' id='q1' type='get' to='{COVEN}/{nick}'><query xmlns='{namespace}'/></iq>"
    )
}

fn with_hag() -> Given {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room
}

#[test]
fn a_self_ping_is_answered_by_the_room() {
    with_hag().gets(&ping(HAG, "thirdwitch")).is(&[&format!(
        "<iq from='{COVEN}/thirdwitch' id='s2c1' to='{HAG}' type='result'/>"
    )]);
}

#[test]
fn a_self_ping_from_outside_is_not_acceptable() {
    let refused = format!(
        "<iq from='{COVEN}/thirdwitch' id='s2c1' to='{HAG}' type='error'><ping xmlns='urn:xmpp:ping'/>\
         <error by='{COVEN}' type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    room().gets(&ping(HAG, "thirdwitch")).is(&[&refused]);
    // Where there is no room, nobody is inside either.
    to_no_room(&ping(HAG, "thirdwitch")).is(&[&refused]);
}

#[test]
fn section_6_6_disco_of_an_occupant_from_outside_is_a_bad_request() {
    let query = asks(
        HECATE,
        "firstwitch",
        "http://jabber.org/protocol/disco#info",
    );
    assert_eq!(room().gets(&query).refusal(), "bad-request");
}

#[test]
fn m06_a_request_and_its_answer_show_neither_address() {
    let mut room = with_hag();
    room.enters(HECATE, "hecate");
    let out = room.gets(&asks(HAG, "hecate", "jabber:iq:version"));
    let [asked] = &out.raw[..] else {
        panic!("{:?}", out.raw)
    };
    let stanza = parse(asked);
    assert_eq!(
        stanza.from().unwrap().as_str(),
        "coven@chat.shakespeare.lit/thirdwitch"
    );
    assert_eq!(stanza.to().unwrap().as_str(), HECATE);
    assert!(!asked.contains("hag66") && !asked.contains("q1"), "{asked}");
    let id = stanza.id().unwrap();
    let answer = format!(
        "<iq from='{HECATE}' id='{id}' type='result' to='{COVEN}/thirdwitch'><query xmlns='jabber:iq:version'/></iq>"
    );
    room.gets(&answer).is(&[&format!(
        "<iq from='{COVEN}/hecate' id='q1' type='result' to='{HAG}'><query xmlns='jabber:iq:version'/></iq>"
    )]);
    // It is answered once.
    room.gets(&answer).is_nothing();
}

#[test]
fn an_answer_nobody_waits_for_or_of_somebody_else_is_dropped() {
    let mut room = with_hag();
    room.enters(HECATE, "hecate");
    let out = room.gets(&asks(HAG, "hecate", "jabber:iq:version"));
    let id = parse(&out.raw[0]).id().unwrap().to_owned();
    for (from, id) in [(CRONE, id.as_str()), (HECATE, "other")] {
        room.gets(&format!(
            "<iq from='{from}' id='{id}' type='result' to='{COVEN}/thirdwitch'/>"
        ))
        .is_nothing();
    }
}

#[test]
fn a_vcard_is_asked_of_the_account() {
    let mut room = with_hag();
    let out = room.gets(&format!(
        "<iq from='{HAG}' id='v1' type='get' to='{COVEN}/firstwitch'><vCard xmlns='vcard-temp'/></iq>"
    ));
    let stanza = parse(&out.raw[0]);
    assert_eq!(stanza.to().unwrap().as_str(), "crone1@shakespeare.lit");
    let id = stanza.id().unwrap();
    let out = room.gets(&format!(
        "<iq from='crone1@shakespeare.lit' id='{id}' type='result' to='{COVEN}/thirdwitch'><vCard xmlns='vcard-temp'/></iq>"
    ));
    assert_eq!(out.to(HAG).len(), 1);
}

#[test]
fn m06_where_addresses_are_hidden_calls_and_files_do_not_pass() {
    let mut room = with_hag();
    for namespace in ["urn:xmpp:jingle:1", "http://jabber.org/protocol/si", "any"] {
        let query = asks(HAG, "firstwitch", namespace);
        assert_eq!(
            room.gets(&query).refusal(),
            "service-unavailable",
            "{namespace}"
        );
    }
    let mut room = room.config(|config| config.non_anonymous = true);
    let out = room.gets(&asks(HAG, "firstwitch", "urn:xmpp:jingle:1"));
    assert_eq!(out.to(CRONE).len(), 1);
}

#[test]
fn requests_that_wait_are_bounded_and_end_with_the_visit() {
    let mut room = with_hag().settings(|settings| settings.relayed_max = 2);
    let ids: Vec<String> = (0..3)
        .map(|_| {
            let out = room.gets(&asks(HAG, "firstwitch", "jabber:iq:version"));
            parse(&out.raw[0]).id().unwrap().to_owned()
        })
        .collect();
    let answer =
        |id: &str| format!("<iq from='{CRONE}' id='{id}' type='result' to='{COVEN}/thirdwitch'/>");
    room.gets(&answer(&ids[0])).is_nothing();
    assert_eq!(room.gets(&answer(&ids[1])).raw.len(), 1);
    room.gets(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch' type='unavailable'/>"
    ));
    room.gets(&answer(&ids[2])).is_nothing();
}

#[test]
fn an_unknown_nick_is_not_found() {
    let out = with_hag().gets(&asks(HAG, "nobody", "jabber:iq:version"));
    assert_eq!(out.refusal(), "item-not-found");
}

#[test]
fn m06_an_answer_names_nobody_where_addresses_are_hidden() {
    let answers = [
        "<vCard xmlns='vcard-temp'><FN>Hecate</FN><JABBERID>Hecate@shakespeare.lit</JABBERID>\
         <EMAIL><USERID>hecate@shakespeare.lit</USERID></EMAIL></vCard>",
        "<query xmlns='http://jabber.org/protocol/disco#items'>\
         <item jid='hecate@shakespeare.lit/broom' node='x'/><item jid='a.example'/></query>",
        "<query xmlns='jabber:iq:version'><name>of hecate@shakespeare.lit</name></query>",
        "<query xmlns='any' by='hecate@shakespeare.lit/broom'/>",
    ];
    let ask = |room: &mut Given, answer: &str, kind: &str| {
        let out = room.gets(&asks(HAG, "hecate", "jabber:iq:version"));
        let id = parse(&out.raw[0]).id().unwrap().to_owned();
        let out = room.gets(&format!(
            "<iq from='{HECATE}' id='{id}' type='{kind}' to='{COVEN}/thirdwitch'>{answer}</iq>"
        ));
        out.to(HAG).remove(0)
    };
    for non_anonymous in [false, true] {
        let mut room = with_hag().config(|config| config.non_anonymous = non_anonymous);
        room.enters(HECATE, "hecate");
        for answer in answers {
            let heard = ask(&mut room, answer, "result").to_lowercase();
            assert_eq!(heard.contains("hecate@"), non_anonymous, "{heard}");
        }
        let error = "<error type='cancel' by='hecate@shakespeare.lit'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let heard = ask(&mut room, error, "error");
        assert_eq!(heard.contains("hecate@"), non_anonymous, "{heard}");
    }
    let mut room = with_hag();
    room.enters(HECATE, "hecate");
    let heard = ask(&mut room, answers[0], "result");
    assert!(heard.contains("<FN>Hecate</FN>"), "{heard}");
    let heard = ask(&mut room, answers[1], "result");
    assert!(heard.contains("a.example"), "{heard}");
}
