//! Files as the original leaves them, and what an import makes of them.

use std::path::PathBuf;

use rusqlite::{Connection, params};
use wanctl_sink_sqlite::{Import, ImportReport};

use super::support::START;

/// Long after every row.
pub(crate) const LATER: i64 = START + 1_000_000_000;

const ORIGINAL: &str = "
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp INTEGER NOT NULL,
    wan_name TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    value REAL NOT NULL,
    labels TEXT,
    granularity TEXT DEFAULT 'raw'
);
CREATE INDEX idx_metrics_timestamp ON metrics(timestamp);
CREATE INDEX idx_metrics_wan_metric_time ON metrics(wan_name, metric_name, timestamp);
CREATE INDEX idx_metrics_granularity_time ON metrics(granularity, timestamp);
";

/// A row of the original.
pub(crate) type Row<'a> = (i64, &'a str, &'a str, f64, Option<&'a str>, &'a str);

pub(crate) struct Old {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) db: Connection,
}

impl Old {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Connection::open(folder.path().join("old.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch(ORIGINAL).unwrap();
        Old { folder, db }
    }

    pub(crate) fn with(rows: &[Row<'_>]) -> Self {
        let old = Self::new();
        for row in rows {
            old.add(*row);
        }
        old
    }

    pub(crate) fn add(&self, (timestamp, wan, metric, value, labels, granularity): Row<'_>) {
        let insert =
            "INSERT INTO metrics (timestamp, wan_name, metric_name, value, labels, granularity)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut insert = self.db.prepare_cached(insert).unwrap();
        insert.execute(params![timestamp, wan, metric, value, labels, granularity]).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn import(&self) -> Import {
        let (from, to) = (self.path("old.db"), self.path("new.db"));
        Import { from, to, until: LATER, dry_run: false }
    }

    pub(crate) fn run(&self) -> ImportReport {
        let report = self.import().run(|_| true).unwrap();
        assert_adds_up(&report);
        assert!(report.complete);
        report
    }

    /// What the new file holds: timestamp, micros, metric, source, value; oldest first.
    pub(crate) fn found(&self) -> Vec<(i64, u32, String, String, f64)> {
        let new = Connection::open(self.path("new.db")).unwrap();
        let sql = "SELECT timestamp - ?1, micros, metric_name, source, value FROM metrics
             ORDER BY timestamp, micros, metric_name";
        let mut rows = new.prepare(sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        };
        rows.query_map([START], row).unwrap().map(Result::unwrap).collect()
    }

    /// How many rows stand in one of the two files and not in the other, by SQLite's own count. Longer
    /// intervals that were made of the original's shorter ones are none.
    pub(crate) fn differences(&self) -> i64 {
        self.only_in("main", "old") + self.missing()
    }

    /// How many rows stand in the original's file and not in ours.
    pub(crate) fn missing(&self) -> i64 {
        self.only_in("old", "main")
    }

    fn only_in(&self, one: &str, other: &str) -> i64 {
        let db = Connection::open(self.path("new.db")).unwrap();
        db.execute("ATTACH ?1 AS old", [self.path("old.db").to_str().unwrap()]).unwrap();
        let rows = |schema| {
            format!(
                "SELECT timestamp, wan_name, metric_name, value, labels, granularity, count(*)
                 FROM {schema}.metrics GROUP BY 1, 2, 3, 4, 5, 6"
            )
        };
        let made = "granularity IN ('5m', '1h') AND EXISTS (SELECT 1 FROM old.metrics AS shorter
                    WHERE shorter.granularity IN ('1m', '5m')
                    AND shorter.granularity <> found.granularity
                    AND shorter.metric_name = found.metric_name
                    AND shorter.wan_name = found.wan_name AND shorter.timestamp >= found.timestamp
                    AND shorter.timestamp < found.timestamp + iif(granularity = '5m', 300, 3600))";
        let sql = format!(
            "SELECT count(*) FROM ({} EXCEPT {}) AS found WHERE NOT ({made})",
            rows(one),
            rows(other)
        );
        db.query_row(&sql, [], |row| row.get(0)).unwrap()
    }
}

#[track_caller]
pub(crate) fn assert_adds_up(report: &ImportReport) {
    let skipped: u64 = report.skipped.values().sum();
    let sum = report.imported() + report.already + report.duplicates + skipped;
    assert_eq!(report.read, sum, "{report:?}");
}

/// A history as the original leaves it: hours, then intervals of five minutes and of one, then raw rows of
/// autorate (20 cycles a second, six rows each) and steering (twice a second, five rows).
pub(crate) fn realistic(rows: usize) -> Old {
    let old = Old::new();
    old.db.execute_batch("BEGIN").unwrap();
    for (seconds, granularity, ago) in [(3600, "1h", 90), (300, "5m", 40), (60, "1m", 20)] {
        for interval in 0..30 {
            let at = (START / 3600) * 3600 - ago * 3600 + interval * seconds;
            for metric in ["wanctl_rtt_ms", "wanctl_rate_download_mbps", "wanctl_state"] {
                old.add((at, "spectrum", metric, 20.0 + interval as f64 / 7.0, None, granularity));
            }
        }
    }
    old.add((
        START,
        "spectrum",
        "wanctl_config_snapshot",
        START as f64,
        Some(CONFIGURATION),
        "raw",
    ));
    let (mut count, mut cycle) = (0, 0);
    while count < rows {
        let (at, tick) = (START + cycle / 20, cycle as f64);
        let rtt = ((2300.0 + 400.0 * (tick / 900.0).sin()).round() + tick % 7.0) / 100.0;
        // An average with all its digits.
        let baseline = 22.0 + (tick / 5000.0).sin() / 3.0;
        let download = Some(r#"{"direction": "download"}"#);
        for wan in ["spectrum", "att"] {
            old.add((at, wan, "wanctl_rtt_ms", rtt, None, "raw"));
            old.add((at, wan, "wanctl_rtt_baseline_ms", baseline, None, "raw"));
            old.add((at, wan, "wanctl_rtt_delta_ms", rtt - baseline, None, "raw"));
            old.add((at, wan, "wanctl_rate_download_mbps", 900.0 - tick % 40.0, None, "raw"));
            old.add((at, wan, "wanctl_rate_upload_mbps", 38.0, None, "raw"));
            old.add((at, wan, "wanctl_state", tick % 4.0, download, "raw"));
            count += 6;
            if cycle % 1000 == 7 {
                let labels = format!(
                    r#"{{"direction": "download", "reason": "RTT delta {rtt}ms exceeded \u00b5"}}"#
                );
                old.add((at, wan, "wanctl_state", 2.0, Some(&labels), "raw"));
            }
        }
        if cycle % 10 == 3 {
            let steering = Some(r#"{"source": "steering"}"#);
            old.add((at, "spectrum", "wanctl_rtt_ms", rtt + 0.5, None, "raw"));
            old.add((at, "spectrum", "wanctl_rtt_baseline_ms", baseline, None, "raw"));
            old.add((at, "spectrum", "wanctl_rtt_delta_ms", rtt + 0.5 - baseline, None, "raw"));
            old.add((at, "spectrum", "wanctl_steering_enabled", 0.0, None, "raw"));
            old.add((at, "spectrum", "wanctl_state", 0.0, steering, "raw"));
            count += 5;
        }
        cycle += 1;
    }
    old.db.execute_batch("COMMIT").unwrap();
    old
}

pub(crate) const CONFIGURATION: &str = r#"{"trigger": "startup", "autorate": {"baseline_rtt_initial": 25, "target_bloat_ms": 15.5}, "steering": null}"#;
