//! `RESULTS.md`, made from the JSON lines of the runs: the newest figure of
//! every server for every row, beside the budget, and by how much it is missed.
//!
//! A run belongs to the row that its setting `row` names; `bench.sh` sets it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::say;
use crate::error::{LoadError, Result};

/// The servers that have a column, as they call themselves.
const SERVERS: [&str; 3] = ["klatsch", "Prosody", "ejabberd"];

/// What a row shows, and what klatsch has to reach.
struct Row {
    key: &'static str,
    what: &'static str,
    figure: &'static str,
    /// From the figure's unit to the row's.
    scale: f64,
    budget: Budget,
}

/// A bound from the budgets in DESIGN.md section 11.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Budget {
    AtMost(f64),
    AtLeast(f64),
    /// For comparison only.
    None,
}

/// The rows, in the order of the budgets.
const ROWS: &[Row] = &[
    row(
        "idle-plain",
        "resident KiB per idle session, plain",
        "kib_per_session",
        1.0,
        Budget::AtMost(16.0),
    ),
    row(
        "idle-tls",
        "resident KiB per idle session, TLS",
        "kib_per_session",
        1.0,
        Budget::AtMost(32.0),
    ),
    row(
        "chat-4",
        "CPU µs per routed message, window 4",
        "cpu_us_per_message",
        1.0,
        Budget::AtMost(12.0),
    ),
    row(
        "chat-1",
        "CPU µs per routed message, one at a time per pair",
        "cpu_us_per_message",
        1.0,
        Budget::AtMost(20.0),
    ),
    row(
        "chat-4",
        "messages a second, window 4",
        "messages_per_second",
        1.0,
        Budget::None,
    ),
    row(
        "room-1000",
        "room, 1 × 1,000: CPU µs per delivery",
        "cpu_us_per_delivery",
        1.0,
        Budget::AtMost(5.0),
    ),
    row(
        "room-1000",
        "room of 1,000 joined, s",
        "join_seconds",
        1.0,
        Budget::AtMost(3.0),
    ),
    row(
        "room-20",
        "rooms, 100 × 20: CPU µs per delivery",
        "cpu_us_per_delivery",
        1.0,
        Budget::None,
    ),
    row(
        "login-plain",
        "CPU ms per login, SCRAM, plain",
        "cpu_us_per_login",
        0.001,
        Budget::AtMost(0.3),
    ),
    row(
        "login-tls",
        "CPU ms per login, SCRAM, TLS",
        "cpu_us_per_login",
        0.001,
        Budget::AtMost(0.8),
    ),
    row(
        "login-plain",
        "logins a second, plain",
        "logins_per_second",
        1.0,
        Budget::None,
    ),
    row(
        "durable",
        "archived messages a second, acknowledged",
        "acked_per_second",
        1.0,
        Budget::AtLeast(20_000.0),
    ),
    row(
        "durable",
        "the same: acknowledged after, p99 ms",
        "ack_p99_ms",
        1.0,
        Budget::None,
    ),
    row(
        "archived-4",
        "CPU µs per archived message, window 4",
        "cpu_us_per_message",
        1.0,
        Budget::None,
    ),
    row(
        "archive",
        "archive read by pages of 50, messages a second",
        "messages_per_second",
        1.0,
        Budget::AtLeast(100_000.0),
    ),
    row(
        "archive-long",
        "page of 50 at the end of a long archive, p99 ms",
        "end_p99_ms",
        1.0,
        Budget::AtMost(10.0),
    ),
    row(
        "archive-long",
        "page of 50 in its middle, p99 ms",
        "middle_p99_ms",
        1.0,
        Budget::AtMost(10.0),
    ),
    row(
        "archive-long",
        "page of 50 found by a rare word, p99 ms",
        "search_p99_ms",
        1.0,
        Budget::None,
    ),
    row(
        "archive-long",
        "page of 50 found by a common word, p99 ms",
        "search_common_p99_ms",
        1.0,
        Budget::None,
    ),
    // For reference, measured on such a machine: what Phoenix 1.7.24 needs.
    row(
        "channels",
        "JSON channels: resident KiB per bare connection (Phoenix 1.7.24: 14.7)",
        "kib_per_bare_connection",
        1.0,
        Budget::None,
    ),
    row(
        "channels",
        "the same with one channel (Phoenix: 28.8)",
        "kib_with_one_channel",
        1.0,
        Budget::None,
    ),
    row(
        "channels-fanout",
        "topic with 1,000 subscribers: deliveries a second (Phoenix: about 100,000 on two busy cores)",
        "deliveries_per_second",
        1.0,
        Budget::None,
    ),
    row(
        "channels-fanout",
        "the same: CPU µs per delivery",
        "cpu_us_per_delivery",
        1.0,
        Budget::None,
    ),
    row(
        "channels-room",
        "room of 1,000 over JSON channels: CPU µs per delivery",
        "cpu_us_per_delivery",
        1.0,
        Budget::None,
    ),
    row(
        "start",
        "cold start to accepting logins, ms",
        "cold_start_ms",
        1.0,
        Budget::AtMost(200.0),
    ),
    row(
        "start",
        "resident MiB when empty",
        "empty_rss_kib",
        1.0 / 1024.0,
        Budget::AtMost(30.0),
    ),
];

const fn row(
    key: &'static str,
    what: &'static str,
    figure: &'static str,
    scale: f64,
    budget: Budget,
) -> Row {
    Row {
        key,
        what,
        figure,
        scale,
        budget,
    }
}

/// `table`
#[derive(Args, Clone, Debug)]
pub(crate) struct TableOptions {
    /// Files of JSON lines
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// File to write instead of the standard output
    #[arg(long)]
    out: Option<PathBuf>,
    /// What chaos runs found, instead of the figures beside their budgets
    #[arg(long)]
    chaos: bool,
}

/// Writes the table.
pub(crate) fn write(options: &TableOptions) -> Result<()> {
    let mut lines = Vec::new();
    for file in &options.files {
        lines.extend(read_lines(file)?);
    }
    let text = match options.chaos {
        true => super::chaos::render(&lines),
        false => render(&lines),
    };
    match &options.out {
        Some(path) => Ok(fs::write(path, text)?),
        None => {
            say(&text);
            Ok(())
        }
    }
}

fn read_lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    let unreadable = |error| LoadError::Usage(format!("{}: {error}", file.display()));
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).map_err(unreadable))
        .collect()
}

/// The newest run of each row and server.
type Newest<'a> = BTreeMap<(String, String), &'a Value>;

fn render(lines: &[Value]) -> String {
    let newest = newest(lines);
    let mut text = String::from(HEAD);
    text.push_str(&origin(&newest));
    text.push_str("| | budget | klatsch | | Prosody | ejabberd |\n| --- | ---: | ---: | --- | ---: | ---: |\n");
    for row in ROWS {
        let value = |server: &str| figure(&newest, row, server);
        let ours = value(SERVERS[0]);
        let verdict = ours.map(|ours| judge(row.budget, ours)).unwrap_or_default();
        let [klatsch, prosody, ejabberd] =
            SERVERS.map(|server| value(server).map_or("–".into(), number));
        let budget = budget_text(row.budget);
        text.push_str(&format!(
            "| {} | {budget} | {klatsch} | {verdict} | {prosody} | {ejabberd} |\n",
            row.what
        ));
    }
    text.push_str(&super::cluster::render(lines));
    text.push_str(&settings(&newest));
    text.push_str(TAIL);
    text
}

fn newest(lines: &[Value]) -> Newest<'_> {
    let mut newest = Newest::new();
    for line in lines {
        let text = |pointer| {
            line.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let key = (text("/settings/row"), text("/server/name"));
        // Dates are XEP-0082 in UTC, which sort as text.
        let is_newer = newest
            .get(&key)
            .is_none_or(|old| old["date"].as_str() <= line["date"].as_str());
        if is_newer {
            newest.insert(key, line);
        }
    }
    newest
}

fn figure(newest: &Newest<'_>, row: &Row, server: &str) -> Option<f64> {
    let line = newest.get(&(row.key.to_owned(), server.to_owned()))?;
    line["figures"][row.figure]
        .as_f64()
        .map(|figure| figure * row.scale)
}

/// Whether the budget is kept, and otherwise by how much it is missed.
fn judge(budget: Budget, ours: f64) -> String {
    let missed = match budget {
        Budget::AtMost(bound) if ours > bound => ours / bound - 1.0,
        Budget::AtLeast(bound) if ours < bound => 1.0 - ours / bound,
        Budget::None => return String::new(),
        _ => return "met".into(),
    };
    format!("**missed by {:.0} %**", (missed * 100.0).max(1.0))
}

fn budget_text(budget: Budget) -> String {
    match budget {
        Budget::AtMost(bound) => format!("≤ {}", number(bound)),
        Budget::AtLeast(bound) => format!("≥ {}", number(bound)),
        Budget::None => String::new(),
    }
}

/// Three significant digits, and groups of three in large numbers.
pub(super) fn number(value: f64) -> String {
    if value >= 1000.0 {
        let digits = format!("{value:.0}");
        let groups: Vec<_> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| String::from_utf8_lossy(group))
            .collect();
        return groups.join(",");
    }
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

/// Which builds the figures are of, and on which machine.
fn origin(newest: &Newest<'_>) -> String {
    let mut lines = BTreeMap::new();
    for line in newest.values() {
        let text = |pointer| {
            line.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let commit = text("/commit");
        let commit = if commit.is_empty() {
            String::new()
        } else {
            format!(", commit {commit}")
        };
        let name = format!(
            "{} {}{commit}",
            text("/server/name"),
            text("/server/version")
        );
        let cores = line["machine"]["cores"].as_u64().unwrap_or(0);
        let machine = format!(
            "{cores} × {}, Linux {}",
            text("/machine/cpu"),
            text("/machine/kernel")
        );
        lines.insert(
            name,
            format!("{}, {machine}", text("/date").get(..10).unwrap_or_default()),
        );
    }
    let list: String = lines
        .iter()
        .map(|(server, when)| format!("- {server}: {when}\n"))
        .collect();
    format!("{list}\n")
}

/// How each row was measured.
fn settings(newest: &Newest<'_>) -> String {
    let mut text = String::from("\n## Settings\n\n");
    let mut last = "";
    for ((row, server), line) in newest {
        if row == last || !SERVERS.contains(&server.as_str()) {
            continue;
        }
        last = row;
        let settings = line["settings"].as_object().into_iter().flatten();
        let list: Vec<_> = settings
            .filter(|(key, _)| *key != "row" && *key != "accounts_by")
            .map(|(key, value)| {
                format!(
                    "{key} {}",
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                )
            })
            .collect();
        text.push_str(&format!(
            "- `{row}` ({}): {}\n",
            line["scenario"].as_str().unwrap_or_default(),
            list.join(", ")
        ));
    }
    text
}

const HEAD: &str = "# Results\n\n\
    Written by `klatsch-loadtest table`; do not edit. Every figure comes from a line in `results/`,\n\
    which has the whole run. Server and clients share one machine, so CPU per operation (from\n\
    `/proc/PID/stat`) is the figure to trust, and throughput is what is left over.\n\n";

const TAIL: &str = "\nIdle memory is the growth of the server's resident memory from before the first login to after\n\
    the last, when it holds still. CPU is user and system time of the server's process. The closed loop\n\
    keeps `window` messages under way in each pair. \"Acknowledged\" is `<a h>` (XEP-0198); klatsch sends\n\
    it after the commit, the others do not wait for theirs.\n\n\
    ## Repeat\n\n\
    ```\n\
    cargo build --release --workspace\n\
    loadtest/bench.sh                     # all servers, all rows\n\
    loadtest/bench.sh klatsch chat-4      # one server, one row\n\
    loadtest/cluster.sh                   # one, two and three nodes; as root\n\
    ```\n";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(row: &str, server: &str, date: &str, figure: f64) -> Value {
        json!({
            "scenario": "chat", "date": date, "commit": "abc",
            "server": { "name": server, "version": "1" },
            "machine": { "cores": 2, "cpu": "x", "kernel": "6" },
            "settings": { "row": row, "tls": "none" },
            "figures": { "cpu_us_per_message": figure, "messages_per_second": 5000.0 },
        })
    }

    #[test]
    fn the_newest_figure_of_a_row_counts() {
        let lines = [
            line("chat-4", "klatsch", "2026-11-22T10:00:00Z", 9.0),
            line("chat-4", "klatsch", "2026-11-21T10:00:00Z", 99.0),
        ];
        let text = render(&lines);
        assert!(
            text.contains("| CPU µs per routed message, window 4 | ≤ 12 | 9 | met | – | – |"),
            "{text}"
        );
    }

    #[test]
    fn a_missed_budget_says_by_how_much() {
        let text = render(&[
            line("chat-4", "klatsch", "2026", 15.0),
            line("chat-4", "Prosody", "2026", 200.0),
        ]);
        assert!(
            text.contains("| 15 | **missed by 25 %** | 200 | – |"),
            "{text}"
        );
        assert_eq!(
            judge(Budget::AtLeast(20_000.0), 15_000.0),
            "**missed by 25 %**"
        );
    }

    #[test]
    fn large_numbers_are_grouped_and_small_ones_rounded() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(0.15), "0.15");
        assert_eq!(number(20.0), "20");
        assert_eq!(number(200.4), "200");
    }
}
