//! What an append must know before it decides: where the logs end, what has been said already,
//! and whom the recipients block.

use std::collections::HashMap;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::replay_key;
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::log::{LogAppend, Placed};
use crate::rooms;
use crate::sqlite::log::LogOf;
use crate::sqlite::recent::{Key, Said};
use crate::sqlite::statements::{
    FIND_BLOCKS, FIND_HEADS, FIND_REPLAYS, FIND_ROOM_HEADS, Sizes, chunks,
};
use crate::sqlite::writer::{Head, Writer};
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

/// The logs that an append touches.
fn logs(append: &LogAppend) -> impl Iterator<Item = LogOf> {
    let (first, twin) = match append {
        LogAppend::Account(append) => (
            LogOf::Account(append.sender.bare()),
            append.recipient.clone().map(LogOf::Account),
        ),
        LogAppend::Room(append) => (LogOf::Room(append.room.clone()), None),
        LogAppend::Restore(restore) => (LogOf::Account(restore.account.clone()), None),
        LogAppend::Arrival(arrival) => {
            let sender = arrival.sent.as_ref().map(|_| arrival.sender.bare());
            let recipient = LogOf::Account(arrival.recipient.clone());
            (recipient, sender.map(LogOf::Account))
        }
    };
    std::iter::once(first).chain(twin)
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
    for append in batch {
        let (of, dedup) = match append {
            LogAppend::Account(append) => (LogOf::Account(append.sender.bare()), append.dedup),
            LogAppend::Restore(restore) => {
                (LogOf::Account(restore.account.clone()), Some(restore.dedup))
            }
            LogAppend::Room(append) => {
                let dedup = append.dedup.as_ref();
                let dedup = dedup.map(|dedup| rooms::dedup_of(&append.sender, dedup));
                (LogOf::Room(append.room.clone()), dedup)
            }
            LogAppend::Arrival(arrival) => {
                let dedup = arrival.dedup.as_ref();
                let dedup = dedup.map(|dedup| rooms::dedup_of(&arrival.sender, dedup));
                (LogOf::Account(arrival.recipient.clone()), dedup)
            }
        };
        if let (Some(dedup), Some(head)) = (&dedup, heads.get(&of)) {
            let key = replay_key(head.log, dedup)?;
            match writer.recent.said(&key) {
                Some(recent) => drop(said.insert(key, recent)),
                None => keys.push(key),
            }
        }
    }
    // In order of keys, neighbours share pages.
    keys.sort_unstable();
    type Row = (Vec<u8>, i64, i64, i64, Option<i64>, Option<i64>);
    for (size, chunk) in chunks(&keys) {
        let mut query = sqlx::query_as(FIND_REPLAYS[size].as_str());
        for key in chunk {
            query = query.bind(key.to_vec());
        }
        let rows: Vec<Row> = query.fetch_all(writer.connection().await?).await?;
        for (key, payload, id, stamp, twin, twin_stamp) in rows {
            let key = Key::try_from(key)
                .map_err(|_| StoreError::Corrupt("length of a replay's key".to_owned()))?;
            let sender = Placed {
                id: unsigned(id)?,
                stamp: Timestamp(stamp),
            };
            let recipient = match (twin, twin_stamp) {
                (Some(id), Some(stamp)) => Some(Placed {
                    id: unsigned(id)?,
                    stamp: Timestamp(stamp),
                }),
                _ => None,
            };
            said.insert(
                key,
                Said {
                    payload: payload.cast_unsigned(),
                    sender,
                    recipient,
                },
            );
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
    let mut wanted = Vec::new();
    for append in batch {
        let (recipient, sender) = match append {
            LogAppend::Account(append) => (append.recipient.clone(), &append.sender),
            LogAppend::Arrival(arrival) => (Some(arrival.recipient.clone()), &arrival.from),
            // Whom a room lets speak is decided there.
            LogAppend::Room(_) | LogAppend::Restore(_) => continue,
        };
        let recipient = recipient.map(LogOf::Account);
        let head = recipient.and_then(|recipient| heads.get(&recipient));
        if let Some(head) = head.filter(|head| head.blocks > 0) {
            wanted.extend(forms(sender).into_iter().map(|form| (head.log, form)));
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
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
