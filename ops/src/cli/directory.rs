//! `klatsch directory`: people and groups of the organisation's directory, as operators see them.

use super::Common;
use super::talk::Talk;
use crate::admin::{Answer, Request};
use crate::error::Error;
use clap::Subcommand;

/// The directory.
#[derive(Debug, Subcommand)]
pub(super) enum Directory {
    /// Show what is known of the directory, and what was passed over
    Status,
    /// Read it now
    Sync {
        /// Also where that takes most people away
        #[arg(long)]
        force: bool,
    },
}

impl Directory {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let request = match self {
            Self::Status => Request::DirectoryStatus,
            Self::Sync { force } => Request::DirectorySync { force },
        };
        match Talk::with_server(common)?.ask(request)? {
            Answer::Directory(status) => Ok(status.to_text()),
            _ => Err(Error::Refused(
                "the server has answered something else".to_owned(),
            )),
        }
    }
}
