//! The open file: one transaction a batch, then a little clean-up.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use wanctl_sink::{
    Batch, Deadline, FaultClass, Identity, OpenContext, SinkError, SinkWriter, Written,
};

use crate::fault::{class, failed};
use crate::retention::Retention;
use crate::series_ids::SeriesIds;
use crate::{SqliteConfig, database, quarantine};

/// How long one call waits for another process at most, so that a long deadline doesn't hide a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Writes batches to the file at a path.
pub(crate) struct SqliteWriter {
    sink: String,
    path: PathBuf,
    store: Option<Store>,
    retention: Retention,
}

/// What belongs to one file; it goes when the file at the path is another one.
struct Store {
    db: Connection,
    identity: database::Identity,
    ids: SeriesIds,
}

impl SqliteWriter {
    pub(crate) fn open(config: &SqliteConfig, context: &OpenContext) -> Result<Self, SinkError> {
        let path = std::path::absolute(&config.path)
            .map_err(|error| SinkError::io("can't make the path absolute", error))?;
        let mut writer = SqliteWriter {
            sink: context.sink.clone(),
            path,
            store: None,
            retention: Retention::new(config.retention_days),
        };
        writer.store(LOCK_WAIT)?;
        Ok(writer)
    }

    /// The file that has this path now, opened again if it is another one than before.
    fn store(&mut self, wait: Duration) -> Result<&mut Store, SinkError> {
        let now = database::identity(&self.path);
        let store = match self.store.take() {
            Some(store) if now == Some(store.identity) => store,
            old => {
                if let Some(old) = old {
                    tracing::warn!(
                        sink = self.sink,
                        path = %self.path.display(),
                        "The history file was deleted or replaced; the one at the path is used now."
                    );
                    // The old file's log, left beside a new file, would be taken for that one's.
                    let _ = checkpoint(&old.db);
                }
                let db = quarantine::open_sound(&self.path, &self.sink, wait)?;
                let identity = database::identity(&self.path).ok_or_else(|| {
                    let message = format!("{} vanished while it was opened", self.path.display());
                    SinkError::new(FaultClass::Transient, message)
                })?;
                Store { db, identity, ids: SeriesIds::default() }
            }
        };
        Ok(self.store.insert(store))
    }

    fn failed(&self, doing: &str, error: rusqlite::Error) -> SinkError {
        failed(&format!("can't {doing} {}", self.path.display()), error)
    }

    /// After SQLite has called the file damaged: lets go of it, and moves it aside unless a check finds
    /// nothing wrong.
    fn examine(&mut self, error: &SinkError, deadline: Deadline) {
        let Some(Store { db, identity, .. }) = self.store.take() else { return };
        // Rows that are only in the log may be all that can be saved.
        let _ = database::keep_log(&db, true);
        drop(db);
        if quarantine::is_sound(&self.path, deadline) {
            return;
        }
        if let Err(problem) = quarantine::set_aside(&self.path, identity, &self.sink, error) {
            tracing::warn!(sink = self.sink, error = %problem, "The damaged file stays in place.");
        }
    }
}

impl SinkWriter for SqliteWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        if batch.is_empty() {
            return Written::All;
        }
        if deadline.is_over() {
            return Written::Failed(SinkError::new(FaultClass::Cancelled, "no time left to write"));
        }
        let store = match self.store(lock_wait(deadline)) {
            Ok(store) => store,
            Err(error) => return Written::Failed(error),
        };
        match store.insert(batch, deadline) {
            Ok(rejected) => {
                let newest = batch.rows().map(|row| row.at.unix_seconds()).max();
                if let (Some(newest), Some(store)) = (newest, &self.store) {
                    self.retention.clean(&store.db, newest, &self.sink);
                }
                if rejected.is_empty() { Written::All } else { Written::Rejected(rejected) }
            }
            Err(error) => {
                store.ids.forget();
                let error = self.failed("write to", error);
                if error.class == FaultClass::Corrupt {
                    self.examine(&error, deadline);
                }
                Written::Failed(error)
            }
        }
    }

    fn probe(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        let store = self.store(lock_wait(deadline))?;
        // Taking the write lock and giving it back shows that a write would go through.
        let probed = begin(&store.db, deadline).and_then(Transaction::rollback);
        probed.map_err(|error| self.failed("write to", error))
    }

    /// Every commit is on disk already, so only the log is left to be put into the file.
    fn close(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        let Some(Store { db, .. }) = self.store.take() else { return Ok(()) };
        let wait = db.busy_timeout(lock_wait(deadline));
        match wait.and_then(|()| checkpoint(&db)).and_then(|()| db.close().map_err(|(_, e)| e)) {
            // A reader is still at it, and will find everything in the log.
            Err(error) if class(&error) == FaultClass::Transient => Ok(()),
            closed => closed.map_err(|error| self.failed("close", error)),
        }
    }
}

impl Store {
    /// Inserts all rows but those that can't be stored; returns these.
    fn insert(
        &mut self,
        batch: &Batch<'_>,
        deadline: Deadline,
    ) -> rusqlite::Result<Vec<(usize, String)>> {
        let transaction = begin(&self.db, deadline)?;
        let mut rejected = Vec::new();
        let mut add_sample = transaction.prepare_cached(
            "INSERT OR IGNORE INTO samples (series_id, sec, us, value) VALUES (?1, ?2, ?3, ?4)",
        )?;
        let mut stored_sample = transaction.prepare_cached(
            "SELECT value FROM samples WHERE series_id = ?1 AND sec = ?2 AND us = ?3",
        )?;
        let mut add_event = transaction.prepare_cached(
            "INSERT OR IGNORE INTO events (sec, us, wan_name, metric_name, source, value, labels)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (position, row) in batch.rows().enumerate() {
            if !row.value.is_finite() {
                // It would be stored as NULL, which the table ignores without a word.
                rejected.push((position, format!("{} can't be stored", row.value)));
                continue;
            }
            let (sec, us) = (row.at.unix_seconds(), row.at.subsec_micros());
            match row.identity {
                Identity::Series { schema, series } => {
                    let id = self.ids.id(&transaction, schema, series)?;
                    let added = add_sample.execute(params![id, sec, us, row.value])?;
                    if added == 0 {
                        let key = params![id, sec, us];
                        let stored: f64 = stored_sample.query_row(key, |row| row.get(0))?;
                        // The same value came with an earlier try of this batch.
                        if stored != row.value {
                            let why = "the series has another value at this microsecond";
                            rejected.push((position, why.to_owned()));
                        }
                    }
                }
                Identity::Event(_) => {
                    let labels = row.label_text().unwrap_or_default();
                    let (wan, metric, source) = (row.wan(), row.metric().name, row.source());
                    add_event.execute(params![sec, us, wan, metric, source, row.value, labels])?;
                }
            }
        }
        drop((add_sample, stored_sample, add_event));
        transaction.commit()?;
        Ok(rejected)
    }
}

/// How long a call with this deadline waits for another process.
fn lock_wait(deadline: Deadline) -> Duration {
    deadline.remaining().min(LOCK_WAIT)
}

/// Begins a transaction that can write, and waits for other processes a while.
fn begin(db: &Connection, deadline: Deadline) -> rusqlite::Result<Transaction<'_>> {
    db.busy_timeout(lock_wait(deadline))?;
    Transaction::new_unchecked(db, TransactionBehavior::Immediate)
}

/// Puts the log into the file and empties it.
fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
