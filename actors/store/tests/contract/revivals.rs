//! Sessions that went on without their node, on every backend.

use klatsch_protocol::jid::FullJid;
use klatsch_store::{Revival, Store};

use crate::support::{at, on_every_backend};

on_every_backend![
    what_went_on_is_told_its_node_once_and_no_other,
    a_node_that_never_asks_leaves_nothing_behind,
];

const DAY: i64 = 86_400;

fn revival(node: u16, session: &str, resumption: u8) -> Revival {
    Revival {
        node,
        session: FullJid::parse(session).unwrap(),
        resumption: [resumption; 32],
    }
}

async fn what_went_on_is_told_its_node_once_and_no_other(store: &Store) {
    let all = [
        revival(3, "a@x/phone", 1),
        revival(1, "b@x/phone", 2),
        revival(3, "a@x/phone", 3),
    ];
    for (second, revival) in (1..).zip(&all) {
        store.note_revival(revival, at(second)).await.unwrap();
    }
    let of_three = [all[0].clone(), all[2].clone()];
    assert_eq!(store.take_revivals(3, at(9)).await.unwrap(), of_three);
    assert_eq!(store.take_revivals(3, at(9)).await.unwrap(), []);
    assert_eq!(store.take_revivals(1, at(9)).await.unwrap(), all[1..2]);
}

async fn a_node_that_never_asks_leaves_nothing_behind(store: &Store) {
    let old = revival(7, "a@x/phone", 1);
    store.note_revival(&old, at(1)).await.unwrap();
    let others = store.take_revivals(1, at(2 + DAY)).await.unwrap();
    assert_eq!(others, []);
    // Not even for a clock that has been put back.
    assert_eq!(store.take_revivals(7, at(1)).await.unwrap(), []);
}
