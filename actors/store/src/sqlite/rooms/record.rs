//! A room as it is remembered, from its rows: one statement, so that its parts belong together
//! without a transaction.

use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::jid::BareJid;

use crate::error::Result;
use crate::rows::rooms::{Row, read_record};
use crate::sqlite::Sqlite;

/// The room itself, its affiliates, its hats, and who wears them; the first column tells which,
/// the others mean what [`Row`] says.
pub(in crate::sqlite) const RECORD: &str = "
    WITH me AS MATERIALIZED (SELECT * FROM room WHERE jid = ?1 AND NOT removed)
    SELECT 0, creator, config, NULL, NULL, secret, subject, vcard, version, created, subject_stamp
    FROM me
    UNION ALL
    SELECT 1, m.jid, m.nick, m.reason, NULL, NULL, NULL, NULL, m.affiliation, NULL, NULL
    FROM me CROSS JOIN room_affiliate m ON m.room = me.id
    UNION ALL
    SELECT 2, h.uri, h.title, h.hue, h.lang, NULL, NULL, NULL, NULL, NULL, NULL
    FROM me CROSS JOIN room_hat h ON h.room = me.id
    UNION ALL
    SELECT 3, worn.jid, worn.uri, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM me CROSS JOIN room_hat_worn worn ON worn.room = me.id";

impl Sqlite {
    pub(super) async fn read_room(&self, room: &BareJid) -> Result<Option<RoomRecord>> {
        let rows: Vec<Row> = sqlx::query_as(RECORD)
            .bind(room.as_str())
            .fetch_all(&self.readers)
            .await?;
        read_record(rows)
    }
}
