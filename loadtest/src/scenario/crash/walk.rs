//! After the run: every account's archive, read to its end (XEP-0313, XEP-0059).

use std::sync::Arc;

use super::Shared;
use crate::client::Connection;
use crate::client::archive::{Archived, archived, query, read_page};
use crate::client::login::in_time;
use crate::client::management::Management;
use crate::error::{LoadError, Result};
use crate::history::{Event, Operation};
use crate::scenario::crowd;

/// Archives read at the same time.
const READERS: usize = 8;

/// Messages to a page.
const PAGE: usize = 100;

/// More pages than any run fills: an archive whose pages never end is a defect.
const PAGES_MAX: usize = 20_000;

/// Reads all archives into the history.
pub(super) async fn all(shared: &Arc<Shared>) -> Result<()> {
    let clients = shared.clients as usize;
    let shared = Arc::clone(shared);
    let one = move |number: usize| {
        let shared = Arc::clone(&shared);
        async move {
            if let Err(error) = walk(&shared, number).await {
                let what = format!("archive of account {number}: {error}");
                shared.recorder.record(Event::Trouble { what });
            }
            Ok(())
        }
    };
    crowd(clients, READERS, one).await.map(drop)
}

async fn walk(shared: &Shared, number: usize) -> Result<()> {
    let account = u32::try_from(number).unwrap_or(u32::MAX);
    let patience = shared.target.patience();
    let (mut connection, _) = Connection::login(&shared.target, number).await?;
    let mut after: Option<String> = None;
    for page in 0..PAGES_MAX {
        let id = format!("page{page}");
        connection.queue(&query(&id, PAGE, after.as_deref()));
        let mut last = None;
        let each = |result: &_| {
            let entry = archived(result)?;
            last = Some(entry.id.clone());
            shared.recorder.record(describe(shared, account, entry));
            Ok(())
        };
        let read = read_page(&mut connection, None::<&mut Management<()>>, &id, each);
        let end = in_time(patience, "archive page", read).await?;
        if end.complete || last.is_none() {
            shared.recorder.record(Event::Walked { account });
            connection.close().await;
            return Ok(());
        }
        after = end.last.or(last);
    }
    Err(LoadError::protocol("the archive has no end"))
}

/// An archive's line as the history has it: a message is only what its origin
/// id and its body agree on.
fn describe(shared: &Shared, account: u32, entry: Archived) -> Event {
    let named = entry
        .origin_id
        .as_deref()
        .and_then(|id| operation(id, &shared.run));
    let told = entry
        .body
        .split(' ')
        .next()
        .and_then(|id| operation(id, &shared.run));
    let op = named.filter(|_| named == told);
    let is_ours = named.is_some() || told.is_some();
    let text = (op.is_none() && is_ours)
        .then(|| format!("origin id {:?}, body {:.40}", entry.origin_id, entry.body));
    let number = |address: &str| {
        shared
            .target
            .number_of(address)
            .and_then(|number| u32::try_from(number).ok())
    };
    Event::Archived {
        account,
        op,
        from: number(&entry.from),
        to: number(&entry.to),
        id: entry.id,
        text,
    }
}

fn operation(id: &str, run: &str) -> Option<Operation> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}
