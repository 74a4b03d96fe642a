//! What a message says of its room: its subject from now on, and what becomes of an earlier
//! entry. Both are written in the transaction that keeps the message.

use std::collections::HashMap;

use bytes::Bytes;
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::time::Timestamp;

use crate::error::Result;
use crate::log::Placed;
use crate::rooms::RoomAppend;
use crate::sqlite::log::place;
use crate::sqlite::merge::merge_all;
use crate::sqlite::recent::Message;
use crate::sqlite::writer::Writer;

/// What the messages of a batch say of their rooms.
#[derive(Default)]
pub(in crate::sqlite) struct Notes {
    /// By the room's log: the last one of a batch holds.
    pub(in crate::sqlite) subjects: HashMap<i64, (Bytes, Timestamp)>,
    /// By the place of the entry.
    pub(in crate::sqlite) tombstones: Vec<(i64, Bytes)>,
}

impl Notes {
    /// Takes down what a message says that has got its place.
    pub(in crate::sqlite) fn take(
        &mut self,
        log: i64,
        append: &RoomAppend,
        placed: Placed,
    ) -> Result<()> {
        if let Some(subject) = &append.subject {
            let message = Stanza::Message(subject.message.clone()).to_bytes();
            self.subjects.insert(log, (message, placed.stamp));
        }
        // Only what is there can be retracted.
        let tombstone = append.tombstone.as_ref().filter(|it| it.id < placed.id);
        if let Some(tombstone) = tombstone {
            let place = place(log, tombstone.id)?;
            self.tombstones.push((place, tombstone.stanza.clone()));
        }
        Ok(())
    }
}

/// Puts tombstones in the place of entries, and of messages that are just coming.
///
/// Everything recent is put away first: what is retracted must stand nowhere any more
/// (XEP-0424 §5), and the table of recent messages has no index to find it by. That costs no
/// more than it would later.
pub(in crate::sqlite) async fn bury(
    writer: &mut Writer,
    tombstones: &[(i64, Bytes)],
    coming: &mut [Message],
) -> Result<()> {
    merge_all(writer).await?;
    for (place, stanza) in tombstones {
        let coming = coming.iter_mut().find(|it| it.first.place == *place);
        if let Some(message) = coming {
            message.stanza = stanza.clone();
            continue;
        }
        sqlx::query("INSERT OR IGNORE INTO unsearchable (place) VALUES (?)")
            .bind(*place)
            .execute(writer.connection().await?)
            .await?;
        sqlx::query("UPDATE entry SET stanza = ? WHERE place = ?")
            .bind(stanza.to_vec())
            .bind(*place)
            .execute(writer.connection().await?)
            .await?;
    }
    Ok(())
}

/// Remembers the subjects of rooms. Their versions stay: nothing is decided on an old subject.
pub(in crate::sqlite) async fn set_subjects(
    writer: &mut Writer,
    subjects: &HashMap<i64, (Bytes, Timestamp)>,
) -> Result<()> {
    for (room, (message, stamp)) in subjects {
        sqlx::query("UPDATE room SET subject = ?, subject_stamp = ? WHERE id = ?")
            .bind(message.to_vec())
            .bind(stamp.0)
            .bind(*room)
            .execute(writer.connection().await?)
            .await?;
    }
    Ok(())
}
