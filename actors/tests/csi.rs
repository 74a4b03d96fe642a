//! Client State Indication (XEP-0352) through a whole node: what waits for a client in the
//! background, what wakes it, and in which order it then hears everything.
mod common;

use common::{ALICE, BOB, Client, Scene, chat};
use klatsch_actors::directory::Wire;
use klatsch_actors::world::Settings;

const INACTIVE: &str = "<inactive xmlns='urn:xmpp:csi:0'/>";
const ACTIVE: &str = "<active xmlns='urn:xmpp:csi:0'/>";

fn receipt(to: &str, id: &str) -> String {
    format!(
        "<message to='{to}' type='chat' id='{id}'><received xmlns='urn:xmpp:receipts' id='{id}'/></message>"
    )
}

async fn pair(settings: Settings) -> (Scene, Client, Client) {
    let scene = Scene::with(Wire::Direct, settings).await;
    let (alice, bob) = (
        scene.online(ALICE, "phone").await,
        scene.online(BOB, "b").await,
    );
    alice.send(INACTIVE).await;
    alice.sync().await;
    (scene, alice, bob)
}

#[tokio::test]
async fn entries_that_may_wait_come_before_the_one_that_wakes_in_the_order_of_the_log() {
    let (_scene, alice, bob) = pair(Settings::default()).await;
    bob.send(&receipt(ALICE, "first")).await;
    bob.send(&receipt(ALICE, "second")).await;
    bob.sync().await;
    let quiet = alice.sync().await.concat();
    assert!(!quiet.contains("first"), "{quiet}");
    bob.send(&chat(ALICE, "wake up")).await;
    // What is passed over while waiting for one is not found by the next.
    for text in ["first", "second", "wake up"] {
        alice.expect(text).await;
    }
}

#[tokio::test]
async fn an_active_client_gets_what_has_waited() {
    let (_scene, alice, bob) = pair(Settings::default()).await;
    bob.send(&receipt(ALICE, "late")).await;
    bob.sync().await;
    alice.send(ACTIVE).await;
    alice.expect("late").await;
}

#[tokio::test]
async fn more_than_may_wait_wakes_and_nothing_is_lost() {
    let settings = Settings {
        held_stanzas_max: 3,
        ..Settings::default()
    };
    let (_scene, alice, bob) = pair(settings).await;
    for id in ["r-1", "r-2", "r-3", "r-4"] {
        bob.send(&receipt(ALICE, id)).await;
    }
    bob.sync().await;
    for id in ["r-1", "r-2", "r-3"] {
        alice.expect(id).await;
    }
    alice.send(ACTIVE).await;
    alice.expect("r-4").await;
}
