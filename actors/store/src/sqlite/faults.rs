//! What happens when the disk, the file or a neighbour misbehaves.

use klatsch_protocol::archive::{ArchiveQuery, PageFrom};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use super::Sqlite;
use super::query::{PAGES, SINGLE};
use crate::accounts::{Accounts, Credentials};
use crate::error::{Result, StoreError};
use crate::log::{Append, Appended, LogAppend, Logs};
use crate::store::Upkeep;

fn romeo() -> BareJid {
    BareJid::parse("romeo@example.org").unwrap()
}

/// A database with one account and one entry in its log.
async fn database() -> (Sqlite, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store
        .create_account(&romeo(), &Credentials::default(), false, Timestamp(0))
        .await
        .unwrap();
    assert_eq!(append(&store).await, Ok(1));
    (store, directory)
}

async fn open(directory: &TempDir) -> Sqlite {
    Sqlite::open(&directory.path().join("klatsch.db"))
        .await
        .unwrap()
}

fn note(bytes: usize) -> Append {
    Append {
        sender: romeo().into(),
        recipient: None,
        are_colleagues: false,
        with: romeo().into(),
        dedup: None,
        stanza: vec![b'x'; bytes].into(),
        flags: 0,
        now: Timestamp(1),
    }
}

/// Appends a note; answers its id.
async fn append(store: &Sqlite) -> Result<u64> {
    match store.append(vec![note(100)]).await?[0] {
        Appended::Stored { sender, .. } => Ok(sender.id),
        other => panic!("{other:?}"),
    }
}

/// Runs a statement on the connection that writes.
async fn tamper(store: &Sqlite, sql: &'static str) {
    let mut writer = store.writer.lock().await;
    writer
        .connection()
        .await
        .unwrap()
        .execute(sql)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_whole_batches_and_recovers_by_itself() {
    let (store, _directory) = database().await;
    tamper(&store, "PRAGMA max_page_count = 1").await;
    let batch = vec![note(20_000); 100];
    let refused = store.append(batch).await;
    assert_eq!(
        refused,
        Err(StoreError::Unavailable("the disk is full".to_owned()))
    );
    assert_eq!(store.head(&romeo()).await, Ok(1));
    // The connection is a new one, without the limit: space is back.
    assert_eq!(append(&store).await, Ok(2));
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_is_said_so_and_read_on() {
    let (store, _directory) = database().await;
    tamper(&store, "PRAGMA query_only = ON").await;
    let refused = append(&store).await;
    assert_eq!(
        refused,
        Err(StoreError::Unavailable(
            "the database is read-only".to_owned()
        ))
    );
    assert_eq!(store.entries(&romeo(), 0, 10).await.unwrap().len(), 1);
    assert_eq!(append(&store).await, Ok(2));
}

#[tokio::test]
async fn a_failed_commit_is_uncertain_and_leaves_no_wrong_head() {
    let (store, _directory) = database().await;
    let failed = store
        .write(|writer| {
            Box::pin(async move {
                super::append::append(writer, &[LogAppend::Account(note(1))]).await?;
                let connection = writer.connection().await?;
                // A foreign key that is wrong when the transaction ends: COMMIT refuses.
                connection.execute("PRAGMA defer_foreign_keys = ON").await?;
                connection
                    .execute("INSERT INTO block (account, jid) VALUES (999, 'x.org')")
                    .await?;
                Ok(())
            })
        })
        .await;
    assert!(
        matches!(failed, Err(StoreError::Uncertain(_))),
        "{failed:?}"
    );
    assert_eq!(append(&store).await, Ok(2));
}

#[tokio::test]
async fn a_change_that_panics_leaves_no_open_transaction() {
    let (store, _directory) = database().await;
    let failed: Result<()> = store
        .write(|writer| {
            Box::pin(async move {
                super::append::append(writer, &[LogAppend::Account(note(1))]).await?;
                panic!("on purpose");
            })
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Uncertain(_))));
    assert_eq!(append(&store).await, Ok(2));
    assert_eq!(store.entries(&romeo(), 0, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn two_processes_on_one_file_do_not_mix_up_their_heads() {
    let (store, directory) = database().await;
    let other = open(&directory).await;
    for round in 0..5 {
        assert_eq!(append(&other).await, Ok(round * 2 + 2));
        assert_eq!(append(&store).await, Ok(round * 2 + 3));
    }
    other.remove_account(&romeo(), Timestamp(2)).await.unwrap();
    let answers = store.append(vec![note(1)]).await;
    assert_eq!(answers, Ok(vec![Appended::NoSuchAccount]));
}

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let (store, directory) = database().await;
    // No goodbye: the write-ahead log is all that the next one has.
    std::mem::forget(store);
    let store = open(&directory).await;
    assert_eq!(store.head(&romeo()).await, Ok(1));
    assert_eq!(append(&store).await, Ok(2));
    store.checkpoint().await.unwrap();
    assert_eq!(store.health().await, Ok(()));
}

#[tokio::test]
async fn commits_are_durable_by_setting() {
    let (store, _directory) = database().await;
    let mut writer = store.writer.lock().await;
    let connection = writer.connection().await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(connection)
        .await
        .unwrap();
    // D1: 2 is FULL.
    assert_eq!((synchronous, journal.as_str()), (2, "wal"));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_host_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let (_store, directory) = database().await;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("klatsch.db");
    std::fs::write(
        &path,
        "no database, but long enough to look like one".repeat(100),
    )
    .unwrap();
    assert!(matches!(
        Sqlite::open(&path).await,
        Err(StoreError::Corrupt(_))
    ));
    let lost = directory.path().join("missing/klatsch.db");
    assert!(matches!(
        Sqlite::open(&lost).await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_not_opened() {
    let (store, directory) = database().await;
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', 0, 1, x'00', 0)";
    tamper(&store, newer).await;
    drop(store);
    let opened = Sqlite::open(&directory.path().join("klatsch.db")).await;
    let Err(StoreError::Corrupt(text)) = opened else {
        panic!("opened")
    };
    assert!(text.contains("newer"), "{text}");
}

/// Row C09: no query reads a whole table.
#[tokio::test]
async fn c09_every_query_of_a_log_uses_an_index() {
    let (_store, directory) = database().await;
    let url = format!("sqlite:{}", directory.path().join("klatsch.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for sql in PAGES
        .iter()
        .chain(SINGLE)
        .copied()
        .chain(super::statements::largest())
        .chain(super::rooms::STATEMENTS.iter().copied())
        .chain(super::purge::STATEMENTS.iter().copied())
        .chain([
            super::snapshot::SNAPSHOT,
            super::accounts::CREDENTIALS,
            super::log::ENTRIES,
            super::log::SET_CURSOR,
            super::recent::WHOSE,
        ])
    {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for (.., step) in steps {
            let table = ["entry", "conversation", "account", "log", "replay", "block"]
                .iter()
                .chain(&["room", "room_affiliate", "room_hat", "room_hat_worn"])
                .chain(&["e", "c", "a", "l", "b", "r", "m", "h", "worn"])
                .any(|table| {
                    step == format!("SCAN {table}") || step.starts_with(&format!("SCAN {table} "))
                });
            assert!(!table && !step.contains("TEMP B-TREE"), "{step} in {sql}");
        }
    }
}

#[tokio::test]
async fn a_page_deep_in_a_long_log_is_found() {
    let (store, _directory) = database().await;
    for _ in 0..10 {
        store.append(vec![note(10); 200]).await.unwrap();
    }
    let asked = ArchiveQuery {
        page: PageFrom::Before(1500),
        max: 3,
        ..ArchiveQuery::default()
    };
    let page = store.query(&romeo(), &asked).await.unwrap();
    assert!(
        page.entries
            .iter()
            .map(|entry| entry.id)
            .eq([1497, 1498, 1499])
    );
}
