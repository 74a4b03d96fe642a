//! `klatsch serve`: runs the server.

use super::Common;
use crate::boot::{self, End};
use crate::error::Error;
use clap::Args;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Run the server.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// A domain to serve, as often as needed; without any the host's full name, or else localhost
    #[arg(long = "domain", value_name = "D")]
    domains: Vec<String>,
}

impl Serve {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        match boot::serve(common.load(self.domains)?)? {
            End::Stop => Ok(String::new()),
            End::Restart => Err(begin_again()),
        }
    }
}

/// Puts a new server in the place of this process, which keeps its number, so that whoever
/// supervises it notices nothing. By the name it was called by: a newer binary may be there.
fn begin_again() -> Error {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "klatsch".into());
    // Comes back when there is no such binary any more.
    let source = Command::new(&name).args(arguments).exec();
    let path = name.into();
    let what = "cannot start again";
    Error::Io { what, path, source }
}
