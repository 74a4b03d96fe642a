//! What has gone wrong elsewhere: cases from the issues of phoenix_pubsub, whose Tracker does
//! the same work with another algorithm, and what the design promises of short splits.

use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_cluster::presence::{Broken, Settings};

use crate::network::Weather;
use crate::world::{Plan, World};
use crate::{CONVERGED_AFTER, settings};

fn calm(nodes: usize) -> Plan {
    Plan {
        settings: settings(),
        nodes,
        weather: Weather::FINE,
        is_indirect: false,
        broken: None,
    }
}

fn world(plan: Plan) -> World {
    let mut world = World::new(plan, 1);
    world.run(1_000).unwrap();
    world
}

fn cut(world: &mut World, one: usize, other: usize) {
    world.network.cut(one, other);
    world.network.cut(other, one);
}

fn heal(world: &mut World) {
    world.network.heal();
    world.run(CONVERGED_AFTER).unwrap();
    world.check_convergence().unwrap();
}

/// A pull brings what a delta, which is under way, takes back: an overlap.
pub(crate) fn overlap(broken: Option<Broken>) -> Result<(), String> {
    let slow = Plan {
        settings: Settings {
            batch_min: Duration::from_millis(500),
            batch_max: Duration::from_millis(500),
            ..settings()
        },
        broken,
        ..calm(2)
    };
    let mut world = World::new(slow, 1);
    world.run(1_000)?;
    // The other node misses something, and learns of that with the hello after five seconds.
    cut(&mut world, 0, 1);
    world.show(0, 0)?;
    world.run(1_000)?;
    world.network.heal();
    world.run(5_000 - world.now)?;
    // It is told of a session that has not been announced yet, and ends before it is.
    world.show(0, 4)?;
    world.run(20)?;
    let other = world.nodes[1].as_ref().expect("has not crashed");
    let copy = other.replica.shards()[0]
        .copy(NodeId(1))
        .expect("was pulled");
    assert_eq!(copy.snapshot.version(), 2);
    world.end(0, 4)?;
    world.run(1_000)?;
    world.check_convergence()
}

/// phoenix_pubsub#148: a stale transfer overwrites a newer value on a fresh node.
#[test]
fn a_stale_relay_does_not_overwrite_what_a_fresh_node_knows() {
    let indirect = Plan {
        is_indirect: true,
        ..calm(4)
    };
    let mut world = world(indirect);
    for key in 0..20 {
        world.show(0, key).unwrap();
    }
    world.run(1_000).unwrap();
    world.crash(2);
    // The second node hears nothing of the first any more, and has what is old.
    cut(&mut world, 0, 1);
    for key in 0..10 {
        world.show(0, key).unwrap();
        world.end(0, key + 10).unwrap();
    }
    // The fresh one neither, but has a stale and a fresh one to ask.
    cut(&mut world, 0, 2);
    world.start(2);
    world.run(25_000).unwrap();
    let versions = |world: &World| {
        let node = world.nodes[2].as_ref().unwrap();
        let shards = node.replica.shards().iter();
        let copies = shards.filter_map(|shard| Some(shard.copy(NodeId(1))?.snapshot.version()));
        copies.collect::<Vec<_>>()
    };
    assert_eq!(versions(&world), [10; 4]);
    world.check_convergence().unwrap();
    heal(&mut world);
    assert_eq!(versions(&world), [10; 4]);
}

/// A node that cannot be heard itself is heard of through another one.
#[test]
fn what_a_cut_hides_comes_through_a_third_node() {
    let indirect = Plan {
        is_indirect: true,
        ..calm(3)
    };
    let mut world = world(indirect);
    cut(&mut world, 0, 2);
    for key in 0..20 {
        world.show(0, key).unwrap();
    }
    world.run(25_000).unwrap();
    world.check_convergence().unwrap();
}

/// phoenix_pubsub#214: two replicas add the same, and whoever merges last wins.
#[test]
fn a_conflict_has_the_same_winner_in_whatever_order_it_is_heard_of() {
    for first in 0..2 {
        let mut world = world(calm(4));
        cut(&mut world, 0, 1);
        cut(&mut world, 0, 3 - first);
        cut(&mut world, 1, 2 + first);
        for place in [first, 1 - first] {
            world.show(place, 7).unwrap();
            world.run(50).unwrap();
        }
        heal(&mut world);
        let left = |place: usize| {
            world.nodes[place]
                .as_ref()
                .unwrap()
                .sessions
                .contains_key(&7)
        };
        assert!(!left(first) && left(1 - first), "the later one stays");
    }
}

/// phoenix_pubsub#179: every restart leaves something behind that is never cleaned up.
#[test]
fn a_thousand_restarts_leave_nothing_behind() {
    let mut world = world(calm(2));
    for round in 0..1_000u16 {
        world.show(1, round % 8).unwrap();
        world.run(600).unwrap();
        world.crash(1);
        world.start(1);
    }
    heal(&mut world);
    let node = world.nodes[0].as_ref().unwrap();
    for shard in node.replica.shards() {
        let entries: usize = shard.copies().map(|(_, held)| held.snapshot.len()).sum();
        assert_eq!(
            (entries, shard.visible().count(), shard.pending_len()),
            (0, 0, 0)
        );
    }
    assert!(node.told.is_empty());
}

/// phoenix_pubsub#135: full states travel long after a restart.
#[test]
fn after_a_restart_only_hellos_travel() {
    let mut world = world(calm(3));
    for key in 0..600 {
        world.show(usize::from(key % 3), key).unwrap();
    }
    world.run(1_000).unwrap();
    world.crash(1);
    world.run(300).unwrap();
    world.start(1);
    heal(&mut world);
    let before = world.network.bytes;
    world.run(60_000).unwrap();
    // Twelve times six hellos with three roots of some 15 bytes.
    let bytes = world.network.bytes - before;
    assert!(bytes < 12 * 6 * 64, "{bytes}");
}

/// phoenix_pubsub#74: more than fifty presences do not get in step, and deploys leave ghosts.
#[test]
fn a_rolling_restart_leaves_no_ghosts_and_loses_nobody() {
    let mut world = world(calm(3));
    for round in 0..3 {
        for key in 0..600 {
            world.show(usize::from(key % 3), key).unwrap();
        }
        world.run(500).unwrap();
        world.crash(round);
        world.run(3_000 * round as u64).unwrap();
        world.start(round);
    }
    heal(&mut world);
    let node = world.nodes[0].as_ref().unwrap();
    let seen: usize = node
        .replica
        .shards()
        .iter()
        .map(|shard| shard.visible().count())
        .sum();
    // The last node has begun a life without sessions, the others have theirs.
    assert_eq!(seen, 400);
}

/// phoenix_pubsub PR #111: joins and leaves during a split are lost when it ends.
#[test]
fn joins_and_leaves_of_both_sides_of_a_split_arrive() {
    for long in [1_000, 20_000, 60_000] {
        let mut world = world(calm(4));
        for key in 0..200 {
            world.show(usize::from(key % 4), key).unwrap();
        }
        world.run(500).unwrap();
        for (one, other) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            cut(&mut world, one, other);
        }
        for key in 0..80 {
            world.end(usize::from(key % 4), key).unwrap();
            world.show(usize::from(key % 4), key + 400).unwrap();
        }
        world.run(long).unwrap();
        heal(&mut world);
    }
}

/// I9: what is over before a node is given up is not told to anybody.
#[test]
fn a_short_split_is_not_noticed() {
    let mut world = world(calm(3));
    for key in 0..30 {
        world.show(usize::from(key % 3), key).unwrap();
    }
    world.run(1_000).unwrap();
    let told = |world: &World| -> Vec<usize> {
        world
            .nodes
            .iter()
            .flatten()
            .map(|node| node.changes)
            .collect()
    };
    let before = told(&world);
    cut(&mut world, 0, 1);
    cut(&mut world, 0, 2);
    world.run(4_000).unwrap();
    world.network.heal();
    world.run(CONVERGED_AFTER).unwrap();
    assert_eq!(told(&world), before);
    // A longer one is, and what is told about it is true at every moment (I8).
    cut(&mut world, 0, 1);
    cut(&mut world, 0, 2);
    world.run(8_000).unwrap();
    heal(&mut world);
    assert_eq!(
        told(&world),
        [before[0] + 40, before[1] + 20, before[2] + 20]
    );
}

/// I11: what does not fit into queues is lost, and comes when there is room again.
#[test]
fn overload_is_followed_by_convergence() {
    let slow = Plan {
        weather: Weather {
            delay: 4_000,
            loss: 30,
            ..Weather::FINE
        },
        settings: Settings {
            page_bytes: 100,
            ..settings()
        },
        ..calm(3)
    };
    let mut world = world(slow);
    for round in 0..6_000u16 {
        world.show(usize::from(round % 3), round % 97).unwrap();
        if round % 8 == 0 {
            world.run(4).unwrap();
        }
    }
    world.network.weather = Weather::FINE;
    world.run(5_000).unwrap();
    heal(&mut world);
}
