//! How it is known that a fault is there: what processes and nodes themselves tell.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::lab::node::Node;

/// Between two questions what a node thinks of the others.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Asks a node until it calls as many others up as is hoped for; false when it does not in time.
pub(crate) async fn sees(node: &Node, deadline: Instant, is_hoped: impl Fn(usize) -> bool) -> bool {
    while Instant::now() < deadline {
        if node.others_up().is_ok_and(&is_hoped) {
            return true;
        }
        sleep(ASK_EVERY).await;
    }
    false
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
