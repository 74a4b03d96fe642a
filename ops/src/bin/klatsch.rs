//! The one binary: server and command line.

use clap::Parser;
use klatsch_ops::cli::{Cli, run};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Gives memory back and keeps thousands of connections from tearing holes into it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(answer) => print(&answer),
        Err(error) => {
            // Nobody is left to be told when this fails.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn print(answer: &str) -> ExitCode {
    if answer.is_empty() {
        return ExitCode::SUCCESS;
    }
    match writeln!(std::io::stdout(), "{answer}") {
        Ok(()) => ExitCode::SUCCESS,
        // `klatsch user list | head` has what it wants.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
