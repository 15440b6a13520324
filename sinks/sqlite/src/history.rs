//! Reading history, from any process and while it is written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

/// How long a query waits for a writer that has the file to itself, which is rare and short.
const WAIT: Duration = Duration::from_secs(5);

/// A history file, open for reading only.
///
/// Files of the original, in which `metrics` is a table without `source` and `micros`, are read too.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    db: Connection,
    /// Where `source` and `micros` come from.
    extra_columns: &'static str,
}

/// Which rows to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The first second, in Unix time.
    pub from: i64,
    /// The last second, in Unix time; it is included.
    pub to: i64,
    /// The metrics' full names; none for all.
    pub metrics: Vec<String>,
    /// The WAN's name; `None` for all.
    pub wan: Option<String>,
    /// The most rows to return, the newest of all that match; `None` for no limit.
    pub limit: Option<u32>,
}

/// One row of history.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whole seconds of Unix time.
    pub timestamp: i64,
    /// Microseconds within the second.
    pub micros: u32,
    /// The WAN.
    pub wan_name: String,
    /// The metric's full name.
    pub metric_name: String,
    /// The value, in the metric's unit.
    pub value: f64,
    /// The text of a JSON object; `None` for no labels.
    pub labels: Option<String>,
    /// `raw`, or the length of the interval the value stands for (`1m`, `5m`, `1h`).
    pub granularity: String,
    /// Who recorded it; empty in files of the original.
    pub source: String,
}

/// Why history can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// There is no such file.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file has no table or view named `metrics`.
    #[error("{} holds no history (it has no table or view `metrics`)", .path.display())]
    NotHistory {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refuses: the file is damaged, or may not be read.
    #[error("can't read {}: {}", .path.display(), reason(.source))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
}

/// SQLite's words for what an operator does not need to know SQLite for.
fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is not a database".to_owned(),
        _ => error.to_string(),
    }
}

impl History {
    /// Opens a history file for reading.
    ///
    /// Reading takes an index of the log beside the file. Where there is none, because nobody has the
    /// file open to write, and none can be made, because the folder may not be written to, the file is
    /// read as it stands; open it again to see what is written from then on.
    ///
    /// # Errors
    ///
    /// A file that is missing, can't be read or holds no history.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, HistoryError> {
        let path = path.as_ref().to_owned();
        if matches!(path.try_exists(), Ok(false)) {
            return Err(HistoryError::Missing { path });
        }
        let opened = match connect(&path, OpenFlags::empty()) {
            Err(error) if needs_folder(&error) && !log_exists(&path) => {
                connect(&immutable(&path), OpenFlags::SQLITE_OPEN_URI)
            }
            opened => opened,
        };
        match opened {
            Err(source) => Err(HistoryError::Sqlite { path, source }),
            Ok((_, columns)) if columns.is_empty() => Err(HistoryError::NotHistory { path }),
            Ok((db, columns)) => {
                let ours = columns.iter().any(|column| column == "micros");
                let extra_columns =
                    if ours { "source, micros" } else { "'' AS source, 0 AS micros" };
                Ok(History { path, db, extra_columns })
            }
        }
    }

    /// The rows that match, newest first.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn query(&self, query: &Query) -> Result<Vec<Record>, HistoryError> {
        self.try_query(query)
            .map_err(|source| HistoryError::Sqlite { path: self.path.clone(), source })
    }

    fn try_query(&self, query: &Query) -> rusqlite::Result<Vec<Record>> {
        let mut sql = format!(
            "SELECT timestamp, wan_name, metric_name, value, labels, granularity, {}
             FROM metrics WHERE timestamp BETWEEN ? AND ?",
            self.extra_columns
        );
        let mut values: Vec<Value> = vec![query.from.into(), query.to.into()];
        if !query.metrics.is_empty() {
            sql += &format!(" AND metric_name IN (?{})", ", ?".repeat(query.metrics.len() - 1));
            values.extend(query.metrics.iter().cloned().map(Value::from));
        }
        if let Some(wan) = &query.wan {
            sql += " AND wan_name = ?";
            values.push(wan.clone().into());
        }
        sql += " ORDER BY timestamp DESC, micros DESC LIMIT ?";
        values.push(query.limit.map_or(-1, i64::from).into());
        let mut statement = self.db.prepare(&sql)?;
        let records = statement.query_map(params_from_iter(values), |row| {
            Ok(Record {
                timestamp: row.get(0)?,
                wan_name: row.get(1)?,
                metric_name: row.get(2)?,
                value: row.get(3)?,
                labels: row.get(4)?,
                granularity: row.get(5)?,
                source: row.get(6)?,
                micros: row.get(7)?,
            })
        })?;
        records.collect()
    }
}

/// Opens a file, and names the columns of `metrics`: none if there is no such table or view.
fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<(Connection, Vec<String>)> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(WAIT)?;
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

fn log_exists(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

/// The name by which SQLite takes a file for one that nobody changes.
fn immutable(path: &Path) -> PathBuf {
    let path = path.to_string_lossy();
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1").into()
}
