//! Accounts as sessions need them, in SQLite: one statement, so that its parts belong
//! together without a transaction, and so that a login is one way to the connection's thread.

use klatsch_protocol::features::avatar::NS_METADATA;
use klatsch_protocol::features::roster::{RosterItem, Subscription};
use klatsch_protocol::jid::BareJid;

use super::log::LogOf;
use super::{Sqlite, bare, jid, unsigned};
use crate::error::{Result, StoreError};
use crate::snapshot::{Snapshot, Snapshots};

/// Follows each group's name. XML 1.0 §2.2 has no such character, so no client can send it.
pub(super) const UNIT_SEPARATOR: char = '\u{1f}';

/// The account itself, its contacts, those it has removed, whom it blocks, its avatar; the first
/// column tells which, the others mean what [`Row`] says.
pub(super) const SNAPSHOT: &str = "
    WITH me AS MATERIALIZED (
        SELECT id, roster_version, blocklist_version, blocks FROM account
        WHERE jid = ?1 AND removed IS NULL)
    SELECT 0, NULL, NULL, NULL, NULL, me.roster_version, me.blocklist_version, l.cursor,
        max(l.head, coalesce(
            (SELECT e.place & 4294967295 FROM entry e
             WHERE e.place > me.id << 32 AND e.place < (me.id + 1) << 32
             ORDER BY e.place DESC LIMIT 1), 0)), NULL
    FROM me CROSS JOIN log l ON l.id = me.id
    UNION ALL
    SELECT 1, i.jid, i.name, i.groups, i.pending_in,
        i.subscription, i.ask, i.approved, i.listed, i.version
    FROM me CROSS JOIN roster_item i ON i.account = me.id
    UNION ALL
    SELECT 2, r.jid, NULL, NULL, NULL, r.version, NULL, NULL, NULL, NULL
    FROM me CROSS JOIN roster_removed r ON r.account = me.id
    UNION ALL
    SELECT 3, b.jid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM me CROSS JOIN block b ON b.account = me.id
    UNION ALL
    SELECT 4, NULL, NULL, NULL, i.payload, NULL, NULL, NULL, NULL, NULL
    FROM me CROSS JOIN pubsub_item i ON i.place =
        (SELECT max(l.place) FROM pubsub_node n CROSS JOIN pubsub_item l ON l.node = n.id
         WHERE n.service = ?1 AND n.name = ?2)";

/// Which part, an address, a name, groups, a stanza, and five numbers.
type Row = (
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

impl Snapshots for Sqlite {
    async fn snapshot(&self, account: &BareJid) -> Result<Snapshot> {
        // Looked at first: what is put away meanwhile, the statement sees.
        let recent = self.tails.get(&LogOf::Account(account.clone()));
        let recent = recent.unwrap_or(0);
        let rows: Vec<Row> = sqlx::query_as(SNAPSHOT)
            .bind(account.as_str())
            .bind(NS_METADATA)
            .fetch_all(&self.readers)
            .await?;
        let mut snapshot = Snapshot::default();
        let mut is_there = false;
        for row in rows {
            match row.0 {
                0 => {
                    is_there = true;
                    snapshot.roster.version = number(row.5)?;
                    snapshot.blocklist.version = number(row.6)?;
                    snapshot.cursor = number(row.7)?;
                    snapshot.head = number(row.8)?.max(recent);
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

fn text(column: Option<&str>) -> Result<&str> {
    column.ok_or_else(|| StoreError::Corrupt("a row without its text".to_owned()))
}

fn number(column: Option<i64>) -> Result<u64> {
    unsigned(column.ok_or_else(|| StoreError::Corrupt("a row without its number".to_owned()))?)
}
