//! Two people of the directory who have each other's addresses from now on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::cluster::{Cluster, eventually};
use common::people::person;
use common::{ALICE, BOB, Scene, bare, chat};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::{Change, Entry};
use klatsch_protocol::stanza::StreamCondition;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Credentials, StoreError};

const DAVE: &str = "dave@example.org";

/// Alice and Bob are in the directory; Dave is not.
async fn meet(scene: &Scene) {
    let (dave, none) = (bare(DAVE), Credentials::default());
    let made = scene
        .store
        .create_account(&dave, &none, false, Timestamp(0));
    made.await.unwrap();
    let people = [ALICE, BOB].map(|account| person(account, "example.org"));
    scene.has(people).await;
}

/// Whoever was Alice is at Bob's address, and the other way round.
fn swapped() -> Vec<Change> {
    let now = |id: &str, account: &str| Change {
        id: id.into(),
        entry: Some(Entry::Person(person(account, "example.org"))),
    };
    vec![now(ALICE, BOB), now(BOB, ALICE)]
}

/// What is decided on the book's first version.
async fn exchange(scene: &Scene) -> Result<u64, StoreError> {
    let circle = [ALICE, BOB].map(bare);
    let colleagues = &scene.node.colleagues;
    colleagues.exchange(&circle, 1, swapped()).await
}

#[tokio::test]
async fn everybody_finds_their_own_under_the_new_address() {
    let scene = Scene::new(Wire::Direct).await;
    meet(&scene).await;
    let (alice, dave) = (
        scene.online(ALICE, "a").await,
        scene.online(DAVE, "d").await,
    );
    for number in 1..=3 {
        let body = format!("to-alice-{number}");
        dave.send(&chat(ALICE, &body)).await;
        alice.expect(&body).await;
    }
    dave.send(&chat(BOB, "to-bob")).await;
    dave.sync().await;
    exchange(&scene).await.unwrap();
    let ended = alice.closed().await.unwrap();
    assert_eq!(ended.condition, StreamCondition::Reset);
    assert_eq!(scene.log(BOB).await.len(), 3);
    assert_eq!(scene.log(ALICE).await.len(), 1);
    // What Alice has taken delivery of is not what waits for Bob.
    let bob = scene.online(ALICE, "b").await;
    bob.expect("to-bob").await;
    let alice = scene.online(BOB, "a").await;
    dave.send(&chat(BOB, "to-alice-4")).await;
    alice.expect("to-alice-4").await;
    let book = scene.node.colleagues.book();
    assert_eq!(book.version, 2);
    let heard = bob.sync().await;
    assert!(!heard.iter().any(|it| it.contains("to-alice")), "{heard:?}");
}

#[tokio::test]
async fn what_another_node_has_done_already_is_not_undone() {
    let cluster = Cluster::of(2).await;
    meet(cluster.node(1)).await;
    let [first, second] = [1, 2].map(|number| cluster.node(number));
    eventually(|| second.node.colleagues.book().version == 1).await;
    let alice = second.online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    exchange(first).await.unwrap();
    alice.closed().await;
    // The second one has decided the same, whether it has heard of it by now or not.
    assert_eq!(exchange(second).await, Err(StoreError::Conflict));
    eventually(|| second.node.colleagues.book().version == 2).await;
    let book = second.node.colleagues.book();
    let Some(Entry::Person(former)) = book.entry(ALICE).map(|it| &**it) else {
        panic!("she is in the book")
    };
    assert_eq!(former.account, bare(BOB));
}
