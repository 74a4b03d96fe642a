//! `klatsch serve`: runs the server.

use super::Common;
use crate::boot;
use crate::error::Error;
use clap::Args;

/// Run the server.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// A domain to serve, as often as needed; without any the host's full name, or else localhost
    #[arg(long = "domain", value_name = "D")]
    domains: Vec<String>,
}

impl Serve {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        boot::serve(common.load(self.domains)?)?;
        Ok(String::new())
    }
}
