//! Owners and admins: XEP-0045 §10.3 to §10.8, also where several nodes have the room.

use super::{HAG_BARE, USER, done, listed, refused, seen, with_hag};
use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::effect::{RoomEffect, Save};
use crate::features::muc::record::{RoomChange, RoomRecord};
use crate::features::muc::room::Room;
use crate::features::muc::testkit::*;
use crate::testkit::{bare, full, parse};
use crate::time::Timestamp;

#[test]
fn section_10_3_an_owner_is_made_by_owners_inside_and_elsewhere() {
    let mut room = with_hag();
    let out = room.admin(CRONE, &listed("owner", HAG_BARE));
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
    room.admin(CRONE, &listed("admin", HECATE));
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
    let (one, other) = ("crone1@shakespeare.lit", "hecate@shakespeare.lit");
    // Each node has the room and decides on what it knows; the store takes the first change.
    for first in [0, 1] {
        let node = || room().affiliation(other, Affiliation::Owner);
        let mut nodes = [node(), node()];
        let demotes = |by: &str, whom: &str| demotion(&format!("{by}/x"), whom);
        let wishes = [demotes(one, other), demotes(other, one)];
        let settings = nodes[0].settings.clone();
        let decide = |node: &mut Given, wish: &str| {
            let facts = node.facts(&settings);
            node.room_mut().decide(&parse(wish), &facts)
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
    let out = room.admin(CRONE, &listed("admin", HAG_BARE));
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
    let out = room.admin(CRONE, &listed("admin", HAG_BARE));
    let item = "affiliation='admin' role='moderator'";
    out.gives(WICCA, &[&seen(WICCA, item, "", "")]);
    let out = room.admin(CRONE, &listed("none", HAG_BARE));
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
fn a_ban_through_another_node_puts_out_here_too() {
    let mut room = with_hag();
    let change = room
        .room()
        .affiliation_change(bare(HAG_BARE), Affiliation::Outcast, None, None);
    let out = room.changed_elsewhere(&[RoomChange::Affiliation(change)]);
    assert!(out.to(HAG)[0].contains("code='301'"));
    assert!(room.room().occupants().get("thirdwitch").is_none());
}

fn demotion(by: &str, whom: &str) -> String {
    format!(
        "<iq from='{by}' id='1' to='{COVEN}' type='set'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>{}</query></iq>",
        listed("none", whom)
    )
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
    let demotes = |by: &str, whom: &str| demotion(by, owner(whom).as_str());
    let mut chance = 1_u64;
    let mut refused = 0;
    for round in 0..1_000 {
        let mut stored = record.clone();
        let node = |demotes: String| Writer {
            room: Room::open(bare(COVEN), record.clone()),
            waiting: None,
            demotes,
        };
        let mut nodes = [node(demotes(CRONE, HAG)), node(demotes(HAG, CRONE))];
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
