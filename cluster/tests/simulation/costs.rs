//! I10: coming together again costs what has changed, not what there is.

use klatsch_cluster::presence::Settings;

use crate::CONVERGED_AFTER;
use crate::network::Weather;
use crate::world::{Plan, World};

/// Bytes that a heal takes after so many entries of each of two nodes have been replaced.
fn rejoin(entries: u16, changes: u16) -> u64 {
    let plan = Plan {
        settings: Settings {
            shards: 16,
            groups: 1,
            ..Settings::default()
        },
        nodes: 2,
        weather: Weather::FINE,
        is_indirect: false,
        broken: None,
    };
    let mut world = World::new(plan, 1);
    world.run(1_000).unwrap();
    for key in 0..2 * entries {
        world.show(usize::from(key % 2), key).unwrap();
    }
    world.run(2_000).unwrap();
    world.network.cut(0, 1);
    world.network.cut(1, 0);
    world.run(10_000).unwrap();
    for key in 0..2 * changes {
        let place = usize::from(key % 2);
        world.end(place, key).unwrap();
        world.show(place, key + 30_000).unwrap();
    }
    let before = world.network.bytes;
    world.network.heal();
    world.run(CONVERGED_AFTER).unwrap();
    world.check_convergence().unwrap();
    world.network.bytes - before
}

#[test]
fn a_rejoin_without_changes_costs_a_few_hellos() {
    // However much there is: about twelve hellos with two roots, some 35 bytes each.
    for entries in [100, 4_000] {
        let bytes = rejoin(entries, 0);
        assert!(bytes < 700, "{entries} entries: {bytes}");
    }
}

#[test]
fn a_rejoin_costs_in_proportion_to_what_changed() {
    let nothing = rejoin(4_000, 0);
    for changes in [10, 100, 1_000, 3_900] {
        let bytes = rejoin(4_000, changes) - nothing;
        // An add is some 20 bytes here, a removal one to three; each of 32 copies costs a
        // question and a part.
        let bound = 2 * u64::from(changes) * 26 + 32 * 80;
        assert!(
            bytes < bound,
            "{changes} changes: {bytes} bytes, not {bound}"
        );
    }
}

#[test]
fn a_rejoin_costs_the_same_among_few_entries_and_many() {
    let (few, many) = (rejoin(600, 500), rejoin(6_000, 500));
    assert!(many < few + few / 10, "{few} and {many}");
}
