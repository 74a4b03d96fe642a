//! A node that is short of memory or disk (row C13, experiment 21): who is refused, who is let
//! go, and that everybody else goes on.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::client::Nowhere;
use common::{ALICE, BOB, Client, Scene, bare, chat, peer};
use klatsch_actors::directory::Wire;
use klatsch_actors::session::Detach;
use klatsch_actors::strain::{Level, Queue, Strain};
use klatsch_protocol::stanza::StreamCondition;
use tokio::time::timeout;

const KIB: usize = 1024;

async fn scene() -> (Scene, Arc<Strain>) {
    let scene = Scene::new(Wire::Direct).await;
    let strain = scene.sessions().strain();
    (scene, strain)
}

/// Waits until a queue holds as much as wanted.
async fn until(strain: &Strain, queue: Queue, fits: impl Fn(usize) -> bool) {
    let fits = async {
        while !fits(strain.queued(queue)) {
            tokio::task::yield_now().await;
        }
    };
    let held = timeout(Duration::from_secs(10), fits).await;
    held.unwrap_or_else(|_| panic!("{queue:?}: {} bytes", strain.queued(queue)));
}

#[tokio::test]
async fn c13_full_disk_refuses_messages_and_nothing_else() {
    let (scene, strain) = scene().await;
    scene.befriend().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice.send(&chat(BOB, "before")).await;
    bob.expect("<body>before</body>").await;

    strain.set_disk_is_low(true);
    alice.send(&chat(BOB, "during")).await;
    alice
        .expect_all(&["id='id-during'", "<resource-constraint", "type='wait'"])
        .await;
    alice
        .send("<presence><status>still here</status></presence>")
        .await;
    bob.expect("still here").await;
    bob.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
        .await;
    bob.expect("<body>before</body>").await;
    bob.expect_all(&["id='q'", "<fin"]).await;

    strain.set_disk_is_low(false);
    alice.send(&chat(BOB, "after")).await;
    bob.expect("<body>after</body>").await;
    assert_eq!(scene.log(BOB).await.len(), 2);
}

#[tokio::test]
async fn scarce_memory_refuses_new_sessions_and_resumes_old_ones() {
    let (scene, strain) = scene().await;
    let alice = scene.online(ALICE, "a").await;
    let previd = alice.enable_sm().await;
    alice.lose();
    strain.set_level(Level::Scarce, false);
    let bound = scene
        .sessions()
        .bind(bare(BOB), None, Arc::new(Nowhere), peer())
        .await;
    let refusal = bound.err().expect("no session is made");
    assert_eq!(refusal.condition.as_str(), "resource-constraint");
    let (alice, _) = scene.resume(ALICE, &previd, 0).await.expect("a resumption");
    alice.sync().await;
    strain.set_level(Level::Tight, false);
    scene.online(BOB, "b").await.sync().await;
}

#[tokio::test]
async fn client_that_takes_nothing_is_cut_and_others_are_not() {
    let (scene, _) = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice.clog(100 * KIB);
    bob.clog(99 * KIB);
    scene.sessions().let_go(100 * KIB);
    let error = alice.closed().await.expect("a reason");
    assert_eq!(error.condition, StreamCondition::ResourceConstraint);
    bob.sync().await;
}

/// Bytes of presence that its client has not acknowledged.
async fn burdened(scene: &Scene) -> Client {
    let alice = scene.online(ALICE, "a").await;
    alice.enable_sm().await;
    let status = "A".repeat(30 * KIB);
    for n in 0..4 {
        alice
            .send(&format!(
                "<presence to='{ALICE}/a' id='p{n}'><status>{status}</status></presence>"
            ))
            .await;
        alice.expect(&format!("id='p{n}'")).await;
    }
    alice
}

#[tokio::test]
async fn session_that_keeps_much_unacknowledged_ends_and_its_memory_comes_back() {
    let (scene, strain) = scene().await;
    let alice = burdened(&scene).await;
    until(&strain, Queue::Resume, |bytes| bytes > 120 * KIB).await;
    scene.sessions().let_go(120 * KIB);
    let error = alice.closed().await.expect("a reason");
    assert_eq!(error.condition, StreamCondition::ResourceConstraint);
    until(&strain, Queue::Resume, |bytes| bytes == 0).await;
}

#[tokio::test]
async fn what_is_acknowledged_or_dealt_with_burdens_nobody() {
    let (scene, strain) = scene().await;
    let alice = burdened(&scene).await;
    until(&strain, Queue::Resume, |bytes| bytes > 120 * KIB).await;
    alice.send("<a xmlns='urn:xmpp:sm:3' h='4'/>").await;
    until(&strain, Queue::Resume, |bytes| bytes == 0).await;
    // What is held back for a client that is away counts, too, and goes with its session.
    alice.lose();
    let bob = scene.online(BOB, "b").await;
    for n in 0..3 {
        let status = format!("<status>{n}</status>");
        bob.send(&format!(
            "<message to='{ALICE}/a' id='h{n}' type='headline'>{status}</message>"
        ))
        .await;
    }
    bob.send(&format!("<presence to='{ALICE}/a'/>")).await;
    until(&strain, Queue::Resume, |bytes| bytes > 0).await;
    alice.session.detach(Detach::Closed);
    until(&strain, Queue::Resume, |bytes| bytes == 0).await;
    until(&strain, Queue::Inbound, |bytes| bytes == 0).await;
}
