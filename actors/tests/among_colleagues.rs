//! What being colleagues is to the rest: to archives that show those of contacts, and to nodes
//! whose last items new subscribers get.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::people::{group_at, person};
use common::{ALICE, BOB, Client, Scene, bare, chat};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::Group;
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::Credentials;

const DAVE: &str = "dave@example.org";
const TUNE: &str = "http://jabber.org/protocol/tune";
/// The hash of a client that wants to hear of tunes (XEP-0115 §5.1).
const LISTENER: &str = "3pKpoiE4LWxMW6d4/GYSlYS+Wd8=";

/// A group whose people are in each other's roster.
fn office(members: &[&str]) -> Option<Group> {
    Some(Group {
        is_shown: true,
        ..group_at("office@example.org", "Office", members)
    })
}

/// Alice, Bob and Dave, who are in the directory and in no group.
async fn scene() -> Scene {
    let scene = Scene::new(Wire::Direct).await;
    let (dave, none) = (bare(DAVE), Credentials::default());
    let made = scene
        .store
        .create_account(&dave, &none, false, Timestamp(0));
    made.await.unwrap();
    let people = [ALICE, BOB, DAVE].map(|account| person(account, "example.org"));
    scene.has(people).await;
    scene
}

/// A client that plays a tune called after its account, and wants to hear of those of others.
async fn listener(scene: &Scene, account: &str) -> Client {
    let client = scene.online(account, "r").await;
    client
        .send(&format!(
            "<iq type='set' id='tune'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <publish node='{TUNE}'><item><tune xmlns='{TUNE}'><title>of {account}</title></tune>\
             </item></publish></pubsub></iq>"
        ))
        .await;
    client.expect_all(&["id='tune'", "type='result'"]).await;
    client
        .send(&format!(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' \
             ver='{LISTENER}'/></presence>"
        ))
        .await;
    // What one client can do is known of all with its hash.
    let is_known = scene.sessions().list(None).len() > 1;
    if !is_known {
        let asked = client.expect("http://jabber.org/protocol/disco#info").await;
        let asked = Element::parse(asked.as_bytes()).unwrap();
        client
            .send(&format!(
                "<iq type='result' id='{}'><query xmlns='http://jabber.org/protocol/disco#info' \
                 node='n#{LISTENER}'><identity category='client' type='pc'/>\
                 <feature var='{TUNE}+notify'/></query></iq>",
                asked.get("id").unwrap()
            ))
            .await;
    }
    // Its own comes with its presence.
    client.expect(&format!("of {account}")).await;
    client
}

/// The tunes that a client hears of, up to the one of this account.
async fn tunes_up_to(client: &Client, account: &str) -> Vec<String> {
    let mut tunes = Vec::new();
    let last = format!("of {account}<");
    while !tunes.iter().any(|it: &String| it.contains(&last)) {
        tunes.push(client.expect(&format!("node='{TUNE}'")).await);
    }
    tunes
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

#[tokio::test]
async fn xep_0163_new_colleagues_get_each_others_last_items_once() {
    let scene = scene().await;
    let alice = listener(&scene, ALICE).await;
    let bob = listener(&scene, BOB).await;
    scene.has_group("g", office(&[ALICE, BOB])).await;
    for (client, other) in [(&alice, BOB), (&bob, ALICE)] {
        let tunes = tunes_up_to(client, other).await;
        assert_eq!(tunes.len(), 1, "{tunes:#?}");
        assert!(tunes[0].contains(&format!("from='{other}'")), "{tunes:?}");
    }
    // What somebody shows holds also while they are away, and those of before are not told again.
    let dave = listener(&scene, DAVE).await;
    dave.close();
    scene.gone(DAVE).await;
    scene.has_group("g", office(&[ALICE, BOB, DAVE])).await;
    for client in [&alice, &bob] {
        let tunes = tunes_up_to(client, DAVE).await;
        assert_eq!(tunes.len(), 1, "{tunes:#?}");
    }
}

#[tokio::test]
async fn xep_0163_who_is_a_contact_already_is_no_new_subscriber() {
    let scene = scene().await;
    scene.befriend().await;
    let dave = listener(&scene, DAVE).await;
    let alice = listener(&scene, ALICE).await;
    let bob = listener(&scene, BOB).await;
    tunes_up_to(&bob, ALICE).await;
    tunes_up_to(&alice, BOB).await;
    scene.has_group("g", office(&[ALICE, BOB, DAVE])).await;
    for client in [&alice, &bob] {
        let tunes = tunes_up_to(client, DAVE).await;
        assert_eq!(tunes.len(), 1, "{tunes:#?}");
    }
    // Dave has seen neither before.
    let mut tunes = tunes_up_to(&dave, ALICE).await;
    if tunes.len() == 1 {
        tunes.extend(tunes_up_to(&dave, BOB).await);
    }
    assert_eq!(tunes.len(), 2, "{tunes:#?}");
}

#[tokio::test]
async fn r16_colleague_who_blocks_is_not_heard_of() {
    let scene = scene().await;
    let alice = listener(&scene, ALICE).await;
    let bob = listener(&scene, BOB).await;
    let _dave = listener(&scene, DAVE).await;
    bob.send(
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='alice@example.org'/>\
         </block></iq>",
    )
    .await;
    bob.expect_all(&["id='b'", "type='result'"]).await;
    scene.has_group("g", office(&[ALICE, BOB, DAVE])).await;
    // All that a session is due comes together.
    for client in [&alice, &bob] {
        let tunes = tunes_up_to(client, DAVE).await;
        assert_eq!(tunes.len(), 1, "{tunes:#?}");
        let heard = client.sync().await;
        assert!(!heard.iter().any(|it| it.contains(TUNE)), "{heard:#?}");
    }
}
