//! Rules of [`super`], with the examples of XEP-0045 §7.8 and §9.5.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::testkit::*;
use crate::testkit::bare;

const USER: &str = "http://jabber.org/protocol/muc#user";
const REASON: &str = "<reason>Hey Hecate, this is the place for all good witches!</reason>";

fn invite(from: &str, inner: &str) -> String {
    format!(
        "<message from='{from}' id='nzd143v8' to='{COVEN}'><x xmlns='{USER}'>{inner}</x></message>"
    )
}

fn invites_hecate(from: &str) -> String {
    invite(
        from,
        &format!("<invite to='hecate@shakespeare.lit'>{REASON}</invite>"),
    )
}

fn invitation(face: &str, rest: &str) -> String {
    format!(
        "<message from='{COVEN}' id='nzd143v8' to='hecate@shakespeare.lit'><x xmlns='{USER}'>\
         <invite from='{face}'>{REASON}</invite>{rest}</x></message>"
    )
}

#[test]
fn section_7_8_2_the_room_invites_with_its_password() {
    let mut room = room().config(|config| {
        config.non_anonymous = true;
        config.password = Some("cauldronburn".into());
    });
    room.gets(&invites_hecate(CRONE)).is(&[&invitation(
        "crone1@shakespeare.lit",
        "<password>cauldronburn</password>",
    )]);
}

#[test]
fn m06_where_addresses_are_hidden_a_nick_invites() {
    let mut room = room();
    let face = format!("{COVEN}/firstwitch");
    room.gets(&invites_hecate(CRONE))
        .is(&[&invitation(&face, "")]);
}

#[test]
fn section_7_9_a_conversation_is_continued() {
    let inner = "<invite to='hecate@shakespeare.lit'><continue thread='e0ff'/></invite>";
    let out = room().gets(&invite(CRONE, inner));
    assert!(out.raw[0].contains("<continue thread='e0ff'/>"));
}

#[test]
fn section_9_5_an_invitation_to_a_closed_room_makes_a_member() {
    let mut room = room().config(|config| config.members_only = true);
    let out = room.gets(&invites_hecate(WICCA));
    assert_eq!(out.raw.len(), 1);
    let affiliation = |room: &Given| {
        room.room()
            .record()
            .affiliation(&bare("hecate@shakespeare.lit"))
    };
    assert_eq!(affiliation(&room), Affiliation::Member);
    // An open room makes nobody a member.
    let mut room = super::super::testkit::room();
    room.gets(&invites_hecate(WICCA));
    assert_eq!(affiliation(&room), Affiliation::None);
}

#[test]
fn section_9_5_a_mere_member_may_not_where_the_owner_says_so() {
    let mut room = room()
        .affiliation("hag66@shakespeare.lit", Affiliation::Member)
        .config(|config| {
            config.members_only = true;
            config.allow_invites = false;
        });
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&invites_hecate(HAG));
    out.is(&[&format!(
        "<message from='{COVEN}' id='nzd143v8' to='{HAG}' type='error'><x xmlns='{USER}'>\
         <invite to='hecate@shakespeare.lit'>{REASON}</invite></x><error by='{COVEN}' type='auth'>\
         <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )]);
    room = room.config(|config| config.allow_invites = true);
    assert_eq!(
        room.gets(&invites_hecate(HAG))
            .to("hecate@shakespeare.lit")
            .len(),
        1
    );
}

#[test]
fn m08_nobody_invites_from_outside_or_whom_the_room_has_banned() {
    let mut room = room();
    assert_eq!(room.gets(&invites_hecate(HAG)).refusal(), "not-acceptable");
    let mut room = room.affiliation("hecate@shakespeare.lit", Affiliation::Outcast);
    assert_eq!(room.gets(&invites_hecate(CRONE)).refusal(), "not-allowed");
}

#[test]
fn m08_an_inviter_cannot_be_made_up() {
    let inner = "<invite to='hecate@shakespeare.lit' from='king@shakespeare.lit'/>";
    let out = room().gets(&invite(CRONE, inner));
    assert!(!out.raw[0].contains("king@"), "{}", out.raw[0]);
}

#[test]
fn r18_one_message_invites_so_many_and_a_reason_has_a_length() {
    let many = "<invite to='hecate@shakespeare.lit'/>".repeat(21);
    assert_eq!(
        room().gets(&invite(CRONE, &many)).refusal(),
        "policy-violation"
    );
    let few = "<invite to='hecate@shakespeare.lit'/>".repeat(20);
    assert_eq!(room().gets(&invite(CRONE, &few)).raw.len(), 20);
    let long = format!(
        "<invite to='a@b'><reason>{}</reason></invite>",
        "x".repeat(2_000)
    );
    assert_eq!(
        room().gets(&invite(CRONE, &long)).refusal(),
        "policy-violation"
    );
    assert_eq!(
        room().gets(&invite(CRONE, "<invite to='@'/>")).refusal(),
        "jid-malformed"
    );
    assert_eq!(
        room().gets(&invite(CRONE, "<invite/>")).refusal(),
        "bad-request"
    );
}

fn decline(from: &str, to: &str) -> String {
    format!(
        "<message from='{from}' id='jk2vs61v' to='{COVEN}'><x xmlns='{USER}'>\
         <decline to='{to}'><reason>Sorry, I&apos;m too busy right now.</reason></decline></x></message>"
    )
}

#[test]
fn section_7_8_2_the_inviter_hears_that_it_was_declined() {
    let declined = format!(
        "<message from='{COVEN}' id='jk2vs61v' to='{CRONE}'><x xmlns='{USER}'>\
         <decline from='hecate@shakespeare.lit'><reason>Sorry, I&apos;m too busy right now.</reason></decline></x></message>"
    );
    let mut open = room().config(|config| config.non_anonymous = true);
    open.gets(&decline(HECATE, "crone1@shakespeare.lit"))
        .is(&[&declined]);
    let nick = format!("{COVEN}/firstwitch");
    room().gets(&decline(HECATE, &nick)).is(&[&declined]);
}

#[test]
fn m08_a_decline_reaches_nobody_outside_and_finds_nobody_out() {
    let mut room = room();
    for to in [
        "king@shakespeare.lit",
        "crone1@shakespeare.lit",
        "coven@chat.shakespeare.lit/nobody",
    ] {
        assert_eq!(
            room.gets(&decline(HECATE, to)).refusal(),
            "item-not-found",
            "{to}"
        );
    }
    let mut room = room.affiliation("hecate@shakespeare.lit", Affiliation::Outcast);
    let out = room.gets(&decline(HECATE, "coven@chat.shakespeare.lit/firstwitch"));
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn section_7_8_2_an_invitation_to_nobody_comes_back_to_the_inviter() {
    let out = room().gets(&format!(
        "<message from='nobody@shakespeare.lit' id='nzd143v8' to='{COVEN}' type='error'><x xmlns='{USER}'>\
         <invite from='{COVEN}/firstwitch'/></x><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    out.is(&[&format!(
        "<message from='{COVEN}' id='nzd143v8' to='{CRONE}' type='error'><x xmlns='{USER}'>\
         <invite to='nobody@shakespeare.lit'/></x><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )]);
}
