//! An account as sessions need it, from rows.

use klatsch_protocol::features::roster::{RosterItem, Subscription};

use super::{UNIT_SEPARATOR, bare, jid, unsigned};
use crate::error::{Result, StoreError};
use crate::snapshot::Snapshot;

/// Which part, an address, a name, groups, a stanza, and five numbers.
pub(crate) type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The account itself (0), its contacts (1), those it has removed (2), whom it blocks (3), its
/// avatar (4), what it wishes to show (5).
///
/// # Errors
/// `NoSuchAccount` when the account itself is not among them; `Corrupt`.
pub(crate) fn snapshot(rows: Vec<Row>) -> Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    let mut is_there = false;
    for row in rows {
        match row.0 {
            0 => {
                is_there = true;
                snapshot.roster.version = number(row.5)?;
                snapshot.blocklist.version = number(row.6)?;
                snapshot.cursor = number(row.7)?;
                snapshot.head = number(row.8)?;
            }
            1 => {
                let item = item(row)?;
                snapshot.roster.items.insert(item.jid.clone(), item);
            }
            2 => {
                let removed = (bare(text(row.1.as_deref())?)?, number(row.5)?);
                snapshot.roster.removed.push(removed);
            }
            4 => snapshot.avatar = row.4,
            5 => snapshot.wish = row.4,
            _ => {
                let blocked = jid(text(row.1.as_deref())?)?;
                snapshot.blocklist.jids.insert(blocked);
            }
        }
    }
    snapshot
        .roster
        .removed
        .sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
    match is_there {
        true => Ok(snapshot),
        false => Err(StoreError::NoSuchAccount),
    }
}

fn item(row: Row) -> Result<RosterItem> {
    let (_, jid, name, groups, pending_in, subscription, ask, approved, listed, version) = row;
    Ok(RosterItem {
        jid: bare(text(jid.as_deref())?)?,
        name,
        groups: text(groups.as_deref())?
            .split_terminator(UNIT_SEPARATOR)
            .map(str::to_owned)
            .collect(),
        subscription: subscription_of(subscription)?,
        ask: ask == Some(1),
        pending_in: pending_in.map(Into::into),
        approved: approved == Some(1),
        listed: listed == Some(1),
        version: number(version)?,
    })
}

fn subscription_of(number: Option<i64>) -> Result<Subscription> {
    match number {
        Some(0) => Ok(Subscription::None),
        Some(1) => Ok(Subscription::To),
        Some(2) => Ok(Subscription::From),
        Some(3) => Ok(Subscription::Both),
        other => Err(StoreError::Corrupt(format!("subscription {other:?}"))),
    }
}

/// As it stands in the database.
pub(crate) fn number_of(subscription: Subscription) -> i64 {
    match subscription {
        Subscription::None => 0,
        Subscription::To => 1,
        Subscription::From => 2,
        Subscription::Both => 3,
    }
}

fn text(column: Option<&str>) -> Result<&str> {
    column.ok_or_else(|| StoreError::Corrupt("a row without its text".to_owned()))
}

fn number(column: Option<i64>) -> Result<u64> {
    unsigned(column.ok_or_else(|| StoreError::Corrupt("a row without its number".to_owned()))?)
}
