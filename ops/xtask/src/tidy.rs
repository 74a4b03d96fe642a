//! Tests the repository itself: what no compiler sees and the house rules say.

mod arrows;
mod corpus;
mod features;
mod sources;
mod supply;
mod top_level;
mod watching;

use crate::tree::Tree;
use std::path::Path;

/// One rule: its name, and what breaks it.
struct Check {
    rule: &'static str,
    find: fn(&Tree) -> Vec<String>,
}

const CHECKS: &[Check] = &[
    Check {
        rule: "only the drawn rooms at the top level",
        find: top_level::strangers,
    },
    Check {
        rule: "every Rust file opens with what it is (//!)",
        find: sources::without_header,
    },
    Check {
        rule: "nothing unfinished, no test ignored",
        find: sources::unfinished,
    },
    Check {
        rule: "no file longer than 700 lines",
        find: sources::too_long,
    },
    Check {
        rule: "only cluster/src/codec.rs names bincode",
        find: sources::bincode,
    },
    Check {
        rule: "dependencies run one way",
        find: arrows::stray,
    },
    Check {
        rule: "the protocol is pure",
        find: arrows::impure,
    },
    Check {
        rule: "versions stand in the workspace table",
        find: arrows::own_versions,
    },
    Check {
        rule: "every feature is in ALL",
        find: features::unlisted,
    },
    Check {
        rule: "every row this version must hold has a test",
        find: corpus::untested,
    },
    Check {
        rule: "the supply chain is closed",
        find: supply::open_ends,
    },
    Check {
        rule: "every alert has its runbook page and a test",
        find: watching::gaps,
    },
];

/// Runs every check; an error lists all that is wrong.
pub(crate) fn run(root: &Path) -> Result<String, String> {
    let complaints = complaints(&Tree::read(root)?);
    if complaints.is_empty() {
        return Ok(format!("tidy: {} rules hold", CHECKS.len()));
    }
    Err(complaints.join("\n"))
}

fn complaints(tree: &Tree) -> Vec<String> {
    let found = |check: &Check| {
        let list = (check.find)(tree);
        (!list.is_empty()).then(|| format!("{}:\n  {}", check.rule, list.join("\n  ")))
    };
    CHECKS.iter().filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let root = crate::root();
        // A source archive without git has nothing to ask.
        if !root.join(".git").exists() {
            return;
        }
        assert_eq!(run(&root), Ok(format!("tidy: {} rules hold", CHECKS.len())));
    }

    #[test]
    fn complaint_names_rule_and_place() {
        let tree = Tree::of(&[("ops/src/lib.rs", "pub fn a() {}")]);
        let list = complaints(&tree);
        let header = "every Rust file opens with what it is (//!):\n  ops/src/lib.rs";
        assert!(list.iter().any(|complaint| complaint == header), "{list:?}");
    }
}
