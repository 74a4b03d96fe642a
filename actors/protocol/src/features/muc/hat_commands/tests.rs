//! Rules of [`super`] and of [`super::super::hats`], with the examples of XEP-0317.

use crate::features::muc::testkit::*;

const TEACHER: &str = "http://tech.example.edu/hats#Teacher";

fn command(from: &str, node: &str, inner: &str) -> String {
    format!(
        "<iq from='{from}' id='gd53a2b6' to='{COVEN}' type='set'>\
         <command xmlns='http://jabber.org/protocol/commands' action='execute' sessionid='A971'\
         \n node='urn:xmpp:hats:commands:{node}'>{inner}</command></iq>"
    )
}

fn submit(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='hats#{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'>\
         <value>urn:xmpp:hats:commands</value></field>{fields}</x>"
    )
}

fn done(node: &str) -> String {
    format!(
        "<iq from='{COVEN}' id='gd53a2b6' to='{CRONE}' type='result'>\
         <command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{node}'\
         \n sessionid='A971' status='completed'/></iq>"
    )
}

fn creates(room: &mut Given, title: &str) -> Out {
    let form = submit(&[("title", title), ("uri", TEACHER), ("hue", "327.255249")]);
    room.gets(&command(CRONE, "create", &form))
}

fn assigns(room: &mut Given) -> Out {
    let form = submit(&[("jid", "hag66@shakespeare.lit"), ("uri", TEACHER)]);
    room.gets(&command(CRONE, "assign", &form))
}

fn with_hag() -> Given {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room
}

#[test]
fn section_4_2_a_hat_is_created_and_the_room_is_told() {
    let mut room = with_hag();
    let out = room.gets(&command(CRONE, "create", ""));
    assert!(out.raw[0].contains("status='executing'") && out.raw[0].contains("hats#title"));
    let out = creates(&mut room, "Teacher");
    out.has(&done("create"));
    out.gives(
        HAG,
        &[&format!(
            "<message from='{COVEN}' to='{HAG}' type='groupchat'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>"
        )],
    );
}

#[test]
fn section_4_1_and_4_5_an_assigned_hat_is_on_the_presence() {
    let mut room = with_hag();
    creates(&mut room, "Teacher");
    let out = assigns(&mut room);
    out.has(&done("assign"));
    out.has(&format!(
        "<presence from='{COVEN}/thirdwitch' to='{WICCA}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' jid='{HAG}' role='participant'/></x>\
         <hats xmlns='urn:xmpp:hats:0'><hat title='Teacher' uri='{TEACHER}' hue='327.255249'/></hats></presence>"
    ));
    // It is there for who comes later, and after it has been changed.
    let out = room.enters(HECATE, "hecate");
    assert!(
        out.to(HECATE)
            .iter()
            .any(|xml| xml.contains("title='Teacher'"))
    );
    let out = creates(&mut room, "Professor");
    assert!(out.to(WICCA)[0].contains("title='Professor'"));
}

#[test]
fn section_4_3_and_4_6_hats_are_taken_off_and_destroyed() {
    let mut room = with_hag();
    creates(&mut room, "Teacher");
    assigns(&mut room);
    let form = submit(&[("jid", "hag66@shakespeare.lit"), ("uri", TEACHER)]);
    let out = room.gets(&command(CRONE, "unassign", &form));
    out.has(&done("unassign"));
    assert!(!out.to(WICCA)[0].contains("<hats"));
    assigns(&mut room);
    let out = room.gets(&command(CRONE, "destroy", &submit(&[("uri", TEACHER)])));
    out.has(&done("destroy"));
    assert!(!out.to(WICCA)[0].contains("<hats"));
    assert!(room.room().record().hats.worn.is_empty());
    assert_eq!(assigns(&mut room).refusal(), "item-not-found");
}

#[test]
fn section_4_4_and_4_7_hats_are_listed() {
    let mut room = with_hag();
    creates(&mut room, "Teacher");
    assigns(&mut room);
    let out = room.gets(&command(HAG, "list", ""));
    assert!(out.raw[0].contains(TEACHER) && out.raw[0].contains("<reported>"));
    let out = room.gets(&command(CRONE, "list-assigned", ""));
    assert!(out.raw[0].contains("hag66@shakespeare.lit"));
    // Who wears what, by address, is not for all.
    let out = room.gets(&command(HAG, "list-assigned", ""));
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn admins_alone_manage_hats_and_a_form_can_be_cancelled() {
    let mut room = with_hag();
    for node in ["create", "destroy", "assign", "unassign"] {
        assert_eq!(
            room.gets(&command(HAG, node, "")).refusal(),
            "forbidden",
            "{node}"
        );
        assert_eq!(room.gets(&command(HECATE, node, "")).refusal(), "forbidden");
    }
    let cancel = command(CRONE, "create", "").replace("action='execute'", "action='cancel'");
    assert!(room.gets(&cancel).raw[0].contains("status='canceled'"));
    let other = command(CRONE, "other", "");
    assert_eq!(room.gets(&other).refusal(), "item-not-found");
}

#[test]
fn r13_an_admin_of_the_same_name_elsewhere_runs_no_command() {
    let out = room().gets(&command("crone1@evil.example/x", "create", ""));
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn m09_hats_are_bounded_and_well_formed() {
    let mut room = with_hag().settings(|settings| settings.hats_max = 1);
    creates(&mut room, "Teacher");
    let second = submit(&[("title", "x"), ("uri", "urn:x")]);
    let out = room.gets(&command(CRONE, "create", &second));
    assert_eq!(out.refusal(), "resource-constraint");
    // The first one can still be changed.
    creates(&mut room, "Professor").has(&done("create"));
    for (fields, condition) in [
        (
            vec![("title", "x"), ("uri", TEACHER), ("hue", "red")],
            "bad-request",
        ),
        (
            vec![("title", "x"), ("uri", TEACHER), ("hue", "400")],
            "bad-request",
        ),
        (vec![("title", "x")], "bad-request"),
        (vec![("uri", TEACHER)], "bad-request"),
    ] {
        let out = room.gets(&command(CRONE, "create", &submit(&fields)));
        assert_eq!(out.refusal(), condition, "{fields:?}");
    }
    let long = "x".repeat(2_000);
    let out = room.gets(&command(
        CRONE,
        "create",
        &submit(&[("title", &long), ("uri", TEACHER)]),
    ));
    assert_eq!(out.refusal(), "policy-violation");
}
