//! Row C07: what a peer that errs, or lies, says of presence is refused and counted, and what
//! it may say of itself harms nobody else.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::sync::Arc;
use std::time::Duration;

use klatsch_cluster::members::{Member, Members, State};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::presence::replica::apply::Refusal;
use klatsch_cluster::presence::snapshot::{Entry, mark};
use klatsch_cluster::presence::wire::{
    Add, Answer, Ask, Beaten, Delta, Envelope, Gone, Hello, Message, Part, Rank,
};
use klatsch_cluster::presence::{Lost, Now, Output, Replica, Settings};

type Net = Replica<u8, u32>;

const WALL: u64 = 1_700_000_000_000;

fn life(node: u16) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(10),
    }
}

fn now(at: u64) -> Now {
    Now {
        at: Duration::from_millis(at),
        wall: WALL,
    }
}

/// Node 1, which knows nodes 2 and 3.
fn replica() -> Net {
    let settings = Settings {
        shards: 1,
        groups: 1,
        ..Settings::default()
    };
    let mut replica = Replica::new(settings, life(1), 0);
    let others = [2, 3].map(|node| Member {
        life: life(node),
        name: "node".into(),
        state: State::Up,
        is_silent: false,
    });
    let members = Members {
        others: others.to_vec(),
        ..Members::alone(life(1))
    };
    replica.members(&members, now(0));
    replica.take_output();
    replica
}

fn envelope(message: Message<u8, u32>) -> Envelope<u8, u32> {
    Envelope {
        group: 0,
        incarnation: Incarnation(10),
        message,
    }
}

fn entry(key: u8, value: u32, since: u64) -> Arc<Entry<u8, u32>> {
    Arc::new(Entry { key, value, since })
}

/// A delta that adds one entry.
fn delta(from: u64, to: u64, since: u64) -> Delta<u8, u32> {
    Delta {
        shard: 0,
        from,
        to,
        adds: vec![Add {
            gap: to.wrapping_sub(from),
            entry: entry(1, 7, since),
        }],
        removed: Vec::new(),
        fingerprint: mark(to),
    }
}

fn hear(replica: &mut Net, from: u16, message: Message<u8, u32>) -> Output<u8, u32> {
    replica.receive(NodeId(from), envelope(message), now(1_000));
    replica.take_output()
}

fn refused(output: &Output<u8, u32>) -> Vec<Refusal> {
    output.counts.refused.keys().copied().collect()
}

fn versions(replica: &Net) -> Vec<(NodeId, u64, usize)> {
    let copies = replica.shards()[0].copies();
    copies
        .map(|(node, it)| (node, it.snapshot.version(), it.snapshot.len()))
        .collect()
}

#[test]
fn c07_versions_that_are_no_numbers_of_changes_are_refused() {
    let mut replica = replica();
    let huge = [
        delta(0, u64::MAX, 1),
        delta(u64::MAX - 1, u64::MAX, 1),
        delta(5, 5, 1),
        delta(9, 3, 1),
    ];
    for delta in huge {
        let output = hear(&mut replica, 2, Message::Deltas(vec![delta]));
        assert_eq!(refused(&output), [Refusal::Malformed]);
    }
    let mut outside = delta(0, 3, 1);
    outside.removed = vec![4];
    let output = hear(&mut replica, 2, Message::Deltas(vec![outside]));
    assert_eq!(refused(&output), [Refusal::Malformed]);
    // The node is heard all the same when it says something that can be.
    let output = hear(&mut replica, 2, Message::Deltas(vec![delta(0, 3, 1)]));
    assert_eq!(
        (refused(&output), versions(&replica)),
        (vec![], vec![(NodeId(2), 3, 1)])
    );
}

#[test]
fn c07_a_delta_that_does_not_lead_where_it_says_changes_nothing_and_all_is_asked_for() {
    let mut replica = replica();
    hear(&mut replica, 2, Message::Deltas(vec![delta(0, 1, 1)]));
    let mut forged = delta(1, 2, 1);
    forged.fingerprint = 5;
    let output = hear(&mut replica, 2, Message::Deltas(vec![forged]));
    assert_eq!(refused(&output), [Refusal::Fingerprint]);
    assert_eq!(versions(&replica), [(NodeId(2), 1, 1)]);
    let Message::Ask(ask) = &output.sends[0].envelope.message else {
        panic!("{output:?}");
    };
    assert_eq!(
        (ask.wants[0].version, &output.sends[0].to[..]),
        (0, &[NodeId(2)][..])
    );
}

fn part(from: u64, version: u64, key: u8) -> Part<u8, u32> {
    Part {
        shard: 0,
        from,
        after: from,
        version,
        upto: version,
        gone: Gone::Nothing,
        adds: vec![Add {
            gap: version - from,
            entry: entry(key, 9, 1),
        }],
        fingerprint: mark(version),
    }
}

fn answer(number: u32, incarnation: u64, part: Part<u8, u32>) -> Message<u8, u32> {
    Message::Answer(Answer {
        number,
        incarnation: Incarnation(incarnation),
        answered: 1,
        parts: vec![part],
    })
}

#[test]
fn c07_what_is_said_of_another_node_unasked_is_refused() {
    let mut replica = replica();
    for number in 0..3 {
        let output = hear(&mut replica, 3, answer(number, 10, part(0, 4, 1)));
        assert_eq!(refused(&output), [Refusal::NotAsked]);
    }
    assert!(versions(&replica).is_empty());
}

/// The number of the question that is under way after a delta of node 2 with a gap.
fn question(replica: &mut Net, gap: u64) -> Ask {
    let output = hear(replica, 2, Message::Deltas(vec![delta(gap, gap + 1, 1)]));
    let asked = output
        .sends
        .into_iter()
        .find_map(|send| match send.envelope.message {
            Message::Ask(ask) => Some(ask),
            _ => None,
        });
    asked.expect("a question")
}

#[test]
fn c07_only_a_node_itself_says_that_it_lives_again() {
    let mut replica = replica();
    let ask = question(&mut replica, 5);
    // Asked, but in a life that nobody but node 2 may speak of: not even in an answer.
    let output = hear(&mut replica, 2, answer(ask.number, u64::MAX, part(0, 4, 1)));
    assert_eq!(refused(&output), [Refusal::NotAsked]);
    assert_eq!(replica.standing(NodeId(2)).unwrap().0, Incarnation(10));
    // And nobody speaks in a life that is over.
    let mut old = envelope(Message::Deltas(vec![delta(0, 9, 1)]));
    old.incarnation = Incarnation(9);
    replica.receive(NodeId(2), old, now(1_000));
    assert_eq!(refused(&replica.take_output()), [Refusal::OldLife]);
}

#[test]
fn c07_what_a_liar_says_of_another_node_is_corrected_by_that_node() {
    let mut replica = replica();
    let mut writer: Net = Replica::new(
        Settings {
            shards: 1,
            groups: 1,
            ..Settings::default()
        },
        life(2),
        0,
    );
    let me = Member {
        life: life(1),
        name: "node".into(),
        state: State::Up,
        is_silent: false,
    };
    let members = Members {
        others: vec![me],
        ..Members::alone(life(2))
    };
    writer.members(&members, now(0));
    writer.set(0, 1, Some(1), 1, now(0));
    writer.take_output();
    // A forged copy of node 2 gets in: a version that is far too high.
    let ask = question(&mut replica, 500);
    hear(&mut replica, 2, answer(ask.number, 10, part(0, 5_000, 8)));
    assert_eq!(versions(&replica), [(NodeId(2), 5_000, 1)]);
    replica.take_output();
    // The next hello of node 2 differs; it is asked, and says what there is.
    let mut sent = vec![(NodeId(2), Message::Hello(hello_of(&mut writer)))];
    for _ in 0..4 {
        let Some((from, message)) = sent.pop() else {
            break;
        };
        let node = if from == NodeId(2) {
            &mut replica
        } else {
            &mut writer
        };
        node.receive(from, envelope(message), now(2_000));
        let (here, output) = (node.me().node, node.take_output());
        sent.extend(
            output
                .sends
                .into_iter()
                .map(|send| (here, send.envelope.message)),
        );
    }
    assert_eq!(versions(&replica), [(NodeId(2), 1, 1)]);
    let seen: Vec<(u8, u32)> = replica.shards()[0]
        .visible()
        .map(|(key, _, value)| (*key, *value))
        .collect();
    assert_eq!(seen, [(1, 1)]);
}

fn hello_of(writer: &mut Net) -> Hello {
    writer.missed(NodeId(1), now(1_000));
    let sends = writer.take_output().sends;
    let hello = sends
        .into_iter()
        .find_map(|send| match send.envelope.message {
            Message::Hello(hello) => Some(hello),
            _ => None,
        });
    Hello {
        wants_reply: false,
        ..hello.expect("a hello")
    }
}

#[test]
fn c07_an_entry_from_the_future_loses_every_conflict() {
    let mut replica = replica();
    let ten_years = 10 * 365 * 24 * 3_600_000;
    replica.set(0, 1, Some(42), WALL, now(500));
    let output = hear(
        &mut replica,
        2,
        Message::Deltas(vec![delta(0, 1, WALL + ten_years)]),
    );
    assert_eq!((output.lost, output.counts.futures), (vec![], 1));
    // A clock that is a minute off is not the future.
    let output = hear(
        &mut replica,
        3,
        Message::Deltas(vec![delta(0, 1, WALL + 60_000)]),
    );
    let lost = Lost {
        key: 1,
        since: WALL,
    };
    assert_eq!((output.lost, output.counts.futures), (vec![lost], 0));
}

#[test]
fn c07_questions_and_hellos_that_make_no_sense_are_refused() {
    let mut replica = replica();
    let hello = Hello {
        shards: 9,
        wants_reply: true,
        roots: Vec::new(),
    };
    let output = hear(&mut replica, 2, Message::Hello(hello));
    assert_eq!(refused(&output), [Refusal::OtherShards]);
    assert!(output.sends.is_empty());
    let want = klatsch_cluster::presence::wire::Want::nothing(0);
    let ask = Ask {
        number: 1,
        node: NodeId(1),
        incarnation: Incarnation(10),
        wants: vec![want; 2],
    };
    let output = hear(&mut replica, 2, Message::Ask(ask));
    assert_eq!(refused(&output), [Refusal::TooLarge]);
    let beaten = Beaten {
        shard: 7,
        dot: 1,
        winner: Rank {
            since: u64::MAX,
            incarnation: Incarnation(10),
            node: NodeId(2),
            dot: 1,
        },
    };
    let output = hear(&mut replica, 2, Message::Beaten(beaten));
    assert_eq!(refused(&output), [Refusal::Malformed]);
}

#[test]
fn c07_a_node_that_nobody_knows_leaves_nothing_behind() {
    let mut replica = replica();
    let output = hear(&mut replica, 77, Message::Deltas(vec![delta(0, 1, 1)]));
    assert!(output.sends.is_empty() && versions(&replica).is_empty());
    assert_eq!(replica.standing(NodeId(77)), None);
}
