//! Slots and files.

use klatsch_protocol::features::upload::{Purpose, Reservation, Reserved, Slot};
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Store, StoreError};

use crate::support::{at, bare, couple, create, on_every_backend};

on_every_backend!(
    a_slot_becomes_a_file_once,
    a_slot_that_expires_unused_gives_its_room_back,
    a_slot_is_kept_while_its_file_is_sent,
    files_of_a_profile_have_a_quota_of_their_own,
    the_number_of_files_is_limited,
    h04_slots_asked_for_side_by_side_do_not_exceed_the_quota,
    content_is_unused_when_the_last_file_has_expired,
    c15_files_of_a_removed_account_go,
    a_long_list_is_forgotten_in_steps,
    who_is_not_there_gets_no_slot,
);

const QUOTA: u64 = 1000;

fn wanted(id: u128, size: u64) -> Reservation {
    let slot = Slot {
        id,
        account: bare("romeo@example.org"),
        domain: "example.org".into(),
        name: "très cool.jpg".into(),
        content_type: Some("image/jpeg".into()),
        size,
        purpose: Purpose::Message,
        put_until: at(300),
        keep_until: at(5000),
    };
    Reservation {
        slot,
        bytes_max: QUOTA,
        files_max: 100,
    }
}

async fn reserve(store: &Store, wanted: Reservation, now: Timestamp) -> Reserved {
    store.reserve_upload(&wanted, now).await.unwrap()
}

async fn give(store: &Store, id: u128, size: u64) {
    let reserved = reserve(store, wanted(id, size), at(0)).await;
    assert!(matches!(reserved, Reserved::Granted(_)), "{reserved:?}");
}

async fn fill(store: &Store, id: u128, content: u8) {
    give(store, id, 10).await;
    store
        .finish_upload(id, &[content; 32], at(1))
        .await
        .unwrap();
}

async fn a_slot_becomes_a_file_once(store: &Store) {
    couple(store).await;
    let wanted = wanted(1, 400);
    let given = Reserved::Granted(Box::new(wanted.slot.clone()));
    assert_eq!(reserve(store, wanted, at(0)).await, given);
    assert_eq!(
        store.find_upload(1, at(1)).await,
        Err(StoreError::NoSuchItem)
    );
    store.begin_upload(1, at(10), at(2)).await.unwrap();
    store.finish_upload(1, &[7; 32], at(3)).await.unwrap();
    let file = store.find_upload(1, at(4)).await.unwrap();
    assert_eq!(
        (&*file.domain, &*file.name),
        ("example.org", "très cool.jpg")
    );
    assert_eq!(
        (file.content_type.as_deref(), file.size),
        (Some("image/jpeg"), 400)
    );
    assert_eq!(
        (file.hash, file.stored, file.expires),
        ([7; 32], at(3), at(5000))
    );
    let again = store.finish_upload(1, &[8; 32], at(5)).await;
    assert_eq!(again, Err(StoreError::Conflict));
    assert_eq!(
        store.begin_upload(1, at(9), at(5)).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(
        store.find_upload(1, at(5000)).await,
        Err(StoreError::NoSuchItem)
    );
}

async fn a_slot_that_expires_unused_gives_its_room_back(store: &Store) {
    couple(store).await;
    give(store, 1, 600).await;
    assert_eq!(
        reserve(store, wanted(2, 600), at(1)).await,
        Reserved::Full(at(300))
    );
    assert!(matches!(
        reserve(store, wanted(2, 400), at(1)).await,
        Reserved::Granted(_)
    ));
    let mut later = wanted(3, 1000);
    later.slot.put_until = at(700);
    assert!(matches!(
        reserve(store, later, at(300)).await,
        Reserved::Granted(_)
    ));
    assert_eq!(
        store.begin_upload(1, at(400), at(300)).await,
        Err(StoreError::NoSuchItem)
    );
    assert_eq!(
        store.finish_upload(1, &[1; 32], at(300)).await,
        Err(StoreError::NoSuchItem)
    );
}

async fn a_slot_is_kept_while_its_file_is_sent(store: &Store) {
    couple(store).await;
    give(store, 1, 600).await;
    store.begin_upload(1, at(900), at(299)).await.unwrap();
    assert_eq!(
        reserve(store, wanted(2, 600), at(301)).await,
        Reserved::Full(at(900))
    );
    store.finish_upload(1, &[1; 32], at(800)).await.unwrap();
    assert_eq!(
        reserve(store, wanted(2, 600), at(901)).await,
        Reserved::Full(at(5000))
    );
}

async fn files_of_a_profile_have_a_quota_of_their_own(store: &Store) {
    couple(store).await;
    give(store, 1, 1000).await;
    let mut profile = wanted(2, 900);
    profile.slot.purpose = Purpose::Profile;
    assert!(matches!(
        reserve(store, profile.clone(), at(1)).await,
        Reserved::Granted(_)
    ));
    profile.slot.id = 3;
    assert!(matches!(
        reserve(store, profile, at(1)).await,
        Reserved::Full(_)
    ));
    // Those with a time of their own count with those of messages.
    let mut ephemeral = wanted(4, 1);
    ephemeral.slot.purpose = Purpose::Ephemeral;
    assert!(matches!(
        reserve(store, ephemeral, at(1)).await,
        Reserved::Full(_)
    ));
    // And nobody else's count.
    let mut other = wanted(5, 1000);
    other.slot.account = bare("juliet@example.org");
    assert!(matches!(
        reserve(store, other, at(1)).await,
        Reserved::Granted(_)
    ));
}

async fn the_number_of_files_is_limited(store: &Store) {
    couple(store).await;
    for id in 0..3 {
        give(store, id, 1).await;
    }
    let mut one_more = wanted(9, 1);
    one_more.files_max = 3;
    assert_eq!(
        reserve(store, one_more, at(1)).await,
        Reserved::Full(at(300))
    );
}

async fn h04_slots_asked_for_side_by_side_do_not_exceed_the_quota(store: &Store) {
    couple(store).await;
    let asked = (0..50).map(|id| {
        let store = store.clone();
        tokio::spawn(async move { reserve(&store, wanted(id, 100), at(0)).await })
    });
    let mut given = 0;
    for asking in asked.collect::<Vec<_>>() {
        given += u32::from(matches!(asking.await.unwrap(), Reserved::Granted(_)));
    }
    assert_eq!(given, 10);
}

async fn content_is_unused_when_the_last_file_has_expired(store: &Store) {
    couple(store).await;
    fill(store, 1, 7).await;
    let mut later = wanted(2, 10);
    later.slot.keep_until = at(6000);
    reserve(store, later, at(0)).await;
    store.finish_upload(2, &[7; 32], at(1)).await.unwrap();
    give(store, 3, 10).await;
    let first = store.expire_uploads(at(5500)).await.unwrap();
    assert!(first.unused.is_empty() && !first.more, "{first:?}");
    assert!(store.is_content_used(&[7; 32]).await.unwrap());
    let second = store.expire_uploads(at(6000)).await.unwrap();
    assert_eq!(second.unused, [[7; 32]]);
    assert!(!store.is_content_used(&[7; 32]).await.unwrap());
}

async fn c15_files_of_a_removed_account_go(store: &Store) {
    couple(store).await;
    fill(store, 1, 7).await;
    let romeo = bare("romeo@example.org");
    store.remove_account(&romeo, at(2)).await.unwrap();
    assert_eq!(
        store.find_upload(1, at(3)).await,
        Err(StoreError::NoSuchItem)
    );
    create(store, &["romeo@example.org"]).await;
    // The next life of the name starts with an empty quota.
    give(store, 2, QUOTA).await;
    assert_eq!(store.expire_uploads(at(3)).await.unwrap().unused, [[7; 32]]);
    store.finish_upload(2, &[8; 32], at(4)).await.unwrap();
}

async fn a_long_list_is_forgotten_in_steps(store: &Store) {
    couple(store).await;
    for id in 0..501 {
        let mut small = wanted(id, 1);
        small.files_max = 1000;
        reserve(store, small, at(0)).await;
    }
    assert!(store.expire_uploads(at(400)).await.unwrap().more);
    assert!(!store.expire_uploads(at(400)).await.unwrap().more);
    give(store, 1000, QUOTA).await;
}

async fn who_is_not_there_gets_no_slot(store: &Store) {
    let reserved = store.reserve_upload(&wanted(1, 1), at(0)).await;
    assert_eq!(reserved, Err(StoreError::NoSuchAccount));
}
