//! `wanctl status`: what a running daemon says of itself, and that it disturbs nobody.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::rows;
use super::support::{BOTH, Finished, Place, Running, poll};

/// A daemon's arguments, with its socket in its working directory.
const RUN: &str = "run --config {} --status-socket status.sock --log-format json";

fn start(place: &Place, sinks: &str) -> Running {
    let config = place.write("wan.yaml", &format!("{BOTH}sinks: {{ {sinks} }}\n"));
    place.start(place.command(RUN, &config))
}

fn ask(place: &Place, options: &str) -> Finished {
    place.run(&format!("status --socket status.sock {options}"), &place.path(""))
}

/// The report, once this is true of it.
fn wait_for(place: &Place, what: &str, is_true: impl Fn(&Value) -> bool) -> Value {
    poll(what, || {
        let asked = ask(place, "--json");
        (asked.out.starts_with('{')).then(|| asked.json()).filter(&is_true)
    })
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_running_daemon_says_what_its_controllers_and_sinks_do() {
    let place = Place::new();
    let sinks =
        "history: { type: sqlite, settings: { path: history.db } }, nothing: { type: null }";
    let daemon = start(&place, sinks);
    let report = wait_for(&place, "delivered rows of both controllers", |report| {
        report["sinks"].as_array().unwrap().iter().all(|sink| count(&sink["delivered"]) > 0)
            && report["controllers"].as_array().unwrap().iter().all(|one| one["rtt_ms"].is_f64())
    });
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["config_files"][0], place.path("wan.yaml").to_str().unwrap());
    assert!(report["uptime_seconds"].as_f64().unwrap() > 0.0);
    let [autorate, steering] = report["controllers"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    for (one, kind) in [(autorate, "autorate"), (steering, "steering")] {
        assert_eq!((&one["kind"], &one["wan"]), (&kind.into(), &"loop".into()));
        assert_eq!(one["running"], true);
        assert!(count(&one["cycles"]) > 0);
    }
    assert_eq!(autorate["download_mbps"], 100.0);
    assert_eq!(autorate["download_state"], "GREEN");
    assert_eq!(steering["route"], "primary");
    for sink in report["sinks"].as_array().unwrap() {
        assert_eq!((&sink["health"], &sink["error"]), (&"ok".into(), &Value::Null));
        assert_eq!(count(&sink["evicted"]) + count(&sink["rejected"]), 0, "{sink}");
    }
    let later = wait_for(&place, "more cycles", |later| {
        count(&later["controllers"][0]["cycles"]) > count(&autorate["cycles"])
    });
    assert_eq!(later["pid"], report["pid"]);

    let text = ask(&place, "").success().out;
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("wanctl ").contains(&format!("pid {}", report["pid"])), "{text}");
    assert!(line("autorate ").contains("download 100.00 Mbit/s GREEN"), "{text}");
    assert!(line("steering ").contains("GREEN, primary WAN"), "{text}");
    let column = |head: &str| line("Sink").find(head).unwrap() + head.len();
    for head in ["Delivered", "Replaced"] {
        let sink = line("history ");
        let end = column(head).min(sink.len());
        assert!(sink[..end].ends_with(|c: char| c.is_ascii_digit()), "{head} in {text}");
    }
    daemon.signal("TERM");
    daemon.finish().success();
}

#[test]
fn a_sink_that_fails_is_an_exit_code_and_its_reason() {
    let place = Place::new();
    let sinks = "trace: { type: file, startup: retry, settings: { path: /dev/null/trace.jsonl } }";
    let daemon = start(&place, sinks);
    wait_for(&place, "a failing sink", |report| report["sinks"][0]["health"] == "failing");
    let status = ask(&place, "").failure();
    let reason = status.out.lines().last().unwrap();
    assert!(reason.starts_with("trace: ") && reason.contains("/dev/null"), "{}", status.out);
    assert_eq!(ask(&place, "--json").failure().json()["sinks"][0]["kind"], "file");
    daemon.signal("TERM");
    daemon.finish();
}

#[test]
fn the_socket_is_for_the_owner_and_goes_with_the_daemon() {
    let place = Place::new();
    let daemon = start(&place, "");
    wait_for(&place, "an answer", |_| true);
    let socket = place.work().join("status.sock");
    let found = fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    daemon.signal("TERM");
    daemon.finish().success();
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[test]
fn a_killed_daemons_socket_is_taken_over_and_a_live_ones_is_not() {
    let place = Place::new();
    let killed = start(&place, "");
    wait_for(&place, "an answer", |_| true);
    killed.signal("KILL");
    killed.finish();
    assert_eq!(place.files(), ["status.sock"]);
    assert!(ask(&place, "").failure().err.contains("no daemon answers at status.sock"));

    let first = start(&place, "");
    let report = wait_for(&place, "an answer of the next", |_| true);
    let config = place.path("wan.yaml");
    let second = place.run(&format!("{RUN} --duration 300ms"), &config).success();
    assert!(second.err.contains("Another daemon answers at the status socket"), "{}", second.err);
    assert_eq!(ask(&place, "--json").success().json()["pid"], report["pid"]);
    first.signal("TERM");
    first.finish().success();
}

#[test]
fn clients_that_say_nothing_and_read_nothing_keep_nobody_else_waiting() {
    let place = Place::new();
    let daemon = start(&place, "");
    wait_for(&place, "an answer", |_| true);
    let socket = place.work().join("status.sock");
    let idle: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    ask(&place, "").success();
    drop(idle);
    daemon.signal("TERM");
    daemon.finish().success();
}

#[test]
fn a_daemon_that_can_have_no_socket_runs_without_and_says_so_once() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}sinks: {{}}\n"));
    let run = "run --config {} --duration 300ms --log-format json --status-socket /dev/null/a.sock";
    let run = place.run(run, &config).success();
    assert_eq!(run.said("There is no status socket.").len(), 1, "{}", run.err);
    assert!(run.cycles("autorate loop") > 0);
}

#[test]
fn nobody_to_ask_is_an_error_with_the_path() {
    let place = Place::new();
    let status = ask(&place, "").failure();
    let expected = "wanctl: no daemon answers at status.sock: No such file or directory";
    assert!(status.err.starts_with(expected), "{}", status.err);
    assert!(status.err.contains("is it running?"), "{}", status.err);
    assert_eq!(status.out, "");
}

#[test]
fn settings_are_not_shown() {
    let place = Place::new();
    let sinks = "trace: { type: file, settings: { path: planted-setting.jsonl } }";
    let daemon = start(&place, sinks);
    let report = wait_for(&place, "an open sink", |report| report["sinks"][0]["health"] == "ok");
    assert!(!report.to_string().contains("planted"), "{report}");
    daemon.signal("TERM");
    daemon.finish().success();
}

#[test]
fn accounts_of_sinks_are_recorded_and_read_as_any_other_row() {
    let place = Place::new();
    let daemon = start(&place, "history: { type: sqlite, settings: { path: history.db } }");
    let database = place.work().join("history.db");
    poll("accounts in the history", || {
        let rows = rows::so_far(&database);
        rows.into_iter().find(|row| row.metric == "wanctl_sink_delivered_rows_total").map(|row| {
            assert_eq!((row.wan.as_str(), row.source.as_str()), ("daemon", "sinks"));
            assert_eq!(row.labels.unwrap()["sink"], "history");
            assert!(row.value > 0.0);
        })
    });
    daemon.signal("TERM");
    daemon.finish().success();
    let history = "history --last 5m --db history.db --metrics wanctl_sink_health -v";
    let table = place.run(history, &place.path("")).success().out;
    let fields: Vec<&str> = table.lines().nth(2).unwrap().split_whitespace().skip(2).collect();
    assert_eq!(fields[..4], ["wanctl_sink_health", "ok", "daemon", "sinks"], "{table}");
}
