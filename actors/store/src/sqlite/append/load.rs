//! What an append must know before it decides: where the logs end, what has been said already,
//! and whom the recipients block.

use std::collections::HashMap;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use crate::error::Result;
use crate::log::LogAppend;
use crate::plan::{Head, Key, LogOf, Said, SaidRow, logs, wanted_blocks, wanted_keys};
use crate::sqlite::statements::{
    FIND_BLOCKS, FIND_HEADS, FIND_REPLAYS, FIND_ROOM_HEADS, Sizes, chunks,
};
use crate::sqlite::writer::Writer;
use crate::sqlite::{bare, unsigned};

/// The heads of all logs of a batch, those of accounts and rooms that exist.
pub(super) async fn load_heads(
    writer: &mut Writer,
    batch: &[LogAppend],
) -> Result<HashMap<LogOf, Head>> {
    let mut heads = HashMap::with_capacity(batch.len() * 2);
    let mut accounts = Vec::new();
    let mut rooms = Vec::new();
    for of in batch.iter().flat_map(logs) {
        if heads.contains_key(&of) {
            continue;
        }
        match (writer.heads.get(&of), &of) {
            (Some(head), _) => drop(heads.insert(of, *head)),
            (None, LogOf::Account(_)) => accounts.push(of),
            (None, LogOf::Room(_)) => rooms.push(of),
        }
    }
    find_heads(writer, &FIND_HEADS, accounts, LogOf::Account, &mut heads).await?;
    find_heads(writer, &FIND_ROOM_HEADS, rooms, LogOf::Room, &mut heads).await?;
    Ok(heads)
}

async fn find_heads(
    writer: &mut Writer,
    sizes: &'static Sizes,
    mut unknown: Vec<LogOf>,
    of: fn(BareJid) -> LogOf,
    heads: &mut HashMap<LogOf, Head>,
) -> Result<()> {
    unknown.sort_unstable();
    unknown.dedup();
    type Row = (String, i64, i64, i64, i64, i64, Option<i64>, Option<i64>);
    for (size, chunk) in chunks(&unknown) {
        let mut query = sqlx::query_as(sizes[size].as_str());
        for of in chunk {
            query = query.bind(of.jid().as_str());
        }
        let rows: Vec<Row> = query.fetch_all(writer.connection().await?).await?;
        for (jid, log, blocks, archiving, id, stamp, place, last) in rows {
            // Purging leaves the head in the log's row, appending does not touch it.
            let id = place.map_or(id, |place| id.max(place & i64::from(u32::MAX)));
            let stamp = Timestamp(last.map_or(stamp, |last| stamp.max(last)));
            let mut head = Head {
                log,
                id: unsigned(id)?,
                stamp,
                blocks,
                archiving,
            };
            if let Some(recent) = writer.recent.tail(log) {
                (head.id, head.stamp) = (recent.id, recent.stamp);
            }
            heads.insert(of(bare(&jid)?), head);
        }
    }
    Ok(())
}

/// What of a batch has been said before.
pub(super) async fn load_said(
    writer: &mut Writer,
    batch: &[LogAppend],
    heads: &HashMap<LogOf, Head>,
) -> Result<HashMap<Key, Said>> {
    let mut said = HashMap::new();
    let mut keys = Vec::with_capacity(batch.len());
    for key in wanted_keys(batch, heads)? {
        match writer.recent.said(&key) {
            Some(recent) => drop(said.insert(key, recent)),
            None => keys.push(key),
        }
    }
    // In order of keys, neighbours share pages.
    keys.sort_unstable();
    for (size, chunk) in chunks(&keys) {
        let mut query = sqlx::query_as(FIND_REPLAYS[size].as_str());
        for key in chunk {
            query = query.bind(key.to_vec());
        }
        let rows: Vec<SaidRow> = query.fetch_all(writer.connection().await?).await?;
        for row in rows {
            let (key, row) = Said::of_row(row)?;
            said.insert(key, row);
        }
    }
    Ok(said)
}

/// Which forms of which sender's address the recipients of a batch block, by their logs.
pub(super) async fn load_blocks(
    writer: &mut Writer,
    batch: &[LogAppend],
    heads: &HashMap<LogOf, Head>,
) -> Result<HashMap<i64, Vec<String>>> {
    let wanted = wanted_blocks(batch, heads);
    let mut blocks: HashMap<i64, Vec<String>> = HashMap::new();
    for (size, chunk) in chunks(&wanted) {
        let mut query = sqlx::query_as(FIND_BLOCKS[size].as_str());
        for (log, form) in chunk {
            query = query.bind(*log).bind(form.clone());
        }
        let rows: Vec<(i64, String)> = query.fetch_all(writer.connection().await?).await?;
        for (log, form) in rows {
            blocks.entry(log).or_default().push(form);
        }
    }
    Ok(blocks)
}
