//! Sessions that wait while the server is away, on every backend.

use bytes::Bytes;
use klatsch_store::{Credentials, PutAway, Store, WaitingSession};

use crate::support::{Schema, at, bare, create, on_every_backend};

on_every_backend![
    what_is_put_away_is_given_out_once,
    whoever_waits_too_long_is_not_given_out,
    what_is_not_meant_stays_put_away,
    a_client_takes_its_own_session_and_those_of_which_nobody_knows_the_id,
    a14_another_password_drops_what_waits,
    the_sessions_of_who_may_not_log_in_are_dropped,
];

fn session(account: &str, value: &'static str) -> WaitingSession {
    WaitingSession {
        account: bare(account),
        previd: format!("id-{value}"),
        value: Bytes::from_static(value.as_bytes()),
    }
}

async fn what_is_put_away_is_given_out_once(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let sessions = [session("a@x", "one"), session("b@x", "two")];
    store
        .put_sessions_away(None, &sessions, at(9))
        .await
        .unwrap();
    let more = [session("a@x", "three"), session("nobody@x", "four")];
    store.put_sessions_away(None, &more, at(9)).await.unwrap();
    let taken = store.take_sessions(&PutAway::All, at(1)).await.unwrap();
    assert_eq!(taken, [&sessions[..], &more[..1]].concat());
    assert_eq!(store.take_sessions(&PutAway::All, at(1)).await.unwrap(), []);
}

async fn whoever_waits_too_long_is_not_given_out(store: &Store) {
    create(store, &["a@x"]).await;
    let late = [session("a@x", "late")];
    store.put_sessions_away(None, &late, at(5)).await.unwrap();
    assert_eq!(store.take_sessions(&PutAway::All, at(5)).await.unwrap(), []);
    assert_eq!(store.take_sessions(&PutAway::All, at(1)).await.unwrap(), []);
}

async fn what_is_not_meant_stays_put_away(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let sessions = [session("a@x", "one"), session("b@x", "two")];
    store
        .put_sessions_away(None, &sessions, at(9))
        .await
        .unwrap();
    let later = [session("a@x", "three")];
    store.put_sessions_away(None, &later, at(20)).await.unwrap();
    let take = async |which: PutAway| store.take_sessions(&which, at(1)).await.unwrap();
    assert_eq!(take(PutAway::One(bare("a@x"), "id-two".into())).await, []);
    assert_eq!(take(PutAway::EndingBy(at(8))).await, []);
    let two = PutAway::One(bare("b@x"), "id-two".into());
    assert_eq!(take(two).await, sessions[1..]);
    assert_eq!(take(PutAway::EndingBy(at(9))).await, sessions[..1]);
    // Nobody knows which node it was.
    assert_eq!(take(PutAway::ByNode(7)).await, later);
    assert_eq!(take(PutAway::All).await, []);
}

async fn a_client_takes_its_own_session_and_those_of_which_nobody_knows_the_id(store: &Store) {
    create(store, &["a@x"]).await;
    let unknown = WaitingSession {
        previd: String::new(),
        ..session("a@x", "unknown")
    };
    let sessions = [session("a@x", "one"), session("a@x", "two"), unknown];
    store
        .put_sessions_away(None, &sessions, at(9))
        .await
        .unwrap();
    let take = async |which: PutAway| store.take_sessions(&which, at(1)).await.unwrap();
    let one = PutAway::One(bare("a@x"), "id-two".into());
    assert_eq!(take(one).await, sessions[1..]);
    assert_eq!(take(PutAway::All).await, sessions[..1]);
}

/// SQLite serves one node.
async fn a_node_takes_what_it_has_put_away_itself(store: &Store) {
    create(store, &["a@x"]).await;
    let (one, two) = ([session("a@x", "one")], [session("a@x", "two")]);
    store.put_sessions_away(Some(1), &one, at(9)).await.unwrap();
    store.put_sessions_away(Some(2), &two, at(9)).await.unwrap();
    let take = async |which: PutAway| store.take_sessions(&which, at(1)).await.unwrap();
    assert_eq!(take(PutAway::ByNode(3)).await, []);
    assert_eq!(take(PutAway::ByNode(2)).await, two);
    assert_eq!(take(PutAway::EndingBy(at(9))).await, one);
}

#[tokio::test]
async fn a_node_in_memory_takes_what_it_has_put_away_itself() {
    let store = Store::open("memory:").await.unwrap();
    a_node_takes_what_it_has_put_away_itself(&store).await;
}

#[tokio::test]
async fn a_node_on_postgresql_takes_what_it_has_put_away_itself() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let store = schema.open().await;
    a_node_takes_what_it_has_put_away_itself(&store).await;
    drop(store);
    schema.remove().await;
}

async fn a14_another_password_drops_what_waits(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let sessions = [session("a@x", "one"), session("b@x", "two")];
    store
        .put_sessions_away(None, &sessions, at(9))
        .await
        .unwrap();
    let other = Credentials::default();
    store.set_credentials(&bare("a@x"), &other).await.unwrap();
    assert_eq!(
        store.take_sessions(&PutAway::All, at(1)).await.unwrap(),
        sessions[1..]
    );
}

async fn the_sessions_of_who_may_not_log_in_are_dropped(store: &Store) {
    create(store, &["a@x", "b@x", "c@x"]).await;
    store.set_disabled(&bare("a@x"), true).await.unwrap();
    let sessions = ["a@x", "b@x", "c@x"].map(|account| session(account, "one"));
    store
        .put_sessions_away(None, &sessions, at(9))
        .await
        .unwrap();
    store.set_disabled(&bare("b@x"), true).await.unwrap();
    store.remove_account(&bare("c@x"), at(2)).await.unwrap();
    create(store, &["c@x"]).await;
    assert_eq!(store.take_sessions(&PutAway::All, at(1)).await.unwrap(), []);
}
