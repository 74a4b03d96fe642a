//! Browsers that are told, on every backend.

use klatsch_protocol::features::web_push::Registration;
use klatsch_store::web_push::BROWSERS_MAX;
use klatsch_store::{Credentials, Store, StoreError};

use crate::support::{at, bare, create, on_every_backend};

on_every_backend![
    browser_is_found_by_its_account_and_node_alone,
    browser_belongs_to_the_account_that_registered_it_last,
    the_browser_that_registered_longest_ago_makes_room,
    browser_is_forgotten_once_and_for_all,
    a14_browsers_go_with_the_password_and_with_the_account,
];

fn browser(owner: &str, node: &str, endpoint: &str) -> Registration {
    Registration {
        owner: bare(owner),
        node: node.to_owned(),
        secret: [7; 32],
        endpoint: format!("https://push.x/{endpoint}"),
        key: vec![4; 65],
        auth: vec![1; 16],
    }
}

async fn register(store: &Store, it: &Registration) {
    store.register_web_push(it).await.unwrap();
}

async fn found(store: &Store, owner: &str, node: &str) -> Option<Registration> {
    store.web_push(&bare(owner), node).await.unwrap()
}

async fn browser_is_found_by_its_account_and_node_alone(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let it = browser("a@x", "n", "one");
    register(store, &it).await;
    assert_eq!(found(store, "a@x", "n").await, Some(it));
    for (owner, node) in [("a@x", "m"), ("b@x", "n"), ("nobody@x", "n")] {
        assert_eq!(found(store, owner, node).await, None, "{owner} {node}");
    }
    let nobody = store
        .register_web_push(&browser("nobody@x", "n", "two"))
        .await;
    assert_eq!(nobody, Err(StoreError::NoSuchAccount));
}

async fn browser_belongs_to_the_account_that_registered_it_last(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    register(store, &browser("a@x", "n", "one")).await;
    register(store, &browser("b@x", "m", "one")).await;
    assert_eq!(found(store, "a@x", "n").await, None);
    assert_eq!(
        found(store, "b@x", "m").await,
        Some(browser("b@x", "m", "one"))
    );
    let again = Registration {
        secret: [8; 32],
        ..browser("b@x", "o", "one")
    };
    register(store, &again).await;
    assert_eq!(found(store, "b@x", "m").await, None);
    assert_eq!(found(store, "b@x", "o").await, Some(again));
}

async fn the_browser_that_registered_longest_ago_makes_room(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    register(store, &browser("b@x", "other", "other")).await;
    for n in 0..BROWSERS_MAX {
        register(store, &browser("a@x", &n.to_string(), &n.to_string())).await;
    }
    // The first one comes back, and is the last from then on.
    register(store, &browser("a@x", "again", "0")).await;
    assert!(found(store, "a@x", "1").await.is_some());
    register(store, &browser("a@x", "more", "more")).await;
    assert!(found(store, "a@x", "1").await.is_none());
    for node in ["2", "again", "more"] {
        assert!(found(store, "a@x", node).await.is_some(), "{node}");
    }
    assert!(found(store, "b@x", "other").await.is_some());
}

async fn browser_is_forgotten_once_and_for_all(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    register(store, &browser("a@x", "n", "one")).await;
    store.forget_web_push(&bare("b@x"), "n").await.unwrap();
    assert!(found(store, "a@x", "n").await.is_some());
    for _ in 0..2 {
        store.forget_web_push(&bare("a@x"), "n").await.unwrap();
        assert!(found(store, "a@x", "n").await.is_none());
    }
}

async fn a14_browsers_go_with_the_password_and_with_the_account(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let account = bare("a@x");
    register(store, &browser("b@x", "n", "other")).await;
    register(store, &browser("a@x", "n", "one")).await;
    let password = Credentials::default();
    store.set_credentials(&account, &password).await.unwrap();
    assert!(found(store, "a@x", "n").await.is_none());
    register(store, &browser("a@x", "n", "one")).await;
    store.remove_account(&account, at(1)).await.unwrap();
    assert!(found(store, "a@x", "n").await.is_none());
    create(store, &["a@x"]).await;
    assert!(found(store, "a@x", "n").await.is_none());
    // The endpoint is free again.
    register(store, &browser("a@x", "m", "one")).await;
    assert!(found(store, "b@x", "n").await.is_some());
}
