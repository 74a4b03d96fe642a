//! Writes what is made from something else: the example configuration, the README's table of
//! specifications and the description of the project.

use crate::{doap, specs};
use std::path::Path;
use std::process::Command;

/// The example configuration's place.
const EXAMPLE: &str = "ops/klatsch.example.toml";

/// The page with the table of specifications.
const README: &str = "README.md";

/// Writes every generated file.
pub(crate) fn run(root: &Path) -> Result<String, String> {
    write(&root.join(EXAMPLE), &klatsch(root, &["config", "example"])?)?;
    let readme = root.join(README);
    let text = std::fs::read_to_string(&readme).map_err(|error| format!("{README}: {error}"))?;
    write(&readme, &specs::renew(&text)?)?;
    doap(root)?;
    Ok(format!("written: {EXAMPLE}, {README}, {}", doap::DOAP))
}

/// Writes the description of the project; answers with the specifications and their state.
pub(crate) fn doap(root: &Path) -> Result<String, String> {
    write(&root.join(doap::DOAP), &doap::document())?;
    Ok(specs::table())
}

/// What the server's own command line answers.
fn klatsch(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "klatsch-ops", "--"])
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo does not run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| format!("klatsch {arguments:?}: {error}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
