//! Nothing is only in memory, and nothing is found twice, whatever has been put away when.

use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;
use tempfile::TempDir;

use super::super::Sqlite;
use super::LINES_MAX;
use crate::accounts::{Accounts, Credentials};
use crate::log::{Append, Appended, Dedup, Logs};
use crate::snapshot::Snapshots;
use crate::store::Upkeep;

const ROMEO: &str = "romeo@example.org";
const JULIET: &str = "juliet@example.org";

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

async fn verona() -> (Sqlite, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    for account in [ROMEO, JULIET] {
        store
            .create_account(&bare(account), &Credentials::default(), false, Timestamp(0))
            .await
            .unwrap();
    }
    (store, directory)
}

async fn open(directory: &TempDir) -> Sqlite {
    Sqlite::open(&directory.path().join("klatsch.db"))
        .await
        .unwrap()
}

/// A message from Romeo to Juliet.
fn message(number: u64) -> Append {
    Append {
        sender: Jid::parse("romeo@example.org/orchard").unwrap(),
        recipient: Some(bare(JULIET)),
        are_colleagues: false,
        with: bare(JULIET).into(),
        dedup: Some(Dedup {
            key: u128::from(number).to_be_bytes(),
            payload: number,
        }),
        stanza: format!("<message id='{number}'/>").into_bytes().into(),
        flags: 0,
        now: Timestamp(i64::try_from(number).unwrap()),
    }
}

async fn send(store: &Sqlite, numbers: std::ops::Range<u64>) -> Vec<Appended> {
    store.append(numbers.map(message).collect()).await.unwrap()
}

async fn ids(store: &Sqlite, account: &str) -> Vec<u64> {
    let entries = store.entries(&bare(account), 0, 250).await.unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

async fn rows(store: &Sqlite) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM recent")
        .fetch_one(&store.readers)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_recent_when_the_process_died_is_there_afterwards() {
    let (store, directory) = verona().await;
    send(&store, 1..4).await;
    std::mem::forget(store);
    let store = open(&directory).await;
    assert_eq!(
        store.heads(&[bare(ROMEO), bare(JULIET)]).await,
        Ok(vec![3, 3])
    );
    assert_eq!(store.snapshot(&bare(JULIET)).await.unwrap().head, 3);
    let again = send(&store, 2..5).await;
    assert!(matches!(again[0], Appended::Replay { .. }), "{again:?}");
    assert!(matches!(again[2], Appended::Stored { .. }), "{again:?}");
    assert_eq!(ids(&store, JULIET).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_is_read_is_put_away_and_counts_once() {
    let (store, directory) = verona().await;
    send(&store, 1..4).await;
    // Romeo's log is put away, Juliet's is not: the messages stay in the table.
    assert_eq!(ids(&store, ROMEO).await, [1, 2, 3]);
    assert_eq!(rows(&store).await, 3);
    std::mem::forget(store);
    let store = open(&directory).await;
    send(&store, 4..5).await;
    assert_eq!(ids(&store, JULIET).await, [1, 2, 3, 4]);
    assert_eq!(ids(&store, ROMEO).await, [1, 2, 3, 4]);
    assert_eq!(rows(&store).await, 0);
    let replay = send(&store, 1..2).await;
    assert!(matches!(replay[0], Appended::Replay { .. }), "{replay:?}");
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn what_comes_together_is_put_away_by_itself() {
    let (store, _directory) = verona().await;
    let messages = LINES_MAX as u64 / 2 + 600;
    for from in (1..messages).step_by(500) {
        send(&store, from..(from + 500).min(messages)).await;
    }
    let left = store.writer.lock().await.recent.lines;
    assert!(left < LINES_MAX, "{left}");
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM entry")
        .fetch_one(&store.readers)
        .await
        .unwrap();
    assert_eq!(left as u64 + stored.unsigned_abs(), 2 * (messages - 1));
    let last = ArchiveQuery {
        page: klatsch_protocol::archive::PageFrom::End,
        max: 2,
        ..ArchiveQuery::default()
    };
    for account in [ROMEO, JULIET] {
        let page = store.query(&bare(account), &last).await.unwrap();
        let found: Vec<u64> = page.entries.iter().map(|entry| entry.id).collect();
        assert_eq!(found, [messages - 2, messages - 1]);
    }
}

#[tokio::test]
async fn a_removed_account_does_not_come_back_with_its_recent_messages() {
    let (store, directory) = verona().await;
    send(&store, 1..3).await;
    store
        .remove_account(&bare(JULIET), Timestamp(9))
        .await
        .unwrap();
    while store.sweep(Timestamp(0)).await.unwrap() {}
    std::mem::forget(store);
    let store = open(&directory).await;
    assert_eq!(ids(&store, ROMEO).await, [1, 2]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM entry")
        .fetch_one(&store.readers)
        .await
        .unwrap();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn a_checkpoint_leaves_nothing_recent() {
    let (store, _directory) = verona().await;
    send(&store, 1..3).await;
    store.checkpoint().await.unwrap();
    assert_eq!(rows(&store).await, 0);
    assert_eq!(store.head(&bare(JULIET)).await, Ok(2));
}
