//! However the program ends, what was recorded is there.
#![expect(clippy::disallowed_methods, reason = "how long a stop takes is what is tested")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::rows;
use super::support::{BOTH, Place, poll};

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
