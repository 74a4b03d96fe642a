//! Block lists.

use klatsch_store::{Appended, Store, StoreError};

use crate::support::{append, at, bare, couple, jid, message, on_every_backend};

on_every_backend!(
    addresses_of_all_forms_are_kept,
    a_change_needs_the_current_version,
    a_blocked_sender_stores_nothing,
    every_form_of_the_senders_address_blocks,
    others_are_not_blocked,
    r16_who_blocks_an_address_in_any_form_is_found,
);

async fn addresses_of_all_forms_are_kept(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let all = [
        "a@example.org/phone",
        "a@example.org",
        "example.net/x",
        "example.net",
    ]
    .map(jid);
    assert_eq!(
        store
            .change_blocklist(&juliet, 0, all.to_vec(), vec![])
            .await,
        Ok(1)
    );
    let gone = vec![all[0].clone(), jid("never@example.org")];
    let again = vec![all[1].clone()];
    assert_eq!(store.change_blocklist(&juliet, 1, again, gone).await, Ok(2));
    let list = store.blocklist(&juliet).await.unwrap();
    assert_eq!(list.version, 2);
    assert_eq!(list.jids, all[1..].iter().cloned().collect());
}

async fn r16_who_blocks_an_address_in_any_form_is_found(store: &Store) {
    couple(store).await;
    let (juliet, romeo) = (bare("juliet@example.org"), bare("romeo@example.org"));
    let me = jid("me@example.net/phone");
    assert_eq!(store.who_blocks(&me).await, Ok(vec![]));
    for (version, form, blocks) in [
        (0, "me@example.net", true),
        (2, "example.net", true),
        (4, "me@example.net/phone", true),
        (6, "example.net/phone", true),
        (8, "me@example.net/desk", false),
        (10, "you@example.net", false),
    ] {
        let form = vec![jid(form)];
        let block = store.change_blocklist(&juliet, version, form.clone(), vec![]);
        block.await.unwrap();
        let expected = if blocks { vec![juliet.clone()] } else { vec![] };
        assert_eq!(store.who_blocks(&me).await.unwrap(), expected, "{form:?}");
        let unblock = store.change_blocklist(&juliet, version + 1, vec![], form);
        unblock.await.unwrap();
    }
    // Twice over, and by two of them, and by none that is gone.
    let twice = vec![jid("me@example.net"), jid("example.net")];
    for account in [&juliet, &romeo] {
        let version = store.blocklist(account).await.unwrap().version;
        let block = store.change_blocklist(account, version, twice.clone(), vec![]);
        block.await.unwrap();
    }
    let both = vec![juliet.clone(), romeo.clone()];
    assert_eq!(store.who_blocks(&me).await.unwrap(), both);
    store.remove_account(&juliet, at(1)).await.unwrap();
    assert_eq!(store.who_blocks(&me).await.unwrap(), [romeo]);
}

async fn a_change_needs_the_current_version(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let block = |expected| store.change_blocklist(&juliet, expected, vec![jid("a@x.org")], vec![]);
    assert_eq!(block(0).await, Ok(1));
    assert_eq!(block(0).await, Err(StoreError::Conflict));
    assert_eq!(
        store.change_blocklist(&juliet, 1, vec![], vec![]).await,
        Ok(1)
    );
    let nobody = bare("nobody@example.org");
    assert_eq!(
        store.blocklist(&nobody).await,
        Err(StoreError::NoSuchAccount)
    );
    let refused = store.change_blocklist(&nobody, 0, vec![], vec![]).await;
    assert_eq!(refused, Err(StoreError::NoSuchAccount));
}

async fn a_blocked_sender_stores_nothing(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let romeo = || message("romeo@example.org/orchard", "juliet@example.org", 1);
    assert!(matches!(
        append(store, romeo()).await,
        Appended::Stored { .. }
    ));
    let whom = vec![jid("romeo@example.org")];
    store
        .change_blocklist(&juliet, 0, whom.clone(), vec![])
        .await
        .unwrap();
    assert_eq!(append(store, romeo()).await, Appended::Blocked);
    assert_eq!(
        store
            .heads(&[juliet.clone(), bare("romeo@example.org")])
            .await,
        Ok(vec![1, 1])
    );
    store
        .change_blocklist(&juliet, 1, vec![], whom)
        .await
        .unwrap();
    assert!(matches!(
        append(store, romeo()).await,
        Appended::Stored { .. }
    ));
}

async fn every_form_of_the_senders_address_blocks(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    // XEP-0191 §2: full address, account, domain with resource, domain.
    let forms = [
        "romeo@example.org/orchard",
        "romeo@example.org",
        "example.org/orchard",
        "example.org",
    ];
    for (version, form) in (0..).step_by(2).zip(forms) {
        let form = vec![jid(form)];
        store
            .change_blocklist(&juliet, version, form.clone(), vec![])
            .await
            .unwrap();
        let sent = message("romeo@example.org/orchard", "juliet@example.org", 1);
        assert_eq!(append(store, sent).await, Appended::Blocked, "{form:?}");
        store
            .change_blocklist(&juliet, version + 1, vec![], form)
            .await
            .unwrap();
    }
}

async fn others_are_not_blocked(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let list = [
        "romeo@example.org/phone",
        "mercutio@example.org",
        "example.net",
    ]
    .map(jid);
    store
        .change_blocklist(&juliet, 0, list.to_vec(), vec![])
        .await
        .unwrap();
    let batch = vec![
        message("romeo@example.org/orchard", "juliet@example.org", 1),
        message("romeo@example.org/phone", "juliet@example.org", 1),
        message("juliet@example.org/balcony", "romeo@example.org", 1),
    ];
    let answers = store.append(batch).await.unwrap();
    assert!(matches!(answers[0], Appended::Stored { .. }));
    assert_eq!(answers[1], Appended::Blocked);
    assert!(matches!(answers[2], Appended::Stored { .. }));
}
