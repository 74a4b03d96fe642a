//! Rules of [`super`], with the examples of XEP-0045 §6.2 and §6.3.

use super::*;
use crate::features::muc::testkit::*;
use crate::testkit::{bare, parse};

const SERVICE: &str = "chat.shakespeare.lit";

fn asks(what: &str, inner: &str) -> Stanza {
    parse(&format!(
        "<iq from='{HAG}' id='lx09df27' to='{SERVICE}' type='get'>\
         <query xmlns='http://jabber.org/protocol/disco#{what}'>{inner}</query></iq>"
    ))
}

fn decides(stanza: &Stanza) -> Vec<RoomEffect> {
    let given = no_room();
    decide(&bare(SERVICE), stanza, &given.facts(&given.settings))
}

fn summary(localpart: &str, name: &str) -> RoomSummary {
    RoomSummary {
        jid: bare(&format!("{localpart}@{SERVICE}")),
        name: name.into(),
        description: "".into(),
        lang: "".into(),
        occupants: 0,
        is_open: true,
        non_anonymous: false,
    }
}

fn lists(page: RoomPage) -> Out {
    let stanza = asks("items", "");
    let effects = decides(&stanza);
    let [RoomEffect::Load(load)] = &effects[..] else {
        panic!("{effects:?}")
    };
    no_room().does(loaded(&bare(SERVICE), load, RoomAnswer::Rooms(page)))
}

#[test]
fn section_6_2_the_service_says_that_it_hosts_rooms() {
    let out = no_room().does(decides(&asks("info", "")));
    assert!(out.raw[0].contains("<identity category='conference' name='Rooms' type='text'/>"));
    for feature in [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/muc#stable_id",
        "urn:xmpp:channel-search:0:search",
        "urn:xmpp:occupant-id:0",
        "vcard-temp",
    ] {
        assert!(
            out.raw[0].contains(&format!("var='{feature}'")),
            "{feature}"
        );
    }
}

#[test]
fn section_6_3_public_rooms_are_listed() {
    let page = RoomPage {
        rooms: vec![
            summary("coven", "A Dark Cave"),
            summary("heath", "A Lonely Heath"),
        ],
        count: Some(2),
        complete: true,
    };
    lists(page).is(&[&format!(
        "<iq from='{SERVICE}' id='lx09df27' to='{HAG}' type='result'>\
         <query xmlns='http://jabber.org/protocol/disco#items'>\
         <item jid='coven@{SERVICE}' name='A Dark Cave'/>\
         <item jid='heath@{SERVICE}' name='A Lonely Heath'/></query></iq>"
    )]);
}

#[test]
fn section_6_3_a_part_of_a_long_list_says_so() {
    let page = RoomPage {
        rooms: vec![summary("hamlet", "Hamlet")],
        count: Some(37),
        complete: false,
    };
    let out = lists(page);
    assert!(out.raw[0].contains(
        "<set xmlns='http://jabber.org/protocol/rsm'><first>hamlet@chat.shakespeare.lit</first>\
         <last>hamlet@chat.shakespeare.lit</last><count>37</count></set>"
    ));
}

#[test]
fn section_6_3_hidden_and_locked_rooms_are_not_listed() {
    let room = room();
    assert_eq!(room.room().summary(), None);
    let room = room.config(|config| {
        config.public = true;
        config.name = "A Dark Cave".into();
    });
    let listed = room.room().summary().unwrap();
    assert_eq!(
        (&*listed.name, listed.occupants, listed.is_open),
        ("A Dark Cave", 2, true)
    );
    let mut locked = no_room();
    locked.enters(CRONE, "firstwitch");
    let locked = locked.config(|config| config.public = true);
    assert_eq!(locked.room().summary(), None);
}

#[test]
fn r14_a_list_is_of_the_service_that_was_asked() {
    let effects = decides(&asks("items", ""));
    let [RoomEffect::Load(load)] = &effects[..] else {
        panic!("{effects:?}")
    };
    let RoomQuery::Rooms(query) = &load.query else {
        panic!("{load:?}")
    };
    assert_eq!(query.service, bare(SERVICE));
    let mut other = summary("coven", "x");
    other.jid = bare("coven@chat.other.example");
    assert!(query.wants(&summary("coven", "x")) && !query.wants(&other));
}

#[test]
fn what_the_service_does_not_know_is_refused() {
    let refusal = |xml: &str| no_room().does(decides(&parse(xml))).refusal();
    let iq =
        |inner: &str| format!("<iq from='{HAG}' id='1' to='{SERVICE}' type='get'>{inner}</iq>");
    assert_eq!(refusal(&iq("<query xmlns='any'/>")), "service-unavailable");
    let node = "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>";
    assert_eq!(refusal(&iq(node)), "item-not-found");
    let message = format!("<message from='{HAG}' to='{SERVICE}'><body>hi</body></message>");
    assert_eq!(refusal(&message), "service-unavailable");
    no_room()
        .does(decides(&parse(&format!(
            "<presence from='{HAG}' to='{SERVICE}'/>"
        ))))
        .is_nothing();
    let bad = "<set xmlns='http://jabber.org/protocol/rsm'><max>x</max></set>";
    let out = no_room().does(decides(&asks("items", bad)));
    assert_eq!(out.refusal(), "bad-request");
}
