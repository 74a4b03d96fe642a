//! Sessions that go on on another node than the one they began on.

use klatsch_actors::directory::Place;
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::stanza::{StreamCondition, StreamError};

use crate::common::cluster::{Cluster, eventually, handled};
use crate::common::room::{ROOM, create, join, say};
use crate::common::{ALICE, BOB, Client, bare, chat};
use crate::{end_of, friends_on, others};

#[tokio::test]
async fn a_session_is_resumed_on_another_node_and_nobody_sees_it_go() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = friends_on(&cluster, [1, 3]).await;
    let id = alice.enable_sm().await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    cluster.see(&[1, 2, 3], &alice).await;
    alice.lose();
    bob.send(&chat(ALICE, "meanwhile")).await;
    say(&bob, "in-the-room").await;
    bob.expect("<body>in-the-room</body>").await;
    bob.sync().await;
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    again.expect("<body>meanwhile</body>").await;
    say(&again, "here-again").await;
    let before: Vec<String> = vec![bob.expect("<body>here-again</body>").await];
    assert!(!before.iter().any(|it| it.contains("unavailable")));
    bob.send(&chat(ALICE, "direct")).await;
    again.expect("<body>direct</body>").await;
    assert!(
        cluster.node(1).resume(ALICE, &id, 0).await.is_some(),
        "and back"
    );
}

#[tokio::test]
async fn a_session_whose_node_has_died_is_resumed_on_another_and_loses_nothing() {
    let mut cluster = Cluster::of(3).await;
    let [a, b] = others(cluster.home(ROOM));
    let (alice, bob) = friends_on(&cluster, [a, b]).await;
    let id = alice.enable_sm().await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    let handled = handled(&alice).await;
    cluster.knows_record(b, ALICE, &id, handled).await;
    cluster.kill(a);
    bob.expect_each(&["from='alice@example.org/a'", "/ann'"], "unavailable")
        .await;
    bob.send(&chat(ALICE, "meanwhile")).await;
    say(&bob, "in-the-room").await;
    bob.expect("<body>in-the-room</body>").await;
    let (again, h) = cluster.node(b).resume(ALICE, &id, 17).await.unwrap();
    assert_eq!(h, handled);
    again
        .expect_each(&["meanwhile", "in-the-room"], "<body>")
        .await;
    bob.expect_each(&["from='alice@example.org/a'", "/ann'"], "<presence")
        .await;
    say(&again, "here-again").await;
    bob.expect("<body>here-again</body>").await;
}

#[tokio::test]
async fn a_node_that_stops_gives_its_sessions_to_the_others() {
    let mut cluster = Cluster::of(2).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2], &bob).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    cluster.see(&[1, 2], &alice).await;
    let stopping = cluster.nodes.remove(0);
    stopping.node.stop(std::time::Duration::from_secs(5)).await;
    assert_eq!(end_of(&alice).await, Some(StreamCondition::SystemShutdown));
    bob.send(&chat(ALICE, "waits")).await;
    bob.sync().await;
    let stays = &cluster.nodes[0];
    let (again, _h) = stays.resume(ALICE, &id, 0).await.unwrap();
    again.expect("<body>waits</body>").await;
}

#[tokio::test]
async fn a_session_waits_for_its_own_node_or_for_its_client_anywhere() {
    let mut cluster = Cluster::of(0).await;
    let store = cluster.store.clone();
    let mut ids = Vec::new();
    for number in [2, 3] {
        cluster = Cluster::on(store.clone(), [number]).await;
        let alice = cluster.nodes[0].online(ALICE, &format!("a{number}")).await;
        ids.push(alice.enable_sm().await);
        let stopping = cluster.nodes.remove(0);
        stopping.node.stop(std::time::Duration::from_secs(5)).await;
        assert_eq!(end_of(&alice).await, Some(StreamCondition::SystemShutdown));
    }
    cluster = Cluster::on(store.clone(), [3]).await;
    let account = bare(ALICE);
    let own = cluster.nodes[0].sessions().list(Some(&account));
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(own[0].resource(), "a3");
    // A13: an id opens its own account's session alone.
    assert!(cluster.nodes[0].resume(BOB, &ids[0], 0).await.is_none());
    let (alice, _h) = cluster.nodes[0].resume(ALICE, &ids[0], 0).await.unwrap();
    assert_eq!(alice.jid.resource(), "a2");
    assert!(cluster.nodes[0].resume(ALICE, &ids[1], 0).await.is_some());
}

#[tokio::test]
async fn a_node_that_is_drained_hands_its_sessions_over_and_works_on() {
    let cluster = Cluster::of(2).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2], &bob).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    let simple = cluster.node(1).online(ALICE, "simple").await;
    cluster.see(&[1, 2], &alice).await;
    cluster.hub.leave(NodeId(1));
    assert_eq!(cluster.node(1).sessions().count_here(), 2);
    cluster.node(1).sessions().hand_over_all().await;
    for client in [&alice, &simple] {
        assert_eq!(end_of(client).await, Some(StreamCondition::SystemShutdown));
    }
    eventually(|| cluster.node(1).sessions().count_here() == 0).await;
    bob.send(&chat(ALICE, "waits")).await;
    bob.sync().await;
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    again.expect("<body>waits</body>").await;
    // Whoever still comes is not turned away.
    let late = cluster.node(1).online(ALICE, "late").await;
    late.sync().await;
}

#[tokio::test]
async fn a_drained_node_says_where_its_sessions_go_if_that_is_known() {
    let cluster = Cluster::of(3).await;
    let mut clients = Vec::new();
    for number in 0..10 {
        let alice = cluster.node(1).online(ALICE, &format!("r{number}")).await;
        let id = alice.enable_sm().await;
        cluster.see(&[1, 2, 3], &alice).await;
        clients.push((alice, id));
    }
    cluster.hub.leave(NodeId(1));
    cluster.node(1).sessions().hand_over_all().await;
    let on_three = cluster.node(3).sessions();
    let (mut told, mut untold) = (0, 0);
    for (alice, _id) in &clients {
        let is_there = on_three.world().directory.place(&alice.jid);
        let is_there = matches!(is_there, Some(Place::Here(_)));
        let expected = match is_there {
            true => StreamError::see_other_host("n3.example.org"),
            false => StreamError::new(StreamCondition::SystemShutdown),
        };
        assert_eq!(alice.closed().await, Some(expected));
        *if is_there { &mut told } else { &mut untold } += 1;
    }
    assert!(told > 0 && untold > 0, "{told} told, {untold} not");
}

#[tokio::test]
async fn what_a_client_has_been_told_is_known_to_whoever_goes_on_with_its_session() {
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let id = alice.enable_sm().await;
    for number in 0..7 {
        alice.send(&chat(BOB, &format!("n{number}"))).await;
        alice.send("<presence><show>away</show></presence>").await;
    }
    let told = handled(&alice).await;
    cluster.hub.silence(NodeId(1));
    let (_again, h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    assert_eq!((told, h), (14, 14));
}

/// Alice on the first node with a session another one could go on with, and Bob on the third.
async fn resumable(cluster: &Cluster) -> (Client, String, Client) {
    let (alice, bob) = friends_on(cluster, [1, 3]).await;
    let id = alice.enable_sm().await;
    let handled = handled(&alice).await;
    cluster.see(&[1, 2, 3], &alice).await;
    cluster.knows_record(2, ALICE, &id, handled).await;
    (alice, id, bob)
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_is_not_seen_to_go_with_its_node() {
    let mut cluster = Cluster::of(3).await;
    let (_alice, id, bob) = resumable(&cluster).await;
    let other = cluster.node(1).online(ALICE, "other").await;
    cluster.see(&[1, 2, 3], &other).await;
    let here = cluster.node(2).online(BOB, "here").await;
    cluster.hub.silence(NodeId(1));
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    // The others know where it is before they give the node up, which takes seconds.
    let directory = &cluster.node(3).sessions().world().directory;
    eventually(|| directory.place(&again.jid) == Some(Place::There(NodeId(2)))).await;
    cluster.kill(1);
    let is_there = |it: &String| it.contains("alice@example.org/a'");
    for viewer in [&bob, &here, &again] {
        let mut heard = Vec::new();
        let is_gone = |it: &String| it.contains("unavailable") && it.contains("org/other");
        while !heard.iter().any(is_gone) {
            heard.extend(viewer.sync().await);
        }
        heard.extend(viewer.sync().await);
        assert!(
            !heard
                .iter()
                .any(|it| is_there(it) && it.contains("unavailable")),
            "{heard:?}"
        );
    }
}

#[tokio::test]
async fn a_session_that_is_back_is_seen_by_those_alone_who_have_seen_it_go() {
    let cluster = Cluster::of(3).await;
    let (alice, id, bob) = resumable(&cluster).await;
    // For the third node the first is gone, for the second it is not.
    cluster.hub.cut(NodeId(1), NodeId(3));
    bob.expect_all(&["unavailable", "alice@example.org/a"])
        .await;
    alice.lose();
    let (_again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    let back = bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    assert!(!back.contains("unavailable"), "{back}");
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_hears_what_contacts_showed_meanwhile() {
    let cluster = Cluster::of(3).await;
    let (_alice, id, bob) = resumable(&cluster).await;
    cluster.hub.silence(NodeId(1));
    bob.send("<presence><show>away</show></presence>").await;
    bob.sync().await;
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    again
        .expect_all(&["bob@example.org/b", "<show>away</show>"])
        .await;
}
