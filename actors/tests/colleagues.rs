//! Colleagues: people and groups of the organisation's directory, and what they are to rosters,
//! presence and addresses, on one node and on two.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::cluster::{Cluster, eventually};
use common::people::{self, put};
use common::{ALICE, BOB, CAROL, Client, Scene, bare, chat, make_account};
use klatsch_actors::directory::Wire;
use klatsch_protocol::colleagues::{Change, Entry, Group, Person};
use klatsch_protocol::xml::Element;

const DAVE: &str = "dave@example.org";
const ROSTER: &str = "<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver=''/></iq>";

fn person(account: &str, aliases: &[&str]) -> Change {
    let person = Person {
        aliases: aliases.iter().map(|it| bare(it)).collect(),
        ..people::person(account, "example.org")
    };
    put(account, Entry::Person(person))
}

/// A group that rosters show.
fn group(name: &str, members: &[&str]) -> Change {
    let group = Group {
        is_shown: true,
        ..people::group(name, members)
    };
    put(name, Entry::Group(group))
}

/// A directory that knows alice, bob and dave; alice and bob are in an office.
async fn office(scene: &Scene) {
    let changes = vec![
        person(ALICE, &[]),
        person(BOB, &["robert@example.org"]),
        person(DAVE, &[]),
        group("Office", &[ALICE, BOB]),
    ];
    scene.apply(changes).await;
}

async fn scene(wire: Wire) -> Scene {
    let scene = Scene::new(wire).await;
    make_account(&scene.store, DAVE).await;
    office(&scene).await;
    scene
}

/// A client that shows its roster; answers with it.
async fn reads(scene: &Scene, account: &str) -> (Client, String) {
    let client = scene.bind(account, "r").await;
    let roster = roster_of(&client, ROSTER).await;
    client.send("<presence/>").await;
    // Its own presence comes back when everybody sees it.
    client
        .expect_all(&["<presence", &format!("from='{account}/r'")])
        .await;
    (client, roster)
}

async fn roster_of(client: &Client, ask: &str) -> String {
    client.send(ask).await;
    client.expect("id='r'").await
}

fn version_of(query: &str) -> String {
    let iq = Element::parse(query.as_bytes()).unwrap();
    let query = iq.find("query", "jabber:iq:roster").unwrap();
    query.get("ver").unwrap().to_owned()
}

#[tokio::test]
async fn colleagues_see_each_other_at_login_without_any_contact() {
    for wire in [Wire::Direct, Wire::Encoded] {
        let scene = scene(wire).await;
        let (alice, roster) = reads(&scene, ALICE).await;
        assert!(roster.contains("jid='bob@example.org'"), "{roster}");
        assert!(roster.contains("<group>Office</group>"), "{roster}");
        assert!(!roster.contains(DAVE), "{roster}");
        let (bob, _) = reads(&scene, BOB).await;
        alice
            .expect_all(&["<presence", "from='bob@example.org/r'"])
            .await;
        bob.expect_all(&["<presence", "from='alice@example.org/r'"])
            .await;
        bob.send("<presence><show>dnd</show></presence>").await;
        alice.expect("<show>dnd</show>").await;
        bob.close();
        alice
            .expect_all(&["unavailable", "from='bob@example.org/r'"])
            .await;
        assert!(
            scene
                .store
                .roster(&bare(ALICE))
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }
}

#[tokio::test]
async fn who_comes_into_a_group_is_shown_to_it_at_once_and_nobody_else_hears() {
    let scene = scene(Wire::Direct).await;
    let (alice, _) = reads(&scene, ALICE).await;
    let (dave, roster) = reads(&scene, DAVE).await;
    assert!(!roster.contains("item"), "{roster}");
    let (carol, _) = reads(&scene, CAROL).await;
    scene
        .apply(vec![group("Office", &[ALICE, BOB, DAVE])])
        .await;
    let item = "jid='dave@example.org' name='DAVE@EXAMPLE.ORG' subscription='both'";
    alice
        .expect_each(&[item, "from='dave@example.org/r'"], DAVE)
        .await;
    let all = [
        "jid='alice@example.org'",
        "jid='bob@example.org'",
        "from='alice@example.org/r'",
    ];
    dave.expect_each(&all, "example.org").await;
    alice.hears_nothing_of("<item").await;
    carol.hears_nothing_of("<item").await;

    scene.apply(vec![group("Office", &[ALICE, BOB])]).await;
    let gone = [
        "jid='dave@example.org' subscription='remove'",
        "unavailable",
    ];
    alice.expect_each(&gone, DAVE).await;
    dave.expect_all(&["unavailable", "from='alice@example.org/r'"])
        .await;
    dave.send("<presence><show>xa</show></presence>").await;
    dave.expect("<show>xa</show>").await;
    alice.hears_nothing_of("<show>xa</show>").await;
}

#[tokio::test]
async fn contacts_go_on_seeing_each_other_when_they_are_colleagues_no_more() {
    let scene = scene(Wire::Direct).await;
    scene.apply(vec![group("Office", &[])]).await;
    scene.befriend().await;
    office(&scene).await;
    let (alice, _) = reads(&scene, ALICE).await;
    let (bob, _) = reads(&scene, BOB).await;
    alice
        .expect_all(&["<presence", "from='bob@example.org/r'"])
        .await;
    scene.apply(vec![group("Office", &[])]).await;
    let push = alice.expect_all(&["<item", "jid='bob@example.org'"]).await;
    assert!(!push.contains("Office"), "{push}");
    bob.send("<presence><show>away</show></presence>").await;
    bob.expect("<show>away</show>").await;
    let heard = alice.sync().await;
    assert!(
        heard.iter().any(|it| it.contains("<show>away</show>")),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|it| it.contains("unavailable")),
        "{heard:?}"
    );
}

#[tokio::test]
async fn roster_of_before_a_change_gets_the_change_alone() {
    let scene = scene(Wire::Direct).await;
    let (alice, roster) = reads(&scene, ALICE).await;
    let known = version_of(&roster);
    alice.close();
    scene.gone(ALICE).await;
    scene
        .apply(vec![group("Office", &[ALICE, BOB, DAVE])])
        .await;
    let alice = scene.bind(ALICE, "r").await;
    let ask = ROSTER.replace("ver=''", &format!("ver='{known}'"));
    let answer = roster_of(&alice, &ask).await;
    assert!(!answer.contains("<query"), "{answer}");
    let push = alice.expect("<item").await;
    assert!(push.contains(DAVE) && !push.contains(BOB), "{push}");
    let known = version_of(&push);
    let again = roster_of(&alice, &ask.replace(&version_of(&roster), &known)).await;
    assert!(!again.contains("<query"), "{again}");
    alice.hears_nothing_of("<item").await;
}

#[tokio::test]
async fn version_in_pushes_is_that_of_what_the_client_has() {
    let scene = scene(Wire::Direct).await;
    let (alice, roster) = reads(&scene, ALICE).await;
    let (_, shared) = split(&version_of(&roster));
    alice
        .send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='x@y.org'/></query></iq>")
        .await;
    let push = alice.expect("jid='x@y.org'").await;
    assert_eq!(split(&version_of(&push)), ("1".to_owned(), shared.clone()));
    scene
        .apply(vec![group("Office", &[ALICE, BOB, DAVE])])
        .await;
    let push = alice.expect("jid='dave@example.org'").await;
    let (own, now) = split(&version_of(&push));
    assert_eq!(own, "1");
    assert_ne!(now, shared);
    let ask = ROSTER.replace("ver=''", &format!("ver='{}'", version_of(&push)));
    let answer = roster_of(&alice, &ask).await;
    assert!(!answer.contains("<query"), "it has all of it: {answer}");
}

fn split(version: &str) -> (String, String) {
    let (own, shared) = version.split_once('-').unwrap();
    (own.to_owned(), shared.to_owned())
}

#[tokio::test]
async fn colleague_is_not_removed_and_nothing_is_lost_by_trying() {
    let scene = scene(Wire::Direct).await;
    let (alice, _) = reads(&scene, ALICE).await;
    let (bob, _) = reads(&scene, BOB).await;
    let remove = "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>\
                  <item jid='bob@example.org' subscription='remove'/></query></iq>";
    alice.send(remove).await;
    alice.expect_all(&["id='s'", "not-allowed"]).await;
    for kind in ["unsubscribe", "unsubscribed"] {
        alice
            .send(&format!("<presence type='{kind}' to='{BOB}'/>"))
            .await;
        alice
            .expect_all(&["<item", BOB, "subscription='both'"])
            .await;
    }
    bob.hears_nothing_of("unsubscribe").await;
    bob.send("<presence><show>chat</show></presence>").await;
    alice.expect("<show>chat</show>").await;
}

#[tokio::test]
async fn r16_blocking_wins_over_the_directory() {
    let scene = scene(Wire::Direct).await;
    let (alice, _) = reads(&scene, ALICE).await;
    let (bob, _) = reads(&scene, BOB).await;
    bob.expect_all(&["<presence", "from='alice@example.org/r'"])
        .await;
    alice
        .send("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@example.org'/></block></iq>")
        .await;
    bob.expect_all(&["unavailable", "from='alice@example.org/r'"])
        .await;
    alice.expect("id='b'").await;
    bob.close();
    scene.gone(BOB).await;
    let (bob, _) = reads(&scene, BOB).await;
    alice.send("<presence><show>away</show></presence>").await;
    alice.expect("<show>away</show>").await;
    bob.send(&format!("<presence type='probe' to='{ALICE}'/>"))
        .await;
    bob.hears_nothing_of("from='alice@example.org/r'").await;
    scene
        .apply(vec![group("Choir", &[ALICE, BOB]), group("Office", &[])])
        .await;
    bob.expect("<group>Choir</group>").await;
    bob.hears_nothing_of("from='alice@example.org/r'").await;
}

#[tokio::test]
async fn what_is_for_an_alias_comes_to_its_owner_at_the_owners_address() {
    let scene = scene(Wire::Direct).await;
    let (alice, _) = reads(&scene, ALICE).await;
    let (bob, _) = reads(&scene, BOB).await;
    alice.send(&chat("robert@example.org", "kept")).await;
    let message = bob.expect("kept").await;
    assert!(message.contains("to='bob@example.org'"), "{message}");
    let typing = "<message to='robert@example.org/r' type='chat'>\
                  <composing xmlns='http://jabber.org/protocol/chatstates'/></message>";
    alice.send(typing).await;
    let typing = bob.expect("composing").await;
    assert!(typing.contains("to='bob@example.org/r'"), "{typing}");
    let ask = "<iq type='get' id='v' to='robert@example.org'><vCard xmlns='vcard-temp'/></iq>";
    alice.send(ask).await;
    let answer = alice.expect("id='v'").await;
    assert!(answer.contains("from='robert@example.org'"), "{answer}");
    assert!(scene.log(BOB).await[0].contains("to='bob@example.org'"));
    let (dave, _) = reads(&scene, DAVE).await;
    dave.send("<presence type='subscribe' to='robert@example.org'/>")
        .await;
    let push = dave.expect("ask='subscribe'").await;
    assert!(push.contains("jid='bob@example.org'"), "{push}");
    bob.expect_all(&["type='subscribe'", DAVE]).await;
}

#[tokio::test]
async fn alias_that_is_an_account_is_the_accounts() {
    let scene = scene(Wire::Direct).await;
    scene
        .apply(vec![person(BOB, &["dave@example.org", CAROL])])
        .await;
    let (carol, _) = reads(&scene, CAROL).await;
    let (bob, _) = reads(&scene, BOB).await;
    let (alice, _) = reads(&scene, ALICE).await;
    alice.send(&chat(CAROL, "mine")).await;
    carol.expect("mine").await;
    bob.hears_nothing_of("mine").await;
}

#[tokio::test]
async fn group_of_5000_costs_a_push_to_each_who_is_there() {
    let scene = Scene::new(Wire::Direct).await;
    make_account(&scene.store, DAVE).await;
    let names: Vec<String> = (0..4997).map(|n| format!("p{n}@example.org")).collect();
    let mut changes: Vec<Change> = names.iter().map(|it| person(it, &[])).collect();
    let others = [ALICE, BOB, DAVE];
    changes.extend(others.map(|it| person(it, &[])));
    let mut members: Vec<&str> = names.iter().map(String::as_str).collect();
    members.extend([ALICE, BOB]);
    changes.push(group("All", &members));
    scene.apply(changes).await;
    let (alice, roster) = reads(&scene, ALICE).await;
    assert_eq!(roster.matches("<item").count(), 4998);
    let (bob, _) = reads(&scene, BOB).await;
    alice
        .expect_all(&["<presence", "from='bob@example.org/r'"])
        .await;
    members.push(DAVE);
    scene.apply(vec![group("All", &members)]).await;
    for client in [&alice, &bob] {
        client.expect_all(&["<item", DAVE]).await;
        client.hears_nothing_of("<item").await;
    }
}

#[tokio::test]
async fn who_comes_into_a_large_group_is_shown_all_of_it() {
    let scene = scene(Wire::Direct).await;
    let names: Vec<String> = (0..200).map(|n| format!("p{n}@example.org")).collect();
    let mut changes: Vec<Change> = names.iter().map(|it| person(it, &[])).collect();
    let mut members: Vec<&str> = names.iter().map(String::as_str).collect();
    changes.push(group("All", &members));
    scene.apply(changes).await;
    let (dave, roster) = reads(&scene, DAVE).await;
    members.push(DAVE);
    scene.apply(vec![group("All", &members)]).await;
    let mut versions = Vec::new();
    for _ in 0..200 {
        versions.push(version_of(&dave.expect("<item").await));
    }
    let last = versions.pop().unwrap();
    assert!(
        versions.iter().all(|it| *it == version_of(&roster)),
        "{versions:?}"
    );
    assert_ne!(last, version_of(&roster));
}

#[tokio::test]
async fn book_is_read_from_the_store_at_the_start() {
    let scene = scene(Wire::Direct).await;
    let scene = scene.restart(Wire::Direct).await;
    let colleagues = scene.node.colleagues.clone();
    eventually(|| colleagues.book().version == 1).await;
    let (_, roster) = reads(&scene, ALICE).await;
    assert!(roster.contains(BOB), "{roster}");
}

#[tokio::test]
async fn nodes_go_by_the_same_book_and_nobody_hears_anything_twice() {
    let cluster = Cluster::of(2).await;
    make_account(&cluster.store, DAVE).await;
    office(cluster.node(1)).await;
    let there = cluster.node(2).node.colleagues.clone();
    eventually(|| there.book().version == 1).await;
    let (alice, _) = reads(cluster.node(1), ALICE).await;
    let (bob, _) = reads(cluster.node(2), BOB).await;
    cluster.see(&[1, 2], &alice).await;
    cluster.see(&[1, 2], &bob).await;
    alice
        .expect_all(&["<presence", "from='bob@example.org/r'"])
        .await;
    let (dave, _) = reads(cluster.node(2), DAVE).await;
    cluster.see(&[1, 2], &dave).await;
    let change = vec![group("Office", &[ALICE, BOB, DAVE])];
    cluster.node(1).apply(change).await;
    let come = ["<item jid='dave@example.org'", "from='dave@example.org/r'"];
    alice.expect_each(&come, DAVE).await;
    bob.expect_each(&come, DAVE).await;
    let both = ["from='alice@example.org/r'", "from='bob@example.org/r'"];
    dave.expect_each(&both, "<presence").await;
    let change = vec![group("Office", &[ALICE, BOB])];
    cluster.node(2).apply(change).await;
    dave.expect_each(
        &["from='alice@example.org/r'", "from='bob@example.org/r'"],
        "unavailable",
    )
    .await;
    alice
        .expect_each(
            &["from='dave@example.org/r'", "subscription='remove'"],
            DAVE,
        )
        .await;
    dave.send(&chat("robert@example.org", "across")).await;
    bob.expect("across").await;
    // One push for each change, and one presence.
    alice.hears_nothing_of(DAVE).await;
}
