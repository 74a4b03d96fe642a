//! Rules of [`super`], with the examples of XEP-0045 §8.2 to §8.5, §9.1 to §9.8, §10.3 to
//! §10.8.

use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::effect::{RoomEffect, Save};
use crate::features::muc::record::{RoomChange, RoomRecord};
use crate::features::muc::role::Role;
use crate::features::muc::room::Room;
use crate::features::muc::testkit::*;
use crate::testkit::{bare, full, parse};
use crate::time::Timestamp;

const USER: &str = "http://jabber.org/protocol/muc#user";
const HAG_BARE: &str = "hag66@shakespeare.lit";

fn with_hag() -> Given {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room
}

fn done(to: &str) -> String {
    format!("<iq from='{COVEN}' id='admin1' to='{to}' type='result'/>")
}

fn refused(to: &str, kind: &str, condition: &str, items: &str) -> String {
    format!(
        "<iq from='{COVEN}' id='admin1' to='{to}' type='error'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

/// The third witch as somebody sees her.
fn seen(to: &str, item: &str, inner: &str, codes: &str) -> String {
    format!(
        "<presence from='{COVEN}/thirdwitch' to='{to}'><x xmlns='{USER}'>\
         <item {item} jid='{HAG}'>{inner}</item>{codes}</x></presence>"
    )
}

fn put_out(to: &str, item: &str, inner: &str, codes: &[u16]) -> String {
    let codes: String = codes
        .iter()
        .map(|code| format!("<status code='{code}'/>"))
        .collect();
    format!(
        "<presence from='{COVEN}/thirdwitch' to='{to}' type='unavailable'><x xmlns='{USER}'>\
         <item {item} jid='{HAG}' role='none'>{inner}</item>{codes}</x></presence>"
    )
}

#[test]
fn section_8_2_who_is_kicked_is_told_first_then_the_moderator_then_all() {
    let mut room = with_hag();
    let item = "<item nick='thirdwitch' role='none'><reason>Avaunt, you cullion!</reason></item>";
    let out = room.admin(WICCA, item);
    let inner = "<actor nick='secondwitch'/><reason>Avaunt, you cullion!</reason>";
    out.is(&[
        &put_out(HAG, "affiliation='none'", inner, &[110, 307]),
        &done(WICCA),
        &put_out(CRONE, "affiliation='none'", inner, &[307]),
        &put_out(WICCA, "affiliation='none'", inner, &[307]),
    ]);
    // A kick is no ban.
    room.enters(HAG, "thirdwitch");
}

#[test]
fn section_8_2_nobody_kicks_upwards_or_themselves() {
    let mut room = room();
    let kick = "<item nick='firstwitch' role='none'/>";
    room.admin(WICCA, kick)
        .is(&[&refused(WICCA, "cancel", "not-allowed", kick)]);
    let out = room.admin(WICCA, "<item nick='secondwitch' role='none'/>");
    assert_eq!(out.refusal(), "conflict");
    assert_eq!(room.room().occupants().len(), 2);
}

#[test]
fn section_8_participants_and_strangers_manage_nobody() {
    let mut room = with_hag();
    for item in [
        "<item nick='firstwitch' role='none'/>",
        "<item nick='nobody' role='none'/>",
        "<item jid='hecate@shakespeare.lit' affiliation='member'/>",
        "<item jid='hag66@shakespeare.lit' affiliation='owner'/>",
    ] {
        assert_eq!(room.admin(HAG, item).refusal(), "forbidden", "{item}");
        assert_eq!(room.admin(HECATE, item).refusal(), "forbidden", "{item}");
    }
}

#[test]
fn r13_an_admin_of_the_same_name_elsewhere_manages_nothing() {
    let mut room = with_hag();
    let out = room.admin(
        "crone1@evil.example/x",
        "<item nick='thirdwitch' role='none'/>",
    );
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn section_8_3_voice_is_granted_with_the_reason() {
    let mut room = room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    let out = room.admin(
        CRONE,
        "<item nick='thirdwitch' role='participant'><reason>A worthy witch indeed!</reason></item>",
    );
    let reason = "<reason>A worthy witch indeed!</reason>";
    let item = "affiliation='none' role='participant'";
    out.is(&[
        &done(CRONE),
        &seen(CRONE, item, reason, ""),
        &seen(WICCA, item, reason, ""),
        &seen(HAG, item, reason, "<status code='110'/>"),
    ]);
    assert_eq!(room.says(HAG, "hi").raw.len(), 3);
}

#[test]
fn section_8_4_voice_is_revoked_but_not_of_admins_and_owners() {
    let mut room = with_hag();
    let out = room.admin(CRONE, "<item nick='thirdwitch' role='visitor'/>");
    out.gives(
        WICCA,
        &[&seen(WICCA, "affiliation='none' role='visitor'", "", "")],
    );
    assert_eq!(room.says(HAG, "hi").refusal(), "forbidden");
    let item = "<item nick='secondwitch' role='visitor'/>";
    assert_eq!(room.admin(CRONE, item).refusal(), "not-allowed");
}

#[test]
fn section_5_1_who_lost_their_voice_does_not_get_it_back_by_coming_in_again() {
    let mut room = with_hag();
    room.admin(CRONE, "<item nick='thirdwitch' role='visitor'/>");
    room.gets(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch' type='unavailable'/>"
    ));
    room.enters(HAG, "thirdwitch");
    assert_eq!(room.says(HAG, "hi").refusal(), "forbidden");
    room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    assert_eq!(room.says(HAG, "hi").raw.len(), 3);
}

#[test]
fn section_8_5_the_voice_list_is_read_and_changed_as_a_whole() {
    let mut room = with_hag();
    room.enters(HECATE, "Hecate");
    let out = room.lists(CRONE, "<item role='participant'/>");
    out.is(&[&format!(
        "<iq from='{COVEN}' id='list1' to='{CRONE}' type='result'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item affiliation='none' jid='{HECATE}' nick='Hecate' role='participant'/>\
         <item affiliation='none' jid='{HAG}' nick='thirdwitch' role='participant'/></query></iq>"
    )]);
    assert_eq!(
        room.lists(HAG, "<item role='participant'/>").refusal(),
        "forbidden"
    );
    // One item that may not be carried out stops all.
    let items = "<item nick='Hecate' role='visitor'/><item nick='firstwitch' role='visitor'/>";
    assert_eq!(room.admin(WICCA, items).refusal(), "not-allowed");
    assert_eq!(
        room.room().occupants().get("Hecate").unwrap().role,
        Role::Participant
    );
    let items = "<item nick='Hecate' role='visitor'/><item nick='thirdwitch' role='visitor'/>";
    assert_eq!(room.admin(WICCA, items).to(WICCA).len(), 3);
}

#[test]
fn section_9_1_who_is_banned_goes_and_stays_outside() {
    let mut room = with_hag().reserved(HAG_BARE, "thirdwitch");
    let item =
        format!("<item affiliation='outcast' jid='{HAG_BARE}'><reason>Treason</reason></item>");
    let out = room.admin(CRONE, &item);
    let inner = "<actor nick='firstwitch'/><reason>Treason</reason>";
    out.is(&[
        &done(CRONE),
        &put_out(HAG, "affiliation='outcast'", inner, &[110, 301]),
        &put_out(CRONE, "affiliation='outcast'", inner, &[301]),
        &put_out(WICCA, "affiliation='outcast'", inner, &[301]),
    ]);
    let record = room.room().record();
    assert_eq!(record.reserved_nick(&bare(HAG_BARE)), None);
    let out = room.gets(&format!(
        "<presence from='{HAG}' to='{COVEN}/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ));
    assert_eq!(out.refusal(), "forbidden");
}

#[test]
fn section_9_1_nobody_bans_upwards_or_themselves() {
    let mut room = room();
    let item = "<item affiliation='outcast' jid='crone1@shakespeare.lit'/>";
    room.admin(WICCA, item)
        .is(&[&refused(WICCA, "cancel", "not-allowed", item)]);
    let own = "<item affiliation='outcast' jid='wiccarocks@shakespeare.lit'/>";
    assert_eq!(room.admin(WICCA, own).refusal(), "conflict");
}

#[test]
fn section_9_2_the_ban_list_is_read_and_a_domain_can_be_on_it() {
    let mut room = with_hag();
    room.admin(
        CRONE,
        "<item affiliation='outcast' jid='lordscroop@shakespeare.lit'><reason>Treason</reason></item>\
         <item affiliation='outcast' jid='evil.example'/>",
    );
    let out = room.lists(WICCA, "<item affiliation='outcast'/>");
    out.is(&[&format!(
        "<iq from='{COVEN}' id='list1' to='{WICCA}' type='result'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item affiliation='outcast' jid='evil.example'/>\
         <item affiliation='outcast' jid='lordscroop@shakespeare.lit'><reason>Treason</reason></item></query></iq>"
    )]);
    // A ban of the domain puts out those who are inside, but not those who are named.
    let items = "<item affiliation='outcast' jid='shakespeare.lit'/>";
    assert_eq!(room.admin(CRONE, items).refusal(), "conflict");
    let mut room = with_hag();
    room.enters("boy@evil.example/x", "boy");
    let out = room.admin(CRONE, "<item affiliation='outcast' jid='evil.example'/>");
    assert!(out.to("boy@evil.example/x")[0].contains("code='301'"));
    assert_eq!(room.room().occupants().len(), 3);
}

#[test]
fn section_9_2_a_list_with_a_forbidden_item_changes_nothing() {
    let mut room = room();
    let items = "<item affiliation='outcast' jid='a@b.example'/>\
                 <item affiliation='outcast' jid='crone1@shakespeare.lit'/>";
    assert_eq!(room.admin(WICCA, items).refusal(), "not-allowed");
    let record = room.room().record();
    assert_eq!(record.affiliation(&bare("a@b.example")), Affiliation::None);
}

#[test]
fn section_9_3_membership_is_granted_with_a_nick_and_told_to_all() {
    let mut room = with_hag();
    let item = format!("<item affiliation='member' jid='{HAG_BARE}' nick='thirdwitch'/>");
    let out = room.admin(CRONE, &item);
    let item = "affiliation='member' role='participant'";
    out.is(&[
        &done(CRONE),
        &seen(CRONE, item, "", ""),
        &seen(WICCA, item, "", ""),
        &seen(HAG, item, "", "<status code='110'/>"),
    ]);
    let record = room.room().record();
    assert_eq!(record.reserved_nick(&bare(HAG_BARE)), Some("thirdwitch"));
}

#[test]
fn section_9_4_membership_is_revoked_and_ends_the_visit_to_a_closed_room() {
    let mut room = with_hag().affiliation(HAG_BARE, Affiliation::Member);
    let item = format!("<item affiliation='none' jid='{HAG_BARE}'/>");
    let out = room.admin(CRONE, &item);
    let none = "affiliation='none' role='participant'";
    out.gives(WICCA, &[&seen(WICCA, none, "", "")]);
    let closed = |room: Given| {
        room.affiliation(HAG_BARE, Affiliation::Member)
            .config(|config| config.members_only = true)
    };
    let mut room = closed(with_hag());
    let out = room.admin(CRONE, &item);
    let inner = "<actor nick='firstwitch'/>";
    // §9.4: only the departure is told.
    out.gives(
        WICCA,
        &[&put_out(WICCA, "affiliation='none'", inner, &[321])],
    );
    assert_eq!(out.to(HAG).len(), 1);
    assert!(out.to(HAG_BARE).is_empty());
}

#[test]
fn section_9_5_a_new_member_of_a_closed_room_is_invited() {
    let mut room = room().config(|config| {
        config.members_only = true;
        config.password = Some("cauldronburn".into());
    });
    let item = "<item affiliation='member' jid='hecate@shakespeare.lit'/>";
    let out = room.admin(CRONE, item);
    out.is(&[
        &done(CRONE),
        &format!(
            "<message from='{COVEN}' to='hecate@shakespeare.lit'><x xmlns='{USER}'>\
             <invite from='{COVEN}/firstwitch'/><password>cauldronburn</password></x></message>"
        ),
    ]);
}

#[test]
fn section_9_5_the_member_list_is_read_by_admins_and_changed_by_its_delta() {
    let mut room = room().reserved(HAG_BARE, "thirdwitch");
    let out = room.lists(CRONE, "<item affiliation='member'/>");
    out.is(&[&format!(
        "<iq from='{COVEN}' id='list1' to='{CRONE}' type='result'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item affiliation='member' jid='{HAG_BARE}' nick='thirdwitch'/></query></iq>"
    )]);
    let items = format!(
        "<item affiliation='none' jid='{HAG_BARE}'/><item affiliation='member' jid='hecate@shakespeare.lit'/>"
    );
    room.admin(CRONE, &items);
    let record = room.room().record();
    assert_eq!(record.affiliation(&bare(HAG_BARE)), Affiliation::None);
    assert_eq!(
        record.affiliation(&bare("hecate@shakespeare.lit")),
        Affiliation::Member
    );
}

#[test]
fn section_9_5_a_reserved_nick_stays_goes_and_belongs_to_one() {
    let mut room = room().reserved(HAG_BARE, "thirdwitch");
    let reserved = |room: &Given| {
        room.room()
            .record()
            .reserved_nick(&bare(HAG_BARE))
            .is_some()
    };
    room.admin(
        CRONE,
        &format!("<item affiliation='admin' jid='{HAG_BARE}'/>"),
    );
    assert!(reserved(&room));
    let taken = "<item affiliation='member' jid='hecate@shakespeare.lit' nick='ThirdWitch'/>";
    assert_eq!(room.admin(CRONE, taken).refusal(), "conflict");
    room.admin(
        CRONE,
        &format!("<item affiliation='admin' jid='{HAG_BARE}' nick=''/>"),
    );
    assert!(!reserved(&room));
}

#[test]
fn section_9_6_moderators_are_made_by_admins() {
    let mut room = with_hag();
    let out = room.admin(WICCA, "<item nick='thirdwitch' role='moderator'/>");
    let item = "affiliation='none' role='moderator'";
    out.gives(CRONE, &[&seen(CRONE, item, "", "")]);
    room.enters(HECATE, "hecate");
    let out = room.admin(HAG, "<item nick='hecate' role='moderator'/>");
    assert_eq!(out.refusal(), "forbidden");
    // But a moderator keeps order.
    let out = room.admin(HAG, "<item nick='hecate' role='visitor'/>");
    out.has(&done(HAG));
}

#[test]
fn section_9_7_moderators_are_unmade_by_admins_but_not_admins() {
    let mut room = with_hag().role("thirdwitch", Role::Moderator);
    let out = room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    let item = "affiliation='none' role='participant'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
    let item = "<item nick='secondwitch' role='participant'/>";
    room.admin(CRONE, item)
        .is(&[&refused(CRONE, "cancel", "not-allowed", item)]);
}

#[test]
fn section_9_8_the_moderator_list_is_for_admins() {
    let mut room = with_hag().role("thirdwitch", Role::Moderator);
    let out = room.lists(CRONE, "<item role='moderator'/>");
    let listed =
        format!("<item affiliation='none' jid='{HAG}' nick='thirdwitch' role='moderator'/>");
    assert!(normal(&out.raw[0]).contains(&normal(&listed).replace(" xmlns='jabber:client'", "")));
    assert_eq!(
        room.lists(HAG, "<item role='moderator'/>").refusal(),
        "forbidden"
    );
}

#[test]
fn section_10_3_an_owner_is_made_by_owners_inside_and_elsewhere() {
    let mut room = with_hag();
    let out = room.admin(
        CRONE,
        &format!("<item affiliation='owner' jid='{HAG_BARE}'/>"),
    );
    let item = "affiliation='owner' role='moderator'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
    // Elsewhere: those who may know addresses hear of it, and so does the new owner.
    let out = room.admin(
        CRONE,
        "<item affiliation='owner' jid='hecate@shakespeare.lit'/>",
    );
    out.gives(
        WICCA,
        &[&format!(
            "<message from='{COVEN}' to='{WICCA}'><x xmlns='{USER}'>\
             <item affiliation='owner' jid='hecate@shakespeare.lit' role='none'/></x></message>"
        )],
    );
    out.has(&format!(
        "<message from='{COVEN}' to='hecate@shakespeare.lit'><x xmlns='{USER}'>\
         <item affiliation='owner' role='none'/><status code='101'/></x></message>"
    ));
    let item = "<item affiliation='owner' jid='a@b.example'/>";
    room.admin(WICCA, item)
        .is(&[&refused(WICCA, "auth", "forbidden", item)]);
}

#[test]
fn section_10_3_a_full_address_counts_as_its_account() {
    let mut room = room();
    room.admin(
        CRONE,
        &format!("<item affiliation='admin' jid='{HECATE}'/>"),
    );
    let record = room.room().record();
    assert_eq!(
        record.affiliation(&bare("hecate@shakespeare.lit")),
        Affiliation::Admin
    );
}

#[test]
fn m01_the_last_owner_stays() {
    let mut room = room();
    let item = "<item affiliation='admin' jid='crone1@shakespeare.lit'/>";
    assert_eq!(room.admin(CRONE, item).refusal(), "conflict");
    let mut room = room.affiliation("hecate@shakespeare.lit", Affiliation::Owner);
    room.admin(CRONE, item).has(&done(CRONE));
}

#[test]
fn m01_two_owners_who_demote_each_other_leave_one_of_them() {
    use crate::features::muc::effect::RoomEffect;
    let (one, other) = ("crone1@shakespeare.lit", "hecate@shakespeare.lit");
    // Each node has the room and decides on what it knows; the store takes the first change.
    for first in [0, 1] {
        let node = || room().affiliation(other, Affiliation::Owner);
        let mut nodes = [node(), node()];
        let demotes = |by: &str, whom: &str| {
            format!(
                "<iq from='{by}/x' id='1' to='{COVEN}' type='set'>\
                 <query xmlns='http://jabber.org/protocol/muc#admin'>\
                 <item affiliation='none' jid='{whom}'/></query></iq>"
            )
        };
        let wishes = [demotes(one, other), demotes(other, one)];
        let settings = nodes[0].settings.clone();
        let decide = |node: &mut Given, wish: &str| {
            let facts = node.facts(&settings);
            node.room_mut().decide(&crate::testkit::parse(wish), &facts)
        };
        let both: Vec<Vec<RoomEffect>> = (0..2)
            .map(|at| decide(&mut nodes[at], &wishes[at]))
            .collect();
        let [RoomEffect::Save(won)] = &both[first][..] else {
            panic!("{both:?}")
        };
        // The other one meets a stale version, learns what has changed, and decides again.
        let second = 1 - first;
        let changes: Vec<RoomChange> = won.changes.clone();
        nodes[second].changed_elsewhere(&changes);
        let out = nodes[second].gets(&wishes[second]);
        assert_eq!(out.refusal(), "forbidden");
        let owners = nodes[second].room().record().affiliates(Affiliation::Owner);
        assert_eq!(owners.count(), 1);
    }
}

#[test]
fn section_10_4_an_owner_who_becomes_an_admin_is_told_to_all() {
    let mut room = with_hag().affiliation(HAG_BARE, Affiliation::Owner);
    let out = room.admin(
        CRONE,
        &format!("<item affiliation='admin' jid='{HAG_BARE}'/>"),
    );
    let item = "affiliation='admin' role='moderator'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
}

#[test]
fn section_10_5_and_10_8_the_lists_of_owners_and_admins_are_the_owners() {
    let mut room = room();
    for (affiliation, jid) in [
        ("owner", "crone1@shakespeare.lit"),
        ("admin", "wiccarocks@shakespeare.lit"),
    ] {
        let item = format!("<item affiliation='{affiliation}'/>");
        room.lists(CRONE, &item).is(&[&format!(
            "<iq from='{COVEN}' id='list1' to='{CRONE}' type='result'>\
             <query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item affiliation='{affiliation}' jid='{jid}'/></query></iq>"
        )]);
        assert_eq!(room.lists(WICCA, &item).refusal(), "forbidden");
        let new = format!("<item affiliation='{affiliation}' jid='{HAG_BARE}'/>");
        assert_eq!(room.admin(WICCA, &new).refusal(), "forbidden");
    }
}

#[test]
fn section_10_6_and_10_7_admins_come_and_go() {
    let mut room = with_hag();
    let out = room.admin(
        CRONE,
        &format!("<item affiliation='admin' jid='{HAG_BARE}'/>"),
    );
    let item = "affiliation='admin' role='moderator'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
    let out = room.admin(
        CRONE,
        &format!("<item affiliation='none' jid='{HAG_BARE}'/>"),
    );
    let item = "affiliation='none' role='participant'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
    // Elsewhere.
    room.gets(&format!(
        "<presence from='{WICCA}' to='{COVEN}/secondwitch' type='unavailable'/>"
    ));
    let out = room.admin(
        CRONE,
        "<item affiliation='none' jid='wiccarocks@shakespeare.lit'/>",
    );
    out.has(&format!(
        "<message from='{COVEN}' to='{CRONE}'><x xmlns='{USER}'>\
         <item affiliation='none' jid='wiccarocks@shakespeare.lit' role='none'/></x></message>"
    ));
}

#[test]
fn m02_lists_are_read_by_those_alone_who_may() {
    let read = |room: &mut Given, by: &str, list: &str| {
        let out = room.lists(by, &format!("<item affiliation='{list}'/>"));
        out.raw[0].contains("type='result'")
    };
    for (non_anonymous, members_only) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let mut room = room()
            .affiliation(HAG_BARE, Affiliation::Member)
            .affiliation("evil@b.example", Affiliation::Outcast)
            .config(|config| {
                config.non_anonymous = non_anonymous;
                config.members_only = members_only;
            });
        for list in ["owner", "admin", "member", "outcast", "none"] {
            // Strangers and the banned read nothing.
            assert!(!read(&mut room, HECATE, list), "{list}");
            assert!(!read(&mut room, "evil@b.example/x", list), "{list}");
            // Members read what is no secret, also from outside.
            let open = non_anonymous && matches!(list, "owner" | "admin" | "member");
            assert_eq!(read(&mut room, HAG, list), open, "{list} {non_anonymous}");
            assert!(read(&mut room, CRONE, list), "{list}");
        }
    }
}

#[test]
fn section_17_4_an_item_has_a_role_or_an_affiliation() {
    let mut room = with_hag();
    for items in [
        "<item nick='thirdwitch' role='none' affiliation='none'/>",
        "<item nick='thirdwitch' role='none'/><item jid='a@b' affiliation='none'/>",
        "<item nick='thirdwitch'/>",
        "<item role='none'/>",
        "<item affiliation='none'/>",
        "<item nick='thirdwitch' role='king'/>",
        "<item jid='a@b' affiliation='king'/>",
        "",
    ] {
        assert_eq!(room.admin(CRONE, items).refusal(), "bad-request", "{items}");
    }
    let out = room.admin(CRONE, "<item jid='@' affiliation='member'/>");
    assert_eq!(out.refusal(), "jid-malformed");
}

#[test]
fn m09_lists_and_requests_have_a_length() {
    let item = |at: usize| format!("<item jid='a{at}@b.example' affiliation='member'/>");
    let items: String = (0..501).map(item).collect();
    assert_eq!(room().admin(CRONE, &items).refusal(), "policy-violation");
    let mut room = room().settings(|settings| settings.affiliations_max = 3);
    room.admin(CRONE, &item(1)).has(&done(CRONE));
    assert_eq!(room.admin(CRONE, &item(2)).refusal(), "resource-constraint");
    // Nobody more, but those who are there can still be changed.
    room.admin(CRONE, "<item jid='a1@b.example' affiliation='outcast'/>")
        .has(&done(CRONE));
    let long = format!(
        "<item nick='secondwitch' role='none'><reason>{}</reason></item>",
        "x".repeat(2_000)
    );
    assert_eq!(room.admin(CRONE, &long).refusal(), "policy-violation");
}

#[test]
fn an_affiliation_that_was_not_saved_is_told_to_nobody() {
    let mut room = with_hag();
    room.store_fails = Some(crate::stanza::StanzaError::resource_constraint());
    let out = room.admin(
        CRONE,
        &format!("<item affiliation='outcast' jid='{HAG_BARE}'/>"),
    );
    assert_eq!(out.refusal(), "resource-constraint");
    assert!(room.room().occupants().get("thirdwitch").is_some());
}

#[test]
fn a_ban_through_another_node_puts_out_here_too() {
    let mut room = with_hag();
    let change = room
        .room()
        .affiliation_change(bare(HAG_BARE), Affiliation::Outcast, None, None);
    let out = room.changed_elsewhere(&[RoomChange::Affiliation(change)]);
    assert!(out.to(HAG)[0].contains("code='301'"));
    assert!(room.room().occupants().get("thirdwitch").is_none());
}

/// A node's room and what it waits to have saved.
struct Writer {
    room: Room,
    waiting: Option<Save>,
    demotes: String,
}

impl Writer {
    fn takes(&mut self, effects: Vec<RoomEffect>) {
        self.waiting = effects.into_iter().find_map(|effect| match effect {
            RoomEffect::Save(save) => Some(*save),
            _ => None,
        });
    }
}

#[test]
fn m01_in_a_thousand_interleavings_on_two_nodes_a_room_keeps_an_owner() {
    let owner = |jid: &str| full(jid).bare();
    let mut record = RoomRecord::new(&owner(CRONE), SECRET, Timestamp(0));
    let second = room()
        .room()
        .affiliation_change(owner(HAG), Affiliation::Owner, None, None);
    record.apply(&RoomChange::Affiliation(second));
    let given = room();
    let facts = given.facts(&given.settings);
    let demotion = |by: &str, whom: &str| {
        format!(
            "<iq from='{by}' id='1' to='{COVEN}' type='set'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item affiliation='none' jid='{}'/></query></iq>",
            owner(whom)
        )
    };
    let mut chance = 1_u64;
    let mut refused = 0;
    for round in 0..1_000 {
        let mut stored = record.clone();
        let node = |demotes: String| Writer {
            room: Room::open(bare(COVEN), record.clone()),
            waiting: None,
            demotes,
        };
        let mut nodes = [node(demotion(CRONE, HAG)), node(demotion(HAG, CRONE))];
        let mut done = [false; 2];
        while done != [true; 2] {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = usize::from(chance >> 63 == 1);
            if done[at] {
                continue;
            }
            let node = &mut nodes[at];
            let Some(save) = node.waiting.take() else {
                // It decides, or had nothing more to save.
                let effects = node.room.decide(&parse(&node.demotes), &facts);
                node.takes(effects);
                refused += usize::from(node.waiting.is_none());
                done[at] = node.waiting.is_none();
                continue;
            };
            if node.room.record().version == stored.version {
                save.changes.iter().for_each(|change| stored.apply(change));
                stored.version += 1;
                node.room.saved(save, stored.version, &facts);
                done[at] = true;
            } else {
                node.room.reloaded(stored.clone(), &facts);
            }
            let owners = stored.affiliates(Affiliation::Owner).count();
            assert!(owners >= 1, "round {round}");
        }
        assert_eq!(stored.affiliates(Affiliation::Owner).count(), 1);
    }
    assert_eq!(refused, 1_000);
}
