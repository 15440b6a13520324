//! Rows as they are committed, in order and once, whatever becomes of the file.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::super::support::{BOTH, Place, Running, poll};
use super::original::Original;

/// The rows that a follower has printed so far in JSON.
fn lines(running: &Running) -> Vec<Value> {
    let out = running.out_so_far();
    let whole = out.rfind('\n').map_or("", |end| &out[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn daemon(place: &Place) -> Running {
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    place.start(place.command("run --config {}", &config))
}

fn follow(place: &Place, options: &str) -> Running {
    let follow = format!("history --db history.db --follow {options}");
    place.start(place.command(&follow, Path::new("")))
}

#[test]
fn every_row_is_printed_once_oldest_first() {
    let place = Place::new();
    let follower = follow(&place, "--json --last 1h");
    poll("the wait for the file", || {
        follower.log_so_far().contains("does not exist; waiting").then_some(())
    });
    let daemon = daemon(&place);
    poll("a hundred rows", || (lines(&follower).len() > 100).then_some(()));
    daemon.signal("TERM");
    daemon.finish().success();
    let all = place.run("history --db history.db --json --oldest-first", Path::new(""));
    let all = all.success().json();
    let all = all.as_array().unwrap();
    let followed = poll("the last row", || {
        let lines = lines(&follower);
        (lines.len() >= all.len()).then_some(lines)
    });
    let key = |row: &Value| row.to_string();
    let sorted = |rows: &[Value]| {
        let mut keys: Vec<String> = rows.iter().map(key).collect();
        keys.sort();
        keys
    };
    assert_eq!(sorted(&followed), sorted(all), "each once");
    let of_a_series: Vec<_> = followed
        .iter()
        .filter(|row| row["metric_name"] == "wanctl_rtt_ms" && row["source"] == "autorate")
        .map(|row| (row["timestamp"].as_i64(), row["micros"].as_i64()))
        .collect();
    assert!(of_a_series.len() > 5 && of_a_series.is_sorted());
}

#[test]
fn a_file_that_is_replaced_is_followed_and_its_past_is_not_repeated() {
    let place = Place::new();
    let first = daemon(&place);
    let database = place.work().join("history.db");
    poll("the first row", || {
        let history = place.run("history --db history.db --json", Path::new(""));
        (history.code == Some(0) && history.out.len() > 3).then_some(())
    });
    let follower = follow(&place, "--json --metrics rtt");
    let seen = poll("a new row", || Some(lines(&follower)).filter(|lines| !lines.is_empty()));
    let earlier = |row: &Value| (row["timestamp"].as_i64(), row["micros"].as_i64());
    let begin = earlier(&seen[0]);
    let past =
        place.run("history --db history.db --json --metrics rtt --oldest-first", Path::new(""));
    assert!(earlier(&past.json()[0]) < begin, "without --last, what was there is not printed");
    first.signal("TERM");
    first.finish().success();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(place.work().join(format!("history.db{suffix}")));
    }
    assert!(!database.exists());
    poll("the loss of the file", || follower.log_so_far().contains("waiting").then_some(()));
    let last = earlier(lines(&follower).last().unwrap());
    let second = daemon(&place);
    poll("a row of the new file", || {
        lines(&follower).last().is_some_and(|row| earlier(row) > last).then_some(())
    });
    drop(second);
}

#[test]
fn rows_from_the_future_hold_no_others_back_and_are_not_shown() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    place.run("run --config {} --duration 300ms", &config).success();
    let db = rusqlite::Connection::open(place.work().join("history.db")).unwrap();
    // A year ahead, of every bundle.
    let future = "INSERT INTO frames (bundle_id, sec, us, v0, v1)
                  SELECT id, strftime('%s', 'now') + 31536000, 0, 100, 100 FROM bundles";
    assert!(db.execute(future, []).unwrap() > 0);
    let begin: i64 = db
        .query_row("SELECT CAST(strftime('%s', 'now') AS INTEGER)", [], |row| row.get(0))
        .unwrap();
    let followers = ["--json", "--json --last 1h"].map(|options| follow(&place, options));
    let _daemon = daemon(&place);
    for follower in &followers {
        let seen = poll("rows of now", || {
            let lines = lines(follower);
            let now = |row: &Value| row["timestamp"].as_i64() > Some(begin);
            (lines.iter().filter(|row| now(row)).count() > 20).then_some(lines)
        });
        let latest = seen.iter().filter_map(|row| row["timestamp"].as_i64()).max();
        assert!(latest < Some(begin + 86_400), "{latest:?}");
    }
}

#[test]
fn a_line_for_people_has_time_metric_value_and_whose() {
    let place = Place::new();
    let _daemon = daemon(&place);
    let follower = follow(&place, "--metrics download --last 1m");
    let line = poll("a line", || {
        let out = follower.out_so_far();
        out.split_once('\n').map(|(line, _)| line.to_owned())
    });
    let words: Vec<&str> = line.split_whitespace().skip(2).collect();
    assert_eq!(words, ["wanctl_rate_download_mbps", "100", "loop", "autorate"]);
}

#[test]
fn a_follower_ends_when_nobody_reads_though_nothing_comes() {
    let place = Place::new();
    let mut command = place.command("history --db missing.db --follow", Path::new(""));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_follower_ends_with_an_interrupt() {
    let place = Place::new();
    let follower = follow(&place, "");
    poll("the wait for the file", || follower.log_so_far().contains("waiting").then_some(()));
    follower.signal("INT");
    let finished = follower.finish();
    assert_eq!((finished.code, &*finished.out), (None, ""), "as a signal ends any program");
}

#[test]
fn a_file_that_is_no_database_is_refused_at_once() {
    let place = Place::new();
    let readme = place.write("README.md", &"This is text, and longer than a page.\n".repeat(200));
    let refused = place.run("history --db {} --follow", &readme).failure();
    assert!(refused.err.contains("it is not a database"), "{}", refused.err);
}

#[test]
fn events_are_followed_with_the_state_they_came_from() {
    let original = Original::empty();
    let now = jiff::Timestamp::now().as_second();
    original.add_to("cable", now - 2, "wanctl_state", 1.0, Some(r#"{"direction": "download"}"#));
    let command = original.place.command("history --db {} --follow --events", &original.file);
    let follower = original.place.start(command);
    let reason = r#"{"direction": "download", "reason": "bloat"}"#;
    // Until the follower has looked for the first time, what is added is past.
    let added = std::cell::Cell::new(now);
    let line = poll("an event", || {
        added.set(added.get() + 1);
        original.add_to("cable", added.get(), "wanctl_state", 3.0, Some(reason));
        follower.out_so_far().lines().next().map(str::to_owned)
    });
    let line: Vec<&str> = line.split_whitespace().skip(2).collect();
    assert!(line.ends_with(&["RED", "bloat"]) && line.contains(&"\u{2192}"), "{line:?}");
}

#[test]
fn a_metric_and_a_wan_that_nobody_knows_are_said_at_once() {
    let original = Original::new();
    for (options, hint) in [
        ("--metrics ratee", "did you mean \"rate\"?\n"),
        ("--wan dsl", "no WAN is called \"dsl\"; there are: cable\n"),
    ] {
        let command = format!("history --db {{}} --follow {options}");
        let follower = original.place.start(original.place.command(&command, &original.file));
        poll(hint, || follower.log_so_far().ends_with(hint).then_some(()));
    }
}
