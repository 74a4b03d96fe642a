//! How it is known that a fault is there: what processes and nodes themselves tell.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::lab::node::Node;

/// Between two questions what a node thinks of the others.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Asks a node until it calls so many others up; false when it does not in time.
pub(crate) async fn sees(node: &Node, deadline: Instant, others: usize) -> bool {
    while Instant::now() < deadline {
        if node.others_up().is_ok_and(|up| up == others) {
            return true;
        }
        sleep(ASK_EVERY).await;
    }
    false
}

/// Asks nodes until one of them calls another down, and tells which; none where none does in
/// time.
pub(super) async fn calls_down(nodes: &[&Node], deadline: Instant) -> Option<u32> {
    while Instant::now() < deadline {
        let calls = |node: &&&Node| node.others_down().is_ok_and(|down| down > 0);
        if let Some(node) = nodes.iter().find(calls) {
            return Some(node.number());
        }
        sleep(ASK_EVERY).await;
    }
    None
}

/// Whether a process is stopped by a signal: the field behind its name in `/proc/PID/stat`.
pub(super) fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|rest| rest.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_not_stopped() {
        assert!(!is_stopped(std::process::id()));
    }
}
