//! How long one page takes in a long archive: at its end, in its middle, and by search.
//!
//! The middle is a time, half-way between the first entry and the last, since no other server
//! has ids that can be reckoned with. A search is XEP-0431's; a server that has none says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use klatsch_protocol::time::Timestamp;
use tokio::time::sleep;

use crate::client::Connection;
use crate::client::archive::{Wanted, ask, read_page, stamp_of};
use crate::client::management::Management;
use crate::error::{LoadError, Result};
use crate::options::Target;
use crate::report::{Histogram, Report, say};

/// The account whose archive is long.
pub(super) const ACCOUNT: usize = 1;

/// A server may first have to make an archive ready to be searched.
const INDEX_PATIENCE: Duration = Duration::from_secs(7200);

/// Measures a number of pages at each place.
pub(super) async fn measure(
    target: &Arc<Target>,
    pages: usize,
    max: usize,
    report: &mut Report,
) -> Result<()> {
    let (mut connection, _) = Connection::login(target, ACCOUNT).await?;
    let first = edge(&mut connection, Wanted::default()).await?;
    let last = edge(&mut connection, Wanted::last()).await?;
    let (Some(first), Some(last)) = (first, last) else {
        return Err(LoadError::Usage("the archive is empty".into()));
    };
    let end = repeat(&mut connection, pages, max, |_| Wanted::last()).await?;
    report.latency("end", &end);
    let middle = first.0 + (last.0 - first.0) / 2;
    let middle = repeat(&mut connection, pages, max, |at| Wanted {
        // Not the same page each time.
        start: Some(Timestamp(middle + at as i64 * 1_000_000)),
        ..Wanted::default()
    });
    report.latency("middle", &middle.await?);
    if let Some(ready) = wait_for_search(&mut connection).await? {
        report.figure("search_ready_seconds", ready.as_secs_f64());
        for (name, word) in [
            ("search", super::fill::word as fn(usize) -> String),
            ("search_common", super::fill::common_word),
        ] {
            let found = repeat(&mut connection, pages, max, |at| Wanted {
                text: Some(word(at)),
                ..Wanted::last()
            });
            report.latency(name, &found.await?);
        }
    }
    connection.close().await;
    Ok(())
}

/// The time of the first result.
async fn edge(connection: &mut Connection, wanted: Wanted) -> Result<Option<Timestamp>> {
    connection.send(&ask("edge", 1, &wanted)).await?;
    let mut stamp = None;
    let take = |element: &_| {
        stamp = stamp_of(element);
        Ok(())
    };
    read_page(connection, None::<&mut Management<()>>, "edge", take).await?;
    Ok(stamp)
}

async fn repeat(
    connection: &mut Connection,
    pages: usize,
    max: usize,
    wanted: impl Fn(usize) -> Wanted,
) -> Result<Histogram> {
    let mut taken = Histogram::default();
    for at in 0..pages {
        let id = format!("place{at}");
        let begun = Instant::now();
        connection.send(&ask(&id, max, &wanted(at))).await?;
        read_page(connection, None::<&mut Management<()>>, &id, |_| Ok(())).await?;
        taken.record(begun.elapsed());
    }
    Ok(taken)
}

/// Searches until the server can; `None`: it cannot.
async fn wait_for_search(connection: &mut Connection) -> Result<Option<Duration>> {
    let begun = Instant::now();
    let wanted = Wanted {
        text: Some(super::fill::word(0)),
        ..Wanted::last()
    };
    loop {
        connection.send(&ask("ready", 1, &wanted)).await?;
        match read_page(connection, None::<&mut Management<()>>, "ready", |_| Ok(())).await {
            Ok(_) => return Ok(Some(begun.elapsed())),
            Err(LoadError::Refused(why)) if why.contains("resource-constraint") => {
                if begun.elapsed() > INDEX_PATIENCE {
                    return Err(LoadError::Refused(why));
                }
                sleep(Duration::from_secs(1)).await;
            }
            Err(LoadError::Refused(why)) => {
                say(&format!("no search: {why}"));
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}
