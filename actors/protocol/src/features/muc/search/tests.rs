//! Rules of [`super`], with the examples of XEP-0433.

use super::*;
use crate::features::muc::service::{self, RoomSummary};
use crate::features::muc::testkit::*;
use crate::testkit::{bare, parse};

const SERVICE: &str = "chat.shakespeare.lit";

fn search(inner: &str) -> String {
    format!(
        "<iq from='{HAG}' to='{SERVICE}' id='id3' type='get'><search xmlns='{NS}'>{inner}</search></iq>"
    )
}

fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'>\
         <value>{NS_FORM}</value></field>{fields}</x>"
    )
}

fn decides(xml: &str) -> Vec<RoomEffect> {
    let given = no_room();
    service::decide(&bare(SERVICE), &parse(xml), &given.facts(&given.settings))
}

fn query(fields: &[(&str, &str)]) -> RoomListQuery {
    let effects = decides(&search(&form(fields)));
    let [RoomEffect::Load(load)] = &effects[..] else {
        panic!("{effects:?}")
    };
    let RoomQuery::Rooms(query) = &load.query else {
        panic!("{load:?}")
    };
    query.clone()
}

fn refused(fields: &[(&str, &str)]) -> String {
    let out = no_room().does(decides(&search(&form(fields))));
    out.raw[0].clone()
}

fn summary(localpart: &str, name: &str, occupants: u32) -> RoomSummary {
    RoomSummary {
        jid: bare(&format!("{localpart}@{SERVICE}")),
        name: name.into(),
        description: "Discussion venue".into(),
        lang: "".into(),
        occupants,
        is_open: true,
        non_anonymous: false,
    }
}

#[test]
fn section_4_2_1_a_form_is_offered() {
    let out = no_room().does(decides(&search("")));
    for name in [
        "q",
        "all",
        "sinname",
        "sindescription",
        "sinaddr",
        "min_users",
        "types",
        "key",
    ] {
        assert!(out.raw[0].contains(&format!("var='{name}'")), "{name}");
    }
}

#[test]
fn section_4_2_2_words_are_searched_for_in_the_places_named() {
    let wanted = query(&[("q", "Dark cave")]);
    assert!(wanted.wants(&summary("coven", "A DARK Cave", 1)));
    assert!(!wanted.wants(&summary("coven", "A Dark Night", 1)));
    assert_eq!(wanted.order, Order::Occupants);
    let by_address = query(&[("q", "coven"), ("sinname", "false"), ("key", BY_ADDRESS)]);
    assert!(by_address.wants(&summary("coven", "x", 0)));
    assert!(!by_address.wants(&summary("heath", "coven", 0)));
    assert_eq!(by_address.order, Order::Address);
    let full = query(&[("all", "true"), ("min_users", "5")]);
    assert!(full.wants(&summary("coven", "x", 5)) && !full.wants(&summary("coven", "x", 4)));
}

#[test]
fn r14_rooms_of_another_service_are_found_by_nobody() {
    let wanted = query(&[("all", "1")]);
    let mut other = summary("coven", "x", 1);
    other.jid = bare("coven@chat.other.example");
    assert!(!wanted.wants(&other));
}

#[test]
fn section_4_2_2_1_what_is_found_is_listed() {
    let load = Load {
        origin: parse(&search(&form(&[("q", "xmpp.org")]))),
        query: RoomQuery::Rooms(query(&[("q", "xmpp.org")])),
    };
    let page = RoomPage {
        rooms: vec![summary("operators", "XMPP Service Operators", 43)],
        count: Some(1),
        complete: true,
    };
    let answer = super::super::effect::RoomAnswer::Rooms(page);
    let effects = service::loaded(&bare(SERVICE), &load, answer);
    no_room().does(effects).is(&[&format!(
        "<iq from='{SERVICE}' to='{HAG}' id='id3' type='result'><result xmlns='{NS}'>\
         <item address='operators@{SERVICE}'><name>XMPP Service Operators</name>\
         <description>Discussion venue</description><nusers>43</nusers>\
         <service-type>xep-0045</service-type><is-open/><anonymity-mode>muc_semianonymous</anonymity-mode></item>\
         <set xmlns='http://jabber.org/protocol/rsm'><first>operators@{SERVICE}</first>\
         <last>operators@{SERVICE}</last><count>1</count></set></result></iq>"
    )]);
}

#[test]
fn section_4_2_2_bad_searches_are_refused_with_their_reason() {
    for (fields, condition, application) in [
        (
            vec![("key", "{urn:x}other"), ("q", "abc")],
            "feature-not-implemented",
            "invalid-sort-key",
        ),
        (vec![("q", "a")], "bad-request", "invalid-search-terms"),
        (
            vec![("q", "abc"), ("all", "true")],
            "bad-request",
            "conflicting-fields",
        ),
        (
            vec![("sinname", "true")],
            "bad-request",
            "no-search-conditions",
        ),
    ] {
        let answer = refused(&fields);
        assert!(
            answer.contains(condition) && answer.contains(application),
            "{answer}"
        );
        assert!(answer.contains("type='modify'"), "{answer}");
    }
    assert!(refused(&[("q", "abc"), ("min_users", "x")]).contains("bad-request"));
    assert!(refused(&[("q", "abc"), ("types", "xep-0369")]).contains("item-not-found"));
}

#[test]
fn r18_a_page_has_a_length() {
    let set = "<set xmlns='http://jabber.org/protocol/rsm'><max>1000000</max></set>";
    let effects = decides(&search(&format!("{set}{}", form(&[("all", "1")]))));
    let [RoomEffect::Load(load)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert!(matches!(&load.query, RoomQuery::Rooms(query) if query.max == 250));
}
