//! `wanctl history`: what a run recorded, as people and programs read it.

mod follow;
mod original;
mod plot;
mod upkeep;

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use super::support::{BOTH, Finished, Place};

/// A run's history.
struct Recorded {
    place: Place,
    config: PathBuf,
    /// How many cycles autorate made.
    cycles: usize,
}

impl Recorded {
    fn new() -> Self {
        let place = Place::new();
        let config =
            place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
        let run = "run --config {} --duration 500ms --log-format json";
        let cycles = place.run(run, &config).success().cycles("autorate loop") as usize;
        Recorded { place, config, cycles }
    }

    fn history(&self, options: &str) -> Finished {
        let arguments = format!("history --last 5m --db history.db {options}");
        self.place.run(&arguments, &self.config).success()
    }

    fn rows(&self, options: &str) -> Vec<Value> {
        let json = self.history(&format!("--json {options}")).json();
        json.as_array().unwrap().clone()
    }
}

#[test]
fn a_table_has_a_line_for_each_row() {
    let recorded = Recorded::new();
    let table = recorded.history("--metrics download").out;
    let mut lines = table.lines();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines.next().unwrap()), ["Timestamp", "Metric", "Value"]);
    let rule = "-------------------  -------------------------  -------";
    assert_eq!(lines.next(), Some(rule));
    assert_eq!(lines.clone().count(), recorded.cycles);
    for line in lines {
        assert_eq!(words(line)[2..], ["wanctl_rate_download_mbps", "100"], "{line}");
    }
}

#[test]
fn json_is_an_array_of_rows_with_whole_seconds_newest_first() {
    let recorded = Recorded::new();
    let rows = recorded.rows("");
    assert!(rows.len() > 5 * recorded.cycles);
    for row in &rows {
        assert!(row["timestamp"].is_i64(), "{row}");
        assert!(row["value"].is_f64(), "{row}");
        let labels = row["labels"].as_str().map(serde_json::from_str::<Value>);
        assert!(labels.is_none_or(|labels| labels.unwrap().is_object()), "{row}");
    }
    assert!(rows.is_sorted_by_key(|row| {
        let number = |key: &str| row[key].as_i64().unwrap();
        std::cmp::Reverse((number("timestamp"), number("micros")))
    }));
    let by_config = "history --last 5m --json --config {}";
    let by_config = recorded.place.run(by_config, &recorded.config).success().json();
    assert_eq!(by_config, Value::from(rows));
}

#[test]
fn a_configuration_means_its_first_database_that_is_not_disabled() {
    let recorded = Recorded::new();
    let sinks = "\
sinks:
  old: { type: sqlite, enabled: false, settings: { path: old.db } }
  history: { type: sqlite, settings: { path: history.db } }
";
    let config = recorded.place.write("sinks.yaml", &format!("{BOTH}{sinks}"));
    let found = recorded.place.run("history --last 5m --json --config {}", &config).success();
    assert_eq!(found.json().as_array().unwrap(), &recorded.rows(""));

    let sinks =
        sinks.replace("history: { type: sqlite,", "history: { type: sqlite, enabled: false,");
    let config = recorded.place.write("sinks.yaml", &format!("{BOTH}{sinks}"));
    let none = recorded.place.run("history --config {}", &config).failure();
    assert!(none.err.contains("has no sqlite sink"), "{}", none.err);
}

#[test]
fn rows_are_chosen_by_metric_and_by_wan() {
    let recorded = Recorded::new();
    let rows = recorded.rows("--metrics rtt,wanctl_steering_enabled");
    let mut names: Vec<&str> =
        rows.iter().map(|row| row["metric_name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["wanctl_rtt_ms", "wanctl_steering_enabled"]);
    assert_eq!(recorded.rows("--wan loop"), recorded.rows(""));
    assert!(recorded.rows("--wan other").is_empty());
    let nothing = "No data found for the specified time range.\n";
    let hint = "no WAN is called \"other\"; there are: loop\n";
    assert_eq!(recorded.history("--wan other").out, format!("{nothing}{hint}"));
    let table = recorded.history("--source other").out;
    let hint = "no source is called \"other\"; there are: autorate, steering\n";
    assert_eq!(table, format!("{nothing}{hint}"));
    let table = recorded.history("--label direction=up").out;
    assert!(table.contains("there are: ") && table.contains("direction=upload"), "{table}");
}

#[test]
fn a_limit_keeps_the_newest_and_says_so() {
    let recorded = Recorded::new();
    let all = recorded.rows("--metrics wanctl_rate_upload_mbps");
    let three = recorded.rows("--metrics wanctl_rate_upload_mbps --limit 3");
    assert_eq!(three, all[..3]);
    let table = recorded.history("--limit 3").out;
    assert_eq!(table.lines().count(), 6);
    assert!(table.ends_with("The newest 3 rows; --limit shows more.\n"), "{table}");
    let table = recorded.history("--limit 3 --oldest-first").out;
    assert!(table.ends_with("The oldest 3 rows; --limit shows more.\n"), "{table}");
    let all = recorded.history("").out;
    assert_eq!(all.lines().count(), 2 + recorded.rows("").len(), "no limit unless on a terminal");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let recorded = Recorded::new();
    for options in ["", "--json"] {
        let arguments = format!("history --last 5m --db history.db {options}");
        let mut command = recorded.place.command(&arguments, &recorded.config);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{options}");
    }
}

#[test]
fn a_range_without_rows_says_so() {
    let place = Place::new();
    let database = place.path("old.db");
    // The relation that files of the original have.
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch(
            "CREATE TABLE metrics (timestamp INTEGER, wan_name TEXT, metric_name TEXT, value REAL,
                                   labels TEXT, granularity TEXT);
             INSERT INTO metrics VALUES (1769300000, 'loop', 'wanctl_rtt_ms', 23.4, NULL, 'raw');",
        )
        .unwrap();
    let mut command = place.command("history --last 1h --db {}", &database);
    command.env("TZ", "UTC");
    let history = place.start(command).finish().success();
    assert_eq!(
        history.out,
        "No data found for the specified time range.\nthe newest row is of 2026-01-25 00:13:20\n"
    );
    let history = place.run("history --last 1000w --db {}", &database).success();
    assert!(history.out.contains("23.4"), "{}", history.out);
}

#[test]
fn a_metric_that_nobody_knows_is_said_with_the_one_that_was_meant() {
    let recorded = Recorded::new();
    let hints = |metrics: &str| {
        let out = recorded.history(&format!("--metrics {metrics}")).out;
        out.strip_prefix("No data found for the specified time range.\n").unwrap().to_owned()
    };
    assert_eq!(
        hints("rtts,wanctl_stat"),
        "no metric is called \"rtts\"; did you mean \"rtt\"?\n\
         no metric is called \"wanctl_stat\"; did you mean \"wanctl_state\"?\n"
    );
    assert_eq!(hints("wanctl_xyz"), "no metric is called \"wanctl_xyz\"\n");
    let half = recorded.history("--json --metrics rtt,ratee");
    assert!(!half.json().as_array().unwrap().is_empty());
    assert_eq!(half.err, "wanctl: no metric is called \"ratee\"; did you mean \"rate\"?\n");
}

#[test]
fn a_file_that_is_no_database_is_refused_with_one_reason() {
    let place = Place::new();
    let readme = place.write("README.md", &"This is text, and longer than a page.\n".repeat(200));
    let history = place.run("history --db {}", &readme).failure();
    let reason = format!("wanctl: can't read {}: it is not a database\n", readme.display());
    assert_eq!(history.err, reason);
}

#[test]
fn the_help_names_the_file_that_is_read_by_default() {
    let place = Place::new();
    let help = place.run("history --help", &place.path("")).success().out;
    assert!(help.contains("[default: /var/lib/wanctl/metrics.db]"), "{help}");
}

#[test]
fn a_history_that_is_not_there_is_an_error_with_its_path() {
    let place = Place::new();
    let history = place.run("history --db missing.db", &place.path("")).failure();
    assert!(history.err.contains("missing.db does not exist"), "{}", history.err);
    assert_eq!(history.out, "");
    assert!(place.files().is_empty(), "reading creates nothing");
}
