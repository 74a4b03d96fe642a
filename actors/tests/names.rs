//! Names that sessions leave, take and keep on several nodes: whoever has a name is seen under it,
//! and nobody who is gone.
//!
//! Time passes only when nothing else can happen: what follows on something here is over before
//! any node has shown it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, eventually, handled};
use common::room::{ROOM, SERVICE, create, create_at, enter, join};
use common::{ALICE, BOB, Client, PATIENCE};
use klatsch_actors::directory::Place;
use klatsch_actors::presence_shard::{PresenceShardMsg, shard_of};
use klatsch_actors::session::{Heir, Left, SessionMsg};
use klatsch_actors::slot::Slot;
use klatsch_cluster::node_id::NodeId;
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

#[tokio::test(start_paused = true)]
async fn whoever_ends_elsewhere_before_they_are_shown_there_is_gone() {
    let cluster = Cluster::of(2).await;
    let (alice, id) = resumable(&cluster, &[1, 2]).await;
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    again.close();
    sleep(LATER).await;
    cluster.miss(&[1, 2], &alice).await;
}

#[tokio::test(start_paused = true)]
async fn contacts_see_whoever_is_lost_before_their_node_shows_them_go() {
    let mut cluster = Cluster::of(3).await;
    cluster.node(1).befriend().await;
    let near = cluster.node(1).online(BOB, "near").await;
    let far = cluster.node(3).online(BOB, "far").await;
    cluster.see(&[1, 2, 3], &far).await;
    let (alice, id) = resumable(&cluster, &[1, 2, 3]).await;
    far.expect_all(&["<presence", "alice@example.org/a"]).await;
    cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    cluster.kill(2);
    sleep(LATER).await;
    cluster.miss(&[1, 3], &alice).await;
    for bob in [near, far] {
        bob.expect_all(&["alice@example.org/a", "unavailable"])
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_given_to_another_node_stays_seen_there() {
    let cluster = Cluster::of(2).await;
    cluster.node(1).befriend().await;
    let bob = cluster.node(2).online(BOB, "b").await;
    let (alice, _id) = resumable(&cluster, &[1, 2]).await;
    cluster.hub.leave(NodeId(1));
    cluster.node(1).sessions().hand_over_all().await;
    sleep(LATER).await;
    cluster.see(&[1, 2], &alice).await;
    bob.hears_nothing_of("unavailable").await;
}

/// Which of sixteen turns it is in which readers hear of what was lost of an address.
fn turn_of(address: &str) -> u16 {
    shard_of(address) / 16
}

/// A room of the second node that satisfies this.
fn room_where(cluster: &Cluster, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut rooms = (0..).map(|number| format!("r{number}@{SERVICE}"));
    let room = rooms.find(|room| cluster.home(room) == 2 && is_wanted(room));
    room.expect("there are many")
}

/// A session goes on elsewhere so many turns after that in which its account's part is known to be
/// lost with its node. One of its two rooms has its turn before the account, one after it.
async fn goes_on_whole_after(turns: f64) {
    let mut cluster = Cluster::of(2).await;
    let its = turn_of(ALICE);
    let early = room_where(&cluster, |room| turn_of(room) < its);
    let late = room_where(&cluster, |room| turn_of(room) > its);
    let (alice, id) = resumable(&cluster, &[1, 2]).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    for room in [&early, &late] {
        create_at(&alice, room, "ann").await;
        enter(&bob, room, "bo").await;
        cluster.know_insiders(&[1, 2], room, 2).await;
    }
    cluster
        .knows_record(2, ALICE, &id, handled(&alice).await)
        .await;
    cluster.kill(1);
    let replication = &cluster.node(2).sessions().world().settings.replication;
    let turn = replication.spread.div_f64(16.0);
    sleep(replication.coalesce + turn.mul_f64(f64::from(its) + turns)).await;
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    let session = cluster
        .node(2)
        .sessions()
        .inspect(&again.jid)
        .await
        .unwrap();
    assert!(session.facts.presence.is_some());
    let rooms: Vec<&str> = session.rooms.keys().map(|room| room.as_str()).collect();
    assert_eq!(rooms.len(), 2, "{rooms:?} of {early} and {late}");
    sleep(LATER).await;
    for room in [&early, &late] {
        cluster.know_insiders(&[2], room, 2).await;
    }
    cluster.see(&[2], &again).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_whole_while_its_node_is_being_forgotten() {
    for turns in [-0.5, 0.5] {
        goes_on_whole_after(turns).await;
    }
}

/// The first node has put Alice's session away and is gone; the second is there, and Alice has
/// begun another session on it under the same name. Answers the id of the first.
async fn begun_elsewhere() -> (Cluster, Client, String) {
    let mut before = Cluster::of(1).await;
    let alice = before.node(1).online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    before.nodes.remove(0).node.stop(PATIENCE).await;
    let cluster = Cluster::on(before.store.clone(), [2]).await;
    let again = cluster.nodes[0].online(ALICE, "a").await;
    (cluster, again, id)
}

#[tokio::test(start_paused = true)]
async fn what_a_node_takes_up_gives_way_to_what_its_client_has_begun_elsewhere() {
    let (mut cluster, again, _id) = begun_elsewhere().await;
    // It knows nothing of the other node yet.
    cluster.add(1).await;
    sleep(LATER).await;
    let directory = &cluster.nodes[1].sessions().world().directory;
    assert_eq!(directory.place(&again.jid), Some(Place::There(NodeId(2))));
    again.sync().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_for_a_session_that_was_put_away_gets_it_whoever_has_its_name() {
    let (cluster, again, id) = begun_elsewhere().await;
    let resumed = cluster.nodes[0].resume(ALICE, &id, 0).await;
    assert_eq!(resumed.unwrap().0.jid, again.jid);
    let ended = again.closed().await.unwrap();
    assert_eq!(ended.condition, StreamCondition::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_taken_up_is_as_good_as_others_once_its_client_has_come() {
    let (mut cluster, again, id) = begun_elsewhere().await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    cluster.add(1).await;
    let (resumed, _h) = cluster.nodes[1].resume(ALICE, &id, 0).await.unwrap();
    cluster.hub.heal();
    sleep(LATER).await;
    let ended = again.closed().await.unwrap();
    assert_eq!(ended.condition, StreamCondition::Conflict);
    resumed.sync().await;
    let directory = &cluster.nodes[0].sessions().world().directory;
    eventually(|| directory.place(&resumed.jid) == Some(Place::There(NodeId(1)))).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_lost_a_name_ends_no_session_that_has_begun_since() {
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let lost = PresenceShardMsg::Lost {
        jid: alice.jid.clone(),
        since: 1,
    };
    let world = cluster.node(1).sessions().world();
    world.shard(ALICE).cast(lost).unwrap();
    sleep(LATER).await;
    alice.sync().await;
}

/// What a client was told last of Alice's session.
async fn last_of_alice(client: &Client) -> String {
    let heard = client.sync().await;
    let is_hers = |it: &&String| it.starts_with("<presence") && it.contains("alice@example.org/a'");
    let last = heard.iter().rev().find(is_hers);
    last.expect("there was something").clone()
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_and_comes_between_two_looks_at_a_node_is_there_and_the_other_way_round() {
    let cluster = Cluster::of(2).await;
    cluster.node(1).befriend().await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2], &bob).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    alice.close();
    cluster.node(1).gone(ALICE).await;
    let again = cluster.node(1).online(ALICE, "a").await;
    sleep(LATER).await;
    cluster.see(&[1, 2], &again).await;
    let last = last_of_alice(&bob).await;
    assert!(!last.contains("unavailable"), "{last}");
    again.close();
    cluster.miss(&[1, 2], &again).await;
    let short = cluster.node(1).online(ALICE, "a").await;
    short.close();
    sleep(LATER).await;
    cluster.miss(&[1, 2], &short).await;
    let last = last_of_alice(&bob).await;
    assert!(last.contains("unavailable"), "{last}");
}
