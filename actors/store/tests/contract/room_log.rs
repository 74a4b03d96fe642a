//! Logs of rooms: order, replays, archives, and what a message says of its room.

use bytes::Bytes;
use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, PageFrom};
use klatsch_protocol::features::muc::effect::Tombstone;
use klatsch_protocol::features::muc::record::Subject;
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_store::log::PAGE_MAX;
use klatsch_store::{
    Appended, Dedup, LogAppend, LogAppended, RoomAppend, RoomAppended, Store, StoreError,
};

use crate::support::{
    at, bare, couple, found_room, jid, keyed, line, on_every_backend, placed, say,
};

on_every_backend!(
    an_entry_is_what_was_said,
    ids_and_stamps_grow_in_each_room,
    nothing_is_said_where_no_room_is,
    a_replay_finds_the_first_entry,
    a_key_is_its_senders,
    a_batch_holds_accounts_and_rooms,
    entries_are_read_one_or_many,
    an_archive_is_asked_by_author_time_and_page,
    bounds_are_those_of_the_log,
    a_subject_is_remembered_with_its_entry,
    the_last_subject_of_a_batch_holds,
    a_tombstone_takes_the_place_of_an_entry,
    a_tombstone_stands_in_the_room_it_was_said_in,
    a_replay_says_nothing_of_the_room,
    ids_go_on_in_the_next_room_of_the_name,
    tasks_that_talk_at_once_leave_no_gap,
);

const COVEN: &str = "coven@conference.example.org";
const HEATH: &str = "heath@conference.example.org";

fn keyed_line(key: u8, payload: u64, second: i64) -> RoomAppend {
    RoomAppend {
        dedup: Some(Dedup {
            key: [key; 16],
            payload,
        }),
        ..line(COVEN, second)
    }
}

fn subject(text: &str) -> Option<Subject> {
    let text = format!("<message from='{COVEN}/x'><subject>{text}</subject></message>");
    Some(Subject {
        message: message(text.as_bytes()),
        stamp: at(0),
    })
}

fn message(bytes: &[u8]) -> Message {
    match Stanza::parse(bytes) {
        Ok(Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn tombstone(id: u64) -> Option<Tombstone> {
    let stanza = Bytes::from_static(b"<message><retracted/></message>");
    Some(Tombstone { id, stanza })
}

async fn texts(store: &Store, room: &str) -> Vec<Bytes> {
    let entries = store.room_entries(&bare(room), 0, PAGE_MAX).await.unwrap();
    entries.into_iter().map(|entry| entry.stanza).collect()
}

async fn an_entry_is_what_was_said(store: &Store) {
    found_room(store, COVEN).await;
    assert_eq!(store.room_head(&bare(COVEN)).await, Ok(0));
    let said = line(COVEN, 3);
    assert_eq!(
        say(store, said.clone()).await,
        RoomAppended::Stored(placed(1, 3))
    );
    let entry = Entry {
        id: 1,
        stamp: at(3),
        direction: Direction::Received,
        with: bare("romeo@example.net"),
        stanza: said.message,
    };
    assert_eq!(
        store.room_entries(&bare(COVEN), 0, 9).await,
        Ok(vec![entry])
    );
    assert_eq!(store.room_head(&bare(COVEN)).await, Ok(1));
}

async fn ids_and_stamps_grow_in_each_room(store: &Store) {
    found_room(store, COVEN).await;
    found_room(store, HEATH).await;
    let batch = vec![
        line(COVEN, 10),
        line(HEATH, 5),
        line(COVEN, 7),
        line(HEATH, 6),
    ];
    let answers = store.append_room(batch).await.unwrap();
    let stored = [placed(1, 10), placed(1, 5), placed(2, 10), placed(2, 6)];
    assert_eq!(answers, stored.map(RoomAppended::Stored));
    assert_eq!(
        say(store, line(COVEN, 1)).await,
        RoomAppended::Stored(placed(3, 10))
    );
    assert_eq!(store.append_room(Vec::new()).await, Ok(Vec::new()));
}

async fn nothing_is_said_where_no_room_is(store: &Store) {
    found_room(store, COVEN).await;
    let batch = vec![line(HEATH, 1), line(COVEN, 2)];
    let answers = store.append_room(batch).await.unwrap();
    assert_eq!(
        answers,
        [RoomAppended::NoSuchRoom, RoomAppended::Stored(placed(1, 2))]
    );
    let heath = bare(HEATH);
    let no_such_room = StoreError::NoSuchRoom;
    assert_eq!(store.room_head(&heath).await, Err(no_such_room.clone()));
    assert_eq!(
        store.room_entries(&heath, 0, 1).await,
        Err(no_such_room.clone())
    );
    assert_eq!(store.room_entry(&heath, 1).await, Err(no_such_room.clone()));
    assert_eq!(store.room_bounds(&heath).await, Err(no_such_room.clone()));
    let query = ArchiveQuery::default();
    assert_eq!(store.room_query(&heath, &query).await, Err(no_such_room));
}

async fn a_replay_finds_the_first_entry(store: &Store) {
    found_room(store, COVEN).await;
    say(store, line(COVEN, 1)).await;
    let first = RoomAppended::Stored(placed(2, 2));
    assert_eq!(say(store, keyed_line(1, 42, 2)).await, first);
    // Also when it is no longer recent.
    assert_eq!(texts(store, COVEN).await.len(), 2);
    let replay = RoomAppended::Replay(placed(2, 2));
    assert_eq!(say(store, keyed_line(1, 42, 3)).await, replay);
    let other = RoomAppended::ReplayOtherPayload;
    assert_eq!(say(store, keyed_line(1, 43, 3)).await, other);
    let batch = vec![
        keyed_line(2, 7, 4),
        keyed_line(2, 7, 5),
        keyed_line(2, 8, 5),
    ];
    let answers = store.append_room(batch).await.unwrap();
    let stored = placed(3, 4);
    assert_eq!(
        answers,
        [
            RoomAppended::Stored(stored),
            RoomAppended::Replay(stored),
            other
        ]
    );
    assert_eq!(store.room_head(&bare(COVEN)).await, Ok(3));
}

async fn a_key_is_its_senders(store: &Store) {
    found_room(store, COVEN).await;
    found_room(store, HEATH).await;
    say(store, keyed_line(1, 42, 1)).await;
    let phone = RoomAppend {
        sender: jid("romeo@example.net/phone"),
        ..keyed_line(1, 42, 2)
    };
    assert_eq!(say(store, phone).await, RoomAppended::Replay(placed(1, 1)));
    let juliet = RoomAppend {
        sender: jid("juliet@example.net/orchard"),
        ..keyed_line(1, 43, 2)
    };
    assert_eq!(say(store, juliet).await, RoomAppended::Stored(placed(2, 2)));
    let elsewhere = RoomAppend {
        room: bare(HEATH),
        ..keyed_line(1, 43, 2)
    };
    assert_eq!(
        say(store, elsewhere).await,
        RoomAppended::Stored(placed(1, 2))
    );
}

async fn a_batch_holds_accounts_and_rooms(store: &Store) {
    couple(store).await;
    found_room(store, COVEN).await;
    let room = |line| LogAppend::Room(Box::new(line));
    let batch = vec![
        room(keyed_line(1, 42, 1)),
        LogAppend::Account(keyed(1, 42, 2)),
        room(line(HEATH, 3)),
        LogAppend::Account(keyed(1, 42, 4)),
        room(keyed_line(1, 42, 5)),
        room(line(COVEN, 6)),
    ];
    let answers = store.append_all(batch).await.unwrap();
    let (sender, recipient) = (placed(1, 2), Some(placed(1, 2)));
    let expected = [
        LogAppended::Room(RoomAppended::Stored(placed(1, 1))),
        LogAppended::Account(Appended::Stored { sender, recipient }),
        LogAppended::Room(RoomAppended::NoSuchRoom),
        LogAppended::Account(Appended::Replay { sender, recipient }),
        LogAppended::Room(RoomAppended::Replay(placed(1, 1))),
        LogAppended::Room(RoomAppended::Stored(placed(2, 6))),
    ];
    assert_eq!(answers, expected);
    assert_eq!(store.append_all(Vec::new()).await, Ok(Vec::new()));
}

async fn entries_are_read_one_or_many(store: &Store) {
    found_room(store, COVEN).await;
    let coven = bare(COVEN);
    let many = i64::from(PAGE_MAX) + 10;
    let batch = (0..many).map(|second| line(COVEN, second)).collect();
    store.append_room(batch).await.unwrap();
    let ids = async |after, max| {
        let entries = store.room_entries(&coven, after, max).await.unwrap();
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(5, 3).await, [6, 7, 8]);
    assert_eq!(ids(0, u32::MAX).await.len(), PAGE_MAX as usize);
    assert_eq!(ids(u64::MAX, 10).await, [0; 0]);
    let one = store.room_entry(&coven, 8).await.unwrap().unwrap();
    assert_eq!((one.id, one.stamp), (8, at(7)));
    for unknown in [0, many as u64 + 1, u64::MAX] {
        assert_eq!(store.room_entry(&coven, unknown).await, Ok(None));
    }
}

async fn an_archive_is_asked_by_author_time_and_page(store: &Store) {
    found_room(store, COVEN).await;
    let authors = [
        "romeo@example.net",
        "juliet@example.org",
        "romeo@example.net",
    ];
    let batch = (0..9).map(|second| RoomAppend {
        sender: jid(&format!("{}/r{second}", authors[second as usize % 3])),
        ..line(COVEN, second)
    });
    store.append_room(batch.collect()).await.unwrap();
    let ids = async |query: ArchiveQuery| {
        let page = store.room_query(&bare(COVEN), &query).await.unwrap();
        page.entries
            .iter()
            .map(|entry| entry.id)
            .collect::<Vec<_>>()
    };
    let most = ArchiveQuery {
        max: PAGE_MAX,
        ..ArchiveQuery::default()
    };
    let of_juliet = ArchiveQuery {
        with: Some(jid("juliet@example.org")),
        ..most.clone()
    };
    assert_eq!(ids(of_juliet).await, [2, 5, 8]);
    let of_nobody = ArchiveQuery {
        with: Some(jid("nobody@example.org")),
        ..most.clone()
    };
    assert_eq!(ids(of_nobody).await, [0; 0]);
    let last = ArchiveQuery {
        page: PageFrom::End,
        start: Some(at(3)),
        max: 2,
        ..ArchiveQuery::default()
    };
    assert_eq!(ids(last).await, [8, 9]);
    let between = ArchiveQuery {
        after_id: Some(2),
        end: Some(at(4)),
        ..most.clone()
    };
    assert_eq!(ids(between).await, [3, 4, 5]);
    let unknown = ArchiveQuery {
        ids: vec![10],
        ..most
    };
    let unknown = store.room_query(&bare(COVEN), &unknown).await;
    assert_eq!(unknown, Err(StoreError::NoSuchItem));
}

async fn bounds_are_those_of_the_log(store: &Store) {
    found_room(store, COVEN).await;
    assert_eq!(store.room_bounds(&bare(COVEN)).await, Ok(None));
    store
        .append_room(vec![line(COVEN, 1), line(COVEN, 2)])
        .await
        .unwrap();
    let (first, last) = ((1, at(1)), (2, at(2)));
    let bounds = store.room_bounds(&bare(COVEN)).await;
    assert_eq!(bounds, Ok(Some(Bounds { first, last })));
}

async fn a_subject_is_remembered_with_its_entry(store: &Store) {
    let version = found_room(store, COVEN).await;
    say(store, line(COVEN, 20)).await;
    let said = RoomAppend {
        subject: subject("Fire &amp; Burn"),
        ..line(COVEN, 10)
    };
    assert_eq!(
        say(store, said.clone()).await,
        RoomAppended::Stored(placed(2, 20))
    );
    let record = store.room(&bare(COVEN)).await.unwrap().unwrap();
    let expected = said.subject.map(|subject| Subject {
        stamp: at(20),
        ..subject
    });
    assert_eq!((record.subject, record.version), (expected, version));
}

async fn the_last_subject_of_a_batch_holds(store: &Store) {
    found_room(store, COVEN).await;
    found_room(store, HEATH).await;
    let said = |room, text, second| RoomAppend {
        subject: subject(text),
        ..line(room, second)
    };
    let batch = vec![
        said(COVEN, "one", 1),
        said(HEATH, "two", 2),
        said(COVEN, "three", 3),
    ];
    store.append_room(batch).await.unwrap();
    for (room, text, second) in [(COVEN, "three", 3), (HEATH, "two", 2)] {
        let found = store.room(&bare(room)).await.unwrap().unwrap().subject;
        let expected = subject(text).map(|it| Subject {
            stamp: at(second),
            ..it
        });
        assert_eq!(found, expected);
    }
}

async fn a_tombstone_takes_the_place_of_an_entry(store: &Store) {
    found_room(store, COVEN).await;
    let lines = [1, 2, 3].map(|second| line(COVEN, second));
    store.append_room(lines.to_vec()).await.unwrap();
    let retract = |id, second| RoomAppend {
        tombstone: tombstone(id),
        ..line(COVEN, second)
    };
    // Once while it is recent, once when it is not, once within a batch.
    say(store, retract(2, 4)).await;
    let grave = tombstone(1).unwrap().stanza;
    let said = |second| line(COVEN, second).message;
    assert_eq!(
        texts(store, COVEN).await,
        [said(1), grave.clone(), said(3), said(4)]
    );
    say(store, retract(1, 5)).await;
    store
        .append_room(vec![line(COVEN, 6), retract(6, 7)])
        .await
        .unwrap();
    let now = [
        &grave,
        &grave,
        &said(3),
        &said(4),
        &said(5),
        &grave,
        &said(7),
    ];
    assert!(texts(store, COVEN).await.iter().eq(now));
    let entry = store.room_entry(&bare(COVEN), 2).await.unwrap().unwrap();
    assert_eq!(
        (entry.with, entry.stamp),
        (bare("romeo@example.net"), at(2))
    );
    // What is not there, not yet there or itself: nothing.
    for id in [0, 9, 10, u64::MAX] {
        assert!(matches!(
            say(store, retract(id, 8)).await,
            RoomAppended::Stored(_)
        ));
    }
    let after = texts(store, COVEN).await;
    assert_eq!(after[7..], [said(8), said(8), said(8), said(8)]);
    assert_eq!(store.room_head(&bare(COVEN)).await, Ok(11));
}

async fn a_tombstone_stands_in_the_room_it_was_said_in(store: &Store) {
    couple(store).await;
    found_room(store, COVEN).await;
    found_room(store, HEATH).await;
    store.append(vec![keyed(1, 1, 1)]).await.unwrap();
    store
        .append_room(vec![line(COVEN, 1), line(HEATH, 1)])
        .await
        .unwrap();
    let retract = RoomAppend {
        tombstone: tombstone(1),
        ..line(HEATH, 2)
    };
    say(store, retract).await;
    assert_eq!(texts(store, COVEN).await, [line(COVEN, 1).message]);
    assert_eq!(texts(store, HEATH).await[0], tombstone(1).unwrap().stanza);
    let juliet = store
        .entries(&bare("juliet@example.org"), 0, 9)
        .await
        .unwrap();
    assert_eq!(juliet[0].stanza, keyed(1, 1, 1).stanza);
}

async fn a_replay_says_nothing_of_the_room(store: &Store) {
    found_room(store, COVEN).await;
    let said = RoomAppend {
        subject: subject("first"),
        ..keyed_line(1, 42, 1)
    };
    say(store, said).await;
    let later = RoomAppend {
        subject: subject("second"),
        tombstone: tombstone(1),
        ..keyed_line(1, 42, 2)
    };
    assert_eq!(say(store, later).await, RoomAppended::Replay(placed(1, 1)));
    let record = store.room(&bare(COVEN)).await.unwrap().unwrap();
    assert_eq!(
        record.subject.map(|it| it.message),
        subject("first").map(|it| it.message)
    );
    assert_eq!(texts(store, COVEN).await, [line(COVEN, 1).message]);
}

async fn ids_go_on_in_the_next_room_of_the_name(store: &Store) {
    let coven = bare(COVEN);
    let mut last = 0;
    for life in 0..4 {
        found_room(store, COVEN).await;
        assert_eq!(store.room_head(&coven).await, Ok(last));
        assert_eq!(store.room_bounds(&coven).await, Ok(None));
        let answers = store
            .append_room(vec![line(COVEN, 5), keyed_line(1, 42, 5)])
            .await;
        let stored = [placed(last + 1, 5), placed(last + 2, 5)].map(RoomAppended::Stored);
        assert_eq!(answers, Ok(stored.to_vec()));
        let known = ArchiveQuery {
            page: PageFrom::After(last),
            max: 9,
            ..ArchiveQuery::default()
        };
        // Whoever goes on from an entry of the earlier room learns that it is gone.
        if last > 0 {
            let asked = store.room_query(&coven, &known).await;
            assert_eq!(asked, Err(StoreError::NoSuchItem));
        }
        last += 2;
        store.remove_room(&coven).await.unwrap();
        if life % 2 == 0 {
            while store.sweep(at(0)).await.unwrap() {}
        }
    }
}

async fn tasks_that_talk_at_once_leave_no_gap(store: &Store) {
    found_room(store, COVEN).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for second in 0..10 {
                    let said = say(&store, line(COVEN, second)).await;
                    assert!(matches!(said, RoomAppended::Stored(_)), "{said:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let entries = store.room_entries(&bare(COVEN), 0, PAGE_MAX).await.unwrap();
    assert!(entries.iter().map(|entry| entry.id).eq(1..=80));
    assert!(entries.is_sorted_by_key(|entry| entry.stamp));
}
