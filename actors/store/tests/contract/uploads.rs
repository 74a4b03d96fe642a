//! Files and their quotas: XEP-0363.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Slot;
use klatsch_store::{Begun, Reserved, Store, StoreError, Upload};

use crate::support::{at, bare, couple, create, on_every_backend};

on_every_backend! {
    file_is_there_once_its_content_has_come,
    slot_takes_one_content,
    h04_of_many_slots_at_once_only_as_many_as_have_room_are_granted,
    over_the_quota_it_is_said_when_there_will_be_room,
    slot_that_ended_and_file_that_went_take_no_room,
    file_without_an_end_stays,
    files_of_a_removed_account_are_forgotten,
    content_is_wanted_as_long_as_a_file_has_it,
    nobody_has_no_quota,
    room_stays_taken_while_a_file_comes,
    h04_a_slot_that_ended_gives_no_file_beyond_the_quota,
    the_number_of_files_is_limited,
    files_of_an_account_are_listed_by_their_ids,
}

/// A slot of ten bytes until second 100; the file stays until second `expires`.
fn request(id: u8, expires: Option<i64>) -> SlotRequest {
    SlotRequest {
        slot: Slot::new([id; 16], format!("{id}.jpg"), 10, at(100)),
        owner: bare("juliet@example.org"),
        content_type: Some("image/jpeg".to_owned()),
        expires: expires.map(at),
        account_bytes_max: 35,
        account_files_max: 10,
    }
}

async fn reserve(store: &Store, id: u8, expires: Option<i64>, now: i64) -> Reserved {
    let request = request(id, expires);
    store.reserve_upload(&request, at(now)).await.unwrap()
}

async fn file(store: &Store, id: u8, expires: Option<i64>, content: u8) {
    assert_eq!(reserve(store, id, expires, 0).await, Reserved::Granted);
    let completed = store.complete_upload([id; 16], [content; 32], at(1)).await;
    assert!(completed.unwrap());
}

async fn file_is_there_once_its_content_has_come(store: &Store) {
    couple(store).await;
    assert_eq!(reserve(store, 1, Some(1000), 0).await, Reserved::Granted);
    assert_eq!(store.upload([1; 16], at(1)).await.unwrap(), None);
    let completed = store.complete_upload([1; 16], [7; 32], at(2)).await;
    assert!(completed.unwrap());
    let upload = Upload {
        domain: "example.org".to_owned(),
        name: "1.jpg".to_owned(),
        content_type: Some("image/jpeg".to_owned()),
        size: 10,
        content: [7; 32],
        stamp: at(2),
        ends: Some(at(1000)),
    };
    assert_eq!(store.upload([1; 16], at(999)).await.unwrap(), Some(upload));
    assert_eq!(store.upload([1; 16], at(1000)).await.unwrap(), None);
    assert_eq!(store.upload([2; 16], at(3)).await.unwrap(), None);
}

async fn slot_takes_one_content(store: &Store) {
    couple(store).await;
    file(store, 1, Some(1000), 7).await;
    let again = store.complete_upload([1; 16], [8; 32], at(2)).await;
    assert!(!again.unwrap());
    let stranger = store.complete_upload([2; 16], [8; 32], at(2)).await;
    assert!(!stranger.unwrap());
    let upload = store.upload([1; 16], at(3)).await.unwrap().unwrap();
    assert_eq!(upload.content, [7; 32]);
}

async fn h04_of_many_slots_at_once_only_as_many_as_have_room_are_granted(store: &Store) {
    couple(store).await;
    let many = (0..50).map(|id| {
        let store = store.clone();
        tokio::spawn(async move { reserve(&store, id, None, 0).await })
    });
    let mut granted = 0;
    for one in many.collect::<Vec<_>>() {
        granted += u32::from(one.await.unwrap() == Reserved::Granted);
    }
    assert_eq!(granted, 3);
}

async fn over_the_quota_it_is_said_when_there_will_be_room(store: &Store) {
    couple(store).await;
    file(store, 1, Some(500), 1).await;
    file(store, 2, Some(300), 2).await;
    file(store, 3, None, 3).await;
    let refused = reserve(store, 4, None, 10).await;
    assert_eq!(refused, Reserved::OverQuota(Some(at(300))));
    let mut larger = request(5, None);
    larger.slot.size = 20;
    let refused = store.reserve_upload(&larger, at(10)).await.unwrap();
    assert_eq!(refused, Reserved::OverQuota(Some(at(500))));
    larger.slot.size = 30;
    let refused = store.reserve_upload(&larger, at(10)).await.unwrap();
    assert_eq!(refused, Reserved::OverQuota(None));
    // Each account has its own.
    let mut his = request(6, None);
    his.owner = bare("romeo@example.org");
    assert_eq!(
        store.reserve_upload(&his, at(10)).await.unwrap(),
        Reserved::Granted
    );
}

async fn slot_that_ended_and_file_that_went_take_no_room(store: &Store) {
    couple(store).await;
    file(store, 1, Some(200), 1).await;
    for id in 2..4 {
        assert_eq!(reserve(store, id, None, 0).await, Reserved::Granted);
    }
    assert_ne!(reserve(store, 4, None, 99).await, Reserved::Granted);
    let granted = reserve(store, 5, None, 100).await;
    assert_eq!(granted, Reserved::Granted);
    assert_eq!(
        store.expire_uploads(at(100), 10).await.unwrap(),
        [[0; 32]; 0]
    );
    // The slot is gone with its time.
    let late = store.complete_upload([2; 16], [2; 32], at(100)).await;
    assert!(!late.unwrap());
    assert_eq!(store.expire_uploads(at(200), 10).await.unwrap(), [[1; 32]]);
}

async fn file_without_an_end_stays(store: &Store) {
    couple(store).await;
    file(store, 1, None, 1).await;
    assert!(
        store
            .expire_uploads(at(1_000_000), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let upload = store.upload([1; 16], at(1_000_000)).await.unwrap();
    assert!(upload.is_some());
}

async fn files_of_a_removed_account_are_forgotten(store: &Store) {
    couple(store).await;
    file(store, 1, None, 1).await;
    assert_eq!(reserve(store, 2, None, 0).await, Reserved::Granted);
    let juliet = bare("juliet@example.org");
    store.remove_account(&juliet, at(5)).await.unwrap();
    assert_eq!(store.upload([1; 16], at(6)).await.unwrap(), None);
    let late = store.complete_upload([2; 16], [2; 32], at(6)).await;
    assert!(!late.unwrap());
    create(store, &["juliet@example.org"]).await;
    assert_eq!(store.upload([1; 16], at(6)).await.unwrap(), None);
    assert_eq!(store.expire_uploads(at(6), 10).await.unwrap(), [[1; 32]]);
}

async fn content_is_wanted_as_long_as_a_file_has_it(store: &Store) {
    couple(store).await;
    file(store, 1, Some(200), 7).await;
    file(store, 2, Some(300), 7).await;
    assert_eq!(store.expire_uploads(at(200), 1).await.unwrap(), [[7; 32]]);
    assert!(store.is_content_wanted([7; 32]).await.unwrap());
    assert_eq!(store.expire_uploads(at(300), 1).await.unwrap(), [[7; 32]]);
    assert!(!store.is_content_wanted([7; 32]).await.unwrap());
}

async fn nobody_has_no_quota(store: &Store) {
    let refused = store.reserve_upload(&request(1, None), at(0)).await;
    assert_eq!(refused, Err(StoreError::NoSuchAccount));
}

async fn room_stays_taken_while_a_file_comes(store: &Store) {
    couple(store).await;
    assert_eq!(reserve(store, 1, Some(5000), 0).await, Reserved::Granted);
    let ready = Begun::Ready(Some("image/jpeg".to_owned()));
    let begun = store.begin_upload([1; 16], at(900), at(99)).await;
    assert_eq!(begun, Ok(ready.clone()));
    // It may break off and begin anew.
    let again = store.begin_upload([1; 16], at(800), at(200)).await;
    assert_eq!(again, Ok(ready));
    assert!(store.expire_uploads(at(899), 10).await.unwrap().is_empty());
    let mut larger = request(2, None);
    larger.slot.size = 30;
    let refused = store.reserve_upload(&larger, at(899)).await.unwrap();
    assert_eq!(refused, Reserved::OverQuota(Some(at(900))));
    let completed = store.complete_upload([1; 16], [1; 32], at(899)).await;
    assert!(completed.unwrap());
    let taken = store.begin_upload([1; 16], at(999), at(899)).await;
    assert_eq!(taken, Ok(Begun::Taken));
    let unknown = store.begin_upload([9; 16], at(999), at(899)).await;
    assert_eq!(unknown, Ok(Begun::Over));
}

async fn h04_a_slot_that_ended_gives_no_file_beyond_the_quota(store: &Store) {
    couple(store).await;
    for id in 1..4 {
        assert_eq!(reserve(store, id, None, 0).await, Reserved::Granted);
    }
    // Its room has been given to another.
    assert_eq!(reserve(store, 4, None, 100).await, Reserved::Granted);
    let begun = store.begin_upload([1; 16], at(200), at(100)).await;
    assert_eq!(begun, Ok(Begun::Over));
    let late = store.complete_upload([1; 16], [1; 32], at(100)).await;
    assert!(!late.unwrap());
}

async fn the_number_of_files_is_limited(store: &Store) {
    couple(store).await;
    file(store, 1, Some(500), 1).await;
    file(store, 2, None, 2).await;
    let mut third = request(3, None);
    (third.slot.size, third.account_files_max) = (1, 2);
    let refused = store.reserve_upload(&third, at(10)).await.unwrap();
    assert_eq!(refused, Reserved::OverQuota(Some(at(500))));
    let granted = store.reserve_upload(&third, at(500)).await.unwrap();
    assert_eq!(granted, Reserved::Granted);
}

async fn files_of_an_account_are_listed_by_their_ids(store: &Store) {
    couple(store).await;
    file(store, 9, None, 1).await;
    file(store, 3, Some(50), 2).await;
    file(store, 200, None, 3).await;
    let juliet = bare("juliet@example.org");
    let listed = async |after: Option<u8>, max, now| {
        let after = after.map(|id| [id; 16]);
        let found = store
            .uploads_of(&juliet, after, max, at(now))
            .await
            .unwrap();
        found.iter().map(|(id, _)| id[0]).collect::<Vec<u8>>()
    };
    assert_eq!(listed(None, 10, 2).await, [3, 9, 200]);
    assert_eq!(listed(None, 2, 2).await, [3, 9]);
    assert_eq!(listed(Some(9), 10, 2).await, [200]);
    assert_eq!(listed(None, 10, 60).await, [9, 200]);
    let whole = store.uploads_of(&juliet, None, 1, at(2)).await.unwrap();
    let same = store.upload([3; 16], at(2)).await.unwrap();
    assert_eq!(whole[0].1, same.unwrap());
    let romeo = bare("romeo@example.org");
    assert_eq!(store.uploads_of(&romeo, None, 10, at(2)).await, Ok(vec![]));
}
