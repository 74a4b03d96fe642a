//! A store that a node does not reach for a while, that is slow, or whose answers are lost: nobody
//! is told more than is known, and nothing is taken for gone that cannot be looked up.
//!
//! Time passes only when nothing else can happen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, handled};
use common::room::{ROOM, create, join, say};
use common::{ALICE, BOB, Client, Scene, bare, chat};
use klatsch_actors::directory::Wire;
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;
use klatsch_store::Reached;
use tokio::time::sleep;

/// Everything happens that waits for nothing but its turn.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Fails if a client has been told something with all of these texts.
async fn has_not_heard(client: &Client, texts: &[&str]) {
    let heard = client.sync().await;
    let is_it = |heard: &String| texts.iter().all(|text| heard.contains(text));
    assert!(!heard.iter().any(is_it), "{heard:?}");
}

/// How many messages stand in the log of the room.
async fn said(cluster: &Cluster) -> usize {
    let log = cluster.store.room_entries(&bare(ROOM), 0, 50).await;
    log.expect("the room has a log").len()
}

#[tokio::test(start_paused = true)]
async fn d5_a_commit_whose_answer_is_lost_is_neither_refused_nor_made_twice() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice.enable_sm().await;
    scene.reach.set(Reached::NoAnswer);
    alice.send(&chat(BOB, "kept")).await;
    alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    settle().await;
    assert_eq!(scene.log(BOB).await.len(), 1);
    scene.reach.set(Reached::NotAtAll);
    sleep(Duration::from_secs(5)).await;
    scene.reach.set(Reached::AtOnce);
    let answer = alice.expect("<").await;
    assert!(
        answer.contains("<a ") && answer.contains("h='1'"),
        "{answer}"
    );
    bob.expect("<body>kept</body>").await;
    has_not_heard(&bob, &["<body>kept</body>"]).await;
    assert_eq!(scene.log(BOB).await.len(), 1);
}

/// Alice inside a room that lives on another node, where Bob is.
async fn in_a_room_elsewhere(cluster: &Cluster) -> (Client, Client) {
    let home = cluster.home(ROOM);
    let alice = cluster.node(3 - home).online(ALICE, "a").await;
    let bob = cluster.node(home).online(BOB, "b").await;
    cluster.see(&[1, 2], &alice).await;
    cluster.see(&[1, 2], &bob).await;
    create(&bob, "bo").await;
    join(&alice, "ann").await;
    bob.expect_all(&["<presence", "/ann"]).await;
    cluster.know_insiders(&[1, 2], ROOM, 2).await;
    (alice, bob)
}

#[tokio::test(start_paused = true)]
async fn whoever_is_in_a_room_that_cannot_be_read_stays_there() {
    let cluster = Cluster::of(2).await;
    let (alice, bob) = in_a_room_elsewhere(&cluster).await;
    let here = cluster.node(3 - cluster.home(ROOM));
    here.reach.set(Reached::NotAtAll);
    cluster.hub.cut(NodeId(1), NodeId(2));
    bob.expect_all(&["<presence", "/ann'", "unavailable"]).await;
    // Its half of the room is asked, and finds nothing to read.
    say(&alice, "unread").await;
    alice
        .expect_all(&["id-unread", "type='error'", "'wait'"])
        .await;
    here.reach.set(Reached::AtOnce);
    cluster.hub.heal();
    let back = bob.expect_all(&["<presence", "/ann'"]).await;
    assert!(!back.contains("unavailable"), "{back}");
    say(&bob, "healed").await;
    alice.expect("<body>healed</body>").await;
    cluster.know_insiders(&[1, 2], ROOM, 2).await;
}

/// Alice on a node that has a room once it does not hear the room's own, and Bob on the third:
/// these three, and the two inside the room.
async fn in_a_room_of_three(cluster: &Cluster) -> ([u16; 3], Client, Client) {
    let home = cluster.home(ROOM);
    let mut others = vec![1, 2, 3];
    others.retain(|it| *it != home);
    let nodes: Vec<NodeId> = others.iter().copied().map(NodeId).collect();
    let second = placement::home(ROOM.as_bytes(), &nodes).unwrap().0;
    let third = 6 - home - second;
    let alice = cluster.node(second).online(ALICE, "a").await;
    let bob = cluster.node(third).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &alice).await;
    cluster.see(&[1, 2, 3], &bob).await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo'"]).await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    // What is shown once more after logins is not to help here.
    sleep(Duration::from_secs(30)).await;
    alice.sync().await;
    ([home, second, third], alice, bob)
}

#[tokio::test(start_paused = true)]
async fn a_half_of_a_room_that_ends_before_it_is_read_takes_nobody_for_gone() {
    let cluster = Cluster::of(3).await;
    let ([home, second, third], alice, bob) = in_a_room_of_three(&cluster).await;
    cluster.node(second).reach.set(Reached::Late);
    cluster.hub.cut(NodeId(second), NodeId(home));
    cluster.hub.cut(NodeId(second), NodeId(third));
    cluster.know_insiders(&[second], ROOM, 1).await;
    // The room's own node is heard again, and Bob's not yet.
    cluster.hub.heal();
    cluster.hub.cut(NodeId(second), NodeId(third));
    settle().await;
    cluster.node(second).reach.set(Reached::AtOnce);
    sleep(Duration::from_secs(1)).await;
    has_not_heard(&alice, &["/bo'", "unavailable"]).await;
    say(&bob, "still here").await;
    alice.expect("<body>still here</body>").await;
}

#[tokio::test(start_paused = true)]
async fn a_half_of_a_room_that_ends_takes_nobody_for_gone_from_then_on() {
    let cluster = Cluster::of(3).await;
    let ([home, second, third], alice, bob) = in_a_room_of_three(&cluster).await;
    cluster.hub.cut(NodeId(second), NodeId(home));
    settle().await;
    cluster.node(second).reach.set(Reached::Late);
    say(&alice, "late").await;
    settle().await;
    // What it keeps it goes on with; then it is to end, and only then Bob's node is not heard.
    cluster.hub.heal();
    cluster.hub.cut(NodeId(second), NodeId(third));
    cluster.know_insiders(&[second], ROOM, 1).await;
    cluster.node(second).reach.set(Reached::AtOnce);
    alice.expect("<body>late</body>").await;
    sleep(Duration::from_secs(1)).await;
    has_not_heard(&alice, &["/bo'", "unavailable"]).await;
    say(&bob, "still here").await;
    alice.expect("<body>still here</body>").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_room_may_have_kept_is_asked_until_it_is_known() {
    let cluster = Cluster::of(2).await;
    let (alice, _bob) = in_a_room_elsewhere(&cluster).await;
    let home = cluster.home(ROOM);
    let (here, there) = (cluster.node(3 - home), cluster.node(home));
    there.reach.set(Reached::Late);
    say(&alice, "kept").await;
    settle().await;
    here.reach.set(Reached::NotAtAll);
    cluster.hub.cut(NodeId(1), NodeId(2));
    settle().await;
    there.reach.set(Reached::AtOnce);
    settle().await;
    assert_eq!(said(&cluster).await, 1);
    // Meanwhile the half of the room on her node is asked, which cannot know.
    sleep(Duration::from_secs(5)).await;
    here.reach.set(Reached::AtOnce);
    let answer = alice.expect("id-kept").await;
    assert!(!answer.contains("type='error'"), "{answer}");
    assert_eq!(said(&cluster).await, 1);
}

/// Alice with a session on the first node that the second could go on with; answers the id of its
/// resumption, and what has been handled.
async fn resumable(cluster: &Cluster) -> (Client, String, u32) {
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    cluster.knows_record(2, ALICE, &id, told).await;
    (alice, id, told)
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_leave_its_node_begins_on_no_other() {
    let cluster = Cluster::of(2).await;
    let (alice, id, told) = resumable(&cluster).await;
    cluster.node(1).reach.set(Reached::Late);
    alice.send(&chat(BOB, "late")).await;
    alice.lose();
    assert!(cluster.node(2).resume(ALICE, &id, 0).await.is_none());
    let there = &cluster.node(2).sessions().world().directory;
    assert_eq!(there.slot(&alice.jid), None);
    cluster.node(1).reach.set(Reached::AtOnce);
    settle().await;
    let (again, h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    assert_eq!(h, told + 1);
    again.sync().await;
    assert_eq!(cluster.node(2).log(BOB).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_that_a_node_behind_a_cut_may_go_on_without() {
    let cluster = Cluster::of(2).await;
    let (alice, _id, told) = resumable(&cluster).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    cluster.node(1).reach.set(Reached::NotAtAll);
    alice.sync().await;
    alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    sleep(Duration::from_secs(10)).await;
    has_not_heard(&alice, &["<a "]).await;
    cluster.node(1).reach.set(Reached::AtOnce);
    let answer = alice.expect("<a ").await;
    assert!(answer.contains(&format!("h='{}'", told + 1)), "{answer}");
}
