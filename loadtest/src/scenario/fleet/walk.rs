//! After the run: every log, read to its end from every node (XEP-0313, XEP-0059).

use std::sync::Arc;

use super::Shared;
use super::circle::Circle;
use crate::client::Connection;
use crate::client::archive::{Archived, archived, query_at, read_page};
use crate::client::login::in_time;
use crate::client::management::Management;
use crate::error::{LoadError, Result};
use crate::history::{Event, Log, Operation};
use crate::scenario::crowd;

/// Logs read at the same time.
const READERS: usize = 8;

/// Messages to a page.
const PAGE: usize = 100;

/// More pages than any run fills: an archive whose pages never end is a defect.
const PAGES_MAX: usize = 20_000;

/// A log to be read from a node.
#[derive(Clone, Copy)]
struct Reading {
    log: Log,
    node: u32,
    /// Who reads it.
    account: u32,
}

/// Reads all logs into the history.
pub(crate) async fn all(shared: &Arc<Shared>) -> Result<()> {
    let readings: Arc<[_]> = readings(&shared.circle, shared.nodes.len()).into();
    let count = readings.len();
    let shared = Arc::clone(shared);
    let one = move |number: usize| {
        let (shared, reading) = (Arc::clone(&shared), readings[number - 1]);
        async move {
            let Reading { log, node, .. } = reading;
            if let Err(error) = walk(&shared, reading).await {
                let what = format!("{log} from node {node}: {error}");
                shared.recorder.record(Event::Trouble { what });
            }
            Ok(())
        }
    };
    crowd(count, READERS, one).await.map(drop)
}

/// An account reads its own log, a room's owner the room's.
fn readings(circle: &Circle, nodes: usize) -> Vec<Reading> {
    let accounts = (1..=circle.clients).map(|account| (Log::Account(account), account));
    let rooms = (1..=circle.rooms).map(|room| (Log::Room(room), circle.owner(room)));
    let all: Vec<_> = accounts.chain(rooms).collect();
    let from = |node| {
        let all = all.iter().copied();
        all.map(move |(log, account)| Reading { log, node, account })
    };
    let nodes = 1..=u32::try_from(nodes).unwrap_or(u32::MAX);
    nodes.flat_map(from).collect()
}

async fn walk(shared: &Shared, reading: Reading) -> Result<()> {
    let Reading { log, node, account } = reading;
    let target = &shared.nodes[node as usize - 1];
    let room = match log {
        Log::Room(room) => Some(shared.circle.address(room)),
        Log::Account(_) => None,
    };
    let (mut connection, offers) = Connection::authenticate(target, account as usize).await?;
    // Two logs of one account may be read at once: a resource of its own for each.
    let resource = format!("{log} {node}");
    connection.bind(&resource, offers).await?;
    let mut after: Option<String> = None;
    for page in 0..PAGES_MAX {
        let id = format!("page{page}");
        connection.queue(&query_at(room.as_deref(), &id, PAGE, after.as_deref()));
        let mut last = None;
        let each = |result: &_| {
            let entry = archived(result)?;
            last = Some(entry.id.clone());
            shared.recorder.record(describe(shared, log, node, entry));
            Ok(())
        };
        let read = read_page(&mut connection, None::<&mut Management<()>>, &id, each);
        let end = in_time(target.patience(), "archive page", read).await?;
        if end.complete || last.is_none() {
            shared.recorder.record(Event::Walked { log, node });
            connection.close().await;
            return Ok(());
        }
        after = end.last.or(last);
    }
    Err(LoadError::protocol("the archive has no end"))
}

/// An archive's line as the history has it: a message is only what its origin
/// id and its body agree on.
fn describe(shared: &Shared, log: Log, node: u32, entry: Archived) -> Event {
    let run = &shared.circle.run;
    let named = entry.origin_id.as_deref();
    let named = named.and_then(|id| operation(id, run));
    let told = entry.body.split(' ').next();
    let told = told.and_then(|id| operation(id, run));
    let op = named.filter(|_| named == told);
    let is_ours = named.is_some() || told.is_some();
    let text = (op.is_none() && is_ours)
        .then(|| format!("origin id {:?}, body {:.40}", entry.origin_id, entry.body));
    let (from, to) = match log {
        Log::Account(_) => {
            let to = shared.number_of(&entry.to).map(Log::Account);
            (shared.number_of(&entry.from), to)
        }
        Log::Room(_) => {
            let (room, nick) = entry.from.split_once('/').unwrap_or_default();
            let to = shared.circle.room_of(room).map(Log::Room);
            (Circle::called(nick), to)
        }
    };
    Event::Archived {
        log,
        node,
        op,
        from,
        to,
        id: entry.id,
        text,
    }
}

fn operation(id: &str, run: &str) -> Option<Operation> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_log_is_read_from_every_node() {
        let circle = Circle {
            clients: 4,
            rooms: 2,
            occupants: 2,
            ..Circle::default()
        };
        let all = readings(&circle, 3);
        assert_eq!(all.len(), 18);
        let of_room = all.iter().find(|it| (it.log, it.node) == (Log::Room(2), 3));
        assert_eq!(of_room.map(|it| it.account), Some(2));
    }
}
