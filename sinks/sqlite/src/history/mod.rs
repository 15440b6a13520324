//! Reading history, from any process and while it is written.

mod query;
mod record;
mod summary;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

pub use query::{Granularity, Order, Query, Rows, Tiers, UnknownGranularity};
pub use record::{Record, Rolled, SeriesName};
pub use summary::{SeriesSummary, StateShare, Statistics, Summary, summary};

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

    /// The rows that match.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports, and a sealed part of the file that is damaged.
    pub fn query(&self, query: &Query) -> Result<Vec<Record>, HistoryError> {
        self.records(query)?.collect()
    }

    /// The rows that match, one after the other: memory does not grow with their number, and none of the
    /// transactions they are read in is long.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports, at once or with a row; after an error there are no more rows.
    pub fn records(
        &self,
        query: &Query,
    ) -> Result<impl Iterator<Item = Result<Record, HistoryError>> + '_, HistoryError> {
        let read = self.try_query(query).map_err(|source| self.sqlite(source))?;
        Ok(read.into_iter().map(Ok))
    }

    /// How many rows match, whatever the query's limit and offset.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn count(&self, query: &Query) -> Result<u64, HistoryError> {
        let all = Query { limit: None, offset: 0, ..query.clone() };
        Ok(self.records(&all)?.count() as u64)
    }

    /// Statistics of each series that matches, in the order of their names; events are left out, and so
    /// are the query's limit, offset and order.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn summary(&self, query: &Query) -> Result<Vec<SeriesSummary>, HistoryError> {
        let query = Query { rows: Rows::Samples, limit: None, offset: 0, ..query.clone() };
        let mut values: HashMap<Arc<SeriesName>, Vec<f64>> = HashMap::new();
        for record in self.records(&query)? {
            let record = record?;
            values.entry(record.series).or_default().push(record.value);
        }
        let mut summaries: Vec<SeriesSummary> = values
            .into_iter()
            .filter_map(|(series, values)| {
                let statistics = Statistics::Numbers(summary(&values)?);
                Some(SeriesSummary { series, samples: values.len() as u64, statistics })
            })
            .collect();
        summaries.sort_by(|one, other| one.series.cmp(&other.series));
        Ok(summaries)
    }

    /// When the newest row was recorded: Unix seconds, and microseconds within the second.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn newest(&self) -> Result<Option<(i64, u32)>, HistoryError> {
        let newest = self.query(&Query { limit: Some(1), ..Query::default() })?;
        Ok(newest.first().map(|record| (record.timestamp, record.micros)))
    }

    fn sqlite(&self, source: rusqlite::Error) -> HistoryError {
        HistoryError::Sqlite { path: self.path.clone(), source }
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
        if let Tiers::Only(granularity) = query.tiers {
            sql += " AND granularity = ?";
            values.push(granularity.as_str().to_owned().into());
        }
        sql += match query.order {
            Order::NewestFirst => " ORDER BY timestamp DESC, micros DESC LIMIT ? OFFSET ?",
            Order::OldestFirst => " ORDER BY timestamp, micros LIMIT ? OFFSET ?",
        };
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        values.push(query.limit.map_or(-1, whole).into());
        values.push(whole(query.offset).into());
        let mut statement = self.db.prepare(&sql)?;
        let mut names: HashMap<SeriesName, Arc<SeriesName>> = HashMap::new();
        let records = statement.query_map(params_from_iter(values), |row| {
            let name = SeriesName {
                metric_name: row.get(2)?,
                wan_name: row.get(1)?,
                source: row.get(6)?,
                labels: row.get(4)?,
            };
            let granularity: String = row.get(5)?;
            let is_event = name.labels.as_ref().is_some_and(|text| text.contains("\"reason\""));
            Ok(Record {
                timestamp: row.get(0)?,
                micros: row.get(7)?,
                series: Arc::clone(names.entry(name.clone()).or_insert_with(|| Arc::new(name))),
                value: row.get(3)?,
                granularity: granularity.parse().unwrap_or(Granularity::Raw),
                rolled: None,
                is_event,
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
