//! How nodes change in PostgreSQL.
//!
//! Whatever is done to a node is done while its row is locked: so its items have the order of
//! their places, no more are kept than may be, and what it holds is counted right.

use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{
    Action, Affiliation, Item, NodeChange, ROW_BYTES, Subscription, SubscriptionState,
};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use crate::error::{Result, StoreError};
use crate::postgres::{accounts, signed};
use crate::rows::nodes::{first_version, number_of};

/// Items that one transaction deletes at most, of nodes that are gone.
const DELETE_MAX: i64 = 500;

/// Carries a change out, if the node is what it was when the change was decided.
pub(super) async fn change(
    connection: &mut PgConnection,
    change: &NodeChange,
    now: Timestamp,
) -> Result<()> {
    if change.service.localpart().is_some() {
        accounts::lock(connection, &change.service).await?;
    }
    let known: Option<(i64, i64)> = sqlx::query_as(
        "SELECT id, version FROM pubsub_node WHERE service = $1 AND name = $2 FOR NO KEY UPDATE",
    )
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
    connection: &mut PgConnection,
    change: &NodeChange,
    creator: &BareJid,
    config: &Config,
    now: Timestamp,
) -> Result<i64> {
    let made: Option<i64> = sqlx::query_scalar(
        "INSERT INTO pubsub_node (service, name, version, creator, created, config, item_expire)
         VALUES ($1, $2, 0, $3, $4, $5, $6)
         ON CONFLICT (service, name) WHERE service IS NOT NULL DO NOTHING RETURNING id",
    )
    .bind(change.service.as_str())
    .bind(&change.node)
    .bind(creator.as_str())
    .bind(now.0)
    .bind(config.to_values("submit").to_bytes().to_vec())
    .bind(config.item_expire.map(i64::from))
    .fetch_optional(&mut *connection)
    .await?;
    // Somebody else has just made it.
    let node = made.ok_or(StoreError::Conflict)?;
    sqlx::query("UPDATE pubsub_node SET version = $1 WHERE id = $2")
        .bind(signed(first_version(node)))
        .bind(node)
        .execute(&mut *connection)
        .await?;
    affiliate(connection, node, creator, Affiliation::Owner).await?;
    count(connection, node).await?;
    Ok(node)
}

async fn act(
    connection: &mut PgConnection,
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
            sqlx::query("DELETE FROM pubsub_item WHERE node = $1 AND id = ANY($2)")
                .bind(node)
                .bind(ids)
                .execute(&mut *connection)
                .await?;
            count(connection, node).await
        }
        Action::Purge => {
            let sql = "DELETE FROM pubsub_item WHERE node = $1";
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
    connection: &mut PgConnection,
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

async fn raise(connection: &mut PgConnection, node: i64) -> Result<()> {
    sqlx::query("UPDATE pubsub_node SET version = version + 1 WHERE id = $1")
        .bind(node)
        .execute(connection)
        .await?;
    Ok(())
}

async fn configure(
    connection: &mut PgConnection,
    node: i64,
    config: &Config,
    now: Timestamp,
) -> Result<()> {
    // What is over by the old rule does not come back by the new one.
    sqlx::query("DELETE FROM pubsub_item WHERE node = $1 AND expires <= $2")
        .bind(node)
        .bind(now.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE pubsub_node SET config = $1, item_expire = $2, version = version + 1 WHERE id = $3",
    )
    .bind(config.to_values("submit").to_bytes().to_vec())
    .bind(config.item_expire.map(i64::from))
    .bind(node)
    .execute(&mut *connection)
    .await?;
    // What is there already goes by the new rule; as many as a node may have.
    sqlx::query(
        "UPDATE pubsub_item SET expires = stamp + $1 * 1000000
         WHERE node = $2 AND expires IS DISTINCT FROM stamp + $1 * 1000000",
    )
    .bind(config.item_expire.map(i64::from))
    .bind(node)
    .execute(&mut *connection)
    .await?;
    count(connection, node).await
}

async fn affiliate(
    connection: &mut PgConnection,
    node: i64,
    jid: &BareJid,
    affiliation: Affiliation,
) -> Result<()> {
    if affiliation == Affiliation::None {
        let sql = "DELETE FROM pubsub_affiliation WHERE node = $1 AND jid = $2";
        return run(connection, sql, node, jid.as_str()).await;
    }
    sqlx::query(
        "INSERT INTO pubsub_affiliation VALUES ($1, $2, $3)
         ON CONFLICT (node, jid) DO UPDATE SET affiliation = excluded.affiliation",
    )
    .bind(node)
    .bind(jid.as_str())
    .bind(number_of(affiliation))
    .execute(connection)
    .await?;
    Ok(())
}

async fn subscribe(
    connection: &mut PgConnection,
    node: i64,
    subscription: &Subscription,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO pubsub_subscription VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (node, jid) DO UPDATE SET pending = excluded.pending,
            options = excluded.options",
    )
    .bind(node)
    .bind(subscription.jid.as_str())
    .bind(subscription.jid.bare_str())
    .bind(subscription.state == SubscriptionState::Pending)
    .bind(subscription.options.to_kept())
    .execute(connection)
    .await?;
    Ok(())
}

async fn unsubscribe(connection: &mut PgConnection, node: i64, jid: &Jid) -> Result<()> {
    let sql = "DELETE FROM pubsub_subscription WHERE node = $1 AND jid = $2";
    run(connection, sql, node, jid.as_str()).await
}

async fn publish(
    connection: &mut PgConnection,
    node: i64,
    items: &[Item],
    keep: u32,
) -> Result<()> {
    for item in items {
        // Known already it gets a new place, behind the others.
        sqlx::query(
            "INSERT INTO pubsub_item (node, id, publisher, stamp, payload, expires)
             SELECT $1, $2, $3, $4, $5, $4 + item_expire * 1000000 FROM pubsub_node WHERE id = $1
             ON CONFLICT (node, id) DO UPDATE SET place = DEFAULT,
                publisher = excluded.publisher, stamp = excluded.stamp,
                payload = excluded.payload, expires = excluded.expires",
        )
        .bind(node)
        .bind(&item.id)
        .bind(item.publisher.as_str())
        .bind(item.stamp.0)
        .bind(&item.payload[..])
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "DELETE FROM pubsub_item WHERE place IN
            (SELECT place FROM pubsub_item WHERE node = $1 ORDER BY place DESC OFFSET $2)",
    )
    .bind(node)
    .bind(i64::from(keep))
    .execute(&mut *connection)
    .await?;
    count(connection, node).await
}

/// What the node holds now.
pub(in crate::postgres) async fn count(connection: &mut PgConnection, node: i64) -> Result<()> {
    sqlx::query(
        "UPDATE pubsub_node SET
            items = (SELECT count(*) FROM pubsub_item WHERE node = $1),
            bytes = (SELECT coalesce(sum(length(payload) + octet_length(id) + $2), 0)
                    FROM pubsub_item WHERE node = $1)
                + (SELECT coalesce(sum(octet_length(jid) + $2), 0)
                    FROM pubsub_subscription WHERE node = $1)
                + (SELECT coalesce(sum(octet_length(jid) + $2), 0)
                    FROM pubsub_affiliation WHERE node = $1)
         WHERE id = $1",
    )
    .bind(node)
    .bind(signed(ROW_BYTES))
    .execute(connection)
    .await?;
    Ok(())
}

/// The node is gone at once; its items may be many and go at leisure.
async fn delete(connection: &mut PgConnection, node: i64) -> Result<()> {
    for sql in [
        "DELETE FROM pubsub_affiliation WHERE node = $1",
        "DELETE FROM pubsub_subscription WHERE node = $1",
        "UPDATE pubsub_node SET service = NULL WHERE id = $1",
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
pub(in crate::postgres) async fn forget_account(
    connection: &mut PgConnection,
    account: &BareJid,
) -> Result<()> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM pubsub_node n WHERE service = $1
            OR creator = $1 AND service IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM pubsub_affiliation a
                WHERE a.node = n.id AND a.affiliation = 0 AND a.jid <> $1)
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(account.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for node in gone {
        delete(connection, node).await?;
    }
    for sql in [
        "DELETE FROM pubsub_affiliation WHERE jid = $1",
        "DELETE FROM pubsub_subscription WHERE account = $1",
    ] {
        sqlx::query(sql)
            .bind(account.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Deletes some items whose time is over; true: there may be more.
pub(in crate::postgres) async fn sweep_items(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<bool> {
    // The nodes first, as those who publish do; what is being changed has its turn later.
    let nodes: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM pubsub_node WHERE id IN
            (SELECT node FROM pubsub_item WHERE expires <= $1 ORDER BY expires LIMIT $2)
         ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(now.0)
    .bind(DELETE_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let done = sqlx::query(
        "DELETE FROM pubsub_item WHERE place IN
            (SELECT place FROM pubsub_item WHERE expires <= $1 AND node = ANY($2) LIMIT $3)",
    )
    .bind(now.0)
    .bind(&nodes)
    .bind(DELETE_MAX)
    .execute(&mut *connection)
    .await?;
    for node in nodes {
        count(connection, node).await?;
    }
    Ok(done.rows_affected() > 0)
}

/// Deletes some items of a node that is gone, or the node when it has none; true: there is more.
pub(in crate::postgres) async fn sweep(connection: &mut PgConnection) -> Result<bool> {
    let node: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM pubsub_node WHERE service IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(node) = node else { return Ok(false) };
    let done = sqlx::query(
        "DELETE FROM pubsub_item WHERE place IN
            (SELECT place FROM pubsub_item WHERE node = $1 LIMIT $2)",
    )
    .bind(node)
    .bind(DELETE_MAX)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        sqlx::query("DELETE FROM pubsub_node WHERE id = $1")
            .bind(node)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}
