//! Rooms made, changed and removed, by compare-and-set on their version.

use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation, AffiliationChange};
use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::hats::{Hat, HatsChange};
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::Stanza;
use sqlx::sqlite::SqliteConnection;

use crate::error::{Result, StoreError};
use crate::plan::LogOf;
use crate::rows::rooms::{number_of, write_config};
use crate::sqlite::merge::merge_all;
use crate::sqlite::purge::keep_head;
use crate::sqlite::writer::Writer;
use crate::sqlite::{signed, unsigned};

/// Changes a room, or makes it. Runs between BEGIN and COMMIT.
pub(super) async fn save(
    writer: &mut Writer,
    room: &BareJid,
    expected: u64,
    changes: &[RoomChange],
) -> Result<u64> {
    let connection = writer.connection().await?;
    let found = find(connection, room).await?;
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
    sqlx::query("UPDATE room SET version = ? WHERE id = ?")
        .bind(signed(version))
        .bind(number)
        .execute(connection)
        .await?;
    if changes.contains(&RoomChange::Destroy) {
        remove(writer, room).await?;
    }
    Ok(version)
}

pub(in crate::sqlite) const VERSION: &str =
    "SELECT id, version FROM room WHERE jid = ? AND NOT removed";

/// The number of a room and its version.
async fn find(connection: &mut SqliteConnection, room: &BareJid) -> Result<Option<(i64, u64)>> {
    let row: Option<(i64, i64)> = sqlx::query_as(VERSION)
        .bind(room.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|(number, version)| Ok((number, unsigned(version)?)))
        .transpose()
}

/// What earlier rooms of a name leave: their last version, and the last id of their logs.
pub(in crate::sqlite) const PAST: &str = "
    SELECT coalesce(max(r.version), 0), coalesce(max(l.head), 0)
    FROM room r CROSS JOIN log l ON l.id = r.id WHERE r.jid = ? AND r.removed";

async fn create(
    connection: &mut SqliteConnection,
    room: &BareJid,
    record: &RoomRecord,
) -> Result<(i64, u64)> {
    let (version, head): (i64, i64) = sqlx::query_as(PAST)
        .bind(room.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let version = version + 1;
    let log = sqlx::query("INSERT INTO log (head) VALUES (?)")
        .bind(head)
        .execute(&mut *connection)
        .await?;
    let number = log.last_insert_rowid();
    let subject = record.subject.as_ref();
    let message = subject.map(|it| Stanza::Message(it.message.clone()).to_bytes());
    sqlx::query(
        "INSERT INTO room (id, jid, service, version, creator, created, public, secret, config,
            subject, subject_stamp, vcard)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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

pub(in crate::sqlite) const FORGET_PAST: &str =
    "DELETE FROM room WHERE jid = ? AND removed AND swept RETURNING id";

/// The new room goes on from the earlier ones, so their tombstones are no longer needed; those
/// with a log are swept first, and go with the next room of the name.
async fn forget_past(connection: &mut SqliteConnection, room: &BareJid) -> Result<()> {
    let past: Vec<i64> = sqlx::query_scalar(FORGET_PAST)
        .bind(room.as_str())
        .fetch_all(&mut *connection)
        .await?;
    for log in past {
        sqlx::query("DELETE FROM log WHERE id = ?")
            .bind(log)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn apply(connection: &mut SqliteConnection, room: i64, change: &RoomChange) -> Result<()> {
    match change {
        // There is one.
        RoomChange::Create(_) => Err(StoreError::Conflict),
        RoomChange::Config(config) => set_config(connection, room, config).await,
        RoomChange::Affiliation(change) => change_affiliation(connection, room, change).await,
        RoomChange::Hats(change) => change_hats(connection, room, change).await,
        RoomChange::Vcard(vcard) => {
            sqlx::query("UPDATE room SET vcard = ? WHERE id = ?")
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

async fn set_config(connection: &mut SqliteConnection, room: i64, config: &Config) -> Result<()> {
    sqlx::query("UPDATE room SET config = ?, public = ? WHERE id = ?")
        .bind(write_config(config)?)
        .bind(config.public)
        .bind(room)
        .execute(connection)
        .await?;
    Ok(())
}

async fn change_affiliation(
    connection: &mut SqliteConnection,
    room: i64,
    change: &AffiliationChange,
) -> Result<()> {
    let after = &change.after;
    if after.affiliation != Affiliation::None || after.nick.is_some() {
        return put_affiliate(connection, room, &change.jid, after).await;
    }
    sqlx::query("DELETE FROM room_affiliate WHERE room = ? AND jid = ?")
        .bind(room)
        .bind(change.jid.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_affiliate(
    connection: &mut SqliteConnection,
    room: i64,
    jid: &BareJid,
    affiliate: &Affiliate,
) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO room_affiliate VALUES (?, ?, ?, ?, ?)")
        .bind(room)
        .bind(jid.as_str())
        .bind(number_of(affiliate.affiliation))
        .bind(affiliate.nick.as_deref())
        .bind(affiliate.reason.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

pub(in crate::sqlite) const HAS_OWNER: &str =
    "SELECT EXISTS (SELECT 1 FROM room_affiliate m WHERE m.room = ? AND m.affiliation = 4)";

/// Row M01: whatever was decided on, a room keeps an owner.
async fn check_owner(connection: &mut SqliteConnection, room: i64) -> Result<()> {
    let has_owner: bool = sqlx::query_scalar(HAS_OWNER)
        .bind(room)
        .fetch_one(connection)
        .await?;
    has_owner.then_some(()).ok_or(StoreError::Conflict)
}

async fn change_hats(
    connection: &mut SqliteConnection,
    room: i64,
    change: &HatsChange,
) -> Result<()> {
    match change {
        HatsChange::Define(uri, hat) => put_hat(connection, room, uri, hat).await,
        HatsChange::Assign(jid, uri) => put_on(connection, room, jid, uri).await,
        HatsChange::Unassign(jid, uri) => {
            sqlx::query("DELETE FROM room_hat_worn WHERE room = ? AND jid = ? AND uri = ?")
                .bind(room)
                .bind(jid.as_str())
                .bind(&**uri)
                .execute(connection)
                .await?;
            Ok(())
        }
        HatsChange::Destroy(uri) => {
            for sql in [
                "DELETE FROM room_hat WHERE room = ? AND uri = ?",
                "DELETE FROM room_hat_worn WHERE room = ? AND uri = ?",
            ] {
                let query = sqlx::query(sql).bind(room).bind(&**uri);
                query.execute(&mut *connection).await?;
            }
            Ok(())
        }
    }
}

async fn put_hat(connection: &mut SqliteConnection, room: i64, uri: &str, hat: &Hat) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO room_hat VALUES (?, ?, ?, ?, ?)")
        .bind(room)
        .bind(uri)
        .bind(&*hat.title)
        .bind(hat.hue.as_deref())
        .bind(hat.lang.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_on(
    connection: &mut SqliteConnection,
    room: i64,
    jid: &BareJid,
    uri: &str,
) -> Result<()> {
    sqlx::query("INSERT OR IGNORE INTO room_hat_worn VALUES (?, ?, ?)")
        .bind(room)
        .bind(jid.as_str())
        .bind(uri)
        .execute(connection)
        .await?;
    Ok(())
}

/// Leaves the row as a tombstone, without what people wrote. The log may be long:
/// [`crate::sqlite::purge::sweep`] deletes it.
pub(super) async fn remove(writer: &mut Writer, room: &BareJid) -> Result<()> {
    // Nothing of it may come out of the recent messages after it has been swept.
    merge_all(writer).await?;
    let connection = writer.connection().await?;
    let Some((number, _)) = find(connection, room).await? else {
        return Ok(());
    };
    keep_head(connection, number).await?;
    for sql in [
        "UPDATE room SET removed = 1, creator = '', secret = x'', config = '', subject = NULL,
            subject_stamp = NULL, vcard = NULL WHERE id = ?",
        "DELETE FROM room_affiliate WHERE room = ?",
        "DELETE FROM room_hat WHERE room = ?",
        "DELETE FROM room_hat_worn WHERE room = ?",
    ] {
        let query = sqlx::query(sql).bind(number);
        query.execute(&mut *connection).await?;
    }
    // Forgetting too early does no harm, should the commit fail.
    writer.heads.remove(&LogOf::Room(room.clone()));
    Ok(())
}
