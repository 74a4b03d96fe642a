//! Starts to follow the directory, where there is one.

use crate::config::Config;
use crate::error::Error;
use klatsch_actors::node::Node;
use klatsch_gateways::colleagues::{Follower, Sync, follow, tenants};
use klatsch_gateways::ldap::Directory;
use klatsch_protocol::jid::BareJid;
use tokio::task::JoinHandle;

/// By this one of all nodes is found that reads it.
const KEY: &str = "directory";

/// Begins to follow it, unless there is none or it is not to be; nothing waits for it.
pub(super) fn follow_directory(
    config: &Config,
    domains: Vec<BareJid>,
    node: &Node,
) -> Result<Option<(Follower, JoinHandle<()>)>, Error> {
    if !config.follows_directory() {
        return Ok(None);
    }
    let directory = Directory::new(config.ldap.settings()?)
        .map_err(|error| Error::Config(format!("ldap.authorities: {error}")))?;
    let organisations = tenants(&directory, &domains);
    let key = BareJid::parse(KEY).map_err(|error| Error::Config(error.to_string()))?;
    let sync = Sync::new(
        directory,
        organisations,
        node.sessions.clone(),
        node.colleagues.clone(),
        config.directory.measures(),
    );
    let pace = config.directory.pace();
    Ok(Some(follow(sync, pace, node.sessions.clone(), key)))
}
