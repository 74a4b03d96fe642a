//! Opening a database: its settings, what has to be true of it, its migrations.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::time::timeout;

use super::Postgres;
use super::search::Index;
use crate::error::{Result, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections of one node, unless its address says `connections=`. PostgreSQL takes 100 in
/// all as it comes: enough for six nodes and an administrator.
const CONNECTIONS: u32 = 16;

/// More connections than this are a mistake: each is a process of the database.
const CONNECTIONS_MAX: u32 = 512;

/// Waiting for a connection, one that is made included, ends after this.
const ACQUIRE: Duration = Duration::from_secs(3);

/// A connection nobody needed for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A connection that has not been used for so long is asked first whether it still is one.
const UNPROVEN: Duration = Duration::from_secs(1);

/// A connection that does not answer for so long is none.
const PROOF: Duration = Duration::from_secs(1);

/// What each connection is told. A statement ends after 5 s, also one that nobody bounded
/// (row C09), and after 3 s when it waits for a lock. A transaction whose node has stopped in
/// the middle of it lets its locks go after 10 s, and so does one whose node cannot be reached.
/// `remote_apply` promises more than `on`, so it stays.
const SETTINGS: &str = "
    SET statement_timeout = '5s';
    SET lock_timeout = '3s';
    SET idle_in_transaction_session_timeout = '10s';
    SET tcp_user_timeout = '10s';
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 2;
    SET tcp_keepalives_count = 3;
    SET client_min_messages = 'warning';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') <> 'remote_apply';";

impl Postgres {
    /// Opens a database, which has to be there, and brings it up to date.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let (store, mut connection) = connect(url).await?;
        // On this connection nothing has a time: the nodes that start together wait for the one
        // that migrates.
        MIGRATIONS.run(&mut connection).await.map_err(explain)?;
        connection.close().await?;
        Ok(store)
    }
}

/// A store on a database that answers and keeps what it promises, and a plain connection to it.
pub(super) async fn connect(url: &str) -> Result<(Postgres, PgConnection)> {
    // sslmode=verify-ca asks for the provider of the process, and panics where there is none.
    // Whoever has chosen one before has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (url, connections) = connections(url)?;
    let options = PgConnectOptions::from_str(&url)
        // The address may hold a password.
        .map_err(|_| StoreError::Unavailable("no address of a database".to_owned()))?
        .application_name("klatsch");
    let connecting = timeout(ACQUIRE, options.connect()).await;
    let no_answer = |_| StoreError::Unavailable("the database does not answer".to_owned());
    let mut connection = connecting.map_err(no_answer)??;
    check(&mut connection).await?;
    let store = Postgres {
        pool: pool(options, connections),
        index: Index::default(),
    };
    Ok((store, connection))
}

/// How many connections an address wants, and the address without that.
fn connections(url: &str) -> Result<(String, u32)> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), CONNECTIONS));
    };
    let mut wanted = CONNECTIONS;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        let Some(number) = pair.strip_prefix("connections=") else {
            rest.push(pair);
            continue;
        };
        wanted = number
            .parse()
            .ok()
            .filter(|number| (1..=CONNECTIONS_MAX).contains(number))
            .ok_or_else(|| {
                StoreError::Unavailable(format!(
                    "connections={number}: not a number from 1 to {CONNECTIONS_MAX}"
                ))
            })?;
    }
    match rest.is_empty() {
        true => Ok((base.to_owned(), wanted)),
        false => Ok((format!("{base}?{}", rest.join("&")), wanted)),
    }
}

fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                let is_proven = about.idle_for < UNPROVEN;
                Ok(is_proven || matches!(timeout(PROOF, connection.ping()).await, Ok(Ok(()))))
            })
        })
        // Also what comes back in the middle of a question: the pool itself would wait for its
        // answer, however long.
        .after_release(|connection, _| {
            Box::pin(async move {
                let proof = timeout(PROOF, connection.ping()).await;
                proof.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SETTINGS).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

/// What has to be true of a database: that a commit is on the disk (D1), and that it holds any
/// text.
async fn check(connection: &mut PgConnection) -> Result<()> {
    let (version, encoding, fsync): (i32, String, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int,
            current_setting('server_encoding'), current_setting('fsync')",
    )
    .fetch_one(connection)
    .await?;
    let refused = match (version, encoding.as_str(), fsync.as_str()) {
        (..130_000, ..) => format!("PostgreSQL 13 or later is needed, not {version}"),
        (_, other, _) if other != "UTF8" => format!("the database is in {other}, not in UTF8"),
        (_, _, "off") => "fsync is off: a power failure would take what was promised".to_owned(),
        _ => return Ok(()),
    };
    Err(StoreError::Unavailable(refused))
}

fn explain(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(version) => {
            StoreError::Corrupt(format!("made by a newer klatsch (migration {version})"))
        }
        other => StoreError::Corrupt(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_say_how_many_connections() {
        let plain = "postgres://klatsch@db/klatsch";
        assert_eq!(connections(plain).unwrap(), (plain.to_owned(), CONNECTIONS));
        let said = format!("{plain}?connections=4");
        assert_eq!(connections(&said).unwrap(), (plain.to_owned(), 4));
        let among = format!("{plain}?sslmode=require&connections=9&dbname=k");
        let rest = format!("{plain}?sslmode=require&dbname=k");
        assert_eq!(connections(&among).unwrap(), (rest, 9));
        for wrong in ["0", "513", "many", ""] {
            let url = format!("{plain}?connections={wrong}");
            assert!(matches!(connections(&url), Err(StoreError::Unavailable(_))));
        }
    }
}
