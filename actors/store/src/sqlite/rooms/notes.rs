//! What a message says of its room: its subject from now on, and what becomes of an earlier
//! entry. Both are written in the transaction that keeps the message.

use std::collections::HashMap;

use bytes::Bytes;
use klatsch_protocol::time::Timestamp;

use crate::error::Result;
use crate::plan::Burial;
use crate::sqlite::log::place;
use crate::sqlite::merge::merge_all;
use crate::sqlite::recent::Message;
use crate::sqlite::writer::Writer;

/// Puts tombstones in the place of entries, and of messages that are just coming.
///
/// Everything recent is put away first: what is retracted must stand nowhere any more
/// (XEP-0424 §5), and the table of recent messages has no index to find it by. That costs no
/// more than it would later.
pub(in crate::sqlite) async fn bury(
    writer: &mut Writer,
    burials: &[Burial],
    coming: &mut [Message],
) -> Result<()> {
    merge_all(writer).await?;
    for burial in burials {
        let place = place(burial.log, burial.id)?;
        let coming = coming.iter_mut().find(|it| it.first.place == place);
        if let Some(message) = coming {
            message.stanza = burial.stanza.clone();
            continue;
        }
        sqlx::query("INSERT OR IGNORE INTO unsearchable (place) VALUES (?)")
            .bind(place)
            .execute(writer.connection().await?)
            .await?;
        sqlx::query("UPDATE entry SET stanza = ? WHERE place = ?")
            .bind(burial.stanza.to_vec())
            .bind(place)
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
