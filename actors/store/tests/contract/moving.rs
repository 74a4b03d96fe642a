//! Logs that keep the ids they had elsewhere.

use klatsch_store::{Placed, RoomAppended, Store, StoreError};

use crate::support::{append, bare, couple, found_room, line, message, on_every_backend, say};

on_every_backend!(
    ids_that_were_skipped_are_nobodys,
    ids_of_a_room_that_were_skipped_are_nobodys,
    a_log_that_has_got_further_goes_on_as_it_is,
    nobody_has_no_ids_to_skip,
);

const JULIET: &str = "juliet@example.org";
const ROOM: &str = "coven@conference.example.org";

async fn write(store: &Store, second: i64) {
    append(store, message("romeo@example.org/o", JULIET, second)).await;
}

async fn ids(store: &Store) -> Vec<u64> {
    let entries = store.entries(&bare(JULIET), 0, 100).await.unwrap();
    entries.iter().map(|entry| entry.id).collect()
}

async fn ids_that_were_skipped_are_nobodys(store: &Store) {
    couple(store).await;
    let juliet = bare(JULIET);
    write(store, 1).await;
    store.skip_ids(&juliet, 10).await.unwrap();
    assert_eq!(store.head(&juliet).await, Ok(10));
    // Whoever has taken everything has taken what is nobody's, too.
    let taken = store.set_cursors(vec![(juliet.clone(), u64::MAX)]).await;
    taken.unwrap();
    assert_eq!(store.cursor(&juliet).await, Ok(10));
    write(store, 2).await;
    write(store, 3).await;
    assert_eq!(ids(store).await, [1, 11, 12]);
    assert_eq!(store.head(&juliet).await, Ok(12));
    assert_eq!(store.head(&bare("romeo@example.org")).await, Ok(3));
}

async fn ids_of_a_room_that_were_skipped_are_nobodys(store: &Store) {
    found_room(store, ROOM).await;
    store.skip_room_ids(&bare(ROOM), 7).await.unwrap();
    let said = say(store, line(ROOM, 5)).await;
    assert!(matches!(said, RoomAppended::Stored(Placed { id: 8, .. })));
    store.skip_room_ids(&bare(ROOM), 9).await.unwrap();
    assert_eq!(store.room_head(&bare(ROOM)).await, Ok(9));
    let said = say(store, line(ROOM, 6)).await;
    assert!(matches!(said, RoomAppended::Stored(Placed { id: 10, .. })));
}

async fn a_log_that_has_got_further_goes_on_as_it_is(store: &Store) {
    couple(store).await;
    write(store, 1).await;
    write(store, 2).await;
    for through in [0, 1, 2] {
        store.skip_ids(&bare(JULIET), through).await.unwrap();
    }
    write(store, 3).await;
    assert_eq!(ids(store).await, [1, 2, 3]);
}

async fn nobody_has_no_ids_to_skip(store: &Store) {
    let skipped = store.skip_ids(&bare(JULIET), 5).await;
    assert_eq!(skipped, Err(StoreError::NoSuchAccount));
    let skipped = store.skip_room_ids(&bare(ROOM), 5).await;
    assert_eq!(skipped, Err(StoreError::NoSuchRoom));
}
