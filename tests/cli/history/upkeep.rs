//! What a file holds, whether it is whole, and sealing it by hand.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use super::super::support::{BOTH, Finished, Place, poll};
use super::original::Original;

/// A run's history in `history.db`.
fn recorded() -> Place {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    place.run("run --config {} --duration 500ms", &config).success();
    place
}

fn history(place: &Place, task: &str) -> Finished {
    place.run(&format!("history {task} --db history.db"), Path::new(""))
}

fn sql(place: &Place, statements: &str) {
    Connection::open(place.work().join("history.db")).unwrap().execute_batch(statements).unwrap();
}

fn rows(place: &Place) -> Value {
    let all = "--json --oldest-first --tier raw --from 2020-01-01";
    place.run(&format!("history --db history.db {all}"), Path::new("")).success().json()
}

#[test]
fn stats_tell_what_each_tier_holds_and_costs() {
    let place = recorded();
    let stats = history(&place, "stats --json").success().json();
    let tiers = stats["tiers"].as_array().unwrap();
    let names: Vec<&str> = tiers.iter().map(|tier| tier["tier"].as_str().unwrap()).collect();
    assert_eq!(names, ["raw", "sealed", "1m", "5m", "1h", "events"]);
    let count = |tier: &Value| tier["samples"].as_u64().unwrap();
    let all = rows(&place).as_array().unwrap().len() as u64;
    assert_eq!(count(&tiers[0]) + count(&tiers[5]), all);
    assert!(tiers[0]["bytes_per_sample"].as_f64().unwrap() > 0.0);
    assert!(stats["file_bytes"].as_u64() > Some(0) && stats["disk_free_bytes"].is_u64());
    assert_eq!(stats["rates"][0]["wan_name"], "loop");

    let text = history(&place, "stats").success().out;
    let line = |start: &str| text.lines().any(|line| line.starts_with(start));
    for start in ["history.db: ", "free on the disk: ", "newest row: ", "Tier ", "raw ", "events "]
    {
        assert!(line(start), "{start}: {text}");
    }
    assert!(text.contains("loop autorate: ") && text.contains(" samples/s\n"), "{text}");
}

#[test]
fn stats_say_how_old_the_maintenance_is() {
    let place = recorded();
    sql(
        &place,
        "DELETE FROM upkeep;
         INSERT INTO upkeep VALUES (1, CAST(strftime('%s', 'now') AS INTEGER) - 7265)",
    );
    let text = history(&place, "stats").success().out;
    assert!(text.contains("\nmaintained up to: ") && text.contains(", 2h 1m ago\n"), "{text}");
    let stats = history(&place, "stats --json").success().json();
    let age = stats["maintained_age_seconds"].as_i64().unwrap();
    assert!((7265..7325).contains(&age) && stats["maintained_to"].is_i64(), "{stats}");
}

#[test]
fn rows_from_the_future_are_counted_and_hide_no_others() {
    let place = recorded();
    let newest = history(&place, "stats --json").success().json()["newest"].clone();
    sql(
        &place,
        "INSERT INTO frames (bundle_id, sec, us, v0, v1)
         VALUES (1, CAST(strftime('%s', 'now') AS INTEGER) + 200000, 0, 100, 100)",
    );
    let stats = history(&place, "stats --json").success().json();
    assert_eq!((&stats["newest"], &stats["future_rows"]), (&newest, &Value::from(2)));
    let text = history(&place, "stats").success().out;
    assert!(text.contains("\nmore than a day in the future: 2 rows\n"), "{text}");
    let hint = history_of(&place, "--from 2020-01-01 --to 2020-01-02").success().out;
    let at = newest.as_i64().unwrap();
    let shown = jiff::Timestamp::from_second(at).unwrap().strftime("%F %T").to_string();
    assert!(hint.ends_with(&format!("the newest row is of {shown}\n")), "{hint}");
}

#[test]
fn stats_of_a_file_of_the_original_are_told_too() {
    let original = Original::new();
    let text = original.place.run("history stats --db {}", &original.file).success().out;
    let raw: Vec<&str> =
        text.lines().find(|line| line.starts_with("raw")).unwrap().split_whitespace().collect();
    assert_eq!(raw[1..3], ["42", "42"], "{text}");
}

#[test]
fn a_whole_file_has_no_problem() {
    let place = recorded();
    let found = history(&place, "verify").success();
    assert_eq!((&*found.out, &*found.err), ("history.db: no problem found\n", ""));
    let found = history(&place, "verify --json").success().json();
    assert_eq!(found["problems"], Value::Array(Vec::new()));
}

#[test]
fn problems_are_listed_and_are_a_failure() {
    let place = recorded();
    sql(
        &place,
        "INSERT INTO chunks (bundle_id, first_sec, last_sec, frames, samples, data)
         VALUES (1, 1000, 1009, 10, 10, x'0102')",
    );
    let found = history(&place, "verify").failure();
    let first = found.out.lines().next().unwrap();
    assert!(first.starts_with("chunk 1 of wanctl_"), "{first}");
    assert!(first.contains(" loop autorate, 1000 to 1009: can't be read: "), "{first}");
    let found = history(&place, "verify --json").failure().json();
    assert!(found["problems"][0].as_str().unwrap().starts_with("chunk 1 "), "{found}");
}

#[test]
fn compacting_seals_old_rows_and_loses_none() {
    let place = recorded();
    sql(
        &place,
        "WITH RECURSIVE seconds(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seconds WHERE n < 7200)
         INSERT INTO frames SELECT 1, newest.sec - 259200 + n, 0, n, n, n, n, n, 0, 0, 0
         FROM seconds, (SELECT max(sec) AS sec FROM frames) AS newest",
    );
    let before = rows(&place);
    let done = history(&place, "compact").success();
    assert!(done.out.starts_with("history.db: "), "{}", done.out);
    assert_eq!(done.err, "");
    let stats = history(&place, "stats --json").success().json();
    assert!(stats["tiers"][1]["samples"].as_u64().unwrap() > 50_000, "{stats}");
    assert!(stats["tiers"][2]["rows"].as_u64().unwrap() > 900, "{stats}");
    assert!(rows(&place) == before, "every row is there, and equal");
    history(&place, "verify").success();
}

#[test]
fn a_tier_without_an_interval_says_so_beside_the_events() {
    let place = recorded();
    let hint = "no interval of 1h begins in this time, or none that is over and summed up\n";
    let run = |options: &str| {
        let arguments = format!("history --db history.db --last 5m --tier 1h {options}");
        place.run(&arguments, Path::new("")).success()
    };
    let rows = run("");
    assert!(rows.out.contains("wanctl_config_snapshot"), "{}", rows.out);
    assert_eq!(rows.err, format!("wanctl: {hint}"));
    assert!(run("--summary").out.contains(hint));
    assert_eq!(run("--events").err, "");
}

#[test]
fn only_a_history_is_compacted() {
    let place = Place::new();
    let path = place.work().join("history.db");
    let refused = history(&place, "compact").failure();
    assert_eq!(refused.err, "wanctl: history.db does not exist\n");
    std::fs::write(&path, "").unwrap();
    let refused = history(&place, "compact").failure();
    assert!(refused.err.contains("history.db holds no history"), "{}", refused.err);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    assert_eq!(place.files(), ["history.db"], "nothing is made beside it");
    sql(&place, "CREATE TABLE notes (text)");
    let before = std::fs::read(&path).unwrap();
    let refused = history(&place, "compact").failure();
    assert!(refused.err.contains("history.db holds no history"), "{}", refused.err);
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_summary_is_of_the_finest_rows_and_says_so_where_it_is_of_intervals() {
    let place = recorded();
    let newest = "SELECT max(sec) FROM frames";
    let db = Connection::open(place.work().join("history.db")).unwrap();
    let newest: i64 = db.query_row(newest, [], |row| row.get(0)).unwrap();
    let begin = newest / 3600 * 3600 - 172_800;
    // Once a second for eight hours, two days ago: 19 of 20 at 20 ms, the last at 40 ms.
    sql(
        &place,
        &format!(
            "WITH RECURSIVE
                 seconds(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM seconds WHERE n < 28799),
                 cells(n, v) AS (SELECT n, iif(n % 20 = 19, 4000, 2000) FROM seconds)
             INSERT INTO frames SELECT bundle_id, {begin} + n, 0, v, v, v, v, v, v, v, v
             FROM cells, series WHERE metric_name = 'wanctl_rtt_ms' AND source = 'autorate'"
        ),
    );
    history(&place, "compact").success();
    let summary = |options: &str| {
        let [from, to] =
            [0, 28_799].map(|n| jiff::Timestamp::from_second(begin + n).unwrap().to_string());
        let of = "--summary --metrics rtt --source autorate --db history.db";
        let arguments = format!("history --from {from} --to {to} {of} {options}");
        place.run(&arguments, Path::new("")).success()
    };
    let raw = &summary("--json").json()[0];
    assert_eq!(
        (&raw["samples"], &raw["tier"], &raw["p99"]),
        (&28_800.into(), &"raw".into(), &40.0.into())
    );
    assert!(summary("").out.starts_with("wanctl_rtt_ms (28800 samples)\n"));
    let minutes = &summary("--json --tier 1m").json()[0];
    assert_eq!((&minutes["tier"], &minutes["p99"]), (&"1m".into(), &21.0.into()));
    let text = summary("--tier 1m").out;
    assert!(text.starts_with("wanctl_rtt_ms (480 intervals of 1m)\n"), "{text}");
    sql(&place, "DELETE FROM chunks; UPDATE bundles SET raw_from = rolled_to");
    let left = summary("").out;
    assert!(left.starts_with("wanctl_rtt_ms (480 intervals of 1m)\n"), "{left}");
}

#[test]
fn a_file_that_a_daemon_maintains_is_left_to_it() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let daemon = place.start(place.command("run --config {}", &config));
    let refused = poll("the daemon's maintenance", || {
        let tried = history(&place, "compact");
        (tried.code == Some(1) && tried.err.contains("is maintained by")).then_some(tried)
    });
    assert_eq!(refused.out, "");
    daemon.signal("TERM");
    daemon.finish().success();
}

/// A history with an hour of old rows, of which the second chunk is damaged.
fn damaged() -> Place {
    let place = recorded();
    sql(
        &place,
        "WITH RECURSIVE seconds(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM seconds WHERE n < 199)
         INSERT INTO frames SELECT 1, 1769299200 + n, 0, n, n, n, n, n, 0, 0, 0 FROM seconds;
         INSERT INTO chunks (bundle_id, first_sec, last_sec, frames, samples, data)
         VALUES (1, 1769299300, 1769299309, 10, 80, x'0102')",
    );
    place
}

#[test]
fn rows_that_are_damaged_are_left_out_with_a_remark() {
    let place = damaged();
    let span = "--from 2026-01-25T00:00:00Z --to 2026-01-25T00:03:20Z --metrics rtt";
    let remark = "wanctl: sealed rows from 2026-01-25 00:01:40 to 2026-01-25 00:01:49 are damaged \
                  and left out; `wanctl history verify` tells more\n";
    for kind in ["--csv", "--json", "--summary", "--plot", "--plot x.svg"] {
        let shown = history_of(&place, &format!("{span} {kind}")).success();
        assert_eq!(shown.err, remark, "{kind}");
    }
    let rows = history_of(&place, &format!("{span} --json")).success().json();
    assert_eq!(rows.as_array().unwrap().len(), 200, "those of the same time that are not sealed");
    let before = "--from 2026-01-25T00:00:00Z --to 2026-01-25T00:01:00Z --csv";
    assert_eq!(history_of(&place, before).success().err, "");
}

#[test]
fn an_export_without_damaged_rows_has_all_others_and_is_a_failure() {
    let place = damaged();
    let span = "--from 2026-01-25T00:00:00Z --to 2026-01-25T00:03:20Z --metrics rtt";
    let out = history(&place, &format!("export {span}")).failure();
    assert_eq!(out.out.lines().count(), 201);
    assert!(out.err.contains(" are damaged and left out; "), "{}", out.err);
    let file = history(&place, &format!("export {span} --output day.csv")).failure();
    assert!(file.err.contains("200 rows in day.csv"), "{}", file.err);
    let text = std::fs::read_to_string(place.work().join("day.csv")).unwrap();
    assert_eq!(text, out.out);
}

#[test]
fn a_time_without_a_date_is_shown_in_seconds() {
    let place = recorded();
    sql(
        &place,
        "DELETE FROM frames; DELETE FROM events;
         INSERT INTO frames (bundle_id, sec, us, v0) VALUES (1, 400000000000, 0, 100);
         INSERT INTO events (sec, us, wan_name, metric_name, source, value, labels)
         VALUES (-400000000000, 0, 'loop', 'wanctl_state', 'autorate', 1, '{}')",
    );
    for options in ["", "--csv", "--events", "--plot", "--summary", "--verbose"] {
        let shown = history_of(&place, options).success();
        let hint = "the newest row is of @-400000000000\n";
        assert!(shown.out.contains(hint) || shown.err.contains(hint), "{options}: {}", shown.out);
    }
    let stats = history(&place, "stats").success().out;
    assert!(stats.contains("  @-400000000000 ") && stats.contains("  @400000000000\n"), "{stats}");
    assert!(history(&place, "export").success().out.contains("\r\n@-400000000000,"));
}

fn history_of(place: &Place, options: &str) -> Finished {
    let mut command = place.command(&format!("history --db history.db {options}"), Path::new(""));
    command.env("TZ", "UTC");
    place.start(command).finish()
}
