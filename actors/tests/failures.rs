//! Actors that fail (experiment 17): whatever was acknowledged stands in the logs, everybody
//! goes on, and failures without end stop the node instead of hiding themselves.
//!
//! A session fails by a panic, through a connection that panics; the actors above it are
//! killed, which their supervisor cannot tell from a panic.

mod common;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::cluster::{Cluster, eventually};
use common::room::{ROOM, create, entry};
use common::{ALICE, BOB, Client, Scene, bare, chat};
use klatsch_actors::directory::Wire;
use klatsch_actors::session::{Peer, Pressure, Sink};
use klatsch_actors::sessions::SessionHandle;
use klatsch_actors::supervisor::BUDGET;
use klatsch_protocol::stanza::{Stanza, StreamError};
use klatsch_protocol::xml::Element;
use tokio::time::timeout;

/// Longer than anything waits for a log writer that is gone.
const LONG: Duration = Duration::from_secs(300);

/// A connection in which a defect waits for a word, and which remembers by what its session is
/// resumed.
#[derive(Default)]
struct Fragile(OnceLock<String>);

impl Sink for Fragile {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        let text = stanza.to_bytes();
        assert!(
            !String::from_utf8_lossy(&text).contains("boom"),
            "a defect, as wanted"
        );
        Pressure::Free
    }

    fn nonza(&self, nonza: &Element) -> Pressure {
        if let Some(id) = nonza.get("id") {
            let _ = self.0.set(id.to_owned());
        }
        Pressure::Free
    }

    fn close(&self, _: Option<StreamError>) {}

    fn queued(&self) -> usize {
        0
    }
}

/// Bob over such a connection, available.
async fn fragile(scene: &Scene) -> (SessionHandle, Arc<Fragile>) {
    let peer = Peer {
        address: [127, 0, 0, 1].into(),
        is_secure: true,
        proved: std::time::Instant::now(),
    };
    let fragile = Arc::new(Fragile::default());
    let sink: Arc<dyn Sink> = fragile.clone();
    let bound = scene
        .sessions()
        .bind(bare(BOB), Some("b".into()), sink, peer)
        .await;
    let (_, session) = bound.expect("it is bound");
    session.start();
    sends(&session, "<presence xmlns='jabber:client'/>").await;
    (session, fragile)
}

async fn sends(session: &SessionHandle, xml: &str) {
    let limits = klatsch_protocol::xml::Limits::AFTER_LOGIN;
    let fragment = klatsch_protocol::xml::parse_fragment(xml.as_bytes(), &limits);
    let fragment = fragment.expect("it is XML");
    assert!(session.inbound(fragment).await);
}

#[tokio::test]
async fn a_session_that_panics_loses_no_message_and_its_contacts_are_told() {
    let scene = Scene::new(Wire::Direct).await;
    scene.befriend().await;
    let alice = scene.online(ALICE, "a").await;
    alice.enable_sm().await;
    let (_bob, _) = fragile(&scene).await;
    alice.expect("from='bob@example.org/b'").await;
    alice.send(&chat(BOB, "boom")).await;
    alice.send(&chat(BOB, "after")).await;
    alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    alice.expect("h='2'").await;
    alice
        .expect_all(&["from='bob@example.org/b'", "type='unavailable'"])
        .await;
    scene.gone(BOB).await;
    assert_eq!(scene.log(BOB).await.len(), 2);
    let bob = scene.online(BOB, "b").await;
    bob.expect("<body>boom</body>").await;
    bob.expect("<body>after</body>").await;
    assert!(
        !*scene.node.failure().borrow(),
        "sessions are no reason to end"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_on_with_a_session_that_panics_and_no_room_has_it_inside() {
    let cluster = Cluster::of(2).await;
    let home = cluster.home(ROOM);
    let alice = cluster.node(home).online(ALICE, "a").await;
    create(&alice, "ann").await;
    let (bob, connection) = fragile(cluster.node(3 - home)).await;
    sends(&bob, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enters = entry(ROOM, "bo").replace("<presence", "<presence xmlns='jabber:client'");
    sends(&bob, &enters).await;
    alice.expect_all(&["<presence", "/bo"]).await;
    cluster.know_insiders(&[1, 2], ROOM, 2).await;
    let id = connection.0.get().unwrap();
    let there = &cluster.node(home).sessions().world().directory;
    let replica = there.peers().unwrap().replica().unwrap();
    eventually(|| replica.handled(&bare(BOB), id).is_some()).await;
    alice.send(&chat(BOB, "boom")).await;
    alice.expect_all(&["<presence", "/bo", "unavailable"]).await;
    cluster.know_insiders(&[1, 2], ROOM, 1).await;
    eventually(|| replica.handled(&bare(BOB), id).is_none()).await;
    let resumed = cluster.node(home).resume(BOB, id, 0).await;
    assert!(resumed.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_log_writer_that_dies_loses_nothing_acknowledged_and_doubles_nothing() {
    for killed_after in 0..10 {
        let scene = Scene::new(Wire::Direct).await;
        let alice = scene.online(ALICE, "a").await;
        alice.enable_sm().await;
        for n in 0..20 {
            if n == killed_after * 2 {
                scene.sessions().world().log_writer().kill();
            }
            alice.send(&chat(BOB, &n.to_string())).await;
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
        }
        replay_until_acknowledged(&scene, alice).await;
        let log = scene.log(BOB).await;
        for n in 0..20 {
            let body = format!("<body>{n}</body>");
            let times = log.iter().filter(|entry| entry.contains(&body)).count();
            assert_eq!(times, 1, "{n}, killed after {killed_after}: {log:?}");
        }
        assert_eq!(log, scene.log(ALICE).await);
        scene.node.stop(Duration::from_secs(5)).await;
    }
}

/// Does what a client does: what is not acknowledged, or refused for now, is sent again.
async fn replay_until_acknowledged(scene: &Scene, mut client: Client) {
    for again in 0..10 {
        client.send("<r xmlns='urn:xmpp:sm:3'/>").await;
        let mut is_refused = false;
        let acknowledged = loop {
            let line = timeout(LONG, client.expect_unless_closed("<")).await;
            match line.expect("an acknowledgement or the end comes") {
                Some(line) if line.contains("type='error'") => is_refused = true,
                Some(line) if line.starts_with("<a ") => break true,
                Some(_) => {}
                None => break false,
            }
        };
        if acknowledged && !is_refused {
            return;
        }
        client.close();
        scene.gone(ALICE).await;
        client = scene.online(ALICE, &format!("again{again}")).await;
        client.enable_sm().await;
        for n in 0..20 {
            client.send(&chat(BOB, &n.to_string())).await;
        }
    }
    panic!("the messages are never taken");
}

#[tokio::test]
async fn a_presence_shard_that_dies_forgets_nobody() {
    let scene = Scene::new(Wire::Direct).await;
    scene.befriend().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice.expect("from='bob@example.org/b'").await;
    for n in 0..2 {
        for account in [ALICE, BOB] {
            let shard = scene.sessions().world().shard(account);
            shard.kill();
            let is_new = || scene.sessions().world().shard(account).get_id() != shard.get_id();
            let restarted = async {
                while !is_new() {
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_secs(10), restarted).await.unwrap();
        }
        alice.send(&chat(BOB, &n.to_string())).await;
        bob.expect(&format!("<body>{n}</body>")).await;
        bob.send(&format!("<presence><status>s{n}</status></presence>"))
            .await;
        alice.expect(&format!("<status>s{n}</status>")).await;
    }
    let desk = scene.online(ALICE, "desk").await;
    desk.expect("from='bob@example.org/b'").await;
    bob.lose();
    alice
        .expect_all(&["from='bob@example.org/b'", "type='unavailable'"])
        .await;
}

#[tokio::test]
async fn failures_beyond_the_budget_end_the_node() {
    let scene = Scene::new(Wire::Direct).await;
    let mut failure = scene.node.failure();
    for _ in 0..=BUDGET {
        assert!(!*failure.borrow());
        let writer = scene.sessions().world().log_writer();
        writer.kill();
        let gone = async {
            while scene.sessions().world().log_writer().get_id() == writer.get_id()
                && !*scene.node.failure().borrow()
            {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.unwrap();
    }
    let ended = failure.wait_for(|failed| *failed);
    timeout(Duration::from_secs(10), ended)
        .await
        .unwrap()
        .unwrap();
}
