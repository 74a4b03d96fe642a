//! The top level shows the rooms and little else.

use crate::tree::Tree;
use std::collections::BTreeSet;

const ROOMS: &[&str] = &["actors", "cluster", "gateways", "loadtest", "ops"];

const PAPERS: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "doap.xml",
];

/// What stands beside the drawn rooms.
pub(super) fn strangers(tree: &Tree) -> Vec<String> {
    let top = tree
        .all()
        .map(|(name, _)| name.split('/').next().unwrap_or(name));
    let top: BTreeSet<&str> = top.filter(|name| !belongs(name)).collect();
    top.into_iter().map(str::to_owned).collect()
}

fn belongs(name: &str) -> bool {
    name.starts_with('.') || ROOMS.contains(&name) || PAPERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rooms_papers_and_dot_files_stand_at_the_top() {
        let tree = Tree::of(&[
            (".ci/run", ""),
            ("Cargo.toml", ""),
            ("ops/src/lib.rs", ""),
            ("scripts/a", ""),
            ("scripts/b", ""),
            ("notes.txt", ""),
        ]);
        assert_eq!(strangers(&tree), ["notes.txt", "scripts"]);
    }
}
