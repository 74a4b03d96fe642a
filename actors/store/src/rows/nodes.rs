//! Nodes and items as they stand in a database.

use std::collections::BTreeMap;

use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{
    Affiliation, Item, LastItem, Node, Subscription, SubscriptionState,
};
use klatsch_protocol::features::pubsub::options::Options;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use sqlx::FromRow;

use super::{bare, jid, unsigned};
use crate::error::{Result, StoreError};

/// The columns of [`NodeRow`].
pub(crate) const NODE_COLUMNS: &str = "id, name, version, creator, created, config, items";

#[derive(FromRow)]
pub(crate) struct NodeRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) creator: String,
    pub(crate) created: i64,
    pub(crate) config: Vec<u8>,
    pub(crate) items: i64,
}

#[derive(FromRow)]
pub(crate) struct ItemRow {
    pub(crate) id: String,
    pub(crate) publisher: String,
    pub(crate) stamp: i64,
    pub(crate) payload: Vec<u8>,
}

/// Address, pending, options.
pub(crate) type SubscriptionRow = (String, bool, String);

#[derive(FromRow)]
pub(crate) struct LastRow {
    pub(crate) service: String,
    #[sqlx(flatten)]
    pub(crate) node: NodeRow,
    pub(crate) item: Option<String>,
    pub(crate) publisher: Option<String>,
    pub(crate) stamp: Option<i64>,
    pub(crate) payload: Option<Vec<u8>>,
}

/// A node without affiliations and subscriptions.
pub(crate) fn node_of(row: NodeRow, service: &BareJid) -> Result<Node> {
    let defaults = match service.localpart() {
        Some(_) => Config::of_account(),
        None => Config::of_service(),
    };
    let config = Config::read_kept(&row.config, defaults)
        .ok_or_else(|| StoreError::Corrupt(format!("configuration of node {}", row.id)))?;
    Ok(Node {
        name: row.name,
        version: unsigned(row.version)?,
        creator: bare(&row.creator)?,
        created: Timestamp(row.created),
        config,
        affiliations: BTreeMap::new(),
        subscriptions: Vec::new(),
    })
}

pub(crate) fn item_of(row: ItemRow) -> Result<Item> {
    Ok(Item {
        id: row.id,
        publisher: jid(&row.publisher)?,
        stamp: Timestamp(row.stamp),
        payload: row.payload.into(),
    })
}

pub(crate) fn last_item_of(row: LastRow) -> Result<LastItem> {
    let service = bare(&row.service)?;
    let item = match (row.item, row.publisher, row.stamp, row.payload) {
        (Some(id), Some(publisher), Some(stamp), Some(payload)) => Some(item_of(ItemRow {
            id,
            publisher,
            stamp,
            payload,
        })?),
        _ => None,
    };
    let node = node_of(row.node, &service)?;
    Ok(LastItem {
        service,
        node,
        item,
        groups: Vec::new(),
    })
}

pub(crate) fn subscription_of(
    (address, pending, options): &SubscriptionRow,
) -> Result<Subscription> {
    Ok(Subscription {
        jid: jid(address)?,
        state: match pending {
            true => SubscriptionState::Pending,
            false => SubscriptionState::Subscribed,
        },
        options: Options::read_kept(options),
    })
}

/// The number of an affiliation is its place among all of them.
pub(crate) fn number_of(affiliation: Affiliation) -> i64 {
    let place = Affiliation::ALL.iter().position(|it| *it == affiliation);
    place.map_or(i64::MAX, |place| place as i64)
}

pub(crate) fn affiliation_of(number: i64) -> Result<Affiliation> {
    let place = usize::try_from(number).ok();
    let affiliation = place.and_then(|place| Affiliation::ALL.get(place)).copied();
    affiliation.ok_or_else(|| StoreError::Corrupt(format!("affiliation {number}")))
}

/// The version a new node begins with.
pub(crate) fn first_version(number: i64) -> u64 {
    // A node would have to be configured sixteen million times to meet the next number's.
    unsigned(number).unwrap_or(0) << 24
}
