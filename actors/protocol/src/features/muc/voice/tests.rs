//! Rules of [`super`], with the examples of XEP-0045 §7.13 and §8.6.

use crate::features::muc::role::Role;
use crate::features::muc::testkit::*;

fn form(from: &str, fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<message from='{from}' id='yd53c486' to='{COVEN}'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>{fields}</x></message>"
    )
}

fn moderated() -> Given {
    let mut room = room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    room
}

const ASKS: &[(&str, &str)] = &[("muc#role", "participant")];

#[test]
fn section_7_13_and_8_6_moderators_get_a_form_to_approve() {
    let out = moderated().gets(&form(HAG, ASKS));
    let field = |name: &str, kind: &str, label: &str, value: &str| {
        format!("<field var='{name}' type='{kind}' label='{label}'><value>{value}</value></field>")
    };
    let approval = |to: &str| {
        format!(
            "<message from='{COVEN}' to='{to}'><x xmlns='jabber:x:data' type='form'>\
             <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#request</value></field>\
             <title>Voice request</title>{}{}{}{}</x></message>",
            field("muc#role", "list-single", "Requested role", "participant"),
            field("muc#jid", "jid-single", "User ID", HAG),
            field("muc#roomnick", "text-single", "Room Nickname", "thirdwitch"),
            field(
                "muc#request_allow",
                "boolean",
                "Grant voice to this person?",
                "false"
            ),
        )
    };
    out.is(&[&approval(CRONE), &approval(WICCA)]);
}

#[test]
fn section_8_6_an_approved_request_gives_voice() {
    let mut room = moderated();
    let answer = |allow| {
        [
            ("muc#role", "participant"),
            ("muc#jid", HAG),
            ("muc#roomnick", "thirdwitch"),
            ("muc#request_allow", allow),
        ]
    };
    room.gets(&form(CRONE, &answer("false"))).is_nothing();
    let out = room.gets(&form(CRONE, &answer("true")));
    assert!(out.to(WICCA)[0].contains("role='participant'"));
    assert_eq!(
        room.room().occupants().get("thirdwitch").unwrap().role,
        Role::Participant
    );
    // A second moderator's approval is nothing new.
    room.gets(&form(WICCA, &answer("true"))).is_nothing();
}

#[test]
fn m08_nobody_approves_themselves_or_somebody_who_has_the_nick_now() {
    let mut room = moderated();
    let answer = |jid| {
        [
            ("muc#jid", jid),
            ("muc#roomnick", "thirdwitch"),
            ("muc#request_allow", "1"),
        ]
    };
    assert_eq!(room.gets(&form(HAG, &answer(HAG))).refusal(), "forbidden");
    assert_eq!(
        room.gets(&form(CRONE, &answer(HECATE))).refusal(),
        "item-not-found"
    );
}

#[test]
fn voice_is_asked_for_by_those_who_have_none() {
    let mut room = moderated();
    assert_eq!(room.gets(&form(CRONE, ASKS)).refusal(), "not-acceptable");
    assert_eq!(room.gets(&form(HECATE, ASKS)).refusal(), "not-acceptable");
    let moderator = [("muc#role", "moderator")];
    assert_eq!(room.gets(&form(HAG, &moderator)).refusal(), "bad-request");
    let mut room = empty_room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    assert_eq!(
        room.gets(&form(HAG, ASKS)).refusal(),
        "recipient-unavailable"
    );
}
