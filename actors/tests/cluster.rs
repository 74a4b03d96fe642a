//! Several nodes on one store: people, rooms and sessions do not notice where they are, nor that
//! nodes come and go.

mod common;
#[path = "cluster/people.rs"]
mod people;
#[path = "cluster/rooms.rs"]
mod rooms;
#[path = "cluster/sessions.rs"]
mod sessions;

use common::cluster::Cluster;
use common::room::{ROOM, create, join};
use common::{ALICE, BOB, Client};
use klatsch_protocol::stanza::StreamCondition;

/// Alice and Bob see each other.
async fn friends(cluster: &Cluster) {
    cluster.node(1).befriend().await;
}

/// The same, on these nodes.
async fn friends_on(cluster: &Cluster, [a, b]: [u16; 2]) -> (Client, Client) {
    friends(cluster).await;
    let all: Vec<u16> = (1..).take(cluster.nodes.len()).collect();
    let bob = cluster.node(b).online(BOB, "b").await;
    cluster.see(&all, &bob).await;
    let alice = cluster.node(a).online(ALICE, "a").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    (alice, bob)
}

/// Why the server has closed.
async fn end_of(client: &Client) -> Option<StreamCondition> {
    client.closed().await.map(|error| error.condition)
}

/// Every other node of three.
fn others(number: u16) -> [u16; 2] {
    match number {
        1 => [2, 3],
        2 => [1, 3],
        _ => [1, 2],
    }
}

/// Alice on one node and Bob on another, in a room that lives on the third.
async fn in_a_room(cluster: &Cluster) -> (Client, Client) {
    in_a_room_on(cluster, others(cluster.home(ROOM))).await
}

/// Alice and Bob in a room, on these nodes.
async fn in_a_room_on(cluster: &Cluster, [a, b]: [u16; 2]) -> (Client, Client) {
    let alice = cluster.node(a).online(ALICE, "a").await;
    let bob = cluster.node(b).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &alice).await;
    cluster.see(&[1, 2, 3], &bob).await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    (alice, bob)
}
