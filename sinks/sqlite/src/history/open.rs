//! Opening a file for reading only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::HistoryError;
use crate::database::{APPLICATION_ID, SCHEMA_VERSION, with_suffix};

/// How long a query waits for a writer that has the file to itself, which is rare and short.
const WAIT: Duration = Duration::from_secs(5);

/// How many statements are kept ready; a query needs some for each tier.
const STATEMENTS: usize = 64;

/// The columns that every file of the original has.
const COLUMNS: [&str; 6] =
    ["timestamp", "wan_name", "metric_name", "value", "labels", "granularity"];

/// Whose tables a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Those of this sink.
    Ours,
    /// The one of the original.
    Original,
}

/// Opens the file at a path. Reads its first pages only.
pub(super) fn open(path: &Path) -> Result<(Connection, Layout), HistoryError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Err(HistoryError::Missing { path: path.to_owned() });
    }
    let sqlite = |source| HistoryError::Sqlite { path: path.to_owned(), source };
    let (db, columns) = read_only(path).map_err(sqlite)?;
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if pragma("application_id").map_err(sqlite)? == APPLICATION_ID {
        let version = pragma("user_version").map_err(sqlite)?;
        if version != SCHEMA_VERSION {
            return Err(HistoryError::Version {
                path: path.to_owned(),
                version,
                accepted: SCHEMA_VERSION,
            });
        }
        return Ok((db, Layout::Ours));
    }
    if COLUMNS.iter().all(|name| columns.iter().any(|column| column == name)) {
        return Ok((db, Layout::Original));
    }
    Err(HistoryError::NotHistory { path: path.to_owned() })
}

/// Opens a file for reading, as it stands if the folder can't be written to; and names the columns of
/// `metrics`: none if there is no such table or view.
pub(crate) fn read_only(path: &Path) -> rusqlite::Result<(Connection, Vec<String>)> {
    match connect(path, OpenFlags::empty()) {
        Err(error) if needs_folder(&error) && !with_suffix(path, "-wal").exists() => {
            connect(&immutable(path), OpenFlags::SQLITE_OPEN_URI)
        }
        opened => opened,
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<(Connection, Vec<String>)> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    let columns = db
        .prepare("SELECT name FROM pragma_table_info('metrics')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok((db, columns))
}

/// Whether SQLite failed to make the files it wants beside the one it reads.
fn needs_folder(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

/// The name by which SQLite takes a file for one that nobody changes.
fn immutable(path: &Path) -> PathBuf {
    let path = path.to_string_lossy();
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1").into()
}
