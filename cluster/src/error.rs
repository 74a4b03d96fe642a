//! Why a node cannot take part in its cluster.

use std::net::SocketAddr;

/// Why the cluster could not be started, or its credentials not be taken.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The certificates or the key cannot be used.
    #[error("cluster credentials: {0}")]
    Credentials(String),
    /// The certificate is another node's.
    #[error("the cluster certificate is for \"{certificate}\", this node is \"{name}\"")]
    Name {
        /// Whose certificate it is.
        certificate: String,
        /// Who this node is.
        name: String,
    },
    /// A setting cannot be used.
    #[error("cluster settings: {0}")]
    Settings(String),
    /// Nobody can connect there.
    #[error("cannot listen for other nodes on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The actors of the link did not start.
    #[error("the cluster link does not start: {0}")]
    Link(#[from] ractor::SpawnErr),
}
