//! Bans and members: XEP-0045 §9.1 to §9.5, and what holds for all lists.

use super::{HAG_BARE, USER, done, listed, put_out, refused, seen, with_hag};
use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::testkit::*;
use crate::testkit::bare;

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
    let item = listed("none", HAG_BARE);
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
    room.admin(CRONE, &listed("admin", HAG_BARE));
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
    let out = room.admin(CRONE, &listed("outcast", HAG_BARE));
    assert_eq!(out.refusal(), "resource-constraint");
    assert!(room.room().occupants().get("thirdwitch").is_some());
}
