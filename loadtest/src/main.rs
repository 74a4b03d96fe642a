//! `klatsch-loadtest`: clients by the ten thousand, chaos and the history
//! checker, against any XMPP server.
//!
//! | file | what it does |
//! | --- | --- |
//! | `client.rs` | one connection: stream, login, stream management, archive |
//! | `scenario/` | what a crowd of them does, one file each |
//! | `history.rs`, `checker.rs` | what happened in a run with faults, and whether it may |
//! | `lab.rs` | nodes, a network and a store to break |
//! | `proc.rs`, `report.rs` | what the server used, and the line that says so |
//!
//! It speaks klatsch-protocol only, knows nothing of the server's inside, and
//! bounds every run in count and time.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod checker;
mod client;
mod error;
mod history;
mod lab;
mod options;
mod proc;
mod random;
mod report;
mod scenario;

/// Load, chaos and history checks for XMPP servers
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    scenario: Scenario,
}

/// What to do.
#[derive(Subcommand)]
enum Scenario {
    /// Create accounts
    Accounts(scenario::accounts::AccountsOptions),
    /// Note how a server started, and its memory while nobody is there
    Start(scenario::accounts::StartOptions),
    /// Memory of logged-in sessions that rest
    Idle(scenario::idle::IdleOptions),
    /// Logins a second, and what one costs
    Login(scenario::login::LoginOptions),
    /// Messages between pairs of clients
    Chat(scenario::chat::ChatOptions),
    /// Reading archives by pages
    Archive(scenario::archive::ArchiveOptions),
    /// Memory of connections over JSON channels, and talk in a room of them
    Channels(scenario::channels::ChannelsOptions),
    /// Talk in rooms
    Room(scenario::room::RoomOptions),
    /// Kill the server at random, and check that nothing acknowledged is lost
    Crash(Box<scenario::crash::CrashOptions>),
    /// Kill, cut and starve the nodes of a cluster, and check what its clients saw
    Chaos(Box<scenario::chaos::ChaosOptions>),
    /// Restart the nodes of a cluster one after the other, and check that nobody loses anything
    Rolling(Box<scenario::rolling::RollingOptions>),
    /// Messages between clients of different nodes
    Cluster(Box<scenario::cluster::ClusterOptions>),
    /// Check the history of a crash or chaos run again
    Check(scenario::crash::CheckOptions),
    /// Attacks that are about time and crowds
    Security(Box<scenario::security::SecurityOptions>),
    /// Make the table of results from the reports of runs
    Table(report::table::TableOptions),
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(command_line.scenario)),
        Err(error) => Err(error.into()),
    };
    outcome.unwrap_or_else(|error| {
        report::say(&format!("klatsch-loadtest: {error}"));
        ExitCode::from(2)
    })
}

/// Runs a scenario: 0 for success, 1 for a broken promise, 2 for a run that
/// could not be done, 3 for one that proves nothing.
async fn run(scenario: Scenario) -> error::Result<ExitCode> {
    match scenario {
        Scenario::Accounts(options) => scenario::accounts::create(options).await?,
        Scenario::Start(options) => scenario::accounts::note_start(options).await?,
        Scenario::Idle(options) => scenario::idle::run(options).await?,
        Scenario::Login(options) => scenario::login::run(options).await?,
        Scenario::Chat(options) => scenario::chat::run(options).await?,
        Scenario::Archive(options) => scenario::archive::run(options).await?,
        Scenario::Channels(options) => scenario::channels::run(options).await?,
        Scenario::Room(options) => scenario::room::run(options).await?,
        Scenario::Crash(options) => return scenario::crash::run(*options).await,
        Scenario::Chaos(options) => return scenario::chaos::run(*options).await,
        Scenario::Rolling(options) => return scenario::rolling::run(*options).await,
        Scenario::Cluster(options) => return scenario::cluster::run(*options).await,
        Scenario::Check(options) => return scenario::crash::check(&options),
        Scenario::Security(options) => return scenario::security::run(*options).await,
        Scenario::Table(options) => report::table::write(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}
