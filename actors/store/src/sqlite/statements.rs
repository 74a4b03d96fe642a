//! The statements of an append, each for several numbers of rows.
//!
//! Row C08: only the number of placeholders varies, never what they stand for.
//!
//! Inserts say what becomes of a conflict: a statement of many rows that can be undone by
//! itself (`ABORT`, the default) has SQLite copy every page aside before it changes it.

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
        "SELECT a.jid, a.id, a.blocks, a.archiving, l.head, l.stamp, e.place, e.stamp
         FROM account a JOIN log l ON l.id = a.id
         LEFT JOIN entry e ON e.place = (SELECT place FROM entry
            WHERE place > a.id << 32 AND place < (a.id + 1) << 32 ORDER BY place DESC LIMIT 1)
         WHERE a.removed IS NULL AND a.jid IN (",
        "?",
        ")",
    )
});
pub(super) static FIND_ROOM_HEADS: Sizes = LazyLock::new(|| {
    sizes(
        "SELECT r.jid, r.id, 0, 0, l.head, l.stamp, e.place, e.stamp
         FROM room r JOIN log l ON l.id = r.id
         LEFT JOIN entry e ON e.place = (SELECT place FROM entry
            WHERE place > r.id << 32 AND place < (r.id + 1) << 32 ORDER BY place DESC LIMIT 1)
         WHERE NOT r.removed AND r.jid IN (",
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
        "INSERT OR ROLLBACK INTO conversation (id, log, jid) VALUES ",
        "(?,?,?)",
        "",
    )
});
pub(super) static ADD_RECENT: Sizes = LazyLock::new(|| {
    sizes(
        "INSERT OR ROLLBACK INTO recent (number, key, payload, flags, stanza,
            place, stamp, direction, other, resource,
            twin_place, twin_stamp, twin_other, twin_resource) VALUES ",
        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        "",
    )
});
pub(super) static ADD_ENTRIES: Sizes = LazyLock::new(|| {
    sizes(
        "INSERT OR IGNORE INTO entry (place, stamp, conversation, direction, flags, resource, stanza) VALUES ",
        "(?,?,?,?,?,?,?)",
        "",
    )
});
/// Entries by their places, of those that a query shows.
pub(super) static ENTRIES_AT: Sizes = LazyLock::new(|| {
    sizes(
        "SELECT e.place, e.stamp, e.direction, c.jid, e.stanza
         FROM entry e CROSS JOIN conversation c ON c.id = e.conversation
         WHERE e.flags & 1 = 0 AND e.place IN (",
        "?",
        ")",
    )
});
/// Into the index of words.
pub(super) static ADD_WORDS: Sizes =
    LazyLock::new(|| sizes("INSERT INTO words (rowid, terms) VALUES ", "(?,?)", ""));
pub(super) static ADD_REPLAYS: Sizes = LazyLock::new(|| {
    let start = "INSERT OR IGNORE INTO replay (key, payload, id, stamp, twin, twin_stamp) VALUES ";
    sizes(start, "(?,?,?,?,?,?)", "")
});
pub(super) static HEADS: Sizes = LazyLock::new(|| {
    sizes(
        "WITH wanted (number, jid) AS (VALUES ",
        "(?,?)",
        ") SELECT w.number, max(l.head, coalesce(
            (SELECT e.place & 4294967295 FROM entry e
             WHERE e.place > a.id << 32 AND e.place < (a.id + 1) << 32
             ORDER BY e.place DESC LIMIT 1), 0))
          FROM wanted w
          CROSS JOIN account a ON a.jid = w.jid AND a.removed IS NULL
          CROSS JOIN log l ON l.id = a.id",
    )
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
pub(super) fn largest() -> [&'static str; 7] {
    [
        &ENTRIES_AT,
        &HEADS,
        &FIND_HEADS,
        &FIND_ROOM_HEADS,
        &FIND_REPLAYS,
        &FIND_BLOCKS,
        &FIND_CONVERSATIONS,
    ]
    .map(|sizes| sizes[0].as_str())
}
