//! The statements of an append, each for several numbers of rows.
//!
//! Row C08: only the number of placeholders varies, never what they stand for.

use std::sync::LazyLock;

/// How many rows a statement takes.
pub(super) const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// A statement in all its sizes.
pub(super) type Sizes = LazyLock<[String; CHUNKS.len()]>;

/// Writes `start`, then `row` as often as the size says, then `end`.
fn sizes(start: &str, row: &str, end: &str) -> [String; CHUNKS.len()] {
    CHUNKS.map(|size| format!("{start}{}{end}", vec![row; size].join(",")))
}

pub(super) static FIND_HEADS: Sizes = LazyLock::new(|| {
    sizes(
        "SELECT a.jid, a.id, a.blocks, l.head, l.stamp, e.place, e.stamp
         FROM account a JOIN log l ON l.id = a.id
         LEFT JOIN entry e ON e.place = (SELECT place FROM entry
            WHERE place > a.id << 32 AND place < (a.id + 1) << 32 ORDER BY place DESC LIMIT 1)
         WHERE a.removed IS NULL AND a.jid IN (",
        "?",
        ")",
    )
});
pub(super) static FIND_REPLAYS: Sizes = LazyLock::new(|| {
    let start = "SELECT key, payload, id, stamp, twin, twin_stamp FROM replay WHERE key IN (";
    sizes(start, "?", ")")
});
pub(super) static FIND_BLOCKS: Sizes = LazyLock::new(|| {
    sizes(
        "WITH wanted (account, jid) AS (VALUES ",
        "(?,?)",
        ") SELECT b.account, b.jid FROM wanted w
           CROSS JOIN block b ON b.account = w.account AND b.jid = w.jid",
    )
});
pub(super) static FIND_CONVERSATIONS: Sizes = LazyLock::new(|| {
    sizes(
        "WITH wanted (log, jid) AS (VALUES ",
        "(?,?)",
        ") SELECT c.log, c.jid, c.id FROM wanted w
           CROSS JOIN conversation c ON c.log = w.log AND c.jid = w.jid",
    )
});
pub(super) static ADD_CONVERSATIONS: Sizes = LazyLock::new(|| {
    sizes(
        "INSERT INTO conversation (id, log, jid) VALUES ",
        "(?,?,?)",
        "",
    )
});
pub(super) static ADD_ENTRIES: Sizes = LazyLock::new(|| {
    sizes(
        "INSERT INTO entry (place, stamp, conversation, direction, flags, resource, stanza) VALUES ",
        "(?,?,?,?,?,?,?)",
        "",
    )
});
pub(super) static ADD_REPLAYS: Sizes = LazyLock::new(|| {
    let start = "INSERT INTO replay (key, payload, id, stamp, twin, twin_stamp) VALUES ";
    sizes(start, "(?,?,?,?,?,?)", "")
});

/// Cuts a slice into the sizes there are statements for.
pub(super) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    std::iter::from_fn(move || {
        let size = CHUNKS.iter().position(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(CHUNKS[size]);
        rows = rest;
        Some((size, chunk))
    })
}

/// Every statement in its largest size, for a test of their plans.
#[cfg(test)]
pub(super) fn largest() -> [&'static str; 4] {
    [
        &FIND_HEADS,
        &FIND_REPLAYS,
        &FIND_BLOCKS,
        &FIND_CONVERSATIONS,
    ]
    .map(|sizes| sizes[0].as_str())
}
