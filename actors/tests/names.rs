//! Names that sessions leave, take and keep on several nodes: whoever has a name is seen under it,
//! and nobody who is gone.
//!
//! Time passes only when nothing else can happen: what follows on something here is over before
//! any node has shown it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::cluster::Cluster;
use common::room::{ROOM, create, join};
use common::{ALICE, BOB, Client};
use klatsch_actors::session::{Heir, Left, SessionMsg};
use klatsch_actors::slot::Slot;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Nothing lingers so long.
const LATER: Duration = Duration::from_secs(15);

/// Alice on the first node, with a session that others could go on with.
async fn resumable(cluster: &Cluster, numbers: &[u16]) -> (Client, String) {
    let alice = cluster.node(1).online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    cluster.see(numbers, &alice).await;
    (alice, id)
}

/// Asks a session of the first node to leave; nobody has said yet that it has.
async fn let_leave(cluster: &Cluster, client: &Client) -> Slot {
    let directory = &cluster.node(1).sessions().world().directory;
    let slot = directory.slot(&client.jid).unwrap();
    let (session, left) = oneshot::channel();
    let heir = Heir {
        node: None,
        session,
    };
    let stops = StreamError::new(StreamCondition::SystemShutdown);
    directory
        .slots
        .send(slot, SessionMsg::HandOver(stops, heir));
    left.await.unwrap();
    slot
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_a_name_that_lingers_is_seen_as_long_as_they_have_it() {
    let cluster = Cluster::of(2).await;
    let (_alice, id) = resumable(&cluster, &[1, 2]).await;
    cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    let again = cluster.node(1).online(ALICE, "a").await;
    sleep(LATER).await;
    cluster.see(&[1, 2], &again).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_left_takes_nothing_from_the_one_that_has_its_name() {
    let cluster = Cluster::of(2).await;
    let (alice, _id) = resumable(&cluster, &[1, 2]).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    let slot = let_leave(&cluster, &alice).await;
    let again = cluster.node(1).online(ALICE, "a").await;
    join(&again, "ann").await;
    let directory = &cluster.node(1).sessions().world().directory;
    directory.slots.send(slot, SessionMsg::Left(Left::ToStore));
    sleep(LATER).await;
    cluster.see(&[1, 2], &again).await;
    cluster.know_insiders(&[1, 2], ROOM, 2).await;
    bob.hears_nothing_of("unavailable").await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_goes_on_with_leaves_its_rooms_after_a_while() {
    let cluster = Cluster::of(2).await;
    let (alice, _id) = resumable(&cluster, &[1, 2]).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    let slot = let_leave(&cluster, &alice).await;
    // Another begins under its name, and is in no room.
    cluster.node(1).online(ALICE, "a").await;
    let directory = &cluster.node(1).sessions().world().directory;
    directory.slots.send(slot, SessionMsg::Left(Left::ToStore));
    sleep(LATER).await;
    bob.expect_all(&["/ann'", "unavailable"]).await;
    cluster.know_insiders(&[1, 2], ROOM, 1).await;
}
