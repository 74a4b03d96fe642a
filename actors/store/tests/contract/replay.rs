//! Replays (D2): each message stands in each log once.

use klatsch_protocol::jid::Jid;
use klatsch_store::{Append, Appended, Dedup, Store};

use crate::support::{append, bare, couple, create, jid, keyed, message, on_every_backend, placed};

on_every_backend!(
    a_replay_finds_the_first_entries,
    another_payload_under_the_same_key_is_told,
    replays_inside_one_batch_are_found,
    keys_of_different_senders_are_different,
    messages_without_a_key_are_all_stored,
    a_replay_is_found_when_the_recipient_is_gone,
    what_was_refused_is_no_replay,
    every_bit_of_key_and_payload_counts,
);

async fn a_replay_finds_the_first_entries(store: &Store) {
    create(store, &["mercutio@example.org"]).await;
    couple(store).await;
    append(
        store,
        message("mercutio@example.org/x", "juliet@example.org", 1),
    )
    .await;
    let first = append(store, keyed(1, 42, 2)).await;
    let (sender, recipient) = (placed(1, 2), Some(placed(2, 2)));
    assert_eq!(first, Appended::Stored { sender, recipient });
    append(store, keyed(2, 42, 3)).await;
    let replay = append(store, keyed(1, 42, 4)).await;
    assert_eq!(replay, Appended::Replay { sender, recipient });
    let heads = store
        .heads(&["romeo@example.org", "juliet@example.org"].map(bare))
        .await;
    assert_eq!(heads, Ok(vec![2, 3]));
}

async fn another_payload_under_the_same_key_is_told(store: &Store) {
    couple(store).await;
    append(store, keyed(1, 42, 1)).await;
    assert_eq!(
        append(store, keyed(1, 43, 2)).await,
        Appended::ReplayOtherPayload
    );
    assert_eq!(store.head(&bare("romeo@example.org")).await, Ok(1));
}

async fn replays_inside_one_batch_are_found(store: &Store) {
    couple(store).await;
    let batch = vec![
        keyed(1, 42, 1),
        keyed(2, 42, 1),
        keyed(1, 42, 1),
        keyed(2, 7, 1),
    ];
    let answers = store.append(batch).await.unwrap();
    let (sender, recipient) = (placed(1, 1), Some(placed(1, 1)));
    assert_eq!(answers[0], Appended::Stored { sender, recipient });
    assert_eq!(answers[2], Appended::Replay { sender, recipient });
    assert_eq!(answers[3], Appended::ReplayOtherPayload);
    assert_eq!(store.head(&bare("juliet@example.org")).await, Ok(2));
}

async fn keys_of_different_senders_are_different(store: &Store) {
    couple(store).await;
    append(store, keyed(1, 42, 1)).await;
    let back = Append {
        sender: jid("juliet@example.org/balcony"),
        recipient: Some(bare("romeo@example.org")),
        with: jid("romeo@example.org"),
        ..keyed(1, 42, 2)
    };
    assert!(matches!(append(store, back).await, Appended::Stored { .. }));
    // Resources of one account share its log and so its keys.
    let phone = Append {
        sender: jid("romeo@example.org/phone"),
        ..keyed(1, 42, 3)
    };
    assert!(matches!(
        append(store, phone).await,
        Appended::Replay { .. }
    ));
}

async fn messages_without_a_key_are_all_stored(store: &Store) {
    couple(store).await;
    let batch = vec![
        Append {
            dedup: None,
            ..keyed(1, 1, 1)
        };
        3
    ];
    store.append(batch).await.unwrap();
    assert_eq!(store.head(&bare("juliet@example.org")).await, Ok(3));
}

async fn a_replay_is_found_when_the_recipient_is_gone(store: &Store) {
    couple(store).await;
    append(store, keyed(1, 42, 1)).await;
    append(store, keyed(2, 42, 1)).await;
    let juliet = bare("juliet@example.org");
    let whom: Vec<Jid> = vec![jid("romeo@example.org")];
    store
        .change_blocklist(&juliet, 0, whom, vec![])
        .await
        .unwrap();
    assert!(matches!(
        append(store, keyed(1, 42, 2)).await,
        Appended::Replay { .. }
    ));
    store
        .remove_account(&juliet, crate::support::at(3))
        .await
        .unwrap();
    assert!(matches!(
        append(store, keyed(2, 42, 4)).await,
        Appended::Replay { .. }
    ));
    assert_eq!(
        append(store, keyed(3, 42, 4)).await,
        Appended::NoSuchAccount
    );
}

async fn what_was_refused_is_no_replay(store: &Store) {
    create(store, &["romeo@example.org"]).await;
    assert_eq!(
        append(store, keyed(1, 42, 1)).await,
        Appended::NoSuchAccount
    );
    create(store, &["juliet@example.org"]).await;
    assert!(matches!(
        append(store, keyed(1, 42, 2)).await,
        Appended::Stored { .. }
    ));
}

async fn every_bit_of_key_and_payload_counts(store: &Store) {
    couple(store).await;
    for bit in 0..128 {
        let key = (1u128 << bit).to_be_bytes();
        let dedup = Some(Dedup {
            key,
            payload: u64::MAX,
        });
        let stored = append(
            store,
            Append {
                dedup,
                ..keyed(0, 0, 1)
            },
        )
        .await;
        assert!(matches!(stored, Appended::Stored { .. }), "{bit}");
        let payload = u64::MAX ^ (1 << (bit % 64));
        let dedup = Some(Dedup { key, payload });
        let other = append(
            store,
            Append {
                dedup,
                ..keyed(0, 0, 1)
            },
        )
        .await;
        assert_eq!(other, Appended::ReplayOtherPayload);
    }
}
