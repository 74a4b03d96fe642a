//! Nodes of the cluster and their lives, on every backend.

use klatsch_store::lives::{KnownNode, Life, NAME_BYTES_MAX};
use klatsch_store::{Store, StoreError};

use crate::support::{at, on_every_backend};

on_every_backend!(
    a_name_has_one_number_and_each_start_a_larger_incarnation,
    nodes_that_start_together_get_different_numbers,
    a_node_has_a_name_of_some_length,
    known_nodes_are_those_that_have_joined,
);

fn life(node: u16, incarnation: u64) -> Life {
    Life { node, incarnation }
}

async fn a_name_has_one_number_and_each_start_a_larger_incarnation(store: &Store) {
    assert_eq!(store.join("a", at(1)).await, Ok(life(1, 1)));
    assert_eq!(store.join("b", at(2)).await, Ok(life(2, 1)));
    assert_eq!(store.join("a", at(3)).await, Ok(life(1, 2)));
    assert_eq!(store.join("a", at(4)).await, Ok(life(1, 3)));
    assert_eq!(store.join("A", at(5)).await, Ok(life(3, 1)));
}

async fn nodes_that_start_together_get_different_numbers(store: &Store) {
    let joining = (0..8).map(|node| {
        let store = store.clone();
        tokio::spawn(async move { store.join(&format!("node-{node}"), at(1)).await })
    });
    let mut numbers = Vec::new();
    for joined in joining.collect::<Vec<_>>() {
        numbers.push(joined.await.unwrap().unwrap().node);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}

async fn a_node_has_a_name_of_some_length(store: &Store) {
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    for name in ["", long.as_str()] {
        assert_eq!(store.join(name, at(1)).await, Err(StoreError::Conflict));
    }
    assert!(store.join(&long[1..], at(1)).await.is_ok());
}

async fn known_nodes_are_those_that_have_joined(store: &Store) {
    assert_eq!(store.known_nodes().await, Ok(vec![]));
    for (name, second) in [("b", 1), ("a", 2), ("b", 3)] {
        store.join(name, at(second)).await.unwrap();
    }
    let node = |name: &str, life, second| KnownNode {
        name: name.to_owned(),
        life,
        joined: at(second),
    };
    let known = [node("b", life(1, 2), 3), node("a", life(2, 1), 2)];
    assert_eq!(store.known_nodes().await.unwrap(), known);
}
