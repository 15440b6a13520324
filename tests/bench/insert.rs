//! What the original did in every cycle: eight rows into SQLite, on the caller's thread.

use std::path::Path;

/// A database of the original's schema and pragmas.
pub(crate) struct SynchronousInsert(rusqlite::Connection);

impl SynchronousInsert {
    pub(crate) fn open(database: &Path) -> Self {
        let connection = rusqlite::Connection::open(database).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
                 CREATE TABLE metrics(id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, wan_name TEXT NOT NULL,
                   metric_name TEXT NOT NULL, value REAL NOT NULL, labels TEXT, granularity TEXT DEFAULT 'raw');
                 CREATE INDEX a ON metrics(timestamp); CREATE INDEX b ON metrics(wan_name, metric_name, timestamp);
                 CREATE INDEX c ON metrics(granularity, timestamp);",
            )
            .unwrap();
        SynchronousInsert(connection)
    }

    /// One transaction of eight rows.
    pub(crate) fn insert(&self, cycle: u32) {
        self.0.execute_batch("BEGIN").unwrap();
        let mut insert = self
            .0
            .prepare_cached("INSERT INTO metrics(timestamp, wan_name, metric_name, value) VALUES (?1, 'wan1', ?2, ?3)")
            .unwrap();
        for metric in
            ["rtt", "baseline", "delta", "download", "upload", "down_state", "up_state", "probe"]
        {
            let at = 1_769_300_000 + i64::from(cycle / 20);
            insert.execute((at, metric, f64::from(cycle % 1000) / 10.0)).unwrap();
        }
        self.0.execute_batch("COMMIT").unwrap();
    }
}
