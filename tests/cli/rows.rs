//! History as another program reads it: the `metrics` relation, over a connection of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// One row of `metrics`.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Unix time in µs.
    pub(super) at: i64,
    pub(super) wan: String,
    pub(super) metric: String,
    pub(super) source: String,
    pub(super) value: f64,
    pub(super) labels: Option<Value>,
}

impl Row {
    /// The row as text, which can be compared and sorted.
    pub(super) fn key(&self) -> String {
        let labels = self.labels.as_ref().map(Value::to_string);
        format!(
            "{} {} {} {} {labels:?} {:?}",
            self.at, self.wan, self.metric, self.source, self.value
        )
    }
}

/// Opens history for reading only.
pub(super) fn open(database: &Path) -> Connection {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    db
}

/// All rows, oldest first.
pub(super) fn read(database: &Path) -> Vec<Row> {
    try_read(&open(database)).unwrap()
}

/// All rows so far; none while there is no history yet.
pub(super) fn so_far(database: &Path) -> Vec<Row> {
    if !database.exists() {
        return Vec::new();
    }
    try_read(&open(database)).unwrap_or_default()
}

fn try_read(db: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut statement = db.prepare(
        "SELECT timestamp, micros, wan_name, metric_name, source, value, labels FROM metrics
         WHERE granularity = 'raw'
         ORDER BY timestamp, micros",
    )?;
    let rows = statement.query_map([], |row| {
        let labels: Option<String> = row.get(6)?;
        Ok(Row {
            at: row.get::<_, i64>(0)? * 1_000_000 + row.get::<_, i64>(1)?,
            wan: row.get(2)?,
            metric: row.get(3)?,
            source: row.get(4)?,
            value: row.get(5)?,
            labels: labels.map(|text| serde_json::from_str(&text).unwrap()),
        })
    })?;
    rows.collect()
}

/// The values of a metric from this source, oldest first.
pub(super) fn values(rows: &[Row], source: &str, metric: &str) -> Vec<f64> {
    let wanted = rows.iter().filter(|row| row.source == source && row.metric == metric);
    wanted.map(|row| row.value).collect()
}

/// How many cycles of this source are recorded: each has one outcome of its probes.
pub(super) fn cycles(rows: &[Row], source: &str) -> u64 {
    values(rows, source, "wanctl_probe_outcome").len() as u64
}

/// Checks that every cycle of a source has exactly its rows, and returns how many cycles there are.
pub(super) fn check_cycles(rows: &[Row], source: &str) -> u64 {
    let mut cycles: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.source == source) {
        assert_eq!(row.wan, "loop", "{row:?}");
        let event = row.metric == "wanctl_config_snapshot"
            || row.labels.as_ref().is_some_and(|labels| labels.get("reason").is_some());
        if event {
            continue;
        }
        let labels = row.labels.as_ref().map(Value::to_string).unwrap_or_default();
        let twice =
            cycles.entry(row.at).or_default().insert(row.metric.clone() + &labels, row.value);
        assert_eq!(twice, None, "{row:?}");
    }
    let always: &[&str] = match source {
        "autorate" => &[
            "wanctl_probe_outcome",
            "wanctl_rate_download_mbps",
            "wanctl_rate_upload_mbps",
            r#"wanctl_state{"direction":"download"}"#,
            r#"wanctl_state{"direction":"upload"}"#,
        ],
        _ => &[
            "wanctl_probe_outcome",
            "wanctl_steering_enabled",
            r#"wanctl_state{"source":"steering"}"#,
        ],
    };
    let fresh_codes: &[f64] = if source == "autorate" { &[0.0, 1.0] } else { &[0.0] };
    for (at, cycle) in &cycles {
        let names: BTreeSet<&str> = cycle.keys().map(String::as_str).collect();
        let mut expected: BTreeSet<&str> = always.iter().copied().collect();
        if fresh_codes.contains(&cycle["wanctl_probe_outcome"]) {
            expected.insert("wanctl_rtt_ms");
        }
        // Before the first answer there is no baseline.
        for derived in ["wanctl_rtt_baseline_ms", "wanctl_rtt_delta_ms"] {
            if expected.contains("wanctl_rtt_ms") || names.contains(derived) {
                expected.insert(derived);
            }
        }
        assert_eq!(names, expected, "{source} at {at}");
    }
    cycles.len() as u64
}
