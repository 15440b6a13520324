//! A file made row by row, as the writer and its maintenance would leave it.

use std::path::PathBuf;

use rusqlite::{Connection, params};

use crate::chunk::{Chunk, Column, Values};
use crate::history::{Granularity, History, Order, Query, Record, Tiers};

/// The hour that all tests begin in.
pub(super) const START: i64 = 1_769_299_200;

pub(super) struct File {
    folder: tempfile::TempDir,
    pub(super) db: Connection,
}

/// Rows of one bundle: microseconds after `START`, and a value for each series.
pub(super) type Rows<'a> = &'a [(i64, &'a [Option<i64>])];

impl File {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Connection::open(folder.path().join("metrics.db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch(include_str!("../../schema.sql")).unwrap();
        db.pragma_update(None, "application_id", crate::database::APPLICATION_ID).unwrap();
        db.pragma_update(None, "user_version", crate::database::SCHEMA_VERSION).unwrap();
        File { folder, db }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("metrics.db")
    }

    /// A new bundle of series with a scale of 100; a name is `metric`, `metric:mode` or `metric{labels}`.
    pub(super) fn bundle(&self, names: &[&str]) -> i64 {
        self.db.execute("INSERT INTO bundles DEFAULT VALUES", []).unwrap();
        let bundle = self.db.last_insert_rowid();
        for (position, name) in names.iter().enumerate() {
            let (name, rollup) = match name.strip_suffix(":mode") {
                Some(name) => (name, "mode"),
                None => (*name, "mean"),
            };
            let (name, labels) = match name.find('{') {
                Some(at) => name.split_at(at),
                None => (name, ""),
            };
            let scale = if rollup == "mode" { 1.0 } else { 100.0 };
            let row = params![bundle, position as i64, name, labels, scale, rollup];
            let sql =
                "INSERT INTO series (bundle_id, position, wan_name, metric_name, source, labels,
                       scale, rollup) VALUES (?1, ?2, 'wan1', ?3, 'autorate', ?4, ?5, ?6)";
            self.db.execute(sql, row).unwrap();
        }
        bundle
    }

    pub(super) fn frames(&self, bundle: i64, rows: Rows<'_>) {
        for (micros, values) in rows {
            let (sec, us) = (START + micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            let at = |column: usize| values.get(column).copied().flatten();
            let sql =
                "INSERT INTO frames (bundle_id, sec, us, v0, v1, v2) VALUES (?, ?, ?, ?, ?, ?)";
            self.db.execute(sql, params![bundle, sec, us, at(0), at(1), at(2)]).unwrap();
        }
    }

    /// The same rows as a chunk.
    pub(super) fn chunk(&self, bundle: i64, rows: Rows<'_>) {
        let mut chunk = Chunk {
            micros: rows.iter().map(|(micros, _)| START * 1_000_000 + micros).collect(),
            ..Chunk::default()
        };
        let mut samples = 0;
        for (position, column) in chunk.columns.iter_mut().enumerate() {
            let values = rows.iter().map(|(_, values)| values.get(position).copied().flatten());
            let present: Vec<bool> = values.clone().map(|value| value.is_some()).collect();
            let values: Vec<i64> = values.flatten().collect();
            samples += values.len();
            if values.is_empty() {
                continue;
            }
            let present = (values.len() < rows.len()).then_some(present);
            *column = Some(Column { present, values: Values::Whole(values) });
        }
        let ends = [rows[0].0, rows[rows.len() - 1].0].map(|at| START + at.div_euclid(1_000_000));
        let data = chunk.encode().unwrap();
        let row = params![bundle, ends[0], ends[1], rows.len() as i64, samples as i64, data];
        let sql = "INSERT INTO chunks (bundle_id, first_sec, last_sec, frames, samples, data)
                   VALUES (?, ?, ?, ?, ?, ?)";
        self.db.execute(sql, row).unwrap();
    }

    /// Moves the frames of these seconds after `START` (the second one excluded) to a chunk.
    pub(super) fn seal(&mut self, bundle: i64, from: i64, to: i64) {
        let transaction = self.db.unchecked_transaction().unwrap();
        let sql = "SELECT sec, us, v0, v1, v2 FROM frames
                   WHERE bundle_id = ? AND sec >= ? AND sec < ? ORDER BY sec, us";
        let range = params![bundle, START + from, START + to];
        let mut select = transaction.prepare(sql).unwrap();
        let rows = select.query_map(range, |row| {
            let at = (row.get::<_, i64>(0)? - START) * 1_000_000 + row.get::<_, i64>(1)?;
            Ok((at, vec![row.get(2)?, row.get(3)?, row.get(4)?]))
        });
        let rows: Vec<(i64, Vec<Option<i64>>)> = rows.unwrap().map(Result::unwrap).collect();
        let rows: Vec<_> = rows.iter().map(|(at, values)| (*at, &values[..])).collect();
        drop(select);
        if !rows.is_empty() {
            self.chunk(bundle, &rows);
        }
        let sql = "DELETE FROM frames WHERE bundle_id = ? AND sec >= ? AND sec < ?";
        transaction.execute(sql, range).unwrap();
        transaction.commit().unwrap();
    }

    /// An interval, whose least and greatest value lie 1 below and 1 above.
    pub(super) fn rollup(&self, seconds: i64, series: i64, start: i64, value: f64, count: i64) {
        self.interval(seconds, series, start, [value, value - 1.0, value + 1.0], count);
    }

    /// An interval with its value, its least and its greatest.
    pub(super) fn interval(
        &self,
        seconds: i64,
        series: i64,
        start: i64,
        [value, min, max]: [f64; 3],
        count: i64,
    ) {
        let row = params![seconds, series, START + start, value, min, max, count];
        let sql = "INSERT INTO rollups (seconds, series_id, start, value, min, max, count)
                   VALUES (?, ?, ?, ?, ?, ?, ?)";
        self.db.execute(sql, row).unwrap();
    }

    pub(super) fn event(&self, micros: i64, metric: &str, labels: &str) {
        let (sec, us) = (START + micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let sql = "INSERT INTO events (sec, us, wan_name, metric_name, source, value, labels)
                   VALUES (?, ?, 'wan1', ?, 'autorate', 1.0, ?)";
        self.db.execute(sql, params![sec, us, metric, labels]).unwrap();
    }

    pub(super) fn history(&self) -> History {
        History::open(self.path()).unwrap()
    }
}

/// Everything, oldest first.
pub(super) fn everything() -> Query {
    Query { order: Order::OldestFirst, tiers: Tiers::Finest, ..Query::default() }
}

/// Microseconds after `START`, tier, metric and value.
pub(super) fn brief(records: &[Record]) -> Vec<(i64, Granularity, &str, f64)> {
    let one = |record: &'_ Record| -> i64 {
        (record.timestamp - START) * 1_000_000 + i64::from(record.micros)
    };
    let names = records.iter().map(|record| record.series.metric_name.as_str());
    let rest = records.iter().map(|record| (one(record), record.granularity, record.value));
    rest.zip(names).map(|((at, granularity, value), name)| (at, granularity, name, value)).collect()
}

/// Microseconds after `START` and values.
pub(super) fn values(records: &[Record]) -> Vec<(i64, f64)> {
    brief(records).into_iter().map(|(at, _, _, value)| (at, value)).collect()
}
