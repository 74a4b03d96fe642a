//! One transaction: begun, done, committed, each with an end to its patience.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, warn};

use super::Doing;
use crate::error::{Result, StoreError};

/// Everything up to the commit, waiting for a connection and for locks included.
const BEFORE_COMMIT: Duration = Duration::from_secs(6);

/// The commit. Together less than those who wait for the store have patience (10 s, D5).
const COMMIT: Duration = Duration::from_secs(3);

/// A change that the database has ended for the sake of another is made again so often.
const ATTEMPTS: u32 = 5;

/// Makes a change and commits it. An error of the change rolls it back.
pub(super) async fn run<T, F>(pool: &PgPool, change: F) -> Result<T>
where
    F: for<'a> FnOnce(&'a mut PgConnection) -> Doing<'a, T> + Clone,
{
    let until = Instant::now() + BEFORE_COMMIT;
    let mut attempt = 1;
    loop {
        let mut connection = in_time(until, pool.acquire()).await?;
        let answer = once(&mut connection, change.clone(), until).await;
        let Err(error) = &answer else {
            return answer;
        };
        if error.is_contended() && attempt < ATTEMPTS {
            warn!(attempt, "transaction made again");
            attempt += 1;
            continue;
        }
        if !is_refusal(error) {
            error!(%error, "transaction failed");
            // A failure is no ground to trust the connection further.
            connection.close_on_drop();
        }
        return answer;
    }
}

/// A transaction that is dropped without a commit is rolled back.
async fn once<T, F>(connection: &mut PgConnection, change: F, until: Instant) -> Result<T>
where
    F: for<'a> FnOnce(&'a mut PgConnection) -> Doing<'a, T>,
{
    let mut transaction = in_time(until, connection.begin()).await?;
    let answer = in_time(until, change(&mut transaction)).await?;
    match timeout(COMMIT, transaction.commit()).await {
        Ok(Ok(())) => Ok(answer),
        Ok(Err(error)) => Err(StoreError::of_commit(&error)),
        Err(_) => Err(StoreError::Uncertain("no answer to a commit".to_owned())),
    }
}

async fn in_time<T, E: Into<StoreError>>(
    until: Instant,
    doing: impl Future<Output = std::result::Result<T, E>>,
) -> Result<T> {
    match timeout_at(until, doing).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(StoreError::Unavailable(
            "the database is too slow".to_owned(),
        )),
    }
}

/// What the change itself has found to be so.
fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Conflict
            | StoreError::NoSuchAccount
            | StoreError::NoSuchRoom
            | StoreError::NoSuchItem
    )
}
