//! The directory's entries, on every backend.

use klatsch_protocol::colleagues::{Card, Change, Entry, Group, Person, Photo};
use klatsch_protocol::time::Timestamp;
use klatsch_store::colleagues::GONE_MAX;
use klatsch_store::{Store, StoreError};

use crate::support::{at, bare, on_every_backend, on_shared_databases};

on_every_backend![
    what_has_changed_since_a_version_is_told,
    change_of_another_version_is_refused_whole,
    nothing_to_change_changes_nothing,
    what_is_gone_is_remembered_for_a_while,
    whoever_knows_of_another_time_reads_everything,
    last_change_of_an_entry_counts,
    photos_stay_as_long_as_somebody_has_them,
    ids_may_be_anything,
];

fn person(account: &str) -> Person {
    Person {
        account: bare(account),
        aliases: vec![bare("alias@example.org")],
        name: "Somebody".into(),
        tenant: "example.org".into(),
        is_disabled: false,
        is_admin: true,
        card: Card::default(),
        photo: None,
    }
}

fn put(id: &str, account: &str) -> Change {
    Change {
        id: id.into(),
        entry: Some(Entry::Person(person(account))),
    }
}

fn with_photo(id: &str, hash: &str) -> Change {
    let photo = Photo {
        hash: hash.into(),
        media_type: "image/png".into(),
        bytes: 3,
        width: 1,
        height: 1,
        source: "source".into(),
    };
    Change {
        id: id.into(),
        entry: Some(Entry::Person(Person {
            photo: Some(photo),
            ..person("doe@example.org")
        })),
    }
}

fn group(id: &str) -> Change {
    Change {
        id: id.into(),
        entry: Some(Entry::Group(Group {
            name: "Staff".into(),
            address: Some(bare("staff@example.org")),
            tenant: "example.org".into(),
            members: vec!["1".into(), "2".into()],
            is_shown: true,
        })),
    }
}

fn gone(id: &str) -> Change {
    Change {
        id: id.into(),
        entry: None,
    }
}

async fn ids(store: &Store, known: u64) -> (u64, bool, Vec<String>) {
    let since = store.colleagues_since(known).await.unwrap();
    let text = |it: &Change| match it.entry {
        Some(_) => it.id.to_string(),
        None => format!("-{}", it.id),
    };
    let ids = since.changes.iter().map(text).collect();
    (since.version, since.is_whole, ids)
}

fn told(version: u64, is_whole: bool, ids: &[&str]) -> (u64, bool, Vec<String>) {
    let ids = ids.iter().map(|it| (*it).to_owned()).collect();
    (version, is_whole, ids)
}

async fn what_has_changed_since_a_version_is_told(store: &Store) {
    assert_eq!(ids(store, 0).await, told(0, true, &[]));
    let first = vec![
        put("2", "poe@example.org"),
        put("1", "doe@example.org"),
        group("3"),
    ];
    assert_eq!(store.change_colleagues(0, first.clone()).await, Ok(1));
    let mut sorted = first;
    sorted.sort_by(|one, other| one.id.cmp(&other.id));
    let since = store.colleagues_since(0).await.unwrap();
    assert_eq!(since.changes, sorted, "as they were given");
    let second = vec![gone("2"), put("4", "new@example.org")];
    assert_eq!(store.change_colleagues(1, second).await, Ok(2));
    assert_eq!(ids(store, 1).await, told(2, false, &["-2", "4"]));
    assert_eq!(ids(store, 2).await, told(2, false, &[]));
    assert_eq!(ids(store, 0).await, told(2, true, &["1", "3", "4"]));
}

async fn change_of_another_version_is_refused_whole(store: &Store) {
    let change = || vec![put("1", "doe@example.org")];
    let refused = Err(StoreError::Conflict);
    assert_eq!(store.change_colleagues(1, change()).await, refused);
    assert_eq!(store.change_colleagues(0, change()).await, Ok(1));
    assert_eq!(store.change_colleagues(0, vec![gone("1")]).await, refused);
    assert_eq!(store.change_colleagues(0, Vec::new()).await, refused);
    assert_eq!(ids(store, 0).await, told(1, true, &["1"]));
}

async fn nothing_to_change_changes_nothing(store: &Store) {
    assert_eq!(store.change_colleagues(0, Vec::new()).await, Ok(0));
    store.change_colleagues(0, vec![group("1")]).await.unwrap();
    assert_eq!(store.change_colleagues(1, Vec::new()).await, Ok(1));
}

async fn what_is_gone_is_remembered_for_a_while(store: &Store) {
    store
        .change_colleagues(0, vec![group("1"), group("2")])
        .await
        .unwrap();
    store.change_colleagues(1, vec![gone("1")]).await.unwrap();
    for version in 2..1 + GONE_MAX {
        let change = vec![group("3")];
        store.change_colleagues(version, change).await.unwrap();
    }
    // Version 1 is as far behind as may be.
    assert_eq!(ids(store, 1).await, told(1 + GONE_MAX, false, &["-1", "3"]));
    let change = vec![group("3")];
    store.change_colleagues(1 + GONE_MAX, change).await.unwrap();
    let whole = told(2 + GONE_MAX, true, &["2", "3"]);
    assert_eq!(ids(store, 1).await, whole);
    assert_eq!(ids(store, 2).await, told(2 + GONE_MAX, false, &["3"]));
}

async fn whoever_knows_of_another_time_reads_everything(store: &Store) {
    store.change_colleagues(0, vec![group("1")]).await.unwrap();
    assert_eq!(ids(store, 7).await, told(1, true, &["1"]));
    assert_eq!(ids(store, u64::MAX).await, told(1, true, &["1"]));
}

async fn last_change_of_an_entry_counts(store: &Store) {
    let changes = vec![
        put("1", "doe@example.org"),
        gone("2"),
        gone("1"),
        group("2"),
    ];
    store.change_colleagues(0, changes).await.unwrap();
    assert_eq!(ids(store, 0).await, told(1, true, &["2"]));
}

async fn sweep(store: &Store, now: Timestamp) {
    while store.sweep(now).await.unwrap() {}
}

async fn photos_stay_as_long_as_somebody_has_them(store: &Store) {
    for hash in ["aa", "bb"] {
        store
            .keep_photo(hash, hash.as_bytes().to_vec(), at(0))
            .await
            .unwrap();
    }
    assert_eq!(store.photo("aa").await, Ok(Some(b"aa".to_vec())));
    assert_eq!(store.photo("cc").await, Ok(None));
    let change = vec![with_photo("1", "aa"), with_photo("2", "aa")];
    store.change_colleagues(0, change).await.unwrap();
    // Kept before the entry is there that mentions it.
    sweep(store, at(1800)).await;
    assert_eq!(store.photo("bb").await, Ok(Some(b"bb".to_vec())));
    sweep(store, at(3600)).await;
    assert_eq!(store.photo("bb").await, Ok(None));
    assert_eq!(store.photo("aa").await, Ok(Some(b"aa".to_vec())));
    store.change_colleagues(1, vec![gone("1")]).await.unwrap();
    sweep(store, at(9000)).await;
    assert_eq!(store.photo("aa").await, Ok(Some(b"aa".to_vec())));
    let other = vec![put("2", "doe@example.org")];
    store.change_colleagues(2, other).await.unwrap();
    // Kept again, and so for another hour.
    let bytes = b"aa".to_vec();
    store.keep_photo("aa", bytes, at(9000)).await.unwrap();
    sweep(store, at(9600)).await;
    assert_eq!(store.photo("aa").await, Ok(Some(b"aa".to_vec())));
    sweep(store, at(12_600)).await;
    assert_eq!(store.photo("aa").await, Ok(None));
}

async fn ids_may_be_anything(store: &Store) {
    let odd = [
        "",
        "uid=müller,ou=People",
        "a\0b",
        "'; DROP TABLE colleague",
    ];
    let changes = odd.iter().map(|id| group(id)).collect();
    store.change_colleagues(0, changes).await.unwrap();
    let mut sorted = odd;
    sorted.sort_unstable();
    assert_eq!(ids(store, 0).await, told(1, true, &sorted));
    assert_eq!(store.photo("a\0b").await, Ok(None));
}

mod shared {
    use super::*;

    on_shared_databases![of_those_who_change_at_once_one_does];

    async fn of_those_who_change_at_once_one_does(stores: &[Store; 2]) {
        for version in 0..20 {
            let (one, other) = tokio::join!(
                stores[0].change_colleagues(version, vec![group("1")]),
                stores[1].change_colleagues(version, vec![group("2")]),
            );
            let both = [one, other];
            assert!(both.contains(&Ok(version + 1)), "{both:?}");
            assert!(both.contains(&Err(StoreError::Conflict)), "{both:?}");
        }
    }
}
