//! What the operator says to the process.

use crate::error::Error;
use tokio::signal::unix::{SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT: end.
    End,
    /// SIGHUP: read the certificate again.
    Reload,
}

/// The signals a server listens to.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes them over from the system's defaults.
    pub(super) fn listen() -> Result<Self, Error> {
        let deaf = |error: std::io::Error| Error::Refused(format!("signals: {error}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(deaf)?,
            interrupt: signal(SignalKind::interrupt()).map_err(deaf)?,
            hang_up: signal(SignalKind::hangup()).map_err(deaf)?,
        })
    }

    /// The next of them.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }

    /// The next that asks to end.
    pub(super) async fn end(&mut self) {
        while self.next().await != Signal::End {}
    }
}
