//! Devices that are told, on every backend.

use bytes::Bytes;
use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_store::push::REGISTRATIONS_MAX;
use klatsch_store::{Store, StoreError};

use crate::support::{at, bare, create, jid, on_every_backend};

on_every_backend![
    what_is_enabled_is_there_once_for_each_service_and_node,
    one_node_or_a_whole_service_is_disabled,
    the_device_that_asked_longest_ago_makes_room,
    devices_go_with_their_account,
];

fn device(service: &str, node: &str) -> Registration {
    Registration {
        service: jid(service),
        node: node.into(),
        resource: "phone".into(),
        options: None,
    }
}

async fn enable(store: &Store, registration: Registration) {
    let change = PushChange::Enable(registration);
    store.change_push(&bare("a@x"), change).await.unwrap();
}

async fn nodes(store: &Store) -> Vec<String> {
    let all = store.registrations(&bare("a@x")).await.unwrap();
    all.into_iter().map(|it| it.node).collect()
}

async fn what_is_enabled_is_there_once_for_each_service_and_node(store: &Store) {
    create(store, &["a@x"]).await;
    enable(store, device("push.x", "one")).await;
    enable(store, device("push.x", "two")).await;
    let again = Registration {
        options: Some(Bytes::from_static(b"<x/>")),
        ..device("push.x", "one")
    };
    enable(store, again.clone()).await;
    let all = store.registrations(&bare("a@x")).await.unwrap();
    assert_eq!(all, [device("push.x", "two"), again]);
}

async fn one_node_or_a_whole_service_is_disabled(store: &Store) {
    create(store, &["a@x"]).await;
    for node in ["one", "two", "three"] {
        enable(store, device("push.x", node)).await;
    }
    enable(store, device("other.x", "four")).await;
    let account = bare("a@x");
    let disable = |node: Option<&str>| PushChange::Disable(jid("push.x"), node.map(str::to_owned));
    store
        .change_push(&account, disable(Some("two")))
        .await
        .unwrap();
    assert_eq!(nodes(store).await, ["one", "three", "four"]);
    store.change_push(&account, disable(None)).await.unwrap();
    assert_eq!(nodes(store).await, ["four"]);
}

async fn the_device_that_asked_longest_ago_makes_room(store: &Store) {
    create(store, &["a@x"]).await;
    for n in 0..=REGISTRATIONS_MAX {
        enable(store, device("push.x", &n.to_string())).await;
    }
    let nodes = nodes(store).await;
    assert_eq!(nodes.len(), REGISTRATIONS_MAX);
    assert_eq!(nodes[0], "1");
}

async fn devices_go_with_their_account(store: &Store) {
    create(store, &["a@x"]).await;
    enable(store, device("push.x", "one")).await;
    store.remove_account(&bare("a@x"), at(1)).await.unwrap();
    assert!(nodes(store).await.is_empty());
    let change = PushChange::Enable(device("push.x", "one"));
    let refused = store.change_push(&bare("a@x"), change).await;
    assert_eq!(refused, Err(StoreError::NoSuchAccount));
    create(store, &["a@x"]).await;
    assert!(nodes(store).await.is_empty());
}
