//! The directory's book over two nodes: what the first one has read reaches sessions and rooms of
//! groups on the second one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::future::Future;

use common::cluster::Cluster;
use common::people::{group, group_at, person, photo};
use common::{ALICE, BOB, Client, PATIENCE, Scene, bare};
use klatsch_protocol::colleagues::{Card, Group, Person};
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::xml::Element;
use tokio::time::timeout;

/// SHA-1 of `image`.
const HASH: &str = "0e76292794888d4f1fa75fb3aff4ca27c58f56a6";
const IMAGE: &[u8] = b"image";
const METADATA: &str = "urn:xmpp:avatar:metadata";
/// The hash of a client that wants to hear of avatars (XEP-0115 §5.1).
const WATCHER: &str = "1vq/lNJHZydQjsudiA2TElgzskU=";

/// Alice and Bob are colleagues, as the first node has read.
async fn office() -> Cluster {
    let cluster = Cluster::of(2).await;
    let first = cluster.node(1);
    let people = [ALICE, BOB].map(|account| person(account, "example.org"));
    first.has(people).await;
    let office = Group {
        is_shown: true,
        ..group("Office", &[ALICE, BOB])
    };
    first.has_group("office", Some(office)).await;
    until_read(&cluster).await;
    cluster
}

/// The second node has read what the first one has.
async fn until_read(cluster: &Cluster) {
    let [first, second] = [1, 2].map(|number| cluster.node(number).node.colleagues.clone());
    eventually(async || second.book().version == first.book().version).await;
}

async fn eventually<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never is");
}

/// A client that wants to hear of avatars.
async fn watcher(scene: &Scene, account: &str, resource: &str) -> Client {
    let client = scene.bind(account, resource).await;
    client
        .send(&format!(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' \
             ver='{WATCHER}'/></presence>"
        ))
        .await;
    // Nodes tell each other what software can do: it may be known, and is not asked for then.
    let heard = client.sync().await;
    let question = "http://jabber.org/protocol/disco#info";
    if let Some(asked) = heard.iter().find(|it| it.contains(question)) {
        let asked = Element::parse(asked.as_bytes()).unwrap();
        client
            .send(&format!(
                "<iq type='result' id='{}'><query xmlns='{question}' node='n#{WATCHER}'>\
                 <identity category='client' type='pc'/><feature var='{METADATA}+notify'/>\
                 </query></iq>",
                asked.get("id").unwrap()
            ))
            .await;
    }
    client.sync().await;
    client
}

async fn ask(client: &Client, of: &str, payload: &str) -> String {
    client
        .send(&format!("<iq type='get' id='ask' to='{of}'>{payload}</iq>"))
        .await;
    client.expect("id='ask'").await
}

#[tokio::test]
async fn new_card_and_picture_are_shown_by_the_node_that_has_not_read_them() {
    let cluster = office().await;
    let kept = cluster
        .store
        .keep_photo(HASH, IMAGE.to_vec(), klatsch_actors::world::now());
    kept.await.unwrap();
    let second = cluster.node(2);
    let alice = second.online(ALICE, "a").await;
    let bob = watcher(second, BOB, "near").await;
    let far = watcher(cluster.node(1), BOB, "far").await;
    cluster.see(&[1, 2], &alice).await;
    cluster.see(&[1, 2], &bob).await;
    cluster.see(&[1, 2], &far).await;
    let alice_is = Person {
        name: "Alice Liddell".into(),
        card: Card {
            title: Some("Explorer".into()),
            ..Card::default()
        },
        photo: Some(photo(HASH, IMAGE)),
        ..person(ALICE, "example.org")
    };
    cluster.node(1).has([alice_is]).await;
    // Her session shows it in its presence, and who wants to hear of avatars does, on both nodes.
    for client in [&bob, &far] {
        client
            .expect_each(&["vcard-temp:x:update", METADATA], HASH)
            .await;
    }
    let card = ask(&bob, ALICE, "<vCard xmlns='vcard-temp'/>").await;
    for part in [
        "<FN>Alice Liddell</FN>",
        "<TITLE>Explorer</TITLE>",
        "aW1hZ2U=",
    ] {
        assert!(card.contains(part), "{part} in {card}");
    }
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                 <items node='urn:xmpp:avatar:data'/></pubsub>";
    assert!(ask(&bob, ALICE, items).await.contains("aW1hZ2U="));
    // Each of the two is told once.
    for client in [&bob, &far] {
        let heard = client.sync().await;
        let told = heard.iter().filter(|it| it.contains(METADATA)).count();
        assert_eq!(told, 0, "{heard:#?}");
    }
}

/// The address of a group whose room lives on a node.
fn address_at(cluster: &Cluster, number: u16) -> (String, String) {
    let mut names = (0..100).map(|name| {
        (
            format!("staff{name}@example.org"),
            format!("staff{name}@conference.example.org"),
        )
    });
    names
        .find(|(_, room)| cluster.home(room) == number)
        .unwrap()
}

async fn enter(client: &Client, room: &str, nick: &str) -> String {
    client
        .send(&format!(
            "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    client.expect(&format!("from='{room}/{nick}'")).await
}

/// Waits until a client's bookmarks have a room, or no longer.
async fn until_bookmarked(client: &Client, room: &str, is_bookmarked: bool) {
    let items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                 <items node='urn:xmpp:bookmarks:1'/></pubsub>";
    let own = client.jid.bare();
    eventually(async || ask(client, own.as_str(), items).await.contains(room) == is_bookmarked)
        .await;
}

async fn until_affiliated(scene: &Scene, room: &str, account: &str, wanted: Affiliation) {
    eventually(async || {
        let room = scene.node.rooms.inspect(&bare(room)).await.unwrap();
        room.is_some_and(|room| room.record().affiliation(&bare(account)) == wanted)
    })
    .await;
}

/// Whoever joins a group sees its room and gets in, whoever leaves it is put out, wherever the
/// room lives.
async fn room_follows_its_group(home: u16) {
    let cluster = office().await;
    let (address, room) = address_at(&cluster, home);
    let staff = |members: &[&str]| Some(group_at(&address, "Staff", members));
    let [first, second] = [1, 2].map(|number| cluster.node(number));
    let alice = second.online(ALICE, "a").await;
    let bob = second.online(BOB, "b").await;
    cluster.see(&[1, 2], &alice).await;
    cluster.see(&[1, 2], &bob).await;
    first.has_group("staff", staff(&[ALICE])).await;
    until_bookmarked(&alice, &room, true).await;
    let entered = enter(&alice, &room, "al").await;
    assert!(entered.contains("affiliation='member'"), "{entered}");
    let refused = enter(&bob, &room, "bo").await;
    assert!(refused.contains("<registration-required"), "{refused}");

    first.has_group("staff", staff(&[ALICE, BOB])).await;
    until_bookmarked(&bob, &room, true).await;
    let entered = enter(&bob, &room, "bo").await;
    assert!(entered.contains("affiliation='member'"), "{entered}");

    // XEP-0045 §9.4: whoever is no member any more is put out.
    first.has_group("staff", staff(&[BOB])).await;
    alice
        .expect_all(&["code='321'", "type='unavailable'"])
        .await;
    bob.expect_all(&[&format!("from='{room}/al'"), "type='unavailable'"])
        .await;
    until_affiliated(cluster.node(home), &room, ALICE, Affiliation::None).await;
    until_bookmarked(&alice, &room, false).await;
    let refused = enter(&alice, &room, "al").await;
    assert!(refused.contains("<registration-required"), "{refused}");
}

#[tokio::test]
async fn room_on_the_node_that_has_not_read_the_directory_follows_its_group() {
    room_follows_its_group(2).await;
}

#[tokio::test]
async fn room_on_the_node_that_has_read_it_lets_in_whoever_is_on_the_other() {
    room_follows_its_group(1).await;
}
