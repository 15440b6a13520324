//! The original's layout: a row a sample, its names in every row, three indexes.

use std::path::Path;

use rusqlite::{Connection, params};

use super::ours::WAN;
use crate::signal::{HZ, Tick, VALUES};

const SCHEMA: &str = "
    PRAGMA journal_mode=WAL;
    PRAGMA synchronous=NORMAL;
    CREATE TABLE metrics (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        timestamp INTEGER NOT NULL,
        wan_name TEXT NOT NULL,
        metric_name TEXT NOT NULL,
        value REAL NOT NULL,
        labels TEXT,
        granularity TEXT DEFAULT 'raw'
    );
    CREATE INDEX idx_metrics_timestamp ON metrics (timestamp);
    CREATE INDEX idx_metrics_wan_metric_time ON metrics (wan_name, metric_name, timestamp);
    CREATE INDEX idx_metrics_granularity_time ON metrics (granularity, timestamp);";

/// Names and labels of a tick's values.
const SERIES: [(&str, Option<&str>); VALUES] = [
    ("wanctl_rtt_ms", None),
    ("wanctl_rtt_baseline_ms", None),
    ("wanctl_rtt_delta_ms", None),
    ("wanctl_rate_download_mbps", None),
    ("wanctl_rate_upload_mbps", None),
    ("wanctl_state", Some(r#"{"direction": "download"}"#)),
];

/// An open file.
pub(crate) struct Plain(Connection);

impl Plain {
    pub(crate) fn open(path: &Path) -> Self {
        let db = Connection::open(path).unwrap();
        db.execute_batch(SCHEMA).unwrap();
        Plain(db)
    }

    /// One transaction.
    pub(crate) fn write(&self, ticks: &[Tick]) {
        self.0.execute_batch("BEGIN").unwrap();
        for tick in ticks {
            self.insert(tick.micros.div_euclid(1_000_000), &tick.values, "raw");
        }
        self.0.execute_batch("COMMIT").unwrap();
    }

    /// The means of each whole minute of the ticks, which are whole minutes; a transaction.
    pub(crate) fn write_minutes(&self, ticks: &[Tick]) {
        self.0.execute_batch("BEGIN").unwrap();
        for minute in ticks.chunks(60 * HZ as usize) {
            let mean = |position: usize| {
                minute.iter().map(|tick| tick.values[position]).sum::<f64>() / minute.len() as f64
            };
            let start = minute[0].micros.div_euclid(60_000_000) * 60;
            self.insert(start, &std::array::from_fn(mean), "1m");
        }
        self.0.execute_batch("COMMIT").unwrap();
    }

    fn insert(&self, second: i64, values: &[f64; VALUES], granularity: &str) {
        let sql =
            "INSERT INTO metrics (timestamp, wan_name, metric_name, value, labels, granularity)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut insert = self.0.prepare_cached(sql).unwrap();
        for ((metric, labels), value) in SERIES.iter().zip(values) {
            insert.execute(params![second, WAN, metric, value, labels, granularity]).unwrap();
        }
    }
}
