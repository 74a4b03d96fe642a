//! What an operator and the node itself ask of PostgreSQL as a whole.

use klatsch_protocol::time::Timestamp;
use sqlx::Connection;

use super::{Postgres, colleagues, nodes, patiently, purge};
use crate::error::{Result, StoreError};
use crate::store::Upkeep;

impl Upkeep for Postgres {
    async fn health(&self) -> Result<()> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM account LIMIT 1) a";
        let asking = async {
            let _: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
            Ok(())
        };
        patiently("health", asking).await
    }

    /// PostgreSQL does that by itself.
    async fn checkpoint(&self) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool> {
        let logs = self
            .write(|connection| Box::pin(purge::sweep(connection)))
            .await?;
        let nodes = self
            .write(|connection| Box::pin(nodes::sweep(connection)))
            .await?;
        let items = self
            .write(move |connection| Box::pin(nodes::sweep_items(connection, now)))
            .await?;
        let photos = self
            .write(move |connection| Box::pin(colleagues::sweep(connection, now)))
            .await?;
        Ok(logs || nodes || items || photos)
    }

    async fn purge_hidden(&self, before: Timestamp) -> Result<u64> {
        self.purge_all_hidden(before).await
    }

    async fn purge_old(
        &self,
        accounts: Option<Timestamp>,
        rooms: Option<Timestamp>,
    ) -> Result<u64> {
        self.purge_all_old(accounts, rooms).await
    }

    async fn index_words(&self, max: u64) -> Result<u64> {
        self.fill_some(max).await
    }

    /// Damage of pages is PostgreSQL's to find (`pg_amcheck`, checksums); this looks for what
    /// cannot be between them, and reads all entries for it.
    async fn integrity_check(&self) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        sqlx::query("SET LOCAL statement_timeout = 0")
            .execute(&mut *transaction)
            .await?;
        for (what, sql) in WRONG {
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut *transaction).await?;
            if count > 0 {
                return Err(StoreError::Corrupt(format!("{count} {what}")));
            }
        }
        Ok(())
    }
}

/// What cannot be, and how often it is.
const WRONG: [(&str, &str); 5] = [
    (
        "accounts without a log",
        "SELECT count(*) FROM account a
         WHERE NOT EXISTS (SELECT 1 FROM log l WHERE l.id = a.id)",
    ),
    (
        "rooms without a log",
        "SELECT count(*) FROM room r WHERE NOT EXISTS (SELECT 1 FROM log l WHERE l.id = r.id)",
    ),
    (
        "logs with entries behind their heads",
        "SELECT count(*) FROM (SELECT log, max(id) AS last, max(stamp) AS stamp,
            sum(length(stanza)) FROM entry GROUP BY log) e
         LEFT JOIN log l ON l.id = e.log
         WHERE l.id IS NULL OR e.last > l.head OR e.stamp > l.stamp",
    ),
    (
        "entries whose stamps run backwards",
        "SELECT count(*) FROM (SELECT stamp, lag(stamp) OVER (PARTITION BY log ORDER BY id) AS was
            FROM entry) e WHERE e.stamp < e.was",
    ),
    (
        "words of entries that are not there",
        "SELECT count(*) FROM word w
         WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE e.log = w.log AND e.id = w.id)",
    ),
];
