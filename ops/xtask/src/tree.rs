//! The repository as text: each file's path and what is in it.
//!
//! Leaves out what git ignores, and files that are not UTF-8.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Every file of the repository by its path from the root.
#[derive(Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads what git knows and what it would add.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let listing = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .map_err(|error| format!("git does not run: {error}"))?;
        if !listing.status.success() {
            return Err("git ls-files failed: is this a git work tree?".to_owned());
        }
        let names = String::from_utf8_lossy(&listing.stdout);
        let names = names.split('\0').filter(|name| !name.is_empty());
        let read = |name: &str| Some((name.to_owned(), text_of(&root.join(name))?));
        Ok(Self {
            files: names.filter_map(read).collect(),
        })
    }

    /// A tree for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(own).collect(),
        }
    }

    /// Every file, sorted by its path.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(name, _)| name.ends_with(".rs"))
    }

    /// The crates' manifests, without the workspace's.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(name, _)| name.ends_with("/Cargo.toml"))
    }

    /// One file's text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }
}

/// A file's text: empty for what is not UTF-8 (its name still counts), nothing for what is gone.
fn text_of(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8(bytes).unwrap_or_default())
}
