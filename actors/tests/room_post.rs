//! What rooms hand to accounts: private messages and invitations reach who is away, stand in
//! the archives of both sides, and are kept when their sender is told so.

mod common;

use common::room::{ROOM, create, join};
use common::{ALICE, BOB, Client, Scene};
use klatsch_actors::directory::Wire;

const WIRES: [Wire; 3] = [Wire::Direct, Wire::Encoded, Wire::Lossy(3)];

/// Alice, who owns the room, and Bob, both inside.
async fn both_inside(scene: &Scene) -> (Client, Client) {
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.expect("<subject").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    (alice, bob)
}

fn private(nick: &str, body: &str) -> String {
    format!(
        "<message type='chat' to='{ROOM}/{nick}' id='id-{body}'><body>{body}</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='o-{body}'/></message>"
    )
}

fn invites(account: &str) -> String {
    format!(
        "<message to='{ROOM}' id='invites'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <invite to='{account}'><reason>tea</reason></invite></x></message>"
    )
}

async fn acknowledged(client: &Client, count: u32) {
    client.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    let h = format!("h='{count}'");
    client.expect_all(&["<a ", &h]).await;
}

#[tokio::test]
async fn d1_a_private_message_is_kept_by_both_sides_before_it_is_acknowledged() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = both_inside(&scene).await;
        bob.enable_sm().await;
        bob.send(&private("ann", "psst")).await;
        acknowledged(&bob, 1).await;
        let (sent, received) = (scene.log(BOB).await, scene.log(ALICE).await);
        assert_eq!((sent.len(), received.len()), (1, 1), "{wire:?}");
        let [sent, received] = [&sent[0], &received[0]];
        assert!(sent.contains("from='bob@example.org/b'"), "{sent}");
        assert!(sent.contains(&format!("to='{ROOM}/ann'")), "{sent}");
        assert!(
            received.contains(&format!("from='{ROOM}/bo'")),
            "{received}"
        );
        assert!(!received.contains("bob@"), "{received}");
        for kept in [sent, received] {
            assert!(kept.contains("<x xmlns='http://jabber.org/protocol/muc#user'/>"));
        }
        let heard = alice.expect("<body>psst</body>").await;
        assert!(heard.contains(&format!("to='{}'", alice.jid)), "{heard}");
        assert!(heard.contains("by='alice@example.org'"), "{heard}");
    }
}

#[tokio::test]
async fn d4_a_private_message_to_somebody_whose_connection_is_lost_comes_with_them() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = both_inside(&scene).await;
        let previd = alice.enable_sm().await;
        alice.lose();
        bob.send(&private("ann", "psst")).await;
        bob.sync().await;
        let (alice, _) = scene.resume(ALICE, &previd, 0).await.expect("resumed");
        alice.expect("<body>psst</body>").await;
    }
}

#[tokio::test]
async fn d4_a_private_message_that_nobody_took_waits_for_the_next_session() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = both_inside(&scene).await;
    alice.enable_sm().await;
    alice.lose();
    bob.send(&private("ann", "psst")).await;
    bob.sync().await;
    let alice = scene.online(ALICE, "other").await;
    alice
        .expect_all(&["<body>psst</body>", "urn:xmpp:delay"])
        .await;
}

#[tokio::test]
async fn section_7_2_8_only_the_sessions_inside_hear_a_private_message() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = both_inside(&scene).await;
    let outside = scene.online(ALICE, "outside").await;
    let second = scene.online(ALICE, "second").await;
    for client in [&outside, &second, &bob] {
        client.enable_carbons().await;
    }
    join(&second, "ann").await;
    second.expect("<subject").await;
    bob.send(&private("ann", "psst")).await;
    alice.expect("<body>psst</body>").await;
    let heard = second.expect("<body>psst</body>").await;
    assert!(!heard.contains("urn:xmpp:carbons"), "{heard}");
    outside.hears_nothing_of("psst").await;
}

#[tokio::test]
async fn xep_0280_a_sent_private_message_is_copied_to_who_shares_the_nick() {
    let scene = Scene::new(Wire::Direct).await;
    let (_alice, bob) = both_inside(&scene).await;
    let outside = scene.online(BOB, "outside").await;
    let second = scene.online(BOB, "second").await;
    for client in [&outside, &second, &bob] {
        client.enable_carbons().await;
    }
    join(&second, "bo").await;
    bob.send(&private("ann", "psst")).await;
    second
        .expect_all(&["<sent xmlns='urn:xmpp:carbons:2'", "psst"])
        .await;
    for client in [&bob, &outside] {
        client.hears_nothing_of("psst").await;
    }
}

#[tokio::test]
async fn d2_a_private_message_sent_again_is_kept_once_and_heard_once() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = both_inside(&scene).await;
    for _ in 0..2 {
        bob.send(&private("ann", "once")).await;
    }
    bob.send(&private("ann", "more")).await;
    alice.expect("<body>once</body>").await;
    let until = alice.expect("<body>").await;
    assert!(until.contains("more"), "{until}");
    assert_eq!(scene.log(ALICE).await.len(), 2);
    assert_eq!(scene.log(BOB).await.len(), 2);
    bob.send(&private("ann", "once").replace("<body>once", "<body>other"))
        .await;
    bob.expect_all(&["type='error'", "<conflict"]).await;
}

#[tokio::test]
async fn what_passes_is_kept_by_nobody() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = both_inside(&scene).await;
    bob.send(&format!(
        "<message type='chat' to='{ROOM}/ann'>\
         <composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    ))
    .await;
    alice.expect("<composing").await;
    assert!(scene.log(ALICE).await.is_empty());
    assert!(scene.log(BOB).await.is_empty());
}

#[tokio::test]
async fn r16_who_blocks_an_occupant_hears_keeps_and_is_pushed_nothing_of_them() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = both_inside(&scene).await;
    alice
        .send(&format!(
            "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'><item jid='{ROOM}/bo'/></block></iq>"
        ))
        .await;
    alice.expect_all(&["id='block'", "type='result'"]).await;
    alice.sync().await;
    bob.send(&private("ann", "psst")).await;
    bob.expect_all(&["type='error'", "<service-unavailable"])
        .await;
    assert!(scene.log(ALICE).await.is_empty());
    assert!(scene.log(BOB).await.is_empty());
    alice.hears_nothing_of("psst").await;
}

#[tokio::test]
async fn d4_an_invitation_waits_for_who_is_away() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let alice = scene.online(ALICE, "a").await;
        create(&alice, "ann").await;
        alice.send(&invites(BOB)).await;
        alice.sync().await;
        let kept = scene.log(BOB).await;
        assert_eq!(kept.len(), 1, "{wire:?}");
        assert!(scene.log(ALICE).await.is_empty());
        let bob = scene.online(BOB, "b").await;
        let from = format!("<invite from='{ROOM}/ann'>");
        let heard = bob.expect_all(&[&from, "urn:xmpp:delay"]).await;
        assert!(heard.contains(&format!("from='{ROOM}'")), "{heard}");
    }
}

#[tokio::test]
async fn a_direct_invitation_waits_for_who_is_away() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    alice
        .send(&format!(
            "<message to='{BOB}'><x xmlns='jabber:x:conference' jid='{ROOM}'/></message>"
        ))
        .await;
    alice.sync().await;
    let bob = scene.online(BOB, "b").await;
    bob.expect("<x xmlns='jabber:x:conference'").await;
}

#[tokio::test]
async fn section_7_8_2_the_inviter_hears_that_nobody_was_found_and_not_why() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    bob.send(
        "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'>\
         <item jid='conference.example.org'/></block></iq>",
    )
    .await;
    bob.expect_all(&["id='block'", "type='result'"]).await;
    let mut answers = Vec::new();
    for whom in [BOB, "nobody@example.org"] {
        alice.send(&invites(whom)).await;
        let answer = alice.expect_all(&["type='error'", "<item-not-found"]).await;
        answers.push(answer.replace(whom, "WHOM"));
    }
    assert_eq!(answers[0], answers[1]);
    assert!(scene.log(BOB).await.is_empty());
}

#[tokio::test]
async fn m08_an_invitation_in_a_rooms_name_is_taken_out_of_what_people_send() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice
        .send(&format!(
            "<message to='{BOB}' type='chat'><body>hi</body>\
             <x xmlns='http://jabber.org/protocol/muc#user'><invite from='boss@example.org'/></x></message>"
        ))
        .await;
    let heard = bob.expect("<body>hi</body>").await;
    assert!(!heard.contains("muc#user"), "{heard}");
}
