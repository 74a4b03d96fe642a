//! Rooms of a directory's groups.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::future::Future;

use common::people::{group, person};
use common::{ALICE, BOB, Client, PATIENCE, Scene, bare};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::Person;
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::features::muc::room::Room;
use tokio::time::timeout;

const STAFF: &str = "staff@example.org";
const ROOM: &str = "staff@conference.example.org";

async fn scene() -> Scene {
    let scene = Scene::new(Wire::Direct).await;
    let boss = Person {
        is_admin: true,
        ..person("boss@example.org", "example.org")
    };
    scene
        .has([
            person(ALICE, "example.org"),
            person(BOB, "example.org"),
            boss,
        ])
        .await;
    scene
}

/// Waits until the room is so.
async fn until(scene: &Scene, is_so: impl Fn(&Room) -> bool) {
    eventually(async || {
        let room = scene.node.rooms.inspect(&bare(ROOM)).await.unwrap();
        room.is_some_and(|room| is_so(&room))
    })
    .await;
}

async fn eventually<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never is");
}

fn is(room: &Room, account: &str, affiliation: Affiliation) -> bool {
    room.record().affiliation(&bare(account)) == affiliation
}

async fn enter(client: &Client, nick: &str) -> String {
    client
        .send(&format!(
            "<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    client.expect(&format!("from='{ROOM}/{nick}'")).await
}

async fn bookmarks(client: &Client) -> String {
    client
        .send(
            "<iq type='get' id='marks'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <items node='urn:xmpp:bookmarks:1'/></pubsub></iq>",
        )
        .await;
    client.expect("id='marks'").await
}

async fn until_bookmarked(client: &Client, is_bookmarked: bool) {
    eventually(async || bookmarks(client).await.contains(ROOM) == is_bookmarked).await;
}

#[tokio::test]
async fn group_with_an_address_is_a_room_of_its_people() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let staff = group("Staff", STAFF, &[ALICE]);
    scene.has_group("g", Some(staff)).await;
    until(&scene, |room| is(room, ALICE, Affiliation::Member)).await;
    let room = scene
        .node
        .rooms
        .inspect(&bare(ROOM))
        .await
        .unwrap()
        .unwrap();
    let config = &room.record().config;
    assert_eq!(&*config.name, "Staff");
    assert!(config.members_only && config.persistent && !config.public);
    assert!(is(&room, "boss@example.org", Affiliation::Owner));
    until_bookmarked(&alice, true).await;
    assert!(enter(&alice, "al").await.contains("affiliation='member'"));
    assert!(enter(&bob, "bo").await.contains("<registration-required"));
}

#[tokio::test]
async fn room_follows_its_group() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    scene
        .has_group("g", Some(group("Staff", STAFF, &[ALICE])))
        .await;
    until_bookmarked(&alice, true).await;
    enter(&alice, "al").await;
    // §9.4: whoever is no member any more is put out.
    scene
        .has_group("g", Some(group("All staff", STAFF, &[BOB])))
        .await;
    alice
        .expect_all(&["code='321'", "type='unavailable'"])
        .await;
    until(&scene, |room| {
        is(room, ALICE, Affiliation::None)
            && is(room, BOB, Affiliation::Member)
            && &*room.record().config.name == "All staff"
    })
    .await;
    until_bookmarked(&alice, false).await;
    until_bookmarked(&bob, true).await;
    assert!(enter(&bob, "bo").await.contains("affiliation='member'"));
    // Who administrates no more owns no more.
    scene.has([person("boss@example.org", "example.org")]).await;
    until(&scene, |room| {
        is(room, "boss@example.org", Affiliation::None)
    })
    .await;
    // A group that is gone leaves its room.
    scene.has_group("g", None).await;
    until(&scene, |room| is(room, BOB, Affiliation::Member)).await;
}

#[tokio::test]
async fn bookmark_that_somebody_removes_is_not_given_again() {
    let scene = scene().await;
    let alice = scene.online(ALICE, "a").await;
    let staff = |members: &[&str]| Some(group("Staff", STAFF, members));
    scene.has_group("g", staff(&[ALICE])).await;
    until_bookmarked(&alice, true).await;
    alice
        .send(&format!(
            "<iq type='set' id='gone'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <retract node='urn:xmpp:bookmarks:1'><item id='{ROOM}'/></retract></pubsub></iq>"
        ))
        .await;
    alice.expect_all(&["id='gone'", "type='result'"]).await;
    scene.has_group("g", staff(&[ALICE, BOB])).await;
    until(&scene, |room| is(room, BOB, Affiliation::Member)).await;
    let again = scene.online(ALICE, "again").await;
    let bob = scene.online(BOB, "b").await;
    // Bob comes later, so that Alice has been looked at when he has his.
    until_bookmarked(&bob, true).await;
    assert!(!bookmarks(&again).await.contains(ROOM));
}

#[tokio::test]
async fn room_that_people_made_is_not_taken_over() {
    let scene = scene().await;
    let bob = scene.online(BOB, "b").await;
    enter(&bob, "bo").await;
    let form = format!(
        "<iq type='set' id='form' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>"
    );
    bob.send(&form).await;
    bob.expect_all(&["id='form'", "type='result'"]).await;
    scene
        .has_group("g", Some(group("Staff", STAFF, &[ALICE])))
        .await;
    // Another group's room is made after it.
    scene
        .has_group("h", Some(group("Others", "others@example.org", &[ALICE])))
        .await;
    let others = bare("others@conference.example.org");
    eventually(async || scene.node.rooms.inspect(&others).await.unwrap().is_some()).await;
    let room = scene
        .node
        .rooms
        .inspect(&bare(ROOM))
        .await
        .unwrap()
        .unwrap();
    assert!(is(&room, ALICE, Affiliation::None) && is(&room, BOB, Affiliation::Owner));
}

#[tokio::test]
async fn what_is_said_to_a_group_is_answered_with_its_room() {
    let scene = scene().await;
    scene
        .has_group("g", Some(group("Staff", STAFF, &[ALICE])))
        .await;
    let alice = scene.online(ALICE, "a").await;
    alice
        .send(&format!(
            "<message to='{STAFF}' id='m'><body>all</body></message>"
        ))
        .await;
    let answer = alice.expect("id='m'").await;
    assert!(
        answer.contains(&format!("xmpp:{ROOM}?join</redirect>")),
        "{answer}"
    );
}
