//! What lists of rooms and searches for them read in SQLite, along the index of public rooms.

use crate::error::Result;
use crate::rooms::list::PublicRooms;
use crate::sqlite::{Sqlite, signed};

pub(in crate::sqlite) const ROOMS: &str = "
    SELECT jid FROM room WHERE service = ? AND jid > ? AND NOT removed ORDER BY jid LIMIT ?";

/// What an older version has stored without the setting is persistent.
pub(in crate::sqlite) const TEMPORARY: &str = "
    SELECT jid FROM room WHERE jid > ? AND NOT removed
    AND NOT json_extract(config, '$.persistent') ORDER BY jid LIMIT ?";

pub(in crate::sqlite) const CREATED: &str =
    "SELECT count(*) FROM room WHERE creator = ? AND NOT removed";

pub(in crate::sqlite) const AFTER: &str = "
    SELECT jid, config FROM room
    WHERE service = ? AND jid > ? AND NOT removed AND public ORDER BY jid LIMIT ?";

pub(in crate::sqlite) const BEFORE: &str = "
    SELECT jid, config FROM room
    WHERE service = ? AND jid < ? AND NOT removed AND public ORDER BY jid DESC LIMIT ?";

pub(in crate::sqlite) const COUNT: &str = "SELECT count(*) FROM
    (SELECT 1 FROM room WHERE service = ? AND NOT removed AND public LIMIT ?)";

impl PublicRooms for Sqlite {
    async fn public_rooms(
        &self,
        service: &str,
        from: &str,
        is_backward: bool,
        max: u32,
    ) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query_as(if is_backward { BEFORE } else { AFTER })
            .bind(service)
            .bind(from)
            .bind(max)
            .fetch_all(&self.readers)
            .await?;
        Ok(rows)
    }

    async fn count_public_rooms(&self, service: &str, max: u64) -> Result<i64> {
        let count = sqlx::query_scalar(COUNT)
            .bind(service)
            .bind(signed(max))
            .fetch_one(&self.readers)
            .await?;
        Ok(count)
    }
}
