//! How nodes change in SQLite.

use std::collections::BTreeSet;

use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{
    Action, Affiliation, Item, NodeChange, ROW_BYTES, Subscription, SubscriptionState,
};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use crate::error::{Result, StoreError};
use crate::rows::nodes::{first_version, number_of};
use crate::sqlite::writer::Writer;
use crate::sqlite::{accounts, signed};

/// Items that one transaction deletes at most, of nodes that are gone.
const DELETE_MAX: i64 = 500;

/// Carries a change out, if the node is what it was when the change was decided.
pub(super) async fn change(writer: &mut Writer, change: &NodeChange, now: Timestamp) -> Result<()> {
    let connection = writer.connection().await?;
    if change.service.localpart().is_some() {
        accounts::number(connection, &change.service).await?;
    }
    let known: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, version FROM pubsub_node WHERE service = ? AND name = ?")
            .bind(change.service.as_str())
            .bind(&change.node)
            .fetch_optional(&mut *connection)
            .await?;
    let is_expected = match (known, change.expected) {
        (None, None) => true,
        (Some((_, version)), Some(expected)) => version == signed(expected),
        _ => false,
    };
    if !is_expected {
        return Err(StoreError::Conflict);
    }
    let mut node = known.map(|(node, _)| node);
    for action in &change.actions {
        match (action, node) {
            (Action::Create(creator, config), None) => {
                node = Some(create(connection, change, creator, config, now).await?);
            }
            (action, Some(node)) => act(connection, node, action, now).await?,
            // Nothing can be done to a node that is neither there nor made.
            (_, None) => return Err(StoreError::Conflict),
        }
    }
    Ok(())
}

async fn create(
    connection: &mut SqliteConnection,
    change: &NodeChange,
    creator: &BareJid,
    config: &Config,
    now: Timestamp,
) -> Result<i64> {
    let done = sqlx::query(
        "INSERT INTO pubsub_node (service, name, version, creator, created, config, item_expire)
         VALUES (?, ?, 0, ?, ?, ?, ?)",
    )
    .bind(change.service.as_str())
    .bind(&change.node)
    .bind(creator.as_str())
    .bind(now.0)
    .bind(config.to_values("submit").to_bytes().to_vec())
    .bind(config.item_expire)
    .execute(&mut *connection)
    .await?;
    let node = done.last_insert_rowid();
    sqlx::query("UPDATE pubsub_node SET version = ? WHERE id = ?")
        .bind(signed(first_version(node)))
        .bind(node)
        .execute(&mut *connection)
        .await?;
    affiliate(connection, node, creator, Affiliation::Owner).await?;
    count(connection, node).await?;
    Ok(node)
}

async fn act(
    connection: &mut SqliteConnection,
    node: i64,
    action: &Action,
    now: Timestamp,
) -> Result<()> {
    match action {
        Action::Create(..) => Err(StoreError::Conflict),
        Action::Configure(config) => configure(connection, node, config, now).await,
        Action::Affiliate(changes) => {
            for (jid, affiliation) in changes {
                affiliate(connection, node, jid, *affiliation).await?;
            }
            raise(connection, node).await?;
            count(connection, node).await
        }
        Action::Subscribe(subscription) => {
            subscribe(connection, node, subscription).await?;
            count(connection, node).await
        }
        Action::Unsubscribe(jid) => {
            unsubscribe(connection, node, jid).await?;
            count(connection, node).await
        }
        Action::Publish(items, keep) => publish(connection, node, items, *keep).await,
        Action::Retract(ids) => {
            for id in ids {
                let sql = "DELETE FROM pubsub_item WHERE node = ? AND id = ?";
                run(connection, sql, node, id).await?;
            }
            count(connection, node).await
        }
        Action::Purge => {
            let sql = "DELETE FROM pubsub_item WHERE node = ?";
            sqlx::query(sql)
                .bind(node)
                .execute(&mut *connection)
                .await?;
            count(connection, node).await
        }
        Action::Delete => delete(connection, node).await,
    }
}

async fn run(
    connection: &mut SqliteConnection,
    sql: &'static str,
    node: i64,
    text: &str,
) -> Result<()> {
    sqlx::query(sql)
        .bind(node)
        .bind(text)
        .execute(connection)
        .await?;
    Ok(())
}

async fn raise(connection: &mut SqliteConnection, node: i64) -> Result<()> {
    sqlx::query("UPDATE pubsub_node SET version = version + 1 WHERE id = ?")
        .bind(node)
        .execute(connection)
        .await?;
    Ok(())
}

async fn configure(
    connection: &mut SqliteConnection,
    node: i64,
    config: &Config,
    now: Timestamp,
) -> Result<()> {
    // What is over by the old rule does not come back by the new one.
    sqlx::query("DELETE FROM pubsub_item WHERE node = ? AND expires <= ?")
        .bind(node)
        .bind(now.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE pubsub_node SET config = ?, item_expire = ?, version = version + 1 WHERE id = ?",
    )
    .bind(config.to_values("submit").to_bytes().to_vec())
    .bind(config.item_expire)
    .bind(node)
    .execute(&mut *connection)
    .await?;
    // What is there already goes by the new rule; as many as a node may have.
    sqlx::query(
        "UPDATE pubsub_item SET expires = stamp + ?1 * 1000000
         WHERE node = ?2 AND expires IS NOT stamp + ?1 * 1000000",
    )
    .bind(config.item_expire)
    .bind(node)
    .execute(&mut *connection)
    .await?;
    count(connection, node).await
}

async fn affiliate(
    connection: &mut SqliteConnection,
    node: i64,
    jid: &BareJid,
    affiliation: Affiliation,
) -> Result<()> {
    if affiliation == Affiliation::None {
        let sql = "DELETE FROM pubsub_affiliation WHERE node = ? AND jid = ?";
        return run(connection, sql, node, jid.as_str()).await;
    }
    sqlx::query("INSERT OR REPLACE INTO pubsub_affiliation VALUES (?, ?, ?)")
        .bind(node)
        .bind(jid.as_str())
        .bind(number_of(affiliation))
        .execute(connection)
        .await?;
    Ok(())
}

async fn subscribe(
    connection: &mut SqliteConnection,
    node: i64,
    subscription: &Subscription,
) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO pubsub_subscription VALUES (?, ?, ?, ?, ?)")
        .bind(node)
        .bind(subscription.jid.as_str())
        .bind(subscription.jid.bare_str())
        .bind(subscription.state == SubscriptionState::Pending)
        .bind(subscription.options.to_kept())
        .execute(connection)
        .await?;
    Ok(())
}

async fn unsubscribe(connection: &mut SqliteConnection, node: i64, jid: &Jid) -> Result<()> {
    let sql = "DELETE FROM pubsub_subscription WHERE node = ? AND jid = ?";
    run(connection, sql, node, jid.as_str()).await
}

async fn publish(
    connection: &mut SqliteConnection,
    node: i64,
    items: &[Item],
    keep: u32,
) -> Result<()> {
    for item in items {
        let sql = "DELETE FROM pubsub_item WHERE node = ? AND id = ?";
        run(connection, sql, node, &item.id).await?;
        sqlx::query(
            "INSERT INTO pubsub_item (node, id, publisher, stamp, payload, expires)
             SELECT ?1, ?2, ?3, ?4, ?5, ?4 + item_expire * 1000000 FROM pubsub_node WHERE id = ?1",
        )
        .bind(node)
        .bind(&item.id)
        .bind(item.publisher.as_str())
        .bind(item.stamp.0)
        .bind(item.payload.to_vec())
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "DELETE FROM pubsub_item WHERE place IN
            (SELECT place FROM pubsub_item WHERE node = ? ORDER BY place DESC LIMIT -1 OFFSET ?)",
    )
    .bind(node)
    .bind(keep)
    .execute(&mut *connection)
    .await?;
    count(connection, node).await
}

/// What the node holds now.
pub(in crate::sqlite) async fn count(connection: &mut SqliteConnection, node: i64) -> Result<()> {
    sqlx::query(
        "UPDATE pubsub_node SET
            items = (SELECT count(*) FROM pubsub_item WHERE node = ?1),
            bytes = (SELECT coalesce(sum(length(payload) + length(CAST(id AS BLOB)) + ?2), 0)
                    FROM pubsub_item WHERE node = ?1)
                + (SELECT coalesce(sum(length(CAST(jid AS BLOB)) + ?2), 0)
                    FROM pubsub_subscription WHERE node = ?1)
                + (SELECT coalesce(sum(length(CAST(jid AS BLOB)) + ?2), 0)
                    FROM pubsub_affiliation WHERE node = ?1)
         WHERE id = ?1",
    )
    .bind(node)
    .bind(signed(ROW_BYTES))
    .execute(connection)
    .await?;
    Ok(())
}

/// The node is gone at once; its items may be many and go at leisure.
async fn delete(connection: &mut SqliteConnection, node: i64) -> Result<()> {
    for sql in [
        "DELETE FROM pubsub_affiliation WHERE node = ?",
        "DELETE FROM pubsub_subscription WHERE node = ?",
        "UPDATE pubsub_node SET service = NULL WHERE id = ?",
    ] {
        sqlx::query(sql)
            .bind(node)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Takes a removed account's nodes away, and what it was to the nodes of others: who gets its
/// name is somebody else (row C15).
pub(in crate::sqlite) async fn forget_account(
    connection: &mut SqliteConnection,
    account: &BareJid,
) -> Result<()> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM pubsub_node n WHERE service = ?1
         UNION SELECT id FROM pubsub_node n WHERE creator = ?1 AND service IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM pubsub_affiliation a
                WHERE a.node = n.id AND a.affiliation = 0 AND a.jid <> ?1)",
    )
    .bind(account.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for node in gone {
        delete(connection, node).await?;
    }
    for sql in [
        "DELETE FROM pubsub_affiliation WHERE jid = ?",
        "DELETE FROM pubsub_subscription WHERE account = ?",
    ] {
        sqlx::query(sql)
            .bind(account.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Deletes some items whose time is over; true: there may be more.
pub(in crate::sqlite) async fn sweep_items(writer: &mut Writer, now: Timestamp) -> Result<bool> {
    let connection = writer.connection().await?;
    let gone: Vec<(i64, i64)> =
        sqlx::query_as("SELECT place, node FROM pubsub_item WHERE expires <= ? LIMIT ?")
            .bind(now.0)
            .bind(DELETE_MAX)
            .fetch_all(&mut *connection)
            .await?;
    for (place, _) in &gone {
        sqlx::query("DELETE FROM pubsub_item WHERE place = ?")
            .bind(place)
            .execute(&mut *connection)
            .await?;
    }
    let nodes: BTreeSet<i64> = gone.iter().map(|(_, node)| *node).collect();
    for node in nodes {
        count(connection, node).await?;
    }
    Ok(!gone.is_empty())
}

/// Deletes some items of a node that is gone, or the node when it has none; true: there is more.
pub(in crate::sqlite) async fn sweep(writer: &mut Writer) -> Result<bool> {
    let connection = writer.connection().await?;
    let node: Option<i64> =
        sqlx::query_scalar("SELECT id FROM pubsub_node WHERE service IS NULL LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    let Some(node) = node else { return Ok(false) };
    let done = sqlx::query(
        "DELETE FROM pubsub_item WHERE place IN
            (SELECT place FROM pubsub_item WHERE node = ? LIMIT ?)",
    )
    .bind(node)
    .bind(DELETE_MAX)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        sqlx::query("DELETE FROM pubsub_node WHERE id = ?")
            .bind(node)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}
