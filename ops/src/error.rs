//! What can go wrong between the command line and the running server.

use std::path::{Path, PathBuf};

/// A failure of this crate, as a person at the command line reads it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is not accepted: where, and why.
    #[error("{0}")]
    Config(String),
    /// A file or socket could not be used.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "cannot read".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server holds the data directory.
    #[error("another server uses {}", .0.display())]
    Locked(PathBuf),
    /// A certificate or key is not usable.
    #[error("certificate: {0}")]
    Certificate(String),
    /// This node cannot take part in its cluster.
    #[error("{0}")]
    Cluster(#[from] klatsch_cluster::error::ClusterError),
    /// The store refused.
    #[error("store: {0}")]
    Store(String),
    /// A command was refused, with the reason.
    #[error("{0}")]
    Refused(String),
    /// The running server could not go on: exit status 70, for whatever starts it again.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// What the process ends with: 70 (`EX_SOFTWARE` of sysexits) says that the server could
    /// not go on and wants to be started again, 1 that a person has something to mend.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Failed(_) => 70,
            _ => 1,
        }
    }

    /// Tells where an input or output failed; for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_could_not_go_on_says_so_in_its_exit_status() {
        assert_eq!(Error::Failed("actors".to_owned()).exit_status(), 70);
        assert_eq!(Error::Config("no".to_owned()).exit_status(), 1);
        assert_eq!(Error::Locked(PathBuf::new()).exit_status(), 1);
    }
}
