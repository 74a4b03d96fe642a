//! What a removed account was to rooms.

use klatsch_protocol::jid::BareJid;
use sqlx::sqlite::SqliteConnection;

use crate::error::Result;

/// What rooms forget of an account, but for bans: those hold for the address. Nobody who has
/// the address next is anything there (row C15).
const FORGET: [&str; 4] = [
    "UPDATE room SET version = version + 1 WHERE NOT removed AND id IN
        (SELECT room FROM room_affiliate WHERE jid = ?1 AND affiliation <> 0
         UNION SELECT room FROM room_hat_worn WHERE jid = ?1)",
    // Those who are next to the only owner become owners.
    "UPDATE room_affiliate SET affiliation = 4 WHERE affiliation = 3 AND jid <> ?1 AND room IN
        (SELECT room FROM room_affiliate WHERE jid = ?1 AND affiliation = 4)
        AND NOT EXISTS (SELECT 1 FROM room_affiliate o
            WHERE o.room = room_affiliate.room AND o.affiliation = 4 AND o.jid <> ?1)",
    "DELETE FROM room_affiliate WHERE jid = ?1 AND affiliation <> 0",
    "DELETE FROM room_hat_worn WHERE jid = ?1",
];

pub(in crate::sqlite) async fn forget_account(
    connection: &mut SqliteConnection,
    account: &BareJid,
) -> Result<()> {
    for sql in FORGET {
        sqlx::query(sql)
            .bind(account.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
