//! A server that is stopped and started again: who can resume does, and nobody else notices.

mod common;

use common::room::{ROOM, create, entry};
use common::{ALICE, BOB, Scene, bare, chat};
use klatsch_actors::directory::Wire;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::PutAway;

#[tokio::test]
async fn d1_d4_a_session_is_resumed_after_a_restart_with_its_counters_and_what_came_meanwhile() {
    for wire in [Wire::Direct, Wire::Encoded] {
        let scene = Scene::new(wire).await;
        let alice = scene.online(ALICE, "a").await;
        let id = alice.enable_sm().await;
        alice.send(&chat(BOB, "one")).await;
        alice.send(&chat(BOB, "two")).await;
        let scene = scene.restart(wire).await;
        let stops = StreamError::new(StreamCondition::SystemShutdown);
        assert_eq!(alice.closed().await, Some(stops));
        let bob = scene.online(BOB, "b").await;
        bob.expect("<body>two</body>").await;
        bob.send(&chat(ALICE, "three")).await;
        bob.sync().await;
        let (alice, h) = scene.resume(ALICE, &id, 0).await.expect("it is resumed");
        assert_eq!((h, alice.jid.resource()), (2, "a"));
        let message = alice.expect("<body>").await;
        assert!(message.contains("<body>three</body>"), "{message}");
        assert!(!message.contains("urn:xmpp:delay"), "{message}");
    }
}

#[tokio::test]
async fn d4_what_was_not_acknowledged_before_a_restart_is_sent_again_after_it() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let id = bob.enable_sm().await;
    alice.send(&chat(BOB, "one")).await;
    bob.expect("<body>one</body>").await;
    alice
        .send(&format!(
            "<iq type='get' id='q' to='{BOB}/b'><q xmlns='x:y'/></iq>"
        ))
        .await;
    bob.expect("id='q'").await;
    bob.lose();
    alice.send(&chat(BOB, "two")).await;
    alice.sync().await;
    let scene = scene.restart(Wire::Direct).await;
    let (bob, _) = scene.resume(BOB, &id, 0).await.expect("it is resumed");
    bob.expect("id='q'").await;
    bob.expect("<body>one</body>").await;
    bob.expect("<body>two</body>").await;
    assert_eq!(bob.sync().await, Vec::<String>::new());
}

#[tokio::test]
async fn contacts_see_who_stays_over_a_restart_and_who_does_not() {
    let scene = Scene::new(Wire::Direct).await;
    scene.befriend().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let ends = scene.online(ALICE, "ends").await;
    let id = bob.enable_sm().await;
    alice.enable_sm().await;
    bob.sync().await;
    let scene = scene.restart(Wire::Direct).await;
    ends.closed().await;
    let (bob, _) = scene.resume(BOB, &id, 0).await.expect("it is resumed");
    let gone = bob.expect("type='unavailable'").await;
    assert!(gone.contains("from='alice@example.org/ends'"), "{gone}");
    bob.hears_nothing_of("unavailable").await;
    let other = scene.online(BOB, "other").await;
    let there = other.expect("from='alice@example.org/a'").await;
    assert!(!there.contains("unavailable"), "{there}");
}

#[tokio::test]
async fn an_occupant_stays_in_its_room_over_a_restart() {
    for wire in [Wire::Direct, Wire::Encoded] {
        let scene = Scene::new(wire).await;
        let bob = scene.online(BOB, "b").await;
        let id = bob.enable_sm().await;
        create(&bob, "Bob").await;
        let scene = scene.restart(wire).await;
        let alice = scene.online(ALICE, "a").await;
        alice.send(&entry(ROOM, "Alice")).await;
        let before = alice.expect("/Bob'").await;
        assert!(before.contains("affiliation='owner'"), "{before}");
        alice.expect("code='110'").await;
        alice
            .send(&format!(
                "<message to='{ROOM}' type='groupchat' id='1'><body>hi</body></message>"
            ))
            .await;
        alice.expect("<body>hi</body>").await;
        let (bob, _) = scene.resume(BOB, &id, 0).await.expect("it is resumed");
        bob.expect("<body>hi</body>").await;
    }
}

#[tokio::test]
async fn a13_a_session_put_away_is_resumed_by_its_own_account_and_once() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let id = alice.enable_sm().await;
    let scene = scene.restart(Wire::Direct).await;
    assert!(scene.resume(BOB, &id, 0).await.is_none());
    assert!(scene.resume(ALICE, &id, 0).await.is_some());
    // A server that is killed puts nothing away, and what was put away before is used up.
    let taken = scene
        .store
        .take_sessions(&PutAway::All, klatsch_actors::world::now())
        .await;
    assert_eq!(taken.unwrap(), []);
}

#[tokio::test]
async fn a_session_whose_client_never_comes_back_ends_after_the_restart() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    alice.enable_sm().await;
    let scene = scene.restart(Wire::Direct).await;
    let account = bare(ALICE);
    let listed = scene.sessions().list(Some(&account));
    assert_eq!(listed, std::slice::from_ref(&alice.jid));
    let error = StreamError::new(StreamCondition::Reset);
    assert!(scene.sessions().kick(&alice.jid, error));
    scene.gone(ALICE).await;
}
