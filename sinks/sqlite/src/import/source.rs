//! A database of the original, open for reading only: what it holds, and its rows in the order of time.
//!
//! It may be in use by a running original, so no transaction here is long. Nothing is written, not even
//! beside the file when its folder is read-only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::ImportError;
use crate::database::APPLICATION_ID;
use crate::history::read_only;

/// How long a query waits for a writer that has the file to itself.
const WAIT: Duration = Duration::from_secs(30);

/// How many rows are read at once.
const PAGE: usize = 20_000;

/// How many rows show what is recorded in a cycle: those of a few seconds.
const SOME: i64 = 2_000;

/// Where a row stands in the order of reading: its second, then its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) sec: i64,
    pub(super) id: i64,
}

impl Position {
    /// Before every row of 1970 and later.
    pub(super) const START: Position = Position { sec: 0, id: i64::MIN };
}

/// The columns of a row beside its position, as they are stored.
pub(super) struct Columns<'a> {
    pub(super) wan: ValueRef<'a>,
    pub(super) metric: ValueRef<'a>,
    pub(super) value: ValueRef<'a>,
    pub(super) labels: ValueRef<'a>,
    pub(super) granularity: ValueRef<'a>,
}

/// Takes rows in their order.
pub(super) trait Reader {
    fn row(&mut self, position: Position, columns: Columns<'_>);

    /// A page is complete. Whether to go on.
    fn page(&mut self) -> Result<bool, ImportError>;
}

pub(super) struct Source {
    path: PathBuf,
    db: Connection,
    /// Reads a page; without an index on the time, everything at once.
    page: String,
    /// Reads some of the oldest raw rows.
    first: String,
    /// Reads what tells one row from another.
    fingerprint: String,
    has_index: bool,
    has_granularity: bool,
}

impl Source {
    /// Opens the file at this absolute path.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let path = path.to_owned();
        if matches!(path.try_exists(), Ok(false)) {
            return Err(ImportError::Missing { path });
        }
        let (db, columns, is_ours, has_index) = match connect(&path) {
            Ok(opened) => opened,
            Err(source) => return Err(ImportError::Source { path, source }),
        };
        if is_ours {
            return Err(ImportError::Ours { path });
        }
        let has = |name: &str| columns.iter().any(|column| column == name);
        if !["timestamp", "wan_name", "metric_name", "value"].into_iter().all(has) {
            return Err(ImportError::NotOriginal { path });
        }
        let labels = if has("labels") { "labels" } else { "NULL" };
        let granularity = if has("granularity") { "granularity" } else { "'raw'" };
        let select = format!(
            "SELECT timestamp, rowid, wan_name, metric_name, value, {labels}, {granularity} FROM metrics"
        );
        let page = format!(
            "{select}
             WHERE timestamp >= ?1 AND timestamp <= ?3 AND (timestamp > ?1 OR rowid > ?2)
                 AND typeof(timestamp) = 'integer'
             ORDER BY timestamp, rowid LIMIT ?4"
        );
        let first = format!(
            "{select}
             WHERE {granularity} = 'raw' AND timestamp >= 0 AND typeof(timestamp) = 'integer'
             ORDER BY timestamp, rowid LIMIT ?1"
        );
        let fingerprint = format!(
            "SELECT concat_ws(' ', timestamp, quote(wan_name), quote(metric_name), quote(value),
                 quote({labels}))
             FROM metrics WHERE rowid = ?1 AND timestamp = ?2"
        );
        let has_granularity = has("granularity");
        Ok(Source { path, db, page, first, fingerprint, has_index, has_granularity })
    }

    /// Calls `row` with some of the oldest raw rows.
    pub(super) fn first_raw(
        &self,
        mut row: impl FnMut(Position, Columns<'_>),
    ) -> Result<(), ImportError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.db.prepare(&self.first)?;
            let mut rows = statement.query([SOME])?;
            while let Some(found) = rows.next()? {
                let (position, columns) = split(found)?;
                row(position, columns);
            }
            Ok(())
        };
        read().map_err(|e| self.failed(e))
    }

    /// Hands each row after a position and before a second to a reader. Between two pages no row is being
    /// read and no lock held, unless the file lacks the index. Returns whether all were read.
    pub(super) fn read(
        &self,
        mut after: Position,
        until: i64,
        reader: &mut impl Reader,
    ) -> Result<bool, ImportError> {
        let limit = if self.has_index { PAGE as i64 } else { -1 };
        let mut statement = self.db.prepare(&self.page).map_err(|e| self.failed(e))?;
        loop {
            let mut read = 0;
            {
                let last = until.saturating_sub(1);
                let parameters = params![after.sec, after.id, last, limit];
                let mut rows = statement.query(parameters).map_err(|e| self.failed(e))?;
                loop {
                    // What was read before a damaged page is good.
                    let next = match rows.next() {
                        Ok(next) => next,
                        Err(error) => {
                            reader.page()?;
                            return Err(self.failed(error));
                        }
                    };
                    let Some(found) = next else { break };
                    let (position, columns) = split(found).map_err(|e| self.failed(e))?;
                    after = position;
                    reader.row(position, columns);
                    read += 1;
                    if !self.has_index && read % PAGE == 0 && !reader.page()? {
                        return Ok(false);
                    }
                }
            }
            let go_on = reader.page()?;
            if !self.has_index || read < PAGE {
                return Ok(true);
            }
            if !go_on {
                return Ok(false);
            }
        }
    }

    /// How many rows stand after a position and before a second.
    pub(super) fn count(&self, after: Position, until: i64) -> Result<u64, ImportError> {
        let count = "SELECT count(*) FROM metrics
             WHERE timestamp >= ?1 AND timestamp <= ?3 AND (timestamp > ?1 OR rowid > ?2)
                 AND typeof(timestamp) = 'integer'";
        self.number(count, params![after.sec, after.id, until.saturating_sub(1)])
    }

    /// How many rows are of a second or later.
    pub(super) fn count_from(&self, until: i64) -> Result<u64, ImportError> {
        let count = "SELECT count(*) FROM metrics
             WHERE timestamp >= ?1 AND typeof(timestamp) = 'integer'";
        self.number(count, [until])
    }

    /// How many rows have no time, or one before 1970; they are never read.
    pub(super) fn count_timeless(&self) -> Result<u64, ImportError> {
        let count = "SELECT count(*) FROM metrics
             WHERE typeof(timestamp) <> 'integer' OR timestamp < 0";
        self.number(count, [])
    }

    /// The second of the oldest row of a granularity, if it has any.
    pub(super) fn oldest(&self, granularity: &str) -> Result<Option<i64>, ImportError> {
        if !self.has_granularity {
            return Ok(None);
        }
        let oldest = "SELECT timestamp FROM metrics
             WHERE granularity = ?1 AND timestamp >= 0 AND typeof(timestamp) = 'integer'
             ORDER BY timestamp LIMIT 1";
        let found = self.db.query_row(oldest, [granularity], |row| row.get(0)).optional();
        found.map_err(|e| self.failed(e))
    }

    /// Whether steering has left rows for a WAN.
    pub(super) fn has_steering(&self, wan: &str) -> Result<bool, ImportError> {
        let exists = "SELECT EXISTS (SELECT 1 FROM metrics
             WHERE wan_name = ?1 AND metric_name IN ('wanctl_steering_enabled', 'wanctl_steering_transition'))";
        self.db.query_row(exists, [wan], |row| row.get(0)).map_err(|e| self.failed(e))
    }

    /// What the row at this position says, as a text that no other row has; `None` if it is gone.
    pub(super) fn fingerprint(&self, position: Position) -> Result<Option<String>, ImportError> {
        let parameters = [position.id, position.sec];
        let found = self.db.query_row(&self.fingerprint, parameters, |row| row.get(0)).optional();
        found.map_err(|e| self.failed(e))
    }

    fn number(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<u64, ImportError> {
        let number = self.db.query_row(sql, parameters, |row| row.get::<_, i64>(0));
        number.map(i64::unsigned_abs).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: rusqlite::Error) -> ImportError {
        ImportError::Source { path: self.path.clone(), source }
    }
}

fn split<'a>(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<(Position, Columns<'a>)> {
    let position = Position { sec: row.get(0)?, id: row.get(1)? };
    let columns = Columns {
        wan: row.get_ref(2)?,
        metric: row.get_ref(3)?,
        value: row.get_ref(4)?,
        labels: row.get_ref(5)?,
        granularity: row.get_ref(6)?,
    };
    Ok((position, columns))
}

/// Opens a file: the columns of `metrics`, whether the file is one of ours, whether its time is indexed.
fn connect(path: &Path) -> rusqlite::Result<(Connection, Vec<String>, bool, bool)> {
    let (db, columns) = read_only(path)?;
    db.busy_timeout(WAIT)?;
    let owner: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let has_index = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_index_list('metrics') AS i, pragma_index_info(i.name) AS c
         WHERE c.seqno = 0 AND c.name = 'timestamp' AND NOT i.partial)",
        [],
        |row| row.get(0),
    )?;
    Ok((db, columns, owner == APPLICATION_ID, has_index))
}
