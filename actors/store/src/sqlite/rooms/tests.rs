//! What only a database can lose: rooms after a crash, and what is left of them on the disk.

use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::effect::Tombstone;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord, Subject};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_protocol::time::Timestamp;
use tempfile::TempDir;

use crate::accounts::{Accounts, Credentials};
use crate::error::StoreError;
use crate::log::{Append, Dedup, LogAppend, Logs, Placed};
use crate::rooms::{RoomAppend, RoomAppended, Rooms};
use crate::rows::rooms::read_config;
use crate::sqlite::Sqlite;
use crate::store::Upkeep;

fn coven() -> BareJid {
    BareJid::parse("coven@conference.example.org").unwrap()
}

fn witch() -> BareJid {
    BareJid::parse("witch@example.org").unwrap()
}

/// A database with one room.
async fn heath() -> (Sqlite, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    make(&store).await;
    (store, directory)
}

async fn open(directory: &TempDir) -> Sqlite {
    let path = directory.path().join("klatsch.db");
    Sqlite::open(&path).await.unwrap()
}

/// No goodbye: what is in the files is all that the next one has.
async fn crash(store: Sqlite, directory: &TempDir) -> Sqlite {
    std::mem::forget(store);
    open(directory).await
}

async fn make(store: &Sqlite) -> u64 {
    let record = RoomRecord::new(&witch(), [1; 32], Timestamp(0));
    let create = vec![RoomChange::Create(Box::new(record))];
    store.save_room(&coven(), 0, create).await.unwrap()
}

fn line(number: u8) -> RoomAppend {
    RoomAppend {
        room: coven(),
        sender: Jid::parse("witch@example.org/cauldron").unwrap(),
        message: format!("<message id='secret{number}'/>")
            .into_bytes()
            .into(),
        dedup: Some(Dedup {
            key: [number; 16],
            payload: 1,
        }),
        now: Timestamp(i64::from(number)),
        subject: None,
        tombstone: None,
    }
}

fn placed(id: u64) -> Placed {
    let stamp = Timestamp(id.cast_signed());
    Placed { id, stamp }
}

fn message(bytes: &[u8]) -> Message {
    match Stanza::parse(bytes) {
        Ok(Stanza::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

async fn ids(store: &Sqlite) -> Vec<u64> {
    let entries = store.room_entries(&coven(), 0, 250).await.unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

async fn count(store: &Sqlite, sql: &'static str) -> i64 {
    let count = sqlx::query_scalar(sql);
    count.fetch_one(&store.readers).await.unwrap()
}

#[tokio::test]
async fn a_crash_loses_no_message_of_a_room() {
    let (store, directory) = heath().await;
    let said = RoomAppend {
        subject: Some(Subject {
            message: message(b"<message><subject>x</subject></message>"),
            stamp: Timestamp(0),
        }),
        ..line(2)
    };
    let batch = vec![line(1), said];
    let answers = store.append_room(batch).await.unwrap();
    assert_eq!(answers, [placed(1), placed(2)].map(RoomAppended::Stored));
    let store = crash(store, &directory).await;
    assert_eq!(store.room_head(&coven()).await, Ok(2));
    // The keys are there too, and the ids go on.
    let answers = store.append_room(vec![line(2), line(3)]).await.unwrap();
    let expected = [
        RoomAppended::Replay(placed(2)),
        RoomAppended::Stored(placed(3)),
    ];
    assert_eq!(answers, expected);
    let store = crash(store, &directory).await;
    assert_eq!(ids(&store).await, [1, 2, 3]);
    let record = store.room(&coven()).await.unwrap().unwrap();
    assert_eq!(record.subject.map(|it| it.stamp), Some(Timestamp(2)));
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn a_crash_loses_nothing_of_a_batch_for_accounts_and_rooms() {
    let (store, directory) = heath().await;
    let none = Credentials::default();
    store
        .create_account(&witch(), &none, false, Timestamp(0))
        .await
        .unwrap();
    let note = Append {
        sender: witch().into(),
        recipient: None,
        are_colleagues: false,
        with: witch().into(),
        dedup: None,
        stanza: "<message/>".into(),
        flags: 0,
        now: Timestamp(1),
    };
    let batch = vec![
        LogAppend::Room(Box::new(line(1))),
        LogAppend::Account(note),
        LogAppend::Room(Box::new(line(2))),
    ];
    store.append_all(batch).await.unwrap();
    let store = crash(store, &directory).await;
    assert_eq!(store.head(&witch()).await, Ok(1));
    assert_eq!(ids(&store).await, [1, 2]);
    assert_eq!(store.entries(&witch(), 0, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_retracted_stands_nowhere_after_a_crash() {
    let (store, directory) = heath().await;
    store.append_room(vec![line(1), line(2)]).await.unwrap();
    // Read, so that it is in the log and still among what is recent.
    assert_eq!(ids(&store).await, [1, 2]);
    store.append_room(vec![line(3)]).await.unwrap();
    let tombstone = |id| Tombstone {
        id,
        stanza: "<message/>".into(),
    };
    let retract = |id, number| RoomAppend {
        tombstone: Some(tombstone(id)),
        ..line(number)
    };
    store
        .append_room(vec![retract(1, 4), retract(3, 5), line(6), retract(6, 7)])
        .await
        .unwrap();
    let store = crash(store, &directory).await;
    let said: i64 = count(
        &store,
        "SELECT count(*) FROM (SELECT stanza FROM recent UNION ALL SELECT stanza FROM entry)
         WHERE CAST(stanza AS TEXT) GLOB '*secret[136]*'",
    )
    .await;
    assert_eq!(said, 0);
    assert_eq!(ids(&store).await, [1, 2, 3, 4, 5, 6, 7]);
    for id in [1, 3, 6] {
        let entry = store.room_entry(&coven(), id).await.unwrap().unwrap();
        assert_eq!(&*entry.stanza, b"<message/>");
    }
}

#[tokio::test]
async fn a_removed_room_does_not_come_back_with_its_recent_messages() {
    let (store, directory) = heath().await;
    store.append_room(vec![line(1), line(2)]).await.unwrap();
    store.remove_room(&coven()).await.unwrap();
    while store.sweep(Timestamp(0)).await.unwrap() {}
    let store = crash(store, &directory).await;
    let left = "SELECT (SELECT count(*) FROM recent) + (SELECT count(*) FROM entry)
        + (SELECT count(*) FROM replay) + (SELECT count(*) FROM conversation)
        + (SELECT count(*) FROM room_affiliate)";
    assert_eq!(count(&store, left).await, 0);
    assert_eq!(store.room(&coven()).await, Ok(None));
}

#[tokio::test]
async fn m09_rooms_made_and_removed_again_leave_one_tombstone() {
    let (store, _directory) = heath().await;
    for number in 1..20 {
        store.append_room(vec![line(number)]).await.unwrap();
        store.remove_room(&coven()).await.unwrap();
        while store.sweep(Timestamp(0)).await.unwrap() {}
        make(&store).await;
    }
    assert_eq!(count(&store, "SELECT count(*) FROM room").await, 1);
    assert_eq!(count(&store, "SELECT count(*) FROM log").await, 1);
    assert_eq!(count(&store, "SELECT max(id) FROM log").await, 20);
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn c15_nothing_people_wrote_is_left_of_a_removed_room() {
    let (store, _directory) = heath().await;
    store.remove_room(&coven()).await.unwrap();
    let blank = "SELECT count(*) FROM room WHERE removed AND creator = '' AND config = ''
        AND secret = x'' AND subject IS NULL AND vcard IS NULL";
    assert_eq!(count(&store, blank).await, 1);
}

#[tokio::test]
async fn two_processes_on_one_file_do_not_mix_up_a_rooms_log() {
    let (store, directory) = heath().await;
    let other = open(&directory).await;
    for round in 0..4 {
        let one = store.append_room(vec![line(round * 2 + 1)]).await;
        let two = other.append_room(vec![line(round * 2 + 2)]).await;
        let id = u64::from(round) * 2;
        assert_eq!(one, Ok(vec![RoomAppended::Stored(placed(id + 1))]));
        assert_eq!(two, Ok(vec![RoomAppended::Stored(placed(id + 2))]));
    }
    other.remove_room(&coven()).await.unwrap();
    let late = store.append_room(vec![line(9)]).await;
    assert_eq!(late, Ok(vec![RoomAppended::NoSuchRoom]));
}

/// What stands in databases must be understood for ever.
#[test]
fn a_configuration_of_an_older_version_is_read() {
    let written = r#"{"name":"Coven","description":"d","lang":"en","persistent":false,
        "public":true,"members_only":true,"moderated":true,"read_only":false,"password":"p",
        "non_anonymous":true,"change_subject":false,"allow_invites":false,
        "private_messages":"Moderators",
        "presence_broadcast":["Moderator","Participant","Visitor"],"member_list":["None"],
        "occupants_max":13,"history_max":3,"archived":false,"registration":false}"#;
    let config = read_config(written).unwrap();
    assert_eq!((&*config.name, config.occupants_max), ("Coven", Some(13)));
    let again = serde_json::to_string(&config).unwrap();
    let compact = written.replace("\n        ", "");
    assert_eq!(again, compact);
    // What came later has its default, what is no more is passed over.
    let older = read_config(r#"{"name":"Coven","colour":"red"}"#).unwrap();
    let expected = Config {
        name: "Coven".into(),
        ..Config::default()
    };
    assert_eq!(older, expected);
    assert!(matches!(read_config("{"), Err(StoreError::Corrupt(_))));
}
