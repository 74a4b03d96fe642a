//! What the directory shows of people: cards, and pictures that are nobody's publication.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::people::{person, photo};
use common::{ALICE, BOB, Client, Scene, bare};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::{Card, Person};

/// SHA-1 of `image`.
const HASH: &str = "0e76292794888d4f1fa75fb3aff4ca27c58f56a6";
const IMAGE: &[u8] = b"image";

/// Alice, with a picture and a position.
fn alice() -> Person {
    Person {
        name: "Alice Liddell".into(),
        card: Card {
            title: Some("Explorer".into()),
            ..Card::default()
        },
        photo: Some(photo(HASH, IMAGE)),
        ..person(ALICE, "example.org")
    }
}

async fn scene() -> Scene {
    let scene = Scene::new(Wire::Direct).await;
    scene
        .store
        .keep_photo(HASH, IMAGE.to_vec(), klatsch_actors::world::now())
        .await
        .unwrap();
    scene.has([alice(), person(BOB, "example.org")]).await;
    scene
}

async fn card(client: &Client, of: &str) -> String {
    client
        .send(&format!(
            "<iq type='get' id='card' to='{of}'><vCard xmlns='vcard-temp'/></iq>"
        ))
        .await;
    client.expect("id='card'").await
}

#[tokio::test]
async fn colleagues_see_what_the_directory_shows() {
    let scene = scene().await;
    let bob = scene.online(BOB, "b").await;
    let card = card(&bob, ALICE).await;
    for part in [
        "<FN>Alice Liddell</FN>",
        "<TITLE>Explorer</TITLE>",
        "<BINVAL>aW1hZ2U=</BINVAL>",
    ] {
        assert!(card.contains(part), "{part} in {card}");
    }
    let metadata = bob.items(ALICE, "urn:xmpp:avatar:metadata").await;
    assert!(metadata.contains(&format!("id='{HASH}'")), "{metadata}");
    let data = bob.items(ALICE, "urn:xmpp:avatar:data").await;
    assert!(data.contains("aW1hZ2U="), "{data}");
    let card = bob.items(ALICE, "urn:xmpp:vcard4").await;
    assert!(
        card.contains("<fn><text>Alice Liddell</text></fn>"),
        "{card}"
    );
}

#[tokio::test]
async fn person_who_has_never_been_here_has_a_card_and_a_picture() {
    let scene = scene().await;
    let new = Person {
        account: bare("new@example.org"),
        ..alice()
    };
    scene.has([new]).await;
    let bob = scene.online(BOB, "b").await;
    let card = card(&bob, "new@example.org").await;
    assert!(card.contains("<FN>Alice Liddell</FN>"), "{card}");
    assert!(card.contains("<BINVAL>aW1hZ2U=</BINVAL>"), "{card}");
    let data = bob.items("new@example.org", "urn:xmpp:avatar:data").await;
    assert!(data.contains("aW1hZ2U="), "{data}");
}

#[tokio::test]
async fn what_the_directory_says_is_not_its_owners_to_change() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice
        .send(
            "<iq type='set' id='set'><vCard xmlns='vcard-temp'><FN>Queen</FN>\
             <NICKNAME>Al</NICKNAME></vCard></iq>",
        )
        .await;
    alice.expect_all(&["id='set'", "type='result'"]).await;
    let shown = card(&bob, ALICE).await;
    assert!(shown.contains("<FN>Alice Liddell</FN>"), "{shown}");
    assert!(shown.contains("<NICKNAME>Al</NICKNAME>"), "{shown}");
    assert!(!shown.contains("Queen"), "{shown}");
}

#[tokio::test]
async fn avatar_of_ones_own_goes_before_the_picture() {
    let scene = scene().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice
        .send(
            "<iq type='set' id='set'><vCard xmlns='vcard-temp'>\
             <PHOTO><TYPE>image/png</TYPE><BINVAL>b3du</BINVAL></PHOTO></vCard></iq>",
        )
        .await;
    alice.expect_all(&["id='set'", "type='result'"]).await;
    let shown = card(&bob, ALICE).await;
    assert!(shown.contains("<BINVAL>b3du</BINVAL>"), "{shown}");
    let data = bob.items(ALICE, "urn:xmpp:avatar:data").await;
    assert!(
        data.contains("b3du") && !data.contains("aW1hZ2U="),
        "{data}"
    );
    // Who shows that there is none shows none.
    alice
        .send("<iq type='set' id='none'><vCard xmlns='vcard-temp'><PHOTO/></vCard></iq>")
        .await;
    alice.expect_all(&["id='none'", "type='result'"]).await;
    let shown = card(&bob, ALICE).await;
    assert!(!shown.contains("BINVAL"), "{shown}");
}

#[tokio::test]
async fn new_picture_is_shown_at_once_and_told_to_those_who_want_to_hear() {
    let scene = scene().await;
    scene.befriend().await;
    let alice_is = scene.online(ALICE, "a").await;
    let bob = scene.bind(BOB, "b").await;
    let caps = "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
                node='n' ver='1vq/lNJHZydQjsudiA2TElgzskU='/></presence>";
    bob.send(caps).await;
    let asked = bob.expect("http://jabber.org/protocol/disco#info").await;
    let id = asked
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    bob.send(&format!(
        "<iq type='result' id='{id}'>\
         <query xmlns='http://jabber.org/protocol/disco#info' node='n#1vq/lNJHZydQjsudiA2TElgzskU='>\
         <identity category='client' type='pc'/>\
         <feature var='urn:xmpp:avatar:metadata+notify'/></query></iq>"
    ))
    .await;
    bob.expect_all(&["urn:xmpp:avatar:metadata", HASH]).await;
    let other = "1111111111111111111111111111111111111111";
    let after = Person {
        photo: Some(photo(other, IMAGE)),
        ..alice()
    };
    scene.has([after]).await;
    bob.expect_each(&["vcard-temp:x:update", "urn:xmpp:avatar:metadata"], other)
        .await;
    alice_is.sync().await;
}
