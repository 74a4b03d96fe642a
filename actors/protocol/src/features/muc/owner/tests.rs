//! Rules of [`super`], with the examples of XEP-0045 §10.1, §10.2 and §10.9.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::facts::Creator;
use crate::features::muc::room::Room;
use crate::features::muc::testkit::*;
use crate::testkit::{bare, full, parse};
use std::time::Duration;

const USER: &str = "http://jabber.org/protocol/muc#user";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

fn created() -> Given {
    let mut room = no_room();
    room.enters(CRONE, "firstwitch");
    room
}

fn owner(from: &str, kind: &str, inner: &str) -> String {
    format!(
        "<iq from='{from}' id='create1' to='{COVEN}' type='{kind}'><query xmlns='{OWNER}'>{inner}</query></iq>"
    )
}

fn done(to: &str) -> String {
    format!("<iq from='{COVEN}' id='create1' to='{to}' type='result'/>")
}

const INSTANT: &str = "<x xmlns='jabber:x:data' type='submit'/>";
const CANCEL: &str = "<x xmlns='jabber:x:data' type='cancel'/>";

#[test]
fn section_10_1_1_who_enters_first_owns_the_room() {
    let mut room = no_room();
    room.archive = false;
    let out = room.gets(&format!(
        "<presence from='{CRONE}' to='{COVEN}/firstwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ));
    out.is(&[
        &format!(
            "<presence from='{COVEN}/firstwitch' to='{CRONE}'><x xmlns='{USER}'>\
             <item affiliation='owner' jid='{CRONE}' role='moderator'/>\
             <status code='110'/><status code='201'/></x></presence>"
        ),
        &format!("<message from='{COVEN}' to='{CRONE}' type='groupchat'><subject/></message>"),
    ]);
    assert!(room.room().is_locked());
}

#[test]
fn section_10_1_1_creation_can_be_restricted_and_is_bounded() {
    let presence = parse(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ));
    let create = |given: &Given, creator: Creator| {
        let settings = given.settings.clone();
        let facts = given.facts(&settings);
        let (room, effects) = Room::create(bare(COVEN), &presence, creator, &facts);
        (room.is_some(), effects)
    };
    let restricted = no_room().settings(|settings| settings.restrict_creation = true);
    let (is_made, effects) = create(&restricted, Creator::default());
    assert!(!is_made);
    no_room().does(effects).is(&[&format!(
        "<presence from='{COVEN}/thirdwitch' to='{HAG}' type='error'><x xmlns='http://jabber.org/protocol/muc'/>\
         <error by='{COVEN}' type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    )]);
    let operator = Creator {
        is_operator: true,
        ..Creator::default()
    };
    assert!(create(&restricted, operator).0);
}

#[test]
fn m09_an_account_has_so_many_rooms_and_a_message_makes_none() {
    let given = no_room();
    let settings = given.settings.clone();
    let facts = given.facts(&settings);
    let enter = |rooms| {
        let presence = format!(
            "<presence from='{HAG}' to='{COVEN}/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        let creator = Creator {
            rooms,
            is_operator: false,
        };
        Room::create(bare(COVEN), &parse(&presence), creator, &facts)
    };
    assert!(enter(499).0.is_some());
    let (room, effects) = enter(500);
    assert!(room.is_none());
    assert_eq!(no_room().does(effects).refusal(), "resource-constraint");
    for stanza in [
        format!("<message from='{HAG}' to='{COVEN}' type='groupchat'><body>hi</body></message>"),
        owner(HAG, "get", ""),
        format!("<presence from='{HAG}' to='{COVEN}/x'/>"),
        format!("<presence from='{HAG}' to='{COVEN}' type='unavailable'/>"),
        format!(
            "<presence from='{HAG}' to='{COVEN}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ),
    ] {
        let mut given = no_room();
        given.gets(&stanza);
        assert!(given.room.is_none(), "{stanza}");
    }
}

#[test]
fn m09_a_room_whose_creator_goes_before_it_is_configured_is_forgotten() {
    let mut room = created();
    room.gets(&format!(
        "<presence from='{CRONE}' to='{COVEN}/firstwitch' type='unavailable'/>"
    ))
    .is(&[&format!(
        "<presence from='{COVEN}/firstwitch' to='{CRONE}' type='unavailable'><x xmlns='{USER}'>\
         <item affiliation='owner' role='none'/><status code='110'/><destroy/></x></presence>"
    )]);
    assert!(room.vanished);
}

#[test]
fn section_10_1_3_a_room_ends_with_the_last_session_of_its_owner_and_not_before() {
    let mut room = created();
    room.enters("crone1@shakespeare.lit/tablet", "firstwitch");
    let leaves = |from: &str| {
        format!("<presence from='{from}' to='{COVEN}/firstwitch' type='unavailable'/>")
    };
    let out = room.gets(&leaves(CRONE));
    assert!(!out.raw[0].contains("destroy") && !room.vanished);
    let effects = room.room_mut().gone(&full("crone1@shakespeare.lit/tablet"));
    let out = room.does(effects);
    assert!(out.raw[0].contains("<status code='333'/><destroy/>") && room.vanished);
}

#[test]
fn section_18_1_who_is_elsewhere_is_told_of_the_forms_lists_too() {
    let mut room = room();
    let out = room.configures(
        CRONE,
        &[("muc#roomconfig_roomadmins", "hecate@shakespeare.lit")],
    );
    out.has(&format!(
        "<message from='{COVEN}' to='hecate@shakespeare.lit'><x xmlns='{USER}'>\
         <item affiliation='admin' role='none'/><status code='101'/></x></message>"
    ));
}

#[test]
fn section_10_1_2_an_instant_room_is_unlocked() {
    let mut room = created();
    room.gets(&owner(CRONE, "set", INSTANT)).is(&[&done(CRONE)]);
    assert!(!room.room().is_locked());
    room.enters(HAG, "thirdwitch");
}

#[test]
fn section_10_1_3_a_reserved_room_is_configured_before_others_enter() {
    let mut room = created();
    let out = room.gets(&owner(CRONE, "get", ""));
    assert!(out.raw[0].contains("muc#roomconfig_roomname"));
    assert!(room.room().is_locked());
    let out = room.configures(
        CRONE,
        &[
            ("muc#roomconfig_roomname", "A Dark Cave"),
            ("muc#roomconfig_roomdesc", "The place for all good witches!"),
            ("muc#roomconfig_enablelogging", "0"),
            ("muc#roomconfig_changesubject", "1"),
            ("muc#roomconfig_allowinvites", "0"),
            ("muc#roomconfig_allowpm", "anyone"),
            ("muc#roomconfig_maxusers", "10"),
            ("muc#roomconfig_publicroom", "0"),
            ("muc#roomconfig_persistentroom", "0"),
            ("muc#roomconfig_moderatedroom", "0"),
            ("muc#roomconfig_membersonly", "0"),
            ("muc#roomconfig_passwordprotectedroom", "1"),
            ("muc#roomconfig_roomsecret", "cauldronburn"),
            ("muc#roomconfig_whois", "moderators"),
            ("muc#maxhistoryfetch", "50"),
            ("muc#roomconfig_roomadmins", "wiccarocks@shakespeare.lit"),
        ],
    );
    out.has(&format!(
        "<iq from='{COVEN}' id='config1' to='{CRONE}' type='result'/>"
    ));
    let record = room.room().record();
    assert!(!room.room().is_locked());
    assert_eq!(record.config.password.as_deref(), Some("cauldronburn"));
    assert_eq!(record.config.occupants_max, Some(10));
    assert_eq!(
        record.affiliation(&bare("wiccarocks@shakespeare.lit")),
        Affiliation::Admin
    );
}

#[test]
fn section_10_1_1_a_cancelled_room_never_was() {
    let mut room = created();
    let out = room.gets(&owner(CRONE, "set", CANCEL));
    out.has(&done(CRONE));
    assert!(out.to(CRONE)[1].contains("unavailable"));
    assert!(room.vanished);
}

#[test]
fn section_10_1_1_an_owner_who_says_nothing_accepts_the_defaults() {
    let mut room = created();
    let tick = |room: &mut Given| {
        let settings = room.settings.clone();
        let facts = room.facts(&settings);
        let effects = room.room().tick(&facts);
        room.does(effects);
    };
    room.now = room.now.plus(Duration::from_secs(299));
    tick(&mut room);
    assert!(room.room().is_locked());
    room.now = room.now.plus(Duration::from_secs(1));
    tick(&mut room);
    assert!(!room.room().is_locked());
    room.enters(HAG, "thirdwitch");
}

#[test]
fn section_10_2_the_form_is_for_owners_and_a_cancelled_one_changes_nothing() {
    let mut room = room();
    for stanza in [
        owner(WICCA, "get", ""),
        owner(WICCA, "set", INSTANT),
        owner(HAG, "get", ""),
    ] {
        assert_eq!(room.gets(&stanza).refusal(), "forbidden");
    }
    let before = room.room().record().clone();
    room.gets(&owner(CRONE, "set", CANCEL)).is(&[&done(CRONE)]);
    assert_eq!(*room.room().record(), before);
}

#[test]
fn section_10_2_1_each_change_has_its_code() {
    let code = |out: &Out| {
        let told: Vec<String> = out.to(WICCA).iter().map(|xml| normal(xml)).collect();
        told.join(" ")
    };
    let mut room = room();
    for (field, value, codes) in [
        ("muc#roomconfig_enablelogging", "0", vec![171]),
        ("muc#roomconfig_enablelogging", "1", vec![170]),
        ("muc#roomconfig_whois", "anyone", vec![172]),
        ("muc#roomconfig_whois", "moderators", vec![173]),
        ("muc#roomconfig_roomname", "A Dark Cave", vec![104]),
    ] {
        let out = room.configures(CRONE, &[(field, value)]);
        let told = code(&out);
        for known in [104, 170, 171, 172, 173] {
            let is_told = told.contains(&format!("code='{known}'"));
            assert_eq!(is_told, codes.contains(&known), "{field}: {told}");
        }
    }
    let out = room.configures(CRONE, &[("muc#roomconfig_whois", "anyone")]);
    out.gives(
        WICCA,
        &[&format!(
            "<message from='{COVEN}' to='{WICCA}' type='groupchat'><x xmlns='{USER}'><status code='172'/></x></message>"
        )],
    );
    // The same form again changes nothing and is told to nobody.
    let out = room.configures(CRONE, &[("muc#roomconfig_whois", "anyone")]);
    assert_eq!(out.raw.len(), 1);
}

#[test]
fn section_10_2_strangers_leave_a_room_that_closes() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let out = room.configures(CRONE, &[("muc#roomconfig_membersonly", "1")]);
    let gone = |to: &str, codes: &str| {
        format!(
            "<presence from='{COVEN}/thirdwitch' to='{to}' type='unavailable'><x xmlns='{USER}'>\
             <item affiliation='none' jid='{HAG}' role='none'/>{codes}</x></presence>"
        )
    };
    out.has(&gone(HAG, "<status code='110'/><status code='322'/>"));
    out.has(&gone(WICCA, "<status code='322'/>"));
    assert_eq!(room.room().occupants().len(), 2);
}

#[test]
fn section_10_2_the_forms_lists_are_told_like_any_change() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let lists = |owners: &'static str| [("muc#roomconfig_roomowners", owners)];
    // The last owner stays.
    let out = room.configures(CRONE, &lists(""));
    assert_eq!(out.refusal(), "conflict");
    let out = room.configures(CRONE, &lists("hag66@shakespeare.lit"));
    let of = |nick: &str, to: &str, item: &str| {
        format!(
            "<presence from='{COVEN}/{nick}' to='{to}'><x xmlns='{USER}'><item {item}/></x></presence>"
        )
    };
    out.has(&of(
        "thirdwitch",
        WICCA,
        &format!("affiliation='owner' jid='{HAG}' role='moderator'"),
    ));
    out.has(&of(
        "firstwitch",
        WICCA,
        &format!("affiliation='admin' jid='{CRONE}' role='moderator'"),
    ));
    let out = room.configures(
        HAG,
        &[("muc#roomconfig_roomadmins", "crone1@shakespeare.lit")],
    );
    out.has(&of(
        "secondwitch",
        HAG,
        &format!("affiliation='member' jid='{WICCA}' role='participant'"),
    ));
}

#[test]
fn section_10_9_a_destroyed_room_tells_each_occupant_once_where_to_go() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let destroy =
        "<destroy jid='heath@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy>";
    let out = room.gets(&owner(CRONE, "set", destroy));
    let gone = |nick: &str, to: &str| {
        format!(
            "<presence from='{COVEN}/{nick}' to='{to}' type='unavailable'><x xmlns='{USER}'>\
             <item affiliation='none' role='none'/>{destroy}</x></presence>"
        )
    };
    out.is(&[
        &gone("firstwitch", CRONE),
        &gone("secondwitch", WICCA),
        &gone("thirdwitch", HAG),
        &done(CRONE),
    ]);
    assert!(room.vanished && room.remembered.is_empty());
}

#[test]
fn section_10_9_owners_alone_destroy() {
    let mut room = room();
    let destroy =
        "<destroy jid='heath@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy>";
    let out = room.gets(&owner(WICCA, "set", destroy));
    out.is(&[&format!(
        "<iq from='{COVEN}' id='create1' to='{WICCA}' type='error'><query xmlns='{OWNER}'>{destroy}</query>\
         <error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )]);
    let out = room.gets(&owner(CRONE, "set", "<destroy jid='@'/>"));
    assert_eq!(out.refusal(), "jid-malformed");
}

#[test]
fn an_operator_ends_a_room() {
    let mut room = room();
    let effects = room.room_mut().destroy_by_operator(Some("Moved"));
    let out = room.does(effects);
    assert_eq!(out.raw.len(), 2);
    assert!(out.raw[0].contains("<destroy><reason>Moved</reason></destroy>"));
    assert!(room.vanished);
}

#[test]
fn defaults_that_could_not_be_saved_are_told_to_nobody_and_tried_again() {
    let mut room = created();
    room.now = room.now.plus(Duration::from_secs(300));
    room.store_fails = Some(crate::stanza::StanzaError::resource_constraint());
    let settings = room.settings.clone();
    let facts = room.facts(&settings);
    let effects = room.room().tick(&facts);
    room.does(effects).is_nothing();
    assert!(room.room().is_locked());
    assert_eq!(room.room().tick(&facts).len(), 1);
}

#[test]
fn a_new_room_is_as_the_operator_wants_new_rooms() {
    let mut room = no_room().settings(|settings| settings.new_rooms.members_only = true);
    room.enters(CRONE, "firstwitch");
    room.gets(&owner(CRONE, "set", INSTANT));
    assert!(room.room().record().config.members_only);
    assert!(!created().room().record().config.members_only);
}
