//! The options that every scenario shares: whom to talk to, as whom, and
//! what the report should say about it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::error::{LoadError, Result};

/// How a connection is encrypted. Certificates are never verified: every
/// server here is started for the run, with a certificate of its own making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// Not at all.
    None,
    /// STARTTLS (RFC 6120 §5).
    Starttls,
    /// TLS from the first byte (XEP-0368).
    Direct,
}

impl Tls {
    /// The word of the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starttls => "starttls",
            Self::Direct => "direct",
        }
    }
}

/// The server under load.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// Address to connect to; accounts are dealt out to several, with commas between
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Port to connect to
    #[arg(long, default_value_t = 5222)]
    pub(crate) port: u16,
    /// Encryption of the connections
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) tls: Tls,
    /// The server's XMPP domain
    #[arg(long, default_value = "localhost")]
    pub(crate) domain: String,
    /// Accounts are named PREFIX1, PREFIX2, …
    #[arg(long, default_value = "user")]
    pub(crate) prefix: String,
    /// Password of every account
    #[arg(long, default_value = "secret")]
    pub(crate) password: String,
    /// SASL mechanism: SCRAM-SHA-1, SCRAM-SHA-256 or PLAIN
    #[arg(long, default_value = "SCRAM-SHA-1")]
    pub(crate) mechanism: String,
    /// Seconds that one step of a login may take
    #[arg(long, default_value_t = 60)]
    pub(crate) timeout: u64,
}

impl Target {
    /// The localpart of account `number`, counted from 1.
    pub(crate) fn localpart(&self, number: usize) -> String {
        format!("{}{number}", self.prefix)
    }

    /// The bare address of account `number`.
    pub(crate) fn account(&self, number: usize) -> String {
        format!("{}{number}@{}", self.prefix, self.domain)
    }

    /// The number of the account that a bare or full address belongs to.
    pub(crate) fn number_of(&self, address: &str) -> Option<usize> {
        let bare = address.split('/').next()?;
        let localpart = bare.strip_suffix(&self.domain)?.strip_suffix('@')?;
        localpart.strip_prefix(&self.prefix)?.parse().ok()
    }

    /// The target of account `number`: one of the addresses, and all the rest.
    pub(crate) fn for_account(self: &Arc<Self>, number: usize) -> Arc<Self> {
        let hosts: Vec<_> = self.host.split(',').collect();
        if hosts.len() < 2 {
            return Arc::clone(self);
        }
        let host = hosts[number.max(1).wrapping_sub(1) % hosts.len()];
        Arc::new(Self {
            host: host.to_owned(),
            ..Self::clone(self)
        })
    }

    /// The deadline of one step.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Where the accounts come from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Provision {
    /// Create the accounts by in-band registration (XEP-0077) before the run
    #[arg(long)]
    pub(crate) register: bool,
    /// Create the accounts with a command; {file} becomes a CSV file of JID and password
    #[arg(long, value_name = "COMMAND", conflicts_with = "register")]
    pub(crate) accounts_command: Option<String>,
    /// Connections that create accounts at the same time
    #[arg(long, default_value_t = 16)]
    pub(crate) register_concurrency: usize,
}

/// What the report says, and where it goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReportOptions {
    /// Process whose memory and CPU are reported
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Append the report to this file as one JSON line
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Commit of the server, for the report
    #[arg(long)]
    pub(crate) commit: Option<String>,
    /// Name of the server, for the report; otherwise it is asked (XEP-0092)
    #[arg(long)]
    pub(crate) server_name: Option<String>,
    /// Version of the server, for the report; otherwise it is asked (XEP-0092)
    #[arg(long)]
    pub(crate) server_version: Option<String>,
    /// A setting of the server, for the report; may be repeated
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub(crate) settings: Vec<(String, String)>,
}

/// Splits `KEY=VALUE`.
fn parse_setting(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Refuses a run that needs more sockets than this process may open.
pub(crate) fn require_open_files(sockets: usize) -> Result<()> {
    // What the runtime, the report and the standard streams need besides the sockets.
    const RESERVE: u64 = 64;
    let limit = crate::proc::open_files_max();
    if sockets as u64 + RESERVE <= limit {
        return Ok(());
    }
    Err(LoadError::Usage(format!(
        "{sockets} connections need more than the {limit} open files allowed (ulimit -n)"
    )))
}

#[cfg(test)]
pub(crate) fn test_target() -> Target {
    Target {
        host: "127.0.0.1".into(),
        port: 5222,
        tls: Tls::None,
        domain: "example.org".into(),
        prefix: "user".into(),
        password: "secret".into(),
        mechanism: "SCRAM-SHA-1".into(),
        timeout: 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_again_by_their_address() {
        let target = test_target();
        assert_eq!(target.account(12), "user12@example.org");
        assert_eq!(target.number_of("user12@example.org/lt"), Some(12));
        assert_eq!(target.number_of("user12@example.com"), None);
        assert_eq!(target.number_of("example.org"), None);
    }

    #[test]
    fn accounts_are_dealt_out_to_all_addresses() {
        let target = Arc::new(Target {
            host: "10.0.0.1,10.0.0.2".into(),
            ..test_target()
        });
        let hosts = [1, 2, 3].map(|number| target.for_account(number).host.clone());
        assert_eq!(hosts, ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
        let one = Arc::new(test_target());
        assert!(Arc::ptr_eq(&one, &one.for_account(7)));
    }
}
