//! What this crate counts. Names are declared here once, with what they mean.

use std::time::Duration;

use crate::link::wire::batch::BatchError;
use crate::members::{Members, State};

/// Name and meaning of every metric of this crate.
pub const ALL: &[(&str, &str)] = &[
    (PEERS, "Other nodes that are known, by state."),
    (CONNECTIONS, "Connections with other nodes made."),
    (CONNECTIONS_LOST, "Connections with other nodes lost."),
    (
        HANDSHAKES_REFUSED,
        "Handshakes with other nodes that came to nothing.",
    ),
    (QUEUED_BYTES, "What waits to be sent to other nodes, bytes."),
    (
        OVERFLOWS,
        "Messages to other nodes dropped because too much waited.",
    ),
    (
        LOST,
        "Messages to other nodes lost with the connection they waited for.",
    ),
    (SENT_ENVELOPES, "Messages sent to other nodes."),
    (SENT_BYTES, "Bytes sent to other nodes, before TLS."),
    (RECEIVED_ENVELOPES, "Messages received from other nodes."),
    (
        RECEIVED_BYTES,
        "Bytes received from other nodes, after TLS.",
    ),
    (
        UNKNOWN,
        "Parts of what other nodes sent that this version does not know.",
    ),
    (
        REFUSED_BATCHES,
        "Batches of other nodes refused, by reason: broken, nobody.",
    ),
    (
        ROUND_TRIP,
        "How long a message to another node and its answer take, seconds.",
    ),
    (
        RESTARTS,
        "Actors of the link started again after a failure.",
    ),
];

const PEERS: &str = "klatsch_cluster_peers";
const CONNECTIONS: &str = "klatsch_cluster_connections_total";
const CONNECTIONS_LOST: &str = "klatsch_cluster_connections_lost_total";
const HANDSHAKES_REFUSED: &str = "klatsch_cluster_handshakes_failed_total";
const QUEUED_BYTES: &str = "klatsch_cluster_queued_bytes";
const OVERFLOWS: &str = "klatsch_cluster_overflows_total";
const LOST: &str = "klatsch_cluster_envelopes_lost_total";
const SENT_ENVELOPES: &str = "klatsch_cluster_sent_envelopes_total";
const SENT_BYTES: &str = "klatsch_cluster_sent_bytes_total";
const RECEIVED_ENVELOPES: &str = "klatsch_cluster_received_envelopes_total";
const RECEIVED_BYTES: &str = "klatsch_cluster_received_bytes_total";
const UNKNOWN: &str = "klatsch_cluster_unknown_total";
const REFUSED_BATCHES: &str = "klatsch_cluster_batches_refused_total";
const ROUND_TRIP: &str = "klatsch_cluster_round_trip_seconds";
const RESTARTS: &str = "klatsch_cluster_restarts_total";

/// Shows what is counted from the start: a series that appears with its first event hides that
/// event from whoever computes rates.
pub(crate) fn start() {
    metrics::gauge!(QUEUED_BYTES).set(0);
    for state in State::ALL {
        metrics::gauge!(PEERS, "state" => state.as_str()).set(0);
    }
    for reason in ["broken", "nobody"] {
        metrics::counter!(REFUSED_BATCHES, "reason" => reason).increment(0);
    }
    for name in [
        CONNECTIONS,
        CONNECTIONS_LOST,
        HANDSHAKES_REFUSED,
        OVERFLOWS,
        LOST,
        SENT_ENVELOPES,
        SENT_BYTES,
        RECEIVED_ENVELOPES,
        RECEIVED_BYTES,
        UNKNOWN,
        RESTARTS,
    ] {
        metrics::counter!(name).increment(0);
    }
}

pub(crate) fn members(members: &Members) {
    for state in State::ALL {
        let count = members.others.iter().filter(|other| other.state == state);
        metrics::gauge!(PEERS, "state" => state.as_str()).set(count.count() as f64);
    }
}

pub(crate) fn connected() {
    metrics::counter!(CONNECTIONS).increment(1);
}

/// A connection is lost, and with it so many messages that waited.
pub(crate) fn lost(envelopes: usize) {
    metrics::counter!(CONNECTIONS_LOST).increment(1);
    metrics::counter!(LOST).increment(envelopes as u64);
}

pub(crate) fn handshake_failed() {
    metrics::counter!(HANDSHAKES_REFUSED).increment(1);
}

pub(crate) fn queued_bytes(bytes: usize) {
    metrics::gauge!(QUEUED_BYTES).set(bytes as f64);
}

pub(crate) fn overflowed() {
    metrics::counter!(OVERFLOWS).increment(1);
}

pub(crate) fn sent(envelopes: usize, bytes: usize) {
    metrics::counter!(SENT_ENVELOPES).increment(envelopes as u64);
    metrics::counter!(SENT_BYTES).increment(bytes as u64);
}

pub(crate) fn received(envelopes: usize, bytes: usize) {
    metrics::counter!(RECEIVED_ENVELOPES).increment(envelopes as u64);
    metrics::counter!(RECEIVED_BYTES).increment(bytes as u64);
}

pub(crate) fn unknown_item() {
    metrics::counter!(UNKNOWN).increment(1);
}

pub(crate) fn refused_batch(error: &BatchError) {
    tracing::debug!(%error, "batch refused");
    metrics::counter!(REFUSED_BATCHES, "reason" => "broken").increment(1);
}

pub(crate) fn unknown_token() {
    metrics::counter!(REFUSED_BATCHES, "reason" => "nobody").increment(1);
}

pub(crate) fn round_trip(taken: Duration) {
    metrics::histogram!(ROUND_TRIP).record(taken.as_secs_f64());
}

pub(crate) fn restarted() {
    metrics::counter!(RESTARTS).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_for_the_crate_and_once() {
        let mut names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("klatsch_cluster_"))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
