//! What can go wrong in the driver, as far as a scenario tells it apart.
//!
//! A lost connection is an event to count, not a failure of the run; what the
//! server refuses is kept with its words, so that a report can quote them.

use std::io;

/// Why a connection, or a whole scenario, ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The socket failed.
    #[error("socket: {0}")]
    Io(#[from] io::Error),
    /// The server closed the stream or the socket.
    #[error("closed by the server{0}")]
    Closed(String),
    /// The server answered with a refusal.
    #[error("refused: {0}")]
    Refused(String),
    /// The server said what its protocol does not allow.
    #[error("protocol: {0}")]
    Protocol(String),
    /// Nothing came in time.
    #[error("timeout: {0}")]
    Timeout(&'static str),
    /// The command line asks for what cannot be done.
    #[error("{0}")]
    Usage(String),
}

impl LoadError {
    /// Builds a [`LoadError::Protocol`].
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }
}

/// The driver's results.
pub(crate) type Result<T, E = LoadError> = std::result::Result<T, E>;
