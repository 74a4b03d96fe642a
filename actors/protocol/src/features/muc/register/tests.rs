//! Rules of [`super`], with the examples of XEP-0045 §7.10, §7.12 and §9.9.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::testkit::*;
use crate::testkit::bare;

const HAG_BARE: &str = "hag66@shakespeare.lit";

fn asks() -> String {
    format!(
        "<iq from='{HAG}' id='jw81b36f' to='{COVEN}' type='get'><query xmlns='jabber:iq:register'/></iq>"
    )
}

fn registers(inner: &str) -> String {
    format!(
        "<iq from='{HAG}' id='nv71va54' to='{COVEN}' type='set'><query xmlns='jabber:iq:register'>{inner}</query></iq>"
    )
}

fn nick(nick: &str) -> String {
    registers(&format!(
        "<x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
         <field var='muc#register_roomnick'><value>{nick}</value></field></x>"
    ))
}

fn done() -> String {
    format!("<iq from='{COVEN}' id='nv71va54' to='{HAG}' type='result'/>")
}

#[test]
fn section_7_10_a_form_is_offered_and_what_is_registered_is_said() {
    let mut room = room();
    let out = room.gets(&asks());
    assert!(out.raw[0].contains("muc#register_roomnick"));
    let mut room = room.reserved(HAG_BARE, "thirdwitch");
    room.gets(&asks()).is(&[&format!(
        "<iq from='{COVEN}' id='jw81b36f' to='{HAG}' type='result'><query xmlns='jabber:iq:register'>\
         <registered/><username>thirdwitch</username></query></iq>"
    )]);
}

#[test]
fn section_7_10_who_may_not_register_is_told_so() {
    let mut room = room().config(|config| config.registration = false);
    assert_eq!(room.gets(&asks()).refusal(), "not-allowed");
    assert_eq!(room.gets(&nick("thirdwitch")).refusal(), "not-allowed");
    let mut room = super::super::testkit::room().affiliation(HAG_BARE, Affiliation::Outcast);
    assert_eq!(room.gets(&asks()).refusal(), "not-allowed");
    assert_eq!(to_no_room(&asks()).refusal(), "item-not-found");
}

#[test]
fn section_7_10_a_registration_makes_a_member_and_is_told_to_all() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&nick("thirdwitch"));
    out.has(&done());
    out.gives(
        CRONE,
        &[&format!(
            "<presence from='{COVEN}/thirdwitch' to='{CRONE}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='member' jid='{HAG}' role='participant'/></x></presence>"
        )],
    );
    let record = room.room().record();
    assert_eq!(record.reserved_nick(&bare(HAG_BARE)), Some("thirdwitch"));
}

#[test]
fn section_7_10_a_nick_is_reserved_once() {
    let mut room = room().reserved("hecate@shakespeare.lit", "hecate");
    for taken in ["hecate", "HECATE", "firstwitch"] {
        assert_eq!(room.gets(&nick(taken)).refusal(), "conflict", "{taken}");
    }
}

#[test]
fn section_7_10_what_is_no_form_is_a_bad_request() {
    let mut room = room();
    for inner in [
        "",
        "<username>x</username>",
        "<x xmlns='jabber:x:data' type='submit'/>",
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>other</value></field></x>",
    ] {
        assert_eq!(
            room.gets(&registers(inner)).refusal(),
            "bad-request",
            "{inner}"
        );
    }
}

#[test]
fn a_registration_can_be_ended() {
    let mut room = room();
    room.gets(&nick("thirdwitch"));
    room.gets(&registers("<remove/>")).has(&done());
    let record = room.room().record();
    assert_eq!(record.affiliation(&bare(HAG_BARE)), Affiliation::None);
    assert_eq!(record.reserved_nick(&bare(HAG_BARE)), None);
    // An owner stays one.
    let mut room = super::super::testkit::room().affiliation(HAG_BARE, Affiliation::Owner);
    room.gets(&nick("thirdwitch"));
    room.gets(&registers("<remove/>"));
    let record = room.room().record();
    assert_eq!(record.affiliation(&bare(HAG_BARE)), Affiliation::Owner);
}

#[test]
fn section_9_9_a_closed_room_asks_its_admins() {
    let mut room = room().config(|config| config.members_only = true);
    let out = room.gets(&nick("thirdwitch"));
    out.has(&done());
    assert_eq!(out.to("crone1@shakespeare.lit").len(), 1);
    assert_eq!(out.to("wiccarocks@shakespeare.lit").len(), 1);
    let answer = |allow: &str| {
        format!(
            "<message from='{WICCA}' to='{COVEN}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
             <field var='muc#register_roomnick'><value>thirdwitch</value></field>\
             <field var='muc#jid'><value>{HAG_BARE}</value></field>\
             <field var='muc#register_allow'><value>{allow}</value></field></x></message>"
        )
    };
    let is_member =
        |room: &Given| room.room().record().affiliation(&bare(HAG_BARE)) == Affiliation::Member;
    room.gets(&answer("0")).is_nothing();
    assert!(!is_member(&room));
    let out = room.gets(&answer("1"));
    assert!(is_member(&room));
    assert!(
        out.to(HAG_BARE)[0].contains("<invite from='coven@chat.shakespeare.lit/secondwitch'/>")
    );
    let forged = answer("1").replace(WICCA, HAG);
    assert_eq!(room.gets(&forged).refusal(), "forbidden");
}

#[test]
fn section_7_12_the_reserved_nick_is_told_to_its_owner() {
    let ask = format!(
        "<iq from='{HAG}' id='getnick1' to='{COVEN}' type='get'>\
         <query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/></iq>"
    );
    let told = |inner: &str| {
        format!(
            "<iq from='{COVEN}' id='getnick1' to='{HAG}' type='result'>\
             <query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'>{inner}</query></iq>"
        )
    };
    room().gets(&ask).is(&[&told("")]);
    let identity = "<identity category='conference' name='thirdwitch' type='text'/>";
    room()
        .reserved(HAG_BARE, "thirdwitch")
        .gets(&ask)
        .is(&[&told(identity)]);
}
