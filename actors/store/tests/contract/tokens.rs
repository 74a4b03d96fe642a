//! Tokens by which clients log in, on every backend.

use klatsch_store::tokens::{AGENTS_MAX, Token};
use klatsch_store::{Credentials, Store, StoreError};

use crate::support::{at, bare, create, on_every_backend};

on_every_backend![
    a_new_token_is_there_beside_the_old_until_it_is_used,
    a13_a_count_is_good_once,
    a_client_that_asked_longest_ago_makes_room,
    a14_another_password_takes_all_tokens_away,
    whoever_may_not_log_in_has_no_tokens,
];

fn token(seed: u8) -> Token {
    Token {
        mechanism: "HT-SHA-256-NONE".into(),
        seed: vec![seed; 32],
        issued: at(i64::from(seed)),
        expiry: at(1_000),
        count: 0,
        is_new: true,
    }
}

async fn give(store: &Store, agent: &str, seed: u8) {
    let account = bare("a@x");
    store
        .give_token(&account, agent, &token(seed))
        .await
        .unwrap();
}

async fn login(store: &Store, seed: u8, count: Option<u32>) -> Result<(), StoreError> {
    store
        .use_token(&bare("a@x"), "phone", &[seed; 32], count)
        .await
}

/// The seeds of a client's tokens, and which are new.
async fn seeds(store: &Store, agent: &str) -> Vec<(u8, bool)> {
    let tokens = store.tokens(&bare("a@x"), agent).await.unwrap();
    tokens.iter().map(|it| (it.seed[0], it.is_new)).collect()
}

async fn a_new_token_is_there_beside_the_old_until_it_is_used(store: &Store) {
    create(store, &["a@x"]).await;
    give(store, "phone", 1).await;
    assert_eq!(
        store.tokens(&bare("a@x"), "phone").await.unwrap(),
        [token(1)]
    );
    login(store, 1, None).await.unwrap();
    assert_eq!(seeds(store, "phone").await, [(1, false)]);
    give(store, "phone", 2).await;
    give(store, "phone", 3).await;
    give(store, "laptop", 9).await;
    assert_eq!(seeds(store, "phone").await, [(3, true), (1, false)]);
    assert_eq!(login(store, 2, None).await, Err(StoreError::Conflict));
    login(store, 1, None).await.unwrap();
    assert_eq!(seeds(store, "phone").await, [(3, true), (1, false)]);
    login(store, 3, None).await.unwrap();
    assert_eq!(seeds(store, "phone").await, [(3, false)]);
    store
        .forget_tokens(&bare("a@x"), Some("phone"))
        .await
        .unwrap();
    assert_eq!(seeds(store, "phone").await, []);
    assert_eq!(seeds(store, "laptop").await, [(9, true)]);
}

async fn a13_a_count_is_good_once(store: &Store) {
    create(store, &["a@x"]).await;
    give(store, "phone", 1).await;
    login(store, 1, Some(5)).await.unwrap();
    for used in [5, 4, 0] {
        assert_eq!(login(store, 1, Some(used)).await, Err(StoreError::Conflict));
    }
    login(store, 1, Some(6)).await.unwrap();
    login(store, 1, None).await.unwrap();
    assert_eq!(login(store, 1, Some(6)).await, Err(StoreError::Conflict));
}

async fn a_client_that_asked_longest_ago_makes_room(store: &Store) {
    create(store, &["a@x"]).await;
    for number in 0..=AGENTS_MAX {
        give(store, &number.to_string(), number as u8).await;
    }
    assert_eq!(seeds(store, "0").await, []);
    assert_eq!(seeds(store, "1").await, [(1, true)]);
}

async fn a14_another_password_takes_all_tokens_away(store: &Store) {
    create(store, &["a@x"]).await;
    give(store, "phone", 1).await;
    let account = bare("a@x");
    let other = Credentials::default();
    store.set_credentials(&account, &other).await.unwrap();
    assert_eq!(seeds(store, "phone").await, []);
    give(store, "phone", 2).await;
    store.remove_account(&account, at(5)).await.unwrap();
    create(store, &["a@x"]).await;
    assert_eq!(seeds(store, "phone").await, []);
}

async fn whoever_may_not_log_in_has_no_tokens(store: &Store) {
    create(store, &["a@x"]).await;
    give(store, "phone", 1).await;
    store.set_disabled(&bare("a@x"), true).await.unwrap();
    assert_eq!(seeds(store, "phone").await, []);
    assert_eq!(
        store.tokens(&bare("nobody@x"), "phone").await,
        Ok(Vec::new())
    );
    let given = store
        .give_token(&bare("nobody@x"), "phone", &token(1))
        .await;
    assert_eq!(given, Err(StoreError::NoSuchAccount));
}
