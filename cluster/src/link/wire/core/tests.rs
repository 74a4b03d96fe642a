//! What becomes of batches, and of connections, without sockets.

use super::*;
use crate::link::wire::batch::Writer;
use crate::link::wire::claims;
use crate::members::State;
use crate::membership::Heartbeat;
use crate::node_id::Incarnation;

/// Writes down what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Receive for Heard {
    fn receive(&self, from: NodeId, channel: Channel, message: Bytes) {
        let text = String::from_utf8_lossy(&message);
        lock(&self.0).push(format!("{from} {channel:?} {text}"));
    }
    fn missed(&self, from: NodeId) {
        lock(&self.0).push(format!("{from} missed"));
    }
}

fn life(node: u16) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

fn core() -> (Arc<Core>, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let core = Core::new(life(1), "node1", Settings::default(), heard.clone());
    (Arc::new(core), heard)
}

/// A connection with a node, as if it had dialled.
fn connect(core: &Core, node: u16) -> Arc<Connection> {
    let place = claims::accept(core.claims(), life(node), core.now()).unwrap();
    let agreed = Agreed {
        peer: Hello::new(life(node), &format!("node{node}"), 99),
        token: u128::from(node),
        place,
        round_trip: Duration::from_millis(1),
        is_dialled: false,
    };
    core.adopt(agreed, "127.0.0.1:1".parse().unwrap())
}

fn batch(token: Token, fill: impl FnOnce(&mut Writer)) -> Bytes {
    let mut writer = Writer::new(token, 0, 0);
    fill(&mut writer);
    writer.finish().into()
}

fn heard(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut lock(&heard.0))
}

fn state(core: &Core, node: u16) -> State {
    core.members().borrow().member(NodeId(node)).unwrap().state
}

#[tokio::test]
async fn c05_a_batch_is_from_the_node_whose_token_it_bears_and_from_nobody_without() {
    let (core, ears) = core();
    connect(&core, 2);
    connect(&core, 3);
    let hello = |token| batch(token, |batch| batch.envelope(Channel::Mail, b"hello"));
    core.receive(hello(3));
    assert_eq!(heard(&ears), ["3 missed", "3 Mail hello"]);
    core.receive(hello(77));
    assert!(heard(&ears).is_empty());
    assert!(core.members().borrow().member(NodeId(2)).is_none());
}

#[tokio::test]
async fn what_is_sent_to_nobody_or_over_an_ended_connection_is_unreachable() {
    let (core, _ears) = core();
    let send = || {
        core.send(
            NodeId(2),
            Lane::Bulk,
            Channel::Mail,
            Bytes::from_static(b"x"),
        )
    };
    assert_eq!(send(), Handed::Unreachable);
    let connection = connect(&core, 2);
    core.live(&connection);
    assert_eq!(send(), Handed::Queued);
    assert_eq!(state(&core, 2), State::Up);
    core.ended(&connection);
    assert_eq!(send(), Handed::Unreachable);
    assert_eq!(state(&core, 2), State::Suspect);
}

#[tokio::test]
async fn batches_of_a_connection_that_has_ended_are_not_heard() {
    let (core, ears) = core();
    let connection = connect(&core, 2);
    core.ended(&connection);
    core.receive(batch(2, |batch| batch.missed()));
    core.live(&connection);
    assert!(heard(&ears).is_empty());
    assert!(!core.is_connected(NodeId(2)));
}

#[tokio::test]
async fn a_new_connection_tells_that_something_was_missed() {
    let (core, ears) = core();
    for _ in 0..2 {
        let connection = connect(&core, 2);
        core.live(&connection);
        core.live(&connection);
        assert_eq!(heard(&ears), ["2 missed"]);
        core.ended(&connection);
    }
}

#[tokio::test]
async fn c04_what_is_behind_a_length_bomb_is_not_heard() {
    let (core, ears) = core();
    connect(&core, 2);
    let mut bytes = batch(2, |batch| batch.envelope(Channel::Mail, b"before")).to_vec();
    bytes.extend_from_slice(b"\x01\x02\xff\xff\xff\x7f");
    bytes.extend_from_slice(b"\x01\x02\x05\0\0\0after");
    core.receive(bytes.into());
    assert_eq!(heard(&ears), ["2 missed", "2 Mail before"]);
}

#[tokio::test]
async fn c06_what_a_later_version_says_changes_nothing_else() {
    let (core, ears) = core();
    connect(&core, 2);
    let mut bytes = batch(2, |_| {}).to_vec();
    bytes.extend_from_slice(b"\xee\0\x01\0\0\0?");
    bytes.extend_from_slice(b"\x01\xee\x01\0\0\0?");
    bytes.extend_from_slice(b"\x01\x02\x05\0\0\0known");
    core.receive(bytes.into());
    assert_eq!(heard(&ears), ["2 missed", "2 Mail known"]);
}

#[tokio::test]
async fn overflow_is_told_to_the_sender_at_once_and_counted() {
    let (core, _ears) = core();
    let connection = connect(&core, 2);
    core.live(&connection);
    let message = Bytes::from(vec![0; 1024 * 1024]);
    let send = || core.send(NodeId(2), Lane::Bulk, Channel::Mail, message.clone());
    let handed: Vec<Handed> = (0..17).map(|_| send()).collect();
    assert_eq!(handed[14], Handed::Queued);
    assert_eq!(handed[16], Handed::Overflowed);
    let status = core.status();
    assert!(status[0].overflows >= 1);
    assert!(status[0].queued_bytes <= core.settings().queue_bytes_max);
}

#[tokio::test]
async fn a_node_that_leaves_is_seen_to_and_gone_with_its_connection() {
    let (core, _ears) = core();
    let connection = connect(&core, 2);
    let beat = Heartbeat {
        sent: 1,
        echo: 0,
        held: 0,
        silence: 0,
        is_leaving: true,
    };
    core.receive(batch(2, |batch| batch.heartbeat(&beat)));
    assert_eq!(state(&core, 2), State::Leaving);
    core.ended(&connection);
    assert_eq!(state(&core, 2), State::Down);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_down_after_five_seconds_and_its_connection_ends() {
    let (core, _ears) = core();
    let connection = connect(&core, 2);
    core.live(&connection);
    let mut looked = 0;
    while state(&core, 2) != State::Down {
        tokio::time::sleep(Duration::from_millis(250)).await;
        core.look();
        looked += 1;
    }
    assert!((20..=21).contains(&looked), "{looked} looks");
    connection.ended().await;
    assert!(!core.is_connected(NodeId(2)));
}
