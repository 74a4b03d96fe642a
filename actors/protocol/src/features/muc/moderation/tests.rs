//! Rules of [`super`], with the examples of XEP-0424 and XEP-0425.

use crate::features::muc::history::entry_message;
use crate::features::muc::role::Role;
use crate::features::muc::testkit::*;
use crate::testkit::bare;

/// The coven, where the third witch has said what she should not.
fn said() -> Given {
    let mut room = room();
    room.enters(HAG, "oldhag");
    room.gets(&format!(
        "<message from='{HAG}' id='inappropriate-1' to='{COVEN}' type='groupchat'>\
         <body>DM me for free magic potions!</body></message>"
    ));
    room
}

fn moderates(from: &str, id: &str) -> String {
    format!(
        "<iq from='{from}' type='set' to='{COVEN}' id='retract-request-1'>\
         <moderate id='{id}' xmlns='urn:xmpp:message-moderate:1'><retract xmlns='urn:xmpp:message-retract:1'/>\
         <reason>Not here</reason></moderate></iq>"
    )
}

fn moderates_as_before(from: &str, id: &str) -> String {
    format!(
        "<iq from='{from}' type='set' to='{COVEN}' id='retract-request-1'>\
         <apply-to id='{id}' xmlns='urn:xmpp:fasten:0'><moderate xmlns='urn:xmpp:message-moderate:0'>\
         <retract xmlns='urn:xmpp:message-retract:0'/><reason>Not here</reason></moderate></apply-to></iq>"
    )
}

fn text(room: &Given, id: usize) -> String {
    String::from_utf8(room.log[id - 1].stanza.to_vec()).unwrap()
}

#[test]
fn section_3_of_0425_a_moderator_retracts_in_both_versions() {
    for request in [moderates(CRONE, "1"), moderates_as_before(CRONE, "1")] {
        let mut room = said();
        let out = room.gets(&request);
        let [told, .., done] = &out.raw[..] else {
            panic!("{:?}", out.raw)
        };
        same(
            done,
            &format!("<iq from='{COVEN}' id='retract-request-1' to='{CRONE}' type='result'/>"),
        );
        assert_eq!(out.raw.len(), 4);
        let by = format!("by='{COVEN}/firstwitch'");
        for part in [
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'>",
            &format!("<moderated xmlns='urn:xmpp:message-moderate:1' {by}>"),
            "<reason>Not here</reason>",
            "<apply-to xmlns='urn:xmpp:fasten:0' id='1'>",
            &format!("<moderated xmlns='urn:xmpp:message-moderate:0' {by}>"),
            "<retract xmlns='urn:xmpp:message-retract:0'/>",
            &format!("from='{COVEN}'"),
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}

#[test]
fn section_4_of_0425_a_tombstone_stands_in_the_archive_and_the_retraction_too() {
    let mut room = said();
    room.gets(&moderates(CRONE, "1"));
    let stone = text(&room, 1);
    assert!(!stone.contains("potions"), "{stone}");
    for part in [
        "from='coven@chat.shakespeare.lit/oldhag'",
        "id='inappropriate-1'",
        "<occupant-id",
        "<retracted xmlns='urn:xmpp:message-retract:1'",
        "stamp='2002-10-13T23:58:37Z'",
        "<retracted xmlns='urn:xmpp:message-retract:0'",
        "<reason>Not here</reason>",
    ] {
        assert!(stone.contains(part), "{part} in {stone}");
    }
    assert_eq!(room.log.len(), 2);
    let message = entry_message(&bare(COVEN), &room.log[0]).unwrap();
    assert_eq!(super::retracted_at(&message), Some(room.now));
    // Who comes later sees neither it nor the stone.
    let out = room.enters(HECATE, "hecate");
    assert!(
        out.to(HECATE)
            .iter()
            .all(|xml| !xml.contains("retracted") && !xml.contains("potions"))
    );
}

#[test]
fn section_3_2_of_0425_moderators_alone_moderate() {
    let mut room = said();
    for from in [HAG, HECATE] {
        assert_eq!(room.gets(&moderates(from, "1")).refusal(), "forbidden");
        assert_eq!(
            room.gets(&moderates_as_before(from, "1")).refusal(),
            "forbidden"
        );
    }
    let mut room = room.role("oldhag", Role::Moderator);
    assert_eq!(room.gets(&moderates(HAG, "1")).raw.len(), 4);
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut room = said();
    for id in ["2", "0", "x", "-1", "99999999999999999999", "1 OR 1=1"] {
        assert_eq!(
            room.gets(&moderates(CRONE, id)).refusal(),
            "item-not-found",
            "{id}"
        );
    }
    let other = moderates(CRONE, "1").replace("<retract xmlns='urn:xmpp:message-retract:1'/>", "");
    assert_eq!(room.gets(&other).refusal(), "feature-not-implemented");
}

fn retracts(from: &str, id: &str) -> String {
    format!(
        "<message from='{from}' id='retract-1' to='{COVEN}' type='groupchat'>\
         <retract id='{id}' xmlns='urn:xmpp:message-retract:1'/>\
         <body>/me retracted a message</body></message>"
    )
}

#[test]
fn section_5_of_0424_an_author_retracts_and_a_tombstone_stays() {
    for request in [
        retracts(HAG, "1"),
        format!(
            "<message from='{HAG}' id='retract-1' to='{COVEN}' type='groupchat'>\
             <apply-to id='1' xmlns='urn:xmpp:fasten:0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to></message>"
        ),
    ] {
        let mut room = said();
        let out = room.gets(&request);
        assert_eq!(out.raw.len(), 3);
        let stone = text(&room, 1);
        assert!(!stone.contains("potions"), "{stone}");
        assert!(
            stone.contains("<retracted xmlns='urn:xmpp:message-retract:1' id='retract-1' stamp="),
            "{stone}"
        );
        assert_eq!(room.log.len(), 2);
    }
}

#[test]
fn r22_nobody_retracts_what_others_said_under_whatever_nick() {
    let mut room = said();
    assert_eq!(room.gets(&retracts(WICCA, "1")).refusal(), "forbidden");
    // Somebody else has taken the nick.
    room.gets(&format!("<presence from='{HAG}' to='{COVEN}/newhag'/>"));
    room.enters(HECATE, "oldhag");
    assert_eq!(room.gets(&retracts(HECATE, "1")).refusal(), "forbidden");
    assert!(text(&room, 1).contains("potions"));
    // And the author is still the author.
    assert_eq!(room.gets(&retracts(HAG, "1")).raw.len(), 4);
    assert!(!text(&room, 1).contains("potions"));
}

#[test]
fn a_retraction_by_another_id_is_carried() {
    let mut room = said();
    let out = room.gets(&retracts(HAG, "inappropriate-1"));
    assert_eq!((out.raw.len(), room.log.len()), (3, 2));
    assert!(text(&room, 1).contains("potions"));
    let out = room.gets(&retracts(HAG, "99"));
    assert_eq!((out.raw.len(), room.log.len()), (3, 3));
}

#[test]
fn m08_moderation_does_not_come_from_occupants() {
    let mut room = said();
    for forged in [
        "<retract id='1' xmlns='urn:xmpp:message-retract:1'><moderated by='x' xmlns='urn:xmpp:message-moderate:1'/></retract>",
        "<apply-to id='1' xmlns='urn:xmpp:fasten:0'><moderated by='x' xmlns='urn:xmpp:message-moderate:0'/></apply-to>",
        "<moderated by='x' xmlns='urn:xmpp:message-moderate:1'/>",
    ] {
        let out = room.gets(&format!(
            "<message from='{WICCA}' to='{COVEN}' type='groupchat'><body>hi</body>{forged}</message>"
        ));
        assert!(
            out.raw.iter().all(|xml| !xml.contains("moderated")),
            "{:?}",
            out.raw
        );
        assert!(text(&room, 1).contains("potions"));
    }
}

#[test]
fn a_visitor_retracts_nothing() {
    let mut room = said().role("oldhag", Role::Visitor);
    assert_eq!(room.gets(&retracts(HAG, "1")).refusal(), "forbidden");
}

#[test]
fn a_tombstone_is_not_retracted_again() {
    let mut room = said();
    room.gets(&moderates(CRONE, "1"));
    let stone = text(&room, 1);
    room.gets(&retracts(HAG, "1"));
    assert_eq!(text(&room, 1), stone);
}
