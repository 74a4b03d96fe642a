//! The index is lost, of another database, or late.

use std::path::Path;

use bytes::Bytes;
use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::features::fulltext::Search;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use crate::{Append, Credentials, Store};

fn me() -> BareJid {
    BareJid::parse("me@x.org").unwrap()
}

async fn opened(folder: &Path) -> Store {
    let url = format!("sqlite:{}", folder.join("k.db").display());
    Store::open(&url).await.unwrap()
}

async fn say(store: &Store, second: i64, body: &str) {
    let jid = Jid::from(me());
    let append = Append {
        sender: jid.clone(),
        recipient: None,
        are_colleagues: false,
        with: jid,
        dedup: None,
        stanza: Bytes::from(format!("<message><body>{body}</body></message>")),
        flags: 0,
        now: Timestamp(second),
    };
    store.append(vec![append]).await.unwrap();
}

async fn found(store: &Store, text: &str) -> Vec<u64> {
    let query = ArchiveQuery {
        search: Some(Search::parse(text).unwrap()),
        max: 100,
        ..ArchiveQuery::default()
    };
    let page = store.query(&me(), &query).await.unwrap();
    page.entries.iter().map(|entry| entry.id).collect()
}

async fn created(folder: &Path) -> Store {
    let store = opened(folder).await;
    let none = Credentials::default();
    let made = store
        .create_account(&me(), &none, false, Timestamp(0))
        .await;
    made.unwrap();
    store
}

#[tokio::test]
async fn index_that_is_lost_or_damaged_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = created(folder.path()).await;
    say(&store, 1, "tea").await;
    assert_eq!(found(&store, "tea").await, [1]);
    drop(store);
    let index = folder.path().join("k.db-search");
    for damage in [
        None,
        Some("no database at all, but a text that is long enough to be none"),
    ] {
        for end in ["", "-wal", "-shm"] {
            let mut file = index.clone().into_os_string();
            file.push(end);
            let _ = std::fs::remove_file(file);
        }
        if let Some(damage) = damage {
            std::fs::write(&index, damage).unwrap();
        }
        let store = opened(folder.path()).await;
        assert_eq!(found(&store, "tea").await, [1]);
    }
}

#[tokio::test]
async fn index_of_another_database_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = created(folder.path()).await;
    for second in 1..=3 {
        say(&store, second, "tea").await;
    }
    assert_eq!(found(&store, "tea").await, [1, 2, 3]);
    drop(store);
    // A backup is put back, and life goes on otherwise.
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("k.db{end}")));
    }
    let store = created(folder.path()).await;
    for second in 10..=12 {
        say(&store, second, "milk").await;
    }
    assert_eq!(found(&store, "tea").await, [0u64; 0]);
    assert_eq!(found(&store, "milk").await, [1, 2, 3]);
}

#[tokio::test]
async fn start_looks_at_logs_that_were_never_searched() {
    let folder = tempfile::tempdir().unwrap();
    let store = created(folder.path()).await;
    say(&store, 1, "tea").await;
    store.checkpoint().await.unwrap();
    drop(store);
    let store = opened(folder.path()).await;
    assert_eq!(store.index_words(100).await, Ok(1));
    assert_eq!(store.index_words(100).await, Ok(0));
}
