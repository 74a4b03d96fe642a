//! Sessions whose clients cross a cut between nodes: the store settles who has them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::cluster::{Cluster, eventually, handled};
use common::room::{ROOM, SERVICE, create, join};
use common::{ALICE, BOB, Client, PATIENCE, chat};
use klatsch_cluster::node_id::NodeId;
use tokio::time::{sleep, timeout};

/// Alice with a session in a room of the first node, where Bob is too, and that the second could
/// go on with; they hear each other no longer.
async fn behind_a_cut(cluster: &Cluster) -> (Client, String, Client) {
    cluster.node(1).befriend().await;
    let bob = cluster.node(1).online(BOB, "b").await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    let id = alice.enable_sm().await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    let handled = handled(&alice).await;
    cluster.knows_record(2, ALICE, &id, handled).await;
    cluster.know_insiders(&[1, 2], ROOM, 2).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    (alice, id, bob)
}

#[tokio::test]
async fn a_node_behind_a_cut_lets_a_session_go_that_goes_on_without_it() {
    let cluster = Cluster::of(2).await;
    let (alice, id, bob) = behind_a_cut(&cluster).await;
    alice.lose();
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    bob.expect_each(&["from='alice@example.org/a'", "/ann'"], "unavailable")
        .await;
    again.close();
    cluster.node(2).gone(ALICE).await;
    cluster.hub.heal();
    cluster.know_insiders(&[1, 2], ROOM, 1).await;
}

#[tokio::test]
async fn a_client_that_crosses_a_cut_is_told_all_that_it_was_told_before() {
    let cluster = Cluster::of(2).await;
    let (alice, id, bob) = behind_a_cut(&cluster).await;
    alice.send(&chat(BOB, "acknowledged")).await;
    bob.expect("<body>acknowledged</body>").await;
    let told = handled(&alice).await;
    alice.lose();
    let (again, h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    assert_eq!(h, told);
    again.send(&chat(BOB, "on the other side")).await;
    assert_eq!(handled(&again).await, told + 1);
    again.lose();
    // There it is not known any more, instead of known less of.
    assert!(cluster.node(1).resume(ALICE, &id, 0).await.is_none());
}

#[tokio::test]
async fn a_client_that_crosses_back_as_the_cut_ends_finds_its_session() {
    let cluster = Cluster::of(2).await;
    let (alice, id, _bob) = behind_a_cut(&cluster).await;
    alice.lose();
    let (again, h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    again.lose();
    // Nothing that is shown has crossed the cut yet.
    let heals = async { cluster.hub.heal() };
    let (back, ()) = tokio::join!(cluster.node(1).resume(ALICE, &id, 0), heals);
    assert_eq!(back.unwrap().1, h);
}

#[tokio::test]
async fn a_session_that_its_node_cannot_give_away_goes_on_and_is_let_go_when_it_can() {
    let cluster = Cluster::of(2).await;
    let (alice, id, bob) = behind_a_cut(&cluster).await;
    cluster.hub.heal();
    // Its node hears nothing, and has not noticed that.
    cluster.hub.silence(NodeId(1));
    alice.lose();
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    again.close();
    let there = &cluster.node(2).sessions().world().directory;
    eventually(|| there.slot(&again.jid).is_none()).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    bob.expect_each(&["from='alice@example.org/a'", "/ann'"], "unavailable")
        .await;
}

/// Says something that is handled, and waits until a node knows of that.
async fn go_on(cluster: &Cluster, client: &Client, id: &str, number: u16, handled: u32) {
    client.send("<presence/>").await;
    client.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    let account = client.jid.bare();
    cluster
        .knows_record(number, account.as_str(), id, handled)
        .await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_a_node_might_not_know_which_goes_on_with_the_session() {
    let cluster = Cluster::of(3).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    cluster.knows_record(3, ALICE, &id, told).await;
    cluster.hub.silence(NodeId(3));
    // What is shown is shown in turns, and this takes some of them.
    for further in 1..=5 {
        go_on(&cluster, &alice, &id, 2, told + further).await;
    }
    let heard = alice.sync().await;
    assert!(!heard.iter().any(|it| it.contains("<a ")), "{heard:?}");
    cluster.hub.end_silence(NodeId(3));
    let answer = alice.expect("<a ").await;
    assert!(answer.contains(&format!("h='{}'", told + 5)), "{answer}");
}

#[tokio::test]
async fn a_client_that_comes_back_is_told_no_more_than_others_know() {
    let cluster = Cluster::of(3).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    let bob = cluster.node(1).online(BOB, "b").await;
    let his = bob.enable_sm().await;
    let begun = handled(&bob).await;
    cluster.knows_record(3, ALICE, &id, told).await;
    cluster.hub.silence(NodeId(3));
    go_on(&cluster, &alice, &id, 2, told + 1).await;
    alice.lose();
    let resuming = cluster.node(1).resume(ALICE, &id, 0);
    let mut resuming = std::pin::pin!(resuming);
    // What is shown is shown in turns, and this takes some of them.
    let waiting = async {
        for further in 1..=4 {
            go_on(&cluster, &bob, &his, 2, begun + further).await;
        }
    };
    tokio::select! {
        _ = &mut resuming => panic!("it was told what node 3 does not know"),
        () = waiting => {}
    }
    cluster.hub.cut(NodeId(1), NodeId(3));
    let (_again, h) = resuming.await.unwrap();
    assert_eq!(h, told + 1);
}

/// Rooms enough to have shards before and behind those of their occupants.
const ROOMS: usize = 24;

/// Enters a room, which is made with the default configuration if it is not there.
async fn enter(client: &Client, room: &str, nick: &str) {
    client
        .send(&format!(
            "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    let entered = client.expect_all(&[room, "code='110'"]).await;
    if entered.contains("code='201'") {
        client
            .send(&format!(
                "<iq type='set' id='form' to='{room}'>\
                 <query xmlns='http://jabber.org/protocol/muc#owner'>\
                 <x xmlns='jabber:x:data' type='submit'/></query></iq>"
            ))
            .await;
        client.expect_all(&["id='form'", "type='result'"]).await;
    }
}

/// Waits until a client sees a nick in all of these rooms, or in none.
async fn sees(client: &Client, rooms: &[String], nick: &str, is_there: bool) {
    let mut wrong: BTreeSet<&String> = rooms.iter().collect();
    let seeing = async {
        while !wrong.is_empty() {
            for heard in client.sync().await {
                let of = |room: &&String| heard.contains(&format!("from='{room}/{nick}'"));
                if let Some(room) = rooms.iter().find(of) {
                    match heard.contains("type='unavailable'") == is_there {
                        true => wrong.insert(room),
                        false => wrong.remove(room),
                    };
                }
            }
        }
    };
    timeout(PATIENCE, seeing)
        .await
        .expect("it is never seen so");
}

#[tokio::test]
async fn whoever_was_behind_a_cut_is_in_all_rooms_again_after_it() {
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2], &alice).await;
    cluster.see(&[1, 2], &bob).await;
    let rooms: Vec<String> = (0..ROOMS).map(|it| format!("r{it}@{SERVICE}")).collect();
    for room in &rooms {
        enter(&alice, room, "ann").await;
        enter(&bob, room, "bo").await;
        cluster.know_insiders(&[1, 2], room, 2).await;
    }
    cluster.hub.cut(NodeId(1), NodeId(2));
    sees(&alice, &rooms, "bo", false).await;
    sees(&bob, &rooms, "ann", false).await;
    cluster.hub.heal();
    sees(&alice, &rooms, "bo", true).await;
    sees(&bob, &rooms, "ann", true).await;
}

#[tokio::test]
async fn whoever_began_anew_behind_a_cut_sees_after_it_who_came_on_the_other_side() {
    let cluster = Cluster::of(2).await;
    let home = cluster.home(ROOM);
    let (here, there) = (cluster.node(home), cluster.node(3 - home));
    let alice = here.online(ALICE, "a").await;
    create(&alice, "ann").await;
    cluster.see(&[1, 2], &alice).await;
    cluster.know_insiders(&[1, 2], ROOM, 1).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    let again = there.online(ALICE, "a").await;
    join(&again, "ann").await;
    let bob = here.online(BOB, "b").await;
    join(&bob, "bo").await;
    // What was said shortly before the end of a cut is said again anyway.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(15)).await;
    tokio::time::resume();
    cluster.hub.heal();
    again.expect_all(&["<presence", "/bo"]).await;
}

/// Alice on the second and on the third node, and Bob with a session on the second that his client
/// has taken across a cut to the first. They are friends.
async fn friend_across_a_cut(cluster: &Cluster) -> ([Client; 2], Client) {
    cluster.node(2).befriend().await;
    let near = cluster.node(2).online(ALICE, "near").await;
    let far = cluster.node(3).online(ALICE, "far").await;
    cluster.see(&[1, 2, 3], &far).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    let id = bob.enable_sm().await;
    let handled = handled(&bob).await;
    cluster.knows_record(1, BOB, &id, handled).await;
    cluster.see(&[1, 2, 3], &bob).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    cluster.hub.cut(NodeId(1), NodeId(3));
    // What is looked at once more after logins and cuts is not to help here.
    sleep(Duration::from_secs(30)).await;
    bob.lose();
    let (again, _h) = cluster.node(1).resume(BOB, &id, 0).await.unwrap();
    ([near, far], again)
}

/// Waits until a client was last told this of Bob, and of nothing else for a while.
async fn comes_to_see(client: &Client, text: &str) {
    let mut last = String::new();
    let seeing = async {
        while !last.contains(text) {
            sleep(Duration::from_secs(1)).await;
            let heard = client.sync().await.into_iter();
            let of_him =
                |it: &String| it.starts_with("<presence") && it.contains(&format!("{BOB}/b'"));
            if let Some(heard) = heard.rev().find(of_him) {
                last = heard;
            }
        }
    };
    let seen = timeout(PATIENCE, seeing).await;
    seen.unwrap_or_else(|_| panic!("{} does not see {text} but {last:?}", client.jid));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_crossed_a_cut_is_gone_behind_it_and_back_after_it() {
    let cluster = Cluster::of(3).await;
    let (viewers, again) = friend_across_a_cut(&cluster).await;
    for viewer in &viewers {
        comes_to_see(viewer, "unavailable").await;
    }
    again.send("<presence><show>away</show></presence>").await;
    again.sync().await;
    cluster.hub.heal();
    for viewer in &viewers {
        comes_to_see(viewer, "<show>away</show>").await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_crossed_a_cut_and_gone_there_is_gone_after_it() {
    let cluster = Cluster::of(3).await;
    let (viewers, again) = friend_across_a_cut(&cluster).await;
    again.close();
    cluster.node(1).gone(BOB).await;
    sleep(Duration::from_secs(30)).await;
    cluster.hub.heal();
    for viewer in &viewers {
        comes_to_see(viewer, "unavailable").await;
    }
}
