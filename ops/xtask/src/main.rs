//! `cargo xtask`: what the repository does to itself.
//!
//! `tidy` tests it; `generate` writes the files that are made from others; `doap` is the part of
//! it that describes the project, and lists each specification with its state.

mod doap;
mod generate;
mod specs;
mod tidy;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One of the tasks, with what it answers.
type Outcome = Result<String, String>;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command's answer"
)]
fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Option<&str>) -> Outcome {
    let root = root();
    match task {
        Some("tidy") => tidy::run(&root),
        Some("generate") => generate::run(&root),
        Some("doap") => generate::doap(&root),
        _ => Err("usage: cargo xtask tidy | generate | doap".to_owned()),
    }
}

/// The workspace's directory: two above this crate's.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}
