//! Handshakes between two nodes of one process, over streams in memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::link::{Channel, Receive};
use crate::node_id::Incarnation;
use crate::settings::Settings;

/// Hears nothing.
struct Nobody;

impl Receive for Nobody {
    fn receive(&self, _from: NodeId, _channel: Channel, _message: Bytes) {}
    fn missed(&self, _from: NodeId) {}
}

fn life(node: u16, incarnation: u64) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

fn core(node: u16, incarnation: u64) -> Core {
    let (life, name) = (life(node, incarnation), name(node));
    Core::new(life, &name, Settings::default(), Arc::new(Nobody))
}

fn name(node: u16) -> String {
    format!("node{node}")
}

fn streams() -> (DuplexStream, DuplexStream) {
    duplex(4096)
}

/// Has one node dial another.
async fn meet(
    dialler: &Core,
    acceptor: &Core,
) -> (
    Result<Agreed, HandshakeError>,
    Result<Agreed, HandshakeError>,
) {
    let (mut near, mut far) = streams();
    let (theirs, ours) = (acceptor.name().to_owned(), dialler.name().to_owned());
    let mut met = None;
    tokio::join!(
        dial(dialler, &mut near, &theirs, &mut met),
        accept(acceptor, &mut far, &ours)
    )
}

/// The first words of a stranger to an acceptor; what it answers, and what becomes of it.
async fn stranger(acceptor: &Core, bytes: &[u8]) -> (Option<Word>, HandshakeError) {
    let (mut near, mut far) = streams();
    near.write_all(bytes).await.unwrap();
    let error = accept(acceptor, &mut far, "node2").await.unwrap_err();
    drop(far);
    (hear(&mut near).await.ok(), error)
}

async fn stranger_says(acceptor: &Core, hello: Hello) -> (Option<Word>, HandshakeError) {
    let word = codec::encode(&Word::Hello(hello)).unwrap();
    let bytes = [&(word.len() as u16).to_be_bytes()[..], &word].concat();
    stranger(acceptor, &bytes).await
}

#[tokio::test]
async fn two_nodes_agree_on_who_they_are_and_on_their_tokens() {
    let (one, two) = (core(1, 10), core(2, 20));
    let (near, far) = meet(&one, &two).await;
    let (near, far) = (near.unwrap(), far.unwrap());
    assert_eq!((near.peer.life, far.peer.life), (two.me(), one.me()));
    assert_eq!((near.peer.token, far.peer.token), (far.token, near.token));
    assert!(near.is_dialled && !far.is_dialled);
    assert_ne!(near.token, far.token);
}

#[tokio::test]
async fn who_is_connected_opens_no_second_connection_until_the_first_has_ended() {
    let (one, two) = (core(1, 10), core(2, 20));
    let (near, far) = meet(&one, &two).await;
    let (again, refused) = meet(&two, &one).await;
    assert!(matches!(
        again,
        Err(HandshakeError::Refused(Refusal::Connected))
    ));
    assert!(matches!(
        refused,
        Err(HandshakeError::RefusedUs(Refusal::Connected))
    ));
    drop((near, far));
    let (again, _) = meet(&two, &one).await;
    assert!(again.is_ok());
}

#[tokio::test]
async fn a_stale_connection_gives_way_to_whoever_has_lost_it() {
    let (one, two) = (core(1, 10), core(2, 20));
    let (near, far) = meet(&one, &two).await;
    // Node one has noticed the end, node two has not.
    drop(near);
    let stale = two.adopt(far.unwrap(), "127.0.0.1:1".parse().unwrap());
    let (near, far) = meet(&one, &two).await;
    assert!(near.is_ok() && far.is_ok());
    assert!(stale.has_ended());
}

#[tokio::test]
async fn a_node_recognises_itself() {
    let one = core(1, 10);
    let (near, far) = meet(&one, &one).await;
    assert!(matches!(far, Err(HandshakeError::Refused(Refusal::Itself))));
    assert!(matches!(
        near,
        Err(HandshakeError::RefusedUs(Refusal::Itself))
    ));
}

#[tokio::test]
async fn an_earlier_life_is_refused_and_told() {
    let (one, two, two_before) = (core(1, 10), core(2, 20), core(2, 19));
    let (near, _far) = meet(&one, &two).await;
    let connection = one.adopt(near.unwrap(), "127.0.0.1:1".parse().unwrap());
    one.live(&Arc::clone(&connection));
    let (near, far) = meet(&two_before, &one).await;
    assert!(matches!(
        far,
        Err(HandshakeError::Refused(Refusal::Superseded(20)))
    ));
    assert!(matches!(
        near,
        Err(HandshakeError::RefusedUs(Refusal::Superseded(20)))
    ));
    assert!(two_before.is_superseded() && !two.is_superseded());
    // A later one takes its place.
    let (near, _far) = meet(&core(2, 21), &one).await;
    assert!(near.is_ok());
    assert!(connection.has_ended());
}

#[tokio::test]
async fn c05_a_node_is_nobody_but_its_certificate() {
    let one = core(1, 10);
    let hello = Hello::new(life(3, 30), "node3", 0);
    let (answer, error) = stranger_says(&one, hello).await;
    assert_eq!(answer, Some(Word::Refused(Refusal::Certificate)));
    assert!(matches!(
        error,
        HandshakeError::Refused(Refusal::Certificate)
    ));
}

#[tokio::test]
async fn c06_versions_that_do_not_overlap_are_refused_with_both_named() {
    let one = core(1, 10);
    let hello = Hello {
        lowest: 7,
        highest: 9,
        ..Hello::new(life(2, 20), "node2", 0)
    };
    let (answer, error) = stranger_says(&one, hello.clone()).await;
    assert_eq!(answer, Some(Word::Refused(Refusal::Version)));
    assert!(error.to_string().contains("7–9"), "{error}");
    assert!(error.to_string().contains("1–1"), "{error}");
    let older = Hello { lowest: 1, ..hello };
    assert_eq!(older.version(), Some(1));
}

#[tokio::test]
async fn c04_words_that_nobody_says_are_refused() {
    let one = core(1, 10);
    let (_, error) = stranger(&one, b"\xff\xff").await;
    assert!(matches!(error, HandshakeError::TooLarge(65535)));
    let (_, error) = stranger(&one, b"\x00\x03\x01\x07\x07").await;
    assert!(matches!(error, HandshakeError::Codec(_)));
    // A name of 2^40 bytes is announced.
    let bomb = b"\x00\x0f\x01\x00\x01\x01\x02\x14\xfd\0\0\0\0\0\x01\0\0";
    let (_, error) = stranger(&one, bomb).await;
    assert!(matches!(error, HandshakeError::Codec(_)));
    let (_, error) = stranger(&one, b"\x00\x02\x01\x01").await;
    assert!(matches!(error, HandshakeError::Unexpected));
}

#[tokio::test(start_paused = true)]
async fn c02_who_says_nothing_is_let_go_after_five_seconds() {
    let one = core(1, 10);
    let (_near, mut far) = streams();
    let began = Instant::now();
    let error = accept(&one, &mut far, "node2").await.unwrap_err();
    assert!(matches!(error, HandshakeError::Deadline));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_comes_to_nothing_leaves_no_claim() {
    let (one, two) = (core(1, 10), core(2, 20));
    let (mut near, mut far) = streams();
    let hello = Word::Hello(two.hello(5));
    let mut met = None;
    let (error, ()) = tokio::join!(dial(&one, &mut near, "node2", &mut met), async {
        hear(&mut far).await.unwrap();
        say(&mut far, &hello).await.unwrap();
    });
    assert!(matches!(error, Err(HandshakeError::Deadline)));
    assert_eq!(met, Some(NodeId(2)));
    let (near, _far) = meet(&one, &two).await;
    assert!(near.is_ok());
}

#[test]
fn the_words_of_the_handshake_stay_what_they_are() {
    let hello = Hello {
        lowest: 1,
        highest: 2,
        life: life(3, 300),
        name: "node3".to_owned(),
        token: 5,
    };
    let golden: [(Word, &[u8]); 6] = [
        (
            Word::Hello(hello),
            b"\x01\x00\x01\x02\x03\xfb\x2c\x01\x05node3\x05",
        ),
        (Word::Open, b"\x01\x01"),
        (Word::Accepted, b"\x01\x02"),
        (Word::Refused(Refusal::Itself), b"\x01\x03\x00"),
        (Word::Refused(Refusal::Superseded(9)), b"\x01\x03\x01\x09"),
        (Word::Refused(Refusal::Version), b"\x01\x03\x06"),
    ];
    for (word, bytes) in golden {
        assert_eq!(codec::encode(&word).unwrap(), bytes, "{word:?}");
    }
}
