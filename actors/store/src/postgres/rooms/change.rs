//! Rooms made, changed and removed, by compare-and-set on their version.

use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation, AffiliationChange};
use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::hats::{Hat, HatsChange};
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::Stanza;
use sqlx::PgConnection;

use crate::error::{Result, StoreError};
use crate::postgres::names::{self, NameOf};
use crate::postgres::{log, signed, unsigned};
use crate::rows::rooms::{number_of, write_config};

/// Changes a room, or makes it, within a transaction.
pub(super) async fn save(
    connection: &mut PgConnection,
    room: &BareJid,
    expected: u64,
    changes: &[RoomChange],
) -> Result<u64> {
    if expected == 0 {
        // Nobody else makes it meanwhile.
        names::hold(connection, NameOf::Room, room).await?;
    }
    let found = match changes.contains(&RoomChange::Destroy) {
        true => lock_with_log(connection, room).await?,
        false => lock(connection, room).await?,
    };
    let (number, version, changes) = match (found, changes) {
        (None, [RoomChange::Create(record), rest @ ..]) if expected == 0 => {
            let (number, version) = create(connection, room, record).await?;
            (number, version, rest)
        }
        (None, _) => return Err(StoreError::NoSuchRoom),
        (Some((number, version)), changes) if version == expected => {
            if changes.is_empty() {
                return Ok(version);
            }
            (number, version + 1, changes)
        }
        (Some(_), _) => return Err(StoreError::Conflict),
    };
    for change in changes {
        apply(connection, number, change).await?;
    }
    let is_standing = |change: &RoomChange| matches!(change, RoomChange::Affiliation(_));
    if found.is_none() || changes.iter().any(is_standing) {
        check_owner(connection, number).await?;
    }
    sqlx::query("UPDATE room SET version = $1 WHERE id = $2")
        .bind(signed(version))
        .bind(number)
        .execute(&mut *connection)
        .await?;
    if changes.contains(&RoomChange::Destroy) {
        bury(connection, number).await?;
    }
    Ok(version)
}

/// The number of a room and its version, which stay until the commit.
async fn lock(connection: &mut PgConnection, room: &BareJid) -> Result<Option<(i64, u64)>> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT id, version FROM room WHERE jid = $1 AND NOT removed FOR NO KEY UPDATE",
    )
    .bind(room.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(|(number, version)| Ok((number, unsigned(version)?)))
        .transpose()
}

/// The same for a room that goes: whoever appends to its log has that locked, and sees that
/// the room is gone once it is theirs. The log comes before the room in the order of locks.
async fn lock_with_log(
    connection: &mut PgConnection,
    room: &BareJid,
) -> Result<Option<(i64, u64)>> {
    let sql = "SELECT id FROM room WHERE jid = $1 AND NOT removed";
    let log: Option<i64> = sqlx::query_scalar(sql)
        .bind(room.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(log) = log {
        log::lock(connection, log).await?;
    }
    let found = lock(connection, room).await?;
    // Another life of the name, whose log is not the one that is locked: this one was removed.
    Ok(found.filter(|(number, _)| log == Some(*number)))
}

/// What earlier rooms of a name leave: their last version, and the last id of their logs.
const PAST: &str = "
    SELECT coalesce(max(r.version), 0), coalesce(max(l.head), 0)
    FROM room r JOIN log l ON l.id = r.id WHERE r.jid = $1 AND r.removed";

async fn create(
    connection: &mut PgConnection,
    room: &BareJid,
    record: &RoomRecord,
) -> Result<(i64, u64)> {
    let (version, head): (i64, i64) = sqlx::query_as(PAST)
        .bind(room.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let version = version + 1;
    let number = log::begin(connection, unsigned(head)?).await?;
    let subject = record.subject.as_ref();
    let message = subject.map(|it| Stanza::Message(it.message.clone()).to_bytes());
    sqlx::query(
        "INSERT INTO room (id, jid, service, version, creator, created, public, secret, config,
            subject, subject_stamp, vcard)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(number)
    .bind(room.as_str())
    .bind(room.domain())
    .bind(version)
    .bind(record.creator.as_str())
    .bind(record.created.0)
    .bind(record.config.public)
    .bind(record.secret.as_slice())
    .bind(write_config(&record.config)?)
    .bind(message.as_deref())
    .bind(subject.map(|it| it.stamp.0))
    .bind(record.vcard.as_deref())
    .execute(&mut *connection)
    .await?;
    for (jid, affiliate) in &record.affiliations {
        put_affiliate(connection, number, jid, affiliate).await?;
    }
    for (uri, hat) in &record.hats.defined {
        put_hat(connection, number, uri, hat).await?;
    }
    for (jid, uris) in &record.hats.worn {
        for uri in uris {
            put_on(connection, number, jid, uri).await?;
        }
    }
    forget_past(connection, room).await?;
    Ok((number, unsigned(version)?))
}

/// The new room goes on from the earlier ones, so their tombstones are no longer needed; those
/// with a log are swept first, and go with the next room of the name.
async fn forget_past(connection: &mut PgConnection, room: &BareJid) -> Result<()> {
    sqlx::query(
        "WITH past AS (DELETE FROM room WHERE jid = $1 AND removed AND swept RETURNING id)
         DELETE FROM log WHERE id IN (SELECT id FROM past)",
    )
    .bind(room.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn apply(connection: &mut PgConnection, room: i64, change: &RoomChange) -> Result<()> {
    match change {
        // There is one.
        RoomChange::Create(_) => Err(StoreError::Conflict),
        RoomChange::Config(config) => set_config(connection, room, config).await,
        RoomChange::Affiliation(change) => change_affiliation(connection, room, change).await,
        RoomChange::Hats(change) => change_hats(connection, room, change).await,
        RoomChange::Vcard(vcard) => {
            sqlx::query("UPDATE room SET vcard = $1 WHERE id = $2")
                .bind(vcard.as_deref())
                .bind(room)
                .execute(connection)
                .await?;
            Ok(())
        }
        // Once everything else has been looked at.
        RoomChange::Destroy => Ok(()),
    }
}

async fn set_config(connection: &mut PgConnection, room: i64, config: &Config) -> Result<()> {
    sqlx::query("UPDATE room SET config = $1, public = $2 WHERE id = $3")
        .bind(write_config(config)?)
        .bind(config.public)
        .bind(room)
        .execute(connection)
        .await?;
    Ok(())
}

async fn change_affiliation(
    connection: &mut PgConnection,
    room: i64,
    change: &AffiliationChange,
) -> Result<()> {
    let after = &change.after;
    if after.affiliation != Affiliation::None || after.nick.is_some() {
        return put_affiliate(connection, room, &change.jid, after).await;
    }
    sqlx::query("DELETE FROM room_affiliate WHERE room = $1 AND jid = $2")
        .bind(room)
        .bind(change.jid.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_affiliate(
    connection: &mut PgConnection,
    room: i64,
    jid: &BareJid,
    affiliate: &Affiliate,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO room_affiliate VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (room, jid) DO UPDATE SET affiliation = excluded.affiliation,
            nick = excluded.nick, reason = excluded.reason",
    )
    .bind(room)
    .bind(jid.as_str())
    .bind(number_of(affiliate.affiliation))
    .bind(affiliate.nick.as_deref())
    .bind(affiliate.reason.as_deref())
    .execute(connection)
    .await?;
    Ok(())
}

/// Row M01: whatever was decided on, a room keeps an owner.
async fn check_owner(connection: &mut PgConnection, room: i64) -> Result<()> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM room_affiliate m WHERE m.room = $1 AND m.affiliation = 4)";
    let has_owner: bool = sqlx::query_scalar(sql)
        .bind(room)
        .fetch_one(connection)
        .await?;
    has_owner.then_some(()).ok_or(StoreError::Conflict)
}

async fn change_hats(connection: &mut PgConnection, room: i64, change: &HatsChange) -> Result<()> {
    match change {
        HatsChange::Define(uri, hat) => put_hat(connection, room, uri, hat).await,
        HatsChange::Assign(jid, uri) => put_on(connection, room, jid, uri).await,
        HatsChange::Unassign(jid, uri) => {
            sqlx::query("DELETE FROM room_hat_worn WHERE room = $1 AND jid = $2 AND uri = $3")
                .bind(room)
                .bind(jid.as_str())
                .bind(&**uri)
                .execute(connection)
                .await?;
            Ok(())
        }
        HatsChange::Destroy(uri) => {
            for sql in [
                "DELETE FROM room_hat WHERE room = $1 AND uri = $2",
                "DELETE FROM room_hat_worn WHERE room = $1 AND uri = $2",
            ] {
                let query = sqlx::query(sql).bind(room).bind(&**uri);
                query.execute(&mut *connection).await?;
            }
            Ok(())
        }
    }
}

async fn put_hat(connection: &mut PgConnection, room: i64, uri: &str, hat: &Hat) -> Result<()> {
    sqlx::query(
        "INSERT INTO room_hat VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (room, uri) DO UPDATE SET title = excluded.title, hue = excluded.hue,
            lang = excluded.lang",
    )
    .bind(room)
    .bind(uri)
    .bind(&*hat.title)
    .bind(hat.hue.as_deref())
    .bind(hat.lang.as_deref())
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_on(connection: &mut PgConnection, room: i64, jid: &BareJid, uri: &str) -> Result<()> {
    sqlx::query("INSERT INTO room_hat_worn VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(room)
        .bind(jid.as_str())
        .bind(uri)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a room, if there is one.
pub(super) async fn remove(connection: &mut PgConnection, room: &BareJid) -> Result<()> {
    match lock_with_log(connection, room).await? {
        Some((number, _)) => bury(connection, number).await,
        None => Ok(()),
    }
}

/// Leaves the row as a tombstone, without what people wrote. The log may be long: the sweep
/// deletes it.
async fn bury(connection: &mut PgConnection, number: i64) -> Result<()> {
    for sql in [
        "UPDATE room SET removed = true, creator = '', secret = '', config = '', subject = NULL,
            subject_stamp = NULL, vcard = NULL WHERE id = $1",
        "DELETE FROM room_affiliate WHERE room = $1",
        "DELETE FROM room_hat WHERE room = $1",
        "DELETE FROM room_hat_worn WHERE room = $1",
    ] {
        let query = sqlx::query(sql).bind(number);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
