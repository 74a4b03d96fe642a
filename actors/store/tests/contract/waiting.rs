//! Sessions that wait while the server is away, on every backend.

use bytes::Bytes;
use klatsch_store::{Credentials, Store, WaitingSession};

use crate::support::{at, bare, create, on_every_backend};

on_every_backend![
    what_is_put_away_is_given_out_once,
    whoever_waits_too_long_is_not_given_out,
    a14_another_password_drops_what_waits,
    the_sessions_of_who_may_not_log_in_are_dropped,
];

fn session(account: &str, value: &'static str) -> WaitingSession {
    WaitingSession {
        account: bare(account),
        value: Bytes::from_static(value.as_bytes()),
    }
}

async fn what_is_put_away_is_given_out_once(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let sessions = [session("a@x", "one"), session("b@x", "two")];
    store.put_sessions_away(&sessions, at(9)).await.unwrap();
    let more = [session("a@x", "three"), session("nobody@x", "four")];
    store.put_sessions_away(&more, at(9)).await.unwrap();
    let taken = store.take_sessions(at(1)).await.unwrap();
    assert_eq!(taken, [&sessions[..], &more[..1]].concat());
    assert_eq!(store.take_sessions(at(1)).await.unwrap(), []);
}

async fn whoever_waits_too_long_is_not_given_out(store: &Store) {
    create(store, &["a@x"]).await;
    let late = [session("a@x", "late")];
    store.put_sessions_away(&late, at(5)).await.unwrap();
    assert_eq!(store.take_sessions(at(5)).await.unwrap(), []);
    assert_eq!(store.take_sessions(at(1)).await.unwrap(), []);
}

async fn a14_another_password_drops_what_waits(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let sessions = [session("a@x", "one"), session("b@x", "two")];
    store.put_sessions_away(&sessions, at(9)).await.unwrap();
    let other = Credentials::default();
    store.set_credentials(&bare("a@x"), &other).await.unwrap();
    assert_eq!(store.take_sessions(at(1)).await.unwrap(), sessions[1..]);
}

async fn the_sessions_of_who_may_not_log_in_are_dropped(store: &Store) {
    create(store, &["a@x", "b@x", "c@x"]).await;
    store.set_disabled(&bare("a@x"), true).await.unwrap();
    let sessions = ["a@x", "b@x", "c@x"].map(|account| session(account, "one"));
    store.put_sessions_away(&sessions, at(9)).await.unwrap();
    store.set_disabled(&bare("b@x"), true).await.unwrap();
    store.remove_account(&bare("c@x"), at(2)).await.unwrap();
    create(store, &["c@x"]).await;
    assert_eq!(store.take_sessions(at(1)).await.unwrap(), []);
}
