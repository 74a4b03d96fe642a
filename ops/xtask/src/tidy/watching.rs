//! What operators look at holds together: every alert has its runbook page and a test, and no
//! page is left over.
//!
//! Leaves out whether the metrics exist, which the crate that declares them tests.

use crate::tree::Tree;
use std::collections::BTreeSet;

const ALERTS: &str = "ops/alerts/klatsch.yml";
const TESTS: &str = "ops/alerts/tests.yml";
const RUNBOOKS: &str = "ops/runbooks/";

/// What every page says, in this order.
const SECTIONS: &[&str] = &["**Means.**", "**Users notice.**", "**Look at.**", "**Do.**"];

/// Alerts without a page or a test, and pages without an alert or one of their parts.
pub(super) fn gaps(tree: &Tree) -> Vec<String> {
    let alerts = values(tree.get(ALERTS).unwrap_or_default(), "- alert: ");
    let tested = values(tree.get(TESTS).unwrap_or_default(), "alertname: ");
    let mut found = Vec::new();
    for alert in &alerts {
        let page = format!("{RUNBOOKS}{alert}.md");
        if !tested.contains(alert) {
            found.push(format!("{TESTS} does not test {alert}"));
        }
        match tree.get(&page) {
            Some(text) => found.extend(missing(text).map(|it| format!("{page} lacks {it}"))),
            None => found.push(format!("{alert} has no {page}")),
        }
        if !tree
            .get(ALERTS)
            .unwrap_or_default()
            .contains(&format!("runbook: {page}\n"))
        {
            found.push(format!("{ALERTS}: {alert} does not name its page"));
        }
    }
    let pages = tree
        .all()
        .filter_map(|(name, _)| name.strip_prefix(RUNBOOKS));
    let alone = pages.filter(|page| {
        let alert = page.strip_suffix(".md").unwrap_or(page);
        !alerts.contains(alert)
    });
    found.extend(alone.map(|page| format!("{RUNBOOKS}{page} is of no alert")));
    found
}

/// What stands behind a key, wherever it stands.
fn values<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    let lines = text.lines();
    lines
        .filter_map(|line| line.trim_start().strip_prefix(key))
        .collect()
}

fn missing(page: &str) -> impl Iterator<Item = &'static str> {
    let places: Vec<_> = SECTIONS.iter().map(|it| page.find(it)).collect();
    let in_order = |n: &usize| match places[*n] {
        None => true,
        Some(place) => places[..*n].iter().flatten().any(|before| *before > place),
    };
    let bad: Vec<&'static str> = (0..SECTIONS.len())
        .filter(in_order)
        .map(|n| SECTIONS[n])
        .collect();
    bad.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n**Means.** a\n**Users notice.** b\n**Look at.** c\n**Do.** d\n";
    const RULES: &str = "- alert: A\n  runbook: ops/runbooks/A.md\n";

    #[test]
    fn alert_with_page_and_test_is_whole() {
        let tree = Tree::of(&[
            (ALERTS, RULES),
            (TESTS, "    alertname: A\n"),
            ("ops/runbooks/A.md", PAGE),
        ]);
        assert_eq!(gaps(&tree), [""; 0]);
    }

    #[test]
    fn what_lacks_or_is_left_over_is_named() {
        let tree = Tree::of(&[
            (ALERTS, "- alert: A\n- alert: B\n"),
            (TESTS, ""),
            (
                "ops/runbooks/A.md",
                "**Means.** a **Look at.** c **Users notice.** b",
            ),
            ("ops/runbooks/C.md", PAGE),
        ]);
        assert_eq!(
            gaps(&tree),
            [
                "ops/alerts/tests.yml does not test A",
                "ops/runbooks/A.md lacks **Look at.**",
                "ops/runbooks/A.md lacks **Do.**",
                "ops/alerts/klatsch.yml: A does not name its page",
                "ops/alerts/tests.yml does not test B",
                "B has no ops/runbooks/B.md",
                "ops/alerts/klatsch.yml: B does not name its page",
                "ops/runbooks/C.md is of no alert",
            ]
        );
    }
}
