//! Rules of [`super`], with the examples of XEP-0045 §6.4 to §6.6.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::testkit::*;

fn asks(from: &str, what: &str, node: &str) -> String {
    format!(
        "<iq from='{from}' id='ik3vs715' to='{COVEN}' type='get'>\
         <query xmlns='http://jabber.org/protocol/disco#{what}'{node}/></iq>"
    )
}

#[test]
fn section_6_4_a_room_says_what_it_is_and_can() {
    let mut room = room().config(|config| {
        config.name = "A Dark Cave".into();
        config.description = "The place for all good witches!".into();
        config.password = Some("cauldronburn".into());
        config.persistent = false;
        config.non_anonymous = true;
    });
    let out = room.gets(&asks(HAG, "info", ""));
    let told = &out.raw[0];
    assert!(told.contains("<identity category='conference' name='A Dark Cave' type='text'/>"));
    for feature in [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/muc#stable_id",
        "http://jabber.org/protocol/muc#self-ping-optimization",
        "muc_passwordprotected",
        "muc_hidden",
        "muc_temporary",
        "muc_open",
        "muc_unmoderated",
        "muc_nonanonymous",
        "urn:xmpp:mam:2",
        "urn:xmpp:mam:2#extended",
        "urn:xmpp:sid:0",
        "urn:xmpp:occupant-id:0",
        "urn:xmpp:message-moderate:1",
        "urn:xmpp:message-moderate:0",
        "urn:xmpp:message-retract:1#tombstone",
        "urn:xmpp:hats:0",
        "vcard-temp",
        "jabber:iq:register",
    ] {
        let wanted = format!("<feature var='{feature}'/>");
        assert_eq!(told.matches(&wanted).count(), 1, "{feature} in {told}");
    }
    for (name, value) in [
        (
            "muc#roominfo_description",
            "The place for all good witches!",
        ),
        ("muc#roominfo_occupants", "2"),
        ("muc#roomconfig_changesubject", "1"),
        ("muc#maxhistoryfetch", "20"),
    ] {
        let wanted = format!("<field var='{name}'><value>{value}</value></field>");
        assert!(told.contains(&wanted), "{name} in {told}");
    }
    // No owner's address is in it, nor the password.
    assert!(
        !told.contains("crone1@") && !told.contains("cauldronburn"),
        "{told}"
    );
}

#[test]
fn the_subject_is_in_it_and_no_archive_where_there_is_none() {
    let mut room = room();
    room.gets(&format!(
        "<message from='{CRONE}' to='{COVEN}' type='groupchat'><subject>Spells</subject></message>"
    ));
    room.archive = false;
    let told = room.gets(&asks(HAG, "info", "")).raw.remove(0);
    assert!(
        told.contains("<field var='muc#roominfo_subject'><value>Spells</value></field>"),
        "{told}"
    );
    assert!(!told.contains("urn:xmpp:mam:2"));
}

#[test]
fn m03_who_is_inside_is_seen_inside_and_where_the_room_is_public() {
    let items = |room: &mut Given, by: &str| {
        let out = room.gets(&asks(by, "items", ""));
        out.raw[0].matches("<item ").count()
    };
    let mut room = room();
    assert_eq!(items(&mut room, HAG), 0);
    assert_eq!(items(&mut room, CRONE), 2);
    let mut room = room.config(|config| config.public = true);
    assert_eq!(items(&mut room, HAG), 2);
    let mut closed = room.config(|config| config.members_only = true);
    assert_eq!(items(&mut closed, HAG), 0);
    let mut banned = closed
        .config(|config| config.members_only = false)
        .affiliation("hag66@shakespeare.lit", Affiliation::Outcast);
    assert_eq!(items(&mut banned, HAG), 0);
}

#[test]
fn section_6_5_occupants_are_listed_by_their_nicks() {
    let out = room().gets(&asks(CRONE, "items", ""));
    out.is(&[&format!(
        "<iq from='{COVEN}' id='ik3vs715' to='{CRONE}' type='result'>\
         <query xmlns='http://jabber.org/protocol/disco#items'>\
         <item jid='{COVEN}/firstwitch'/><item jid='{COVEN}/secondwitch'/></query></iq>"
    )]);
}

#[test]
fn section_18_1_1_all_traffic_passes() {
    let node = " node='http://jabber.org/protocol/muc#traffic'";
    assert_eq!(
        room().gets(&asks(HAG, "info", node)).refusal(),
        "service-unavailable"
    );
    assert_eq!(
        room().gets(&asks(HAG, "info", " node='x'")).refusal(),
        "item-not-found"
    );
    assert_eq!(
        room().gets(&asks(HAG, "items", " node='x'")).refusal(),
        "item-not-found"
    );
}

#[test]
fn commands_are_listed_for_those_who_may_use_them() {
    let node = " node='http://jabber.org/protocol/commands'";
    let count = |by| {
        let out = room().gets(&asks(by, "items", node));
        out.raw[0].matches("urn:xmpp:hats:commands:").count()
    };
    assert_eq!((count(HAG), count(CRONE)), (0, 6));
    let one = " node='urn:xmpp:hats:commands:create'";
    let out = room().gets(&asks(CRONE, "info", one));
    assert!(out.raw[0].contains("type='command-node'"));
}

#[test]
fn what_the_room_does_not_know_is_unavailable() {
    let out = room().gets(&format!(
        "<iq from='{HAG}' id='1' to='{COVEN}' type='get'><query xmlns='any'/></iq>"
    ));
    assert_eq!(out.refusal(), "service-unavailable");
    let out = room().gets(&format!(
        "<iq from='{HAG}' id='1' to='{COVEN}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
    out.is(&[&format!(
        "<iq from='{COVEN}' id='1' to='{HAG}' type='result'/>"
    )]);
    assert_eq!(
        to_no_room(&asks(HAG, "info", "")).refusal(),
        "item-not-found"
    );
}
