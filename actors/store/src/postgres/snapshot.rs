//! Accounts as sessions need them, in PostgreSQL: one statement, so that its parts belong
//! together without a transaction, and so that a login is one way to the database.

use klatsch_protocol::features::avatar::NS_METADATA;
use klatsch_protocol::features::presence::wish;
use klatsch_protocol::jid::BareJid;

use super::Postgres;
use super::text::unescaped;
use crate::error::Result;
use crate::rows::{self, snapshot::Row};
use crate::snapshot::{Snapshot, Snapshots};

/// The first column tells which part it is, the others mean what [`Row`] says.
const SNAPSHOT: &str = "
    WITH me AS MATERIALIZED (
        SELECT id, roster_version, blocklist_version FROM account
        WHERE jid = $1 AND removed IS NULL)
    SELECT 0::bigint, NULL::text, NULL::text, NULL::text, NULL::bytea,
        me.roster_version, me.blocklist_version, coalesce(c.id, 0), l.head, NULL::bigint
    FROM me JOIN log l ON l.id = me.id LEFT JOIN log_cursor c ON c.log = me.id
    UNION ALL
    SELECT 1, i.jid, i.name, i.groups, i.pending_in,
        i.subscription, i.ask::int, i.approved::int, i.listed::int, i.version
    FROM me JOIN roster_item i ON i.account = me.id
    UNION ALL
    SELECT 2, r.jid, NULL, NULL, NULL, r.version, NULL, NULL, NULL, NULL
    FROM me JOIN roster_removed r ON r.account = me.id
    UNION ALL
    SELECT 3, b.jid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM me JOIN block b ON b.account = me.id
    UNION ALL
    SELECT 4, NULL, NULL, NULL, i.payload, NULL, NULL, NULL, NULL, NULL
    FROM me JOIN pubsub_item i ON i.place =
        (SELECT max(l.place) FROM pubsub_node n JOIN pubsub_item l ON l.node = n.id
         WHERE n.service = $1 AND n.name = $2)
    UNION ALL
    SELECT 5, NULL, NULL, NULL, k.value, NULL, NULL, NULL, NULL, NULL
    FROM me JOIN kept k ON k.account = me.id AND k.name = $3";

impl Snapshots for Postgres {
    async fn snapshot(&self, account: &BareJid) -> Result<Snapshot> {
        let mut rows: Vec<Row> = sqlx::query_as(SNAPSHOT)
            .bind(account.as_str())
            .bind(NS_METADATA)
            .bind(wish::NAME)
            .fetch_all(&self.pool)
            .await?;
        for (_, _, name, groups, ..) in &mut rows {
            *name = name.take().map(unescaped);
            *groups = groups.take().map(unescaped);
        }
        rows::snapshot::snapshot(rows)
    }
}
