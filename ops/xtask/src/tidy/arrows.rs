//! Who may use whom, read from the manifests.

use crate::tree::Tree;
use toml::{Table, Value};

/// Each of our crates with those of ours it may use.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "klatsch-ops",
        &[
            "klatsch-gateways",
            "klatsch-actors",
            "klatsch-cluster",
            "klatsch-store",
            "klatsch-protocol",
        ],
    ),
    (
        "klatsch-gateways",
        &[
            "klatsch-actors",
            "klatsch-store",
            "klatsch-protocol",
            "klatsch-web-assets",
        ],
    ),
    ("klatsch-web-assets", &[]),
    (
        "klatsch-actors",
        &["klatsch-cluster", "klatsch-store", "klatsch-protocol"],
    ),
    ("klatsch-store", &["klatsch-protocol"]),
    ("klatsch-loadtest", &["klatsch-protocol"]),
    ("klatsch-cluster", &[]),
    ("klatsch-protocol", &[]),
    ("klatsch-protocol-fuzz", &["klatsch-protocol"]),
    // Writes the table of specifications from the features.
    ("xtask", &["klatsch-protocol"]),
];

/// Crates with a runtime, a clock or randomness in them: no place in the protocol.
const IMPURE: &[&str] = &[
    "async-std",
    "chrono",
    "getrandom",
    "rand",
    "ractor",
    "smol",
    "tokio",
];

const TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// Arrows that are not drawn.
pub(super) fn stray(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in tree.manifests() {
        match manifest(text) {
            Ok(manifest) => {
                found.extend(stray_of(&manifest).map(|arrow| format!("{file}: {arrow}")))
            }
            Err(complaint) => found.push(format!("{file}: {complaint}")),
        }
    }
    found
}

/// What makes the protocol impure.
pub(super) fn impure(tree: &Tree) -> Vec<String> {
    let text = tree.get("actors/protocol/Cargo.toml").unwrap_or_default();
    let manifest = manifest(text).unwrap_or_default();
    let used = manifest.dependencies.into_iter().map(|(name, _)| name);
    used.filter(|name| IMPURE.contains(&name.as_str()))
        .collect()
}

/// Dependencies that do not say `workspace = true`.
pub(super) fn own_versions(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    // What is fuzzed on nightly is a workspace of its own, and has no table.
    let ours = tree
        .manifests()
        .filter(|(file, _)| !file.ends_with("/fuzz/Cargo.toml"));
    for (file, text) in ours {
        let dependencies = manifest(text).unwrap_or_default().dependencies;
        let own = dependencies
            .into_iter()
            .filter(|(_, value)| !is_of_workspace(value));
        found.extend(own.map(|(name, _)| format!("{file}: {name}")));
    }
    found
}

/// What a manifest says of its crate.
#[derive(Default)]
struct Manifest {
    name: String,
    dependencies: Vec<(String, Value)>,
}

fn manifest(text: &str) -> Result<Manifest, String> {
    let table: Table = text.parse().map_err(|error| format!("{error}"))?;
    let name = table.get("package").and_then(|package| package.get("name"));
    let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
    let tables = TABLES.iter().filter_map(|key| table.get(*key)?.as_table());
    let dependencies = tables
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok(Manifest { name, dependencies })
}

fn stray_of(manifest: &Manifest) -> impl Iterator<Item = String> {
    let allowed = ARROWS
        .iter()
        .find(|(name, _)| *name == manifest.name)
        .map(|(_, to)| *to);
    let allowed = allowed.unwrap_or_default();
    let ours = manifest.dependencies.iter().map(|(name, _)| name.as_str());
    let ours = ours.filter(|name| name.starts_with("klatsch-"));
    let strays = ours.filter(move |name| !allowed.contains(name));
    strays.map(|name| format!("{} -> {name}", manifest.name))
}

fn is_of_workspace(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_manifest(file: &str, text: &str) -> Tree {
        Tree::of(&[(file, text)])
    }

    #[test]
    fn arrow_upwards_is_named() {
        let text = "[package]\nname = \"klatsch-actors\"\n[dependencies]\n\
                    klatsch-gateways.workspace = true\nklatsch-store.workspace = true\n";
        let tree = with_manifest("actors/Cargo.toml", text);
        assert_eq!(
            stray(&tree),
            ["actors/Cargo.toml: klatsch-actors -> klatsch-gateways"]
        );
    }

    #[test]
    fn arrow_of_tests_counts_too() {
        let text = "[package]\nname = \"klatsch-cluster\"\n[dev-dependencies]\n\
                    klatsch-protocol.workspace = true\n";
        let tree = with_manifest("cluster/Cargo.toml", text);
        assert_eq!(
            stray(&tree),
            ["cluster/Cargo.toml: klatsch-cluster -> klatsch-protocol"]
        );
    }

    #[test]
    fn unknown_crate_may_use_none_of_ours() {
        let text = "[package]\nname = \"new\"\n[dependencies]\nklatsch-ops.workspace = true\n";
        assert_eq!(stray(&with_manifest("new/Cargo.toml", text)).len(), 1);
    }

    #[test]
    fn runtime_in_the_protocol_is_named() {
        let text = "[package]\nname = \"klatsch-protocol\"\n[dependencies]\n\
                    tokio.workspace = true\nbytes.workspace = true\n";
        assert_eq!(
            impure(&with_manifest("actors/protocol/Cargo.toml", text)),
            ["tokio"]
        );
    }

    #[test]
    fn version_outside_the_workspace_table_is_named() {
        let text =
            "[package]\nname = \"x\"\n[dependencies]\nbytes = \"1\"\nserde.workspace = true\n";
        assert_eq!(
            own_versions(&with_manifest("x/Cargo.toml", text)),
            ["x/Cargo.toml: bytes"]
        );
    }
}
