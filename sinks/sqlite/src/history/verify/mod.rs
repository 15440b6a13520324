//! Looking for what is wrong with a file, without changing it.
//!
//! Rows and what is made of them are compared an hour at a time, in one short transaction each; only
//! SQLite's own check of its structure is a long one.

mod rolled;
mod sealed;

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::raw::Wanted;
use super::series::{self, Series, unsigned};
use super::{Granularity, Problem, Query, SeriesName};

/// When so many problems are found, no more are looked for.
const MOST: usize = 1000;

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// What is checked.
    pub step: VerifyStep,
    /// How much of it is done.
    pub done: u64,
    /// How much there is of it.
    pub total: u64,
}

/// The steps of a check, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyStep {
    /// SQLite's check of its own structure.
    Structure,
    /// Each chunk.
    Chunks,
    /// Each hour of each bundle: raw rows, and the minutes they make.
    Minutes,
    /// Longer intervals of each series.
    Intervals,
}

/// A check of a file.
pub(super) struct Check<'a> {
    db: &'a Connection,
    progress: &'a mut dyn FnMut(VerifyProgress),
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) fn new(db: &'a Connection, progress: &'a mut dyn FnMut(VerifyProgress)) -> Self {
        Check { db, progress, problems: Vec::new() }
    }

    /// A file of this sink.
    pub(super) fn ours(mut self) -> rusqlite::Result<Vec<Problem>> {
        self.structure()?;
        self.chunks()?;
        let series = series::matching(self.db, &Query::default())?;
        self.minutes(&series)?;
        self.intervals(&series)?;
        Ok(self.found())
    }

    /// A file of the original.
    pub(super) fn original(mut self) -> rusqlite::Result<Vec<Problem>> {
        self.structure()?;
        let tiers = Granularity::ALL.len() as u64;
        for (done, granularity) in (0..).zip(Granularity::ALL.into_iter().skip(1)) {
            self.report(VerifyStep::Intervals, done, tiers);
            self.original_tier(granularity)?;
        }
        let mut unknown = self.db.prepare_cached(
            "SELECT coalesce(granularity, ''), count(*) FROM metrics
             WHERE coalesce(granularity, '') NOT IN ('raw', '1m', '5m', '1h') GROUP BY 1",
        )?;
        let rows = unknown.query_map([], |row| {
            Ok(Problem::UnknownTier { granularity: row.get(0)?, rows: unsigned(row, 1)? })
        })?;
        self.problems.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        self.report(VerifyStep::Intervals, tiers, tiers);
        Ok(self.found())
    }

    fn found(mut self) -> Vec<Problem> {
        self.problems.truncate(MOST);
        self.problems
    }

    fn report(&mut self, step: VerifyStep, done: u64, total: u64) {
        (self.progress)(VerifyProgress { step, done, total });
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    fn structure(&mut self) -> rusqlite::Result<()> {
        self.report(VerifyStep::Structure, 0, 1);
        let mut check = self.db.prepare(&format!("PRAGMA integrity_check({MOST})"))?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let found: String = row.get(0)?;
            if found != "ok" {
                self.problems.push(Problem::Structure { found });
            }
        }
        self.report(VerifyStep::Structure, 1, 1);
        Ok(())
    }

    fn original_tier(&mut self, granularity: Granularity) -> rusqlite::Result<()> {
        let name = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Arc<SeriesName>> {
            Ok(Arc::new(SeriesName {
                metric_name: row.get(0)?,
                wan_name: row.get(1)?,
                source: String::new(),
                labels: row.get(2)?,
            }))
        };
        let mut off = self.db.prepare_cached(
            "SELECT metric_name, wan_name, labels, timestamp FROM metrics
             WHERE granularity = ?1 AND timestamp % ?2 <> 0 LIMIT ?3",
        )?;
        let key = params![granularity.as_str(), granularity.seconds(), MOST as i64];
        let rows = off.query_map(key, |row| {
            Ok(Problem::OffBoundary { series: name(row)?, granularity, start: row.get(3)? })
        })?;
        self.problems.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        let mut twice = self.db.prepare_cached(
            "SELECT metric_name, wan_name, labels, timestamp, count(*) FROM metrics
             WHERE granularity = ?1 GROUP BY timestamp, metric_name, wan_name, labels
             HAVING count(*) > 1 LIMIT ?2",
        )?;
        let rows = twice.query_map(params![granularity.as_str(), MOST as i64], |row| {
            let (series, start, times) = (name(row)?, row.get(3)?, unsigned(row, 4)?);
            Ok(Problem::IntervalTwice { series, granularity, start, times })
        })?;
        self.problems.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        Ok(())
    }
}

fn wanted(series: &[Series], from: i64, to: i64) -> Vec<Wanted> {
    let one = |series: &Series| Wanted { position: series.position, scale: series.scale, from, to };
    series.iter().map(one).collect()
}
