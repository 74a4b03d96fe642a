//! What the store refuses for a while (D3, D5): a client that does not know of a refusal sends
//! the message again in its next session, so nothing may stand before it in the log that was sent
//! behind it.

mod common;

use common::cluster::{Cluster, handled};
use common::room::{ROOM, create, join, words};
use common::{ALICE, BOB, CAROL, Client, Scene, chat};
use klatsch_actors::directory::Wire;

const WIRES: [Wire; 3] = [Wire::Direct, Wire::Encoded, Wire::Lossy(3)];

/// A client that counts from here on.
async fn counted(client: &Client) -> String {
    client.sync().await;
    client.enable_sm().await
}

async fn is_refused(client: &Client, id: &str) {
    let id = format!("id='{id}'");
    client
        .expect_all(&["type='error'", &id, "<resource-constraint", "type='wait'"])
        .await;
}

async fn acknowledges(client: &Client, h: u32) {
    client
        .send(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"))
        .await;
}

/// The bodies in the log of an account.
async fn bodies(scene: &Scene, account: &str) -> Vec<String> {
    let log = scene.log(account).await;
    let body = |entry: &String| {
        let (_, rest) = entry.split_once("<body>")?;
        Some(rest.split_once("</body>")?.0.to_owned())
    };
    log.iter().filter_map(body).collect()
}

#[tokio::test]
async fn d3_what_was_sent_before_a_refusal_was_known_is_refused_with_it() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let alice = scene.online(ALICE, "a").await;
        counted(&alice).await;
        scene.sessions().strain().set_disk_is_low(true);
        alice.send(&chat(BOB, "1")).await;
        is_refused(&alice, "id-1").await;
        scene.sessions().strain().set_disk_is_low(false);
        alice.send(&chat(BOB, "2")).await;
        is_refused(&alice, "id-2").await;
        alice.send(&chat(CAROL, "other")).await;
        acknowledges(&alice, 1).await;
        alice.send(&chat(BOB, "3")).await;
        is_refused(&alice, "id-3").await;
        acknowledges(&alice, 3).await;
        alice.send(&chat(BOB, "4")).await;
        alice.sync().await;
        assert_eq!(bodies(&scene, BOB).await, ["4"], "{wire:?}");
        assert_eq!(bodies(&scene, CAROL).await, ["other"], "{wire:?}");
        alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
        alice.expect_all(&["<a ", "h='6'"]).await;
    }
}

#[tokio::test]
async fn d3_what_a_lost_session_sent_comes_in_its_order_with_the_next() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    counted(&alice).await;
    scene.sessions().strain().set_disk_is_low(true);
    alice.send(&chat(BOB, "1")).await;
    is_refused(&alice, "id-1").await;
    scene.sessions().strain().set_disk_is_low(false);
    alice.send(&chat(BOB, "2")).await;
    is_refused(&alice, "id-2").await;
    // What the server has written never arrived.
    alice.close();
    scene.gone(ALICE).await;
    let alice = scene.online(ALICE, "again").await;
    for body in ["1", "2", "3"] {
        alice.send(&chat(BOB, body)).await;
    }
    alice.sync().await;
    assert_eq!(bodies(&scene, BOB).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn d3_who_has_resumed_knows_what_was_handled() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let previd = counted(&alice).await;
    scene.sessions().strain().set_disk_is_low(true);
    alice.send(&chat(BOB, "1")).await;
    is_refused(&alice, "id-1").await;
    scene.sessions().strain().set_disk_is_low(false);
    alice.lose();
    let (alice, h) = scene.resume(ALICE, &previd, 0).await.expect("resumed");
    assert_eq!(h, 1);
    alice.send(&chat(BOB, "2")).await;
    is_refused(&alice, "id-1").await;
    alice.sync().await;
    assert_eq!(bodies(&scene, BOB).await, ["2"]);
}

#[tokio::test]
async fn d3_rooms_refuse_what_was_sent_before_a_refusal_was_known() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let alice = scene.online(ALICE, "a").await;
        create(&alice, "ann").await;
        refused_in_room(&scene, &scene, &alice).await;
    }
}

#[tokio::test]
async fn d3_holds_where_the_room_is_on_another_node() {
    let cluster = Cluster::of(2).await;
    let home = cluster.home(ROOM);
    let alice = cluster.node(3 - home).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    create(&alice, "ann").await;
    refused_in_room(cluster.node(home), cluster.node(3 - home), &alice).await;
}

/// The store refuses what the room on one node keeps for a client on another.
async fn refused_in_room(home: &Scene, scene: &Scene, alice: &Client) {
    counted(alice).await;
    home.sessions().strain().set_disk_is_low(true);
    alice.send(&words("1")).await;
    is_refused(alice, "id-1").await;
    home.sessions().strain().set_disk_is_low(false);
    alice.send(&words("2")).await;
    is_refused(alice, "id-2").await;
    alice.send(&chat(BOB, "other")).await;
    acknowledges(alice, 2).await;
    alice.send(&words("3")).await;
    alice.expect("<body>3</body>").await;
    alice.sync().await;
    assert_eq!(bodies(scene, BOB).await, ["other"]);
    let room = common::bare(ROOM);
    let log = scene.store.room_entries(&room, 0, 250).await;
    let log = log.expect("the room has a log");
    assert_eq!(log.len(), 1, "{log:?}");
}

#[tokio::test]
async fn d3_holds_for_private_messages() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.expect("<subject").await;
    counted(&bob).await;
    let private = |body: &str| {
        format!(
            "<message type='chat' to='{ROOM}/ann' id='id-{body}'><body>{body}</body>\
             <origin-id xmlns='urn:xmpp:sid:0' id='o-{body}'/></message>"
        )
    };
    scene.sessions().strain().set_disk_is_low(true);
    bob.send(&private("1")).await;
    is_refused(&bob, "id-1").await;
    scene.sessions().strain().set_disk_is_low(false);
    bob.send(&private("2")).await;
    is_refused(&bob, "id-2").await;
    acknowledges(&bob, 2).await;
    bob.send(&private("3")).await;
    alice.expect("<body>3</body>").await;
    assert_eq!(bodies(&scene, ALICE).await, ["3"]);
}

#[tokio::test]
async fn d5_who_knows_of_a_refusal_is_acknowledged_what_was_handled_behind_it() {
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let carol = cluster.node(1).online(CAROL, "c").await;
    counted(&alice).await;
    cluster.node(1).sessions().strain().set_disk_is_low(true);
    alice.send(&chat(BOB, "1")).await;
    is_refused(&alice, "id-1").await;
    cluster.node(1).sessions().strain().set_disk_is_low(false);
    alice.send(&chat(CAROL, "other")).await;
    carol.expect("<body>other</body>").await;
    acknowledges(&alice, 1).await;
    alice.expect_all(&["<a ", "h='2'"]).await;
}

#[tokio::test]
async fn d5_a_refusal_that_is_lost_with_its_node_is_no_acknowledgement() {
    let mut cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let id = counted(&alice).await;
    cluster.see(&[1, 2], &alice).await;
    let carol = cluster.node(1).online(CAROL, "c").await;
    alice.send(&chat(CAROL, "first")).await;
    carol.expect("<body>first</body>").await;
    cluster.node(1).sessions().strain().set_disk_is_low(true);
    alice.send(&chat(BOB, "1")).await;
    is_refused(&alice, "id-1").await;
    cluster.node(1).sessions().strain().set_disk_is_low(false);
    alice.send(&chat(CAROL, "other")).await;
    alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    // The client may have heard nothing of the refusal.
    alice.expect_all(&["<a ", "h='1'"]).await;
    cluster.knows_record(2, ALICE, &id, 1).await;
    cluster.kill(1);
    let (alice, h) = cluster
        .node(2)
        .resume(ALICE, &id, 0)
        .await
        .expect("resumed");
    assert_eq!(h, 1);
    alice.send(&chat(BOB, "1")).await;
    alice.send(&chat(CAROL, "other")).await;
    alice.sync().await;
    assert_eq!(bodies(cluster.node(2), BOB).await, ["1"]);
    assert_eq!(bodies(cluster.node(2), CAROL).await, ["first", "other"]);
}

#[tokio::test]
async fn after_its_resumption_a_client_is_told_no_less_than_at_it() {
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).bind(ALICE, "a").await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    let bob = cluster.node(1).bind(BOB, "b").await;
    bob.enable_sm().await;
    cluster.node(1).sessions().strain().set_disk_is_low(true);
    // All of it is received before the client is back, and dealt with after.
    alice.send(&chat(BOB, "refused")).await;
    alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    alice.lose();
    let (again, h) = cluster.node(1).resume(ALICE, &id, 0).await.unwrap();
    assert_eq!(h, told + 1);
    // Until then everybody has been told who waited.
    handled(&bob).await;
    handled(&bob).await;
    assert_eq!(handled(&again).await, h);
}
