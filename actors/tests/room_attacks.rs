//! Rows of the attack corpus that rooms and those who reach them must hold, through the actors.

mod common;

use std::time::Duration;

use common::room::{ROOM, SERVICE, create, enter, join, say, set_affiliation};
use common::{ALICE, BOB, CAROL, Client, Scene};
use klatsch_actors::directory::Wire;
use klatsch_actors::world::Settings;

async fn scene(change: impl FnOnce(&mut Settings)) -> Scene {
    let mut settings = Settings::default();
    change(&mut settings);
    Scene::with(Wire::Direct, settings).await
}

fn at(room: &str) -> String {
    format!("{room}@{SERVICE}")
}

async fn asks(client: &Client, to: &str, payload: &str) -> String {
    let id = klatsch_actors::sessions::random_id();
    let kind = match payload.contains("urn:xmpp:mam:2") {
        true => "set",
        false => "get",
    };
    client
        .send(&format!(
            "<iq type='{kind}' id='{id}' to='{to}'>{payload}</iq>"
        ))
        .await;
    client.expect(&id).await.replace(&id, "ID")
}

#[tokio::test]
async fn m09_r18_a_session_is_in_so_many_rooms() {
    let scene = scene(|settings| settings.rooms_joined_max = 3).await;
    let alice = scene.online(ALICE, "a").await;
    for room in ["one", "two", "three"] {
        let entered = enter(&alice, &at(room), "ann").await;
        assert!(!entered.contains("type='error'"), "{entered}");
    }
    let refused = enter(&alice, &at("four"), "ann").await;
    assert!(refused.contains("<resource-constraint"), "{refused}");
    alice
        .send("<presence type='unavailable' to='one@conference.example.org/ann'/>")
        .await;
    alice
        .expect_all(&["type='unavailable'", "code='110'"])
        .await;
    let entered = enter(&alice, &at("four"), "ann").await;
    assert!(!entered.contains("type='error'"), "{entered}");
}

#[tokio::test]
async fn m09_an_account_makes_so_many_rooms_and_the_server_holds_so_many() {
    let scene = scene(|settings| {
        settings.rooms.rooms_per_account_max = 1;
        settings.rooms_loaded_max = 3;
    })
    .await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    let refused = enter(&alice, &at("two"), "ann").await;
    assert!(refused.contains("<resource-constraint"), "{refused}");
    // Rooms that wait for their owner's form are not counted to the account, but they are
    // held, and only so many.
    let mut refused = String::new();
    for room in ["three", "four", "five"] {
        refused = enter(&bob, &at(room), "ann").await;
    }
    assert!(refused.contains("<resource-constraint"), "{refused}");
    assert!(refused.contains("type='wait'"), "{refused}");
    assert_eq!(scene.sessions().world().directory.rooms().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn m09_a_room_that_nobody_is_in_is_put_away() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    create(&alice, "ann").await;
    alice
        .send(&format!("<presence type='unavailable' to='{ROOM}/ann'/>"))
        .await;
    alice.expect("type='unavailable'").await;
    let directory = &scene.sessions().world().directory;
    assert_eq!(directory.rooms().len(), 1);
    let is_put_away = async {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        while !directory.rooms().is_empty() {
            seconds.tick().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(90), is_put_away).await;
    assert!(in_time.is_ok(), "it is still at hand");
    let entered = join(&alice, "ann").await;
    assert!(entered.contains("affiliation='owner'"), "{entered}");
}

#[tokio::test]
async fn m07_who_was_banned_or_kicked_hears_and_reads_nothing_more() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.expect("<subject").await;
    set_affiliation(&alice, BOB, "outcast").await;
    bob.expect("code='301'").await;
    say(&alice, "secret").await;
    alice.expect("<body>secret</body>").await;
    let archive = "<query xmlns='urn:xmpp:mam:2'/>";
    let refused = asks(&bob, ROOM, archive).await;
    assert!(refused.contains("<forbidden"), "{refused}");
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let listed = asks(&bob, ROOM, items).await;
    assert!(!listed.contains("/ann"), "{listed}");
    bob.hears_nothing_of("secret").await;
}

#[tokio::test]
async fn r20_errors_end_with_the_room_and_take_their_ghosts_along() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.expect("<subject").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    let error = |to: &str, condition: &str| {
        format!(
            "<message type='error' to='{to}'><body>x</body><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    // Errors to and fro are told once and answered by nobody.
    for _ in 0..3 {
        bob.send(&error(&format!("{ROOM}/ann"), "service-unavailable"))
            .await;
        alice
            .send(&error(&format!("{ROOM}/bo"), "service-unavailable"))
            .await;
    }
    for to in [
        ROOM,
        "conference.example.org",
        "nobody@conference.example.org",
    ] {
        alice.send(&error(to, "service-unavailable")).await;
    }
    alice.sync().await;
    let heard = bob.sync().await;
    let errors = heard.iter().filter(|it| it.contains("type='error'"));
    assert_eq!(errors.count(), 3, "{heard:?}");
    assert!(alice.sync().await.is_empty());
    assert!(bob.sync().await.is_empty());
    bob.send(&error(ROOM, "recipient-unavailable")).await;
    alice
        .expect_all(&["type='unavailable'", &format!("{ROOM}/bo")])
        .await;
}

#[tokio::test]
async fn a11_a_room_does_not_tell_which_accounts_there_are() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    create(&alice, "ann").await;
    let mut told = Vec::new();
    for account in [BOB, "none@example.org"] {
        let mut heard = Vec::new();
        set_affiliation(&alice, account, "member").await;
        heard.extend(alice.sync().await);
        let list = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member'/></query>";
        heard.push(asks(&alice, ROOM, list).await);
        set_affiliation(&alice, account, "none").await;
        heard.extend(alice.sync().await);
        let vcard = "<vCard xmlns='vcard-temp'/>";
        heard.push(asks(&alice, &format!("{ROOM}/{account}"), vcard).await);
        told.push(heard.concat().replace(account, "WHO"));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn r14_an_account_of_another_domain_is_a_stranger_like_any_other() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let carol = scene.online(CAROL, "c").await;
    create(&alice, "ann").await;
    let query = |namespace: &str| format!("<query xmlns='{namespace}'/>");
    let refused = |answer: &str| answer.contains("type='error'") && !answer.contains("<item ");
    for (to, namespace) in [
        (ALICE, "urn:xmpp:mam:2"),
        (ALICE, "jabber:iq:roster"),
        (ALICE, "jabber:iq:private"),
        (ALICE, "jabber:iq:last"),
        (ROOM, "http://jabber.org/protocol/muc#owner"),
    ] {
        let answer = asks(&carol, to, &query(namespace)).await;
        assert!(refused(&answer), "{namespace}: {answer}");
    }
    // Whoever is there and is not answer alike.
    let items = query("http://jabber.org/protocol/disco#items");
    let there = asks(&carol, ALICE, &items).await.replace(ALICE, "WHO");
    let nobody = "nobody@example.org";
    let not = asks(&carol, nobody, &items).await.replace(nobody, "WHO");
    assert_eq!(there, not);
    carol
        .send(&format!("<presence type='probe' to='{ALICE}'/>"))
        .await;
    let heard = carol.sync().await.concat();
    assert!(!heard.contains(&alice.jid.to_string()), "{heard}");
    // A hidden room is found by nobody, and each service lists its own.
    for service in ["conference.example.org", "conference.example.net"] {
        let listed = asks(&carol, service, &items).await;
        assert!(!listed.contains("tea@"), "{listed}");
    }
    let listed = asks(&carol, "example.net", &items).await;
    assert!(!listed.contains("example.org"), "{listed}");
    // What she may not read of a room she may not read of its log either.
    set_affiliation(&alice, "example.net", "outcast").await;
    let answer = asks(&carol, ROOM, &query("urn:xmpp:mam:2")).await;
    assert!(answer.contains("<forbidden"), "{answer}");
}
