//! `wanctl history import`: a database of the original, with interruptions.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::support::{Place, Running, poll};

/// A folder with a database of the original in it, `old.db`.
pub(super) struct Old {
    pub(super) place: Place,
    rows: u64,
}

impl Old {
    /// One WAN's cycles, 20 a second, of six rows each; then a transition.
    pub(super) fn with(cycles: u32) -> Self {
        let place = Place::new();
        let db = Connection::open(place.work().join("old.db")).unwrap();
        db.execute_batch(
            "CREATE TABLE metrics (
                 id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, wan_name TEXT NOT NULL,
                 metric_name TEXT NOT NULL, value REAL NOT NULL, labels TEXT, granularity TEXT DEFAULT 'raw'
             );
             CREATE INDEX idx_metrics_timestamp ON metrics(timestamp);
             CREATE INDEX idx_metrics_wan_metric_time ON metrics(wan_name, metric_name, timestamp);
             CREATE INDEX idx_metrics_granularity_time ON metrics(granularity, timestamp);",
        )
        .unwrap();
        let fill = "WITH RECURSIVE
                 cycle (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM cycle WHERE n + 1 < ?1),
                 metric (place, name, base, labels) AS (VALUES
                     (1, 'wanctl_rtt_ms', 20.0, NULL),
                     (2, 'wanctl_rtt_baseline_ms', 1.0 / 3, NULL),
                     (3, 'wanctl_rtt_delta_ms', 2.0, NULL),
                     (4, 'wanctl_rate_download_mbps', 900.0, NULL),
                     (5, 'wanctl_rate_upload_mbps', 38.0, NULL),
                     (6, 'wanctl_state', NULL, '{\"direction\": \"download\"}'))
             INSERT INTO metrics (timestamp, wan_name, metric_name, value, labels)
             SELECT 1769300027 + n / 20, 'cable', name,
                 ifnull(base + (n * 7919 % 1000) / 100.0, n % 4), labels
             FROM cycle CROSS JOIN metric ORDER BY n, place";
        db.execute(fill, [cycles]).unwrap();
        let transition = "INSERT INTO metrics (timestamp, wan_name, metric_name, value, labels)
             VALUES (1769300027, 'cable', 'wanctl_state', 3, '{\"direction\": \"upload\", \"reason\": \"x, y\"}')";
        db.execute(transition, []).unwrap();
        Old { place, rows: u64::from(cycles) * 6 + 1 }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.work().join(name)
    }

    /// Makes `new.db`, with nothing in it.
    fn make_target(&self) {
        fs::copy(self.path("old.db"), self.path("none.db")).unwrap();
        Connection::open(self.path("none.db")).unwrap().execute("DELETE FROM metrics", []).unwrap();
        let arguments = "history import none.db --db new.db";
        self.place.run(arguments, &self.path("none")).success();
    }

    fn start(&self) -> Running {
        let arguments = "history import old.db --db new.db";
        self.place.start(self.place.command(arguments, &self.path("none")))
    }

    pub(super) fn import(&self) -> serde_json::Value {
        let arguments = "history import old.db --db new.db --json";
        self.place.run(arguments, &self.path("none")).success().json()
    }

    /// How many rows stand in one of the two files and not in the other.
    fn differences(&self) -> i64 {
        let db = Connection::open(self.path("new.db")).unwrap();
        db.execute("ATTACH ?1 AS old", [self.path("old.db").to_str().unwrap()]).unwrap();
        let rows = |schema| {
            format!(
                "SELECT timestamp, wan_name, metric_name, value, labels, granularity, count(*)
                 FROM {schema}.metrics GROUP BY 1, 2, 3, 4, 5, 6"
            )
        };
        let (new, old) = (rows("main"), rows("old"));
        let sql = format!(
            "SELECT (SELECT count(*) FROM ({new} EXCEPT {old})) + (SELECT count(*) FROM ({old} EXCEPT {new}))"
        );
        db.query_row(&sql, [], |row| row.get(0)).unwrap()
    }
}

/// Waits until some rows are imported, and says whether that is not all already.
fn is_under_way(running: &mut Running) -> bool {
    poll("the first rows", || {
        let shown = running.log_so_far().contains(" rows/s");
        (shown || !running.is_running()).then_some(())
    });
    running.is_running()
}

#[test]
fn everything_is_imported_and_a_second_time_nothing() {
    let old = Old::with(1_000);
    let arguments = "history import old.db --db new.db";
    let report = old.place.run(arguments, &old.path("none")).success();
    let lines: Vec<String> = report
        .out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines[0], format!("Imported {} rows of old.db into new.db.", old.rows));
    assert!(lines[1].starts_with("6001 read in "), "{}", report.out);
    assert_eq!(lines[2..], ["6000 raw samples", "1 transitions and snapshots"]);
    assert!(report.err.contains("raw rows before "), "{}", report.err);
    let unless =
        "unless the configuration says otherwise (the sink's retention.raw, 7d by default)";
    assert!(report.err.contains(unless), "{}", report.err);
    assert_eq!(old.differences(), 0);

    let again = old.import();
    assert_eq!(again["complete"], true);
    assert_eq!((&again["read"], &again["read_before"]), (&0.into(), &old.rows.into()));
}

#[test]
fn a_dry_run_says_what_would_come_and_makes_no_file() {
    let old = Old::with(100);
    let arguments = "history import old.db --db new.db --dry-run --json";
    let report = old.place.run(arguments, &old.path("none")).success().json();
    assert_eq!(
        (&report["imported"]["raw"], &report["imported"]["events"]),
        (&600.into(), &1.into())
    );
    assert!(!old.path("new.db").exists());
}

#[test]
fn an_interrupted_import_says_so_and_goes_on_later() {
    let old = Old::with(10_000);
    old.make_target();
    // The importer waits for this lock, so that it can't be done before the signal.
    let db = Connection::open(old.path("new.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let running = old.start();
    poll("the warning", || running.log_so_far().contains("raw rows before ").then_some(()));
    running.signal("INT");
    db.execute_batch("COMMIT").unwrap();
    let finished = running.finish();
    assert_eq!(finished.code, Some(130), "{}{}", finished.out, finished.err);
    assert!(finished.err.contains(&format!(" of {} rows, 3", old.rows)), "{}", finished.err);
    assert!(finished.err.ends_with("the same command goes on where it was\n"), "{}", finished.err);

    let rest = old.import();
    let before = rest["read_before"].as_u64().unwrap();
    assert!(before > 0 && before < old.rows, "{rest}");
    assert_eq!(rest["read"], old.rows - before);
    assert_eq!(rest["already"], 0);
    assert_eq!(old.differences(), 0);
}

#[test]
fn an_import_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let old = Old::with(8_000);
    let mut kills = 0;
    loop {
        let mut running = old.start();
        if !is_under_way(&mut running) {
            running.finish().success();
            break;
        }
        running.signal("KILL");
        kills += 1;
        running.finish();
        assert!(kills < 20);
    }
    assert!(kills > 0);
    let last = old.import();
    assert_eq!((&last["read"], &last["read_before"]), (&0.into(), &old.rows.into()));
    assert_eq!(old.differences(), 0);
    let db = Connection::open(old.path("new.db")).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn the_file_of_the_configuration_is_filled() {
    let old = Old::with(100);
    let config = format!("{}storage: {{ db_path: new.db }}\n", super::support::BOTH);
    let config = old.place.write("wan.yaml", &config);
    old.place.run("history import old.db --config {}", &config).success();
    assert_eq!(old.differences(), 0);
}

#[test]
fn what_is_no_database_of_the_original_is_refused() {
    let old = Old::with(100);
    old.import();
    let refused = |from: &str| {
        let arguments = format!("history import {from} --db newer.db");
        old.place.run(&arguments, &old.path("none")).failure().err
    };
    assert!(refused("none.db").ends_with("none.db does not exist\n"), "{}", refused("none.db"));
    let ours = refused("new.db");
    assert!(ours.ends_with("new.db is a history of this program already\n"), "{ours}");
    assert!(!old.path("newer.db").exists());
}
