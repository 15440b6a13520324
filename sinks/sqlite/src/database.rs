//! Opening the file: whose it is, which version, and the layout of a new one.
//!
//! Nothing here takes longer for a larger file: no integrity scan, no clean-up, no vacuum.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use wanctl_sink::{Deadline, FaultClass, SinkError};

use crate::fault::failed;

/// "wanc" in ASCII, in the header of each file that is ours.
pub(crate) const APPLICATION_ID: i32 = 0x7761_6e63;

/// The version of `schema.sql`.
pub(crate) const SCHEMA_VERSION: i32 = 2;

/// How long one call waits for another process at most, so that a long deadline doesn't hide a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How large a write-ahead log stays on disk after a checkpoint.
const JOURNAL_SIZE_LIMIT: i64 = 64 * 1024 * 1024;

/// Which file a path led to: device and inode.
pub(crate) type Identity = (u64, u64);

/// Which file the path leads to now; `None` when there is none.
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Lets what follows on this connection wait for other processes, but not beyond the deadline.
pub(crate) fn wait_for_locks(db: &Connection, deadline: Deadline) -> rusqlite::Result<()> {
    db.busy_timeout(deadline.remaining().min(LOCK_WAIT))
}

/// The path of what stands beside a database: its log, for one, has the suffix `-wal`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Opens the history at an absolute path for writing, and creates it and its folder where missing.
/// Waits for a process that has the file locked, but not beyond the deadline.
pub(crate) fn open(path: &Path, deadline: Deadline) -> Result<Connection, SinkError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| {
            SinkError::io(&format!("can't create folder {}", folder.display()), error)
        })?;
    }
    // Without the flag for URIs and with an absolute path, no spelling of a path means anything else.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let doing = format!("can't open {}", path.display());
    let mut db = Connection::open_with_flags(path, flags)
        .map_err(|error| refused(path).unwrap_or_else(|| failed(&doing, error)))?;
    // SQLite opens what it may not write for reading.
    if db.is_readonly(rusqlite::MAIN_DB).map_err(|e| failed(&doing, e))?
        && let Some(error) = refused(path)
    {
        return Err(error);
    }
    wait_for_locks(&db, deadline).map_err(|e| failed(&doing, e))?;
    // Until it is known to be ours and readable, nothing in the file or its log may change.
    keep_log(&db, true).map_err(|e| failed(&doing, e))?;
    let owner = owner(&db, path)?;
    keep_log(&db, false).map_err(|e| failed(&doing, e))?;
    // Each step may wait for a lock; together they don't wait beyond the deadline.
    wait_for_locks(&db, deadline).map_err(|e| failed(&doing, e))?;
    if owner == Owner::Nobody {
        create(&mut db, path, deadline)?;
    }
    db.pragma_update(None, "synchronous", "FULL").map_err(|e| failed(&doing, e))?;
    db.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)
        .map_err(|e| failed(&doing, e))?;
    Ok(db)
}

/// What the system says to somebody who wants to write this file; SQLite only says that it can't.
fn refused(path: &Path) -> Option<SinkError> {
    let error = fs::OpenOptions::new().read(true).append(true).create(true).open(path).err()?;
    Some(SinkError::io(&format!("can't write {}", path.display()), error))
}

/// Whether closing the last connection leaves the write-ahead log as it is. SQLite's default is to put
/// it into the file, which for a damaged or foreign file would make things worse.
pub(crate) fn keep_log(db: &Connection, keep: bool) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

#[derive(PartialEq, Eq)]
enum Owner {
    Us,
    /// There is nothing in the file.
    Nobody,
}

/// Tells whose the file is by reading its first page only.
fn owner(db: &Connection, path: &Path) -> Result<Owner, SinkError> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let read = || -> rusqlite::Result<(i32, i32, i32)> {
        Ok((pragma("schema_version")?, pragma("application_id")?, pragma("user_version")?))
    };
    let log = with_suffix(path, "-wal");
    let path = path.display();
    let wrong = |error| match failed(&format!("can't read {path}"), error) {
        // The file was opened, so it is the log that is in the way.
        error if error.class == FaultClass::Config => refused(&log).unwrap_or(error),
        error => error,
    };
    match read().map_err(wrong)? {
        (0, _, _) => Ok(Owner::Nobody),
        (_, APPLICATION_ID, SCHEMA_VERSION) => Ok(Owner::Us),
        (_, APPLICATION_ID, version) => Err(SinkError::new(
            FaultClass::Config,
            format!(
                "{path} has schema version {version}; accepted: {SCHEMA_VERSION} (move it aside; a \
                 version of this program that made it reads it)"
            ),
        )),
        _ if is_of_the_original(db) => Err(SinkError::new(
            FaultClass::Config,
            format!(
                "{path} is a history of the original wanctl; accepted: a new file, or one that this \
                 sink has made (move it aside, and read it in by `wanctl history import`)"
            ),
        )),
        _ => Err(SinkError::new(
            FaultClass::Config,
            format!(
                "{path} is a database of another program; accepted: a new file, or one that this \
                 sink has made (move the other one aside, or set another path)"
            ),
        )),
    }
}

/// Whether there is a table `metrics` with the columns that the original gave it.
fn is_of_the_original(db: &Connection) -> bool {
    let columns = "SELECT count(*) FROM pragma_table_info('metrics') WHERE name IN
                   ('id', 'timestamp', 'wan_name', 'metric_name', 'value', 'labels', 'granularity')";
    db.query_row(columns, [], |row| row.get(0)) == Ok(7)
}

/// Begins a transaction that can write, and waits for other processes a while.
pub(crate) fn begin(db: &Connection, deadline: Deadline) -> rusqlite::Result<Transaction<'_>> {
    wait_for_locks(db, deadline)?;
    Transaction::new_unchecked(db, TransactionBehavior::Immediate)
}

fn create(db: &mut Connection, path: &Path, deadline: Deadline) -> Result<(), SinkError> {
    let doing = format!("can't create {}", path.display());
    let mode = || -> rusqlite::Result<String> {
        // The other way round, the first of the two is silently ignored.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
    };
    let mode = mode().map_err(|error| failed(&doing, error))?;
    if mode != "wal" {
        tracing::warn!(
            path = %path.display(),
            mode,
            "The file system allows no write-ahead log; readers will wait for the writer."
        );
    }
    let transaction = begin(db, deadline).map_err(|error| failed(&doing, error))?;
    // Another process may have been first.
    if owner(&transaction, path)? == Owner::Nobody {
        let lay_out = || -> rusqlite::Result<()> {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)
        };
        lay_out().map_err(|error| failed(&doing, error))?;
    }
    transaction.commit().map_err(|error| failed(&doing, error))
}
