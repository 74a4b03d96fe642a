//! Rules of [`super`].

use super::super::effect::Occupancy;
use crate::features::muc::affiliation::Affiliation;
use crate::features::muc::role::Role;
use crate::features::muc::room::Room;
use crate::features::muc::testkit::*;
use crate::testkit::full;
use crate::time::Timestamp;

/// The room's actor has died: another one has the record and no occupants.
fn dies(given: &mut Given) -> Vec<(crate::jid::FullJid, Occupancy)> {
    let room = given.room();
    let (jid, record) = (room.jid().clone(), room.record().clone());
    given.room = Some(Room::open(jid, record));
    given.remembered.clone().into_iter().collect()
}

fn rejoins(
    given: &mut Given,
    session: &crate::jid::FullJid,
    occupancy: &Occupancy,
    is_news: bool,
) -> Out {
    let settings = given.settings.clone();
    let facts = given.facts(&settings);
    let effects = given.room_mut().rejoin(session, occupancy, is_news, &facts);
    given.does(effects)
}

#[test]
fn a_room_has_its_occupants_back_and_nobody_notices() {
    let mut room = room().config(|config| config.moderated = true);
    room.enters(HAG, "thirdwitch");
    room.enters("crone1@shakespeare.lit/phone", "firstwitch");
    room.admin(CRONE, "<item nick='thirdwitch' role='participant'/>");
    room.gets(&format!(
        "<presence from='{WICCA}' to='{COVEN}/secondwitch'><show>xa</show></presence>"
    ));
    let before: Vec<_> = room.room().occupants().iter().cloned().collect();
    for (session, occupancy) in dies(&mut room) {
        rejoins(&mut room, &session, &occupancy, false).is_nothing();
    }
    let after: Vec<_> = room.room().occupants().iter().cloned().collect();
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.nick, before.role), (&after.nick, after.role));
        assert_eq!(before.shown, after.shown);
        assert_eq!(before.joined(), after.joined());
    }
    // And all goes on.
    assert_eq!(room.says(HAG, "hi").raw.len(), 4);
}

#[test]
fn hearing_it_twice_changes_nothing() {
    let mut room = room();
    for (session, occupancy) in room.remembered.clone() {
        rejoins(&mut room, &session, &occupancy, true);
    }
    assert_eq!(room.room().occupants().sessions(), 2);
}

#[test]
fn whoever_was_banned_meanwhile_does_not_come_back() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let known = dies(&mut room);
    let mut room = room.affiliation("hag66@shakespeare.lit", Affiliation::Outcast);
    for (session, occupancy) in known {
        let out = rejoins(&mut room, &session, &occupancy, false);
        assert_eq!(out.raw.len(), usize::from(session == full(HAG)));
    }
    assert_eq!(room.room().occupants().len(), 2);
    assert!(!room.remembered.contains_key(&full(HAG)));
}

fn occupancy(given: &Given, nick: &str, joined: i64) -> Occupancy {
    Occupancy {
        room: given.room().jid().clone(),
        nick: nick.into(),
        role: Role::Participant,
        joined: Timestamp(joined),
        presence: Default::default(),
    }
}

#[test]
fn m05_of_two_who_hold_a_nick_after_a_split_the_earlier_keeps_it_in_every_order() {
    for (hag_joined, hecate_joined) in [(1, 2), (2, 1), (1, 1)] {
        let mut ends = Vec::new();
        for hag_first in [true, false] {
            let mut room = room();
            let claims = [
                (HAG, occupancy(&room, "Witch", hag_joined)),
                (HECATE, occupancy(&room, "witch", hecate_joined)),
            ];
            let order = if hag_first { [0, 1] } else { [1, 0] };
            let mut told = Vec::new();
            for at in order {
                let (session, occupancy) = &claims[at];
                let out = rejoins(&mut room, &full(session), occupancy, true);
                told.extend(out.raw.into_iter().filter(|xml| xml.contains("code='333'")));
            }
            let holder = room.room().occupants().like("witch").unwrap();
            ends.push(holder.account.clone());
            let loser = if holder.account == full(HAG).bare() {
                HECATE
            } else {
                HAG
            };
            assert!(told.iter().any(|xml| xml.contains(loser)), "{told:?}");
        }
        assert_eq!(ends[0], ends[1], "{hag_joined} {hecate_joined}");
    }
}

#[test]
fn those_of_both_halves_are_shown_to_each_other_when_they_are_news() {
    let mut room = room();
    let occupancy = occupancy(&room, "thirdwitch", 1);
    let out = rejoins(&mut room, &full(HAG), &occupancy, true);
    assert_eq!(out.to(CRONE).len(), 1);
    assert_eq!(out.to(HAG).len(), 2);
}

#[test]
fn the_record_of_a_session_survives_writing_and_reading() {
    let room = room();
    let known = room.room().occupancy(&full(CRONE)).unwrap();
    assert_eq!(known.role, Role::Moderator);
    assert!(room.room().occupancy(&full(HAG)).is_none());
    assert_eq!(room.remembered[&full(CRONE)], known);
}

#[test]
fn a_late_word_of_an_old_nick_moves_nobody() {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    let old = room.remembered[&full(HAG)].clone();
    room.gets(&format!("<presence from='{HAG}' to='{COVEN}/oldhag'/>"));
    rejoins(&mut room, &full(HAG), &old, true).is_nothing();
    assert!(room.room().occupants().get("thirdwitch").is_none());
    assert_eq!(room.room().occupants().sessions(), 3);
}
