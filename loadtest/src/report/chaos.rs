//! `CHAOS.md`, made from the JSON lines of chaos runs: what every kind of fault did, all runs
//! together, beside what was promised.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::table::number;
use crate::scenario::chaos::plan::Kind;

/// D6: what clients see is true so soon after a heal, seconds.
const VIEWS_MAX: f64 = 10.0;

/// The store's and the link's bound: a dead or silent node is down for the others, seconds.
const DOWN_MAX: f64 = 10.0;

/// Of the sessions that a crash interrupts so many are resumed, of a hundred.
const RESUMED_AFTER_CRASH: f64 = 90.0;

/// And of those that a rolling restart interrupts.
const RESUMED_AFTER_RESTART: f64 = 95.0;

/// Figures that are added up.
const SUMS: usize = 7;

/// Their names.
const SUM_NAMES: [&str; SUMS] = [
    "times",
    "in_flight",
    "acked",
    "failed",
    "lost_connections",
    "resumed",
    "not_resumed",
];

/// One kind of fault in all runs.
#[derive(Debug, Default)]
struct Total {
    sums: [u64; SUMS],
    away: Option<f64>,
    answered: Option<f64>,
    service: Option<f64>,
    views: Option<f64>,
    down: Option<f64>,
    up: Option<f64>,
    /// Whether a client could always have gone to another node.
    has_refuge: bool,
}

impl Total {
    /// Adds up what all runs tell of a fault.
    fn of(fault: &str, runs: &[&Value]) -> Self {
        let mut total = Self {
            has_refuge: true,
            ..Self::default()
        };
        for run in runs {
            let told = &run["figures"]["experiments"][fault];
            total.has_refuge &= told.is_null() || run["settings"]["nodes"] != 1;
            for (sum, name) in total.sums.iter_mut().zip(SUM_NAMES) {
                *sum += told[name].as_u64().unwrap_or(0);
            }
            for (worst, name) in [
                (&mut total.away, "away_max_ms"),
                (&mut total.answered, "answered_max_ms"),
                (&mut total.service, "service_max_ms"),
                (&mut total.views, "views_max_ms"),
                (&mut total.down, "down_max_ms"),
                (&mut total.up, "up_max_ms"),
            ] {
                let seconds = told[name].as_f64().map(|ms| ms / 1000.0);
                *worst = seconds.into_iter().chain(*worst).reduce(f64::max);
            }
        }
        total
    }

    /// Of those that lost their connection, how many of a hundred resumed their session.
    fn resumed(&self) -> Option<f64> {
        let [.., resumed, not_resumed] = self.sums;
        let all = resumed + not_resumed;
        (all > 0).then(|| resumed as f64 * 100.0 / all as f64)
    }
}

/// Writes the page.
pub(super) fn render(lines: &[Value]) -> String {
    let runs: Vec<_> = lines
        .iter()
        .filter(|run| run["scenario"] == "chaos")
        .collect();
    let (list, table, never) = (list(&runs), table(&runs), never(&runs));
    let rolling = rolling(lines);
    format!("{HEAD}{list}\n{table}{never}{rolling}{TAIL}")
}

/// What a row of rolling restarts shows, and the figure that has it.
const ROLLING: [(&str, &str); 7] = [
    ("acknowledged", "acked"),
    ("lost connection", "lost_connections"),
    ("resumed, %", "resumed_percent"),
    ("sent elsewhere", "sent_elsewhere"),
    ("went there", "followed"),
    ("away at most, ms", "away_max_ms"),
    ("answered at most after, ms", "answered_max_ms"),
];

/// The runs of `rolling`, where there are any.
fn rolling(lines: &[Value]) -> String {
    let runs = lines.iter().filter(|run| run["scenario"] == "rolling");
    let rows: String = runs.map(rolling_row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let titles = ROLLING.map(|(title, _)| title).join(" | ");
    let rule = vec!["---:"; ROLLING.len()].join(" | ") + " |";
    format!(
        "\n## Rolling restarts\n\nEvery node in turn is drained, stopped and started again under load; with \
         `stop` it is stopped without being drained, and with `another version` the old program is not the \
         one that is started.\n\n\
         | run | how | nodes | checker | {titles} |\n| --- | --- | ---: | --- | {rule}\n{rows}"
    )
}

fn rolling_row(run: &Value) -> String {
    let (settings, figures) = (&run["settings"], &run["figures"]);
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    let found = match figures["clean"] == true {
        true => "clean".to_owned(),
        false => format!("**{}**", defects(run)),
    };
    let is_missed = figures["resumed_percent"].as_f64() < Some(RESUMED_AFTER_RESTART);
    let figure = |name: &str| {
        let shown = figures[name].as_f64().map_or("–".into(), number);
        marked(shown, name == "resumed_percent" && is_missed)
    };
    let date = text(&run["date"]).chars().take(16).collect::<String>();
    let shown = ROLLING.map(|(_, name)| figure(name)).join(" | ");
    let version = match settings["another_program"] == true {
        true => ", another version",
        false => "",
    };
    format!(
        "| {date}, commit {}, seed {} | {}{version} | {} | {found} | {shown} |\n",
        text(&run["commit"]),
        settings["seed"],
        text(&settings["way"]),
        settings["nodes"],
    )
}

/// What the experiments of one run did, for the person who waits for it.
pub(crate) fn of_one(experiments: &Value) -> String {
    let run = json!({ "figures": { "experiments": experiments } });
    table(&[&run])
}

/// A row for each kind of fault.
fn table(runs: &[&Value]) -> String {
    let mut text = String::from(
        "| # | fault | times | under way | acknowledged | refused | lost connection | resumed | \
         away, s | answer, s | service, s | presence, s | down, s | up, s |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for kind in Kind::value_variants() {
        let total = Total::of(&kind.name(), runs);
        if total.sums[0] > 0 {
            text.push_str(&row(*kind, &total));
        }
    }
    text
}

fn row(kind: Kind, total: &Total) -> String {
    let value = kind.to_possible_value();
    let help = value.and_then(|value| value.get_help().map(ToString::to_string));
    let help = help.unwrap_or_default();
    let (experiment, what) = help.split_once(": ").unwrap_or(("", &help));
    let [times, in_flight, acked, failed, lost, ..] = total.sums.map(|sum| number(sum as f64));
    let least = match kind {
        _ if !total.has_refuge => None,
        Kind::Kill => Some(RESUMED_AFTER_CRASH),
        Kind::Rolling => Some(RESUMED_AFTER_RESTART),
        _ => None,
    };
    let resumed = total.resumed().map_or("–".into(), |share| {
        let is_missed = least.is_some_and(|least| share < least);
        marked(format!("{share:.0} %"), is_missed)
    });
    let views = total.views.map_or("–".into(), |views| {
        marked(number(views), views > VIEWS_MAX)
    });
    let down = total
        .down
        .map_or("–".into(), |down| marked(number(down), down > DOWN_MAX));
    let all = [total.away, total.answered, total.service, total.up];
    let [away, answered, service, up] = all.map(|it| it.map_or("–".into(), number));
    format!(
        "| {experiment} | {} ({what}) | {times} | {in_flight} | {acked} | {failed} | {lost} | \
         {resumed} | {away} | {answered} | {service} | {views} | {down} | {up} |\n",
        kind.name()
    )
}

/// What misses what was promised is set bold.
fn marked(text: String, is_missed: bool) -> String {
    match is_missed {
        true => format!("**{text}**"),
        false => text,
    }
}

/// The runs, each with what its checker found.
fn list(runs: &[&Value]) -> String {
    runs.iter().map(|run| one(run)).collect()
}

fn one(run: &Value) -> String {
    let text = |pointer| run.pointer(pointer).and_then(Value::as_str);
    let count = |pointer| run.pointer(pointer).and_then(Value::as_f64);
    let figure = |pointer| count(pointer).map_or("–".into(), number);
    let date = text("/date")
        .and_then(|date| date.get(..16))
        .unwrap_or_default();
    let found = match run["figures"]["clean"] == true {
        true => "nothing lost, twice, out of order, or seen wrong for long".to_owned(),
        false => format!("**{}**", defects(run)),
    };
    format!(
        "- {date}, commit {}, seed {}: nodes: {}, on {}; {} clients, {} minutes; {} messages \
         acknowledged, {} faults met {} under way; {found}\n",
        text("/commit").unwrap_or("unknown"),
        run["settings"]["seed"],
        figure("/settings/nodes"),
        text("/settings/store").unwrap_or("–"),
        figure("/settings/clients"),
        figure("/settings/minutes"),
        figure("/figures/acked"),
        figure("/figures/faults"),
        figure("/figures/in_flight_at_faults"),
    )
}

/// The broken promises, with how often.
fn defects(run: &Value) -> String {
    let figures = run["figures"].as_object().into_iter().flatten();
    let broken = figures.filter(|(name, _)| crate::checker::Defect::is_name(name));
    let broken: Vec<_> = broken
        .map(|(name, count)| format!("{name} × {count}"))
        .collect();
    match broken.is_empty() {
        true => "not clean".into(),
        false => broken.join(", "),
    }
}

/// The faults that no run had.
fn never(runs: &[&Value]) -> String {
    let all = Kind::value_variants().iter().map(|kind| kind.name());
    let never = all.filter(|fault| Total::of(fault, runs).sums[0] == 0);
    let never: Vec<_> = never.collect();
    match never.is_empty() {
        true => String::new(),
        false => format!("\nIn none of these runs: {}.\n", never.join(", ")),
    }
}

const HEAD: &str = "# Chaos\n\n\
    Written by `klatsch-loadtest table --chaos`; do not edit. Each run is a line in `results/`:\n\
    real nodes in network namespaces of one machine, under load, while a plan made from the seed\n\
    breaks them. Every fault was seen to be there and met messages under way, or the run does not\n\
    count; then every log was read from every node, and the history checked.\n\n";

const TAIL: &str = "\nUnder way: messages not acknowledged when faults began. Lost connection: clients that did\n\
    not hang up themselves; resumed: of those, true resumptions, and not `<failed/>` (promised of several nodes:\n\
    90 % after a crash, 95 % in a rolling restart; a session that panics itself begins anew). The times are the worst of all: how long a client was without a\n\
    session; from a message to its answer; from a heal to the next acknowledgement; from a heal until the\n\
    last client saw the last presence right (promised: 10 s); until another node called the victim down\n\
    (promised: 10 s when it dies silently); until all nodes called all others up again. What misses its promise is bold.\n\n\
    ## Repeat\n\n\
    ```\n\
    cargo build --release --workspace\n\
    sudo target/release/klatsch-loadtest chaos --minutes 30 --json loadtest/results/chaos.jsonl \\\n\
    \x20   --commit $(git rev-parse --short=12 HEAD)\n\
    target/release/klatsch-loadtest table --chaos --out loadtest/CHAOS.md loadtest/results/chaos.jsonl\n\
    ```\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(clean: bool, resumed: u64, views_ms: f64) -> Value {
        json!({
            "scenario": "chaos", "date": "2026-11-28T22:00:00Z", "commit": "abc",
            "settings": { "seed": 7, "nodes": 3, "store": "postgres", "clients": 60, "minutes": 5 },
            "figures": {
                "clean": clean, "acked": 1000, "faults": 2, "in_flight_at_faults": 12,
                "LOST-acked": 3,
                "experiments": { "kill": {
                    "times": 2, "in_flight": 12, "acked": 500, "failed": 0, "lost_connections": 40,
                    "resumed": resumed, "not_resumed": 40 - resumed, "away_max_ms": 2500.0,
                    "views_max_ms": views_ms,
                } },
            },
        })
    }

    #[test]
    fn runs_are_added_up_and_the_worst_of_them_counts() {
        let text = render(&[run(true, 40, 900.0), run(true, 38, 4000.0)]);
        let kill = text
            .lines()
            .find(|line| line.contains("| kill ("))
            .expect("a row");
        assert!(kill.starts_with("| 1 | kill (kill -9 of a node"), "{kill}");
        assert!(
            kill.contains("| 4 | 24 | 1,000 | 0 | 80 | 98 % | 2.5 | – | – | 4 | – | – |"),
            "{kill}"
        );
        assert!(text.contains("In none of these runs: pause, split, "));
    }

    #[test]
    fn what_was_promised_and_missed_is_bold() {
        let text = render(&[run(false, 20, 12_000.0)]);
        assert!(text.contains("| **50 %** |"), "{text}");
        assert!(text.contains("| **12** |"), "{text}");
        assert!(text.contains("**LOST-acked × 3**"), "{text}");
    }

    #[test]
    fn a_node_alone_promises_no_resumption_after_a_crash() {
        let mut alone = run(true, 20, 900.0);
        alone["settings"]["nodes"] = 1.into();
        assert!(render(&[alone]).contains("| 50 % |"));
    }

    #[test]
    fn rolling_restarts_have_rows_of_their_own() {
        let run = |percent: f64, clean: bool| {
            json!({
                "scenario": "rolling", "date": "2026-11-29T06:00:00Z", "commit": "abc",
                "settings": { "seed": 7, "nodes": 3, "way": "drain" },
                "figures": {
                    "clean": clean, "acked": 5000, "lost_connections": 60, "sent_elsewhere": 60,
                    "followed": 59, "resumed_percent": percent, "away_max_ms": 412.0,
                },
            })
        };
        let text = render(&[run(100.0, true), run(90.0, true)]);
        assert!(
            text.contains("| drain | 3 | clean | 5,000 | 60 | 100 | 60 | 59 | 412 | – |"),
            "{text}"
        );
        assert!(text.contains("| **90** |"), "{text}");
        let mut mixed = run(100.0, true);
        mixed["settings"]["another_program"] = true.into();
        assert!(render(&[mixed]).contains("| drain, another version | 3 |"));
        assert!(!render(&[]).contains("Rolling"));
    }

    #[test]
    fn other_scenarios_are_passed_over() {
        let mut other = run(true, 40, 1.0);
        other["scenario"] = "crash".into();
        assert!(!render(&[other]).contains("kill ("));
    }
}
