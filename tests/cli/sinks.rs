//! Which sinks a file switches on, and what they leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::rows;
use super::support::{BOTH, Finished, Place, Running};

/// Starts both controllers for a moment, with these sinks.
fn start(place: &Place, destinations: &str) -> Running {
    let config = place.write("wan.yaml", &format!("{BOTH}{destinations}\n"));
    place.start(place.command("run --config {} --duration 600ms --log-format json", &config))
}

/// Runs both controllers for a moment, with these sinks.
fn run(place: &Place, destinations: &str) -> Finished {
    start(place, destinations).finish()
}

/// Runs both controllers for a moment with each of these, all at once.
fn run_each<const N: usize>(destinations: [&str; N]) -> [(&str, Place, Finished); N] {
    let started = destinations.map(|destinations| {
        let place = Place::new();
        let running = start(&place, destinations);
        (destinations, place, running)
    });
    started.map(|(destinations, place, running)| (destinations, place, running.finish().success()))
}

#[test]
fn the_null_sink_leaves_no_file_whether_its_name_is_quoted_or_not() {
    let kinds = ["sinks: { a: { type: \"null\" } }", "sinks: { a: { type: null } }"];
    for (kind, place, run) in run_each(kinds) {
        assert!(place.files().is_empty(), "{kind}: {:?}", place.files());
        let closed = run.said("Sink closed.");
        assert_eq!(closed.len(), 1);
        assert!(closed[0]["delivered"].as_u64().unwrap() > 0, "{kind}: {closed:?}");
    }
}

#[test]
fn the_file_sink_writes_one_json_object_a_line() {
    let place = Place::new();
    let sinks = "sinks: { trace: { type: file, settings: { path: trace.jsonl } } }";
    let run = run(&place, sinks).success();
    assert_eq!(place.files(), ["trace.jsonl"]);
    let lines = lines(&place.work().join("trace.jsonl"));
    let outcomes = lines.iter().filter(|line| {
        line["metric_name"] == "wanctl_probe_outcome" && line["source"] == "autorate"
    });
    assert_eq!(outcomes.count() as u64, run.cycles("autorate loop"));
}

#[test]
fn sinks_side_by_side_hold_the_same_samples() {
    let place = Place::new();
    let sinks = "\
sinks:
  nothing: { type: null }
  trace: { type: file, settings: { path: trace.jsonl } }
  history: { type: sqlite, settings: { path: history.db } }";
    run(&place, sinks).success();
    assert_eq!(place.files(), ["history.db", "trace.jsonl"]);
    let rows = rows::read(&place.work().join("history.db"));
    let history: BTreeSet<String> = rows.iter().map(rows::Row::key).collect();
    assert_eq!(history.len(), rows.len(), "no sample is there twice");
    let lines = lines(&place.work().join("trace.jsonl"));
    let trace: BTreeSet<String> = lines.iter().map(|line| row(line).key()).collect();
    assert_eq!(trace.len(), lines.len(), "no sample is there twice");
    let different: Vec<_> = history.symmetric_difference(&trace).collect();
    assert!(different.is_empty(), "{different:#?}");
    assert!(rows::cycles(&rows, "autorate") > 0);
}

#[test]
fn an_unknown_kind_names_the_known_ones() {
    let place = Place::new();
    let run = run(&place, "sinks: { a: { type: nope } }").failure();
    assert!(run.err.contains("sinks.a.type: unknown kind `nope`"), "{}", run.err);
    assert!(run.err.contains("file, log, memory, null, prometheus, sqlite"), "{}", run.err);
    assert!(place.files().is_empty());
}

#[test]
fn without_storage_nothing_is_recorded_and_the_log_says_so() {
    let storage = ["storage: { db_path: \"\" }", "storage: { db_path: null }", "storage: null"];
    for (storage, place, run) in run_each(storage) {
        assert!(place.files().is_empty(), "{storage}: {:?}", place.files());
        assert!(run.err.contains("nothing is recorded to SQLite"), "{storage}: {}", run.err);
        assert!(run.said("Sink is open.").is_empty(), "{storage}: {}", run.err);
        assert!(run.cycles("autorate loop") > 0, "{storage}: control goes on");
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let lines: Vec<Value> = text.lines().map(parse).collect();
    assert!(lines.iter().all(Value::is_object));
    lines
}

/// A line of the file sink as a row.
fn row(line: &Value) -> rows::Row {
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    let time: jiff::Timestamp = text("time").parse().unwrap();
    rows::Row {
        at: time.as_microsecond(),
        wan: text("wan_name"),
        metric: text("metric_name"),
        source: text("source"),
        value: line["value"].as_f64().unwrap(),
        labels: line.get("labels").cloned(),
    }
}
