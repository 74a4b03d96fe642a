//! What a replica answers to who asks: the way from where their copy stands to where this one
//! does, cut when it gets long.
//!
//! The adds are a range of dots. The removals are in the log; where that does not reach, their
//! number is known exactly, for what is left is part of what the other has: none, or a list of
//! what is left, which costs no more than a few bytes for each (see [`super::super::snapshot`]).

use crate::codec;
use crate::presence::snapshot::Snapshot;
use crate::presence::wire::{Gone, Part, Want, to_adds, to_gaps};
use crate::presence::{Key, Value};

/// What a number in a list costs, about, bytes.
const GAP_BYTES: usize = 2;

/// What an entry costs besides itself.
const ADD_BYTES: usize = 3;

/// What a part costs besides its lists.
const PART_BYTES: usize = 32;

/// The part that brings a copy that stands at `want` further; `None` when nothing would.
/// `is_writer`: this node has written it, and whoever has more or other than it is wrong.
/// `bytes` grows by about what the part takes; beyond `page_bytes` it is cut.
pub(super) fn part<K: Key, V: Value>(
    snapshot: &Snapshot<K, V>,
    want: &Want,
    is_writer: bool,
    page_bytes: usize,
    bytes: &mut usize,
) -> Option<Part<K, V>> {
    let want = starting_point(snapshot, want, is_writer)?;
    let gone = gone(snapshot, &want);
    *bytes += PART_BYTES + gone_bytes(&gone);
    let mut upto = snapshot.version();
    let mut entries = Vec::new();
    for (dot, entry) in snapshot.after(want.upto) {
        if *bytes > page_bytes && !entries.is_empty() {
            upto = entries.last().map_or(upto, |(last, _)| *last);
            break;
        }
        // What cannot be measured cannot be sent either; it never got in.
        *bytes += ADD_BYTES + codec::encoded_len(entry).unwrap_or(0);
        entries.push((dot, entry));
    }
    Some(Part {
        shard: want.shard,
        from: want.version,
        after: want.upto,
        version: snapshot.version(),
        upto,
        gone,
        adds: to_adds(want.upto, entries),
        fingerprint: snapshot.fingerprint(),
    })
}

fn starting_point<K, V>(snapshot: &Snapshot<K, V>, want: &Want, is_writer: bool) -> Option<Want> {
    let nothing = Want::nothing(want.shard);
    let is_whole = want.upto == want.version;
    if want.version == snapshot.version() && is_whole {
        let is_same = want.fingerprint == snapshot.fingerprint();
        return (!is_same && is_writer).then_some(nothing);
    }
    match want.version > snapshot.version() || want.upto > want.version {
        true => is_writer.then_some(nothing),
        false => Some(*want),
    }
}

fn gone<K, V>(snapshot: &Snapshot<K, V>, want: &Want) -> Gone {
    if want.upto == 0 {
        return Gone::Nothing;
    }
    if let Some(removed) = snapshot.removed_since(want.version) {
        return Gone::Removed(to_gaps(0, removed));
    }
    let left: Vec<u64> = snapshot.dots(1, want.upto).collect();
    match left.len() as u64 == want.count {
        true => Gone::Nothing,
        false => Gone::AllBut(to_gaps(0, left)),
    }
}

fn gone_bytes(gone: &Gone) -> usize {
    match gone {
        Gone::Removed(gaps) | Gone::AllBut(gaps) => gaps.len() * GAP_BYTES,
        Gone::Nothing => 0,
    }
}
