//! Laws of presence replication: the state does not depend on the order in which messages
//! come, nor on how often.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use klatsch_cluster::members::{Member, Members, State};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::presence::wire::{Envelope, Message};
use klatsch_cluster::presence::{GIVES_WAY, Now, Replica, Settings, Why};
use proptest::prelude::*;

type Net = Replica<u8, u32>;

/// Version and fingerprint of every copy, and what is seen.
type Known = (Vec<(NodeId, u64, u64)>, BTreeMap<u8, (NodeId, u32)>);

/// What two nodes have sent, and the two.
type Written = (Vec<(NodeId, Envelope<u8, u32>)>, [Net; 2]);

fn life(node: u16) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(u64::from(node)),
    }
}

fn now(at: u64) -> Now {
    Now {
        at: Duration::from_millis(at),
        wall: 1_000_000,
    }
}

fn member((node, state): (u16, State)) -> Member {
    Member {
        life: life(node),
        name: "node".into(),
        state,
        is_silent: false,
    }
}

fn replica(node: u16, nodes: u16) -> Net {
    let settings = Settings {
        shards: 2,
        groups: 1,
        ..Settings::default()
    };
    let mut replica = Replica::new(settings, life(node), 0);
    let others = (1..=nodes).filter(|other| *other != node);
    let members = Members {
        others: others.map(|other| member((other, State::Up))).collect(),
        ..Members::alone(life(node))
    };
    replica.members(&members, now(0));
    replica.take_output();
    replica
}

/// What a replica has: version and fingerprint of every copy, and what is seen.
fn state(replica: &Net) -> Known {
    let shards = replica.shards();
    let copies = shards.iter().flat_map(|shard| shard.copies());
    let copies = copies.map(|(node, it)| (node, it.snapshot.version(), it.snapshot.fingerprint()));
    let visible = shards.iter().flat_map(|shard| shard.visible());
    let visible = visible.map(|(key, claim, value)| (*key, (claim.node, *value)));
    (copies.collect(), visible.collect())
}

/// What two nodes write: which, key, whether it ends, when it began; and whether a batch ends
/// after it.
fn writes() -> impl Strategy<Value = Vec<(bool, u8, bool, u64, bool)>> {
    let write = (
        any::<bool>(),
        0u8..5,
        prop::bool::weighted(0.3),
        0u64..3,
        any::<bool>(),
    );
    prop::collection::vec(write, 1..40)
}

/// The messages of two nodes that write, and the two.
fn written(writes: &[(bool, u8, bool, u64, bool)]) -> Written {
    let mut nodes = [replica(1, 3), replica(2, 3)];
    let mut messages = Vec::new();
    let mut at = 1;
    for (index, (second, key, ends, since, flush)) in writes.iter().enumerate() {
        let node = &mut nodes[usize::from(*second)];
        let value = (!ends).then_some(index as u32);
        node.set(u16::from(key % 2), *key, value, *since, now(at));
        at += if *flush { 200 } else { 1 };
        for node in &mut nodes {
            node.tick(now(at));
            let id = node.me().node;
            let sends = node.take_output().sends;
            messages.extend(sends.into_iter().map(|send| (id, send.envelope)));
        }
    }
    for node in &mut nodes {
        node.tick(now(at + 200));
        let id = node.me().node;
        let sends = node.take_output().sends;
        messages.extend(sends.into_iter().map(|send| (id, send.envelope)));
    }
    (messages, nodes)
}

/// Lets nodes speak until nobody has anything to say.
fn settle(nodes: &mut [&mut Net], from: u64) {
    for round in 0..20 {
        let at = now(from + round * 5_000);
        for index in 0..nodes.len() {
            nodes[index].tick(at);
            let mut letters = vec![(index, nodes[index].take_output())];
            while let Some((sender, output)) = letters.pop() {
                let id = nodes[sender].me().node;
                for send in output.sends {
                    for to in send.to {
                        let place = nodes.iter().position(|node| node.me().node == to);
                        if let Some(place) = place {
                            nodes[place].receive(id, send.envelope.clone(), at);
                            letters.push((place, nodes[place].take_output()));
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// I6: any order and repetition of any messages, and then a hello: the same state.
    #[test]
    fn order_and_repetition_of_messages_do_not_matter(
        (writes, order, repeats) in writes().prop_flat_map(|writes| {
            let order = Just((0..3 * writes.len() + 8).collect::<Vec<_>>()).prop_shuffle();
            (Just(writes), order, prop::collection::vec(any::<u16>(), 0..30))
        })
    ) {
        let (messages, [mut one, mut two]) = written(&writes);
        let mut straight = replica(3, 3);
        for (from, envelope) in &messages {
            straight.receive(*from, envelope.clone(), now(60_000));
        }
        let mut wild = replica(3, 3);
        let repeats = repeats.iter().map(|index| usize::from(*index) % messages.len().max(1));
        for index in order.into_iter().chain(repeats) {
            if let Some((from, envelope)) = messages.get(index) {
                wild.receive(*from, envelope.clone(), now(60_000));
            }
        }
        straight.take_output();
        wild.take_output();
        settle(&mut [&mut one, &mut two, &mut straight], 60_000);
        let straight = state(&straight);
        settle(&mut [&mut one, &mut two, &mut wild], 200_000);
        prop_assert_eq!(&straight, &state(&wild));
        // What the third sees, the writing nodes see of each other.
        settle(&mut [&mut one, &mut two], 400_000);
        prop_assert_eq!(&straight.1, &state(&one).1);
        prop_assert_eq!(&straight.1, &state(&two).1);
    }

    /// Of two states of one node the later wins as a whole: joining is commutative,
    /// associative and idempotent. A state is what a hello and its questions bring over.
    #[test]
    fn joining_states_is_commutative_associative_and_idempotent(
        writes in writes(), cuts in (0usize..40, 0usize..40)
    ) {
        // Three replicas that have heard different beginnings of the same story.
        let (messages, [mut one, mut two]) = written(&writes);
        let heard = |count: usize| {
            let mut replica = replica(3, 3);
            for (from, envelope) in messages.iter().take(count) {
                replica.receive(*from, envelope.clone(), now(60_000));
            }
            replica.take_output();
            replica
        };
        let all = state(&heard(messages.len()));
        for (round, count) in (1..).zip([0, cuts.0, cuts.1, messages.len()]) {
            let mut replica = heard(count);
            settle(&mut [&mut one, &mut replica, &mut two], round * 1_000_000);
            prop_assert_eq!(&all.0, &state(&replica).0, "commutes and associates");
            let joined = state(&replica);
            for (from, envelope) in &messages {
                replica.receive(*from, envelope.clone(), now(9_000_000));
            }
            prop_assert_eq!(joined, state(&replica), "what is known changes nothing");
        }
    }
}

/// Clocks decide between claims that know nothing of each other; a claim made with knowledge of
/// another comes after it.
#[test]
fn whoever_knows_of_a_claim_comes_after_it_whatever_its_clock_says() {
    let (mut one, mut two) = (replica(1, 2), replica(2, 2));
    one.set(0, 0, Some(1), 50_000, now(1));
    settle(&mut [&mut one, &mut two], 1_000);
    two.set(0, 0, Some(2), 10, now(200_000));
    settle(&mut [&mut one, &mut two], 201_000);
    for node in [&one, &two] {
        assert_eq!(state(node).1[&0], (NodeId(2), 2));
    }
    // What goes on there shows something else, and keeps its place.
    two.set(0, 0, Some(3), 10, now(400_000));
    settle(&mut [&mut one, &mut two], 401_000);
    assert_eq!(state(&one).1[&0], (NodeId(2), 3));
}

/// What gives way does so whether its node knows of the other claim or not.
#[test]
fn a_claim_that_gives_way_loses_to_those_that_are_known() {
    let (mut one, mut two) = (replica(1, 2), replica(2, 2));
    one.set(0, 0, Some(1), 10, now(1));
    settle(&mut [&mut one, &mut two], 1_000);
    two.set(0, 0, Some(2), GIVES_WAY, now(200_000));
    settle(&mut [&mut one, &mut two], 201_000);
    for node in [&one, &two] {
        assert_eq!(state(node).1[&0], (NodeId(1), 1));
    }
}

/// What a node says of what it has written, to one that hears it then.
fn say(from: &mut Net, to: &mut Net, at: u64) {
    from.tick(now(at));
    for send in from.take_output().sends {
        if matches!(send.envelope.message, Message::Deltas(_)) {
            to.receive(from.me().node, send.envelope, now(at));
        }
    }
}

/// Readers hear of a lost node a little later, and what another node had under the key for a moment
/// in between is never said; so what they hear is that the node is lost.
#[test]
fn what_went_with_its_node_went_with_it_whoever_had_its_key_for_a_moment_since() {
    let [mut one, mut two, mut three] = [1, 2, 3].map(|node| replica(node, 3));
    two.set(0, 0, Some(2), 10, now(1));
    say(&mut two, &mut one, 100);
    one.take_output();
    let mut members = Members::alone(life(1));
    members.others = [(2, State::Down), (3, State::Up)].map(member).to_vec();
    one.members(&members, now(200));
    three.set(0, 0, Some(3), 20, now(201));
    say(&mut three, &mut one, 250);
    three.set(0, 0, None, 20, now(251));
    say(&mut three, &mut one, 300);
    one.tick(now(1_000));
    let (_, changes) = &one.take_output().changes[0];
    let told = changes
        .iter()
        .map(|it| (it.node, it.before, it.after, it.why));
    let lost = (NodeId(2), Some(2), None, Why::NodeDown);
    assert_eq!(told.collect::<Vec<_>>(), [lost]);
}
