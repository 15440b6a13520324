//! Moving a damaged file aside, so that recording goes on and the damaged one can still be examined.
#![expect(clippy::disallowed_methods, reason = "the name of the file says when it was moved")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use rusqlite::{Connection, OpenFlags};
use wanctl_sink::{Deadline, FaultClass, SinkError};

use crate::database::{self, Identity, with_suffix};

/// Opens the history at this path; a damaged one is moved aside first. A file that never was a database
/// belongs to somebody else: it is refused and not touched.
pub(crate) fn open_sound(
    path: &Path,
    sink: &str,
    deadline: Deadline,
) -> Result<Connection, SinkError> {
    let identity = database::identity(path);
    match database::open(path, deadline) {
        Err(error) if error.class == FaultClass::Corrupt => {
            if !was_database(path) {
                let path = path.display();
                let message = format!(
                    "{path} is not a database; accepted: a new file, or one that this sink has made"
                );
                return Err(SinkError::new(FaultClass::Config, message));
            }
            // The writer in the place of this one may be at work on the file by now.
            if deadline.is_over() {
                return Err(SinkError::new(FaultClass::Cancelled, "no time left to open the file"));
            }
            if let Some(identity) = identity {
                set_aside(path, identity, sink, &error)?;
            }
            database::open(path, deadline)
        }
        opened => opened,
    }
}

/// Whether the file begins as a database does, or with nothing but zeros, as after a power cut.
fn was_database(path: &Path) -> bool {
    let mut start = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && (start == *b"SQLite format 3\0" || start == [0; 16])
}

/// Moves the file aside after `error`, together with its `-wal` and `-shm`. Logs it, once.
///
/// A file that another process has replaced in the meantime is left alone. No connection of this
/// process may be open to it.
pub(crate) fn set_aside(
    path: &Path,
    damaged: Identity,
    sink: &str,
    error: &SinkError,
) -> Result<(), SinkError> {
    if database::identity(path) != Some(damaged) {
        return Ok(());
    }
    let aside = free_name(path, "corrupt");
    // The log goes first: beside a new main file it would be taken for that one's.
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SinkError::io(&format!("can't move {} aside", path.display()), error));
            }
            _ => {}
        }
    }
    tracing::warn!(
        sink,
        %error,
        path = %path.display(),
        moved_to = %aside.display(),
        "The history file is damaged and was moved aside; a new one is begun."
    );
    Ok(())
}

/// Whether SQLite finds nothing wrong with the file. A check that takes too long counts as damage,
/// since it is only asked for after SQLite has called the file damaged.
pub(crate) fn is_sound(path: &Path, deadline: Deadline) -> bool {
    let check = || -> rusqlite::Result<String> {
        let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        database::wait_for_locks(&db, deadline)?;
        database::keep_log(&db, true)?;
        db.progress_handler(10_000, Some(move || deadline.is_over()))?;
        db.pragma_query_value(None, "quick_check", |row| row.get(0))
    };
    check().is_ok_and(|verdict| verdict == "ok")
}

/// A name for what is moved aside that is not taken: `metrics.db.corrupt-1769300027`.
pub(crate) fn free_name(path: &Path, why: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    (now..)
        .map(|second| with_suffix(path, &format!(".{why}-{second}")))
        .find(|name| ["", "-wal"].iter().all(|suffix| !with_suffix(name, suffix).exists()))
        .unwrap_or_else(|| with_suffix(path, &format!(".{why}")))
}
