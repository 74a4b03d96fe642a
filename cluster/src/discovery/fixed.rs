//! Nodes that the configuration names.

use std::collections::BTreeSet;

/// The addresses named. A host name stays one: it is resolved whenever it is dialled.
pub(crate) fn targets(peers: &[String]) -> BTreeSet<String> {
    peers.iter().cloned().collect()
}
