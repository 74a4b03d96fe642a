//! `klatsch config`: checks settings, prints them, writes an example.

use super::Common;
use crate::config::check::{Finding, check};
use crate::config::{Loaded, example};
use crate::error::Error;
use crate::logging;
use clap::Subcommand;

/// Settings.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Tell what is wrong with the settings, and what to know about them
    Check,
    /// Print what is in force: defaults, file, environment and flags, passwords hidden
    Print,
    /// Print a file with every key, its default and what it does
    Example,
}

impl Config {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        match self {
            Self::Check => checked(&common.load(Vec::new())?),
            Self::Print => Ok(common
                .load(Vec::new())?
                .config
                .print()
                .trim_end()
                .to_owned()),
            Self::Example => Ok(example().trim_end().to_owned()),
        }
    }
}

/// Refuses what the server would refuse; notes do no harm.
fn checked(loaded: &Loaded) -> Result<String, Error> {
    logging::check(&loaded.config.log)?;
    let found = check(&loaded.config);
    let lines: Vec<String> = found.iter().map(line).collect();
    if found.iter().any(Finding::is_refused) {
        return Err(Error::Config(lines.join("\n")));
    }
    let from = loaded
        .file
        .as_ref()
        .map_or("defaults".to_owned(), |file| file.display().to_string());
    let fine = format!(
        "fine: {from}, domains {}",
        loaded.config.domains().join(", ")
    );
    Ok(lines
        .into_iter()
        .chain([fine])
        .collect::<Vec<_>>()
        .join("\n"))
}

fn line(finding: &Finding) -> String {
    match finding {
        Finding::Refused(text) => format!("refused: {text}"),
        Finding::Noted(text) => format!("note: {text}"),
    }
}
