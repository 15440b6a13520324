//! Files of the original, read as its own program read them, and how each kind of output looks.

use std::path::PathBuf;

use expect_test::{Expect, expect};
use serde_json::Value;

use super::super::support::{Finished, Place};

/// 2026-01-25 20:14:00 UTC.
const BEGIN: i64 = 1_769_372_040;

/// A file as the original makes it.
pub(super) struct Original {
    pub(super) place: Place,
    pub(super) file: PathBuf,
}

impl Original {
    /// Ten seconds of one WAN: a spike in the fifth, and the two transitions it causes.
    pub(super) fn new() -> Self {
        let original = Self::empty();
        for second in 0..10 {
            let (rtt, state, rate) = if second == 5 { (88.25, 3, 500.0) } else { (24.5, 0, 940.0) };
            let at = BEGIN + second;
            original.add(at, "wanctl_rtt_ms", rtt, None);
            original.add(at, "wanctl_rtt_baseline_ms", 24.0, None);
            original.add(at, "wanctl_rate_download_mbps", rate, None);
            let labels = r#"{"direction": "download"}"#;
            original.add(at, "wanctl_state", f64::from(state), Some(labels));
        }
        for (second, state, reason) in [(5, 3.0, "spike, \"high\""), (6, 0.0, "RTT is back")] {
            let reason = serde_json::json!({ "direction": "download", "reason": reason });
            let labels = reason.to_string().replace("\":\"", "\": \"").replace(",\"", ", \"");
            original.add(BEGIN + second, "wanctl_state", state, Some(&labels));
        }
        original
    }

    pub(super) fn empty() -> Self {
        let place = Place::new();
        let file = place.path("metrics.db");
        rusqlite::Connection::open(&file)
            .unwrap()
            .execute_batch(
                "CREATE TABLE metrics (
                     id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
                     wan_name TEXT NOT NULL, metric_name TEXT NOT NULL, value REAL NOT NULL,
                     labels TEXT, granularity TEXT DEFAULT 'raw')",
            )
            .unwrap();
        Original { place, file }
    }

    fn add(&self, at: i64, metric: &str, value: f64, labels: Option<&str>) {
        self.add_to("cable", at, metric, value, labels);
    }

    pub(super) fn add_to(
        &self,
        wan: &str,
        at: i64,
        metric: &str,
        value: f64,
        labels: Option<&str>,
    ) {
        let insert = "INSERT INTO metrics (timestamp, wan_name, metric_name, value, labels)
                      VALUES (?, ?, ?, ?, ?)";
        let db = rusqlite::Connection::open(&self.file).unwrap();
        db.execute(insert, (at, wan, metric, value, labels)).unwrap();
    }

    /// What `wanctl history` says of the ten seconds.
    pub(super) fn history(&self, options: &str) -> Finished {
        let time = "--from 2026-01-25T20:14:00Z --to 2026-01-25T20:14:10Z";
        self.run(&format!("{time} {options}")).success()
    }

    pub(super) fn run(&self, options: &str) -> Finished {
        let mut command = self.place.command(&format!("history --db {{}} {options}"), &self.file);
        command.env("TZ", "UTC").env("COLUMNS", "58");
        self.place.start(command).finish()
    }
}

fn check(options: &str, expected: Expect) {
    let history = Original::new().history(options);
    assert_eq!(history.err, "");
    expected.assert_eq(&history.out.replace('\r', ""));
}

#[test]
fn the_plain_table_has_the_three_columns_of_the_original() {
    check(
        "--metrics rtt,baseline --limit 8 --offset 2",
        expect![[r#"
        Timestamp            Metric                    Value
        -------------------  ----------------------  -------
        2026-01-25 20:14:08  wanctl_rtt_baseline_ms    24
        2026-01-25 20:14:08  wanctl_rtt_ms             24.5
        2026-01-25 20:14:07  wanctl_rtt_baseline_ms    24
        2026-01-25 20:14:07  wanctl_rtt_ms             24.5
        2026-01-25 20:14:06  wanctl_rtt_baseline_ms    24
        2026-01-25 20:14:06  wanctl_rtt_ms             24.5
        2026-01-25 20:14:05  wanctl_rtt_baseline_ms    24
        2026-01-25 20:14:05  wanctl_rtt_ms             88.25
        The newest 8 rows; --limit shows more.
    "#]],
    );
}

#[test]
fn columns_that_tell_rows_apart_follow_the_three() {
    check(
        "--metrics state --limit 6",
        expect![[r#"
        Timestamp            Metric        Value    Labels
        -------------------  ------------  -------  ------------------------------------------------------
        2026-01-25 20:14:09  wanctl_state  GREEN    {"direction": "download"}
        2026-01-25 20:14:08  wanctl_state  GREEN    {"direction": "download"}
        2026-01-25 20:14:07  wanctl_state  GREEN    {"direction": "download"}
        2026-01-25 20:14:06  wanctl_state  GREEN    {"direction": "download", "reason": "RTT is back"}
        2026-01-25 20:14:06  wanctl_state  GREEN    {"direction": "download"}
        2026-01-25 20:14:05  wanctl_state  RED      {"direction": "download", "reason": "spike, \"high\""}
        The newest 6 rows; --limit shows more.
    "#]],
    );
}

#[test]
fn a_verbose_table_has_every_column() {
    check(
        "--verbose --limit 3",
        expect![[r#"
        Timestamp                Metric                       Value  WAN    Source    Granularity    Labels
        -----------------------  -------------------------  -------  -----  --------  -------------  --------
        2026-01-25 20:14:09.000  wanctl_rate_download_mbps    940    cable            raw
        2026-01-25 20:14:09.000  wanctl_rtt_baseline_ms        24    cable            raw
        2026-01-25 20:14:09.000  wanctl_rtt_ms                 24.5  cable            raw
        The newest 3 rows; --limit shows more.
    "#]],
    );
}

#[test]
fn json_is_the_list_of_rows_of_the_original_and_more_keys() {
    check(
        "--json --metrics state --limit 1 --offset 4",
        expect![[r#"
        [
          {
            "timestamp": 1769372046,
            "wan_name": "cable",
            "metric_name": "wanctl_state",
            "value": 0.0,
            "labels": "{\"direction\": \"download\"}",
            "granularity": "raw",
            "source": "",
            "micros": 0,
            "state": "GREEN"
          }
        ]
    "#]],
    );
}

#[test]
fn csv_has_heads_and_quotes_what_needs_quotes() {
    check(
        "--csv --metrics state --label direction=download --oldest-first --limit 7",
        expect![[r#"
            time,timestamp,micros,wan_name,source,metric_name,value,state,labels,granularity,min,max,count
            2026-01-25T20:14:00.000000Z,1769372040,0,cable,,wanctl_state,0,GREEN,"{""direction"": ""download""}",raw,,,
            2026-01-25T20:14:01.000000Z,1769372041,0,cable,,wanctl_state,0,GREEN,"{""direction"": ""download""}",raw,,,
            2026-01-25T20:14:02.000000Z,1769372042,0,cable,,wanctl_state,0,GREEN,"{""direction"": ""download""}",raw,,,
            2026-01-25T20:14:03.000000Z,1769372043,0,cable,,wanctl_state,0,GREEN,"{""direction"": ""download""}",raw,,,
            2026-01-25T20:14:04.000000Z,1769372044,0,cable,,wanctl_state,0,GREEN,"{""direction"": ""download""}",raw,,,
            2026-01-25T20:14:05.000000Z,1769372045,0,cable,,wanctl_state,3,RED,"{""direction"": ""download"", ""reason"": ""spike, \""high\""""}",raw,,,
            2026-01-25T20:14:05.000000Z,1769372045,0,cable,,wanctl_state,3,RED,"{""direction"": ""download""}",raw,,,
        "#]],
    );
    let lines = Original::new().history("--csv").out;
    assert_eq!(lines.matches("\r\n").count(), lines.matches('\n').count(), "as of RFC 4180");
}

#[test]
fn a_summary_has_statistics_of_levels_and_shares_of_states() {
    check(
        "--summary --metrics rtt,state",
        expect![[r#"
        wanctl_rtt_ms (10 samples)
        ----------------------------------------
          min: 24.5
          max: 88.25
          avg: 30.875
          p50: 24.5
          p95: 116.938
          p99: 144.988

        wanctl_state (10 samples)
        ----------------------------------------
          GREEN: 90.0% (9s)
          RED: 10.0% (1s)
    "#]],
    );
    check(
        "--summary --metrics rtt --json",
        expect![[r#"
        [
          {
            "metric_name": "wanctl_rtt_ms",
            "wan_name": "cable",
            "source": "",
            "labels": null,
            "samples": 10,
            "tier": "raw",
            "min": 24.5,
            "max": 88.25,
            "avg": 30.875,
            "p50": 24.5,
            "p95": 116.9375,
            "p99": 144.9875
          }
        ]
    "#]],
    );
}

#[test]
fn a_summary_says_whose_series_it_is_where_a_metric_has_several() {
    let original = Original::new();
    original.add_to("dsl", BEGIN, "wanctl_rtt_ms", 30.0, None);
    let out = original.history("--summary --metrics rtt").out;
    let heads: Vec<&str> = out.lines().filter(|line| line.contains(" sample")).collect();
    assert_eq!(heads, ["wanctl_rtt_ms (10 samples) wan=cable", "wanctl_rtt_ms (1 sample) wan=dsl"]);
}

#[test]
fn events_say_what_changed_and_why() {
    check(
        "--events",
        expect![[r#"
            2026-01-25 20:14:06.000  cable    state download RED → GREEN  RTT is back
            2026-01-25 20:14:05.000  cable    state download GREEN → RED  spike, "high"
        "#]],
    );
    // What the state was before is found though that event is not shown.
    check(
        "--events --limit 1",
        expect![[r#"
        2026-01-25 20:14:06.000  cable    state download RED → GREEN  RTT is back
        The newest row; --limit shows more.
    "#]],
    );
}

#[test]
fn a_range_is_as_long_before_its_end_as_is_said() {
    let original = Original::new();
    let times = |options: &str| -> Vec<i64> {
        let rows = original.run(&format!("--json --metrics rtt {options}")).success().json();
        let time = |row: &Value| row["timestamp"].as_i64().unwrap() - BEGIN;
        rows.as_array().unwrap().iter().map(time).collect()
    };
    assert_eq!(times("--to 2026-01-25T20:14:02Z"), [2, 1, 0], "an hour without --from");
    assert_eq!(times("--last 2s --to 2026-01-25T20:14:05"), [5, 4, 3]);
    assert_eq!(times("--from 2026-01-25T21:14:08+01:00"), [9, 8], "to now without --to");
    let last_wins = "--last 1s --from 2026-01-25 --to 2026-01-25T20:14:01Z --oldest-first";
    assert_eq!(times(last_wins), [0, 1]);
    assert_eq!(times("--from 2026-01-25T20:14 --to 2026-01-25T20:14:00.5"), [0]);
    assert_eq!(times("--last 1m"), [0_i64; 0]);
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let original = Original::empty();
    for options in [
        "--last 5",
        "--from yesterday",
        "--to 25:00",
        "--tier 2m",
        "--label direction",
        "--json --csv",
        "--plot chart.pdf",
        "--follow --to 2026-01-25",
        "--summary --limit 5",
        "--from 2026-01-26 --to 2026-01-25",
        "--limit 0",
        "--plot --oldest-first",
        "--nonsense",
    ] {
        let refused = original.run(options);
        assert_eq!((refused.code, &*refused.out), (Some(2), ""), "{options}: {}", refused.err);
    }
}

#[test]
fn a_range_after_now_says_so() {
    let history = Original::new().run("--from 9000-01-01").success();
    assert_eq!(
        history.out,
        "No data found for the specified time range.\nthe time begins after now\n"
    );
}

#[test]
fn a_wan_a_source_and_a_label_that_are_not_there_are_said() {
    let original = Original::new();
    for (options, hint) in [
        ("--wan foo", "no WAN is called \"foo\"; there are: cable"),
        ("--source autorat", "no source is called \"autorat\""),
        ("--label direction=up", "no row has the label direction=up"),
        (
            "--metrics rtt,RTT,Stat --to 2026-01-25",
            "no metric is called \"RTT\"; did you mean \"rtt\"?",
        ),
    ] {
        let range = if options.contains("--to") { "" } else { "--last 1000w" };
        for how in ["", "--summary", "--plot"] {
            let out = original.run(&format!("{range} {options} {how}")).success().out;
            assert!(out.lines().any(|line| line.starts_with(hint)), "{options} {how}: {out}");
        }
        let json = original.run(&format!("{range} {options} --json")).success();
        assert_eq!(json.out, "[]\n");
        assert!(json.err.contains(&format!("wanctl: {hint}")), "{}", json.err);
    }
    let known = original.history("--wan cable --label direction=download --metrics rtt,state");
    assert_eq!(known.err, "");
}

#[test]
fn a_file_without_rows_says_so() {
    let history = Original::empty().history("");
    assert_eq!(
        history.out,
        "No data found for the specified time range.\nthe history has no rows\n"
    );
    let json = Original::empty().history("--json");
    assert_eq!((&*json.out, &*json.err), ("[]\n", "wanctl: the history has no rows\n"));
}
