//! Every feature's file is in the `ALL` table, from which disco answers derive.

use crate::tree::Tree;

const FOLDER: &str = "actors/protocol/src/features/";
const TABLE: &str = "actors/protocol/src/features.rs";

/// Features that nobody would find.
pub(super) fn unlisted(tree: &Tree) -> Vec<String> {
    let table = tree.get(TABLE).unwrap_or_default();
    let names = tree.rust().filter_map(|(file, text)| feature(file, text));
    names
        .filter(|name| !table.contains(&format!("{name}::FEATURE")))
        .collect()
}

/// The module path of a file that declares a feature: `muc::password` for `muc/password.rs`.
fn feature(file: &str, text: &str) -> Option<String> {
    let name = file.strip_prefix(FOLDER)?.strip_suffix(".rs")?;
    text.contains("pub const FEATURE: Feature")
        .then(|| name.replace('/', "::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_missing_from_the_table_is_named() {
        let declared = "pub const FEATURE: Feature = Feature {};";
        let tree = Tree::of(&[
            (TABLE, "pub const ALL: &[&Feature] = &[&ping::FEATURE];"),
            ("actors/protocol/src/features/ping.rs", declared),
            ("actors/protocol/src/features/time.rs", declared),
            ("actors/protocol/src/features/rsm.rs", "//! A helper."),
        ]);
        assert_eq!(unlisted(&tree), ["time"]);
    }
}
