//! Appending to logs in SQLite: many messages, one transaction, few statements.
//!
//! Every statement is a way to the connection's thread and back, so rows go in by the dozen:
//! statements exist for the sizes of `statements.rs` and are prepared once.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;
use sqlx::Sqlite as Database;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::log::{OWN, RECEIVED, SENT, place};
use super::statements::{
    ADD_CONVERSATIONS, ADD_ENTRIES, ADD_REPLAYS, FIND_BLOCKS, FIND_CONVERSATIONS, FIND_HEADS,
    FIND_REPLAYS, chunks,
};
use super::writer::{ConversationKey, Head, Writer};
use super::{signed, unsigned};
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::log::{Append, Appended, Dedup, Placed};

type Bound = Query<'static, Database, SqliteArguments>;

/// A replay's key: the sender's log and the key within it.
type Key = [u8; 20];

fn replay_key(log: i64, dedup: &Dedup) -> Result<Key> {
    let log =
        u32::try_from(log).map_err(|_| StoreError::Unavailable("no log numbers left".into()))?;
    let mut key = [0; 20];
    key[..4].copy_from_slice(&log.to_be_bytes());
    key[4..].copy_from_slice(&dedup.key);
    Ok(key)
}

/// What has been said already, under some key.
#[derive(Clone, Copy)]
struct Said {
    payload: u64,
    sender: Placed,
    recipient: Option<Placed>,
}

impl Said {
    fn answer(&self, dedup: &Dedup) -> Appended {
        if self.payload != dedup.payload {
            return Appended::ReplayOtherPayload;
        }
        Appended::Replay {
            sender: self.sender,
            recipient: self.recipient,
        }
    }
}

/// A row of the table `entry`; its conversation is looked up when all are known.
struct EntryRow<'a> {
    place: i64,
    stamp: Timestamp,
    conversation: ConversationKey,
    direction: i64,
    resource: Option<String>,
    append: &'a Append,
}

/// A row of the table `replay`.
type ReplayRow = (Key, Said);

/// Appends a batch. Runs between BEGIN and COMMIT.
pub(super) async fn append(writer: &mut Writer, batch: &[Append]) -> Result<Vec<Appended>> {
    let heads = load_heads(writer, batch).await?;
    let said = load_said(writer, batch, &heads).await?;
    let blocks = load_blocks(writer, batch, &heads).await?;
    let mut plan = Plan {
        heads,
        said,
        blocks,
        entries: Vec::new(),
        replays: Vec::new(),
    };
    let answers = batch
        .iter()
        .map(|append| plan.decide(append))
        .collect::<Result<Vec<_>>>()?;
    let Plan {
        heads,
        mut entries,
        replays,
        ..
    } = plan;
    entries.sort_unstable_by_key(|entry| entry.place);
    let conversations = load_conversations(writer, &entries).await?;
    insert_entries(writer, &entries, &conversations).await?;
    insert_replays(writer, &replays).await?;
    writer.pending.heads.extend(heads);
    Ok(answers)
}

/// A batch on its way into rows.
struct Plan<'a> {
    heads: HashMap<BareJid, Head>,
    said: HashMap<Key, Said>,
    blocks: HashMap<i64, Vec<String>>,
    entries: Vec<EntryRow<'a>>,
    replays: Vec<ReplayRow>,
}

impl<'a> Plan<'a> {
    /// What becomes of an append; its rows are added to the plan.
    fn decide(&mut self, append: &'a Append) -> Result<Appended> {
        let sender = append.sender.bare();
        let Some(head) = self.heads.get(&sender) else {
            return Ok(Appended::NoSuchAccount);
        };
        let dedup = append.dedup.as_ref();
        let key = dedup.map(|dedup| replay_key(head.log, dedup)).transpose()?;
        // A replay finds its entries even if the recipient has gone or blocks by now.
        if let (Some(key), Some(dedup)) = (key, dedup)
            && let Some(said) = self.said.get(&key)
        {
            return Ok(said.answer(dedup));
        }
        let recipient = append
            .recipient
            .as_ref()
            .filter(|recipient| **recipient != sender);
        if let Some(recipient) = recipient {
            match self.heads.get(recipient) {
                None => return Ok(Appended::NoSuchAccount),
                Some(head) if self.is_blocked(head, &append.sender) => {
                    return Ok(Appended::Blocked);
                }
                Some(_) => {}
            }
        }
        let own = append.with.bare_str() == sender.as_str();
        let direction = if own { OWN } else { SENT };
        let first = self.place(&sender, &append.with, direction, append)?;
        let twin = match recipient {
            Some(recipient) => Some(self.place(recipient, &append.sender, RECEIVED, append)?),
            None => None,
        };
        if let (Some(key), Some(dedup)) = (key, dedup) {
            let said = Said {
                payload: dedup.payload,
                sender: first,
                recipient: twin,
            };
            self.said.insert(key, said);
            self.replays.push((key, said));
        }
        Ok(Appended::Stored {
            sender: first,
            recipient: twin,
        })
    }

    fn is_blocked(&self, recipient: &Head, sender: &Jid) -> bool {
        let Some(blocked) = self.blocks.get(&recipient.log) else {
            return false;
        };
        forms(sender).iter().any(|form| blocked.contains(form))
    }

    /// Allots the next id of a log.
    fn place(
        &mut self,
        account: &BareJid,
        with: &Jid,
        direction: i64,
        append: &'a Append,
    ) -> Result<Placed> {
        let head = self
            .heads
            .get_mut(account)
            .ok_or(StoreError::NoSuchAccount)?;
        head.id += 1;
        head.stamp = head.stamp.max(append.now);
        let placed = Placed {
            id: head.id,
            stamp: head.stamp,
        };
        let row = EntryRow {
            place: place(head.log, placed.id)?,
            stamp: placed.stamp,
            conversation: (head.log, with.bare()),
            direction,
            resource: with.resource().map(str::to_owned),
            append,
        };
        self.entries.push(row);
        Ok(placed)
    }
}

/// The heads of all logs of a batch, those of accounts that exist.
async fn load_heads(writer: &mut Writer, batch: &[Append]) -> Result<HashMap<BareJid, Head>> {
    let mut heads = HashMap::with_capacity(batch.len() * 2);
    let mut unknown = Vec::new();
    let accounts = batch.iter().flat_map(|append| {
        std::iter::once(append.sender.bare()).chain(append.recipient.iter().cloned())
    });
    for account in accounts {
        if heads.contains_key(&account) {
            continue;
        }
        match writer.heads.get(&account) {
            Some(head) => drop(heads.insert(account, *head)),
            None => unknown.push(account),
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    type Row = (String, i64, i64, i64, i64, Option<i64>, Option<i64>);
    for (size, chunk) in chunks(&unknown) {
        let mut query = sqlx::query_as(FIND_HEADS[size].as_str());
        for account in chunk {
            query = query.bind(account.as_str());
        }
        let rows: Vec<Row> = query.fetch_all(writer.connection().await?).await?;
        for (jid, log, blocks, id, stamp, place, last) in rows {
            // Purging leaves the head in the log's row, appending does not touch it.
            let id = place.map_or(id, |place| id.max(place & i64::from(u32::MAX)));
            let stamp = Timestamp(last.map_or(stamp, |last| stamp.max(last)));
            heads.insert(
                super::bare(&jid)?,
                Head {
                    log,
                    id: unsigned(id)?,
                    stamp,
                    blocks,
                },
            );
        }
    }
    Ok(heads)
}

/// What of a batch has been said before.
async fn load_said(
    writer: &mut Writer,
    batch: &[Append],
    heads: &HashMap<BareJid, Head>,
) -> Result<HashMap<Key, Said>> {
    let mut keys = Vec::with_capacity(batch.len());
    for append in batch {
        if let (Some(dedup), Some(head)) =
            (append.dedup.as_ref(), heads.get(append.sender.bare_str()))
        {
            keys.push(replay_key(head.log, dedup)?);
        }
    }
    // In order of keys, neighbours share pages.
    keys.sort_unstable();
    type Row = (Vec<u8>, i64, i64, i64, Option<i64>, Option<i64>);
    let mut said = HashMap::new();
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
async fn load_blocks(
    writer: &mut Writer,
    batch: &[Append],
    heads: &HashMap<BareJid, Head>,
) -> Result<HashMap<i64, Vec<String>>> {
    let mut wanted = Vec::new();
    for append in batch {
        let head = append
            .recipient
            .as_ref()
            .and_then(|recipient| heads.get(recipient));
        if let Some(head) = head.filter(|head| head.blocks > 0) {
            wanted.extend(
                forms(&append.sender)
                    .into_iter()
                    .map(|form| (head.log, form)),
            );
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

/// The numbers of all conversations of these entries; new ones are made.
async fn load_conversations(
    writer: &mut Writer,
    entries: &[EntryRow<'_>],
) -> Result<HashMap<ConversationKey, i64>> {
    let mut numbers = HashMap::with_capacity(entries.len());
    let mut unknown = Vec::new();
    for entry in entries {
        let Slot::Vacant(slot) = numbers.entry(entry.conversation.clone()) else {
            continue;
        };
        match writer.conversations.get(&entry.conversation) {
            Some(number) => drop(slot.insert(*number)),
            None => unknown.push(entry.conversation.clone()),
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    for (size, chunk) in chunks(&unknown) {
        let mut query = sqlx::query_as(FIND_CONVERSATIONS[size].as_str());
        for (log, with) in chunk {
            query = query.bind(*log).bind(with.as_str());
        }
        let rows: Vec<(i64, String, i64)> = query.fetch_all(writer.connection().await?).await?;
        for (log, with, number) in rows {
            remember(writer, &mut numbers, (log, super::bare(&with)?), number);
        }
    }
    unknown.retain(|key| !numbers.contains_key(key));
    if !unknown.is_empty() {
        add_conversations(writer, &unknown, &mut numbers).await?;
    }
    Ok(numbers)
}

fn remember(
    writer: &mut Writer,
    numbers: &mut HashMap<ConversationKey, i64>,
    key: ConversationKey,
    number: i64,
) {
    numbers.insert(key.clone(), number);
    writer.pending.conversations.push((key, number));
}

async fn add_conversations(
    writer: &mut Writer,
    unknown: &[ConversationKey],
    numbers: &mut HashMap<ConversationKey, i64>,
) -> Result<()> {
    let mut last = match writer.last_conversation {
        Some(last) => last,
        None => {
            sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM conversation")
                .fetch_one(writer.connection().await?)
                .await?
        }
    };
    for (size, chunk) in chunks(unknown) {
        let mut query: Bound = sqlx::query(ADD_CONVERSATIONS[size].as_str());
        for (log, with) in chunk {
            last += 1;
            query = query.bind(last).bind(*log).bind(with.as_str());
            remember(writer, numbers, (*log, with.clone()), last);
        }
        query.execute(writer.connection().await?).await?;
    }
    writer.pending.last_conversation = Some(last);
    Ok(())
}

async fn insert_entries(
    writer: &mut Writer,
    entries: &[EntryRow<'_>],
    conversations: &HashMap<ConversationKey, i64>,
) -> Result<()> {
    for (size, chunk) in chunks(entries) {
        let mut query: Bound = sqlx::query(ADD_ENTRIES[size].as_str());
        for entry in chunk {
            query = query
                .bind(entry.place)
                .bind(entry.stamp.0)
                .bind(conversations.get(&entry.conversation).copied())
                .bind(entry.direction)
                .bind(i64::from(entry.append.flags))
                .bind(entry.resource.clone())
                .bind(entry.append.stanza.to_vec());
        }
        query.execute(writer.connection().await?).await?;
    }
    Ok(())
}

async fn insert_replays(writer: &mut Writer, replays: &[ReplayRow]) -> Result<()> {
    for (size, chunk) in chunks(replays) {
        let mut query: Bound = sqlx::query(ADD_REPLAYS[size].as_str());
        for (key, said) in chunk {
            query = query
                .bind(key.to_vec())
                .bind(said.payload.cast_signed())
                .bind(signed(said.sender.id))
                .bind(said.sender.stamp.0)
                .bind(said.recipient.map(|twin| signed(twin.id)))
                .bind(said.recipient.map(|twin| twin.stamp.0));
        }
        query.execute(writer.connection().await?).await?;
    }
    Ok(())
}
