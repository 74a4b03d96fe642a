//! What being colleagues is to the rest: to archives that show those of contacts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::people::{group, person};
use common::{ALICE, BOB, Client, Scene, chat};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::Group;

/// A group whose people are in each other's roster.
fn office(members: &[&str]) -> Option<Group> {
    Some(Group {
        is_shown: true,
        ..group("Office", "office@example.org", members)
    })
}

/// Alice and Bob, who are in the directory and in no group.
async fn scene() -> Scene {
    let scene = Scene::new(Wire::Direct).await;
    let people = [ALICE, BOB].map(|account| person(account, "example.org"));
    scene.has(people).await;
    scene
}

/// What an account's archive shows.
async fn found(client: &Client) -> Vec<String> {
    client
        .send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
        .await;
    let heard = client.sync().await;
    let results = heard.iter().filter(|it| it.contains("<result"));
    results.cloned().collect()
}

#[tokio::test]
async fn xep_0441_colleague_is_a_contact_of_who_archives_those_alone() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let prefs = "<prefs xmlns='urn:xmpp:mam:2' default='roster'/>";
    alice
        .send(&format!("<iq type='set' id='p'>{prefs}</iq>"))
        .await;
    alice.expect_all(&["id='p'", "type='result'"]).await;
    bob.send(&chat(ALICE, "stranger")).await;
    alice.expect("stranger").await;
    assert_eq!(found(&alice).await.len(), 0);

    scene.has_group("g", office(&[ALICE, BOB])).await;
    bob.send(&chat(ALICE, "colleague")).await;
    alice.expect("colleague").await;
    alice.send(&chat(BOB, "answer")).await;
    bob.expect("answer").await;
    let told = found(&alice).await;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].contains("colleague") && told[1].contains("answer"));

    scene.has_group("g", office(&[ALICE])).await;
    bob.send(&chat(ALICE, "former")).await;
    alice.expect("former").await;
    assert_eq!(found(&alice).await.len(), 2);
    // Bob wants everything.
    assert_eq!(found(&bob).await.len(), 4);
}
