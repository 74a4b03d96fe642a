//! Rules of [`super`], with the examples of XEP-0045 §7.14 and §11.

use crate::features::muc::testkit::*;
use crate::testkit::full;

const USER: &str = "http://jabber.org/protocol/muc#user";

fn gone(to: &str, item: &str, codes: &[u16]) -> String {
    let codes: String = codes
        .iter()
        .map(|code| format!("<status code='{code}'/>"))
        .collect();
    format!(
        "<presence from='{COVEN}/thirdwitch' to='{to}' type='unavailable'><x xmlns='{USER}'>\
         <item {item}/>{codes}</x></presence>"
    )
}

fn with_hag() -> Given {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room
}

fn leaves(inner: &str) -> String {
    format!("<presence from='{HAG}' to='{COVEN}/thirdwitch' type='unavailable'>{inner}</presence>")
}

#[test]
fn section_7_14_who_leaves_is_told_first_then_the_others() {
    let mut room = with_hag();
    let item = format!("affiliation='none' jid='{HAG}' role='none'");
    let out = room.gets(&leaves(""));
    out.is(&[
        &gone(HAG, &item, &[110]),
        &gone(CRONE, &item, &[]),
        &gone(WICCA, &item, &[]),
    ]);
    assert!(!room.remembered.contains_key(&full(HAG)));
}

#[test]
fn section_7_14_last_words_are_passed_along() {
    let words = "<status>gone where the goblins go</status>";
    let out = with_hag().gets(&leaves(words));
    assert!(out.to(CRONE)[0].contains(words));
}

#[test]
fn section_17_3_whoever_is_not_inside_leaves_silently() {
    room().gets(&leaves("")).is_nothing();
}

#[test]
fn one_session_of_several_goes_alone() {
    let mut room = with_hag();
    room.enters("hag66@shakespeare.lit/tablet", "thirdwitch");
    let out = room.gets(&leaves(""));
    assert_eq!(out.to(HAG).len(), 1);
    assert!(out.to(CRONE).iter().all(|xml| !xml.contains("unavailable")));
    assert!(room.room().occupants().get("thirdwitch").is_some());
}

#[test]
fn section_7_14_a_temporary_room_ends_with_its_last_occupant() {
    let mut room = empty_room().config(|config| config.persistent = false);
    room.enters(HAG, "thirdwitch");
    room.gets(&leaves(""));
    assert!(room.vanished);
    let mut room = empty_room();
    room.enters(HAG, "thirdwitch");
    room.gets(&leaves(""));
    assert!(!room.vanished && room.room().is_idle());
}

#[test]
fn section_11_1_a_lost_session_leaves_with_333() {
    let mut room = with_hag();
    let effects = room.room_mut().gone(&full(HAG));
    let item = format!("affiliation='none' jid='{HAG}' role='none'");
    room.does(effects).is(&[
        &gone(HAG, &item, &[110, 333]),
        &gone(CRONE, &item, &[333]),
        &gone(WICCA, &item, &[333]),
    ]);
}

#[test]
fn section_18_1_2_a_ghost_is_put_out_by_its_errors() {
    for (condition, is_ghost) in [
        ("recipient-unavailable", true),
        ("item-not-found", true),
        ("gone", true),
        ("remote-server-not-found", true),
        ("remote-server-timeout", true),
        ("service-unavailable", false),
        ("feature-not-implemented", false),
    ] {
        for stanza in ["message", "presence"] {
            let mut room = with_hag();
            room.gets(&format!(
                "<{stanza} from='{HAG}' to='{COVEN}' type='error'><error type='cancel'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{stanza}>"
            ));
            let is_gone = room.room().occupants().get("thirdwitch").is_none();
            assert_eq!(is_gone, is_ghost, "{condition} {stanza}");
        }
    }
}

#[test]
fn section_18_1_2_an_error_that_does_not_say_what_is_wrong_puts_out_as_well() {
    let mut room = with_hag();
    room.gets(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch' type='error'><status>oops</status></presence>"
    ));
    assert!(room.room().occupants().get("thirdwitch").is_none());
}

#[test]
fn r20_an_error_is_answered_by_nothing() {
    let mut room = with_hag();
    for to in [COVEN, "coven@chat.shakespeare.lit/nobody"] {
        for stanza in ["message", "presence", "iq"] {
            room.gets(&format!(
                "<{stanza} from='{HAG}' to='{to}' id='1' type='error'><error type='cancel'>\
                 <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{stanza}>"
            ))
            .is_nothing();
        }
    }
    to_no_room(&format!(
        "<message from='{HAG}' to='{COVEN}' type='error'/>"
    ))
    .is_nothing();
}
