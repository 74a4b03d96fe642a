//! Appending to logs in SQLite: many messages, one transaction, few statements, and few pages:
//! see `recent.rs` for where the rows go first.
//!
//! Every statement is a way to the connection's thread and back, so rows go in by the dozen:
//! statements exist for the sizes of `statements.rs` and are prepared once.

mod load;

use self::load::{load_blocks, load_heads, load_said};
use super::log::place;
use super::merge::{Bound, make_room};
use super::preferences::load_unwanted;
use super::recent::{Line, Message, TWIN_FLAGS};
use super::rooms::notes::{bury, set_subjects};
use super::statements::{ADD_RECENT, chunks};
use super::writer::Writer;
use crate::error::Result;
use crate::log::{LogAppend, LogAppended};
use crate::plan::{self, Plan};

/// Appends a batch. Runs between BEGIN and COMMIT.
pub(super) async fn append(writer: &mut Writer, batch: &[LogAppend]) -> Result<Vec<LogAppended>> {
    let heads = load_heads(writer, batch).await?;
    let said = load_said(writer, batch, &heads).await?;
    let blocks = load_blocks(writer, batch, &heads).await?;
    let unwanted = load_unwanted(writer, batch, &heads).await?;
    let mut plan = Plan {
        heads,
        said,
        blocks,
        unwanted,
        ..Plan::default()
    };
    let answers = plan.decide_all(batch)?;
    let mut messages = (writer.recent.next_number()..)
        .zip(plan.messages)
        .map(|(number, message)| row(number, message))
        .collect::<Result<Vec<_>>>()?;
    if plan.burials.is_empty() {
        make_room(writer, messages.len()).await?;
    } else {
        bury(writer, &plan.burials, &mut messages).await?;
    }
    insert_recent(writer, &messages).await?;
    set_subjects(writer, &plan.subjects).await?;
    writer.pending.heads.extend(plan.heads);
    writer.pending.recent = messages;
    Ok(answers)
}

/// A message as a row of the table `recent`.
fn row(number: i64, message: plan::Message) -> Result<Message> {
    let twin_flags = message.twin.as_ref().map_or(0, |twin| twin.flags);
    Ok(Message {
        number,
        said: message.said,
        flags: message.first.flags | twin_flags << TWIN_FLAGS,
        stanza: message.stanza,
        first: line(message.first)?,
        twin: message.twin.map(line).transpose()?,
    })
}

fn line(line: plan::Line) -> Result<Line> {
    Ok(Line {
        place: place(line.log, line.placed.id)?,
        stamp: line.placed.stamp,
        direction: line.direction,
        with: line.with,
        resource: line.resource,
    })
}

async fn insert_recent(writer: &mut Writer, messages: &[Message]) -> Result<()> {
    for (size, chunk) in chunks(messages) {
        let mut query: Bound = sqlx::query(ADD_RECENT[size].as_str());
        for message in chunk {
            let (first, twin) = (&message.first, message.twin.as_ref());
            query = query
                .bind(message.number)
                .bind(message.said.map(|(key, _)| key.to_vec()))
                .bind(message.said.map(|(_, payload)| payload.cast_signed()))
                .bind(i64::from(message.flags))
                .bind(message.stanza.to_vec())
                .bind(first.place)
                .bind(first.stamp.0)
                .bind(first.direction)
                .bind(first.with.as_str().to_owned())
                .bind(first.resource.clone())
                .bind(twin.map(|twin| twin.place))
                .bind(twin.map(|twin| twin.stamp.0))
                .bind(twin.map(|twin| twin.with.as_str().to_owned()))
                .bind(twin.and_then(|twin| twin.resource.clone()));
        }
        query.execute(writer.connection().await?).await?;
    }
    Ok(())
}
