//! Several nodes on one store: people, rooms and sessions do not notice where they are, nor that
//! nodes come and go.

mod common;

use common::cluster::{Cluster, eventually, handled};
use common::room::{ROOM, configure, create, join, log, say, search, words};
use common::{ALICE, BOB, CAROL, Client, bare, chat};
use klatsch_actors::directory::Place;
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;
use klatsch_protocol::stanza::{StreamCondition, StreamError};

/// Alice and Bob see each other.
async fn friends(cluster: &Cluster) {
    cluster.node(1).befriend().await;
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

#[tokio::test]
async fn messages_and_presence_cross_nodes() {
    let cluster = Cluster::of(3).await;
    friends(&cluster).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2, 3], &alice).await;
    let bob = cluster.node(3).online(BOB, "b").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    for number in 0..20 {
        alice.send(&chat(BOB, &format!("n{number}-"))).await;
    }
    for number in 0..20 {
        bob.expect(&format!("<body>n{number}-</body>")).await;
    }
    bob.send(&chat(ALICE, "back")).await;
    alice.expect("<body>back</body>").await;
    bob.close();
    alice
        .expect_all(&["type='unavailable'", "bob@example.org/b"])
        .await;
}

#[tokio::test]
async fn what_a_node_of_another_version_says_harms_nobody() {
    let cluster = Cluster::of(2).await;
    friends(&cluster).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2], &bob).await;
    // A word that is not known yet, a codec that is not spoken, and nothing.
    for message in [
        b"\x01\x63\x04news".to_vec(),
        b"\x02\x00".to_vec(),
        Vec::new(),
    ] {
        cluster.say_raw(2, 1, message);
    }
    bob.send(&chat(ALICE, "understood")).await;
    alice.expect("<body>understood</body>").await;
}

#[tokio::test]
async fn devices_of_one_account_on_different_nodes_get_carbons_and_roster_pushes() {
    let cluster = Cluster::of(2).await;
    let phone = cluster.node(1).online(ALICE, "phone").await;
    let desk = cluster.node(2).online(ALICE, "desk").await;
    cluster.see(&[1, 2], &phone).await;
    cluster.see(&[1, 2], &desk).await;
    desk.enable_carbons().await;
    desk.read_roster().await;
    let sees_it = || {
        let directory = &cluster.node(1).sessions().world().directory;
        let published = directory.published(ALICE).unwrap();
        let desk = published.view.resource(&desk.jid).cloned();
        desk.is_some_and(|it| it.carbons && it.roster_interest)
    };
    eventually(sees_it).await;
    phone.send(&chat(BOB, "hello")).await;
    desk.expect_all(&["urn:xmpp:carbons:2", "<body>hello</body>"])
        .await;
    phone
        .send(
            "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>\
             <item jid='x@example.org' name='X'/></query></iq>",
        )
        .await;
    desk.expect_all(&["jabber:iq:roster", "x@example.org"])
        .await;
    // What the other node has changed is known before the next decision.
    desk.send("<iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    desk.expect_all(&["id='r2'", "name='X'"]).await;
}

#[tokio::test]
async fn a_name_taken_on_another_node_ends_the_session_that_had_it() {
    let cluster = Cluster::of(2).await;
    let first = cluster.node(1).online(ALICE, "phone").await;
    cluster.see(&[1, 2], &first).await;
    let second = cluster.node(2).online(ALICE, "phone").await;
    assert_eq!(end_of(&first).await, Some(StreamCondition::Conflict));
    cluster.see(&[1, 2], &second).await;
    eventually(|| {
        let directory = &cluster.node(1).sessions().world().directory;
        directory
            .published(ALICE)
            .is_some_and(|it| it.places.len() == 1)
    })
    .await;
    second.sync().await;
}

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
    let alice = cluster.node(a).online(ALICE, "a").await;
    let bob = cluster.node(home).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &alice).await;
    cluster.see(&[1, 2, 3], &bob).await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    cluster.know_insiders(&[a], ROOM, 2).await;
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
async fn messages_cross_a_cut_between_nodes_through_the_store() {
    let cluster = Cluster::of(2).await;
    friends(&cluster).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    alice
        .expect_all(&["type='unavailable'", "bob@example.org/b"])
        .await;
    bob.expect_all(&["type='unavailable'", "alice@example.org/a"])
        .await;
    alice.send(&chat(BOB, "across")).await;
    bob.expect("<body>across</body>").await;
    cluster.hub.heal();
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    alice.send(&chat(BOB, "again")).await;
    bob.expect("<body>again</body>").await;
}

#[tokio::test]
async fn a_session_is_resumed_on_another_node_and_nobody_sees_it_go() {
    let cluster = Cluster::of(3).await;
    friends(&cluster).await;
    let bob = cluster.node(3).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &bob).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
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
async fn a_password_changed_on_one_node_ends_the_sessions_on_all() {
    use klatsch_protocol::account::{AccountAct, AccountChange};
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let change = AccountChange {
        account: bare(ALICE),
        act: AccountAct::Disable(true),
    };
    cluster
        .node(2)
        .sessions()
        .change_account(change)
        .await
        .unwrap();
    assert_eq!(end_of(&alice).await, Some(StreamCondition::NotAuthorized));
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
async fn a_session_whose_node_has_died_is_resumed_on_another_and_loses_nothing() {
    let mut cluster = Cluster::of(3).await;
    friends(&cluster).await;
    let home = cluster.home(ROOM);
    let [a, b] = others(home);
    let bob = cluster.node(b).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &bob).await;
    let alice = cluster.node(a).online(ALICE, "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
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
async fn people_who_come_to_two_nodes_at_the_same_moment_see_each_other() {
    let cluster = Cluster::of(2).await;
    friends(&cluster).await;
    // Neither node knows of the other's session yet when it tells or asks.
    let alice = cluster.node(1).online(ALICE, "a").await;
    let bob = cluster.node(2).online(BOB, "b").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
}

/// Alice on the first node with a session another one could go on with, and Bob on the third.
async fn resumable(cluster: &Cluster) -> (Client, String, Client) {
    friends(cluster).await;
    let bob = cluster.node(3).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &bob).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
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

#[tokio::test]
async fn presence_that_was_lost_between_nodes_is_told_when_they_hear_each_other_again() {
    let cluster = Cluster::of(2).await;
    friends(&cluster).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    cluster.hub.silence(NodeId(2));
    bob.send("<presence><show>away</show></presence>").await;
    bob.sync().await;
    cluster.hub.end_silence(NodeId(2));
    alice
        .expect_all(&["bob@example.org/b", "<show>away</show>"])
        .await;
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
