//! What moderators do to roles: XEP-0045 §8.2 to §8.5, and §9.6 to §9.8 on how moderators are made.

use super::{done, put_out, refused, seen, with_hag};
use crate::features::muc::role::Role;
use crate::features::muc::testkit::*;

#[test]
fn section_8_2_who_is_kicked_is_told_first_then_the_moderator_then_all() {
    let mut room = with_hag();
    let item = "<item nick='thirdwitch' role='none'><reason>Avaunt, you cullion!</reason></item>";
    let out = room.admin(WICCA, item);
    let inner = "<actor nick='secondwitch'/><reason>Avaunt, you cullion!</reason>";
    out.is(&[
        &put_out(HAG, "affiliation='none'", inner, &[110, 307]),
        &done(WICCA),
        &put_out(CRONE, "affiliation='none'", inner, &[307]),
        &put_out(WICCA, "affiliation='none'", inner, &[307]),
    ]);
    // A kick is no ban.
    room.enters(HAG, "thirdwitch");
}

#[test]
fn section_8_2_nobody_kicks_upwards_or_themselves() {
    let mut room = room();
    let kick = "<item nick='firstwitch' role='none'/>";
    room.admin(WICCA, kick)
        .is(&[&refused(WICCA, "cancel", "not-allowed", kick)]);
    let out = room.admin(WICCA, "<item nick='secondwitch' role='none'/>");
    assert_eq!(out.refusal(), "conflict");
    assert_eq!(room.room().occupants().len(), 2);
}

#[test]
fn section_8_participants_and_strangers_manage_nobody() {
    let mut room = with_hag();
    for item in [
        "<item nick='firstwitch' role='none'/>",
        "<item nick='nobody' role='none'/>",
        "<item jid='hecate@shakespeare.lit' affiliation='member'/>",
        "<item jid='hag66@shakespeare.lit' affiliation='owner'/>",
    ] {
        assert_eq!(room.admin(HAG, item).refusal(), "forbidden", "{item}");
        assert_eq!(room.admin(HECATE, item).refusal(), "forbidden", "{item}");
    }
}

#[test]
fn r13_an_admin_of_the_same_name_elsewhere_manages_nothing() {
    let mut room = with_hag();
    let out = room.admin(
        "crone1@evil.example/x",
        "<item nick='thirdwitch' role='none'/>",
    );
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn section_8_3_voice_is_granted_with_the_reason() {
    let mut room = room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    let out = room.admin(
        CRONE,
        "<item nick='thirdwitch' role='participant'><reason>A worthy witch indeed!</reason></item>",
    );
    let reason = "<reason>A worthy witch indeed!</reason>";
    let item = "affiliation='none' role='participant'";
    out.is(&[
        &done(CRONE),
        &seen(CRONE, item, reason, ""),
        &seen(WICCA, item, reason, ""),
        &seen(HAG, item, reason, "<status code='110'/>"),
    ]);
    assert_eq!(room.says(HAG, "hi").raw.len(), 3);
}

#[test]
fn section_8_4_voice_is_revoked_but_not_of_admins_and_owners() {
    let mut room = with_hag();
    let out = room.admin(CRONE, "<item nick='thirdwitch' role='visitor'/>");
    out.gives(
        WICCA,
        &[&seen(WICCA, "affiliation='none' role='visitor'", "", "")],
    );
    assert_eq!(room.says(HAG, "hi").refusal(), "forbidden");
    let item = "<item nick='secondwitch' role='visitor'/>";
    assert_eq!(room.admin(CRONE, item).refusal(), "not-allowed");
}

#[test]
fn section_5_1_who_lost_their_voice_does_not_get_it_back_by_coming_in_again() {
    let mut room = with_hag();
    room.admin(CRONE, "<item nick='thirdwitch' role='visitor'/>");
    room.gets(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch' type='unavailable'/>"
    ));
    room.enters(HAG, "thirdwitch");
    assert_eq!(room.says(HAG, "hi").refusal(), "forbidden");
    room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    assert_eq!(room.says(HAG, "hi").raw.len(), 3);
}

#[test]
fn section_8_5_the_voice_list_is_read_and_changed_as_a_whole() {
    let mut room = with_hag();
    room.enters(HECATE, "Hecate");
    let out = room.lists(CRONE, "<item role='participant'/>");
    out.is(&[&format!(
        "<iq from='{COVEN}' id='list1' to='{CRONE}' type='result'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item affiliation='none' jid='{HECATE}' nick='Hecate' role='participant'/>\
         <item affiliation='none' jid='{HAG}' nick='thirdwitch' role='participant'/></query></iq>"
    )]);
    assert_eq!(
        room.lists(HAG, "<item role='participant'/>").refusal(),
        "forbidden"
    );
    // One item that may not be carried out stops all.
    let items = "<item nick='Hecate' role='visitor'/><item nick='firstwitch' role='visitor'/>";
    assert_eq!(room.admin(WICCA, items).refusal(), "not-allowed");
    assert_eq!(
        room.room().occupants().get("Hecate").unwrap().role,
        Role::Participant
    );
    let items = "<item nick='Hecate' role='visitor'/><item nick='thirdwitch' role='visitor'/>";
    assert_eq!(room.admin(WICCA, items).to(WICCA).len(), 3);
}

#[test]
fn section_9_6_moderators_are_made_by_admins() {
    let mut room = with_hag();
    let out = room.admin(WICCA, "<item nick='thirdwitch' role='moderator'/>");
    let item = "affiliation='none' role='moderator'";
    out.gives(CRONE, &[&seen(CRONE, item, "", "")]);
    room.enters(HECATE, "hecate");
    let out = room.admin(HAG, "<item nick='hecate' role='moderator'/>");
    assert_eq!(out.refusal(), "forbidden");
    // But a moderator keeps order.
    let out = room.admin(HAG, "<item nick='hecate' role='visitor'/>");
    out.has(&done(HAG));
}

#[test]
fn section_9_7_moderators_are_unmade_by_admins_but_not_admins() {
    let mut room = with_hag().role("thirdwitch", Role::Moderator);
    let out = room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    let item = "affiliation='none' role='participant'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
    let item = "<item nick='secondwitch' role='participant'/>";
    room.admin(CRONE, item)
        .is(&[&refused(CRONE, "cancel", "not-allowed", item)]);
}

#[test]
fn section_9_8_the_moderator_list_is_for_admins() {
    let mut room = with_hag().role("thirdwitch", Role::Moderator);
    let out = room.lists(CRONE, "<item role='moderator'/>");
    let listed =
        format!("<item affiliation='none' jid='{HAG}' nick='thirdwitch' role='moderator'/>");
    assert!(normal(&out.raw[0]).contains(&normal(&listed).replace(" xmlns='jabber:client'", "")));
    assert_eq!(
        room.lists(HAG, "<item role='moderator'/>").refusal(),
        "forbidden"
    );
}
