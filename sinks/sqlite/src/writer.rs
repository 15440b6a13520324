//! The open file: one transaction a batch, then a slice of maintenance.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, Transaction, ffi};
use wanctl_sink::{Batch, Deadline, FaultClass, OpenContext, SinkError, SinkWriter, Written};

use crate::beside::Beside;
use crate::database::{begin, wait_for_locks};
use crate::fault::{class, failed};
use crate::insert::Insert;
use crate::maintenance::Maintenance;
use crate::places::Places;

use crate::{SqliteConfig, database, quarantine};

/// How often a checkpoint is interrupted that goes on after its deadline.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(10);

/// Writes batches to the file at a path.
pub(crate) struct SqliteWriter {
    sink: String,
    path: PathBuf,
    store: Option<Store>,
    maintenance: Maintenance,
}

/// What belongs to one file; it goes when the file at the path is another one.
struct Store {
    db: Connection,
    identity: database::Identity,
    beside: Beside,
    places: Places,
}

impl SqliteWriter {
    pub(crate) fn open(config: &SqliteConfig, context: &OpenContext) -> Result<Self, SinkError> {
        let path = std::path::absolute(&config.path)
            .map_err(|error| SinkError::io("can't make the path absolute", error))?;
        let mut writer = SqliteWriter {
            sink: context.sink.clone(),
            maintenance: Maintenance::new(&context.sink, &path, config),
            path,
            store: None,
        };
        writer.store(context.deadline)?;
        Ok(writer)
    }

    /// The file that has this path now, opened again if it is another one than before.
    fn store(&mut self, deadline: Deadline) -> Result<&mut Store, SinkError> {
        let now = database::identity(&self.path);
        let store = match self.store.take() {
            Some(store) if now == Some(store.identity) => store,
            old => {
                let replaced = old.is_some();
                self.maintenance.begin_anew();
                if let Some(old) = old
                    && let Err(error) = old.leave_behind(&self.path, deadline)
                {
                    self.store = Some(old);
                    return Err(error);
                }
                let db = quarantine::open_sound(&self.path, &self.sink, deadline)?;
                let identity = database::identity(&self.path).ok_or_else(|| {
                    let message = format!("{} vanished while it was opened", self.path.display());
                    SinkError::new(FaultClass::Transient, message)
                })?;
                // A file that can't be opened is an outage, of which the pipeline speaks.
                if replaced {
                    tracing::warn!(
                        sink = self.sink,
                        path = %self.path.display(),
                        "The history file was deleted or replaced; the one at the path is used now."
                    );
                }
                let beside = Beside::of(&self.path);
                Store { db, identity, beside, places: Places::default() }
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
        // A check that takes too long counts as damage; but without any time left, another writer may be at
        // work on the file by now, and finds the damage itself.
        let half = Deadline::after(deadline.remaining() / 2);
        if quarantine::is_sound(&self.path, half) || deadline.is_over() {
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
            return Written::Failed(no_time());
        }
        let store = match self.store(deadline) {
            Ok(store) => store,
            Err(error) => return Written::Failed(later(error)),
        };
        match store.insert(batch, deadline) {
            Ok(rejected) => {
                let newest = batch.rows().map(|row| row.at.unix_seconds()).max();
                if let (Some(newest), Some(store)) = (newest, &self.store)
                    && let Err(error) = self.maintenance.run(&store.db, newest, deadline)
                {
                    // This batch is written; the next one goes to a sound file.
                    self.examine(&error, deadline);
                }
                if rejected.is_empty() { Written::All } else { Written::Rejected(rejected) }
            }
            Err(error) => {
                store.places.forget();
                let error = match error {
                    Unwritten::TimeIsUp => no_time(),
                    Unwritten::Sqlite(error) => later(self.failed("write to", error)),
                };
                if error.class == FaultClass::Corrupt {
                    self.examine(&error, deadline);
                }
                Written::Failed(error)
            }
        }
    }

    fn probe(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        let store = self.store(deadline).map_err(later)?;
        // Taking the write lock and giving it back shows that a write would go through.
        let probed = begin(&store.db, deadline).and_then(Transaction::rollback);
        probed.map_err(|error| later(self.failed("write to", error)))
    }

    /// Every commit is on disk already, so only the log is left to be put into the file.
    fn close(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        self.maintenance.begin_anew();
        let Some(Store { db, .. }) = self.store.take() else { return Ok(()) };
        let closed = match checkpoint(&db, deadline) {
            // Closing would go on with the checkpoint; whoever opens the file next will.
            Err(error) if class(&error) == FaultClass::Cancelled => database::keep_log(&db, true),
            done => done,
        };
        match closed.and(db.close().map_err(|(_, error)| error)) {
            // A reader is still at it, and will find everything in the log.
            Err(error) if class(&error) == FaultClass::Transient => Ok(()),
            closed => closed.map_err(|error| self.failed("close", error)),
        }
    }
}

impl Store {
    /// Puts the log into the file, which is no longer at this path, and leaves nothing of it there.
    fn leave_behind(&self, path: &Path, deadline: Deadline) -> Result<(), SinkError> {
        // Whatever else is wrong with a file that is gone must not keep the next one waiting.
        if let Err(error) = checkpoint(&self.db, deadline)
            && class(&error) == FaultClass::Cancelled
        {
            return Err(no_time());
        }
        self.beside.take_away(path).map_err(|error| {
            SinkError::io(&format!("can't take away the old log of {}", path.display()), error)
        })
    }

    /// Inserts all rows but those that can't be stored; returns these.
    fn insert(
        &mut self,
        batch: &Batch<'_>,
        deadline: Deadline,
    ) -> Result<Vec<(usize, String)>, Unwritten> {
        let transaction = begin(&self.db, deadline)?;
        let rejected = Insert::batch(&transaction, &mut self.places, batch)?;
        wait_for_locks(&transaction, deadline)?;
        // A call that overran its deadline may have been given up, and its batch written by another
        // writer. It must not leave a row any more: the transaction is rolled back.
        if deadline.is_over() {
            return Err(Unwritten::TimeIsUp);
        }
        transaction.commit()?;
        Ok(rejected)
    }
}

/// Why a batch is not in the file.
#[derive(Debug)]
enum Unwritten {
    /// The deadline passed.
    TimeIsUp,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unwritten {
    fn from(error: rusqlite::Error) -> Self {
        Unwritten::Sqlite(error)
    }
}

fn no_time() -> SinkError {
    SinkError::new(FaultClass::Cancelled, "no time left to write")
}

/// A failure after the file could be opened once. The path is no wrong configuration then, and what is in
/// its way now (a read-only disk, a file of somebody else) may go away as it came: it is tried again soon.
fn later(mut error: SinkError) -> SinkError {
    if error.class == FaultClass::Config {
        error.class = FaultClass::Resource;
    }
    error
}

/// Puts the log into the file and empties it. Interrupted at the deadline.
fn checkpoint(db: &Connection, deadline: Deadline) -> rusqlite::Result<()> {
    if deadline.is_over() {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None));
    }
    wait_for_locks(db, deadline)?;
    let interrupt = db.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    // A checkpoint is one step of one statement, in which SQLite calls no progress handler.
    let watch = move || {
        let mut patience = deadline.remaining();
        while is_done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
            // An interrupt that came before the statement began is forgotten.
            patience = INTERRUPT_AGAIN;
        }
    };
    thread::scope(|scope| {
        // Without a thread the checkpoint takes the time it takes.
        let _ = thread::Builder::new().spawn_scoped(scope, watch);
        let checkpointed = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        drop(done);
        checkpointed
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wanctl_sink::{
        Frame, Item, Kind, Metric, Rollup, Schema, Series, SinkConfig, Timestamp, Unit,
    };

    use super::*;

    static RTT: Metric = Metric {
        name: "wanctl_test_rtt_ms",
        unit: Unit::Milliseconds,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "Round-trip time",
        states: &[],
    };

    fn config(folder: &tempfile::TempDir) -> SqliteConfig {
        SqliteConfig { path: folder.path().join("metrics.db"), ..SqliteConfig::default() }
    }

    fn writer(config: &SqliteConfig) -> SqliteWriter {
        SqliteWriter::open(config, &OpenContext::new("history", soon())).unwrap()
    }

    fn row() -> Item {
        let schema = Schema::new(vec![Series::new(&RTT, "wan1", "test")]).unwrap();
        let at = Timestamp { unix_nanos: 1_769_300_027_000_000_000, mono_nanos: 0 };
        let mut frame = Frame::new(at, &schema);
        frame.push(0, 23.4);
        Item::Frame(Arc::new(frame))
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    fn rows(config: &SqliteConfig) -> i64 {
        let db = Connection::open(&config.path).unwrap();
        db.query_row("SELECT count(*) FROM metrics", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_write_that_is_late_after_its_last_row_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let mut late = writer(&config);
        let deadline = Deadline::after(Duration::from_millis(100));
        let db = &mut late.store.as_mut().unwrap().db;
        let sleepy = move |_, _: &str, _: &str, _| while !deadline.is_over() {};
        db.update_hook(Some(sleepy)).unwrap();
        match late.write(&Batch::new(&[row()]), deadline) {
            Written::Failed(error) => assert_eq!(error.class, FaultClass::Cancelled, "{error}"),
            written => panic!("{written:?}"),
        }
        assert_eq!(rows(&config), 0);

        // The lock went with the transaction: the writer in its place is not held up.
        let mut other = config.open(&OpenContext::new("history", soon())).unwrap();
        assert!(matches!(other.write(&Batch::new(&[row()]), soon()), Written::All));
        assert_eq!(rows(&config), 1);
    }

    #[test]
    fn closing_without_time_leaves_the_log_and_no_row_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let mut writer = writer(&config);
        assert!(matches!(writer.write(&Batch::new(&[row()]), soon()), Written::All));
        writer.close(Deadline::after(Duration::ZERO)).unwrap();
        assert!(folder.path().join("metrics.db-wal").metadata().unwrap().len() > 0);
        assert_eq!(rows(&config), 1);
    }
}
