//! Key → node, by rendezvous hashing: every node that sees the same nodes gives the same
//! answer, and when one comes or goes only the keys move that it gains or loses.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::node_id::NodeId;

/// The node a key lives on; `None` when there is no node.
pub fn home(key: &[u8], nodes: &[NodeId]) -> Option<NodeId> {
    nodes.iter().copied().max_by_key(|node| weight(key, *node))
}

/// The `count` nodes that keep a copy of a shard, best first: all of them when there are fewer.
pub fn replicas(shard: u16, nodes: &[NodeId], count: usize) -> Vec<NodeId> {
    let key = shard.to_le_bytes();
    let mut ranked = nodes.to_vec();
    ranked.sort_unstable_by_key(|node| std::cmp::Reverse(weight(&key, *node)));
    ranked.truncate(count);
    ranked
}

/// How much a key wants to live on a node. The number itself settles a draw.
fn weight(key: &[u8], node: NodeId) -> (u64, NodeId) {
    (xxh3_64_with_seed(key, u64::from(node.0)), node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(count: u16) -> Vec<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    fn keys() -> impl Iterator<Item = String> {
        (0..4000).map(|n| format!("room{n}@conference.example.org"))
    }

    #[test]
    fn without_nodes_nothing_has_a_home() {
        assert_eq!(home(b"room", &[]), None);
    }

    proptest! {
        #[test]
        fn the_order_in_which_nodes_are_named_does_not_matter(
            key in ".{0,40}", mut named in Just(nodes(9)).prop_shuffle()
        ) {
            let before = home(key.as_bytes(), &named);
            named.reverse();
            prop_assert_eq!(before, home(key.as_bytes(), &named));
        }

        #[test]
        fn when_a_node_goes_only_its_keys_move(count in 2u16..12, gone in 1u16..12) {
            let gone = NodeId(1 + gone % count);
            let all = nodes(count);
            let rest: Vec<NodeId> = all.iter().copied().filter(|node| *node != gone).collect();
            for key in keys() {
                let before = home(key.as_bytes(), &all);
                if before != Some(gone) {
                    prop_assert_eq!(before, home(key.as_bytes(), &rest));
                }
            }
        }
    }

    #[test]
    fn nodes_get_about_as_many_keys_as_each_other() {
        let all = nodes(8);
        let mut counts = [0u32; 9];
        for key in keys() {
            counts[usize::from(home(key.as_bytes(), &all).unwrap().0)] += 1;
        }
        // 500 expected; six standard deviations are 126.
        assert!(counts[1..].iter().all(|count| (374..626).contains(count)));
    }

    #[test]
    fn a_shard_loses_one_copy_at_most_when_a_node_goes() {
        let all = nodes(20);
        for shard in 0..256 {
            let before = replicas(shard, &all, 3);
            let rest: Vec<NodeId> = all.iter().copied().filter(|n| *n != before[0]).collect();
            assert_eq!(replicas(shard, &rest, 3)[..2], before[1..]);
        }
    }
}
