//! What operators look at names only metrics that exist, and what runs the server names only
//! settings that exist.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use klatsch_ops::config::{Config, check};
use klatsch_ops::metrics;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a histogram is made of, behind its name.
const PARTS: &[&str] = &["_bucket", "_sum", "_count"];

fn ops() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(ops().join(path)).unwrap()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(ops().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has no {extension}");
    paths
}

/// Everything in an expression that is a metric of ours.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let words = expression.split(|it: char| !is_part(it));
    let ours = words.filter(|word| word.starts_with("klatsch_"));
    ours.map(str::to_owned).collect()
}

fn is_declared(name: &str, declared: &BTreeSet<&str>) -> bool {
    let part_of = |part: &&str| name.strip_suffix(*part);
    let histogram = PARTS.iter().find_map(part_of);
    declared.contains(name)
        || histogram.is_some_and(|it| declared.contains(it) && metrics::is_histogram(it))
}

/// Every expression of a dashboard, also those by which its lists are filled.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(text) if key == "expr" || key == "query" => found.push(text.clone()),
            value => expressions(value, found),
        }),
        Value::Array(list) => list.iter().for_each(|it| expressions(it, found)),
        _ => {}
    }
}

/// Every metric that a dashboard names, and where.
fn shown() -> Vec<(PathBuf, String)> {
    let names = |path: PathBuf| {
        let board: Value = serde_json::from_str(&text(&path)).unwrap();
        let mut found = Vec::new();
        expressions(&board, &mut found);
        let names: BTreeSet<String> = found.iter().flat_map(|it| metrics_in(it)).collect();
        names.into_iter().map(move |name| (path.clone(), name))
    };
    let boards = files("dashboards", "json").into_iter();
    boards.flat_map(names).collect()
}

#[test]
fn dashboards_name_only_metrics_that_exist() {
    let declared: BTreeSet<&str> = metrics::names().collect();
    for (path, name) in shown() {
        assert!(is_declared(&name, &declared), "{}: {name}", path.display());
    }
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let shown: BTreeSet<String> = shown().into_iter().map(|(_, name)| name).collect();
    let is_shown = |name: &str| {
        let parts = PARTS.iter().map(|part| format!("{name}{part}"));
        shown.contains(name) || parts.into_iter().any(|part| shown.contains(&part))
    };
    let missing: Vec<&str> = metrics::names().filter(|name| !is_shown(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn dashboards_are_told_apart_and_lead_to_each_other() {
    let boards: Vec<Value> = files("dashboards", "json")
        .iter()
        .map(|path| serde_json::from_str(&text(path)).unwrap())
        .collect();
    let uids: BTreeSet<&str> = boards
        .iter()
        .map(|it| it["uid"].as_str().unwrap())
        .collect();
    assert_eq!(uids.len(), boards.len());
    for board in &boards {
        assert_eq!(board["tags"][0], "klatsch");
        assert_eq!(board["links"][0]["tags"][0], "klatsch");
        let panels = board["panels"].as_array().unwrap();
        let ids: BTreeSet<i64> = panels.iter().map(|it| it["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len());
        for panel in panels.iter().filter(|it| it["type"] != "row") {
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|it| !it.is_empty())
            );
        }
    }
}

#[test]
fn alerts_name_only_metrics_that_exist() {
    let declared: BTreeSet<&str> = metrics::names().collect();
    for file in ["alerts/klatsch.yml", "alerts/tests.yml"] {
        let text = text(file);
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let code: Vec<&str> = code
            .filter(|line| !line.contains("name: klatsch-"))
            .collect();
        let names = metrics_in(&code.join("\n"));
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            assert!(is_declared(&name, &declared), "{file}: {name}");
        }
    }
}

#[test]
fn runbooks_name_only_metrics_and_settings_that_exist() {
    let declared: BTreeSet<&str> = metrics::names().collect();
    let config = toml::Table::try_from(Config::default()).unwrap();
    let example = klatsch_ops::config::example();
    for path in files("runbooks", "md") {
        let text = text(&path);
        for name in metrics_in(&text) {
            assert!(is_declared(&name, &declared), "{}: {name}", path.display());
        }
        for code in text.split('`').skip(1).step_by(2) {
            let Some((section, key)) = code.split_once('.') else {
                continue;
            };
            let is_key = key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
            if config.contains_key(section) && is_key {
                let line = format!("\n#{key} = ");
                assert!(example.contains(&line), "{}: {code}", path.display());
            }
        }
    }
}

/// The settings in the config map, as the server in the pod reads them.
fn settings_of_kubernetes() -> Config {
    let map = text("deploy/kubernetes/config.yaml");
    let (_, block) = map.split_once("klatsch.toml: |\n").unwrap();
    let lines = block
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    let mut table: toml::Table = lines.collect::<Vec<_>>().join("\n").parse().unwrap();
    // What comes by the environment.
    let mut set = |path: &str, value: &str| {
        let (section, key) = path.split_once("__").unwrap();
        let section = table.entry(section.to_lowercase());
        let section = section.or_insert(toml::Value::Table(toml::Table::new()));
        let section = section.as_table_mut().unwrap();
        section.insert(key.to_lowercase(), value.into());
    };
    set("STORE__URL", "postgres://db/klatsch");
    set("CLUSTER__NAME", "klatsch-0");
    set(
        "CLUSTER__ADVERTISE",
        "klatsch-0.klatsch-nodes.klatsch.svc.cluster.local:5290",
    );
    table.try_into().unwrap()
}

#[test]
fn kubernetes_runs_a_server_with_settings_that_exist() {
    let config = settings_of_kubernetes();
    assert_eq!(check::refusals(&config), Vec::<String>::new());
    let set = text("deploy/kubernetes/statefulset.yaml");
    for variable in ["CLUSTER__NAME", "CLUSTER__ADVERTISE", "STORE__URL"] {
        assert!(
            set.contains(&format!("- name: KLATSCH__{variable}\n")),
            "{variable}"
        );
    }
    let named = set.matches("- name: KLATSCH__").count();
    assert_eq!(named, 3, "a variable that this test does not know");
}

#[test]
fn kubernetes_knows_the_ports_of_the_settings() {
    let config = settings_of_kubernetes();
    let set = text("deploy/kubernetes/statefulset.yaml");
    let services = text("deploy/kubernetes/services.yaml");
    let policy = text("deploy/kubernetes/networkpolicy.yaml");
    let listen = &config.listen;
    for (name, listen) in [
        ("c2s", listen.c2s),
        ("c2s-tls", listen.c2s_tls),
        ("https", listen.https),
        ("cluster", config.cluster.listen),
        ("metrics", listen.metrics),
    ] {
        let port = listen.port().unwrap();
        let declared = format!("- name: {name}\n              containerPort: {port}\n");
        assert!(set.contains(&declared), "{declared}");
        assert!(policy.contains(&format!("- port: {port}\n")), "{name}");
        if name != "metrics" {
            assert!(
                services.contains(&format!("targetPort: {name}\n")),
                "{name}"
            );
        }
    }
    let headless = config.cluster.dns.as_deref().unwrap();
    let (service, rest) = headless.split_once('.').unwrap();
    assert_eq!(rest, "klatsch.svc.cluster.local");
    assert!(set.contains(&format!("serviceName: {service}\n")));
    assert!(services.contains(&format!("name: {service}\n")));
}

#[test]
fn unit_and_image_run_commands_that_exist() {
    use clap::Parser;
    let unit = text("deploy/systemd/klatsch.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let set = text("deploy/kubernetes/statefulset.yaml");
    let list = |key: &str| {
        let line = set
            .lines()
            .find_map(|line| line.trim().strip_prefix(key))
            .unwrap();
        serde_json::from_str::<Vec<String>>(line).unwrap()
    };
    let mut serve = vec!["klatsch".to_owned()];
    serve.extend(list("args: "));
    let by_unit: Vec<String> = start.split(' ').map(str::to_owned).collect();
    for words in [by_unit, serve, list("command: ")] {
        assert!(
            klatsch_ops::cli::Cli::try_parse_from(&words).is_ok(),
            "{words:?}"
        );
    }
    // The server does not talk to systemd.
    assert!(unit.contains("\nType=exec\n"));
}

#[test]
fn image_opens_the_ports_of_the_settings() {
    let image = text("deploy/docker/Dockerfile");
    let config = settings_of_kubernetes();
    let exposed = image
        .lines()
        .find_map(|line| line.strip_prefix("EXPOSE "))
        .unwrap();
    let exposed: BTreeSet<u16> = exposed.split(' ').map(|it| it.parse().unwrap()).collect();
    let listen = &config.listen;
    let mut ports: BTreeSet<u16> = [
        listen.c2s,
        listen.c2s_tls,
        listen.https,
        config.cluster.listen,
    ]
    .iter()
    .filter_map(|it| it.port())
    .collect();
    ports.insert(config.cluster.join_port);
    assert_eq!(exposed, ports);
}
