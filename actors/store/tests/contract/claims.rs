//! Claims to sessions of nodes that are not heard, on every backend.

use bytes::Bytes;
use klatsch_protocol::jid::FullJid;
use klatsch_store::claims::Standing;
use klatsch_store::{Claim, PutAway, Store, WaitingSession};

use crate::support::{at, bare, create, on_every_backend};

on_every_backend![
    a_claim_is_shown_to_the_node_that_has_the_session_until_it_is_answered,
    what_is_answered_cannot_be_pressed,
    what_is_pressed_is_answered_with_nothing,
    a_claim_is_answered_with_its_session_once,
    what_is_pressed_or_claimed_elsewhere_is_not_given,
    the_last_claim_to_a_session_is_the_one_that_counts,
    a_claim_that_nobody_answers_ends,
];

const HOUR: i64 = 3600;

fn claim(node: u16, previd: &str) -> Claim {
    Claim {
        node,
        session: FullJid::parse("a@x/phone").unwrap(),
        previd: previd.to_owned(),
    }
}

async fn a_claim_is_shown_to_the_node_that_has_the_session_until_it_is_answered(store: &Store) {
    let all = [claim(3, "one"), claim(1, "two"), claim(3, "three")];
    for (second, claim) in (1..).zip(&all) {
        store.claim_session(claim, at(second)).await.unwrap();
    }
    let of_three = [all[0].clone(), all[2].clone()];
    assert_eq!(store.claims_on(3, at(9)).await.unwrap(), of_three);
    let answer = async |previd| store.answer_claim(previd, at(9)).await.unwrap();
    assert_eq!(answer("one").await, Standing::Waits);
    assert_eq!(answer("one").await, Standing::Gone);
    assert_eq!(store.claims_on(3, at(9)).await.unwrap(), all[2..]);
    assert_eq!(store.claims_on(1, at(9)).await.unwrap(), all[1..2]);
}

async fn what_is_answered_cannot_be_pressed(store: &Store) {
    store.claim_session(&claim(3, "one"), at(1)).await.unwrap();
    store.answer_claim("one", at(2)).await.unwrap();
    assert!(!store.press_claim("one").await.unwrap());
}

async fn what_is_pressed_is_answered_with_nothing(store: &Store) {
    store.claim_session(&claim(3, "one"), at(1)).await.unwrap();
    assert!(store.press_claim("one").await.unwrap());
    let answer = store.answer_claim("one", at(2)).await.unwrap();
    assert_eq!(answer, Standing::Pressed);
}

fn session(previd: &str) -> WaitingSession {
    WaitingSession {
        account: bare("a@x"),
        previd: previd.to_owned(),
        value: Bytes::from_static(b"session"),
    }
}

async fn a_claim_is_answered_with_its_session_once(store: &Store) {
    create(store, &["a@x"]).await;
    store.claim_session(&claim(3, "one"), at(1)).await.unwrap();
    let claim = claim(3, "one");
    let give = async || {
        let given = store.give_session(&claim, &session("one"), at(9)).await;
        given.unwrap()
    };
    assert_eq!(give().await, Standing::Waits);
    assert!(!store.press_claim("one").await.unwrap());
    assert_eq!(give().await, Standing::Gone);
    let taken = store.take_sessions(&PutAway::All, at(2)).await.unwrap();
    assert_eq!(taken, [session("one")]);
}

async fn what_is_pressed_or_claimed_elsewhere_is_not_given(store: &Store) {
    create(store, &["a@x"]).await;
    for previd in ["one", "two"] {
        store.claim_session(&claim(3, previd), at(1)).await.unwrap();
    }
    store.press_claim("one").await.unwrap();
    store.claim_session(&claim(2, "two"), at(2)).await.unwrap();
    let give = async |previd| {
        let (claim, session) = (claim(3, previd), session(previd));
        let given = store.give_session(&claim, &session, at(9)).await;
        given.unwrap()
    };
    assert_eq!(give("one").await, Standing::Pressed);
    assert_eq!(give("two").await, Standing::Gone);
    assert_eq!(store.take_sessions(&PutAway::All, at(2)).await.unwrap(), []);
    assert_eq!(store.claims_on(2, at(3)).await.unwrap(), [claim(2, "two")]);
}

async fn the_last_claim_to_a_session_is_the_one_that_counts(store: &Store) {
    store.claim_session(&claim(3, "one"), at(1)).await.unwrap();
    store.press_claim("one").await.unwrap();
    store.claim_session(&claim(2, "one"), at(2)).await.unwrap();
    assert_eq!(store.claims_on(3, at(3)).await.unwrap(), []);
    assert_eq!(store.claims_on(2, at(3)).await.unwrap(), [claim(2, "one")]);
    let answer = store.answer_claim("one", at(3)).await.unwrap();
    assert_eq!(answer, Standing::Waits);
}

async fn a_claim_that_nobody_answers_ends(store: &Store) {
    store.claim_session(&claim(7, "old"), at(1)).await.unwrap();
    assert_eq!(store.claims_on(7, at(2 + HOUR)).await.unwrap(), []);
    store.answer_claim("other", at(2 + HOUR)).await.unwrap();
    // Not even for a clock that has been put back.
    assert_eq!(store.claims_on(7, at(1)).await.unwrap(), []);
}
