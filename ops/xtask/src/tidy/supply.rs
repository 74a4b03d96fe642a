//! What comes from outside (row C16): the gate looks at every dependency, builds from the lock
//! file, and an exception says why it is one.

use crate::tree::Tree;
use toml::{Table, Value};

const POLICY: &str = ".deny.toml";
const GATE: &str = ".ci/run";

/// What the policy must refuse: table, key.
const REFUSED: &[(&str, &str)] = &[
    ("bans", "wildcards"),
    ("sources", "unknown-registry"),
    ("sources", "unknown-git"),
];

/// What the gate must do.
const STEPS: &[&str] = &[
    "cargo deny",
    "check --hide-inclusion-graph bans licenses sources",
    "cargo test --locked",
    "cargo clippy --quiet --locked",
];

/// Where the supply chain is open.
pub(super) fn open_ends(tree: &Tree) -> Vec<String> {
    let gate = tree.get(GATE).unwrap_or_default();
    let missing = STEPS.iter().filter(|step| !gate.contains(*step));
    let mut found: Vec<String> = missing
        .map(|step| format!("{GATE} does not run: {step}"))
        .collect();
    match tree.get(POLICY).unwrap_or_default().parse::<Table>() {
        Ok(policy) => found.extend(policy_gaps(&policy)),
        Err(error) => found.push(format!("{POLICY}: {error}")),
    }
    if tree.get("Cargo.lock").is_none() {
        found.push("Cargo.lock is not in the repository".to_owned());
    }
    found
}

fn policy_gaps(policy: &Table) -> Vec<String> {
    let value = |table: &str, key: &str| policy.get(table)?.get(key);
    let is_denied =
        |(table, key): &&(&str, &str)| value(table, key).and_then(Value::as_str) == Some("deny");
    let open = REFUSED.iter().filter(|place| !is_denied(place));
    let mut found: Vec<String> = open
        .map(|(table, key)| format!("{POLICY}: {table}.{key} is not \"deny\""))
        .collect();
    let exceptions = value("advisories", "ignore").and_then(Value::as_array);
    let bare = exceptions
        .into_iter()
        .flatten()
        .filter(|one| !is_reasoned(one));
    found.extend(bare.map(|one| format!("{POLICY}: {one} is ignored without a reason")));
    found
}

fn is_reasoned(exception: &Value) -> bool {
    let text = |key: &str| exception.get(key).and_then(Value::as_str);
    text("id").is_some() && text("reason").is_some_and(|reason| reason.len() > 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: &str = "[bans]\nwildcards = \"deny\"\n[sources]\nunknown-registry = \"deny\"\n\
                          unknown-git = \"deny\"\n";

    fn found(policy: &str) -> Vec<String> {
        let gate = STEPS.join("\n");
        open_ends(&Tree::of(&[
            (POLICY, policy),
            (GATE, &gate),
            ("Cargo.lock", ""),
        ]))
    }

    #[test]
    fn c16_exception_without_a_reason_is_named() {
        let with = |ignore: &str| format!("{CLOSED}[advisories]\nignore = [{ignore}]");
        let reasoned = "{ id = \"RUSTSEC-1\", reason = \"one file uses it, and only for this\" }";
        assert_eq!(found(CLOSED), [""; 0]);
        assert_eq!(found(&with(reasoned)), [""; 0]);
        assert_eq!(found(&with("\"RUSTSEC-1\"")).len(), 1);
        assert_eq!(found(&with("{ id = \"RUSTSEC-1\" }")).len(), 1);
    }

    #[test]
    fn c16_policy_and_gate_that_let_anything_in_are_named() {
        assert_eq!(found("[bans]\nwildcards = \"allow\"").len(), 3);
        assert_eq!(open_ends(&Tree::default()).len(), STEPS.len() + 4);
    }
}
