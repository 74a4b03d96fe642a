//! Rooms of a directory's groups.

mod common;

use common::people::{group_at, person};
use common::room::{create_at, enter};
use common::{ALICE, BOB, Client, Scene, bare, until};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::{Group, Person};
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::features::muc::room::Room;

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

/// The group as the directory has it, with these people.
fn staff(name: &str, members: &[&str]) -> Option<Group> {
    Some(group_at(STAFF, name, members))
}

/// Waits until the room is so.
async fn until_room(scene: &Scene, is_so: impl Fn(&Room) -> bool) {
    until(async || scene.room(ROOM).await.is_some_and(|room| is_so(&room))).await;
}

fn is(room: &Room, account: &str, affiliation: Affiliation) -> bool {
    room.record().affiliation(&bare(account)) == affiliation
}

async fn bookmarks(client: &Client) -> String {
    let account = client.jid.bare();
    client.items(account.as_str(), "urn:xmpp:bookmarks:1").await
}

async fn until_bookmarked(client: &Client, is_bookmarked: bool) {
    until(async || bookmarks(client).await.contains(ROOM) == is_bookmarked).await;
}

#[tokio::test]
async fn group_with_an_address_is_a_room_of_its_people() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    scene.has_group("g", staff("Staff", &[ALICE])).await;
    until_room(&scene, |room| is(room, ALICE, Affiliation::Member)).await;
    let room = scene.room(ROOM).await.unwrap();
    let config = &room.record().config;
    assert_eq!(&*config.name, "Staff");
    assert!(config.members_only && config.persistent && !config.public);
    assert!(is(&room, "boss@example.org", Affiliation::Owner));
    until_bookmarked(&alice, true).await;
    let entered = enter(&alice, ROOM, "al").await;
    assert!(entered.contains("affiliation='member'"), "{entered}");
    let entered = enter(&bob, ROOM, "bo").await;
    assert!(entered.contains("<registration-required"), "{entered}");
}

#[tokio::test]
async fn room_follows_its_group() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    scene.has_group("g", staff("Staff", &[ALICE])).await;
    until_bookmarked(&alice, true).await;
    enter(&alice, ROOM, "al").await;
    // §9.4: whoever is no member any more is put out.
    scene.has_group("g", staff("All staff", &[BOB])).await;
    alice
        .expect_all(&["code='321'", "type='unavailable'"])
        .await;
    until_room(&scene, |room| {
        is(room, ALICE, Affiliation::None)
            && is(room, BOB, Affiliation::Member)
            && &*room.record().config.name == "All staff"
    })
    .await;
    until_bookmarked(&alice, false).await;
    until_bookmarked(&bob, true).await;
    let entered = enter(&bob, ROOM, "bo").await;
    assert!(entered.contains("affiliation='member'"), "{entered}");
    // Who administrates no more owns no more.
    scene.has([person("boss@example.org", "example.org")]).await;
    until_room(&scene, |room| {
        is(room, "boss@example.org", Affiliation::None)
    })
    .await;
    // A group that is gone leaves its room.
    scene.has_group("g", None).await;
    until_room(&scene, |room| is(room, BOB, Affiliation::Member)).await;
}

#[tokio::test]
async fn bookmark_that_somebody_removes_is_not_given_again() {
    let scene = scene().await;
    let alice = scene.online(ALICE, "a").await;
    scene.has_group("g", staff("Staff", &[ALICE])).await;
    until_bookmarked(&alice, true).await;
    alice
        .send(&format!(
            "<iq type='set' id='gone'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <retract node='urn:xmpp:bookmarks:1'><item id='{ROOM}'/></retract></pubsub></iq>"
        ))
        .await;
    alice.expect_all(&["id='gone'", "type='result'"]).await;
    scene.has_group("g", staff("Staff", &[ALICE, BOB])).await;
    until_room(&scene, |room| is(room, BOB, Affiliation::Member)).await;
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
    create_at(&bob, ROOM, "bo").await;
    scene.has_group("g", staff("Staff", &[ALICE])).await;
    // Another group's room is made after it.
    let others = group_at("others@example.org", "Others", &[ALICE]);
    scene.has_group("h", Some(others)).await;
    until(async || scene.room("others@conference.example.org").await.is_some()).await;
    let room = scene.room(ROOM).await.unwrap();
    assert!(is(&room, ALICE, Affiliation::None) && is(&room, BOB, Affiliation::Owner));
}

#[tokio::test]
async fn what_is_said_to_a_group_is_answered_with_its_room() {
    let scene = scene().await;
    scene.has_group("g", staff("Staff", &[ALICE])).await;
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
