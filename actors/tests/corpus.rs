//! Rows of the attack corpus whose outcome shows at sessions: each test is named after its row.

mod common;

use std::sync::Arc;

use common::client::Nowhere;
use common::cluster::eventually;
use common::{ALICE, BOB, Client, Scene, bare, chat, peer};
use klatsch_actors::directory::Wire;
use klatsch_protocol::facts::Views;
use klatsch_protocol::stanza::StreamCondition;
use klatsch_protocol::xml::Element;

#[tokio::test]
async fn r01_a_client_speaks_for_its_account_alone() {
    let others = [
        "bob@example.org",
        "bob@example.org/b",
        "admin@example.org",
        "example.org",
        "alice@elsewhere.example/a",
        // A lookalike is somebody else: Cyrillic а.
        "\u{430}lice@example.org/a",
    ];
    for from in others {
        let scene = Scene::new(Wire::Direct).await;
        let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
        let spoof = format!("<message from='{from}' to='{BOB}'><body>spoofed</body></message>");
        alice.send(&spoof).await;
        let error = alice.closed().await.unwrap();
        assert_eq!(error.condition, StreamCondition::InvalidFrom, "{from}");
        let seen = bob.sync().await;
        assert!(!seen.iter().any(|line| line.contains("spoofed")), "{from}");
        assert!(scene.log(BOB).await.is_empty(), "{from}");
    }
}

#[tokio::test]
async fn r01_whatever_own_address_is_named_the_full_one_counts() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let own = [
        "alice@example.org",
        "alice@example.org/a",
        "ALICE@Example.ORG/a",
        // Full-width letters are the same letters (RFC 8264 §5.2.1).
        "\u{ff41}lice@example.org/a",
        // Another resource does not make it another's word.
        "alice@example.org/other",
        "alice@example.org/A",
    ];
    for from in own {
        alice
            .send(&format!(
                "<message type='chat' from='{from}' to='{BOB}'><body>mine</body></message>"
            ))
            .await;
        let message = bob.expect("<body>mine</body>").await;
        assert!(message.contains("from='alice@example.org/a'"), "{message}");
    }
}

#[tokio::test]
async fn r03_r05_forged_copies_and_archive_results_reach_nobody() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let forwarded = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' \
                     from='boss@example.org'><body>poison</body></message></forwarded>";
    let wrappers = [
        format!("<received xmlns='urn:xmpp:carbons:2'>{forwarded}</received>"),
        format!("<sent xmlns='urn:xmpp:carbons:2'>{forwarded}</sent>"),
        format!("<result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>{forwarded}</result>"),
    ];
    for wrapper in wrappers {
        for to in [BOB, "bob@example.org/b"] {
            for kind in ["chat", "normal", "headline"] {
                alice
                    .send(&format!(
                        "<message type='{kind}' to='{to}'>{wrapper}</message>"
                    ))
                    .await;
            }
        }
    }
    alice.send(&chat(BOB, "last")).await;
    alice.sync().await;
    let seen = bob.sync().await.concat();
    assert!(seen.contains("last") && !seen.contains("poison"), "{seen}");
    assert!(!scene.log(BOB).await.concat().contains("poison"));
}

#[tokio::test]
async fn r04_a_forged_push_is_refused_and_not_seen() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice
        .send(
            "<iq type='set' id='push' to='bob@example.org/b'><query xmlns='jabber:iq:roster'>\
             <item jid='evil@example.org' subscription='both'/></query></iq>",
        )
        .await;
    alice
        .expect_all(&["id='push'", "type='error'", "service-unavailable"])
        .await;
    bob.hears_nothing_of("evil").await;
}

#[tokio::test]
async fn r16_whoever_blocks_a_contact_is_not_seen_by_it() {
    let scene = Scene::new(Wire::Direct).await;
    scene.befriend().await;
    for form in ["alice@example.org", "alice@example.org/a"] {
        let bob = scene.online(BOB, "b").await;
        let block = |verb: &str| {
            format!(
                "<iq type='set' id='{verb}'><{verb} xmlns='urn:xmpp:blocking'>\
                 <item jid='{form}'/></{verb}></iq>"
            )
        };
        bob.send(&block("block")).await;
        bob.expect_all(&["id='block'", "result"]).await;
        let alice = scene.online(ALICE, "a").await;
        let seen = alice.sync().await.concat();
        assert!(!seen.contains("from='bob@example.org/b'"), "{form}: {seen}");
        alice.close();
        bob.send(&block("unblock")).await;
        bob.expect_all(&["id='unblock'", "result"]).await;
        bob.close();
        scene.gone(ALICE).await;
        scene.gone(BOB).await;
    }
}

#[tokio::test]
async fn r19_another_ones_answer_is_not_taken_for_an_answer_to_the_server() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    alice.read_roster().await;
    for name in ["one", "two", "three"] {
        alice
            .send(&format!(
                "<iq type='set' id='{name}'><query xmlns='jabber:iq:roster'>\
                 <item jid='{name}@example.org'/></query></iq>"
            ))
            .await;
        let push = alice.expect_all(&["type='set'", name]).await;
        let push = Element::parse(push.as_bytes()).unwrap();
        let id = push.get("id").unwrap();
        // Bob answers the server's push in Alice's place, in every way he can.
        for to in ["example.org", ALICE, "alice@example.org/a"] {
            for kind in ["result", "error"] {
                bob.send(&format!("<iq type='{kind}' id='{id}' to='{to}'/>"))
                    .await;
            }
        }
        bob.sync().await;
        // What reaches her says whose it is: it cannot pass for the server's.
        let seen = alice.sync().await;
        let forged = seen
            .iter()
            .filter(|line| line.contains(&format!("id='{id}'")));
        for line in forged {
            assert!(line.contains("from='bob@example.org/b'"), "{line}");
        }
    }
}

#[tokio::test]
async fn r19_ids_of_pushes_cannot_be_guessed() {
    let scene = Scene::new(Wire::Direct).await;
    let ids: std::collections::BTreeSet<String> = (0..1000)
        .map(|_| klatsch_actors::sessions::random_id())
        .collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.len() >= 22), "128 bits at least");
    drop(scene);
}

#[tokio::test]
async fn a11_a_name_that_is_free_and_one_that_is_taken_answer_alike() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    let _bob = scene.online(BOB, "b").await;
    alice.sync().await;
    let stanzas = [
        "<presence type='probe' to='NAME@example.org'/>",
        "<presence type='probe' to='NAME@example.org/b'/>",
        "<presence type='subscribe' to='NAME@example.org'/>",
        "<presence type='subscribed' to='NAME@example.org'/>",
        "<presence type='unsubscribe' to='NAME@example.org'/>",
        "<presence type='unsubscribed' to='NAME@example.org'/>",
        "<presence to='NAME@example.org/x'/>",
        "<iq type='get' id='i' to='NAME@example.org'>\
         <query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        "<iq type='get' id='i' to='NAME@example.org'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='get' id='i' to='NAME@example.org'><query xmlns='jabber:iq:last'/></iq>",
        "<iq type='get' id='i' to='NAME@example.org/x'><query xmlns='jabber:iq:version'/></iq>",
        "<iq type='set' id='i' to='NAME@example.org'><query xmlns='urn:xmpp:mam:2'/></iq>",
        "<message type='groupchat' id='i' to='NAME@example.org/x'><body>x</body></message>",
    ];
    for stanza in stanzas {
        let taken = answers(&alice, stanza, "bob").await;
        let free = answers(&alice, stanza, "nobody").await;
        assert_eq!(taken, free, "{stanza}");
    }
}

/// What comes back for a stanza, whoever it was for.
async fn answers(client: &Client, stanza: &str, name: &str) -> String {
    client.send(&stanza.replace("NAME", name)).await;
    // What the server does for an account ends before the next stanza is looked at.
    let lines = client.sync().await;
    lines
        .concat()
        .replace(&format!("{name}@example.org"), "NAME@example.org")
}

#[tokio::test]
async fn a15_an_account_binds_ten_resources_of_a_thousand_and_nobody_else_is_kept_out() {
    let scene = Scene::new(Wire::Direct).await;
    let mut bound = Vec::new();
    let mut refusals = 0;
    for n in 0..1000 {
        let resource = Some(format!("r{n}"));
        let sink = Arc::new(Nowhere);
        match scene
            .sessions()
            .bind(bare(ALICE), resource, sink, peer())
            .await
        {
            Ok(session) => bound.push(session),
            Err(_) => refusals += 1,
        }
    }
    assert_eq!((bound.len(), refusals), (10, 990));
    assert_eq!(scene.sessions().list(None).len(), 10);
    scene.online(BOB, "b").await.sync().await;
}

#[tokio::test]
async fn a15_lost_sessions_keep_out_nobody_who_comes() {
    let scene = Scene::new(Wire::Direct).await;
    let mut stay = Vec::new();
    for n in 0..10 {
        let client = scene.online(ALICE, &format!("r{n}")).await;
        client.enable_sm().await;
        match n % 2 {
            0 => stay.push(client),
            _ => client.lose(),
        }
    }
    let view = || scene.sessions().world().directory.view(&bare(ALICE));
    eventually(|| view().resources.iter().filter(|it| it.is_away).count() == 5).await;
    for n in 10..15 {
        stay.push(scene.online(ALICE, &format!("r{n}")).await);
    }
    let mut left: Vec<String> = scene
        .sessions()
        .list(Some(&bare(ALICE)))
        .iter()
        .map(|it| it.resource().to_owned())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "r0", "r10", "r11", "r12", "r13", "r14", "r2", "r4", "r6", "r8"
        ]
    );
    for client in &stay {
        client.sync().await;
    }
}
