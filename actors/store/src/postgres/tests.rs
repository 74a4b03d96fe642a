//! What only shows with a server, and from inside: where `KLATSCH_TEST_POSTGRES` names one.
//! These make no tables.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::{PATIENCE, Postgres, open, outcome_of, patiently};
use crate::error::{Result, StoreError};

async fn server() -> Option<Postgres> {
    let url = std::env::var("KLATSCH_TEST_POSTGRES").ok()?;
    let (store, _) = open::connect(&url).await.unwrap();
    Some(store)
}

async fn run(store: &Postgres, sql: &'static str) -> Result<()> {
    store
        .write(move |connection| {
            Box::pin(async move {
                sqlx::raw_sql(sql).execute(connection).await?;
                Ok(())
            })
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_not_heard_of_any_more_may_be_committed() {
    let change = tokio::spawn(std::future::pending::<Result<()>>());
    let heard = patiently("Logs", outcome_of(change)).await;
    assert!(matches!(heard, Err(StoreError::Uncertain(_))), "{heard:?}");
    // A node that has stood still: all patience is over at once.
    let change = tokio::spawn(std::future::pending::<Result<()>>());
    let mut asking = std::pin::pin!(patiently("Logs", outcome_of(change)));
    tokio::select! {
        biased;
        _ = &mut asking => panic!("it does not end"),
        () = tokio::task::yield_now() => {}
    }
    tokio::time::advance(2 * PATIENCE).await;
    let heard = asking.await;
    assert!(matches!(heard, Err(StoreError::Uncertain(_))), "{heard:?}");
}

#[tokio::test]
async fn c09_a_statement_without_an_end_is_ended() {
    let Some(store) = server().await else {
        return;
    };
    let begun = Instant::now();
    let endless = run(&store, "SELECT pg_sleep(60)").await;
    assert!(
        matches!(endless, Err(StoreError::Unavailable(_))),
        "{endless:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(run(&store, "SELECT 1").await, Ok(()));
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again() {
    let Some(store) = server().await else {
        return;
    };
    let cut = run(&store, "SELECT pg_terminate_backend(pg_backend_pid())").await;
    assert!(matches!(cut, Err(StoreError::Unavailable(_))), "{cut:?}");
    assert_eq!(run(&store, "SELECT 1").await, Ok(()));
}

#[tokio::test]
async fn a_change_that_stands_in_the_way_of_another_is_made_again() {
    let Some(store) = server().await else {
        return;
    };
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&attempts);
    let answer = store
        .write(move |connection| {
            Box::pin(async move {
                let attempt = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if attempt < 2 {
                    sqlx::raw_sql("DO $$ BEGIN RAISE 'x' USING ERRCODE = '40P01'; END $$")
                        .execute(connection)
                        .await?;
                }
                Ok(attempt)
            })
        })
        .await;
    assert_eq!(answer, Ok(2));
}

/// D1: a commit that is answered is on the disk, whatever the database or the role says.
#[tokio::test]
async fn every_connection_waits_for_the_disk_and_reads_what_is_committed() {
    let Some(store) = server().await else {
        return;
    };
    for (setting, value) in [
        ("synchronous_commit", "on"),
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ] {
        let sql = format!("SHOW {setting}");
        let found: String = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&store.pool)
            .await
            .unwrap();
        assert_eq!(found, value, "{setting}");
    }
}

/// Whether the server says that a connection by this address is encrypted.
async fn is_encrypted(url: &str) -> Result<bool> {
    let (_, mut connection) = open::connect(url).await?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
}

#[tokio::test]
async fn an_address_says_how_its_connections_are_protected() {
    let Ok(server) = std::env::var("KLATSCH_TEST_POSTGRES") else {
        return;
    };
    for (mode, expected) in [("disable", false), ("prefer", true), ("require", true)] {
        let url = format!("{server}?sslmode={mode}");
        assert_eq!(is_encrypted(&url).await, Ok(expected), "{mode}");
    }
}

#[tokio::test]
async fn a_server_proves_itself_to_who_wants_it_to() {
    let Ok(server) = std::env::var("KLATSCH_TEST_POSTGRES") else {
        return;
    };
    let authority = std::env::var("KLATSCH_TEST_POSTGRES_AUTHORITY").unwrap();
    let named = server.replace("@127.0.0.1:", "@localhost:");
    let known = format!("sslrootcert={authority}");
    for (server, how, expected) in [
        (&named, format!("sslmode=verify-full&{known}"), true),
        (&named, "sslmode=verify-full".to_owned(), false),
        (&named, "sslmode=verify-ca".to_owned(), false),
        // The certificate is for localhost.
        (&server, format!("sslmode=verify-full&{known}"), false),
        (&server, format!("sslmode=verify-ca&{known}"), true),
    ] {
        let found = is_encrypted(&format!("{server}?{how}")).await;
        match expected {
            true => assert_eq!(found, Ok(true), "{how}"),
            false => assert!(
                matches!(&found, Err(StoreError::Unavailable(why)) if why.contains("certificate")),
                "{how}: {found:?}"
            ),
        }
    }
}
