//! Accounts changed under their sessions: rows A13 and A14 of the attack corpus.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::people::{group_at, person};
use common::{ALICE, BOB, Client, Scene, bare};
use klatsch_actors::account_change::AccountError;
use klatsch_actors::directory::Wire;
use klatsch_actors::session::{Pressure, Sink};
use klatsch_actors::sessions::random_id;
use klatsch_actors::world::random;
use klatsch_protocol::account::{AccountAct, AccountChange};
use klatsch_protocol::colleagues::Person;
use klatsch_protocol::features::invitation;
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stanza::{Stanza, StreamCondition, StreamError};
use klatsch_protocol::stream::register::NewAccount;
use klatsch_protocol::xml::Element;

async fn change(scene: &Scene, account: &str, act: AccountAct) {
    let account = bare(account);
    let change = AccountChange { account, act };
    scene.sessions().change_account(change).await.unwrap();
}

fn another_password() -> AccountAct {
    AccountAct::Password(Secret::new("another password"))
}

async fn ended(client: &Client) {
    let error = client.closed().await.unwrap();
    assert_eq!(error.condition, StreamCondition::NotAuthorized);
}

#[tokio::test]
async fn a14_another_password_ends_all_sessions_and_none_is_resumed() {
    for wire in [Wire::Direct, Wire::Encoded] {
        let scene = Scene::new(wire).await;
        let here = scene.online(ALICE, "here").await;
        let away = scene.online(ALICE, "away").await;
        let another = scene.online(BOB, "b").await;
        let (here_id, away_id) = (here.enable_sm().await, away.enable_sm().await);
        away.lose();
        change(&scene, ALICE, another_password()).await;
        ended(&here).await;
        for previd in [here_id, away_id] {
            assert!(scene.resume(ALICE, &previd, 0).await.is_none());
        }
        scene.gone(ALICE).await;
        another.sync().await;
    }
}

#[tokio::test]
async fn a14_account_that_may_not_log_in_any_more_has_no_session() {
    let scene = Scene::new(Wire::Direct).await;
    let alice = scene.online(ALICE, "a").await;
    change(&scene, ALICE, AccountAct::Disable(true)).await;
    ended(&alice).await;
    scene.gone(ALICE).await;
    change(&scene, ALICE, AccountAct::Disable(false)).await;
    scene.online(ALICE, "a").await.sync().await;
}

#[tokio::test]
async fn a14_removed_account_leaves_its_contacts() {
    let scene = Scene::new(Wire::Direct).await;
    scene.befriend().await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    bob.read_roster().await;
    change(&scene, ALICE, AccountAct::Remove).await;
    ended(&alice).await;
    bob.expect_all(&["<item jid='alice@example.org'", "subscription='none'"])
        .await;
    scene.gone(ALICE).await;
    let snapshot = scene.store.snapshot(&bare(ALICE)).await;
    assert!(snapshot.is_err(), "nothing is left");
}

/// A connection that only says how it ended.
#[derive(Default)]
struct End(std::sync::Mutex<Option<StreamError>>);

impl Sink for End {
    fn stanza(&self, _: &Stanza) -> Pressure {
        Pressure::Free
    }

    fn nonza(&self, _: &Element) -> Pressure {
        Pressure::Free
    }

    fn close(&self, error: Option<StreamError>) {
        *self.0.lock().unwrap() = error;
    }

    fn queued(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn a14_who_has_proved_the_old_password_before_gets_no_session_after() {
    let scene = Scene::new(Wire::Direct).await;
    let bind = async |proved| {
        let mut peer = common::peer();
        peer.proved = proved;
        let bound = scene.sessions().bind(
            bare(ALICE),
            Some("a".into()),
            Arc::new(End::default()),
            peer,
        );
        bound.await.map(|(jid, _)| jid)
    };
    let before = Instant::now();
    assert!(bind(before).await.is_ok());
    change(&scene, ALICE, another_password()).await;
    let refused = bind(before).await.unwrap_err();
    assert_eq!(refused.condition.as_str(), "not-authorized");
    scene.gone(ALICE).await;
    let after = Instant::now() + Duration::from_nanos(1);
    assert!(bind(after).await.is_ok());
}

/// Resumption ids, tokens of invitations and slots of files are made of these.
#[test]
fn a13_what_nobody_may_guess_is_long_and_never_the_same() {
    const COUNT: usize = 50_000;
    let ids = (0..COUNT).map(|_| random_id());
    let tokens = (0..COUNT).map(|_| invitation::token(random).expose().to_owned());
    for (made, digits) in [(ids.collect::<Vec<_>>(), 32), (tokens.collect(), 64)] {
        let is_hex = |id: &String| id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(made.iter().all(|id| id.len() == digits && is_hex(id)));
        let distinct: std::collections::HashSet<&String> = made.iter().collect();
        assert_eq!(distinct.len(), COUNT);
        // Each digit stands at each place about equally often: nowhere is a counter or a clock.
        // With 50,000 ids a digit's share is 3,125; 600 more are eleven standard deviations.
        for place in 0..digits {
            let mut counts = [0_usize; 16];
            for id in &made {
                let digit = char::from(id.as_bytes()[place]).to_digit(16).unwrap();
                counts[digit as usize] += 1;
            }
            let is_even = |count: &usize| count.abs_diff(COUNT / 16) < 600;
            assert!(counts.iter().all(is_even), "place {place}: {counts:?}");
        }
    }
}

/// Tells whether somebody may do what administrators do.
async fn administrates(client: &Client) -> bool {
    client
        .send(
            "<iq type='set' id='command' to='example.org'>\
             <command xmlns='http://jabber.org/protocol/commands' action='execute' \
             node='http://jabber.org/protocol/admin#get-registered-users-num'/></iq>",
        )
        .await;
    let answer = client.expect("id='command'").await;
    answer.contains("type='result'")
}

#[tokio::test]
async fn r13_role_in_the_directory_makes_an_administrator_of_that_account_as_long_as_it_is_there() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, bob) = (scene.online(ALICE, "a").await, scene.online(BOB, "b").await);
    let boss = Person {
        is_admin: true,
        aliases: vec![bare(BOB)],
        ..person(ALICE, "example.org")
    };
    assert!(!administrates(&alice).await);
    scene.has([boss.clone()]).await;
    assert!(administrates(&alice).await);
    assert!(!administrates(&bob).await, "it is an alias");
    scene.has([person(ALICE, "example.org")]).await;
    assert!(!administrates(&alice).await);
    // What an operator has done by hand stays.
    scene.has([boss]).await;
    change(&scene, ALICE, AccountAct::Administrator(true)).await;
    scene.has([person(ALICE, "example.org")]).await;
    assert!(administrates(&alice).await);
}

#[tokio::test]
async fn r13_nobody_registers_whom_the_directory_knows_or_a_groups_address() {
    let scene = Scene::new(Wire::Direct).await;
    scene.has([person("boss@example.org", "example.org")]).await;
    let staff = group_at("staff@example.org", "Staff", &[]);
    scene.has_group("g", Some(staff)).await;
    for taken in ["boss@example.org", "staff@example.org"] {
        let new = NewAccount {
            account: bare(taken),
            password: Secret::new("password of somebody"),
            token: None,
        };
        let refused = scene.sessions().register(new).await;
        assert!(matches!(refused, Err(AccountError::Exists)), "{taken}");
    }
}
