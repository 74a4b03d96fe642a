//! Nodes in PostgreSQL: what is read of them. How they change: [`change`].

mod change;

pub(super) use change::{count, forget_account, sweep, sweep_items};

use std::collections::{BTreeMap, HashMap};

use klatsch_protocol::features::pubsub::node::{
    Affiliation, Ask, Found, FoundNode, Item, LastItem, Node, NodeChange, Subscription, Usage,
    Wanted,
};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::{Postgres, bare, unsigned};
use crate::error::{Result, StoreError};
use crate::pubsub::{LIST_MAX, Nodes};
use crate::rows::nodes::{
    ItemRow, LastRow, NODE_COLUMNS, NodeRow, SubscriptionRow, affiliation_of, item_of,
    last_item_of, node_of, subscription_of,
};

impl Nodes for Postgres {
    async fn nodes(&self, service: &BareJid, ask: &Ask, now: Timestamp) -> Result<Found> {
        // Several queries of one view of the database: what they find belongs together.
        let mut reading = self.pool.begin_with(READING).await?;
        let reading = &mut *reading;
        Ok(match ask {
            Ask::Node {
                node,
                items,
                creator,
            } => Found::Node(find(reading, service, node, items, (creator, now)).await?),
            Ask::Nodes { after, max } => {
                Found::Nodes(list(reading, service, after.as_deref(), *max).await?)
            }
            Ask::Subscriptions(of) => {
                Found::Subscriptions(subscriptions(reading, service, of).await?)
            }
            Ask::Affiliations(of) => Found::Affiliations(affiliations(reading, service, of).await?),
            Ask::LastItems {
                services,
                nodes,
                bytes_max,
            } => Found::LastItems(last_items(reading, services, nodes, *bytes_max, now).await?),
        })
    }

    async fn change_node(&self, change: &NodeChange, now: Timestamp) -> Result<()> {
        let change = change.clone();
        self.write(move |connection| {
            Box::pin(async move { change::change(connection, &change, now).await })
        })
        .await
    }
}

/// Begins a transaction that sees the database as it is at its first query.
const READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

async fn find(
    connection: &mut PgConnection,
    service: &BareJid,
    name: &str,
    wanted: &Wanted,
    (creator, now): (&BareJid, Timestamp),
) -> Result<FoundNode> {
    let sql = format!("SELECT {NODE_COLUMNS} FROM pubsub_node WHERE service = $1 AND name = $2");
    let row: Option<NodeRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(service.as_str())
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        let usage = usage(connection, service, creator).await?;
        return Ok(FoundNode {
            usage,
            ..FoundNode::default()
        });
    };
    let number = row.id;
    let counted = row.items;
    let mut node = node_of(row, service)?;
    let count = match node.config.item_expire {
        None => unsigned(counted)?,
        // What the node's line says has those in it that are not swept yet.
        Some(_) => count_alive(connection, number, now).await?,
    };
    node.affiliations = affiliations_of(connection, number).await?;
    node.subscriptions = subscriptions_of(connection, number).await?;
    let items = items(connection, (number, now), wanted).await?;
    let usage = usage(connection, service, &node.creator).await?;
    Ok(FoundNode {
        node: Some(node),
        items,
        count,
        usage,
    })
}

async fn usage(
    connection: &mut PgConnection,
    service: &BareJid,
    creator: &BareJid,
) -> Result<Usage> {
    let (nodes, bytes): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM pubsub_node
         WHERE service = $1 AND creator = $2",
    )
    .bind(service.as_str())
    .bind(creator.as_str())
    .fetch_one(connection)
    .await?;
    Ok(Usage {
        nodes: unsigned(nodes)?,
        bytes: unsigned(bytes)?,
    })
}

async fn affiliations_of(
    connection: &mut PgConnection,
    node: i64,
) -> Result<BTreeMap<BareJid, Affiliation>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT jid, affiliation FROM pubsub_affiliation WHERE node = $1")
            .bind(node)
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|(jid, affiliation)| Ok((bare(jid)?, affiliation_of(*affiliation)?)))
        .collect()
}

async fn subscriptions_of(connection: &mut PgConnection, node: i64) -> Result<Vec<Subscription>> {
    let rows: Vec<SubscriptionRow> = sqlx::query_as(
        "SELECT jid, pending, options FROM pubsub_subscription WHERE node = $1 ORDER BY jid",
    )
    .bind(node)
    .fetch_all(connection)
    .await?;
    rows.iter().map(subscription_of).collect()
}

const ITEM: &str = "SELECT id, publisher, stamp, payload FROM pubsub_item";

/// An item whose time is not over; `$2` is now. It may wait for the sweep long after that.
const ALIVE: &str = "(expires IS NULL OR expires > $2)";

/// The items of a node that are there now.
type Alive = (i64, Timestamp);

async fn count_alive(connection: &mut PgConnection, node: i64, now: Timestamp) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM pubsub_item WHERE node = $1 AND {ALIVE}");
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(node)
        .bind(now.0)
        .fetch_one(connection)
        .await?;
    unsigned(count)
}

/// The items wanted, oldest first.
async fn items(connection: &mut PgConnection, node: Alive, wanted: &Wanted) -> Result<Vec<Item>> {
    match wanted {
        Wanted::Nothing => Ok(Vec::new()),
        Wanted::Ids(ids) => {
            let mut items = Vec::new();
            for id in ids {
                items.extend(item(connection, node, id).await?);
            }
            Ok(items)
        }
        Wanted::Replaced(id) => {
            let known = match id {
                Some(id) => item(connection, node, id).await?,
                None => None,
            };
            match known {
                Some(item) => Ok(vec![item]),
                None => page(connection, node, 0, i64::MAX, 1, "ASC").await,
            }
        }
        Wanted::After(id, max) => {
            let after = place(connection, node, id.as_deref()).await?.unwrap_or(0);
            page(connection, node, after, i64::MAX, *max, "ASC").await
        }
        Wanted::Before(id, max) => {
            let before = place(connection, node, id.as_deref()).await?;
            let mut items = page(
                connection,
                node,
                0,
                before.unwrap_or(i64::MAX),
                *max,
                "DESC",
            )
            .await?;
            items.reverse();
            Ok(items)
        }
    }
}

async fn page(
    connection: &mut PgConnection,
    (node, now): Alive,
    after: i64,
    before: i64,
    max: u32,
    order: &'static str,
) -> Result<Vec<Item>> {
    let sql = format!(
        "{ITEM} WHERE node = $1 AND place > $3 AND place < $4 AND {ALIVE}
         ORDER BY place {order} LIMIT $5"
    );
    let rows: Vec<ItemRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(node)
        .bind(now.0)
        .bind(after)
        .bind(before)
        .bind(i64::from(max))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(item_of).collect()
}

async fn item(connection: &mut PgConnection, (node, now): Alive, id: &str) -> Result<Option<Item>> {
    let sql = format!("{ITEM} WHERE node = $1 AND id = $3 AND {ALIVE}");
    let row: Option<ItemRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(node)
        .bind(now.0)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(item_of).transpose()
}

/// Where the item is that a page is next to.
async fn place(
    connection: &mut PgConnection,
    (node, now): Alive,
    id: Option<&str>,
) -> Result<Option<i64>> {
    let Some(id) = id else { return Ok(None) };
    let sql = format!("SELECT place FROM pubsub_item WHERE node = $1 AND id = $3 AND {ALIVE}");
    let place: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(node)
        .bind(now.0)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    place.map(Some).ok_or(StoreError::NoSuchItem)
}

async fn list(
    connection: &mut PgConnection,
    service: &BareJid,
    after: Option<&str>,
    max: u32,
) -> Result<Vec<Node>> {
    let sql = format!(
        "SELECT {NODE_COLUMNS} FROM pubsub_node WHERE service = $1 AND name > $2
         ORDER BY name LIMIT $3"
    );
    let rows: Vec<NodeRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(service.as_str())
        .bind(after.unwrap_or(""))
        .bind(i64::from(max))
        .fetch_all(&mut *connection)
        .await?;
    let mut nodes = Vec::with_capacity(rows.len());
    for row in rows {
        let affiliations = affiliations_of(connection, row.id).await?;
        nodes.push(Node {
            affiliations,
            ..node_of(row, service)?
        });
    }
    Ok(nodes)
}

async fn subscriptions(
    connection: &mut PgConnection,
    service: &BareJid,
    of: &BareJid,
) -> Result<Vec<(String, Subscription)>> {
    let rows: Vec<(String, String, bool, String)> = sqlx::query_as(
        "SELECT n.name, s.jid, s.pending, s.options FROM pubsub_subscription s
         JOIN pubsub_node n ON n.id = s.node
         WHERE s.account = $1 AND n.service = $2 ORDER BY n.name, s.jid LIMIT $3",
    )
    .bind(of.as_str())
    .bind(service.as_str())
    .bind(i64::from(LIST_MAX))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(node, jid, pending, options)| Ok((node, subscription_of(&(jid, pending, options))?)))
        .collect()
}

async fn affiliations(
    connection: &mut PgConnection,
    service: &BareJid,
    of: &BareJid,
) -> Result<Vec<(String, Affiliation)>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT n.name, a.affiliation FROM pubsub_affiliation a
         JOIN pubsub_node n ON n.id = a.node
         WHERE a.jid = $1 AND n.service = $2 ORDER BY n.name LIMIT $3",
    )
    .bind(of.as_str())
    .bind(service.as_str())
    .bind(i64::from(LIST_MAX))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(node, affiliation)| Ok((node, affiliation_of(affiliation)?)))
        .collect()
}

/// Nodes of these names of these services, in order of the services.
const LAST_ITEMS_OF: &str = "FROM unnest($1) WITH ORDINALITY s (service, number)
    JOIN pubsub_node n ON n.service = s.service AND n.name = ANY($2)";

async fn last_items(
    connection: &mut PgConnection,
    services: &[BareJid],
    names: &[String],
    bytes_max: usize,
    now: Timestamp,
) -> Result<Vec<LastItem>> {
    let services: Vec<&str> = services.iter().map(BareJid::as_str).collect();
    let mut affiliations = last_affiliations(connection, &services, names).await?;
    let sql = format!(
        "SELECT n.service, n.id, n.name, n.version, n.creator, n.created, n.config, n.items,
            i.id AS item, i.publisher, i.stamp, i.payload
         {LAST_ITEMS_OF}
         LEFT JOIN LATERAL (SELECT * FROM pubsub_item
             WHERE node = n.id AND (expires IS NULL OR expires > $3)
             ORDER BY place DESC LIMIT 1) i ON true
         ORDER BY s.number, n.name LIMIT {LAST_ITEMS_MAX}"
    );
    let rows: Vec<LastRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(services)
        .bind(names)
        .bind(now.0)
        .fetch_all(connection)
        .await?;
    let mut bytes = 0;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        bytes += row.payload.as_ref().map_or(0, Vec::len);
        if bytes > bytes_max {
            break;
        }
        let number = row.node.id;
        let mut last = last_item_of(row)?;
        last.node.affiliations = affiliations.remove(&number).unwrap_or_default();
        found.push(last);
    }
    Ok(found)
}

/// Nodes of one login, at most: some hundred contacts with all that clients show.
const LAST_ITEMS_MAX: u32 = 4000;

async fn last_affiliations(
    connection: &mut PgConnection,
    services: &[&str],
    names: &[String],
) -> Result<HashMap<i64, BTreeMap<BareJid, Affiliation>>> {
    let sql = format!(
        "SELECT a.node, a.jid, a.affiliation {LAST_ITEMS_OF}
         JOIN pubsub_affiliation a ON a.node = n.id"
    );
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(services)
        .bind(names)
        .fetch_all(connection)
        .await?;
    let mut found: HashMap<i64, BTreeMap<BareJid, Affiliation>> = HashMap::new();
    for (node, jid, affiliation) in rows {
        let of = found.entry(node).or_default();
        of.insert(bare(&jid)?, affiliation_of(affiliation)?);
    }
    Ok(found)
}
