//! Accounts.

use klatsch_protocol::features::roster::RosterChange;
use klatsch_protocol::sasl::{Hash, ScramCredentials};
use klatsch_store::{Appended, Credentials, Store, StoreError};

use crate::roster::item;
use crate::support::{append, at, bare, couple, create, jid, keyed, message, on_every_backend};

on_every_backend!(
    credentials_come_back_as_they_went_in,
    a_name_is_taken_once,
    what_does_not_exist_is_not_changed,
    marks_are_set_and_taken_back,
    keys_are_replaced_alone,
    keys_are_added_and_never_in_the_place_of_others,
    lists_are_pages_of_one_domain,
    lists_are_in_the_order_of_bytes_whatever_people_sort_by,
    administrators_and_accounts_are_counted,
    which_of_many_addresses_are_accounts_is_known,
    c15_a_later_life_sees_nothing_of_the_earlier,
    c15_a_later_life_does_not_repeat_versions,
    c15_sweeping_leaves_the_living_alone,
);

async fn which_of_many_addresses_are_accounts_is_known(store: &Store) {
    couple(store).await;
    create(store, &["gone@example.org"]).await;
    let gone = bare("gone@example.org");
    store.remove_account(&gone, at(1)).await.unwrap();
    let asked = [
        "romeo@example.org",
        "no\\27body@example.org",
        "gone@example.org",
    ]
    .map(bare);
    let found = store.accounts_among(&asked).await.unwrap();
    assert_eq!(found, [bare("romeo@example.org")]);
    assert_eq!(store.accounts_among(&[]).await, Ok(vec![]));
}

fn key(hash: Hash) -> ScramCredentials {
    ScramCredentials {
        hash,
        salt: vec![1, 0, 2],
        iterations: 10_000,
        stored_key: vec![3; hash.output_bytes()],
        server_key: vec![4; hash.output_bytes()],
    }
}

async fn credentials_come_back_as_they_went_in(store: &Store) {
    let account = bare("juliet@example.org");
    let scram = vec![key(Hash::Sha1), key(Hash::Sha256)];
    let given = Credentials {
        scram: scram.clone(),
        disabled: true,
        ..Credentials::default()
    };
    store
        .create_account(&account, &given, true, at(1))
        .await
        .unwrap();
    let found = store.credentials(&account).await.unwrap().unwrap();
    assert_eq!(
        (found.scram, found.disabled, found.admin),
        (scram, true, true)
    );
    assert!(found.epoch > 0);
    assert_eq!(
        store.credentials(&bare("romeo@example.org")).await,
        Ok(None)
    );
}

async fn a_name_is_taken_once(store: &Store) {
    let account = bare("juliet@example.org");
    create(store, &["juliet@example.org"]).await;
    let again = store
        .create_account(&account, &Credentials::default(), true, at(1))
        .await;
    assert_eq!(again, Err(StoreError::Conflict));
    assert!(!store.credentials(&account).await.unwrap().unwrap().admin);
}

async fn what_does_not_exist_is_not_changed(store: &Store) {
    let nobody = bare("nobody@example.org");
    let none = Credentials::default();
    let expected = Err(StoreError::NoSuchAccount);
    assert_eq!(store.set_credentials(&nobody, &none).await, expected);
    assert_eq!(store.set_disabled(&nobody, true).await, expected);
    assert_eq!(store.set_admin(&nobody, true).await, expected);
    assert_eq!(store.remove_account(&nobody, at(1)).await, expected);
}

async fn marks_are_set_and_taken_back(store: &Store) {
    create(store, &["juliet@example.org"]).await;
    let account = bare("juliet@example.org");
    for mark in [true, false] {
        store.set_disabled(&account, mark).await.unwrap();
        store.set_admin(&account, !mark).await.unwrap();
        let found = store.credentials(&account).await.unwrap().unwrap();
        assert_eq!((found.disabled, found.admin), (mark, !mark));
    }
}

async fn keys_are_replaced_alone(store: &Store) {
    let account = bare("juliet@example.org");
    let first = Credentials {
        scram: vec![key(Hash::Sha1)],
        ..Credentials::default()
    };
    store
        .create_account(&account, &first, true, at(1))
        .await
        .unwrap();
    let scram = vec![key(Hash::Sha256), key(Hash::Sha512)];
    let second = Credentials {
        scram: scram.clone(),
        disabled: true,
        ..Credentials::default()
    };
    store.set_credentials(&account, &second).await.unwrap();
    let found = store.credentials(&account).await.unwrap().unwrap();
    assert_eq!(
        (found.scram, found.disabled, found.admin),
        (scram, false, true)
    );
}

async fn keys_are_added_and_never_in_the_place_of_others(store: &Store) {
    let account = bare("juliet@example.org");
    let first = Credentials {
        scram: vec![key(Hash::Sha1)],
        ..Credentials::default()
    };
    store
        .create_account(&account, &first, true, at(1))
        .await
        .unwrap();
    assert_eq!(store.add_keys(&account, &key(Hash::Sha512)).await, Ok(true));
    assert_eq!(store.add_keys(&account, &key(Hash::Sha256)).await, Ok(true));
    let mut other = key(Hash::Sha1);
    other.stored_key.reverse();
    other.iterations += 1;
    assert_eq!(store.add_keys(&account, &other).await, Ok(false));
    let found = store.credentials(&account).await.unwrap().unwrap();
    assert_eq!(found.scram, Hash::ALL.map(key));
    let nobody = bare("nobody@example.org");
    let added = store.add_keys(&nobody, &other).await;
    assert_eq!(added, Err(StoreError::NoSuchAccount));
}

async fn lists_are_pages_of_one_domain(store: &Store) {
    create(
        store,
        &[
            "c@example.org",
            "a@example.org",
            "b@example.org",
            "a@other.example",
        ],
    )
    .await;
    let names = |accounts: Vec<klatsch_store::Account>| {
        accounts
            .into_iter()
            .map(|account| account.jid.to_string())
            .collect::<Vec<_>>()
    };
    let first = store.list_accounts("example.org", None, 2).await.unwrap();
    assert_eq!(names(first), ["a@example.org", "b@example.org"]);
    let after = bare("b@example.org");
    let rest = store
        .list_accounts("example.org", Some(&after), 2)
        .await
        .unwrap();
    assert_eq!(names(rest), ["c@example.org"]);
}

async fn administrators_and_accounts_are_counted(store: &Store) {
    assert_eq!(store.count_accounts().await, Ok(0));
    couple(store).await;
    assert_eq!(
        (store.count_accounts().await, store.has_admin().await),
        (Ok(2), Ok(false))
    );
    store
        .set_admin(&bare("juliet@example.org"), true)
        .await
        .unwrap();
    assert_eq!(store.has_admin().await, Ok(true));
    store
        .remove_account(&bare("juliet@example.org"), at(1))
        .await
        .unwrap();
    assert_eq!(
        (store.count_accounts().await, store.has_admin().await),
        (Ok(1), Ok(false))
    );
}

/// Romeo, with something of everything.
async fn live(store: &Store) {
    let romeo = bare("romeo@example.org");
    append(store, keyed(1, 1, 10)).await;
    let to_romeo = message("juliet@example.org/balcony", "romeo@example.org", 11);
    append(store, to_romeo).await;
    store.set_cursors(vec![(romeo.clone(), 1)]).await.unwrap();
    let version = store.roster(&romeo).await.unwrap().version;
    let put = vec![RosterChange::Put(item("juliet@example.org"))];
    store.change_roster(&romeo, version, put).await.unwrap();
    let version = store.blocklist(&romeo).await.unwrap().version;
    store
        .change_blocklist(&romeo, version, vec![jid("paris@example.org")], vec![])
        .await
        .unwrap();
}

async fn c15_a_later_life_sees_nothing_of_the_earlier(store: &Store) {
    couple(store).await;
    let romeo = bare("romeo@example.org");
    live(store).await;
    let earlier = store.credentials(&romeo).await.unwrap().unwrap();
    store.remove_account(&romeo, at(20)).await.unwrap();
    assert_eq!(store.credentials(&romeo).await, Ok(None));
    assert_eq!(store.roster(&romeo).await, Err(StoreError::NoSuchAccount));
    assert_eq!(
        store.blocklist(&romeo).await,
        Err(StoreError::NoSuchAccount)
    );
    assert_eq!(store.head(&romeo).await, Err(StoreError::NoSuchAccount));
    create(store, &["romeo@example.org"]).await;

    let later = store.credentials(&romeo).await.unwrap().unwrap();
    assert!(later.epoch > earlier.epoch);
    assert!(later.scram.is_empty());
    let roster = store.roster(&romeo).await.unwrap();
    assert!(roster.items.is_empty() && roster.removed.is_empty());
    assert!(store.blocklist(&romeo).await.unwrap().jids.is_empty());
    assert_eq!(
        (store.head(&romeo).await, store.cursor(&romeo).await),
        (Ok(0), Ok(0))
    );
    assert_eq!(store.bounds(&romeo).await, Ok(None));
    assert!(store.entries(&romeo, 0, 10).await.unwrap().is_empty());
    // The key of the earlier life is unknown, and the first id is 1 again.
    let Appended::Stored { sender, recipient } = append(store, keyed(1, 1, 30)).await else {
        panic!("taken for a replay of the earlier life");
    };
    assert_eq!((sender.id, recipient.unwrap().id), (1, 3));
}

async fn c15_a_later_life_does_not_repeat_versions(store: &Store) {
    couple(store).await;
    let romeo = bare("romeo@example.org");
    live(store).await;
    let roster = store.roster(&romeo).await.unwrap().version;
    let blocklist = store.blocklist(&romeo).await.unwrap().version;
    store.remove_account(&romeo, at(20)).await.unwrap();
    create(store, &["romeo@example.org"]).await;
    assert!(store.roster(&romeo).await.unwrap().version > roster);
    assert!(store.blocklist(&romeo).await.unwrap().version > blocklist);
}

async fn c15_sweeping_leaves_the_living_alone(store: &Store) {
    couple(store).await;
    let (romeo, juliet) = (bare("romeo@example.org"), bare("juliet@example.org"));
    live(store).await;
    store.remove_account(&romeo, at(20)).await.unwrap();
    create(store, &["romeo@example.org"]).await;
    live(store).await;
    let before = store.entries(&juliet, 0, 10).await.unwrap();
    let rounds = sweep_all(store).await;
    assert!(rounds < 10);
    assert_eq!(store.entries(&juliet, 0, 10).await.unwrap(), before);
    assert_eq!(store.entries(&romeo, 0, 10).await.unwrap().len(), 2);
    assert!(matches!(
        append(store, keyed(1, 1, 40)).await,
        Appended::Replay { .. }
    ));
    assert!(matches!(
        append(store, keyed(2, 1, 40)).await,
        Appended::Stored { .. }
    ));
}

async fn sweep_all(store: &Store) -> usize {
    let mut rounds = 0;
    while store.sweep(at(0)).await.unwrap() {
        rounds += 1;
        assert!(rounds < 1000, "sweeping does not end");
    }
    rounds
}

/// People sort é before z, and a hyphen as if it were not there.
async fn lists_are_in_the_order_of_bytes_whatever_people_sort_by(store: &Store) {
    let accounts = ["a-z@x.org", "ab@x.org", "z@x.org", "é@x.org"];
    for account in accounts.iter().rev() {
        create(store, &[account]).await;
    }
    let mut after = None;
    for account in accounts {
        let page = store.list_accounts("x.org", after.as_ref(), 1).await;
        let found = page.unwrap().remove(0).jid;
        assert_eq!(found.as_str(), account);
        after = Some(found);
    }
}
