//! Sessions that several nodes may have at the same moment, or none: clients that cross cuts, claims
//! that are late, and a store that does not say what it has done. Of each session one goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, eventually, handled};
use common::room::{ROOM, configure, create, entry, join, say};
use common::{ALICE, BOB, Client, bare};
use klatsch_actors::session::{SessionMsg, Successor, Waiting};
use klatsch_actors::world::now;
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;
use klatsch_protocol::stanza::StreamCondition;
use klatsch_store::{Claim, Reached};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Alice on a node with a session that others could go on with; answers the id it is resumed by.
async fn resumable(
    cluster: &Cluster,
    node: u16,
    others: &[u16],
    resource: &str,
) -> (Client, String) {
    let alice = cluster.node(node).online(ALICE, resource).await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    for other in others {
        cluster.knows_record(*other, ALICE, &id, told).await;
    }
    cluster.see(others, &alice).await;
    (alice, id)
}

/// Whether a node has a client's session.
fn has(cluster: &Cluster, node: u16, client: &Client) -> bool {
    let directory = &cluster.node(node).sessions().world().directory;
    directory.slot(&client.jid).is_some()
}

#[tokio::test(start_paused = true)]
async fn devices_of_an_account_that_cross_a_cut_to_different_nodes_find_each_its_session() {
    let cluster = Cluster::of(3).await;
    let (phone, phones) = resumable(&cluster, 1, &[2, 3], "phone").await;
    let (desk, desks) = resumable(&cluster, 1, &[2, 3], "desk").await;
    for (one, other) in [(1, 2), (1, 3), (2, 3)] {
        cluster.hub.cut(NodeId(one), NodeId(other));
    }
    phone.lose();
    desk.lose();
    let (phone, desk) = tokio::join!(
        cluster.node(2).resume(ALICE, &phones, 0),
        cluster.node(3).resume(ALICE, &desks, 0)
    );
    assert_eq!(phone.unwrap().0.jid.resource(), "phone");
    assert_eq!(desk.unwrap().0.jid.resource(), "desk");
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_looked_at_though_no_node_is_missing() {
    let cluster = Cluster::of(2).await;
    let (alice, id) = resumable(&cluster, 1, &[2], "a").await;
    // So long it is looked for claims after nodes have come.
    sleep(Duration::from_secs(30)).await;
    let claim = Claim {
        node: 1,
        session: alice.jid.clone(),
        previd: id.clone(),
    };
    cluster.store.claim_session(&claim, now()).await.unwrap();
    sleep(Duration::from_secs(12)).await;
    assert_eq!(cluster.store.claims_on(1, now()).await.unwrap(), []);
    assert!(!has(&cluster, 1, &alice));
    assert!(cluster.node(2).resume(ALICE, &id, 0).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_claim_made_before_a_session_came_back_ends_nothing() {
    let cluster = Cluster::of(2).await;
    let (alice, id) = resumable(&cluster, 1, &[2], "a").await;
    // It is not looked for claims every second any more, and not within the next five.
    sleep(Duration::from_secs(31)).await;
    cluster.hub.silence(NodeId(1));
    alice.lose();
    let (there, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    let open = cluster.store.claims_on(1, now()).await.unwrap();
    assert_eq!(open.len(), 1, "nobody has looked at it");
    there.lose();
    cluster.hub.end_silence(NodeId(1));
    eventually(|| !has(&cluster, 1, &alice)).await;
    let (back, _h) = cluster.node(1).resume(ALICE, &id, 0).await.unwrap();
    cluster.hub.cut(NodeId(1), NodeId(2));
    sleep(Duration::from_secs(3)).await;
    assert!(has(&cluster, 1, &back));
    back.sync().await;
}

#[tokio::test(start_paused = true)]
async fn what_may_stand_in_the_store_does_not_go_on_before_that_is_known() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let (here, there) = (home % 3 + 1, (home + 1) % 3 + 1);
    let (alice, id) = resumable(&cluster, here, &[there], "a").await;
    cluster.hub.cut(NodeId(here), NodeId(there));
    // Until the room has answered she cannot leave, though her session is asked for.
    cluster.hub.silence(NodeId(home));
    alice.send(&entry(ROOM, "ann")).await;
    alice.lose();
    let crossing = cluster.node(there).resume(ALICE, &id, 0);
    let meanwhile = async {
        sleep(Duration::from_millis(1050)).await;
        cluster.node(here).reach.set(Reached::NoAnswer);
        cluster.hub.end_silence(NodeId(home));
    };
    let (crossed, ()) = tokio::join!(crossing, meanwhile);
    let (again, _h) = crossed.unwrap();
    cluster.node(here).reach.set(Reached::AtOnce);
    eventually(|| !has(&cluster, here, &alice)).await;
    again.sync().await;
}

/// To which of the others the first of three nodes gives a client's session first, and then.
fn heirs_of(client: &Client) -> [u16; 2] {
    let nodes = [NodeId(2), NodeId(3)];
    let heir = placement::home(client.jid.as_str().as_bytes(), &nodes).unwrap();
    [heir.0, 5 - heir.0]
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_answer_is_lost_has_the_session_that_it_was_given() {
    let cluster = Cluster::of(3).await;
    cluster.node(2).befriend().await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &bob).await;
    let (alice, _id) = resumable(&cluster, 1, &[2, 3], "a").await;
    let [heir, other] = heirs_of(&alice);
    cluster.node(heir).reach.set(Reached::Late);
    cluster.hub.leave(NodeId(1));
    let giving = cluster.node(1).sessions().hand_over_all();
    let losing = async {
        sleep(Duration::from_millis(100)).await;
        cluster.hub.silence(NodeId(heir));
        cluster.node(heir).reach.set(Reached::AtOnce);
        eventually(|| has(&cluster, heir, &alice)).await;
        sleep(Duration::from_millis(100)).await;
        cluster.hub.end_silence(NodeId(heir));
    };
    tokio::join!(giving, losing);
    sleep(Duration::from_secs(1)).await;
    let having = [1, heir, other].map(|node| has(&cluster, node, &alice));
    assert_eq!(having, [false, true, false]);
    bob.hears_nothing_of("unavailable").await;
}

/// Alice's session, which has left the first node for the second, where it has not arrived: the
/// answer was lost.
async fn lost_on_its_way(cluster: &Cluster) -> (Client, String) {
    let (alice, id) = resumable(cluster, 1, &[2, 3], "a").await;
    cluster.hub.begin_start(NodeId(2));
    alice.lose();
    (alice, id)
}

/// It has left, and the second node finds out that it has missed something.
async fn is_missed(cluster: &Cluster, alice: &Client) {
    eventually(|| !has(cluster, 1, alice)).await;
    cluster.hub.end_start(NodeId(2));
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_node_has_sent_it_in_vain_is_had_by_asking_again() {
    let cluster = Cluster::of(3).await;
    let (alice, id) = lost_on_its_way(&cluster).await;
    let resuming = cluster.node(2).resume(ALICE, &id, 0);
    let (resumed, ()) = tokio::join!(resuming, is_missed(&cluster, &alice));
    let (alice, _h) = resumed.unwrap();
    alice.sync().await;
    assert!(has(&cluster, 2, &alice) && !has(&cluster, 1, &alice));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_sent_in_vain_is_where_it_was_for_a_client_that_comes_back_there() {
    let cluster = Cluster::of(3).await;
    let (alice, id) = lost_on_its_way(&cluster).await;
    // Its client does not wait.
    tokio::select! {
        _ = cluster.node(2).resume(ALICE, &id, 0) => unreachable!("the answer is lost"),
        () = is_missed(&cluster, &alice) => {}
    }
    let (alice, _h) = cluster.node(1).resume(ALICE, &id, 0).await.unwrap();
    alice.sync().await;
    assert!(has(&cluster, 1, &alice) && !has(&cluster, 2, &alice));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_one_node_may_have_is_given_to_no_other() {
    let cluster = Cluster::of(3).await;
    let (alice, id) = resumable(&cluster, 1, &[2, 3], "a").await;
    let [heir, other] = heirs_of(&alice);
    cluster.node(heir).reach.set(Reached::Late);
    cluster.hub.leave(NodeId(1));
    alice.lose();
    let resuming = async {
        sleep(Duration::from_millis(100)).await;
        cluster.node(other).resume(ALICE, &id, 0).await
    };
    let meanwhile = async {
        sleep(Duration::from_secs(2)).await;
        cluster.node(heir).reach.set(Reached::AtOnce);
    };
    let giving = cluster.node(1).sessions().hand_over_all();
    let (resumed, (), ()) = tokio::join!(resuming, meanwhile, giving);
    let (again, _h) = resumed.unwrap();
    sleep(Duration::from_secs(5)).await;
    again.sync().await;
    assert!(has(&cluster, other, &again) && !has(&cluster, heir, &again));
}

/// Alice on the second node and Bob on the first, friends and in a room; answers also what the id is
/// that her session is resumed by.
async fn together(cluster: &Cluster) -> (Client, String, Client) {
    cluster.node(1).befriend().await;
    let bob = cluster.node(1).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &bob).await;
    let (alice, id) = resumable(cluster, 2, &[1, 3], "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    create(&bob, "bo").await;
    join(&alice, "ann").await;
    bob.expect_all(&["<presence", "/ann"]).await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    (alice, id, bob)
}

#[tokio::test]
async fn a_session_that_was_given_to_two_nodes_goes_on_on_one_and_nobody_sees_it_go() {
    let cluster = Cluster::of(3).await;
    let (alice, id, bob) = together(&cluster).await;
    let session = cluster
        .node(2)
        .sessions()
        .inspect(&alice.jid)
        .await
        .unwrap();
    let waiting = Waiting {
        session: *session,
        held: Vec::new(),
    };
    assert!(cluster.node(3).sessions().take_in(waiting).await);
    let why = alice.closed().await.unwrap();
    assert_eq!(why.condition, StreamCondition::Conflict);
    let (again, _h) = cluster.node(3).resume(ALICE, &id, 0).await.unwrap();
    say(&again, "here-again").await;
    bob.expect("<body>here-again</body>").await;
    bob.hears_nothing_of("unavailable").await;
}

/// Has the session on the second node hear that one takes its name which is resumed by this id.
async fn replace(cluster: &Cluster, client: &Client, previd: &str) {
    let (ended, has_ended) = oneshot::channel();
    let successor = Successor {
        previd: Some(previd.to_owned()),
        node: Some(NodeId(3)),
        ended,
    };
    let directory = &cluster.node(2).sessions().world().directory;
    let slot = directory.slot(&client.jid).unwrap();
    assert!(directory.slots.send(slot, SessionMsg::Replace(successor)));
    has_ended.await.unwrap();
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_under_its_name_says_no_farewell() {
    let cluster = Cluster::of(3).await;
    let (alice, id, bob) = together(&cluster).await;
    replace(&cluster, &alice, &id).await;
    assert!(alice.closed().await.is_some());
    bob.hears_nothing_of("unavailable").await;
}

#[tokio::test]
async fn a_session_whose_name_another_takes_says_farewell() {
    let cluster = Cluster::of(3).await;
    let (alice, _id, bob) = together(&cluster).await;
    replace(&cluster, &alice, "another").await;
    assert!(alice.closed().await.is_some());
    bob.expect_each(&["from='alice@example.org/a'", "/ann'"], "unavailable")
        .await;
}

/// Bob has left a temporary room on its node right after a cut; Alice, on another node, is inside,
/// and is not shown there yet.
async fn left_right_after_a_cut(cluster: &Cluster) -> (u16, Client) {
    let home = cluster.home(ROOM);
    let away = home % 3 + 1;
    let alice = cluster.node(away).online(ALICE, "a").await;
    let bob = cluster.node(home).online(BOB, "b").await;
    cluster.see(&[1, 2, 3], &alice).await;
    create(&alice, "ann").await;
    configure(&alice, "persistentroom", "0").await;
    join(&bob, "bo").await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    for other in (1..=3).filter(|it| *it != away) {
        cluster.hub.cut(NodeId(away), NodeId(other));
    }
    bob.expect_all(&["<presence", "/ann", "unavailable"]).await;
    cluster.hub.silence(NodeId(away));
    cluster.hub.heal();
    sleep(Duration::from_millis(10)).await;
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/bo'/>"))
        .await;
    bob.expect_all(&["<presence", "/bo", "unavailable"]).await;
    bob.sync().await;
    (away, alice)
}

#[tokio::test(start_paused = true)]
async fn a_temporary_room_is_not_ended_by_whoever_leaves_it_right_after_a_cut() {
    let cluster = Cluster::of(3).await;
    let (away, alice) = left_right_after_a_cut(&cluster).await;
    assert!(cluster.store.room(&bare(ROOM)).await.unwrap().is_some());
    cluster.hub.end_silence(NodeId(away));
    say(&alice, "still-here").await;
    alice.expect("<body>still-here</body>").await;
}

#[tokio::test(start_paused = true)]
async fn a_temporary_room_that_all_have_left_after_a_cut_is_ended_a_little_later() {
    let cluster = Cluster::of(3).await;
    let (away, alice) = left_right_after_a_cut(&cluster).await;
    cluster.hub.end_silence(NodeId(away));
    say(&alice, "still-here").await;
    alice.expect("<body>still-here</body>").await;
    alice.close();
    sleep(Duration::from_secs(70)).await;
    assert!(cluster.store.room(&bare(ROOM)).await.unwrap().is_none());
}
