//! What a removed account was to rooms.

use klatsch_protocol::jid::BareJid;
use sqlx::PgConnection;

use crate::error::Result;

/// The rooms in which it is something, which nobody else changes until the commit. An array,
/// not a join: a row that was changed while it was waited for would be missing from that.
const LOCK: &str = "
    SELECT id FROM room WHERE NOT removed AND id = ANY(ARRAY(
        SELECT room FROM room_affiliate WHERE jid = $1 AND affiliation <> 0
        UNION SELECT room FROM room_hat_worn WHERE jid = $1))
    ORDER BY id FOR NO KEY UPDATE";

/// Nobody decides any more by what it was.
const RAISE: &str = "UPDATE room SET version = version + 1 WHERE id = ANY($1)";

/// What rooms forget of an account, but for bans: those hold for the address. Nobody who has
/// the address next is anything there (row C15).
const FORGET: [&str; 3] = [
    // Those who are next to the only owner become owners.
    "UPDATE room_affiliate SET affiliation = 4 WHERE affiliation = 3 AND jid <> $2
        AND room IN (SELECT room FROM room_affiliate
            WHERE room = ANY($1) AND jid = $2 AND affiliation = 4)
        AND NOT EXISTS (SELECT 1 FROM room_affiliate o
            WHERE o.room = room_affiliate.room AND o.affiliation = 4 AND o.jid <> $2)",
    "DELETE FROM room_affiliate WHERE room = ANY($1) AND jid = $2 AND affiliation <> 0",
    "DELETE FROM room_hat_worn WHERE room = ANY($1) AND jid = $2",
];

pub(in crate::postgres) async fn forget_account(
    connection: &mut PgConnection,
    account: &BareJid,
) -> Result<()> {
    let rooms: Vec<i64> = sqlx::query_scalar(LOCK)
        .bind(account.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let raise = sqlx::query(RAISE).bind(&rooms);
    raise.execute(&mut *connection).await?;
    for sql in FORGET {
        sqlx::query(sql)
            .bind(&rooms)
            .bind(account.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
