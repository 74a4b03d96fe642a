//! What the rooms of groups are to be.

use super::*;
use crate::colleagues::{Card, Change, Person};
use crate::effect::Effect;
use crate::testkit::{Given, bare, facts};
use crate::time::Timestamp;
use std::sync::Arc;

fn person(account: &str, is_admin: bool) -> Person {
    Person {
        account: bare(account),
        aliases: Vec::new(),
        name: account.into(),
        tenant: "example.org".into(),
        is_disabled: false,
        is_admin,
        card: Card::default(),
        photo: None,
    }
}

fn group(address: &str, members: &[&str]) -> Group {
    Group {
        name: "Staff".into(),
        address: Some(bare(address)),
        tenant: "example.org".into(),
        members: members.iter().map(|it| (*it).into()).collect(),
        is_shown: true,
    }
}

fn book(groups: Vec<(&str, Group)>) -> Book {
    let gone = Person {
        is_disabled: true,
        ..person("gone@example.org", false)
    };
    let foreign = Person {
        tenant: "two".into(),
        ..person("spy@example.org", true)
    };
    let people = [
        ("romeo", person("romeo@example.org", false)),
        ("juliet", person("juliet@example.org", false)),
        ("boss", person("boss@example.org", true)),
        ("gone", gone),
        ("spy", foreign),
    ];
    let people = people.map(|(id, it)| (id, Entry::Person(it)));
    let groups = groups.into_iter().map(|(id, it)| (id, Entry::Group(it)));
    let entries = people.into_iter().chain(groups);
    let changes = entries.map(|(id, entry)| Change {
        id: id.into(),
        entry: Some(entry),
    });
    Book::default().after(1, changes.collect())
}

fn staff() -> GroupRoom {
    let members = ["romeo", "juliet", "gone", "spy", "nobody"];
    let staff = group("staff@example.org", &members);
    all(&book(vec![("g", staff)])).remove(0)
}

fn record(group: &GroupRoom) -> RoomRecord {
    let mut record = RoomRecord::new(&group.address, [0; 32], Timestamp(0));
    record.affiliations = BTreeMap::from([(group.address.clone(), group.mark())]);
    for (jid, affiliation) in &group.people {
        set(&mut record, jid.as_str(), *affiliation, BY_GROUP);
    }
    record
}

fn set(record: &mut RoomRecord, jid: &str, affiliation: Affiliation, reason: &str) {
    let affiliate = Affiliate {
        affiliation,
        nick: None,
        reason: Some(reason.into()),
    };
    record.affiliations.insert(bare(jid), affiliate);
}

#[test]
fn people_of_a_group_are_members_and_administrators_of_its_organisation_own() {
    let staff = staff();
    assert_eq!(staff.room, bare("staff@conference.example.org"));
    let people: Vec<(&str, Affiliation)> = staff
        .people
        .iter()
        .map(|(jid, it)| (jid.as_str(), *it))
        .collect();
    assert_eq!(
        people,
        [
            ("boss@example.org", Affiliation::Owner),
            ("juliet@example.org", Affiliation::Member),
            ("romeo@example.org", Affiliation::Member),
        ]
    );
}

#[test]
fn an_address_is_one_groups_and_no_persons() {
    let twice = vec![
        ("a", group("staff@example.org", &["romeo"])),
        ("b", group("staff@example.org", &["juliet"])),
        ("c", group("romeo@example.org", &["juliet"])),
    ];
    let rooms = all(&book(twice));
    assert_eq!(rooms.len(), 1);
    assert_eq!(&*rooms[0].id, "a");
}

#[test]
fn room_is_a_groups_by_its_mark_alone() {
    let staff = staff();
    assert!(staff.is(&record(&staff)));
    let own = RoomRecord::new(&bare("romeo@example.org"), [0; 32], Timestamp(0));
    assert!(!staff.is(&own));
    let other = GroupRoom {
        id: "h".into(),
        ..staff.clone()
    };
    assert!(!other.is(&record(&staff)), "another group of that address");
}

#[test]
fn room_follows_its_group_and_leaves_what_owners_have_done() {
    let staff = staff();
    let mut record = record(&staff);
    assert_eq!(staff.differences(&record), BTreeMap::new());
    // Has left the group, has come to it, administrates no more.
    set(
        &mut record,
        "tybalt@example.org",
        Affiliation::Member,
        BY_GROUP,
    );
    record.affiliations.remove("juliet@example.org");
    set(
        &mut record,
        "romeo@example.org",
        Affiliation::Owner,
        BY_GROUP,
    );
    // An owner has made them what they are.
    set(
        &mut record,
        "guest@example.org",
        Affiliation::Member,
        "a guest",
    );
    let differences = staff.differences(&record);
    let differences: Vec<(&str, Affiliation)> = differences
        .iter()
        .map(|(jid, it)| (jid.as_str(), *it))
        .collect();
    assert_eq!(
        differences,
        [
            ("juliet@example.org", Affiliation::Member),
            ("romeo@example.org", Affiliation::Member),
            ("tybalt@example.org", Affiliation::None),
        ]
    );
    set(
        &mut record,
        "juliet@example.org",
        Affiliation::Outcast,
        "rude",
    );
    assert!(
        !staff
            .differences(&record)
            .contains_key("juliet@example.org")
    );
}

fn given() -> Given {
    let mut given = facts();
    let staff = group("staff@example.org", &["romeo"]);
    given.online.2 = Arc::new(book(vec![("g", staff)]));
    given
}

#[test]
fn what_is_said_to_a_group_is_answered_with_its_room() {
    let message = "<message to='staff@example.org' id='1'><body>hi</body></message>";
    let effects = given().sends(message);
    let [Effect::Reply(error)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let error = String::from_utf8(error.to_bytes().to_vec()).unwrap();
    let redirect = "<redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>\
                    xmpp:staff@conference.example.org?join</redirect>";
    assert!(error.contains(redirect), "{error}");
    let message = message.replace("staff", "nobody");
    let effects = given().sends(&message);
    assert!(
        matches!(effects.as_slice(), [Effect::Keep(_)]),
        "{effects:?}"
    );
}
