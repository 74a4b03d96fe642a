//! Accounts as sessions need them, in SQLite: one statement, so that its parts belong
//! together without a transaction, and so that a login is one way to the connection's thread.

use klatsch_protocol::features::avatar::NS_METADATA;
use klatsch_protocol::features::presence::wish;
use klatsch_protocol::jid::BareJid;

use super::Sqlite;
use crate::error::Result;
use crate::plan::LogOf;
use crate::rows::{self, snapshot::Row};
use crate::snapshot::{Snapshot, Snapshots};

/// The account itself, its contacts, those it has removed, whom it blocks, its avatar, what it wishes
/// to show; the first column tells which, the others mean what [`Row`] says.
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
         WHERE n.service = ?1 AND n.name = ?2)
    UNION ALL
    SELECT 5, NULL, NULL, NULL, k.value, NULL, NULL, NULL, NULL, NULL
    FROM me CROSS JOIN kept k ON k.account = me.id AND k.name = ?3";

impl Snapshots for Sqlite {
    async fn snapshot(&self, account: &BareJid) -> Result<Snapshot> {
        // Looked at first: what is put away meanwhile, the statement sees.
        let recent = self.tails.get(&LogOf::Account(account.clone()));
        let rows: Vec<Row> = sqlx::query_as(SNAPSHOT)
            .bind(account.as_str())
            .bind(NS_METADATA)
            .bind(wish::NAME)
            .fetch_all(&self.readers)
            .await?;
        let mut snapshot = rows::snapshot::snapshot(rows)?;
        snapshot.head = snapshot.head.max(recent.unwrap_or(0));
        Ok(snapshot)
    }
}
