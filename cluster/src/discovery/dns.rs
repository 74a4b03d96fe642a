//! Nodes that a name stands for: its A and AAAA records, as of a headless service.
//!
//! SRV records are not asked for: all nodes of a cluster listen on one port. What was found
//! last holds while the name cannot be resolved: a cluster does not need DNS to go on.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::membership::NODES_MAX;
use crate::settings::has_port;

/// How long an answer is waited for.
const RESOLVE: Duration = Duration::from_secs(5);

/// A name with its port.
pub(crate) fn with_port(name: &str, port: u16) -> String {
    match has_port(name) {
        true => name.to_owned(),
        false => format!("{name}:{port}"),
    }
}

/// Resolves a name again and again, and publishes what is found together with `fixed`.
pub(crate) async fn follow(
    name: String,
    every: Duration,
    fixed: BTreeSet<String>,
    targets: watch::Sender<BTreeSet<String>>,
) {
    let mut said = String::new();
    loop {
        match resolve(&name).await {
            Ok(found) => {
                said.clear();
                publish(&targets, found.union(&fixed).cloned().collect());
            }
            Err(error) => {
                let text = error.to_string();
                if said != text {
                    tracing::warn!(name, error = text, "cannot resolve the name of the nodes");
                }
                said = text;
            }
        }
        sleep(every).await;
    }
}

fn publish(targets: &watch::Sender<BTreeSet<String>>, found: BTreeSet<String>) {
    targets.send_if_modified(|known| {
        let is_new = *known != found;
        *known = found;
        is_new
    });
}

/// The addresses a name has, each with its port.
async fn resolve(name: &str) -> io::Result<BTreeSet<String>> {
    let found = timeout(RESOLVE, tokio::net::lookup_host(name)).await;
    let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(found
        .take(NODES_MAX)
        .map(|address| address.to_string())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_port_gets_that_of_the_nodes() {
        assert_eq!(with_port("nodes.example", 5290), "nodes.example:5290");
        assert_eq!(with_port("nodes.example:1", 5290), "nodes.example:1");
    }

    #[tokio::test]
    async fn addresses_of_a_name_are_found_beside_the_fixed_ones() {
        let fixed = BTreeSet::from(["node2:5290".to_owned()]);
        let (sender, mut targets) = watch::channel(fixed.clone());
        let every = Duration::from_secs(3600);
        let task = tokio::spawn(follow("127.0.0.1:5290".into(), every, fixed, sender));
        let found = targets.wait_for(|found| found.len() == 2).await.unwrap();
        assert!(found.contains("127.0.0.1:5290"));
        drop(found);
        task.abort();
    }

    #[tokio::test]
    async fn what_was_found_holds_while_the_name_cannot_be_resolved() {
        let found = BTreeSet::from(["10.0.0.1:5290".to_owned()]);
        let (sender, targets) = watch::channel(found.clone());
        // A port that is none is refused before anybody is asked.
        let every = Duration::from_millis(1);
        let task = tokio::spawn(follow("nodes:port".into(), every, found.clone(), sender));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(*targets.borrow(), found);
        task.abort();
    }
}
