//! What presence replication costs at sizes that no single machine shows: the pure replicas of
//! up to a hundred nodes with up to two million presences in one process, every message
//! encoded and decoded.
//!
//! `cargo run --release -p klatsch-cluster --example scale -- [rejoin|grow] [PRESENCES] [NODES,…]`
//! prints a line of JSON for each figure. Groups of shards share nothing, so they are run one
//! after the other and their figures added: a sixteenth of the memory, nothing left out.
//! Bytes are those of the messages (without the link's envelope and TLS), CPU is that of
//! replicas, encoding and decoding, of all nodes together. Time is virtual: a message takes
//! one millisecond, CPU none; to notice that a node is down is not part of it.

#![expect(
    clippy::print_stdout,
    reason = "a figure for each line is what it is for"
)]

mod cluster;
mod report;

use std::time::Duration;

use crate::cluster::{Cluster, Cost};
use crate::report::{Figure, resident_bytes};

/// So many groups, as in earnest.
const GROUPS: u8 = 16;

/// Full copies up to ten nodes, three copies of a shard beyond.
const NODES: [usize; 10] = [2, 3, 4, 6, 8, 10, 20, 35, 60, 100];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("all", String::as_str);
    let presences = arguments.get(1).and_then(|it| it.parse().ok());
    if what != "grow" {
        for changes in [0, 500, 4_000, 12_000] {
            rejoin(20_000, changes);
        }
    }
    if what != "rejoin" {
        let sizes = arguments.get(2).map_or("", String::as_str).split(',');
        let sizes: Vec<usize> = sizes.filter_map(|it| it.parse().ok()).collect();
        let sizes = if sizes.is_empty() {
            NODES.to_vec()
        } else {
            sizes
        };
        for nodes in sizes {
            grow(nodes, presences.unwrap_or(2_000_000));
        }
    }
}

/// Two nodes are parted, on each of them so many sessions end and as many begin, and they meet
/// again.
fn rejoin(entries: usize, changes: usize) {
    let mut sum = Cost::default();
    for group in 0..GROUPS {
        let mut cluster = Cluster::new(2, group);
        let (entries, changes) = (share(entries, group), share(changes, group));
        for node in 0..2 {
            cluster.log_in(node, 0..entries);
        }
        cluster.settle();
        cluster.split(|node| node);
        cluster.run(Duration::from_secs(10));
        for node in 0..2 {
            cluster.log_out(node, 0..changes);
            cluster.log_in(node, entries..entries + changes);
        }
        cluster.run(Duration::from_secs(1));
        cluster.reset();
        cluster.heal();
        cluster.settle();
        sum.add(&cluster.cost());
    }
    let figure = Figure::new("rejoin", 2, 2 * entries).with("changes_a_side", changes as u64);
    figure.print(&sum);
}

/// Everything that happens to a cluster of a size.
fn grow(nodes: usize, presences: usize) {
    let names = [
        "fill", "idle", "steady", "loss", "return", "split", "heal", "restart",
    ];
    let mut sums: Vec<Cost> = names.iter().map(|_| Cost::default()).collect();
    let (mut copies, mut bytes) = (0, 0);
    for group in 0..GROUPS {
        let before = resident_bytes();
        let mut cluster = Cluster::new(nodes, group);
        let each = share(presences, group) / nodes;
        let mut costs = Vec::new();
        (0..nodes).for_each(|node| cluster.log_in(node, 0..each));
        costs.push(cluster.settled());
        // Later groups take the memory of the first.
        if group == 0 {
            let entries = cluster.copies() + nodes * each;
            bytes = resident_bytes().saturating_sub(before) / entries as u64;
        }
        copies += cluster.copies();
        cluster.run(Duration::from_secs(10));
        costs.push(cluster.taken());
        steady(&mut cluster, nodes, each);
        costs.push(cluster.settled());
        cluster.lose(0);
        costs.push(cluster.settled());
        cluster.find(0);
        costs.push(cluster.settled());
        cluster.split(|node| node % 2);
        costs.push(cluster.settled());
        let few = each / 100;
        for node in 0..nodes {
            cluster.log_out(node, 0..few);
            cluster.log_in(node, each..each + few);
        }
        cluster.run(Duration::from_secs(5));
        cluster.taken();
        cluster.heal();
        costs.push(cluster.settled());
        cluster.lose(1);
        cluster.settle();
        cluster.restart(1);
        cluster.log_in(1, 0..each);
        costs.push(cluster.settled());
        sums.iter_mut()
            .zip(&costs)
            .for_each(|(sum, cost)| sum.add(cost));
    }
    for (name, sum) in names.iter().zip(&sums) {
        let mut figure = Figure::new(name, nodes, presences);
        if *name == "fill" {
            figure = figure
                .with("copies", copies as u64)
                .with("bytes_of_memory_an_entry", bytes);
        }
        figure.print(sum);
    }
}

/// Ten seconds in which every second one presence in a thousand changes.
fn steady(cluster: &mut Cluster, nodes: usize, each: usize) {
    let share = (each / 1_000).max(1);
    for second in 0..10 {
        for tenth in 0..10 {
            let first = (second * 10 + tenth) * share / 10;
            let last = (second * 10 + tenth + 1) * share / 10;
            for node in 0..nodes {
                cluster.change(node, first..last);
            }
            cluster.run(Duration::from_millis(100));
        }
    }
}

/// What of a number falls to a group.
fn share(all: usize, group: u8) -> usize {
    let groups = usize::from(GROUPS);
    all / groups + usize::from(usize::from(group) < all % groups)
}
