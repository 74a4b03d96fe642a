//! Rooms: what is remembered of them, by compare-and-set.

use bytes::Bytes;
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation, AffiliationChange};
use klatsch_protocol::features::muc::config::{Config, PrivateMessages};
use klatsch_protocol::features::muc::hats::{Hat, HatsChange};
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord, Subject};
use klatsch_protocol::features::muc::role::Role;
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_store::{Store, StoreError};

use crate::support::{at, bare, create, found_room, line, on_every_backend, record, say};

on_every_backend!(
    a_room_is_remembered_as_it_was_saved,
    every_change_is_remembered,
    a_stale_version_changes_nothing,
    a_room_is_made_once,
    what_is_not_there_cannot_be_changed,
    changes_are_made_together_or_not_at_all,
    no_changes_leave_the_version,
    m01_of_two_owners_who_demote_each_other_one_stays,
    m01_interleavings_of_two_writers_leave_an_owner,
    c15_a_removed_account_is_nothing_to_rooms,
    many_affiliations_are_remembered,
    a_removed_room_leaves_nothing_to_the_next,
    c15_a_version_of_an_earlier_room_is_stale_in_the_next,
    a_destroyed_room_is_gone,
    an_account_and_a_room_may_have_one_address,
    removing_an_account_leaves_its_rooms,
    rooms_are_counted_for_those_who_made_them,
);

const COVEN: &str = "coven@conference.example.org";

fn affiliation(jid: &str, affiliation: Affiliation, nick: Option<&str>) -> RoomChange {
    RoomChange::Affiliation(AffiliationChange {
        jid: bare(jid),
        before: Affiliation::None,
        after: Affiliate {
            affiliation,
            nick: nick.map(Into::into),
            reason: Some("a reason".into()),
        },
    })
}

fn hat(title: &str) -> Hat {
    Hat {
        title: title.into(),
        hue: Some("120".into()),
        lang: None,
    }
}

fn config(change: impl FnOnce(&mut Config)) -> RoomChange {
    let mut config = Config::default();
    change(&mut config);
    RoomChange::Config(Box::new(config))
}

fn message(text: &str) -> Message {
    let text = format!(
        "<message from='{COVEN}/first' type='groupchat' id='s'><subject>{text}</subject></message>"
    );
    match Stanza::parse(text.as_bytes()) {
        Ok(Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// A record with something everywhere.
fn full() -> RoomRecord {
    let mut record = record("queen@example.org");
    record.config = Config {
        name: "The Coven".into(),
        description: "Fire burn \"and\" cauldron bubble \u{1f525}".into(),
        lang: "en".into(),
        persistent: false,
        public: true,
        members_only: true,
        moderated: true,
        read_only: true,
        password: Some("cauldron".into()),
        non_anonymous: true,
        change_subject: false,
        allow_invites: false,
        private_messages: PrivateMessages::Moderators,
        presence_broadcast: vec![Role::Moderator],
        member_list: Vec::new(),
        occupants_max: Some(13),
        history_max: 3,
        archived: false,
        registration: false,
    };
    for (number, affiliation) in Affiliation::ALL.into_iter().enumerate() {
        let affiliate = Affiliate {
            affiliation,
            nick: Some(format!("witch {number}").into()),
            reason: (number == 0).then(|| "mortal".into()),
        };
        let jid = bare(&format!("witch{number}@example.org"));
        record.affiliations.insert(jid, affiliate);
    }
    record.subject = Some(Subject {
        message: message("Fire Burn and Cauldron Bubble!"),
        stamp: at(5),
    });
    record
        .hats
        .apply(&HatsChange::Define("h:1".into(), hat("Host")));
    let worn = HatsChange::Assign(bare("witch1@example.org"), "h:1".into());
    record.hats.apply(&worn);
    record.vcard = Some(Bytes::from_static(b"<vCard xmlns='vcard-temp'/>"));
    record
}

async fn room(store: &Store) -> RoomRecord {
    store.room(&bare(COVEN)).await.unwrap().unwrap()
}

async fn save(store: &Store, expected: u64, changes: Vec<RoomChange>) -> Result<u64, StoreError> {
    store.save_room(&bare(COVEN), expected, changes).await
}

async fn a_room_is_remembered_as_it_was_saved(store: &Store) {
    assert_eq!(store.room(&bare(COVEN)).await, Ok(None));
    let record = full();
    let version = save(store, 0, vec![RoomChange::Create(Box::new(record.clone()))]).await;
    let version = version.unwrap();
    assert_eq!(room(store).await, RoomRecord { version, ..record });
}

async fn every_change_is_remembered(store: &Store) {
    let mut expected = full();
    let create = RoomChange::Create(Box::new(expected.clone()));
    let mut version = save(store, 0, vec![create]).await.unwrap();
    let witch = || bare("witch1@example.org");
    let changes = [
        config(|config| config.private_messages = PrivateMessages::Nobody),
        affiliation("macbeth@example.org", Affiliation::Outcast, None),
        affiliation("macbeth@example.org", Affiliation::Member, Some("Thane")),
        affiliation("witch0@example.org", Affiliation::None, None),
        affiliation("witch2@example.org", Affiliation::None, Some("only a nick")),
        affiliation("example.net", Affiliation::Outcast, None),
        RoomChange::Hats(HatsChange::Define("h:2".into(), hat("Cook"))),
        RoomChange::Hats(HatsChange::Define("h:1".into(), hat("Guest"))),
        RoomChange::Hats(HatsChange::Assign(witch(), "h:2".into())),
        RoomChange::Hats(HatsChange::Assign(witch(), "h:2".into())),
        RoomChange::Hats(HatsChange::Unassign(witch(), "h:1".into())),
        RoomChange::Hats(HatsChange::Destroy("h:2".into())),
        RoomChange::Vcard(None),
        RoomChange::Vcard(Some(Bytes::from_static(b"<vCard/>"))),
    ];
    for change in changes {
        expected.apply(&change);
        let next = save(store, version, vec![change.clone()]).await.unwrap();
        assert!(next > version);
        version = next;
        expected.version = version;
        assert_eq!(room(store).await, expected, "{change:?}");
    }
}

async fn a_stale_version_changes_nothing(store: &Store) {
    let version = found_room(store, COVEN).await;
    let ban = || {
        vec![affiliation(
            "macbeth@example.org",
            Affiliation::Outcast,
            None,
        )]
    };
    let next = save(store, version, ban()).await.unwrap();
    let before = room(store).await;
    let late = vec![config(|config| config.moderated = true)];
    for stale in [version, next + 1, u64::MAX] {
        assert_eq!(
            save(store, stale, late.clone()).await,
            Err(StoreError::Conflict)
        );
    }
    assert_eq!(room(store).await, before);
    assert_eq!(before.version, next);
}

async fn a_room_is_made_once(store: &Store) {
    let version = found_room(store, COVEN).await;
    let create = || vec![RoomChange::Create(Box::new(record("thief@example.org")))];
    assert_eq!(save(store, 0, create()).await, Err(StoreError::Conflict));
    assert_eq!(
        save(store, version, create()).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(room(store).await.creator, bare("queen@example.org"));
}

async fn what_is_not_there_cannot_be_changed(store: &Store) {
    let change = || vec![config(|config| config.moderated = true)];
    for expected in [0, 1] {
        assert_eq!(
            save(store, expected, change()).await,
            Err(StoreError::NoSuchRoom)
        );
        assert_eq!(
            save(store, expected, Vec::new()).await,
            Err(StoreError::NoSuchRoom)
        );
    }
    let nobodys = RoomRecord {
        affiliations: std::collections::BTreeMap::new(),
        ..record("queen@example.org")
    };
    let create = vec![RoomChange::Create(Box::new(nobodys))];
    assert_eq!(save(store, 0, create).await, Err(StoreError::Conflict));
    assert_eq!(store.room(&bare(COVEN)).await, Ok(None));
}

async fn changes_are_made_together_or_not_at_all(store: &Store) {
    let create = RoomChange::Create(Box::new(record("queen@example.org")));
    let more = config(|config| config.name = "The Coven".into());
    let version = save(store, 0, vec![create.clone(), more]).await.unwrap();
    assert_eq!(&*room(store).await.config.name, "The Coven");
    let changes = vec![config(|config| config.name = "lost".into()), create];
    assert_eq!(
        save(store, version, changes).await,
        Err(StoreError::Conflict)
    );
    let kept = room(store).await;
    assert_eq!((&*kept.config.name, kept.version), ("The Coven", version));
}

async fn no_changes_leave_the_version(store: &Store) {
    let version = found_room(store, COVEN).await;
    assert_eq!(save(store, version, Vec::new()).await, Ok(version));
    assert_eq!(
        save(store, version + 1, Vec::new()).await,
        Err(StoreError::Conflict)
    );
}

async fn m01_of_two_owners_who_demote_each_other_one_stays(store: &Store) {
    let mut version = found_room(store, COVEN).await;
    let second = vec![affiliation("king@example.org", Affiliation::Owner, None)];
    version = save(store, version, second).await.unwrap();
    let demote = |jid| vec![affiliation(jid, Affiliation::Member, None)];
    let both = [demote("king@example.org"), demote("queen@example.org")];
    let (one, other) = tokio::join!(
        save(store, version, both[0].clone()),
        save(store, version, both[1].clone())
    );
    assert_eq!([&one, &other].iter().filter(|it| it.is_ok()).count(), 1);
    // Nor one after the other, whatever was decided on the version there is now.
    let mut refused = 0;
    for last in both {
        let version = room(store).await.version;
        refused += usize::from(save(store, version, last).await == Err(StoreError::Conflict));
    }
    assert_eq!(refused, 1);
    assert_eq!(room(store).await.affiliates(Affiliation::Owner).count(), 1);
    let version = room(store).await.version;
    let harmless = vec![affiliation("fool@example.org", Affiliation::Member, None)];
    assert!(save(store, version, harmless).await.is_ok());
}

async fn m01_interleavings_of_two_writers_leave_an_owner(store: &Store) {
    found_room(store, COVEN).await;
    let owners = ["queen@example.org", "king@example.org"];
    let set = |jid, to| vec![affiliation(jid, to, None)];
    let mut refused = 0;
    for round in 0..100 {
        // Both are owners, and each demotes the other on what it has read, at its own time.
        for jid in owners {
            let version = room(store).await.version;
            save(store, version, set(jid, Affiliation::Owner))
                .await
                .unwrap();
        }
        let version = room(store).await.version;
        let late = async |jid, pause: u32| {
            for _ in 0..pause {
                tokio::task::yield_now().await;
            }
            let seen = match pause % 2 {
                0 => version,
                _ => room(store).await.version,
            };
            save(store, seen, set(jid, Affiliation::None)).await
        };
        let (one, other) = tokio::join!(late(owners[0], round % 7), late(owners[1], round % 5));
        let left = room(store).await.affiliates(Affiliation::Owner).count();
        assert!(left >= 1, "round {round}: {one:?} {other:?}");
        refused += usize::from(one.is_err()) + usize::from(other.is_err());
    }
    assert_eq!(refused, 100);
}

async fn c15_a_removed_account_is_nothing_to_rooms(store: &Store) {
    let (queen, king) = (bare("queen@example.org"), bare("king@example.org"));
    create(store, &[queen.as_str(), king.as_str()]).await;
    let version = found_room(store, COVEN).await;
    let uri: Box<str> = "urn:crown".into();
    let changes = vec![
        affiliation(king.as_str(), Affiliation::Admin, Some("K")),
        affiliation("fool@example.org", Affiliation::Member, Some("F")),
        RoomChange::Hats(HatsChange::Define(uri.clone(), hat("Crown"))),
        RoomChange::Hats(HatsChange::Assign(queen.clone(), uri)),
    ];
    let version = save(store, version, changes).await.unwrap();
    store.remove_account(&queen, at(9)).await.unwrap();
    let after = room(store).await;
    assert_eq!(after.affiliation(&queen), Affiliation::None);
    assert!(after.hats.worn.is_empty());
    assert_eq!(after.affiliation(&king), Affiliation::Owner);
    assert!(after.version > version);
    let stale = vec![affiliation("x@example.org", Affiliation::Member, None)];
    assert_eq!(save(store, version, stale).await, Err(StoreError::Conflict));
    // The last one leaves a room without an owner, and a ban stays.
    let banned = vec![affiliation("knave@example.org", Affiliation::Outcast, None)];
    save(store, after.version, banned).await.unwrap();
    create(store, &["knave@example.org"]).await;
    for gone in [&king, &bare("knave@example.org")] {
        store.remove_account(gone, at(9)).await.unwrap();
    }
    let after = room(store).await;
    assert_eq!(after.affiliates(Affiliation::Owner).count(), 0);
    assert_eq!(after.affiliates(Affiliation::Member).count(), 1);
    let knave = bare("knave@example.org");
    assert_eq!(after.affiliation(&knave), Affiliation::Outcast);
}

async fn many_affiliations_are_remembered(store: &Store) {
    let version = found_room(store, COVEN).await;
    let member = |n| affiliation(&format!("m{n}@example.org"), Affiliation::Member, None);
    save(store, version, (0..500).map(member).collect())
        .await
        .unwrap();
    assert_eq!(
        room(store).await.affiliates(Affiliation::Member).count(),
        500
    );
}

async fn a_removed_room_leaves_nothing_to_the_next(store: &Store) {
    let coven = bare(COVEN);
    save(store, 0, vec![RoomChange::Create(Box::new(full()))])
        .await
        .unwrap();
    say(store, line(COVEN, 1)).await;
    store.remove_room(&coven).await.unwrap();
    assert_eq!(store.room(&coven).await, Ok(None));
    assert_eq!(store.room_head(&coven).await, Err(StoreError::NoSuchRoom));
    // Whoever is late removes nothing.
    assert_eq!(store.remove_room(&coven).await, Ok(()));
    let version = found_room(store, COVEN).await;
    let new = RoomRecord {
        version,
        ..record("queen@example.org")
    };
    assert_eq!(room(store).await, new);
    assert_eq!(store.room_entries(&coven, 0, 10).await, Ok(Vec::new()));
    while store.sweep(at(0)).await.unwrap() {}
    assert_eq!(room(store).await, new);
}

async fn c15_a_version_of_an_earlier_room_is_stale_in_the_next(store: &Store) {
    let coven = bare(COVEN);
    let mut last = 0;
    for life in 0..4 {
        let version = found_room(store, COVEN).await;
        assert!(version > last, "{life}");
        let change = vec![config(|config| config.moderated = true)];
        assert_eq!(
            save(store, last, change.clone()).await,
            Err(StoreError::Conflict)
        );
        last = save(store, version, change).await.unwrap();
        store.remove_room(&coven).await.unwrap();
        if life % 2 == 0 {
            while store.sweep(at(0)).await.unwrap() {}
        }
    }
}

async fn a_destroyed_room_is_gone(store: &Store) {
    let coven = bare(COVEN);
    let version = found_room(store, COVEN).await;
    say(store, line(COVEN, 1)).await;
    let destroy = || vec![RoomChange::Destroy];
    assert_eq!(
        save(store, version + 1, destroy()).await,
        Err(StoreError::Conflict)
    );
    let gone = save(store, version, destroy()).await.unwrap();
    assert!(gone > version);
    assert_eq!(store.room(&coven).await, Ok(None));
    assert_eq!(
        store.room_entries(&coven, 0, 1).await,
        Err(StoreError::NoSuchRoom)
    );
    assert!(found_room(store, COVEN).await > gone);
}

async fn an_account_and_a_room_may_have_one_address(store: &Store) {
    use crate::support::{append, message, placed};
    use klatsch_store::{Appended, RoomAppended};
    let both = "verona@example.org";
    create(store, &["romeo@example.org"]).await;
    found_room(store, both).await;
    let to_account = || message("romeo@example.org/orchard", both, 1);
    assert_eq!(
        say(store, line(both, 1)).await,
        RoomAppended::Stored(placed(1, 1))
    );
    assert_eq!(append(store, to_account()).await, Appended::NoSuchAccount);
    assert_eq!(
        store.head(&bare(both)).await,
        Err(StoreError::NoSuchAccount)
    );
    create(store, &[both]).await;
    assert!(matches!(
        append(store, to_account()).await,
        Appended::Stored { .. }
    ));
    say(store, line(both, 2)).await;
    assert_eq!(store.head(&bare(both)).await, Ok(1));
    assert_eq!(store.heads(&[bare(both)]).await, Ok(vec![1]));
    assert_eq!(store.room_head(&bare(both)).await, Ok(2));
    assert_eq!(store.entries(&bare(both), 0, 10).await.unwrap().len(), 1);
    assert_eq!(
        store.room_entries(&bare(both), 0, 10).await.unwrap().len(),
        2
    );
    store.remove_account(&bare(both), at(3)).await.unwrap();
    while store.sweep(at(0)).await.unwrap() {}
    assert_eq!(
        store.room_entries(&bare(both), 0, 10).await.unwrap().len(),
        2
    );
}

async fn removing_an_account_leaves_its_rooms(store: &Store) {
    create(store, &["queen@example.org"]).await;
    found_room(store, COVEN).await;
    store
        .remove_account(&bare("queen@example.org"), at(2))
        .await
        .unwrap();
    assert_eq!(room(store).await.creator, bare("queen@example.org"));
}

async fn rooms_are_counted_for_those_who_made_them(store: &Store) {
    let queen = bare("queen@example.org");
    assert_eq!(store.rooms_created(&queen).await, Ok(0));
    for room in ["a@c.example.org", "b@c.example.org", "a@c.example.net"] {
        found_room(store, room).await;
    }
    assert_eq!(store.rooms_created(&queen).await, Ok(3));
    store.remove_room(&bare("b@c.example.org")).await.unwrap();
    assert_eq!(store.rooms_created(&queen).await, Ok(2));
    assert_eq!(store.rooms_created(&bare("king@example.org")).await, Ok(0));
}
