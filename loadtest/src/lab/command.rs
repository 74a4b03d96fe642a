//! Programs of the system: run to their end, and their words when they fail.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{LoadError, Result};

/// Runs a program and hands out what it says.
pub(crate) fn run(words: &[&str]) -> Result<String> {
    run_with_input(words, "")
}

/// The same for words that are owned.
pub(crate) fn run_all(words: &[String]) -> Result<String> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    run(&words)
}

/// Runs a program that reads `input`.
pub(crate) fn run_with_input(words: &[&str], input: &str) -> Result<String> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| LoadError::Usage("empty command".into()))?;
    let missing = |error: std::io::Error| LoadError::Usage(format!("{program}: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        // A folder that every user may stand in: PostgreSQL's programs run as another one.
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read is no failure; what it says tells more.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let words = words.join(" ");
    Err(LoadError::Usage(format!(
        "`{words}` failed: {}",
        complaint.trim()
    )))
}

/// Whether a program is there.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps ip and nft; ordinary users have it not in their path.
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

/// Words that run a program with variables set.
pub(crate) fn with_variables(variables: &[(String, String)]) -> Vec<String> {
    if variables.is_empty() {
        return Vec::new();
    }
    let set = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    ["env".to_owned()].into_iter().chain(set).collect()
}

/// A path as a word of a command.
pub(crate) fn word(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
