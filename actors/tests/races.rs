//! What one node says too late, and what it cannot find out in time: nobody is left with what was
//! true before.
//!
//! Time passes only when nothing else can happen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, eventually, handled};
use common::room::{ROOM, create, entry, join, say};
use common::{ALICE, BOB, Client, Scene, chat};
use klatsch_actors::directory::{Place, Wire};
use klatsch_actors::mail::{Address, Mail};
use klatsch_actors::peers::envelope::{Envelope, Question};
use klatsch_actors::session::{Departing, Heir, Left, SessionMsg};
use klatsch_cluster::codec;
use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::placement;
use klatsch_protocol::jid::Jid;
use klatsch_protocol::stanza::{
    Head, Presence, PresenceKind, Stanza, StreamCondition, StreamError,
};
use klatsch_store::Reached;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Alice on the first node and Bob on the second, who see each other.
async fn friends(cluster: &Cluster) -> (Client, Client) {
    cluster.node(1).befriend().await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let bob = cluster.node(2).online(BOB, "b").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    cluster.see(&[1, 2], &alice).await;
    cluster.see(&[1, 2], &bob).await;
    // What is shown once more after logins is not to help here.
    sleep(Duration::from_secs(30)).await;
    bob.sync().await;
    (alice, bob)
}

/// Has a session be one that these nodes could go on with; answers the id of its resumption, and
/// what has been handled.
async fn resumable(cluster: &Cluster, client: &Client, nodes: &[u16]) -> (String, u32) {
    let id = client.enable_sm().await;
    let told = handled(client).await;
    let account = client.jid.bare();
    for node in nodes {
        let account = account.as_str();
        cluster.knows_record(*node, account, &id, told).await;
    }
    (id, told)
}

/// What a node says of a session whose client has gone.
fn goes(from: &Client, to: &str) -> Stanza {
    let head = Head {
        from: Some(from.jid.clone().into()),
        to: Some(Jid::parse(to).unwrap()),
        ..Head::default()
    };
    let kind = PresenceKind::Unavailable;
    Presence {
        head,
        kind,
        ..Presence::default()
    }
    .into()
}

/// A stanza as another node brings it.
fn mail(to: Address, stanza: Stanza, is_from_here: bool) -> Vec<u8> {
    let mail = Envelope::Mail {
        to,
        mail: Box::new(Mail::Deliver(stanza)),
        is_from_here,
    };
    codec::encode(&mail).unwrap()
}

/// What a node says when a session of its own sends a stanza to a room.
fn asks_room(stanza: Stanza) -> Vec<u8> {
    let question = Question::Room {
        stanza: Box::new(stanza),
        occupancy: None,
        counted: None,
        is_from_here: false,
    };
    codec::encode(&Envelope::Ask(1, Box::new(question))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_status_is_told_by_whoever_could_not_look_up_whom_it_is_for() {
    let cluster = Cluster::of(2).await;
    let (alice, bob) = friends(&cluster).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    bob.expect_all(&["unavailable", "alice@example.org/a"])
        .await;
    alice
        .send("<presence><status>behind the cut</status></presence>")
        .await;
    alice.sync().await;
    cluster.node(2).reach.set(Reached::NotAtAll);
    cluster.hub.heal();
    sleep(Duration::from_secs(30)).await;
    bob.hears_nothing_of("behind the cut").await;
    cluster.node(2).reach.set(Reached::AtOnce);
    bob.expect_all(&["alice@example.org/a", "behind the cut"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_from_behind_a_cut_is_shown_who_is_there() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = friends(&cluster).await;
    let (id, _told) = resumable(&cluster, &bob, &[3]).await;
    // The third node hears both: of Alice nothing changes there.
    cluster.hub.cut(NodeId(1), NodeId(2));
    bob.expect_all(&["unavailable", "alice@example.org/a"])
        .await;
    bob.lose();
    let (back, _h) = cluster.node(3).resume(BOB, &id, 0).await.unwrap();
    back.expect_all(&["unavailable", "alice@example.org/a"])
        .await;
    let seen = back.expect("alice@example.org/a").await;
    assert!(!seen.contains("unavailable"), "{seen}");
    alice.sync().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_behind_a_cut_is_told_where_its_client_has_crossed_it() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = friends(&cluster).await;
    let (id, _told) = resumable(&cluster, &alice, &[2, 3]).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    cluster.hub.cut(NodeId(1), NodeId(3));
    alice
        .send("<presence><status>behind the cut</status></presence>")
        .await;
    alice.sync().await;
    alice.lose();
    let (alice, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    bob.expect_all(&["alice@example.org/a", "behind the cut"])
        .await;
    alice.sync().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_nobody_waits_for_any_more_goes_on_where_it_was_brought() {
    let cluster = Cluster::of(2).await;
    let (alice, _bob) = friends(&cluster).await;
    let (id, told) = resumable(&cluster, &alice, &[2]).await;
    alice.lose();
    // Its client goes away again while the session is on its way.
    let resumed = cluster.node(2).resume(ALICE, &id, 0);
    assert!(timeout(Duration::ZERO, resumed).await.is_err());
    let there = &cluster.node(2).sessions().world().directory;
    eventually(|| there.slot(&alice.jid).is_some()).await;
    let (again, h) = cluster.node(1).resume(ALICE, &id, 0).await.unwrap();
    assert_eq!(h, told);
    again.sync().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_farewell_takes_nobody_out_of_a_room_who_is_inside_from_elsewhere() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let others: Vec<u16> = (1..=3).filter(|it| *it != home).collect();
    let alice = cluster.node(others[0]).online(ALICE, "a").await;
    let bob = cluster.node(home).online(BOB, "b").await;
    create(&bob, "bo").await;
    join(&alice, "ann").await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    let farewell = goes(&alice, &format!("{ROOM}/ann"));
    cluster.say_raw(others[1], home, asks_room(farewell));
    sleep(Duration::from_secs(1)).await;
    say(&alice, "still inside").await;
    bob.expect("<body>still inside</body>").await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_crosses_from_a_half_of_a_room_that_ends_knows_who_is_inside() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let others: Vec<u16> = (1..=3).filter(|it| *it != home).collect();
    let nodes: Vec<NodeId> = others.iter().copied().map(NodeId).collect();
    let second = placement::home(ROOM.as_bytes(), &nodes).unwrap().0;
    let alice = cluster.node(6 - home - second).online(ALICE, "a").await;
    let bob = cluster.node(home).online(BOB, "b").await;
    create(&bob, "bo").await;
    join(&alice, "ann").await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    let (id, _told) = resumable(&cluster, &alice, &[home]).await;
    // What is shown once more after logins is not to help here.
    sleep(Duration::from_secs(30)).await;
    alice.sync().await;
    // Alice's node hears both: the half of the second takes Bob for gone.
    cluster.hub.cut(NodeId(home), NodeId(second));
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    alice.lose();
    let (alice, _h) = cluster.node(home).resume(ALICE, &id, 0).await.unwrap();
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    cluster.know_insiders(&[second], ROOM, 0).await;
    sleep(Duration::from_secs(30)).await;
    cluster.hub.heal();
    let back = alice.expect_all(&["<presence", "/bo"]).await;
    assert!(!back.contains("unavailable"), "{back}");
}

#[tokio::test(start_paused = true)]
async fn whoever_enters_a_room_that_slept_through_their_leaving_is_shown_to_all() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let others: Vec<u16> = (1..=3).filter(|it| *it != home).collect();
    let alice = cluster.node(others[0]).online(ALICE, "a").await;
    let bob = cluster.node(others[1]).online(BOB, "b").await;
    create(&bob, "bo").await;
    join(&alice, "ann").await;
    cluster.know_insiders(&[1, 2, 3], ROOM, 2).await;
    cluster.hub.pause(NodeId(home));
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/bo'/>"))
        .await;
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    bob.sync().await;
    // That node is late to hear what has changed meanwhile.
    cluster.hub.silence(NodeId(others[1]));
    cluster.hub.wake(NodeId(home));
    let from = format!("<presence xmlns='jabber:client' from='{}'", bob.jid);
    let join = entry(ROOM, "bo").replace("<presence", &from);
    let join = Stanza::parse(join.as_bytes()).unwrap();
    cluster.say_raw(others[0], home, asks_room(join));
    let back = alice.expect_all(&["<presence", "/bo"]).await;
    assert!(!back.contains("unavailable"), "{back}");
}

#[tokio::test(start_paused = true)]
async fn after_a_late_farewell_contacts_are_told_who_is_there() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = friends(&cluster).await;
    let farewell = mail(Address::Session(bob.jid.clone()), goes(&alice, BOB), false);
    cluster.say_raw(3, 2, farewell);
    bob.expect_all(&["unavailable", "alice@example.org/a"])
        .await;
    let back = bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    assert!(!back.contains("unavailable"), "{back}");
}

#[tokio::test(start_paused = true)]
async fn after_a_late_farewell_a_session_sees_itself_again() {
    let cluster = Cluster::of(3).await;
    let (alice, _bob) = friends(&cluster).await;
    let farewell = mail(
        Address::Account(alice.jid.bare()),
        goes(&alice, ALICE),
        false,
    );
    cluster.say_raw(3, 1, farewell);
    alice
        .expect_all(&["unavailable", "from='alice@example.org/a'"])
        .await;
    let back = alice
        .expect_all(&["<presence", "alice@example.org/a"])
        .await;
    assert!(!back.contains("unavailable"), "{back}");
}

#[tokio::test(start_paused = true)]
async fn what_a_node_that_stood_still_says_of_a_session_elsewhere_is_corrected() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = friends(&cluster).await;
    alice
        .send("<presence><status>true</status></presence>")
        .await;
    bob.expect("<status>true</status>").await;
    sleep(Duration::from_secs(30)).await;
    cluster.hub.cut(NodeId(2), NodeId(3));
    let Stanza::Presence(late) = goes(&alice, BOB) else {
        unreachable!()
    };
    let late = Presence {
        kind: PresenceKind::Available,
        ..late
    };
    let late = mail(Address::Session(bob.jid.clone()), late.into(), true);
    cluster.say_raw(3, 2, late);
    let heard = bob.expect("alice@example.org/a").await;
    assert!(!heard.contains("<status>"), "{heard}");
    bob.expect_all(&["alice@example.org/a", "<status>true</status>"])
        .await;
    let there = cluster
        .node(2)
        .sessions()
        .world()
        .directory
        .place(&alice.jid);
    assert_eq!(there, Some(Place::There(NodeId(1))));
}

#[tokio::test(start_paused = true)]
async fn what_a_session_has_shown_last_it_sees_itself_where_it_has_gone() {
    let cluster = Cluster::of(2).await;
    let (alice, _bob) = friends(&cluster).await;
    let (id, told) = resumable(&cluster, &alice, &[2]).await;
    cluster.node(1).reach.set(Reached::Late);
    alice.send(&chat(BOB, "late")).await;
    for status in ["one", "two"] {
        let shown = format!("<presence><status>{status}</status></presence>");
        alice.send(&shown).await;
    }
    alice.lose();
    let answers = async {
        sleep(Duration::from_millis(1)).await;
        cluster.node(1).reach.set(Reached::AtOnce);
    };
    let (back, ()) = tokio::join!(cluster.node(2).resume(ALICE, &id, 0), answers);
    let (back, h) = back.unwrap();
    assert_eq!(h, told + 3);
    back.expect_all(&["from='alice@example.org/a'", "two"])
        .await;
}

/// Asks a session to leave its node, and has it.
async fn leaves(scene: &Scene, client: &Client) -> Departing {
    let directory = &scene.sessions().world().directory;
    let (heir, departing) = oneshot::channel();
    let heir = Heir {
        node: None,
        session: heir,
    };
    let error = StreamError::new(StreamCondition::SystemShutdown);
    let slot = directory.slot(&client.jid).unwrap();
    directory
        .slots
        .send(slot, SessionMsg::HandOver(error, heir));
    *departing.await.unwrap()
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_while_it_leaves_does_not_stay_for_want_of_an_heir() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    alice.enable_sm().await;
    alice.send(&chat(BOB, "handled")).await;
    alice.sync().await;
    let departing = leaves(&scene, &alice).await;
    let slots = &scene.sessions().world().directory.slots;
    slots.send(departing.slot, SessionMsg::Superseded);
    slots.send(departing.slot, SessionMsg::Left(Left::Nowhere));
    scene.gone(ALICE).await;
}

#[tokio::test]
async fn whoever_takes_the_name_of_a_session_that_cannot_leave_is_not_seen_to_go() {
    let scene = Scene::new(Wire::Direct).await;
    scene.befriend().await;
    let bob = scene.online(BOB, "b").await;
    let alice = scene.online(ALICE, "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    alice.enable_sm().await;
    let departing = leaves(&scene, &alice).await;
    let again = scene.online(ALICE, "a").await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    let slots = &scene.sessions().world().directory.slots;
    slots.send(departing.slot, SessionMsg::Left(Left::Nowhere));
    eventually(|| slots.get(departing.slot).is_none()).await;
    again.sync().await;
    bob.hears_nothing_of("unavailable").await;
}

#[tokio::test]
async fn a_session_that_nobody_takes_stays_for_its_client() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    let departing = leaves(&scene, &alice).await;
    let slots = &scene.sessions().world().directory.slots;
    slots.send(departing.slot, SessionMsg::Left(Left::Nowhere));
    let (_again, h) = scene.resume(ALICE, &id, 0).await.unwrap();
    assert_eq!(h, told);
}
