//! Rules of [`super`], with the examples of XEP-0313 §5.1.2.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::effect::{Load, RoomAnswer, RoomQuery};
use crate::features::muc::testkit::*;
use crate::testkit::parse;

fn asks(by: &str, inner: &str) -> String {
    format!(
        "<iq from='{by}' id='q29302' to='{COVEN}' type='set'>\
         <query xmlns='urn:xmpp:mam:2' queryid='g27'>{inner}</query></iq>"
    )
}

fn with(jid: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='with'><value>{jid}</value></field></x>"
    )
}

fn talk() -> Given {
    let mut room = room();
    room.says(CRONE, "Thrice the brinded cat hath mew&apos;d.");
    room.says(WICCA, "Thrice and once the hedge-pig whined.");
    room
}

#[test]
fn section_5_1_2_results_name_the_author_to_those_who_may_know() {
    let out = talk().gets(&asks(CRONE, ""));
    let result = |id: u8, nick: &str, body: &str, item: &str| {
        format!(
            "<message from='{COVEN}' to='{CRONE}'><result xmlns='urn:xmpp:mam:2' queryid='g27' id='{id}'>\
             <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='{NOW}'/>\
             <message xmlns='jabber:client' from='{COVEN}/{nick}' type='groupchat'><body>{body}</body>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item {item} role='moderator'/></x>\
             </message></forwarded></result></message>"
        )
    };
    out.is(&[
        &result(
            1,
            "firstwitch",
            "Thrice the brinded cat hath mew&apos;d.",
            "affiliation='owner' jid='crone1@shakespeare.lit'",
        ),
        &result(
            2,
            "secondwitch",
            "Thrice and once the hedge-pig whined.",
            "affiliation='admin' jid='wiccarocks@shakespeare.lit'",
        ),
        &format!(
            "<iq from='{COVEN}' id='q29302' to='{CRONE}' type='result'><fin xmlns='urn:xmpp:mam:2' complete='true'>\
             <set xmlns='http://jabber.org/protocol/rsm'><first>1</first><last>2</last></set></fin></iq>"
        ),
    ]);
}

#[test]
fn m06_to_others_results_show_no_address() {
    let mut room = talk();
    room.enters(HAG, "thirdwitch");
    let out = room.gets(&asks(HAG, ""));
    assert_eq!(out.raw.len(), 3);
    for xml in &out.raw {
        assert!(
            !xml.contains("crone1@") && !xml.contains("wiccarocks@"),
            "{xml}"
        );
        assert!(!xml.contains("muc#user"), "{xml}");
    }
    // Nor can they be probed for.
    let probe = asks(HAG, &with("crone1@shakespeare.lit"));
    assert_eq!(room.gets(&probe).refusal(), "forbidden");
}

#[test]
fn what_one_occupant_said_is_found_by_nick() {
    let mut room = talk();
    room.enters(HAG, "thirdwitch");
    let count = |out: Out| out.raw.len() - 1;
    assert_eq!(
        count(room.gets(&asks(HAG, &with("coven@chat.shakespeare.lit/secondwitch")))),
        1
    );
    assert_eq!(
        count(room.gets(&asks(HAG, &with("coven@chat.shakespeare.lit/nobody")))),
        0
    );
    assert_eq!(
        count(room.gets(&asks(CRONE, &with("wiccarocks@shakespeare.lit")))),
        1
    );
}

#[test]
fn m07_who_may_not_enter_reads_nothing() {
    let mut room = talk().affiliation("hag66@shakespeare.lit", Affiliation::Outcast);
    for inner in ["", "<x xmlns='any'/>"] {
        assert_eq!(room.gets(&asks(HAG, inner)).refusal(), "forbidden");
    }
    for (name, kind) in [("query", "get"), ("metadata", "get")] {
        let out = room.gets(&format!(
            "<iq from='{HAG}' id='1' to='{COVEN}' type='{kind}'><{name} xmlns='urn:xmpp:mam:2'/></iq>"
        ));
        assert_eq!(out.refusal(), "forbidden");
    }
    // Strangers read an open room, and neither a closed one nor one with a password.
    assert_eq!(room.gets(&asks(HECATE, "")).raw.len(), 3);
    let mut room = room.config(|config| config.members_only = true);
    assert_eq!(room.gets(&asks(HECATE, "")).refusal(), "forbidden");
    let mut room = room.config(|config| {
        config.members_only = false;
        config.password = Some("cauldronburn".into());
    });
    assert_eq!(room.gets(&asks(HECATE, "")).refusal(), "forbidden");
    let mut room = room.affiliation("hecate@shakespeare.lit", Affiliation::Member);
    assert_eq!(room.gets(&asks(HECATE, "")).raw.len(), 3);
}

#[test]
fn m07_who_is_banned_while_the_store_is_asked_reads_nothing() {
    let mut room = talk().affiliation("hag66@shakespeare.lit", Affiliation::Outcast);
    let load = Load {
        origin: parse(&asks(HAG, "")),
        query: RoomQuery::Archive(Default::default()),
    };
    let settings = room.settings.clone();
    let facts = room.facts(&settings);
    let effects = room
        .room_mut()
        .loaded(&load, RoomAnswer::Page(Default::default()), &facts);
    assert_eq!(room.does(effects).refusal(), "forbidden");
}

#[test]
fn r10_a_cursor_is_an_id_or_is_not_found() {
    let mut room = talk();
    for after in ["&apos; OR 1=1--", "x", "-1", "99"] {
        let set =
            format!("<set xmlns='http://jabber.org/protocol/rsm'><after>{after}</after></set>");
        assert_eq!(
            room.gets(&asks(CRONE, &set)).refusal(),
            "item-not-found",
            "{after}"
        );
    }
    let set = "<set xmlns='http://jabber.org/protocol/rsm'><after>1</after></set>";
    assert_eq!(room.gets(&asks(CRONE, set)).raw.len(), 2);
}

#[test]
fn private_messages_are_in_no_rooms_archive() {
    let mut room = talk();
    room.gets(&format!(
        "<message from='{WICCA}' to='{COVEN}/firstwitch' type='chat'><body>psst</body></message>"
    ));
    let out = room.gets(&asks(CRONE, ""));
    assert!(out.raw.iter().all(|xml| !xml.contains("psst")));
}

#[test]
fn form_and_bounds_are_told() {
    let mut room = talk();
    let get = |name: &str| {
        format!(
            "<iq from='{HAG}' id='1' to='{COVEN}' type='get'><{name} xmlns='urn:xmpp:mam:2'/></iq>"
        )
    };
    assert!(room.gets(&get("query")).raw[0].contains("after-id"));
    let bounds = room.gets(&get("metadata"));
    assert!(bounds.raw[0].contains("<start id='1'") && bounds.raw[0].contains("<end id='2'"));
}

#[test]
fn a_room_that_keeps_nothing_has_no_archive() {
    let mut room = talk().config(|config| config.archived = false);
    assert_eq!(
        room.gets(&asks(CRONE, "")).refusal(),
        "feature-not-implemented"
    );
}
