//! The sqlite sink keeps the contract of sinks.

#![cfg(test)]

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use wanctl_sink::Row;
use wanctl_sink::conformance::{Arrived, Fault, Harness};
use wanctl_sink_sqlite as _;

/// A file in a folder of its own, and a program that locks it.
struct File {
    folder: tempfile::TempDir,
    lock: Mutex<Option<Connection>>,
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join("metrics.db")
    }
}

impl Harness for File {
    const KIND: &'static str = "sqlite";

    fn new() -> Self {
        File { folder: tempfile::tempdir().unwrap(), lock: Mutex::default() }
    }

    fn settings(&self) -> String {
        format!("{{ path: {}, retention: {{ raw: 7d }} }}", self.path().display())
    }

    /// By plain SQL, as any program would read it.
    fn arrived(&self) -> Vec<Arrived> {
        let query = "SELECT metric_name, wan_name, source, labels, timestamp, micros, value
                     FROM metrics WHERE granularity = 'raw' ORDER BY timestamp, micros";
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(self.path(), flags).unwrap();
        let mut statement = db.prepare(query).unwrap();
        let rows = statement.query_map([], |row| {
            let (seconds, micros): (i64, i64) = (row.get(4)?, row.get(5)?);
            Ok(Arrived {
                metric: row.get(0)?,
                wan: row.get(1)?,
                source: row.get(2)?,
                labels: row.get(3)?,
                unix_nanos: (seconds * 1_000_000 + micros) * 1000,
                value: row.get(6)?,
            })
        });
        rows.unwrap().map(|row| row.unwrap()).collect()
    }

    /// SQLite keeps whole numbers as integers, which have no minus zero.
    fn keeps(&self, row: &Row<'_>) -> Option<Arrived> {
        Some(Arrived { value: row.value + 0.0, ..Arrived::from(row) })
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.folder.path().to_owned())
    }

    /// Another program has the file locked for writing. To the sink it is silent and then refuses.
    fn break_down(&self, _: Fault) -> bool {
        let db = Connection::open(self.path()).unwrap();
        db.execute_batch("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(db);
        true
    }

    fn mend(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

wanctl_sink::conformance!(File);
