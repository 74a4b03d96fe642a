//! Rules for the text of each source file.

use crate::tree::Tree;

/// A file this long has more than one subject.
const LINES_MAX: usize = 700;

/// The one file that may name bincode, so that replacing it is a change of one file.
const CODEC: &str = "cluster/src/codec.rs";

/// Marks of what was left for later. In halves, so that this file does not hold them.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
    concat!("FIX", "ME"),
];

/// Files that do not open with `//!`.
pub(super) fn without_header(tree: &Tree) -> Vec<String> {
    let bare = tree.rust().filter(|(_, text)| !text.starts_with("//!"));
    bare.map(|(name, _)| name.to_owned()).collect()
}

/// Files with something left for later.
pub(super) fn unfinished(tree: &Tree) -> Vec<String> {
    lines_with(tree, |line| {
        UNFINISHED.iter().any(|mark| line.contains(mark))
    })
}

/// Files with more than one subject.
pub(super) fn too_long(tree: &Tree) -> Vec<String> {
    let counted = tree.rust().map(|(name, text)| (name, text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect()
}

/// Uses of bincode outside the codec.
pub(super) fn bincode(tree: &Tree) -> Vec<String> {
    let path = concat!("bincode", "::");
    let mut places = lines_with(tree, |line| line.contains(path));
    places.retain(|place| !place.starts_with(CODEC));
    places
}

/// `file:line` of every line of Rust that `is_bad`.
fn lines_with(tree: &Tree, is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for (name, text) in tree.rust() {
        let bad = text.lines().enumerate().filter(|(_, line)| is_bad(line));
        places.extend(bad.map(|(index, _)| format!("{name}:{}", index + 1)));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_without_header_is_named() {
        let tree = Tree::of(&[("a.rs", "//! A.\n"), ("b.rs", "// B.\n"), ("c.md", "C")]);
        assert_eq!(without_header(&tree), ["b.rs"]);
    }

    #[test]
    fn unfinished_line_is_named() {
        let text = format!("//! A.\nfn a() {{ {}) }}\n", UNFINISHED[0]);
        let tree = Tree::of(&[("a.rs", &text)]);
        assert_eq!(unfinished(&tree), ["a.rs:2"]);
    }

    #[test]
    fn long_file_is_named_with_its_length() {
        let (fits, long) = ("a\n".repeat(LINES_MAX), "a\n".repeat(LINES_MAX + 1));
        let tree = Tree::of(&[("fits.rs", &fits), ("long.rs", &long)]);
        assert_eq!(too_long(&tree), ["long.rs: 701 lines"]);
    }

    #[test]
    fn bincode_stands_in_the_codec_alone() {
        let text = format!("use {}{}serde;", "bincode", "::");
        let tree = Tree::of(&[(CODEC, &text), ("actors/src/lib.rs", &text)]);
        assert_eq!(bincode(&tree), ["actors/src/lib.rs:1"]);
    }
}
