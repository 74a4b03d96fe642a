//! Rooms whose occupants are on different nodes, and which move when nodes go.

use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;

use crate::common::cluster::{Cluster, eventually};
use crate::common::room::{ROOM, configure, create, join, log, say, search, words};
use crate::common::{ALICE, BOB, CAROL, bare};
use crate::{in_a_room, in_a_room_on, others};

#[tokio::test]
async fn searches_on_every_node_know_how_many_are_in_a_room() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    configure(&alice, "publicroom", "1").await;
    let home = cluster.home(ROOM);
    let carol = cluster.node(home).online(CAROL, "c").await;
    cluster.see(&[1, 2, 3], &carol).await;
    for client in [&alice, &bob, &carol] {
        let two = [("all", "true"), ("min_users", "2")];
        assert_eq!(search(client, &two, "").await, "t2");
        let three = [("all", "true"), ("min_users", "3")];
        assert_eq!(search(client, &three, "").await, "");
    }
}

#[tokio::test]
async fn a_room_is_one_for_occupants_on_all_nodes() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    for number in 0..20 {
        say(&alice, &format!("a{number}-")).await;
        say(&bob, &format!("b{number}-")).await;
    }
    for client in [&alice, &bob] {
        let mut heard = Vec::new();
        while heard.len() < 40 {
            let said = client.expect_all(&["groupchat", "<body>"]).await;
            let body = said.split("<body>").nth(1).unwrap();
            heard.push(body.split('<').next().unwrap().to_owned());
        }
        let own: Vec<_> = heard.iter().filter(|it| it.starts_with('a')).collect();
        let expected: Vec<_> = (0..20).map(|it| format!("a{it}-")).collect();
        assert!(own.into_iter().eq(expected.iter()), "{heard:?}");
    }
    bob.close();
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
}

#[tokio::test]
async fn a_room_whose_node_dies_is_on_another_with_its_occupants_and_history() {
    let mut cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    say(&alice, "before").await;
    bob.expect("<body>before</body>").await;
    let home = cluster.home(ROOM);
    cluster.kill(home);
    say(&alice, "after").await;
    bob.expect("<body>after</body>").await;
    say(&bob, "answer").await;
    alice.expect("<body>answer</body>").await;
    assert_eq!(log(&cluster.store).await.len(), 3);
}

#[tokio::test]
async fn what_is_said_again_after_a_rooms_move_stands_once_in_its_log() {
    let mut cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    alice.send(&words("once")).await;
    bob.expect("<body>once</body>").await;
    let home = cluster.home(ROOM);
    cluster.kill(home);
    alice.send(&words("once")).await;
    alice.sync().await;
    assert_eq!(log(&cluster.store).await.len(), 1);
}

#[tokio::test]
async fn occupants_of_a_node_that_dies_leave_and_nobody_else_does() {
    let mut cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    let [_, b] = others(cluster.home(ROOM));
    cluster.kill(b);
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    say(&alice, "alone").await;
    alice.expect("<body>alone</body>").await;
    drop(bob);
}

#[tokio::test]
async fn when_the_rooms_own_node_dies_with_an_occupant_the_others_see_that_one_go() {
    let mut cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let [a, _] = others(home);
    let (alice, _bob) = in_a_room_on(&cluster, [a, home]).await;
    cluster.kill(home);
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    say(&alice, "alone").await;
    alice.expect("<body>alone</body>").await;
}

#[tokio::test]
async fn in_a_split_both_sides_talk_and_history_does_not_fork() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    let home = cluster.home(ROOM);
    let [a, b] = others(home);
    cluster.hub.cut(NodeId(b), NodeId(a));
    cluster.hub.cut(NodeId(b), NodeId(home));
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    bob.expect_all(&["<presence", "/ann", "unavailable"]).await;
    say(&alice, "left").await;
    say(&bob, "right").await;
    // Through the store, a second later.
    alice.expect("<body>right</body>").await;
    bob.expect("<body>left</body>").await;
    cluster.hub.heal();
    alice.expect_all(&["<presence", "/bo"]).await;
    bob.expect_all(&["<presence", "/ann"]).await;
    say(&alice, "healed").await;
    bob.expect("<body>healed</body>").await;
    alice.expect("<body>healed</body>").await;
    assert_eq!(log(&cluster.store).await.len(), 3);
}

#[tokio::test]
async fn a_temporary_room_is_not_ended_by_the_side_of_a_split_that_nobody_of_it_is_on() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let [a, b] = others(home);
    let alice = cluster.node(a).online(ALICE, "a").await;
    let bob = cluster.node(home).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &alice).await;
    create(&alice, "ann").await;
    configure(&alice, "persistentroom", "0").await;
    join(&bob, "bo").await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    cluster.hub.cut(NodeId(a), NodeId(home));
    cluster.hub.cut(NodeId(a), NodeId(b));
    // On this side its last occupant leaves; on the other there is one.
    bob.expect_all(&["<presence", "/ann", "unavailable"]).await;
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/bo'/>"))
        .await;
    bob.expect_all(&["<presence", "/bo", "unavailable"]).await;
    bob.sync().await;
    say(&alice, "still-here").await;
    alice.expect("<body>still-here</body>").await;
    assert!(cluster.store.room(&bare(ROOM)).await.unwrap().is_some());
    cluster.hub.heal();
    say(&alice, "and-after").await;
    alice.expect("<body>and-after</body>").await;
}

#[tokio::test]
async fn whoever_heard_both_halves_of_a_room_knows_after_the_cut_who_is_there() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let second = placement::home(ROOM.as_bytes(), &others(home).map(NodeId)).unwrap();
    let third = 6 - home - second.0;
    let (alice, _bob) = in_a_room_on(&cluster, [third, home]).await;
    // A while after her login Alice is shown whom she may have missed: that is not to help here.
    alice.expect_all(&["<presence", "/bo"]).await;
    // For the second node the first is gone, and with it Bob; both reach the third.
    cluster.hub.cut(NodeId(home), second);
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    cluster.hub.heal();
    let back = alice.expect_all(&["<presence", "/bo"]).await;
    assert!(!back.contains("unavailable"), "{back}");
}

#[tokio::test]
async fn presence_in_a_room_that_was_lost_between_nodes_is_shown_again() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    let [a, _] = others(cluster.home(ROOM));
    cluster.hub.silence(NodeId(a));
    let away = format!("<presence to='{ROOM}/bo'><show>away</show></presence>");
    bob.send(&away).await;
    bob.expect_all(&["/bo", "<show>away</show>"]).await;
    cluster.hub.end_silence(NodeId(a));
    alice.expect_all(&["/bo", "<show>away</show>"]).await;
}

#[tokio::test]
async fn what_a_room_was_asked_before_its_node_was_there_is_asked_again() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = in_a_room(&cluster).await;
    let home = cluster.home(ROOM);
    let [a, _] = others(home);
    cluster.hub.begin_start(NodeId(home));
    say(&alice, "unheard").await;
    let asker = cluster.node(a).sessions().world();
    let peers = asker.directory.peers().unwrap();
    eventually(|| peers.is_asking(NodeId(home))).await;
    cluster.hub.end_start(NodeId(home));
    bob.expect("<body>unheard</body>").await;
    alice.expect("<body>unheard</body>").await;
}
