//! Rules of [`super`], with the examples of XEP-0045 §7.2.13 to §7.2.15.

use crate::features::muc::testkit::*;
use crate::testkit::full;
use crate::time::Timestamp;
use std::time::Duration;

/// The coven, with four lines of three witches, ten minutes apart.
fn talk() -> Given {
    let mut room = room();
    for (session, line) in [
        (CRONE, "Thrice the brinded cat hath mew'd."),
        (WICCA, "Thrice and once the hedge-pig whined."),
        (CRONE, "Harpier cries 'Tis time, 'tis time."),
        (WICCA, "Double, double toil and trouble."),
    ] {
        room.says(session, &line.replace('\'', "&apos;"));
        room.now = room.now.plus(Duration::from_secs(600));
    }
    room
}

fn bodies(room: &mut Given, history: &str) -> usize {
    let out = room.gets(&format!(
        "<presence from='{HECATE}' id='n13mt3l' to='{COVEN}/hecate'>\
         <x xmlns='http://jabber.org/protocol/muc'>{history}</x></presence>"
    ));
    out.to(HECATE)
        .iter()
        .filter(|xml| xml.contains("<body"))
        .count()
}

#[test]
fn section_7_2_13_history_is_stamped_by_the_room_and_comes_before_the_subject() {
    let mut room = room();
    room.says(CRONE, "Thrice the brinded cat hath mew&apos;d.");
    let got = room.enters(HECATE, "hecate").to(HECATE);
    let [.., own, line, subject] = &got[..] else {
        panic!("{got:#?}")
    };
    assert!(own.contains("code='110'"));
    same(
        line,
        &format!(
            "<message from='{COVEN}/firstwitch' to='{HECATE}' type='groupchat'>\
             <body>Thrice the brinded cat hath mew&apos;d.</body>\
             <delay xmlns='urn:xmpp:delay' from='{COVEN}' stamp='{NOW}'/></message>"
        ),
    );
    assert!(line.contains(&format!(
        "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='{COVEN}'/>"
    )));
    same(
        subject,
        &format!("<message from='{COVEN}' to='{HECATE}' type='groupchat'><subject/></message>"),
    );
    assert_eq!(room.caught_up[&full(HECATE)], 1);
}

#[test]
fn section_7_2_14_maxstanzas_seconds_and_since_limit_history() {
    assert_eq!(bodies(&mut talk(), ""), 4);
    assert_eq!(bodies(&mut talk(), "<history maxstanzas='2'/>"), 2);
    // The last line is ten minutes old.
    assert_eq!(bodies(&mut talk(), "<history seconds='180'/>"), 0);
    assert_eq!(bodies(&mut talk(), "<history seconds='1200'/>"), 2);
    assert_eq!(
        bodies(&mut talk(), "<history since='1970-01-01T00:00:00Z'/>"),
        4
    );
    let later = Timestamp::parse_xep0082(NOW)
        .unwrap()
        .plus(Duration::from_secs(601));
    let since = later.to_xep0082();
    assert_eq!(
        bodies(&mut talk(), &format!("<history since='{since}'/>")),
        2
    );
    // All of them hold together.
    let both = format!("<history since='{since}' maxstanzas='1'/>");
    assert_eq!(bodies(&mut talk(), &both), 1);
}

#[test]
fn section_7_2_14_maxchars_counts_complete_stanzas() {
    assert_eq!(bodies(&mut talk(), "<history maxchars='0'/>"), 0);
    assert_eq!(bodies(&mut talk(), "<history maxchars='65000'/>"), 4);
    let mut room = talk();
    let got = room.enters(HECATE, "hecate").to(HECATE);
    let last = got.iter().rfind(|xml| xml.contains("<body")).unwrap();
    let chars = last.chars().count();
    assert_eq!(
        bodies(&mut talk(), &format!("<history maxchars='{chars}'/>")),
        1
    );
    assert_eq!(
        bodies(&mut talk(), &format!("<history maxchars='{}'/>", chars - 1)),
        0
    );
}

#[test]
fn x20_a_history_of_nonsense_is_the_rooms_own() {
    for history in [
        "<history maxstanzas='-1'/>",
        "<history maxstanzas='many'/>",
        "<history seconds='99999999999999999999'/>",
        "<history since='yesterday'/>",
    ] {
        assert_eq!(bodies(&mut talk(), history), 4, "{history}");
    }
}

#[test]
fn r17_more_history_than_the_room_gives_is_not_to_be_had() {
    let mut room = talk().config(|config| config.history_max = 3);
    assert_eq!(bodies(&mut room, "<history maxstanzas='1000000'/>"), 3);
    let mut room = talk().settings(|settings| settings.history_max = 1);
    assert_eq!(bodies(&mut room, ""), 1);
}

#[test]
fn section_7_2_15_the_subject_comes_with_who_set_it_and_when() {
    let mut room = room();
    room.gets(&format!(
        "<message from='{WICCA}' to='{COVEN}' type='groupchat'><subject>Fire Burn and Cauldron Bubble!</subject></message>"
    ));
    let got = room.enters(HAG, "thirdwitch").to(HAG);
    // Subjects are no history.
    assert_eq!(got.len(), 4, "{got:#?}");
    same(
        got.last().unwrap(),
        &format!(
            "<message from='{COVEN}/secondwitch' to='{HAG}' type='groupchat'>\
             <subject>Fire Burn and Cauldron Bubble!</subject>\
             <delay xmlns='urn:xmpp:delay' from='{COVEN}' stamp='{NOW}'/></message>"
        ),
    );
}

#[test]
fn a_store_that_cannot_tell_history_keeps_nobody_outside() {
    use crate::features::muc::effect::{HistoryQuery, Load, RoomAnswer, RoomQuery};
    use crate::stanza::StanzaError;
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let load = Load {
        origin: crate::testkit::parse(&format!("<presence from='{HAG}' to='{COVEN}/thirdwitch'/>")),
        query: RoomQuery::History(HistoryQuery {
            session: full(HAG),
            stanzas_max: 20,
            since: None,
            chars_max: None,
        }),
    };
    let settings = room.settings.clone();
    let facts = room.facts(&settings);
    let failed = RoomAnswer::Failed(StanzaError::resource_constraint());
    let effects = room.room_mut().loaded(&load, failed, &facts);
    let out = room.does(effects);
    assert_eq!(out.raw.len(), 1);
    assert!(out.raw[0].contains("<subject/>"));
}
