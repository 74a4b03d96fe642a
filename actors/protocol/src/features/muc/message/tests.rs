//! Rules of [`super`], with the examples of XEP-0045 §7.4, §7.5 and §8.1.

use crate::features::muc::config::PrivateMessages;
use crate::features::muc::testkit::*;
use crate::stanza::StanzaError;

const USER: &str = "http://jabber.org/protocol/muc#user";

fn with_hag() -> Given {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room
}

fn line(id: &str) -> String {
    format!(
        "<message from='{HAG}' id='{id}' to='{COVEN}' type='groupchat'><body>Harpier cries: &apos;tis time, &apos;tis time.</body></message>"
    )
}

#[test]
fn section_7_4_a_message_is_reflected_to_everybody_with_its_id() {
    let mut room = with_hag();
    let out = room.gets(&line("hysf1v37"));
    let reflected = |to: &str| {
        line("hysf1v37")
            .replace(&format!("to='{COVEN}'"), &format!("to='{to}'"))
            .replace(
                &format!("from='{HAG}'"),
                &format!("from='{COVEN}/thirdwitch'"),
            )
    };
    out.is(&[&reflected(CRONE), &reflected(HAG), &reflected(WICCA)]);
    assert_eq!(out.encoded, 1);
    assert_eq!(room.log.len(), 1);
    assert!(out.raw[0].contains(&format!(
        "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='{COVEN}'/>"
    )));
}

#[test]
fn section_7_4_nobody_speaks_from_outside_and_no_visitor_to_all() {
    let mut room = room();
    assert_eq!(room.gets(&line("1")).refusal(), "not-acceptable");
    let mut room = super::super::testkit::room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&line("1"));
    assert_eq!(out.refusal(), "forbidden");
    assert!(room.log.is_empty());
}

#[test]
fn section_17_2_a_message_for_nobody_in_particular_is_refused() {
    let mut room = with_hag();
    for kind in ["", "type='chat'", "type='normal'", "type='headline'"] {
        let out = room.gets(&format!(
            "<message from='{HAG}' to='{COVEN}' {kind}><body>hi</body></message>"
        ));
        assert_eq!(out.refusal(), "bad-request", "{kind}");
    }
}

#[test]
fn d1_a_message_that_cannot_be_kept_is_reflected_to_nobody() {
    let mut room = with_hag();
    room.store_fails = Some(StanzaError::resource_constraint());
    let out = room.gets(&line("1"));
    assert_eq!(out.refusal(), "resource-constraint");
    assert_eq!(out.to(HAG).len(), 1);
}

#[test]
fn d2_a_replay_is_heard_by_its_sender_alone() {
    use crate::features::muc::effect::RoomEffect;
    let mut room = with_hag();
    let settings = room.settings.clone();
    let facts = room.facts(&settings);
    let effects = room
        .room_mut()
        .decide(&crate::testkit::parse(&line("5f2c9a10")), &facts);
    let [RoomEffect::Keep(keep)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        keep.dedup,
        crate::effect::DedupKey::Stanza("5f2c9a10".into())
    );
    let effects = room.room().replayed((**keep).clone(), 1);
    let out = room.does(effects);
    assert_eq!(out.raw.len(), 1);
    assert_eq!(out.to(HAG).len(), 1);
}

#[test]
fn what_passes_is_reflected_and_not_kept() {
    let mut room = with_hag();
    for inner in [
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
        "<body>psst</body><no-store xmlns='urn:xmpp:hints'/>",
        "<body>psst</body><no-permanent-store xmlns='urn:xmpp:hints'/>",
    ] {
        let out = room.gets(&format!(
            "<message from='{HAG}' to='{COVEN}' type='groupchat'>{inner}</message>"
        ));
        assert_eq!((out.raw.len(), room.log.len()), (3, 0), "{inner}");
        assert!(!out.raw[0].contains("stanza-id"));
    }
}

#[test]
fn without_archive_messages_are_only_reflected() {
    let mut room = with_hag();
    room.archive = false;
    assert_eq!(room.gets(&line("1")).raw.len(), 3);
    let mut room = with_hag().config(|config| config.archived = false);
    assert_eq!(room.gets(&line("1")).raw.len(), 3);
    assert!(room.log.is_empty());
}

#[test]
fn section_7_5_a_private_message_goes_to_all_sessions_of_a_nick_alone() {
    let mut room = room();
    room.enters("crone1@shakespeare.lit/phone", "firstwitch");
    let out = room.gets(&format!(
        "<message from='{WICCA}' id='hgn27af1' to='{COVEN}/firstwitch' type='chat'>\
         <body>I&apos;ll give thee a wind.</body><x xmlns='{USER}'/></message>"
    ));
    let private = |to: &str| {
        format!(
            "<message from='{COVEN}/secondwitch' id='hgn27af1' to='{to}' type='chat'>\
             <body>I&apos;ll give thee a wind.</body><x xmlns='{USER}'/></message>"
        )
    };
    out.is(&[&private(CRONE), &private("crone1@shakespeare.lit/phone")]);
    assert!(room.log.is_empty(), "no archive of the room holds it");
}

#[test]
fn section_7_5_a_private_message_is_not_for_all() {
    let mut room = room();
    let out = room.gets(&format!(
        "<message from='{WICCA}' id='bx71f29k' to='{COVEN}/firstwitch' type='groupchat'><body>hi</body></message>"
    ));
    out.is(&[&format!(
        "<message from='{COVEN}/firstwitch' id='bx71f29k' to='{WICCA}' type='error'><body>hi</body>\
         <error by='{COVEN}' type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )]);
}

#[test]
fn section_7_5_private_messages_need_both_inside_and_leave() {
    let mut room = with_hag();
    let private = |from: &str, to: &str| {
        format!("<message from='{from}' to='{COVEN}/{to}' type='chat'><body>hi</body></message>")
    };
    assert_eq!(
        room.gets(&private(HAG, "nobody")).refusal(),
        "item-not-found"
    );
    assert_eq!(
        room.gets(&private(HECATE, "thirdwitch")).refusal(),
        "not-acceptable"
    );
    for (who, hag, crone) in [
        (PrivateMessages::Participants, true, true),
        (PrivateMessages::Moderators, false, true),
        (PrivateMessages::Nobody, false, false),
    ] {
        room = room.config(|config| config.private_messages = who);
        let is_sent = |out: Out| out.raw[0].contains("type='chat'");
        assert_eq!(
            is_sent(room.gets(&private(HAG, "firstwitch"))),
            hag,
            "{who:?}"
        );
        assert_eq!(
            is_sent(room.gets(&private(CRONE, "thirdwitch"))),
            crone,
            "{who:?}"
        );
    }
}

#[test]
fn m06_an_error_to_a_private_message_shows_no_address() {
    let mut room = with_hag();
    room.enters(HECATE, "hecate");
    let out = room.gets(&format!(
        "<message from='{HAG}' id='1' to='{COVEN}/hecate' type='error'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    assert_eq!(out.raw.len(), 1);
    assert!(out.raw[0].contains(&format!("from='{COVEN}/thirdwitch'")));
    assert!(!out.raw[0].contains("hag66"), "{}", out.raw[0]);
}

/// What somebody sends to change the subject.
fn subject(from: &str, inner: &str) -> String {
    format!("<message from='{from}' id='lh2bs617' to='{COVEN}' type='groupchat'>{inner}</message>")
}

#[test]
fn section_8_1_a_subject_is_reflected_kept_and_remembered() {
    let mut room = with_hag();
    let out = room.gets(&subject(
        WICCA,
        "<subject>Fire Burn and Cauldron Bubble!</subject>",
    ));
    out.gives(
        CRONE,
        &[&format!(
            "<message from='{COVEN}/secondwitch' id='lh2bs617' to='{CRONE}' type='groupchat'>\
             <subject>Fire Burn and Cauldron Bubble!</subject></message>"
        )],
    );
    assert_eq!(room.log.len(), 1);
    let remembered = room.room().record().subject.as_ref().unwrap();
    assert_eq!(remembered.stamp, room.now);
    // §8.1: it can be taken away, and that is remembered too.
    room.gets(&subject(WICCA, "<subject/>"));
    assert!(room.room().record().subject.is_some());
    assert_eq!(room.log.len(), 2);
}

#[test]
fn section_8_1_only_a_subject_alone_changes_it() {
    let mut room = with_hag();
    room.gets(&subject(WICCA, "<subject>x</subject><body>hi</body>"));
    room.gets(&subject(WICCA, "<subject>x</subject><thread>1</thread>"));
    assert!(room.room().record().subject.is_none());
}

#[test]
fn section_8_1_the_room_says_who_may_change_it() {
    let mut room = with_hag().config(|config| config.change_subject = false);
    let out = room.gets(&subject(
        HAG,
        "<subject>Fire Burn and Cauldron Bubble!</subject>",
    ));
    out.is(&[&format!(
        "<message from='{COVEN}' id='lh2bs617' to='{HAG}' type='error'>\
         <subject>Fire Burn and Cauldron Bubble!</subject><error by='{COVEN}' type='auth'>\
         <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )]);
    let mut room = with_hag();
    room.gets(&subject(HAG, "<subject>x</subject>"));
    assert!(room.room().record().subject.is_some());
}

#[test]
fn a_subject_has_a_length() {
    let mut room = with_hag();
    let long = format!("<subject>{}</subject>", "x".repeat(5_000));
    assert_eq!(
        room.gets(&subject(CRONE, &long)).refusal(),
        "policy-violation"
    );
}

#[test]
fn r22_a_correction_carries_its_senders_occupant_id_under_every_nick() {
    let mut room = with_hag();
    let correct = |from: &str| {
        format!(
            "<message from='{from}' to='{COVEN}' type='groupchat'><body>no</body>\
             <replace xmlns='urn:xmpp:message-correct:0' id='hysf1v37'/></message>"
        )
    };
    let id = |xml: &str| {
        let at = xml.find("<occupant-id").expect("there is one");
        xml[at..].split("/>").next().unwrap().to_owned()
    };
    let original = id(&room.gets(&line("hysf1v37")).raw[0]);
    room.gets(&format!("<presence from='{HAG}' to='{COVEN}/oldhag'/>"));
    assert_eq!(id(&room.gets(&correct(HAG)).raw[0]), original);
    assert_ne!(id(&room.gets(&correct(WICCA)).raw[0]), original);
}

#[test]
fn r23_markers_and_states_come_from_those_inside_under_their_nick() {
    let mut room = room();
    for inner in [
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    ] {
        let out = room.gets(&subject(HAG, inner));
        assert_eq!(out.refusal(), "not-acceptable");
        let out = room.gets(&subject(WICCA, inner));
        assert!(
            out.raw
                .iter()
                .all(|xml| xml.contains("from='coven@chat.shakespeare.lit/secondwitch'"))
        );
    }
}

#[test]
fn section_7_9_an_owner_brings_what_was_said_elsewhere() {
    let mut room = room();
    let out = room.gets(&subject(
        CRONE,
        "<thread>e0ff</thread><body>Thrice the brinded cat hath mew&apos;d.</body>\
         <delay xmlns='urn:xmpp:delay' from='crone1@shakespeare.lit/desktop' stamp='2004-09-29T01:54:37Z'/>",
    ));
    out.gives(
        WICCA,
        &[&format!(
            "<message from='{COVEN}/firstwitch' id='lh2bs617' to='{WICCA}' type='groupchat'>\
             <thread>e0ff</thread><body>Thrice the brinded cat hath mew&apos;d.</body>\
             <delay xmlns='urn:xmpp:delay' from='{COVEN}' stamp='2004-09-29T01:54:37Z'/></message>"
        )],
    );
}

#[test]
fn section_17_2_a_room_that_is_not_there_is_not_found() {
    assert_eq!(to_no_room(&line("1")).refusal(), "item-not-found");
}

#[test]
fn m06_no_address_is_shown_to_whoever_may_not_know_it() {
    let mut room = with_hag();
    let mut seen: Vec<String> = Vec::new();
    let mut hear = |out: Out| seen.extend(out.to(HAG));
    hear(room.enters(HECATE, "hecate"));
    hear(room.says(HECATE, "hi"));
    hear(room.gets(&subject(HECATE, "<subject>x</subject>")));
    hear(room.gets(&format!(
        "<presence from='{HECATE}' to='{COVEN}/hecate'><show>xa</show></presence>"
    )));
    hear(room.gets(&format!("<presence from='{HECATE}' to='{COVEN}/hex'/>")));
    hear(room.gets(&format!(
        "<message from='{HECATE}' to='{COVEN}/thirdwitch' type='chat'><body>hi</body></message>"
    )));
    hear(room.gets(&format!(
        "<iq from='{HECATE}' id='1' to='{COVEN}/thirdwitch' type='get'><query xmlns='jabber:iq:version'/></iq>"
    )));
    hear(room.admin(CRONE, "<item nick='hex' role='visitor'/>"));
    hear(room.admin(
        CRONE,
        "<item jid='hecate@shakespeare.lit' affiliation='admin'/>",
    ));
    hear(room.admin(
        CRONE,
        "<item jid='hecate@shakespeare.lit' affiliation='none'/>",
    ));
    hear(room.admin(CRONE, "<item nick='hex' role='none'/>"));
    hear(room.gets(&format!(
        "<iq from='{HAG}' id='q' to='{COVEN}' type='set'><query xmlns='urn:xmpp:mam:2'/></iq>"
    )));
    hear(room.gets(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )));
    assert!(seen.len() >= 20, "{}", seen.len());
    for xml in &seen {
        for name in ["hecate@", "crone1@", "wiccarocks@"] {
            assert!(!xml.contains(name), "{name} in {xml}");
        }
    }
}

#[test]
fn what_is_said_to_all_changes_nothing_before_it_is_committed() {
    use crate::features::muc::room::Room;
    use crate::testkit::parse;
    for (stanza, can) in [
        (line("1"), true),
        (subject(HAG, "<subject>x</subject>"), true),
        (
            subject(HAG, "<retract id='1' xmlns='urn:xmpp:message-retract:1'/>"),
            true,
        ),
        (
            format!("<message from='{HAG}' to='{COVEN}/firstwitch' type='chat'/>"),
            false,
        ),
        (
            format!("<presence from='{HAG}' to='{COVEN}/thirdwitch'/>"),
            false,
        ),
        (
            format!("<iq from='{HAG}' id='1' to='{COVEN}' type='get'><x xmlns='any'/></iq>"),
            false,
        ),
    ] {
        let stanza = parse(&stanza);
        assert_eq!(Room::can_overlap(&stanza), can);
        if can {
            let mut room = with_hag();
            let settings = room.settings.clone();
            let facts = room.facts(&settings);
            let (record, inside) = (
                room.room().record().clone(),
                room.room().occupants().sessions(),
            );
            room.room_mut().decide(&stanza, &facts);
            assert_eq!(*room.room().record(), record);
            assert_eq!(room.room().occupants().sessions(), inside);
        }
    }
}
