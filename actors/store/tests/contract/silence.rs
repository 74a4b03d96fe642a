//! A PostgreSQL that does not answer any more, as behind a cable that was pulled: no error comes
//! from it, so the store has to give up by itself (D5), and to make new connections afterwards.
//! Where `KLATSCH_TEST_POSTGRES` names a server; elsewhere there is nothing to test.

use std::time::{Duration, Instant};

use klatsch_store::{Appended, Store, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{Schema, append, bare, couple, keyed};

/// Everybody is to have an error by then: the store's ten seconds and some for a slow machine.
const GIVEN_UP: Duration = Duration::from_secs(14);

/// Carries bytes until the cable is pulled; then this connection is silent for ever.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cable: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 * 1024];
    let born = *cable.borrow_and_update();
    if !born {
        std::future::pending::<()>().await;
    }
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            _ = cable.changed() => std::future::pending().await,
        };
        match read {
            Ok(read) if read > 0 => to.write_all(&bytes[..read]).await.unwrap(),
            _ => return,
        }
    }
}

/// A way to the server that can be cut; answers its address.
async fn way(server: String, cable: watch::Receiver<bool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&server).await.unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(carry(near_read, far_write, cable.clone()));
            tokio::spawn(carry(far_read, near_write, cable.clone()));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_silent_is_an_error_within_seconds_and_comes_back() {
    let Some(schema) = Schema::make().await else {
        return;
    };
    let url = schema.url();
    let (_, host) = url.split_once('@').unwrap();
    let (server, _) = host.split_once('/').unwrap();
    let (cable, is_plugged) = watch::channel(true);
    let near = way(server.to_owned(), is_plugged).await;
    let store = Store::open(&url.replace(server, &near)).await.unwrap();
    couple(&store).await;
    let romeo = bare("romeo@example.org");
    append(&store, keyed(1, 1, 1)).await;
    cable.send(false).unwrap();
    let begun = Instant::now();
    let (appended, read, health) = tokio::join!(
        store.append(vec![keyed(2, 2, 2)]),
        store.entries(&romeo, 0, 10),
        store.health(),
    );
    assert!(
        matches!(appended, Err(StoreError::Unavailable(_))),
        "{appended:?}"
    );
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(
        matches!(health, Err(StoreError::Unavailable(_))),
        "{health:?}"
    );
    assert!(begun.elapsed() < GIVEN_UP, "{:?}", begun.elapsed());
    cable.send(true).unwrap();
    let begun = Instant::now();
    // What was in use is given up one by one; nobody has to start anything again.
    let answer = loop {
        match store.append(vec![keyed(2, 2, 2)]).await {
            Ok(answers) => break answers[0],
            Err(StoreError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
        assert!(begun.elapsed() < GIVEN_UP, "it does not come back");
    };
    assert!(matches!(answer, Appended::Stored { .. }), "{answer:?}");
    assert_eq!(store.entries(&romeo, 0, 10).await.unwrap().len(), 2);
    drop(store);
    schema.remove().await;
}
