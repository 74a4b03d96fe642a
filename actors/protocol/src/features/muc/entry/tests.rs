//! Rules of [`super`], with the examples of XEP-0045 §7.2 and §7.6.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::role::Role;
use crate::features::muc::testkit::*;

const X: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";
const USER: &str = "http://jabber.org/protocol/muc#user";

fn join(session: &str, nick: &str) -> String {
    format!("<presence from='{session}' id='n13mt3l' to='{COVEN}/{nick}'>{X}</presence>")
}

/// What an occupant's presence says, as somebody gets it.
fn presence(nick: &str, to: &str, item: &str, codes: &[u16]) -> String {
    let codes: String = codes
        .iter()
        .map(|code| format!("<status code='{code}'/>"))
        .collect();
    format!(
        "<presence from='{COVEN}/{nick}' to='{to}'><x xmlns='{USER}'><item {item}/>{codes}</x></presence>"
    )
}

fn refused(nick: &str, error: &str) -> String {
    format!(
        "<presence from='{COVEN}/{nick}' id='n13mt3l' to='{HAG}' type='error'>{X}\
         <error by='{COVEN}' type='{}'><{} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
        error.split(' ').next().unwrap(),
        error.split(' ').nth(1).unwrap()
    )
}

const EMPTY_SUBJECT: &str = "<message from='coven@chat.shakespeare.lit' to='hag66@shakespeare.lit/pda' type='groupchat'><subject/></message>";

#[test]
fn section_7_2_2_who_enters_gets_all_others_then_themselves_then_the_subject() {
    let mut room = room().config(|config| config.archived = false);
    let out = room.gets(&join(HAG, "thirdwitch"));
    let own = presence(
        "thirdwitch",
        HAG,
        &format!("affiliation='none' jid='{HAG}' role='participant'"),
        &[110],
    );
    out.gives(
        HAG,
        &[
            &presence(
                "firstwitch",
                HAG,
                "affiliation='owner' role='moderator'",
                &[],
            ),
            &presence(
                "secondwitch",
                HAG,
                "affiliation='admin' role='moderator'",
                &[],
            ),
            &own.replace("<presence ", "<presence id='n13mt3l' "),
            EMPTY_SUBJECT,
        ],
    );
    // §7.2.4: moderators see who it is.
    for other in [CRONE, WICCA] {
        let item = format!("affiliation='none' jid='{HAG}' role='participant'");
        out.gives(other, &[&presence("thirdwitch", other, &item, &[])]);
    }
}

#[test]
fn section_7_2_1_without_nick_the_address_is_malformed() {
    let mut room = room();
    let out = room.gets(&format!(
        "<presence from='{HAG}' id='273hs51g' to='{COVEN}'>{X}</presence>"
    ));
    out.is(&[&format!(
        "<presence from='{COVEN}' id='273hs51g' to='{HAG}' type='error'>{X}\
         <error by='{COVEN}' type='modify'><jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    )]);
}

#[test]
fn section_7_2_3_a_non_anonymous_room_shows_and_warns() {
    let mut room = room().config(|config| config.non_anonymous = true);
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&join(HECATE, "hecate"));
    let item = format!("affiliation='none' jid='{HECATE}' role='participant'");
    out.gives(HAG, &[&presence("hecate", HAG, &item, &[])]);
    let own = presence("hecate", HECATE, &item, &[100, 110, 170]);
    out.has(&own.replace("<presence ", "<presence id='n13mt3l' "));
}

#[test]
fn section_7_2_4_a_semi_anonymous_room_shows_addresses_to_moderators_only() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&join(HECATE, "hecate"));
    let hidden = "affiliation='none' role='participant'";
    out.gives(HAG, &[&presence("hecate", HAG, hidden, &[])]);
    let shown = format!("affiliation='none' jid='{HECATE}' role='participant'");
    out.gives(CRONE, &[&presence("hecate", CRONE, &shown, &[])]);
}

#[test]
fn section_7_2_5_a_password_is_asked_for_and_accepted() {
    let mut room = room().config(|config| config.password = Some("cauldronburn".into()));
    room.gets(&join(HAG, "thirdwitch"))
        .is(&[&refused("thirdwitch", "auth not-authorized")]);
    let with = |password: &str| {
        join(HAG, "thirdwitch").replace(
            X,
            &format!(
                "<x xmlns='http://jabber.org/protocol/muc'><password>{password}</password></x>"
            ),
        )
    };
    assert_eq!(room.gets(&with("cauldron")).refusal(), "not-authorized");
    room.gets(&with("cauldronburn"));
    assert!(room.room().occupants().get("thirdwitch").is_some());
}

#[test]
fn section_7_2_6_a_closed_room_is_for_members() {
    let mut room = room().config(|config| config.members_only = true);
    room.gets(&join(HAG, "thirdwitch"))
        .is(&[&refused("thirdwitch", "auth registration-required")]);
    let mut room = room.affiliation("hag66@shakespeare.lit", Affiliation::Member);
    room.enters(HAG, "thirdwitch");
}

#[test]
fn section_7_2_7_the_banned_stay_outside() {
    let mut room = room().affiliation("hag66@shakespeare.lit", Affiliation::Outcast);
    room.gets(&join(HAG, "thirdwitch"))
        .is(&[&refused("thirdwitch", "auth forbidden")]);
    // §9.2: a whole domain can be banned.
    let mut room =
        super::super::testkit::room().affiliation("elsewhere.example", Affiliation::Outcast);
    let out = room.gets(&join("a@elsewhere.example/x", "a"));
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn section_7_2_8_a_nick_has_one_holder() {
    let mut room = room();
    room.gets(&join(HAG, "firstwitch"))
        .is(&[&refused("firstwitch", "cancel conflict")]);
}

#[test]
fn m04_a_nick_in_another_spelling_or_reserved_is_taken() {
    let mut room = room().reserved("hecate@shakespeare.lit", "Hecate");
    for nick in [
        "FirstWitch",
        "FIRSTWITCH",
        "ｆirstwitch",
        "hecate",
        "HECATE",
        " firstwitch",
    ] {
        let out = room.gets(&join(HAG, nick));
        assert_eq!(out.refusal(), "conflict", "{nick}");
    }
    room.enters(HECATE, "Hecate");
}

#[test]
fn m04_an_invisible_or_endless_nick_is_none() {
    let mut room = room();
    assert_eq!(room.gets(&join(HAG, " ")).refusal(), "jid-malformed");
    let long = "x".repeat(200);
    assert_eq!(room.gets(&join(HAG, &long)).refusal(), "policy-violation");
}

#[test]
fn section_7_2_2_a_tidied_nick_is_said_to_be_so() {
    let mut room = room().config(|config| config.archived = false);
    let out = room.gets(&join(HAG, "third  witch"));
    let item = format!("affiliation='none' jid='{HAG}' role='participant'");
    let own = presence("third witch", HAG, &item, &[110, 210]);
    out.has(&own.replace("<presence ", "<presence id='n13mt3l' "));
}

#[test]
fn section_7_2_8_sessions_of_one_account_share_a_nick() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&join("hag66@shakespeare.lit/tablet", "ThirdWitch"));
    let holder = room.room().occupants().get("thirdwitch").unwrap();
    assert_eq!(holder.sessions.len(), 2);
    assert_eq!(room.room().occupants().len(), 3);
    assert!(!out.to("hag66@shakespeare.lit/tablet").is_empty());
    // What is said goes to both, and both may speak.
    let out = room.says("hag66@shakespeare.lit/tablet", "hi");
    assert_eq!((out.raw.len(), out.encoded), (4, 1));
    assert!(
        out.raw
            .iter()
            .all(|xml| xml.contains("from='coven@chat.shakespeare.lit/thirdwitch'"))
    );
}

#[test]
fn sessions_under_one_nick_are_bounded() {
    let mut room = room().settings(|settings| settings.sessions_per_nick_max = 1);
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&join("hag66@shakespeare.lit/tablet", "thirdwitch"));
    assert_eq!(out.refusal(), "resource-constraint");
}

#[test]
fn section_7_2_9_a_full_room_lets_admins_in_still() {
    let mut room = empty_room().config(|config| config.occupants_max = Some(1));
    room.enters(HECATE, "hecate");
    let out = room.gets(&join(HAG, "thirdwitch"));
    out.is(&[&refused("thirdwitch", "wait service-unavailable")]);
    room.enters(CRONE, "firstwitch");
    // Up to a reasonable number.
    room.settings.occupants_reserve = 1;
    assert_eq!(
        room.gets(&join(WICCA, "secondwitch")).refusal(),
        "service-unavailable"
    );
}

#[test]
fn r18_one_entry_tells_each_occupant_once() {
    let mut room = room();
    for at in 0..50 {
        room.enters(
            &format!("witch{at}@shakespeare.lit/x"),
            &format!("witch{at}"),
        );
    }
    let out = room.gets(&join(HAG, "thirdwitch"));
    // 52 of others for the new one, one for each of them, the new one's own, a subject.
    assert_eq!(out.raw.len(), 52 + 52 + 1 + 1);
    // And of those for others, moderators and all others get one encoding each.
    assert_eq!(out.encoded, 52 + 2 + 1 + 1);
}

#[test]
fn section_7_2_10_a_locked_room_is_not_there() {
    let mut room = no_room();
    room.enters(CRONE, "firstwitch");
    room.gets(&join(HAG, "thirdwitch"))
        .is(&[&refused("thirdwitch", "cancel item-not-found")]);
}

#[test]
fn section_7_2_12_a_room_that_keeps_what_is_said_says_so() {
    let mut room = room();
    let out = room.gets(&join(HAG, "thirdwitch"));
    let item = format!("affiliation='none' jid='{HAG}' role='participant'");
    let own = presence("thirdwitch", HAG, &item, &[110, 170]);
    out.has(&own.replace("<presence ", "<presence id='n13mt3l' "));
}

#[test]
fn section_7_2_17_presence_without_entry_is_a_kick() {
    let mut room = room();
    let out = room.gets(&format!(
        "<presence from='{HAG}' id='ng91xs69' to='{COVEN}/thirdwitch'/>"
    ));
    out.is(&[&format!(
        "<presence from='{COVEN}/thirdwitch' to='{HAG}' type='unavailable'><x xmlns='{USER}'>\
         <item affiliation='none' role='none'><reason>You are not in the room.</reason></item>\
         <status code='110'/><status code='307'/><status code='333'/></x></presence>"
    )]);
}

#[test]
fn section_7_2_1_who_enters_again_hears_everything_again() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room.says(CRONE, "hi");
    let first = room.gets(&join(HAG, "thirdwitch"));
    let second = room.gets(&join(HAG, "thirdwitch"));
    assert_eq!(first.raw, second.raw);
    assert_eq!(first.to(HAG).len(), 5);
    // Nothing is new to the others.
    assert!(first.to(CRONE).is_empty());
}

#[test]
fn section_17_3_presence_of_other_types_neither_enters_nor_leaves() {
    let mut room = room();
    for kind in [
        "probe",
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
    ] {
        room.gets(&format!(
            "<presence from='{HAG}' to='{COVEN}/x' type='{kind}'>{X}</presence>"
        ))
        .is_nothing();
        room.gets(&format!(
            "<presence from='{CRONE}' to='{COVEN}/firstwitch' type='{kind}'/>"
        ))
        .is_nothing();
    }
    assert_eq!(room.room().occupants().len(), 2);
}

#[test]
fn section_7_6_a_new_nick_is_a_departure_and_an_arrival() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&format!(
        "<presence from='{HAG}' id='ifd1c35' to='{COVEN}/oldhag'/>"
    ));
    let gone = |to: &str, codes: &str| {
        format!(
            "<presence from='{COVEN}/thirdwitch' to='{to}' type='unavailable'><x xmlns='{USER}'>\
             <item affiliation='none' jid='{HAG}' nick='oldhag' role='participant'/>{codes}</x></presence>"
        )
    };
    let item = format!("affiliation='none' jid='{HAG}' role='participant'");
    out.gives(
        CRONE,
        &[
            &gone(CRONE, "<status code='303'/>"),
            &presence("oldhag", CRONE, &item, &[]),
        ],
    );
    out.gives(
        HAG,
        &[
            &gone(HAG, "<status code='110'/><status code='303'/>"),
            &presence("oldhag", HAG, &item, &[110]),
        ],
    );
    assert_eq!(
        room.remembered[&crate::testkit::full(HAG)].nick.as_ref(),
        "oldhag"
    );
}

#[test]
fn section_7_6_a_tidied_new_nick_is_said_to_be_so() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&format!("<presence from='{HAG}' to='{COVEN}/old  hag'/>"));
    let item = format!("affiliation='none' jid='{HAG}' role='participant'");
    out.has(&presence("old hag", HAG, &item, &[110, 210]));
}

#[test]
fn section_7_6_a_nick_of_somebody_else_is_refused_and_the_old_one_stays() {
    let mut room = room().reserved("hecate@shakespeare.lit", "hecate");
    room.enters(HAG, "thirdwitch");
    for nick in ["firstwitch", "FirstWitch", "hecate"] {
        let out = room.gets(&format!(
            "<presence from='{HAG}' id='ifd1c35' to='{COVEN}/{nick}'/>"
        ));
        assert_eq!(out.refusal(), "conflict");
    }
    assert!(room.room().occupants().get("thirdwitch").is_some());
}

#[test]
fn the_case_of_ones_own_nick_can_be_changed() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room.gets(&format!("<presence from='{HAG}' to='{COVEN}/ThirdWitch'/>"));
    assert!(room.room().occupants().get("ThirdWitch").is_some());
    assert_eq!(room.room().occupants().len(), 3);
}

#[test]
fn a_session_that_changes_its_nick_leaves_the_others_where_they_are() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room.enters("hag66@shakespeare.lit/tablet", "thirdwitch");
    let out = room.gets(&format!("<presence from='{HAG}' to='{COVEN}/oldhag'/>"));
    assert!(
        out.to(CRONE).iter().all(|xml| !xml.contains("unavailable")),
        "{:?}",
        out.raw
    );
    assert!(room.room().occupants().get("thirdwitch").is_some());
    assert!(room.room().occupants().get("oldhag").is_some());
}

#[test]
fn section_7_6_the_role_stays_with_a_new_nick() {
    let mut room = room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    room.gets(&format!("<presence from='{HAG}' to='{COVEN}/oldhag'/>"));
    assert_eq!(
        room.room().occupants().get("oldhag").unwrap().role,
        Role::Participant
    );
}

#[test]
fn section_7_7_a_new_state_is_passed_along() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let state = "<show>xa</show><status>gone where the goblins go</status>";
    let out = room.gets(&format!(
        "<presence from='{WICCA}' id='kr7v143h' to='{COVEN}/secondwitch'>{state}</presence>"
    ));
    out.gives(
        CRONE,
        &[&format!(
            "<presence from='{COVEN}/secondwitch' to='{CRONE}'>{state}<x xmlns='{USER}'>\
             <item affiliation='admin' jid='{WICCA}' role='moderator'/></x></presence>"
        )],
    );
    out.gives(
        HAG,
        &[&format!(
            "<presence from='{COVEN}/secondwitch' to='{HAG}'>{state}<x xmlns='{USER}'>\
             <item affiliation='admin' role='moderator'/></x></presence>"
        )],
    );
}

#[test]
fn presence_of_hidden_roles_is_seen_by_their_holders_only() {
    let mut room = room().config(|config| {
        config.moderated = true;
        config.presence_broadcast = vec![Role::Moderator, Role::Participant];
    });
    let out = room.gets(&join(HAG, "thirdwitch"));
    assert!(out.to(CRONE).is_empty());
    assert!(out.to(HAG).iter().any(|xml| xml.contains("code='110'")));
    // With voice they come into sight, without it they go out of it.
    let out = room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    assert!(out.to(WICCA)[0].contains("role='participant'"));
    let out = room.admin(CRONE, "<item nick='thirdwitch' role='visitor'/>");
    assert!(out.to(WICCA)[0].contains("type='unavailable'"));
}
