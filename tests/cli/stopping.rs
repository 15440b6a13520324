//! However the program ends, what was recorded is there.
#![expect(clippy::disallowed_methods, reason = "how long a stop takes is what is tested")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::locker::Locker;
use super::rows;
use super::support::{BOTH, Place, autorate, poll};

#[test]
fn sigterm_stops_in_order_and_loses_nothing() {
    stops_in_order("TERM");
}

#[test]
fn sigint_stops_in_order_and_loses_nothing() {
    stops_in_order("INT");
}

fn stops_in_order(signal: &str) {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let database = place.work().join("history.db");
    let daemon = place.start(place.command("run --config {} --log-format json", &config));
    poll("the first row", || {
        (rows::cycles(&rows::so_far(&database), "steering") > 0).then_some(())
    });

    let asked = Instant::now();
    daemon.signal(signal);
    let run = daemon.finish().success();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(run.said("Stopping.")[0]["signal"], format!("SIG{signal}"));
    assert_eq!(place.files(), ["history.db"]);
    let rows = rows::read(&database);
    assert_eq!(run.cycles("autorate loop"), rows::check_cycles(&rows, "autorate"));
    assert_eq!(run.cycles("steering loop"), rows::check_cycles(&rows, "steering"));
    let closed = run.said("Sink closed.");
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["delivered"], rows.len());
    for lost in ["lost", "evicted", "rejected"] {
        assert_eq!(closed[0][lost], 0, "{lost}");
    }
}

/// Waits for a line of the log of the first program of a place.
fn wait_for_log(place: &Place, text: &str) {
    let log = place.path("0.err");
    poll(text, || std::fs::read_to_string(&log).unwrap().contains(text).then_some(()));
}

#[test]
fn a_signal_during_the_search_for_reflectors_stops_before_anything_is_controlled() {
    let place = Place::new();
    let silent =
        autorate().replace("127.0.0.1", "240.0.0.1").replace("local: true", "local: false");
    let config = place.write("wan.yaml", &format!("{silent}\nsinks: {{}}\n"));
    let daemon = place.start(place.command("run --config {} --log-format json", &config));
    wait_for_log(&place, "Looking for reflectors");
    daemon.signal("TERM");
    let run = daemon.finish().success();
    assert_eq!(run.said("Stopping.").len(), 1);
    assert_eq!(run.said("Autorate starts.").len(), 0, "{}", run.err);
}

#[test]
fn a_second_signal_ends_a_stop_that_takes_long() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let database = place.work().join("history.db");
    let daemon = place.start(place.command("run --config {} --log-format json", &config));
    poll("the first row", || {
        (rows::cycles(&rows::so_far(&database), "autorate") > 0).then_some(())
    });
    // The last rows can't be written, which the stop waits ten seconds for.
    let locker = Locker::start(&database);
    daemon.signal("TERM");
    wait_for_log(&place, "Controller stopped.");
    let asked = Instant::now();
    daemon.signal("TERM");
    let run = daemon.finish().failure();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(run.said("Sink closed.").len(), 0, "{}", run.err);
    locker.finish();
}

#[test]
fn a_terminal_that_is_closed_stops_in_order() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let run = "run --config {} --duration 120s --status-socket status.sock";
    let program = place.command(run, &config);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
    let mut terminal = std::process::Command::new("script");
    terminal.args(["--quiet", "--command", &format!("exec {}", words.join(" ")), "/dev/null"]);
    terminal.current_dir(place.work()).stdin(std::process::Stdio::null());
    let terminal = place.start(terminal);
    let socket = place.work().join("status.sock");
    poll("a running program", || {
        let rows = rows::so_far(&place.work().join("history.db"));
        (socket.exists() && rows::cycles(&rows, "autorate") > 0).then_some(())
    });
    terminal.signal("KILL");
    // Its log has nowhere to go from now on. The database is one file again only when it was closed.
    poll("an end in order", || (place.files() == ["history.db"]).then_some(()));
}

#[test]
fn a_killed_program_leaves_a_sound_database_with_all_but_the_last_seconds() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let database = place.work().join("history.db");
    let daemon = place.start(place.command("run --config {}", &config));
    poll("a second batch", || {
        (rows::cycles(&rows::so_far(&database), "autorate") > 30).then_some(())
    });
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    daemon.signal("KILL");
    assert_eq!(daemon.finish().code, None);

    let check: String = rusqlite::Connection::open(&database)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let rows = rows::read(&database);
    rows::check_cycles(&rows, "autorate");
    let newest = rows.last().unwrap().at;
    assert!(killed - newest < 2_500_000, "{} µs are missing", killed - newest);
    let at: Vec<i64> = rows
        .iter()
        .filter(|row| row.metric == "wanctl_rate_download_mbps")
        .map(|row| row.at)
        .collect();
    let gap = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap < 300_000, "a gap of {gap} µs");

    place.run("run --config {} --duration 200ms", &config).success();
    assert!(rows::read(&database).len() > rows.len(), "the next run goes on in the same file");
}
