//! The section of `RESULTS.md` about several nodes: the newest run of each row that
//! `cluster.sh` has measured. Without runs there is no section.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::number;

/// What a column shows, and the figure that has it.
const COLUMNS: [(&str, &str); 8] = [
    ("messages/s", "messages_per_second"),
    ("acknowledged/s", "acked_per_second"),
    ("CPU µs per message, all nodes", "cpu_us_per_message"),
    ("CPU ms of the store", "store_cpu_ms"),
    ("delivered after, p99 ms", "delivery_p99_ms"),
    ("acknowledged after, p99 ms", "ack_p99_ms"),
    ("KiB per session", "kib_per_session"),
    ("KiB per session of another node", "kib_per_remote_presence"),
];

/// Writes the section.
pub(super) fn render(lines: &[Value]) -> String {
    let newest = newest(lines);
    if newest.is_empty() {
        return String::new();
    }
    let titles = COLUMNS.map(|(title, _)| title).join(" | ");
    let rule = vec!["---:"; COLUMNS.len()].join(" | ");
    let mut text = format!(
        "{HEAD}| row | nodes | {titles} |\n| --- | ---: | {} |\n",
        rule
    );
    for ((row, nodes), line) in newest {
        let figure = |name: &str| line["figures"][name].as_f64().map_or("–".into(), number);
        let figures = COLUMNS.map(|(_, name)| figure(name)).join(" | ");
        text.push_str(&format!("| {row} | {nodes} | {figures} |\n"));
    }
    text
}

/// By row and number of nodes.
fn newest(lines: &[Value]) -> BTreeMap<(String, u64), &Value> {
    let mut newest: BTreeMap<_, &Value> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["scenario"] == "cluster") {
        let settings = &line["settings"];
        let (Some(row), Some(nodes)) = (settings["row"].as_str(), settings["nodes"].as_u64())
        else {
            continue;
        };
        let row = row.rsplit_once('-').map_or(row, |(row, _)| row).to_owned();
        let kept = newest.entry((row, nodes)).or_insert(line);
        // Dates are XEP-0082 in UTC, which sort as text.
        if kept["date"].as_str() <= line["date"].as_str() {
            *kept = line;
        }
    }
    newest
}

const HEAD: &str = "\n## Several nodes\n\n\
    On one machine, in network namespaces of their own, with one PostgreSQL; the two of every pair\n\
    are on different nodes where there are several. Sessions that rest are all on the first node.\n\n";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(date: &str, nodes: u64, rate: f64) -> Value {
        json!({
            "scenario": "cluster", "date": date,
            "settings": { "row": format!("cluster-4-{nodes}"), "nodes": nodes },
            "figures": { "messages_per_second": rate },
        })
    }

    #[test]
    fn the_newest_run_of_each_row_counts() {
        let text = render(&[
            run("2026-11-29", 2, 900.0),
            run("2026-11-28", 2, 100.0),
            run("2026-11-28", 1, 500.0),
        ]);
        assert!(text.contains("| cluster-4 | 1 | 500 | – |"), "{text}");
        assert!(text.contains("| cluster-4 | 2 | 900 | – |"), "{text}");
        assert!(!text.contains("| 100 |"), "{text}");
    }

    #[test]
    fn without_runs_there_is_no_section() {
        assert_eq!(render(&[json!({ "scenario": "chat" })]), "");
    }
}
