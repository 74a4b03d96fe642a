//! What presence replication counts. Names are declared here once, with what they mean.

use super::replica::Counts;
use super::replica::apply::Refusal;

/// Name and meaning of every metric of presence replication.
pub const ALL: &[(&str, &str)] = &[
    (
        ENTRIES,
        "Presence entries at hand, by writer: own, remote. Copies of nodes that are down count.",
    ),
    (
        PENDING,
        "Differences of presence that readers have not been told yet.",
    ),
    (DELTAS, "Deltas of presence, by direction: sent, applied."),
    (
        GAPS,
        "Deltas that came while something before them was missing.",
    ),
    (
        PULLS,
        "Questions to other nodes for what is missing, by outcome: asked, unanswered.",
    ),
    (MERGES, "Copies of shards brought up to date by pulls."),
    (MERGED, "Entries that came and went with deltas and pulls."),
    (
        BYTES,
        "Bytes of presence replication, by direction: sent, received.",
    ),
    (
        OVERFLOWS,
        "Messages of presence dropped because too much waited, by direction: sent, received.",
    ),
    (
        CONFLICTS,
        "Entries that lost to another node's entry for the same key.",
    ),
    (
        REFUSED,
        "Messages of presence refused, by reason: old_life, malformed, too_large, fingerprint, not_asked, other_shards, oversize, future.",
    ),
];

const ENTRIES: &str = "klatsch_presence_entries";
const PENDING: &str = "klatsch_presence_changes_pending";
const DELTAS: &str = "klatsch_presence_deltas_total";
const GAPS: &str = "klatsch_presence_gaps_total";
const PULLS: &str = "klatsch_presence_pulls_total";
const MERGES: &str = "klatsch_presence_merges_total";
const MERGED: &str = "klatsch_presence_merged_entries_total";
const BYTES: &str = "klatsch_presence_bytes_total";
const OVERFLOWS: &str = "klatsch_presence_overflows_total";
const CONFLICTS: &str = "klatsch_presence_conflicts_total";
const REFUSED: &str = "klatsch_presence_refused_total";

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Sent,
    Received,
}

impl Direction {
    fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
        }
    }
}

/// Shows all series from the start: one that appears with its first event hides that event
/// from whoever computes rates.
pub fn start() {
    for writer in ["own", "remote"] {
        metrics::gauge!(ENTRIES, "writer" => writer).increment(0);
    }
    metrics::gauge!(PENDING).increment(0);
    for direction in [Direction::Sent, Direction::Received] {
        bytes(direction, 0);
        overflows(direction, 0);
    }
    let mut counts = Counts::default();
    for refusal in Refusal::ALL {
        counts.refused.insert(refusal, 0);
    }
    count_all(&counts);
}

/// How many entries there are more or less than before.
pub(crate) fn entries(own: i64, remote: i64, pending: i64) {
    metrics::gauge!(ENTRIES, "writer" => "own").increment(own as f64);
    metrics::gauge!(ENTRIES, "writer" => "remote").increment(remote as f64);
    metrics::gauge!(PENDING).increment(pending as f64);
}

/// Bytes have been sent or received.
pub(crate) fn bytes(direction: Direction, bytes: u64) {
    metrics::counter!(BYTES, "direction" => direction.label()).increment(bytes);
}

/// Messages have been dropped.
pub(crate) fn overflows(direction: Direction, count: u64) {
    metrics::counter!(OVERFLOWS, "direction" => direction.label()).increment(count);
}

/// A message was refused before a replica saw it.
pub(crate) fn refused(refusal: Refusal) {
    metrics::counter!(REFUSED, "reason" => refusal.label()).increment(1);
}

/// What a replica has counted. Most things do not happen most of the time, and looking a
/// series up costs more than the addition.
pub(crate) fn count(counts: &Counts) {
    if *counts != Counts::default() {
        count_all(counts);
    }
}

fn count_all(counts: &Counts) {
    metrics::counter!(DELTAS, "direction" => "sent").increment(counts.deltas);
    metrics::counter!(DELTAS, "direction" => "applied").increment(counts.applied);
    metrics::counter!(GAPS).increment(counts.gaps);
    metrics::counter!(PULLS, "outcome" => "asked").increment(counts.asks);
    metrics::counter!(PULLS, "outcome" => "unanswered").increment(counts.unanswered);
    metrics::counter!(MERGES).increment(counts.merges);
    metrics::counter!(MERGED).increment(counts.entries);
    metrics::counter!(CONFLICTS).increment(counts.conflicts);
    metrics::counter!(REFUSED, "reason" => "oversize").increment(counts.oversize);
    metrics::counter!(REFUSED, "reason" => "future").increment(counts.futures);
    for (refusal, count) in &counts.refused {
        metrics::counter!(REFUSED, "reason" => refusal.label()).increment(*count);
    }
}
