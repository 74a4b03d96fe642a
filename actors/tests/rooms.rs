//! Rooms through their actors: what is said is kept, told to everybody and missed by nobody,
//! whatever becomes of hints, connections and the actors themselves.

mod common;

use std::time::Duration;

use common::room::{ROOM, configure, create, entry, join, log, say, set_affiliation};
use common::{ALICE, BOB, CAROL, Scene, bare, make_account, until};
use klatsch_actors::directory::Wire;
use klatsch_actors::world::Settings;
use klatsch_protocol::account::{AccountAct, AccountChange};
use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::time::Timestamp;

const WIRES: [Wire; 3] = [Wire::Direct, Wire::Encoded, Wire::Lossy(3)];

/// Ends the room's actor as a defect would.
async fn kill_room(scene: &Scene) {
    let directory = &scene.sessions().world().directory;
    let before = directory.room(ROOM).expect("the room is at hand").actor;
    before.kill();
    until(async || {
        let place = directory.room(ROOM);
        place.is_some_and(|place| place.actor.get_id() != before.get_id())
    })
    .await;
}

#[tokio::test]
async fn what_is_said_is_kept_and_told_to_all_with_its_id() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        create(&alice, "ann").await;
        join(&bob, "bo").await;
        alice.expect_all(&["<presence", "/bo"]).await;
        for number in 0..10 {
            say(&alice, &format!("tea-{number}-")).await;
        }
        for number in 0..10 {
            let body = format!("<body>tea-{number}-</body>");
            let heard = bob.expect(&body).await;
            assert!(heard.contains(&format!("from='{ROOM}/ann'")), "{heard}");
            assert!(heard.contains("urn:xmpp:sid:0"), "{heard}");
            assert!(heard.contains(&format!("by='{ROOM}'")), "{heard}");
            alice.expect(&body).await;
        }
        assert_eq!(log(&scene.store).await.len(), 10, "{wire:?}");
    }
}

#[tokio::test]
async fn who_enters_hears_what_was_said_before() {
    let scene = Scene::new(Wire::Encoded).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    say(&alice, "early").await;
    alice.expect("<body>early</body>").await;
    join(&bob, "bo").await;
    bob.expect_all(&["<body>early</body>", "urn:xmpp:delay"])
        .await;
    bob.expect("<subject").await;
    say(&alice, "now").await;
    let heard = bob.expect("<body>now</body>").await;
    assert!(!heard.contains("urn:xmpp:delay"), "{heard}");
}

#[tokio::test]
async fn d2_a_message_sent_again_is_kept_once_and_told_once() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    say(&alice, "once").await;
    bob.expect("<body>once</body>").await;
    say(&alice, "once").await;
    say(&alice, "more").await;
    bob.expect("<body>more</body>").await;
    assert_eq!(log(&scene.store).await.len(), 2);
    bob.hears_nothing_of("once").await;
}

#[tokio::test]
async fn d1_a_message_is_acknowledged_when_it_stands_in_the_log() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    create(&alice, "ann").await;
    alice.enable_sm().await;
    say(&alice, "one").await;
    alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    alice.expect_all(&["<a ", "h='1'"]).await;
    assert_eq!(log(&scene.store).await.len(), 1);
}

#[tokio::test]
async fn nobody_notices_that_the_room_was_started_again() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        create(&alice, "ann").await;
        join(&bob, "bo").await;
        bob.expect("<subject").await;
        alice.expect_all(&["<presence", "/bo"]).await;
        alice.sync().await;
        bob.sync().await;
        kill_room(&scene).await;
        say(&bob, "still-here").await;
        alice.expect("<body>still-here</body>").await;
        bob.expect("<body>still-here</body>").await;
        for client in [&alice, &bob] {
            let told = client.sync().await;
            assert!(!told.iter().any(|it| it.contains("<presence")), "{told:?}");
        }
        assert_eq!(log(&scene.store).await.len(), 1, "{wire:?}");
    }
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_was_said_meanwhile() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let previd = bob.enable_sm().await;
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.expect("<subject").await;
    bob.lose();
    for body in ["one", "two", "three"] {
        say(&alice, body).await;
        alice.expect(&format!("<body>{body}</body>")).await;
    }
    let (bob, _) = scene.resume(BOB, &previd, 0).await.expect("resumed");
    for body in ["one", "two", "three"] {
        bob.expect(&format!("<body>{body}</body>")).await;
    }
}

#[tokio::test]
async fn a_session_that_ends_leaves_its_rooms() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    alice.expect_all(&["<presence", "/bo"]).await;
    bob.close();
    alice
        .expect_all(&["type='unavailable'", &format!("{ROOM}/bo")])
        .await;
}

#[tokio::test]
async fn who_leaves_is_told_and_hears_no_more() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.send(&format!("<presence type='unavailable' to='{ROOM}/bo'/>"))
        .await;
    bob.expect_all(&["type='unavailable'", "code='110'"]).await;
    alice.expect_all(&["type='unavailable'", "/bo"]).await;
    say(&alice, "alone").await;
    alice.expect("<body>alone</body>").await;
    bob.hears_nothing_of("alone").await;
}

#[tokio::test]
async fn what_owners_decide_is_remembered_and_enforced() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    set_affiliation(&alice, BOB, "outcast").await;
    bob.expect_all(&["type='unavailable'", "code='301'"]).await;
    let record = scene.store.room(&bare(ROOM)).await.unwrap().unwrap();
    assert_eq!(record.affiliation(&bare(BOB)).as_str(), "outcast");
    bob.send(&entry(ROOM, "bo")).await;
    bob.expect_all(&["type='error'", "<forbidden"]).await;
    set_affiliation(&alice, BOB, "member").await;
    join(&bob, "bo").await;
}

#[tokio::test]
async fn a_nick_is_one_persons() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    bob.send(&entry(ROOM, "ann")).await;
    bob.expect_all(&["type='error'", "<conflict"]).await;
}

#[tokio::test]
async fn private_messages_go_to_one() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.send(&format!(
        "<message type='chat' to='{ROOM}/ann' id='p'><body>psst</body></message>"
    ))
    .await;
    alice
        .expect_all(&["<body>psst</body>", &format!("from='{ROOM}/bo'")])
        .await;
    assert!(log(&scene.store).await.is_empty());
}

#[tokio::test]
async fn the_archive_of_a_room_is_read_by_those_inside() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    create(&alice, "ann").await;
    say(&alice, "kept").await;
    alice.expect("<body>kept</body>").await;
    alice
        .send(&format!(
            "<iq type='set' id='q' to='{ROOM}'><query xmlns='urn:xmpp:mam:2' queryid='f'/></iq>"
        ))
        .await;
    alice.expect_all(&["<result", "<body>kept</body>"]).await;
    alice.expect_all(&["id='q'", "<fin"]).await;
}

#[tokio::test]
async fn a_destroyed_room_is_gone_with_its_log() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    say(&alice, "last").await;
    bob.expect("<body>last</body>").await;
    alice
        .send(&format!(
            "<iq type='set' id='d' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <destroy/></query></iq>"
        ))
        .await;
    bob.expect_all(&["type='unavailable'", "<destroy"]).await;
    alice.expect_all(&["id='d'", "type='result'"]).await;
    assert_eq!(scene.store.room(&bare(ROOM)).await.unwrap(), None);
    create(&bob, "bo").await;
    let query = ArchiveQuery {
        max: 10,
        ..ArchiveQuery::default()
    };
    let page = scene.store.room_query(&bare(ROOM), &query).await.unwrap();
    assert!(page.entries.is_empty());
}

#[tokio::test]
async fn rooms_are_found_through_the_server_and_its_service() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let ask = |to: &str, what: &str| {
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#{what}'/>");
        format!("<iq type='get' id='{what}' to='{to}'>{query}</iq>")
    };
    alice.send(&ask("example.org", "items")).await;
    alice
        .expect_all(&["id='items'", "jid='conference.example.org'"])
        .await;
    alice.send(&ask("conference.example.org", "info")).await;
    alice
        .expect_all(&["id='info'", "category='conference'"])
        .await;
    alice.send(&ask(ROOM, "info")).await;
    alice.expect_all(&["type='error'", "<item-not-found"]).await;
}

#[tokio::test]
async fn operators_see_rooms_and_end_them_and_who_is_inside_hears_why() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    let rooms = &scene.node.rooms;
    let domain = bare("example.org");
    let listed = rooms.list(&domain, None, 10).await.unwrap();
    assert_eq!(listed, [(bare(ROOM), 2)]);
    let room = scene.room(ROOM).await.unwrap();
    assert_eq!(room.occupants().len(), 2);
    let destroyed = rooms.destroy(&bare(ROOM), Some("the party is over")).await;
    assert_eq!(destroyed, Ok(true));
    for client in [&alice, &bob] {
        client
            .expect_all(&["type='unavailable'", "<destroy>", "the party is over"])
            .await;
    }
    assert_eq!(scene.store.room(&bare(ROOM)).await, Ok(None));
    assert_eq!(rooms.destroy(&bare(ROOM), None).await, Ok(false));
    assert!(scene.room(ROOM).await.is_none());
}

#[tokio::test]
async fn c15_who_has_the_address_of_a_removed_owner_is_nobody_in_the_room() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    set_affiliation(&alice, BOB, "admin").await;
    bob.sync().await;
    let removed = scene.sessions().change_account(AccountChange {
        account: bare(ALICE),
        act: AccountAct::Remove,
    });
    removed.await.unwrap();
    bob.expect_all(&["<presence", "affiliation='owner'", "code='110'"])
        .await;
    scene.gone(ALICE).await;
    make_account(&scene.store, ALICE).await;
    let next = scene.online(ALICE, "next").await;
    let entered = join(&next, "ann").await;
    assert!(entered.contains("affiliation='none'"), "{entered}");
}

#[tokio::test(start_paused = true)]
async fn what_everybody_missed_is_found_as_soon_as_the_room_is_quiet() {
    let settings = Settings {
        tail_check_seconds: 3_600,
        ..Settings::default()
    };
    // Every hint is lost.
    let scene = Scene::with(Wire::Lossy(1), settings).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    create(&alice, "ann").await;
    join(&bob, "bo").await;
    bob.expect("<subject").await;
    let before = tokio::time::Instant::now();
    say(&alice, "lost").await;
    bob.expect("<body>lost</body>").await;
    alice.expect("<body>lost</body>").await;
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_temporary_room_whose_occupants_are_gone_with_their_node_ends() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let left_behind = bare("left-behind@conference.example.org");
    let kept = bare("kept@conference.example.org");
    for (room, persistent) in [(&left_behind, false), (&kept, true)] {
        let mut record = RoomRecord::new(&bare(BOB), [0; 32], Timestamp(1));
        record.config.persistent = persistent;
        let create = vec![RoomChange::Create(Box::new(record))];
        scene.store.save_room(room, 0, create).await.unwrap();
    }
    // One that somebody is in stays.
    create(&alice, "ann").await;
    configure(&alice, "persistentroom", "0").await;
    let is_over = async {
        while scene.store.room(&left_behind).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let an_hour = Duration::from_secs(3_600);
    tokio::time::timeout(an_hour, is_over).await.unwrap();
    tokio::time::sleep(an_hour).await;
    for room in [&kept, &bare(ROOM)] {
        assert!(scene.store.room(room).await.unwrap().is_some(), "{room}");
    }
    say(&alice, "still here").await;
    alice.expect("<body>still here</body>").await;
}

#[tokio::test]
async fn a_room_without_owner_is_managed_by_the_administrators_of_its_domain() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let carol = scene.online(CAROL, "c").await;
    create(&alice, "ann").await;
    let removed = scene.sessions().change_account(AccountChange {
        account: bare(ALICE),
        act: AccountAct::Remove,
    });
    removed.await.unwrap();
    scene.gone(ALICE).await;
    let form = format!(
        "<iq type='get' id='form' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'/></iq>"
    );
    for account in [BOB, CAROL] {
        let account = bare(account);
        scene.store.set_admin(&account, false).await.unwrap();
    }
    bob.send(&form).await;
    bob.expect_all(&["id='form'", "<forbidden"]).await;
    for account in [BOB, CAROL] {
        let account = bare(account);
        scene.store.set_admin(&account, true).await.unwrap();
    }
    // She administers another organisation.
    carol.send(&form).await;
    carol.expect_all(&["id='form'", "<forbidden"]).await;
    bob.send(&form).await;
    bob.expect_all(&["id='form'", "type='result'"]).await;
    set_affiliation(&bob, BOB, "owner").await;
    let room = scene.room(ROOM).await.unwrap();
    assert!(!room.is_ownerless());
}
