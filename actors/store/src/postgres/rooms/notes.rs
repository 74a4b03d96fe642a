//! What a message says of its room: its subject from now on. It is written in the transaction
//! that keeps the message.

use bytes::Bytes;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use crate::error::Result;

/// Remembers the subject of a room, given by its number. Its version stays: nothing is decided
/// on an old subject. Whoever does this has the room's log locked, so of two messages the one
/// with the later entry comes last.
pub(in crate::postgres) async fn set_subject(
    connection: &mut PgConnection,
    room: i64,
    message: &Bytes,
    stamp: Timestamp,
) -> Result<()> {
    sqlx::query("UPDATE room SET subject = $1, subject_stamp = $2 WHERE id = $3 AND NOT removed")
        .bind(&message[..])
        .bind(stamp.0)
        .bind(room)
        .execute(connection)
        .await?;
    Ok(())
}
