//! Where other nodes may be found. Who is there is learnt by the handshake.
//!
//! - [`fixed`]: addresses that the configuration names
//! - [`dns`]: the addresses of a name, resolved again every few seconds

use std::collections::BTreeSet;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::settings::Settings;

pub(crate) mod dns;
pub(crate) mod fixed;

/// Where nodes may be found, each `HOST:PORT`, and the task that keeps it current. `port` is
/// what nodes listen on when the name does not say so.
pub(crate) fn start(
    settings: &Settings,
    port: u16,
) -> (watch::Receiver<BTreeSet<String>>, Option<JoinHandle<()>>) {
    let fixed = fixed::targets(&settings.peers);
    let (sender, targets) = watch::channel(fixed.clone());
    let task = settings.dns.as_deref().map(|name| {
        let name = dns::with_port(name, port);
        let every = std::time::Duration::from_secs(settings.dns_seconds);
        tokio::spawn(dns::follow(name, every, fixed, sender))
    });
    (targets, task)
}
