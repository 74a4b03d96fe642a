//! What an operator may tune of the cluster.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ClusterError;

/// What an operator may tune of the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where other nodes connect.
    pub listen: SocketAddr,
    /// Where others reach this node, `HOST:PORT`; they tell each other. Without it that is
    /// `listen`, where that names an address.
    pub advertise: Option<String>,
    /// Other nodes, each `HOST:PORT`. One is enough: it tells of the others.
    pub peers: Vec<String>,
    /// A name, `HOST` or `HOST:PORT`, whose addresses are the nodes; asked again every few
    /// seconds. Without a port it is the port of `listen`.
    pub dns: Option<String>,
    /// How often the name is resolved again, seconds.
    pub dns_seconds: u64,
    /// What may wait for one node, bytes; more is dropped, and the node told to look for itself
    /// what it has missed.
    pub queue_bytes_max: usize,
    /// How often nodes say that they live, seconds. After three times as long a silence a node
    /// is suspect, after five times as long it is down.
    pub heartbeat_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5290)),
            advertise: None,
            peers: Vec::new(),
            dns: None,
            dns_seconds: 5,
            // Some 50,000 hints: two seconds of a busy node, and bearable for each of ten peers.
            queue_bytes_max: 16 * 1024 * 1024,
            heartbeat_seconds: 1,
        }
    }
}

/// No queue is smaller: it holds the largest message and what is being sent.
const QUEUE_BYTES_LEAST: usize = 2 * crate::codec::MESSAGE_BYTES_MAX;

impl Settings {
    /// Refuses values that cannot work.
    pub fn check(&self) -> Result<(), ClusterError> {
        let wrong = |text: String| Err(ClusterError::Settings(text));
        if self.queue_bytes_max < QUEUE_BYTES_LEAST {
            return wrong(format!("queue_bytes_max is less than {QUEUE_BYTES_LEAST}"));
        }
        if !(1..=60).contains(&self.heartbeat_seconds) {
            return wrong("heartbeat_seconds is not within 1 and 60".into());
        }
        if self.dns_seconds == 0 {
            return wrong("dns_seconds is 0".into());
        }
        let mut addresses = self.peers.iter().chain(&self.advertise);
        match addresses.find(|peer| !has_port(peer)) {
            Some(address) => wrong(format!("address \"{address}\" is not HOST:PORT")),
            None => Ok(()),
        }
    }

    /// How often nodes say that they live.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds)
    }
}

/// Tells whether a name says its port.
pub(crate) fn has_port(peer: &str) -> bool {
    let Some((host, port)) = peer.rsplit_once(':') else {
        return false;
    };
    let is_whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    !host.is_empty() && is_whole && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(Settings::default().check().is_ok());
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert!(refused(|s| s.queue_bytes_max = 1000).contains("queue_bytes_max"));
        assert!(refused(|s| s.heartbeat_seconds = 0).contains("heartbeat_seconds"));
        assert!(refused(|s| s.dns_seconds = 0).contains("dns_seconds"));
        assert!(refused(|s| s.peers = vec!["node2".into()]).contains("node2"));
        assert!(refused(|s| s.advertise = Some("node1:0".into())).contains("node1:0"));
    }

    #[test]
    fn a_peer_says_its_port() {
        for peer in ["node2:5290", "10.0.0.2:5290", "[fd00::2]:5290"] {
            assert!(has_port(peer), "{peer}");
        }
        for peer in [
            "node2",
            "node2:",
            ":5290",
            "node2:0",
            "node2:70000",
            "fd00::2:5290",
        ] {
            assert!(!has_port(peer), "{peer}");
        }
    }
}
