//! What sessions that rest cost: all of them on the first node, which has the sessions, while
//! the others have only what is seen of them (presence, and the resume record).

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::ClusterOptions;
use crate::client::Connection;
use crate::client::management::Management;
use crate::error::Result;
use crate::lab::laboratory::Laboratory;
use crate::options::Target;
use crate::proc::settled;
use crate::report::Report;
use crate::scenario::{crowd, idle};

/// How long memory may take to hold still.
const PATIENCE: Duration = Duration::from_secs(90);

/// Logins under way at the same time.
const CONCURRENCY: usize = 32;

/// Logs everybody in at the first node, and notes by how much each node has grown.
pub(super) async fn measure(
    options: &ClusterOptions,
    lab: &Laboratory,
    report: &mut Report,
) -> Result<()> {
    let before = resident(lab).await?;
    let connections = log_in_all(&lab.targets[0], options.clients as usize).await?;
    let mut alive = JoinSet::new();
    for connection in connections {
        alive.spawn(idle::rest(connection));
    }
    let after = resident(lab).await?;
    let clients = f64::from(options.clients);
    let grown = |node: usize| after[node].saturating_sub(before[node]) as f64 / clients;
    report.figure("kib_per_session", grown(0));
    let others = 1..lab.nodes.len();
    if !others.is_empty() {
        let count = others.len() as f64;
        let all: f64 = others.map(grown).sum();
        report.figure("kib_per_remote_presence", all / count);
    }
    report.figure("lost", idle::count_ended(&mut alive));
    Ok(())
}

/// The resident memory of each node when it has come to rest, KiB.
async fn resident(lab: &Laboratory) -> Result<Vec<u64>> {
    let mut all = Vec::with_capacity(lab.nodes.len());
    for node in &lab.nodes {
        let (usage, _) = settled(node.server.pid(), PATIENCE).await?;
        all.push(usage.resident_kib);
    }
    Ok(all)
}

/// Clients as they are: available, and able to resume.
async fn log_in_all(target: &Arc<Target>, count: usize) -> Result<Vec<Connection>> {
    let target = Arc::clone(target);
    let one = move |number| {
        let target = Arc::clone(&target);
        async move {
            let (mut connection, _) = Connection::login(&target, number).await?;
            Management::<()>::enable(&mut connection).await?;
            connection.send("<presence/>").await?;
            Ok(connection)
        }
    };
    crowd(count, CONCURRENCY, one).await
}
