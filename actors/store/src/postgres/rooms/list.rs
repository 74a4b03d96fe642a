//! What lists of rooms and searches for them read in PostgreSQL, along the index of public rooms.

use crate::error::Result;
use crate::postgres::text::escaped;
use crate::postgres::{Postgres, signed};
use crate::rooms::list::PublicRooms;

/// Compared as a pair, here and below: the plan of a prepared statement, which knows no service,
/// might otherwise go along the rooms of all services.
pub(super) const ROOMS: &str = "
    SELECT jid FROM room WHERE (service, jid) > ($1, $2) AND service <= $1 AND NOT removed
    ORDER BY service, jid LIMIT $3";

/// There are few rooms beside what is in them, so all are looked at.
pub(super) const TEMPORARY: &str = "
    SELECT jid FROM room WHERE jid > $1 AND NOT removed
    AND NOT (config::jsonb ->> 'persistent')::boolean ORDER BY jid LIMIT $2";

pub(super) const CREATED: &str = "SELECT count(*) FROM room WHERE creator = $1 AND NOT removed";

const AFTER: &str = "
    SELECT jid, config FROM room
    WHERE (service, jid) > ($1, $2) AND service <= $1 AND NOT removed AND public
    ORDER BY service, jid LIMIT $3";

const BEFORE: &str = "
    SELECT jid, config FROM room
    WHERE (service, jid) < ($1, $2) AND service >= $1 AND NOT removed AND public
    ORDER BY service DESC, jid DESC LIMIT $3";

const COUNT: &str = "SELECT count(*) FROM
    (SELECT 1 FROM room WHERE service = $1 AND NOT removed AND public LIMIT $2) counted";

impl PublicRooms for Postgres {
    async fn public_rooms(
        &self,
        service: &str,
        from: &str,
        is_backward: bool,
        max: u32,
    ) -> Result<Vec<(String, String)>> {
        let rows = sqlx::query_as(if is_backward { BEFORE } else { AFTER })
            .bind(service)
            .bind(escaped(from))
            .bind(i64::from(max))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows)
    }

    async fn count_public_rooms(&self, service: &str, max: u64) -> Result<i64> {
        let count = sqlx::query_scalar(COUNT)
            .bind(service)
            .bind(signed(max))
            .fetch_one(&self.pool)
            .await?;
        Ok(count)
    }
}
