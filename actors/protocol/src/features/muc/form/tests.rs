//! Rules of [`super`], with the form of XEP-0045 §10.1.3.

use crate::features::data_forms;
use crate::features::muc::config::{Config, PrivateMessages};
use crate::features::muc::role::Role;
use crate::features::muc::testkit::*;
use crate::testkit::parse;
use crate::xml::Element;

/// The form the owner gets.
fn offered(room: &mut Given) -> Element {
    let out = room.gets(&format!(
        "<iq from='{CRONE}' id='create1' to='{COVEN}' type='get'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'/></iq>"
    ));
    let query = parse(&out.raw[0]).payloads().elements().next().unwrap();
    query.find("x", data_forms::NS).unwrap().clone()
}

#[test]
fn section_10_1_3_the_form_offers_every_registered_field_of_use() {
    let form = offered(&mut room());
    for name in [
        "muc#maxhistoryfetch",
        "muc#roomconfig_allowpm",
        "muc#roomconfig_allowinvites",
        "muc#roomconfig_changesubject",
        "muc#roomconfig_enablelogging",
        "muc#roomconfig_getmemberlist",
        "muc#roomconfig_lang",
        "muc#roomconfig_maxusers",
        "muc#roomconfig_membersonly",
        "muc#roomconfig_moderatedroom",
        "muc#roomconfig_passwordprotectedroom",
        "muc#roomconfig_persistentroom",
        "muc#roomconfig_presencebroadcast",
        "muc#roomconfig_publicroom",
        "muc#roomconfig_roomadmins",
        "muc#roomconfig_roomdesc",
        "muc#roomconfig_roomname",
        "muc#roomconfig_roomowners",
        "muc#roomconfig_roomsecret",
        "muc#roomconfig_whois",
    ] {
        let mut fields = form
            .children()
            .filter(|field| field.get("var") == Some(name));
        assert!(fields.next().is_some(), "{name}");
        assert!(fields.next().is_none(), "{name}");
    }
}

#[test]
fn a_form_sent_back_as_it_came_changes_nothing() {
    let mut room = room().config(|config| {
        config.name = "A Dark Cave".into();
        config.password = Some("cauldronburn".into());
        config.occupants_max = Some(20);
        config.member_list = vec![Role::Moderator];
    });
    let before = room.room().record().clone();
    let form = offered(&mut room).attr("type", "submit");
    let form = String::from_utf8(form.to_bytes().to_vec()).unwrap();
    let out = room.gets(&format!(
        "<iq from='{CRONE}' id='create2' to='{COVEN}' type='set'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query></iq>"
    ));
    assert_eq!(out.raw.len(), 1, "{:?}", out.raw);
    assert_eq!(room.room().record().config, before.config);
    assert_eq!(room.room().record().affiliations, before.affiliations);
}

#[test]
fn conversations_makes_a_private_group_and_a_public_channel_by_its_own_form() {
    let mut room = room();
    room.configures(
        CRONE,
        &[
            ("muc#roomconfig_persistentroom", "1"),
            ("muc#roomconfig_membersonly", "1"),
            ("muc#roomconfig_publicroom", "0"),
            ("muc#roomconfig_whois", "anyone"),
            ("muc#roomconfig_changesubject", "0"),
            ("muc#roomconfig_allowinvites", "0"),
            ("muc#roomconfig_enablearchiving", "1"),
            ("mam", "1"),
            ("muc#roomconfig_mam", "1"),
        ],
    );
    let config = &room.room().record().config;
    assert!(config.persistent && config.members_only && config.non_anonymous);
    assert!(!config.public && !config.allow_invites);
}

#[test]
fn values_that_are_none_are_bad_requests_and_change_nothing() {
    let mut room = room();
    for (name, value, condition) in [
        ("muc#roomconfig_whois", "nobody", "bad-request"),
        ("muc#roomconfig_allowpm", "some", "bad-request"),
        ("muc#roomconfig_membersonly", "perhaps", "bad-request"),
        ("muc#roomconfig_maxusers", "-1", "bad-request"),
        ("muc#maxhistoryfetch", "many", "bad-request"),
        ("muc#roomconfig_presencebroadcast", "king", "bad-request"),
        ("muc#roomconfig_roomowners", "@", "jid-malformed"),
        (
            "muc#roomconfig_passwordprotectedroom",
            "1",
            "not-acceptable",
        ),
    ] {
        let out = room.configures(CRONE, &[(name, value)]);
        assert_eq!(out.refusal(), condition, "{name}");
    }
    assert_eq!(room.room().record().config, Config::default());
}

#[test]
fn m09_what_an_owner_writes_has_a_length() {
    let mut room = room();
    let long = "x".repeat(5_000);
    for name in [
        "muc#roomconfig_roomname",
        "muc#roomconfig_roomdesc",
        "muc#roomconfig_lang",
        "muc#roomconfig_roomsecret",
    ] {
        let out = room.configures(CRONE, &[(name, &long)]);
        assert_eq!(out.refusal(), "policy-violation", "{name}");
    }
}

#[test]
fn choices_are_read() {
    let mut room = room();
    room.configures(
        CRONE,
        &[
            ("muc#roomconfig_allowpm", "moderators"),
            ("muc#roomconfig_presencebroadcast", "moderator"),
            ("muc#roomconfig_maxusers", "0"),
            ("muc#maxhistoryfetch", "1000000"),
            ("{urn:klatsch:muc}registration", "0"),
        ],
    );
    let config = &room.room().record().config;
    assert_eq!(config.private_messages, PrivateMessages::Moderators);
    assert_eq!(config.presence_broadcast, [Role::Moderator]);
    assert_eq!((config.occupants_max, config.history_max), (None, 100));
    assert!(!config.registration);
}

#[test]
fn whoever_is_in_both_lists_is_an_owner() {
    use crate::features::muc::affiliation::Affiliation;
    let mut room = room();
    let both = [("muc#roomconfig_roomadmins", "crone1@shakespeare.lit")];
    room.configures(CRONE, &both);
    let owners = room.room().record().affiliates(Affiliation::Owner);
    assert_eq!(owners.count(), 1);
}

#[test]
fn another_forms_answer_is_refused() {
    let out = room().gets(&format!(
        "<iq from='{CRONE}' id='create2' to='{COVEN}' type='set'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>other</value></field></x></query></iq>"
    ));
    assert_eq!(out.refusal(), "bad-request");
}
