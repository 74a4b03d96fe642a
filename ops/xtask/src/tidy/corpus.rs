//! The attack corpus: every row this version must hold has a test that bears its name, and what
//! of a row waits for a feature is said here.

use crate::tree::Tree;

/// The rows. A test's name begins with the row, or with several: `r03_r05_…`.
const ROWS: &[&str] = &[
    // XML and streams
    "x01", "x02", "x03", "x04", "x05", "x06", "x07", "x08", "x09", "x10", "x11", "x12", "x13",
    "x14", "x15", "x16", "x17", "x18", "x19", "x20", // TLS, logins, sessions
    "a01", "a03", "a04", "a05", "a06", "a07", "a08", "a09", "a10", "a11", "a12", "a13", "a14",
    "a15", "a16", "a17", "a18", // routing, stanzas, clients
    "r01", "r02", "r03", "r04", "r05", "r06", "r07", "r08", "r09", "r10", "r11", "r12", "r13",
    "r14", "r15", "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", // rooms
    "m01", "m02", "m03", "m04", "m06", "m07", "m08", "m09", // WebSocket
    "w01", "w02", "w03", "w04", "w05", "w06", "w07", "w08", "w09", "w10", // files
    "h01", "h02", "h03", "h04", "h05", "h06", // pages
    "h07", "h08", "h09", "h10", "h11", "h12", "h13", // calls
    "t01", "t02", "t03", "t04", "t07", "t10", "t11", // storage and operations
    "c01", "c02", "c04", "c05", "c06", "c07", "c08", "c09", "c10", "c11", "c12", "c13", "c15",
    "c16", // directories
    "l01", "l02", "l03", "l04", "l05", "l06", "l07", "l08", "l09",
];

/// What of these rows is not tested yet: row, part, and what it waits for.
const WAITING: &[(&str, &str, &str)] = &[
    ("x01", "entities over s2s", "federation"),
    (
        "x02",
        "host-meta and XML fetched by the server",
        "federation",
    ),
    (
        "x05",
        "too large a stanza over s2s is bounced",
        "federation",
    ),
    ("a04", "a chain of 500 certificates over s2s", "federation"),
    ("r02", "another server that speaks for others", "federation"),
    ("r03", "a forged carbon from another server", "federation"),
    ("r05", "a forged result from another server", "federation"),
    ("r17", "strangers on other servers", "federation"),
    ("h07", "previews of links", "a preview that is fetched"),
    (
        "r19",
        "answers to what the server asks others",
        "federation",
    ),
    ("c10", "other servers' domains", "federation"),
    ("c15", "tokens of an earlier life", "FAST"),
];

/// Rows without a test, and waiting parts of no row.
pub(super) fn untested(tree: &Tree) -> Vec<String> {
    let client = tree.all().filter(|(name, _)| name.ends_with(".test.ts"));
    let tested: Vec<&str> = (tree.rust().flat_map(|(_, text)| rows_in(text)))
        .chain(client.flat_map(|(_, text)| rows_of_client(text)))
        .collect();
    let missing = ROWS.iter().filter(|row| !tested.contains(row));
    let stray = WAITING.iter().filter(|(row, ..)| !ROWS.contains(row));
    missing
        .map(|row| format!("{row} has no test"))
        .chain(stray.map(|(row, what, _)| format!("{row}: {what} waits, but is no row")))
        .collect()
}

/// The rows that functions of a file are named after.
fn rows_in(text: &str) -> impl Iterator<Item = &str> {
    let functions = text.lines().filter_map(|line| {
        let (before, name) = line.split_once("fn ")?;
        matches!(before.trim(), "" | "async").then_some(name)
    });
    functions.flat_map(rows_of_name)
}

/// The rows that tests of the web client are named after, as in `it("t07_…", …)`.
fn rows_of_client(text: &str) -> impl Iterator<Item = &str> {
    let names = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("it(\""));
    names.flat_map(rows_of_name)
}

fn rows_of_name(name: &str) -> impl Iterator<Item = &str> {
    name.split('_').take_while(|word| is_row(word))
}

fn is_row(word: &str) -> bool {
    let mut letters = word.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && word.len() == 3
        && letters.all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_counts_when_a_function_begins_with_it() {
        let text = "fn x01_a() {}\n    async fn r03_r05_b(it: &It) {}\n// fn a01_c\n\
                    fn d_w01() {}\nfn c1_e() {}\nlet x = \"fn c16_f\";\npub(crate) fn w02() {}";
        assert_eq!(rows_in(text).collect::<Vec<_>>(), ["x01", "r03", "r05"]);
    }

    #[test]
    fn row_without_a_test_is_named() {
        let all_but_one = ROWS.iter().skip(1);
        let text: String = all_but_one
            .map(|row| format!("fn {row}_is() {{}}\n"))
            .collect();
        let tree = Tree::of(&[("ops/tests/corpus.rs", &text)]);
        assert_eq!(untested(&tree), ["x01 has no test"]);
        let client = "it(\"x01_is_no_entity\", () => {\n";
        let tree = Tree::of(&[
            ("ops/tests/corpus.rs", &text),
            ("gateways/web/src/xmpp/xml.test.ts", client),
        ]);
        assert_eq!(untested(&tree), Vec::<String>::new());
    }
}
