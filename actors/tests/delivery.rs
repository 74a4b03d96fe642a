//! The delivery contract (D1–D5) at the sessions of one node, over every kind of wire.

mod common;

use std::time::Duration;

use common::{ALICE, BOB, Scene, chat};
use klatsch_actors::directory::Wire;

const WIRES: [Wire; 3] = [Wire::Direct, Wire::Encoded, Wire::Lossy(3)];

#[tokio::test]
async fn d1_a_message_is_acknowledged_when_it_stands_in_both_logs() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        alice.enable_sm().await;
        alice.send(&chat(BOB, "one")).await;
        alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
        alice.expect("h='1'").await;
        assert_eq!(scene.log(ALICE).await.len(), 1);
        assert_eq!(scene.log(ALICE).await, scene.log(BOB).await);
        let delivered = bob.expect("<body>one</body>").await;
        assert!(delivered.contains("stanza-id") && delivered.contains("by='bob@example.org'"));
    }
}

#[tokio::test]
async fn d2_a_replay_is_acknowledged_and_neither_kept_nor_delivered_again() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        alice.enable_sm().await;
        for _ in 0..3 {
            alice.send(&chat(BOB, "one")).await;
        }
        alice.send(&chat(BOB, "two")).await;
        alice.send("<r xmlns='urn:xmpp:sm:3'/>").await;
        alice.expect("h='4'").await;
        assert_eq!(scene.log(BOB).await.len(), 2);
        bob.expect("<body>one</body>").await;
        let next = bob.expect("<body>").await;
        assert!(next.contains("<body>two</body>"), "{next}");
    }
}

#[tokio::test]
async fn d2_an_origin_id_used_for_another_message_is_an_error() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let with_id = |body: &str| {
        format!(
            "<message to='{BOB}' type='chat' id='{body}'><body>{body}</body>\
             <origin-id xmlns='urn:xmpp:sid:0' id='same'/></message>"
        )
    };
    alice.send(&with_id("one")).await;
    alice.send(&with_id("two")).await;
    alice
        .expect_all(&["id='two'", "type='error'", "conflict"])
        .await;
    assert_eq!(scene.log(BOB).await.len(), 1);
}

#[tokio::test]
async fn d3_messages_arrive_and_stand_in_the_order_they_were_sent() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        for n in 0..200 {
            alice.send(&chat(BOB, &n.to_string())).await;
        }
        for n in 0..200 {
            let message = bob.expect("<body>").await;
            assert!(
                message.contains(&format!("<body>{n}</body>")),
                "{n}: {message}"
            );
        }
        let log = scene.log(BOB).await;
        let in_order = log
            .iter()
            .enumerate()
            .all(|(n, s)| s.contains(&format!("<body>{n}</body>")));
        assert!(in_order);
    }
}

#[tokio::test]
async fn d4_a_connection_that_stays_misses_nothing_when_every_hint_is_lost() {
    let scene = Scene::new(Wire::Lossy(1)).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    for n in 0..60 {
        alice.send(&chat(BOB, &n.to_string())).await;
    }
    for n in 0..60 {
        let message = bob.expect("<body>").await;
        assert!(
            message.contains(&format!("<body>{n}</body>")),
            "{n}: {message}"
        );
    }
}

#[tokio::test]
async fn d4_what_came_while_nobody_was_there_waits_and_says_when_it_came() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let alice = scene.online(ALICE, "a").await;
        alice.send(&chat(BOB, "one")).await;
        alice.send(&chat(BOB, "two")).await;
        alice.sync().await;
        let bob = scene.online(BOB, "b").await;
        for body in ["one", "two"] {
            let message = bob.expect("<body>").await;
            assert!(
                message.contains(body) && message.contains("urn:xmpp:delay"),
                "{message}"
            );
        }
        // What has been taken does not wait for the next one.
        bob.close();
        scene.gone(BOB).await;
        let bob = scene.online(BOB, "again").await;
        let written = bob.sync().await;
        assert!(
            !written.iter().any(|line| line.contains("<body>")),
            "{written:?}"
        );
    }
}

#[tokio::test]
async fn d4_a_slow_client_gets_everything_once_it_reads_again() {
    let scene = Scene::new(Wire::Encoded).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    bob.clog(1_000_000);
    for n in 0..120 {
        alice.send(&chat(BOB, &n.to_string())).await;
    }
    alice.sync().await;
    bob.clog(0);
    bob.session.writable();
    for n in 0..120 {
        let message = bob.expect("<body>").await;
        assert!(
            message.contains(&format!("<body>{n}</body>")),
            "{n}: {message}"
        );
    }
}

#[tokio::test]
async fn a_resumed_session_gets_what_was_not_acknowledged_and_what_came_meanwhile() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        let previd = bob.enable_sm().await;
        alice.send(&chat(BOB, "one")).await;
        bob.expect("<body>one</body>").await;
        alice.send(&chat(BOB, "two")).await;
        bob.expect("<body>two</body>").await;
        bob.lose();
        alice.send(&chat(BOB, "three")).await;
        alice.sync().await;
        let (bob, h) = scene
            .resume(BOB, &previd, 1)
            .await
            .expect("the session is there");
        assert_eq!(h, 0);
        for body in ["two", "three"] {
            let message = bob.expect("<body>").await;
            assert!(
                message.contains(&format!("<body>{body}</body>")),
                "{body}: {message}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_client_sends_again_after_a_resumption_is_what_never_came() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let previd = alice.enable_sm().await;
    for n in 0..20 {
        alice.send(&chat(BOB, &n.to_string())).await;
    }
    alice.lose();
    let (_alice, h) = scene
        .resume(ALICE, &previd, 0)
        .await
        .expect("the session is there");
    assert_eq!(
        h as usize,
        scene.log(BOB).await.len(),
        "h is what stands in the log"
    );
}

#[tokio::test]
async fn a13_a_resumption_id_opens_only_its_own_accounts_session() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let previd = alice.enable_sm().await;
    alice.lose();
    assert!(scene.resume(BOB, &previd, 0).await.is_none());
    assert!(scene.resume(ALICE, "guessed", 0).await.is_none());
    assert!(scene.resume(ALICE, &previd, 0).await.is_some());
}

#[tokio::test]
async fn a_message_nobody_took_is_delivered_to_the_next_session() {
    let settings = klatsch_actors::world::Settings {
        resume_seconds: 0,
        tail_check_seconds: 1,
        ..Default::default()
    };
    let scene = Scene::with(Wire::Direct, settings).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    bob.enable_sm().await;
    alice.send(&chat(BOB, "one")).await;
    bob.expect("<body>one</body>").await;
    // It was written and never acknowledged.
    bob.lose();
    scene.gone(BOB).await;
    let bob = scene.online(BOB, "again").await;
    bob.expect_all(&["<body>one</body>", "urn:xmpp:delay"])
        .await;
}

#[tokio::test]
async fn another_device_gets_a_copy_of_what_was_sent_and_received() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        let (phone, desk) = (
            scene.online(ALICE, "phone").await,
            scene.online(ALICE, "desk").await,
        );
        let bob = scene.online(BOB, "b").await;
        desk.enable_carbons().await;
        phone.send(&chat(BOB, "sent")).await;
        let copy = desk.expect("<body>sent</body>").await;
        assert!(copy.contains("<sent xmlns='urn:xmpp:carbons:2'"), "{copy}");
        bob.send(&chat(&format!("{ALICE}/phone"), "received")).await;
        phone.expect("<body>received</body>").await;
        let copy = desk.expect("<body>received</body>").await;
        assert!(
            copy.contains("<received xmlns='urn:xmpp:carbons:2'"),
            "{copy}"
        );
    }
}

#[tokio::test]
async fn a_message_to_an_account_that_is_not_there_is_refused_and_kept_nowhere() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    alice.send(&chat("nobody@example.org", "one")).await;
    alice
        .expect_all(&["type='error'", "service-unavailable"])
        .await;
    alice.send(&chat("bob@elsewhere.net", "two")).await;
    alice
        .expect_all(&["type='error'", "remote-server-not-found"])
        .await;
    assert!(scene.log(ALICE).await.is_empty());
}

#[tokio::test]
async fn a_session_with_the_same_resource_takes_the_place_of_the_one_before() {
    let scene = Scene::new(Wire::Direct).await;
    let first = scene.online(ALICE, "a").await;
    let second = scene.online(ALICE, "a").await;
    let error = first.closed().await.expect("it is told why");
    assert!(format!("{error:?}").contains("Conflict"));
    second.send(&chat(ALICE, "self")).await;
    second.expect("<body>self</body>").await;
}

#[tokio::test]
async fn contacts_see_a_session_come_and_go_however_it_goes() {
    for wire in [Wire::Direct, Wire::Encoded] {
        let scene = Scene::new(wire).await;
        scene.befriend().await;
        let bob = scene.online(BOB, "b").await;
        let alice = scene.bind(ALICE, "a").await;
        alice.send("<presence/>").await;
        bob.expect_all(&["<presence", "from='alice@example.org/a'"])
            .await;
        alice
            .expect_all(&["<presence", "from='bob@example.org/b'"])
            .await;
        alice.lose();
        bob.expect_all(&["from='alice@example.org/a'", "type='unavailable'"])
            .await;
    }
}

#[tokio::test]
async fn a_stopping_node_tells_every_client_and_leaves_nobody_behind() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    scene.node.stop(Duration::from_secs(5)).await;
    let error = alice.closed().await.expect("it is told why");
    assert!(format!("{error:?}").contains("SystemShutdown"));
}

#[tokio::test]
async fn d3_what_waited_comes_before_what_comes_and_neither_comes_twice() {
    for round in 0..20 {
        let scene = Scene::new(Wire::Direct).await;
        let alice = scene.online(ALICE, "a").await;
        for n in 0..10 {
            alice.send(&chat(BOB, &n.to_string())).await;
        }
        alice.sync().await;
        let bob = scene.bind(BOB, "b").await;
        // The messages of a lively chat meet the presence on its way.
        bob.send("<presence/>").await;
        for n in 10..20 {
            alice.send(&chat(BOB, &n.to_string())).await;
        }
        for n in 0..20 {
            let message = bob.expect("<body>").await;
            assert!(
                message.contains(&format!("<body>{n}</body>")),
                "round {round}, {n}: {message}"
            );
        }
        let more = bob.sync().await;
        assert!(!more.iter().any(|line| line.contains("<body>")), "{more:?}");
    }
}

#[tokio::test]
async fn a_resumption_that_fails_does_not_keep_the_session_for_ever() {
    let settings = klatsch_actors::world::Settings {
        resume_seconds: 0,
        ..Default::default()
    };
    let scene = Scene::with(Wire::Direct, settings).await;
    let alice = scene.online(ALICE, "a").await;
    let previd = alice.enable_sm().await;
    // It acknowledges more than it was sent.
    assert!(scene.resume(ALICE, &previd, 1000).await.is_none());
    scene.gone(ALICE).await;
}

#[tokio::test]
async fn what_a_client_sends_before_it_closes_is_dealt_with() {
    for wire in WIRES {
        let scene = Scene::new(wire).await;
        scene.befriend().await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        bob.expect("from='alice@example.org/a'").await;
        for n in 0..20 {
            alice.send(&chat(BOB, &n.to_string())).await;
        }
        alice
            .send("<presence type='unavailable'><status>gone</status></presence>")
            .await;
        alice.close();
        for n in 0..20 {
            bob.expect(&format!("<body>{n}</body>")).await;
        }
        let gone = bob.expect("type='unavailable'").await;
        assert!(gone.contains("<status>gone</status>"), "{gone}");
        scene.gone(ALICE).await;
        assert_eq!(scene.log(BOB).await.len(), 20);
    }
}

/// Entries that no archive shows are deleted a day after delivery to somebody (XEP-0441), so
/// nobody may be behind for so long.
#[tokio::test(start_paused = true)]
async fn d4_a_session_that_is_behind_for_half_a_day_is_ended_and_others_are_not() {
    let scene = Scene::with(Wire::Direct, Default::default()).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    bob.clog(1 << 20);
    alice.send(&chat(BOB, "one")).await;
    alice.sync().await;
    let hours = |hours: u64| tokio::time::sleep(std::time::Duration::from_secs(3600 * hours));
    hours(11).await;
    bob.sync().await;
    hours(2).await;
    let error = bob.closed().await.expect("it is told why");
    assert_eq!(error.condition.as_str(), "policy-violation");
    // Whoever has everything stays, however long.
    alice.sync().await;
    let bob = scene.online(BOB, "again").await;
    bob.expect("<body>one</body>").await;
}
