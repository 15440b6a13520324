//! Reading history, from any process and while it is written.
//!
//! [`History`] is the whole of it: rows one after the other, how many there are, and what they come to.
//! Files of this sink are read from their tables, sealed parts too, and not through the view, which is for
//! other programs; files of the original are read with its query. Nothing here writes.
//!
//! In reading order: `query`, `record` and `summary` are what goes in and comes out · `open` · `ours` turns
//! a query into streams, with `series` and `tiers` to tell what answers where · `raw` and `streams` read
//! pages, `damage` knows what these miss, `merge` puts them in order · `gather` sums up · `original` does all
//! that for the original's files · `stats` and `verify` look at a file as a whole.

mod damage;
mod error;
mod filter;
mod gather;
mod merge;
mod names;
mod open;
mod original;
mod ours;
mod page;
mod problem;
mod query;
mod raw;
mod record;
mod series;
mod stats;
mod streams;
mod summary;
mod tiers;
mod time;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use wanctl_sink::Rollup;

use damage::Damage;
use gather::{Gathered, Numbers, RolledState, States};
use merge::Merge;
use open::Layout;
pub(crate) use open::read_only;
use original::OriginalRows;
use ours::{End, Plan};
use tiers::Segment;
use verify::Check;

pub use error::HistoryError;
pub use problem::{ChunkPlace, Problem};
pub use query::{Granularity, Order, Query, Rows, Tiers, UnknownGranularity};
pub use record::{Record, Rolled, SeriesInfo, SeriesName};
pub use stats::{Rate, Stats, Tier, TierStats};
pub use summary::{SeriesSummary, StateShare, Statistics, Summary, summary};
pub use verify::{VerifyProgress, VerifyStep};

/// A history file, open for reading only.
///
/// Files of the original, in which `metrics` is a table, are read too. A reader never holds up the
/// writer: what it reads it reads in short transactions.
///
/// Sealed rows that are damaged are left out, and [`damaged`](Self::damaged) says which they were.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    db: Connection,
    layout: Layout,
    damage: Damage,
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
    /// A file that is missing, can't be read, holds no history or was made by another version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, HistoryError> {
        let path = path.as_ref().to_owned();
        let (db, layout) = open::open(&path)?;
        Ok(History { path, db, layout, damage: Damage::default() })
    }

    /// The rows that match.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn query(&self, query: &Query) -> Result<Vec<Record>, HistoryError> {
        self.records(query)?.collect()
    }

    /// The rows that match, one after the other: memory does not grow with their number, and none of the
    /// transactions they are read in is long.
    ///
    /// Rows that are written meanwhile may be seen or not. None is seen twice, and none that was there
    /// from the beginning is missed because it was sealed meanwhile.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports, at once or with a row; after an error there are no more rows.
    pub fn records(&self, query: &Query) -> Result<Records<'_>, HistoryError> {
        let source = match self.layout {
            Layout::Ours => Source::Ours(self.plan(query)?.rows()),
            Layout::Original => Source::Original(Box::new(self.original(query)?)),
        };
        let left = query.limit.unwrap_or(u64::MAX);
        Ok(Records { history: self, source, skip: query.offset, left })
    }

    /// How many rows match, whatever the query's limit and offset.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn count(&self, query: &Query) -> Result<u64, HistoryError> {
        match self.layout {
            Layout::Ours => self.named(self.plan(query)?.count(&self.db)),
            Layout::Original => self.named(self.original(query)?.count(&self.db)),
        }
    }

    /// Statistics of each series that matches, in the order of their names; events are left out, and so
    /// are the query's limit, offset and order.
    ///
    /// Of intervals, the least and greatest values are those kept with them and the mean is weighted by
    /// their samples; percentiles are of the intervals' values, as in the original. Where tiers are
    /// mixed, each interval counts as often as it has samples, but no more than is usual for its length. A
    /// state lasts until the next value of its
    /// series; of a gap, the time beyond ten seconds (or five of the usual intervals, if that is more) is
    /// left out.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn summary(&self, query: &Query) -> Result<Vec<SeriesSummary>, HistoryError> {
        let query = Query {
            rows: Rows::Samples,
            order: Order::OldestFirst,
            limit: None,
            offset: 0,
            ..query.clone()
        };
        match self.layout {
            Layout::Ours => self.named(self.plan(&query)?.summary(&self.db)),
            Layout::Original => self.original_summary(&query),
        }
    }

    /// The granularity a query asks for: what its tiers say, and for [`Tiers::Auto`] the one that suits
    /// its range. Some of its rows may have another, where that tier does not reach.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn granularity(&self, query: &Query) -> Result<Granularity, HistoryError> {
        match self.layout {
            Layout::Ours => Ok(self.plan(query)?.wanted),
            Layout::Original => {
                let extent = self.named(original::extent(&self.db))?;
                Ok(tiers::wanted(query, &[extent]))
            }
        }
    }

    /// Every series there is, in the order of their names. In a file of the original, labels are not told
    /// apart.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn series(&self) -> Result<Vec<SeriesInfo>, HistoryError> {
        match self.layout {
            Layout::Ours => {
                let all = self.named(series::matching(&self.db, &Query::default()))?;
                let info = |one: series::Series| SeriesInfo { name: one.name, rollup: one.rollup };
                Ok(all.into_iter().map(info).collect())
            }
            Layout::Original => {
                let all = self.named(original::all_series(&self.db))?;
                let info = |name: SeriesName| {
                    let rollup = original::rollup(&name.metric_name);
                    SeriesInfo { name: Arc::new(name), rollup }
                };
                Ok(all.into_iter().map(info).collect())
            }
        }
    }

    /// When the newest row was recorded: Unix seconds, and microseconds within the second. Takes the same
    /// time for any size of file.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn newest(&self) -> Result<Option<(i64, u32)>, HistoryError> {
        self.end(End::Newest)
    }

    /// When the oldest row was recorded, or began; as [`newest`](Self::newest).
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn oldest(&self) -> Result<Option<(i64, u32)>, HistoryError> {
        self.end(End::Oldest)
    }

    /// What the file holds, and what it costs. Reads most of the file.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports.
    pub fn stats(&self) -> Result<Stats, HistoryError> {
        self.named(match self.layout {
            Layout::Ours => stats::ours(&self.db, &self.path),
            Layout::Original => stats::original(&self.db, &self.path),
        })
    }

    /// Looks for what is wrong with the file: in its structure, in sealed rows, and in what was made of
    /// rows where these are still there. Changes nothing, and finds a thousand problems at most. Reads the
    /// whole file; `progress` is told how far it is.
    ///
    /// # Errors
    ///
    /// Whatever SQLite reports when a part can't be read at all.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<Vec<Problem>, HistoryError> {
        let check = Check::new(&self.db, progress);
        self.named(match self.layout {
            Layout::Ours => check.ours(),
            Layout::Original => check.original(),
        })
    }

    /// The first and the last second of each sealed part that reading has met so far and that is damaged.
    /// What it had is left out of every answer; [`verify`](Self::verify) tells more.
    pub fn damaged(&self) -> Vec<(i64, i64)> {
        self.damage.seconds()
    }

    fn end(&self, end: End) -> Result<Option<(i64, u32)>, HistoryError> {
        match self.layout {
            Layout::Ours => self.named(ours::end(&self.db, end, &self.damage)),
            Layout::Original => {
                let ends = self.named(original::ends(&self.db))?;
                let pick = |(first, last)| if end == End::Oldest { first } else { last };
                Ok(ends.map(|ends| (pick(ends), 0)))
            }
        }
    }

    fn plan(&self, query: &Query) -> Result<Plan, HistoryError> {
        self.named(Plan::new(&self.db, query, &self.damage))
    }

    fn original(&self, query: &Query) -> Result<OriginalRows, HistoryError> {
        let extent = self.named(original::extent(&self.db))?;
        let segments = tiers::plan(query.tiers, tiers::wanted(query, &[extent]), &extent);
        Ok(OriginalRows::new(query, segments))
    }

    fn original_summary(&self, query: &Query) -> Result<Vec<SeriesSummary>, HistoryError> {
        let mut all: BTreeMap<Arc<SeriesName>, Gathered> = BTreeMap::new();
        let mut rows = self.original(query)?;
        while let Some(record) = self.named(rows.next(&self.db))? {
            let raw = record.granularity == Granularity::Raw;
            let gathered = all.entry(Arc::clone(&record.series)).or_insert_with(|| {
                match original::rollup(&record.series.metric_name) {
                    Rollup::Mode => Gathered::States(States::default()),
                    _ => Gathered::Numbers(Numbers::default()),
                }
            });
            let value = record.value;
            match gathered {
                Gathered::Numbers(numbers) if raw => numbers.raw.push(value),
                Gathered::Numbers(numbers) => numbers.rolled(record.granularity, value, None),
                Gathered::States(states) if raw => {
                    states.raw.push((time::instant(record.timestamp, 0), value));
                }
                Gathered::States(states) => states.rolled(RolledState {
                    granularity: record.granularity,
                    start: record.timestamp,
                    state: value,
                    count: 1,
                    of: 1,
                }),
            }
        }
        let end = time::end_of(query.to);
        let finish = |(series, gathered): (_, Gathered)| gathered.finish(series, end);
        Ok(all.into_iter().filter_map(finish).collect())
    }

    fn named<T>(&self, read: rusqlite::Result<T>) -> Result<T, HistoryError> {
        read.map_err(|source| HistoryError::Sqlite { path: self.path.clone(), source })
    }
}

/// The rows of a query. Made by [`History::records`].
#[derive(Debug)]
pub struct Records<'a> {
    history: &'a History,
    source: Source,
    skip: u64,
    left: u64,
}

#[derive(Debug)]
enum Source {
    Ours(Merge),
    Original(Box<OriginalRows>),
}

impl Records<'_> {
    fn read(&mut self) -> rusqlite::Result<Option<Record>> {
        let db = &self.history.db;
        loop {
            if let (1.., Source::Ours(rows)) = (self.skip, &mut self.source) {
                self.skip -= rows.skip(db, self.skip)?;
            }
            let record = match &mut self.source {
                Source::Ours(rows) => rows.next(db)?,
                Source::Original(rows) => rows.next(db)?,
            };
            match (self.skip, record) {
                (0, record) => return Ok(record),
                (_, None) => return Ok(None),
                (_, Some(_)) => self.skip -= 1,
            }
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let record = self.history.named(self.read()).transpose();
        match record {
            Some(Ok(_)) => self.left -= 1,
            None | Some(Err(_)) => self.left = 0,
        }
        record
    }
}
