//! Several nodes on one database of PostgreSQL at once, and one that is slow: where
//! `KLATSCH_TEST_POSTGRES` names a server; elsewhere there is nothing to test.

use std::time::{Duration, Instant};

use bytes::Bytes;
use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::features::fulltext::Search;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_store::{
    Append, Appended, Credentials, Dedup, LogAppend, LogAppended, Placed, RoomAppended, Store,
    StoreError,
};

use crate::support::{
    Schema, append, at, bare, couple, create, found_room, keyed, line, message, placed,
};

const ACCOUNTS: [&str; 5] = ["a@x.org", "b@x.org", "c@x.org", "d@x.org", "e@x.org"];
const ROOM: &str = "tea@conference.x.org";

/// So many nodes append at once, each from two tasks.
const NODES: u64 = 4;
const BATCHES: u64 = 12;
const MESSAGES: u64 = 10;

/// Numbers that look random and are the same in every run.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn random_append(number: u64) -> LogAppend {
    let from = ACCOUNTS[mix(number) as usize % ACCOUNTS.len()];
    let to = ACCOUNTS[mix(!number) as usize % ACCOUNTS.len()];
    let stanza = Bytes::from(format!("<message id='{number}'/>"));
    let dedup = Some(Dedup {
        key: u128::from(number).to_be_bytes(),
        payload: number,
    });
    if mix(number).is_multiple_of(4) {
        let mut said = line(ROOM, 1);
        (said.message, said.dedup) = (stanza, dedup);
        return LogAppend::Room(Box::new(said));
    }
    LogAppend::Account(Append {
        stanza,
        dedup,
        ..message(&format!("{from}/1"), to, mix(number) as i64 % 1000)
    })
}

/// Where a message that was answered for has to stand.
type Acknowledged = (String, Placed, Bytes);

fn acknowledged(append: &LogAppend, answer: LogAppended) -> Vec<Acknowledged> {
    match (append, answer) {
        (LogAppend::Account(append), LogAppended::Account(answer)) => {
            let Appended::Stored { sender, recipient } = answer else {
                panic!("{answer:?}");
            };
            let sent = (append.sender.bare_str().to_owned(), sender);
            let twin = append.recipient.as_ref().zip(recipient);
            let twin = twin.map(|(account, placed)| (account.as_str().to_owned(), placed));
            let all = std::iter::once(sent).chain(twin);
            all.map(|(account, placed)| (account, placed, append.stanza.clone()))
                .collect()
        }
        (LogAppend::Room(append), LogAppended::Room(RoomAppended::Stored(placed))) => {
            vec![(ROOM.to_owned(), placed, append.message.clone())]
        }
        (_, other) => panic!("{other:?}"),
    }
}

async fn write(store: Store, first: u64) -> Vec<Acknowledged> {
    let mut all = Vec::new();
    for batch in 0..BATCHES {
        let start = first + batch * MESSAGES;
        let appends: Vec<LogAppend> = (start..start + MESSAGES).map(random_append).collect();
        let answers = store.append_all(appends.clone()).await.unwrap();
        let answered = appends.iter().zip(answers);
        all.extend(answered.flat_map(|(append, answer)| acknowledged(append, answer)));
    }
    all
}

/// Reads a log over and over while it grows: an id never appears behind one that was read.
async fn read(store: Store, account: BareJid, until: u64) -> u64 {
    let mut seen = 0;
    while seen < until {
        let head = store.head(&account).await.unwrap();
        for entry in store.entries(&account, seen, 250).await.unwrap() {
            assert_eq!(entry.id, seen + 1);
            seen = entry.id;
        }
        assert!(head <= seen || seen.is_multiple_of(250), "{head} {seen}");
        tokio::task::yield_now().await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_on_the_same_logs_leave_no_gap_and_lose_nothing() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    create(&store, &ACCOUNTS).await;
    found_room(&store, ROOM).await;
    let reading = tokio::spawn(read(schema.open().await, bare(ACCOUNTS[0]), 100));
    let mut writing = Vec::new();
    for node in 0..NODES {
        let other = schema.open().await;
        for task in 0..2 {
            let first = 1 + (node * 2 + task) * BATCHES * MESSAGES;
            writing.push(tokio::spawn(write(other.clone(), first)));
        }
    }
    let mut all = Vec::new();
    for task in writing {
        all.extend(task.await.unwrap());
    }
    assert!(reading.await.unwrap() >= 100);
    for name in ACCOUNTS.into_iter().chain([ROOM]) {
        let mut entries = Vec::new();
        loop {
            let after = entries.len() as u64;
            let more = match name {
                ROOM => store.room_entries(&bare(name), after, 250).await,
                _ => store.entries(&bare(name), after, 250).await,
            };
            match more.unwrap() {
                more if more.is_empty() => break,
                more => entries.extend(more),
            }
        }
        let mut of_it: Vec<&Acknowledged> = all.iter().filter(|it| it.0 == name).collect();
        of_it.sort_by_key(|it| it.1.id);
        assert_eq!(entries.len(), of_it.len(), "{name}");
        for ((entry, id), (_, placed, stanza)) in entries.iter().zip(1..).zip(of_it) {
            assert_eq!((entry.id, entry.stamp), (id, placed.stamp), "{name}");
            assert_eq!((entry.id, &entry.stanza), (placed.id, stanza), "{name}");
        }
        assert!(entries.is_sorted_by_key(|entry| entry.stamp), "{name}");
    }
    store.integrity_check().await.unwrap();
    drop(store);
    schema.remove().await;
}

#[tokio::test]
async fn one_message_from_two_nodes_at_once_is_stored_once() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let (one, other) = (schema.open().await, schema.open().await);
    couple(&one).await;
    for key in 1..20 {
        let answers = tokio::join!(
            append(&one, keyed(key, 7, 1)),
            append(&other, keyed(key, 7, 1))
        );
        let place = placed(u64::from(key), 1);
        let (sender, recipient) = (place, Some(place));
        let stored = Appended::Stored { sender, recipient };
        let replay = Appended::Replay { sender, recipient };
        let known = [(stored, replay), (replay, stored)];
        assert!(known.contains(&answers), "{answers:?}");
    }
    drop((one, other));
    schema.remove().await;
}

#[tokio::test]
async fn what_one_node_has_changed_the_next_append_of_another_knows() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let (one, other) = (schema.open().await, schema.open().await);
    couple(&one).await;
    let (romeo, juliet) = (bare("romeo@example.org"), bare("juliet@example.org"));
    let sent = |second| message("romeo@example.org/orchard", juliet.as_str(), second);
    let is_stored = |answer: Appended| matches!(answer, Appended::Stored { .. });
    assert!(is_stored(append(&other, sent(1)).await));
    let blocked = vec![Jid::from(romeo.clone())];
    let version = one.change_blocklist(&juliet, 0, blocked.clone(), vec![]);
    let version = version.await.unwrap();
    assert_eq!(append(&other, sent(2)).await, Appended::Blocked);
    let lifted = one.change_blocklist(&juliet, version, vec![], blocked);
    lifted.await.unwrap();
    assert!(is_stored(append(&other, sent(3)).await));
    one.remove_account(&juliet, at(4)).await.unwrap();
    assert_eq!(append(&other, sent(5)).await, Appended::NoSuchAccount);
    // A later life of the name begins with an empty log.
    let none = Credentials::default();
    let again = one.create_account(&juliet, &none, false, at(6));
    again.await.unwrap();
    let stored = Appended::Stored {
        sender: placed(3, 7),
        recipient: Some(placed(1, 7)),
    };
    assert_eq!(append(&other, sent(7)).await, stored);
    drop((one, other));
    schema.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_fill_the_index_purge_and_append_at_once_agree() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    create(&store, &ACCOUNTS).await;
    found_room(&store, ROOM).await;
    write(store.clone(), 1).await;
    let says = |second| Append {
        stanza: Bytes::from("<message><body>tea at four</body></message>"),
        ..message("a@x.org/1", "b@x.org", second)
    };
    for second in 2_000..2_300 {
        append(&store, says(second)).await;
    }
    let mut tasks = Vec::new();
    for node in 0..NODES {
        let other = schema.open().await;
        tasks.push(tokio::spawn(async move {
            while other.index_words(64).await.unwrap() > 0 {}
            other
                .purge_old(Some(at(1500)), Some(at(1500)))
                .await
                .unwrap();
            let keep = vec![(bare("a@x.org"), 5), (bare("b@x.org"), node)];
            other.set_cursors(keep).await.unwrap();
            other.purge_hidden(at(2_000)).await.unwrap();
            while other.sweep(at(0)).await.unwrap() {}
            let search = Some(Search::parse("four").unwrap());
            let query = ArchiveQuery {
                search,
                max: 250,
                ..ArchiveQuery::default()
            };
            let page = other.query(&bare("b@x.org"), &query).await.unwrap();
            page.entries.len()
        }));
    }
    for second in 2_300..2_320 {
        append(&store, says(second)).await;
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 250);
    }
    store.integrity_check().await.unwrap();
    drop(store);
    schema.remove().await;
}

/// A lock on a table stands for all that can keep a statement from going on.
#[tokio::test]
async fn c09_a_table_that_is_locked_is_an_error_within_seconds_and_no_hang() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    couple(&store).await;
    assert!(matches!(
        append(&store, keyed(1, 1, 1)).await,
        Appended::Stored { .. }
    ));
    let mut outside = schema.connect().await;
    for sql in ["BEGIN", "LOCK TABLE entry IN ACCESS EXCLUSIVE MODE"] {
        sqlx::raw_sql(sql).execute(&mut outside).await.unwrap();
    }
    let begun = Instant::now();
    let romeo = bare("romeo@example.org");
    let (appended, read) = tokio::join!(
        store.append(vec![keyed(2, 2, 2)]),
        store.entries(&romeo, 0, 10)
    );
    assert!(
        matches!(appended, Err(StoreError::Unavailable(_))),
        "{appended:?}"
    );
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut outside)
        .await
        .unwrap();
    // Nothing of it was written, and nobody has to start anything again.
    let stored = Appended::Stored {
        sender: placed(2, 2),
        recipient: Some(placed(2, 2)),
    };
    assert_eq!(append(&store, keyed(2, 2, 2)).await, stored);
    drop((store, outside));
    schema.remove().await;
}

#[tokio::test]
async fn what_is_no_database_is_told_apart() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let url = schema.url();
    let (server, _) = url.rsplit_once('/').unwrap();
    let nowhere = format!("{server}/no_such_database");
    let gone = "postgres://klatsch@127.0.0.1:1/klatsch".to_owned();
    for url in [nowhere, gone, "postgres:klatsch".to_owned()] {
        let opened = Store::open(&url).await.map(drop);
        assert!(
            matches!(opened, Err(StoreError::Unavailable(_))),
            "{opened:?}"
        );
    }
    let store = schema.open().await;
    let mut outside = schema.connect().await;
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'x', now(), true, '', 0)";
    sqlx::raw_sql(newer).execute(&mut outside).await.unwrap();
    let opened = Store::open(&url).await.map(drop);
    assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{opened:?}");
    drop((store, outside));
    schema.remove().await;
}

#[tokio::test]
async fn the_store_tells_the_time() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    let before = store.clock().await.unwrap().unwrap();
    let after = store.clock().await.unwrap().unwrap();
    assert!(before <= after);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let here = since.unwrap().as_micros() as i64;
    // The server of these tests is on this machine.
    assert!((here - after.0).abs() < 60_000_000, "{here} {after:?}");
    drop(store);
    schema.remove().await;
}

/// Pages go along indexes, and what comes after a text must not depend on how people sort where
/// the database was made.
#[tokio::test]
async fn every_text_that_an_index_has_is_compared_byte_by_byte() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    let mut connection = schema.connect().await;
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT format('%s.%s', c.relname, a.attname), o.collname::text FROM pg_index i
         JOIN pg_class c ON c.oid = i.indrelid
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
         JOIN pg_collation o ON o.oid = a.attcollation
         WHERE c.relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(found.len() > 20, "{found:?}");
    let others: Vec<_> = found
        .iter()
        .filter(|(_, collation)| collation != "C")
        .collect();
    assert!(others.is_empty(), "{others:?}");
    drop(store);
    schema.remove().await;
}
