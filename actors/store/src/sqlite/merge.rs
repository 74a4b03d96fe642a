//! Putting recent messages where they are found: into their logs, their conversations and the
//! list of replays.
//!
//! Merging twice does nothing the second time: after a failed commit the table `recent` is read
//! again, and may hold what has been merged before.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use sqlx::Sqlite as Database;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::recent::Unmerged;
use super::statements::{ADD_CONVERSATIONS, ADD_ENTRIES, ADD_REPLAYS, FIND_CONVERSATIONS, chunks};
use super::writer::{ConversationKey, Writer};
use super::{bare, signed};
use crate::error::Result;
use crate::plan::{Key, Said};

pub(super) type Bound = Query<'static, Database, SqliteArguments>;

/// Merges the logs that have waited longest, once enough has come together: twice as many lines
/// as are about to come, so that it never becomes much more.
pub(super) async fn make_room(writer: &mut Writer, messages: usize) -> Result<()> {
    if !writer.recent.is_full() {
        return Ok(());
    }
    let logs = writer.recent.longest_waiting(4 * messages);
    merge(writer, logs).await
}

/// Merges everything.
pub(super) async fn merge_all(writer: &mut Writer) -> Result<()> {
    let logs = writer.recent.all();
    merge(writer, logs).await
}

/// Merges these logs. Runs between BEGIN and COMMIT.
pub(super) async fn merge(writer: &mut Writer, logs: Vec<i64>) -> Result<()> {
    let (mut lines, mut said) = writer.recent.of(&logs);
    lines.sort_unstable_by_key(|unmerged| unmerged.line.place);
    said.sort_unstable_by_key(|(key, _)| *key);
    let conversations = load_conversations(writer, &lines).await?;
    insert_entries(writer, &lines, &conversations).await?;
    insert_replays(writer, &said).await?;
    let oldest = writer.recent.oldest_without(&logs);
    sqlx::query("DELETE FROM recent WHERE number < ?")
        .bind(oldest)
        .execute(writer.connection().await?)
        .await?;
    writer.pending.merged.extend(logs);
    Ok(())
}

/// The numbers of all conversations of these entries; new ones are made.
async fn load_conversations(
    writer: &mut Writer,
    lines: &[Unmerged],
) -> Result<HashMap<ConversationKey, i64>> {
    let mut numbers = HashMap::new();
    let mut unknown = Vec::new();
    for unmerged in lines {
        let conversation = conversation(unmerged);
        let Slot::Vacant(slot) = numbers.entry(conversation.clone()) else {
            continue;
        };
        match writer.conversations.get(&conversation) {
            Some(number) => drop(slot.insert(*number)),
            None => unknown.push(conversation),
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
            remember(writer, &mut numbers, (log, bare(&with)?), number);
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

fn conversation(unmerged: &Unmerged) -> ConversationKey {
    (unmerged.line.log(), unmerged.line.with.clone())
}

async fn insert_entries(
    writer: &mut Writer,
    lines: &[Unmerged],
    conversations: &HashMap<ConversationKey, i64>,
) -> Result<()> {
    for (size, chunk) in chunks(lines) {
        let mut query: Bound = sqlx::query(ADD_ENTRIES[size].as_str());
        for unmerged in chunk {
            let line = &unmerged.line;
            query = query
                .bind(line.place)
                .bind(line.stamp.0)
                .bind(conversations.get(&conversation(unmerged)).copied())
                .bind(line.direction)
                .bind(i64::from(unmerged.flags))
                .bind(line.resource.clone())
                .bind(unmerged.stanza.to_vec());
        }
        query.execute(writer.connection().await?).await?;
    }
    Ok(())
}

async fn insert_replays(writer: &mut Writer, replays: &[(Key, Said)]) -> Result<()> {
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
