//! Push notifications (XEP-0357) through a whole node; the app server is a session.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::room::{ROOM, configure, create, join, set_affiliation};
use common::{ALICE, BOB, Client, Scene, bare, chat, until};
use klatsch_actors::directory::Wire;
use klatsch_protocol::xml::Element;

const SERVER: &str = "bob@example.org/app-server";

/// Alice's phone has enabled notifications; who answers for the app server.
async fn registered(scene: &Scene) -> (Client, Client) {
    let server = scene.bind(BOB, "app-server").await;
    let phone = scene.online(ALICE, "phone").await;
    phone
        .send(&format!(
            "<iq type='set' id='on'><enable xmlns='urn:xmpp:push:0' jid='{SERVER}' node='n'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>\
             http://jabber.org/protocol/pubsub#publish-options</value></field>\
             <field var='secret'><value>eruio</value></field></x></enable></iq>"
        ))
        .await;
    phone.expect_all(&["id='on'", "type='result'"]).await;
    (server, phone)
}

async fn answer(server: &Client, notification: &str, inner: &str, kind: &str) {
    let iq = Element::parse(notification.as_bytes()).unwrap();
    let id = iq.get("id").unwrap();
    server
        .send(&format!(
            "<iq type='{kind}' id='{id}' to='{ALICE}'>{inner}</iq>"
        ))
        .await;
    server.sync().await;
}

#[tokio::test]
async fn a_message_to_somebody_who_is_away_is_pushed_once_with_the_options() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    let bob = scene.online(BOB, "b").await;
    bob.send(&chat(ALICE, "seen")).await;
    phone.expect("seen").await;
    phone.close();
    scene.gone(ALICE).await;
    bob.send(&chat(ALICE, "unseen")).await;
    let told = server.expect("urn:xmpp:push:0").await;
    for part in ["node='n'", "eruio", "message-count", "bob@example.org/b"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // Bodies are for the user alone, unless the operator says otherwise.
    assert!(!told.contains("unseen"), "{told}");
    answer(&server, &told, "", "result").await;
    bob.send(
        "<message to='alice@example.org' type='chat'>\
        <received xmlns='urn:xmpp:receipts' id='1'/></message>",
    )
    .await;
    bob.send(&chat(ALICE, "again")).await;
    let again = server.expect("urn:xmpp:push:0").await;
    assert!(again.contains("<value>1</value>"), "{again}");
    let rest = server.sync().await.concat();
    assert!(!rest.contains("urn:xmpp:push:0"), "{rest}");
}

#[tokio::test]
async fn a_device_whose_connection_is_lost_is_told_though_another_is_there() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    phone.enable_sm().await;
    let _desktop = scene.online(ALICE, "desktop").await;
    let bob = scene.online(BOB, "b").await;
    phone.lose();
    let directory = &scene.sessions().world().directory;
    until(async || {
        let published = directory.published(ALICE).unwrap();
        published.view.resources.iter().any(|it| it.is_away)
    })
    .await;
    bob.send(&chat(ALICE, "hello")).await;
    server.expect("urn:xmpp:push:0").await;
}

#[tokio::test]
async fn what_was_written_and_never_acknowledged_is_pushed_when_the_connection_is_lost() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    phone.enable_sm().await;
    let bob = scene.online(BOB, "b").await;
    for body in ["one", "two"] {
        bob.send(&chat(ALICE, body)).await;
        phone.expect(body).await;
    }
    phone.lose();
    let told = server.expect("urn:xmpp:push:0").await;
    assert!(told.contains("<value>2</value>"), "{told}");
}

#[tokio::test]
async fn an_app_server_that_refuses_is_told_no_more() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    phone.close();
    scene.gone(ALICE).await;
    let bob = scene.online(BOB, "b").await;
    bob.send(&chat(ALICE, "one")).await;
    let told = server.expect("urn:xmpp:push:0").await;
    let error = "<error type='cancel'><item-not-found \
        xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    // Somebody else's word does not count.
    answer(&bob, &told, error, "error").await;
    assert_eq!(registrations(&scene).await, 1);
    answer(&server, &told, error, "error").await;
    while registrations(&scene).await > 0 {
        tokio::task::yield_now().await;
    }
}

async fn registrations(scene: &Scene) -> usize {
    scene.store.registrations(&bare(ALICE)).await.unwrap().len()
}

#[tokio::test]
async fn what_is_disabled_is_told_nothing() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    let off =
        format!("<iq type='set' id='off'><disable xmlns='urn:xmpp:push:0' jid='{SERVER}'/></iq>");
    phone.send(&off).await;
    phone.expect_all(&["id='off'", "type='result'"]).await;
    assert_eq!(registrations(&scene).await, 0);
    phone.close();
    scene.gone(ALICE).await;
    let bob = scene.online(BOB, "b").await;
    bob.send(&chat(ALICE, "one")).await;
    bob.sync().await;
    server.hears_nothing_of("urn:xmpp:push:0").await;
}

/// Bob's room, of members alone or for everybody, in which Alice has a part under this nick.
async fn room_with_alice(scene: &Scene, is_private: bool) -> Client {
    let bob = scene.online(BOB, "b").await;
    create(&bob, "bob").await;
    configure(&bob, "membersonly", if is_private { "1" } else { "0" }).await;
    set_affiliation(&bob, ALICE, "member").await;
    bob
}

async fn say(bob: &Client, body: &str, inner: &str) {
    bob.send(&format!(
        "<message to='{ROOM}' type='groupchat' id='said-{body}'><body>{body}</body>{inner}</message>"
    ))
    .await;
    bob.expect_all(&[body, "type='groupchat'"]).await;
}

const MENTION: &str = "<reference xmlns='urn:xmpp:reference:0' type='mention' \
    uri='xmpp:alice@example.org'/>";

async fn bookmark(phone: &Client, setting: &str) {
    phone
        .send(&format!(
            "<iq type='set' id='mark'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <publish node='urn:xmpp:bookmarks:1'><item id='{ROOM}'>\
             <conference xmlns='urn:xmpp:bookmarks:1'><extensions>\
             <notify xmlns='urn:xmpp:notification-settings:1'>{setting}</notify></extensions>\
             </conference></item></publish></pubsub></iq>"
        ))
        .await;
    phone.expect_all(&["id='mark'", "type='result'"]).await;
}

/// Who wrote what was pushed, in order, when Bob has said these in the room and then something
/// to Alice herself.
async fn pushed(server: &Client, bob: &Client, said: &[(&str, &str)]) -> Vec<bool> {
    for (body, inner) in said {
        say(bob, body, inner).await;
    }
    bob.send(&chat(ALICE, "the-last")).await;
    let mut of_room = Vec::new();
    loop {
        let told = server.expect("urn:xmpp:push:0").await;
        if told.contains("bob@example.org/b") {
            return of_room;
        }
        of_room.push(told.contains(&format!("{ROOM}/bob")));
    }
}

#[tokio::test]
async fn member_who_is_away_is_told_of_mentions_in_a_public_room_and_once_each() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    let bob = room_with_alice(&scene, false).await;
    phone.close();
    scene.gone(ALICE).await;
    let said = [("hello", ""), ("alice", MENTION), ("bye", "")];
    assert_eq!(pushed(&server, &bob, &said).await, [true]);
}

#[tokio::test]
async fn member_who_is_away_is_told_of_everything_in_a_private_room_unless_it_is_muted() {
    for (setting, expected) in [
        ("", 2),
        ("<never/>", 0),
        ("<on-mention/>", 1),
        (
            "<never identity-category='client' identity-type='pc'/><always/>",
            2,
        ),
    ] {
        let scene = Scene::new(Wire::Direct).await;
        let (server, phone) = registered(&scene).await;
        bookmark(&phone, setting).await;
        let bob = room_with_alice(&scene, true).await;
        phone.close();
        scene.gone(ALICE).await;
        let said = [("hello", ""), ("alice", MENTION)];
        let told = pushed(&server, &bob, &said).await;
        assert_eq!(told, vec![true; expected], "{setting}");
    }
}

#[tokio::test]
async fn occupant_whose_connection_is_lost_is_told_when_mentioned() {
    let scene = Scene::new(Wire::Direct).await;
    let (server, phone) = registered(&scene).await;
    phone.enable_sm().await;
    let bob = room_with_alice(&scene, false).await;
    join(&phone, "ally").await;
    phone.sync().await;
    phone.lose();
    let directory = &scene.sessions().world().directory;
    until(async || {
        let published = directory.published(ALICE).unwrap();
        published.view.resources.iter().any(|it| it.is_away)
    })
    .await;
    let said = [("hello", ""), ("ally-look", "")];
    assert_eq!(pushed(&server, &bob, &said).await, [true]);
}
