//! The command line: `klatsch serve`, and what an operator does beside it.
//!
//! A command answers with a text; the binary prints it. `--config` and `--data` work on every one.

mod cluster;
mod config;
mod directory;
mod doctor;
mod invite;
mod room;
mod serve;
mod session;
mod talk;
mod token;
mod transfer;
mod user;

use crate::config::{Loaded, Overrides, load};
use crate::error::Error;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Real-time chat: an XMPP server that needs no configuration.
#[derive(Debug, Parser)]
#[command(name = "klatsch", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The settings; without it klatsch.toml here, or /etc/klatsch/klatsch.toml, where there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the store, the certificate and the secrets are kept
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Accounts
    #[command(subcommand)]
    User(user::User),
    /// Who is connected
    #[command(subcommand)]
    Session(session::Session),
    /// Rooms
    #[command(subcommand)]
    Room(room::Room),
    /// Settings
    #[command(subcommand)]
    Config(config::Config),
    /// Look for what is wrong with this installation
    Doctor,
    /// Nodes
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// People and groups of the organisation's directory
    #[command(subcommand)]
    Directory(directory::Directory),
    /// A link with which somebody makes an account, once
    Invite(invite::Invite),
    /// Tokens of programs
    #[command(subcommand)]
    Token(token::Token),
    /// Write accounts with all they have to the standard output (XEP-0227)
    Export(transfer::Export),
    /// Read accounts from such a file, also of another server
    Import(transfer::Import),
}

/// Runs a command; what it answers is for the standard output.
pub fn run(cli: Cli) -> Result<String, Error> {
    let common = &cli.common;
    match cli.command {
        Command::Serve(serve) => serve.run(common),
        Command::User(user) => user.run(common),
        Command::Session(session) => session.run(common),
        Command::Room(room) => room.run(common),
        Command::Config(config) => config.run(common),
        Command::Doctor => doctor::run(common),
        Command::Cluster(cluster) => cluster.run(common),
        Command::Directory(directory) => directory.run(common),
        Command::Invite(invite) => invite.run(common),
        Command::Token(token) => token.run(common),
        Command::Export(export) => export.run(common),
        Command::Import(import) => import.run(common),
    }
}

impl Common {
    /// The settings with these flags over them.
    fn load(&self, domains: Vec<String>) -> Result<Loaded, Error> {
        load(&Overrides {
            file: self.config.clone(),
            data: self.data.clone(),
            domains,
        })
    }
}

/// A table with columns as wide as they need be.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn config_and_data_stand_before_or_behind_any_command() {
        for line in [
            "klatsch --config c --data d serve",
            "klatsch serve --config c --data d --domain a --domain b",
            "klatsch --config c user add a@b --data d --password p --admin",
            "klatsch user add a@b --password-stdin",
            "klatsch user list --data d",
            "klatsch user remove a@b",
            "klatsch user passwd a@b",
            "klatsch user import people.csv",
            "klatsch session list",
            "klatsch session kick a@b/c --data d",
            "klatsch room list --domain d",
            "klatsch room show r@conference.d",
            "klatsch room destroy r@conference.d --reason over",
            "klatsch config check --config c",
            "klatsch config print",
            "klatsch config example",
            "klatsch doctor --data d",
            "klatsch export --account a@b --data d",
            "klatsch export --store",
            "klatsch import file --merge",
            "klatsch invite --domain d --name n",
            "klatsch cluster status --json",
            "klatsch cluster token --uses 3 --minutes 10",
            "klatsch cluster join klatsch-join-1-x --data d",
            "klatsch cluster join -",
            "klatsch cluster drain --stop",
            "klatsch cluster secret",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "klatsch",
            "klatsch user add",
            "klatsch export",
            "klatsch export --store --account a@b",
            "klatsch import",
            "klatsch user add a@b --password p --password-stdin",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_they_need_be() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        assert_eq!(
            table(&[row(&["a", "b"]), row(&["ccc", "d"])]),
            "a    b\nccc  d"
        );
    }
}
