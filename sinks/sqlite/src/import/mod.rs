//! Reading a database of the original into our file.
//!
//! The original keeps all tiers in one table, with whole seconds and without a key. Rows are read in the
//! order of their time, a second at a time, sorted out, and put into our file in transactions of some
//! thousand rows; each records how far it goes, so that an import that was stopped or killed goes on
//! where it was. What a row becomes depends on its second alone, so importing one twice adds nothing.
//!
//! The original's file is never altered. Old rows are compressed, rolled up and removed later, by the
//! maintenance of whoever records into our file.

mod cycles;
mod names;
mod report;
mod second;
mod source;
mod target;

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wanctl_sink::{FaultClass, SinkError};

use crate::history::Granularity;
use cycles::Emitter;
use names::Names;
pub use report::ImportReport;
use second::{Second, Settled};
use source::{Columns, Position, Reader, Source};
use target::{Progress, Target};

/// An import of a database of the original.
///
/// Its rows keep their values, their second and their labels. Beyond that:
///
/// * The cycles of one second are spread evenly over it, in the order they were recorded in.
/// * `source`, which the original doesn't know, is who recorded the cycle: `steering` or `autorate` where
///   a row of it tells, or if steering has left no row for that WAN; otherwise it is empty.
/// * Rows with a `reason`, `wanctl_steering_transition` and configuration snapshots become events.
/// * Of intervals (1m, 5m, 1h) the original keeps one value and no labels; min and max are that value.
///   The count is that of the cycles in such a time by the original's defaults: 2 a second of steering, 20
///   of everything else. Where it had only shorter intervals, the longer ones are made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The original's file.
    pub from: PathBuf,
    /// Our file; it is made if there is none. Others may read and write it meanwhile.
    pub to: PathBuf,
    /// The first second that is left out, in Unix time: the original may still be writing it.
    pub until: i64,
    /// Only tell what would be done. Rows that our file has already are counted as new then.
    pub dry_run: bool,
}

/// Why an import failed, or ended early. What was committed stays, and the next import goes on there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is no such file.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The file to read.
        path: PathBuf,
    },
    /// The file is no database of the original: it has no such table, or one without its columns.
    #[error("{} is no database of the original (it has no table `metrics` with its columns)", .path.display())]
    NotOriginal {
        /// The file to read.
        path: PathBuf,
    },
    /// The file is one that this program has made.
    #[error("{} is a history of this program already", .path.display())]
    Ours {
        /// The file to read.
        path: PathBuf,
    },
    /// The original's file can't be read, or not to its end.
    #[error("can't read {}: {source}", .path.display())]
    Source {
        /// The file to read.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// The original's path can't be found out.
    #[error("can't find {}: {source}", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Our file can't be opened or written.
    #[error("{source}")]
    Target {
        /// The reason, with the file.
        source: SinkError,
    },
}

impl ImportError {
    /// Whether the original's file is damaged; what is before the damage was imported.
    pub fn is_damage(&self) -> bool {
        let ImportError::Source { source, .. } = self else { return false };
        crate::fault::class(source) == FaultClass::Corrupt
    }
}

impl Import {
    /// The time of the oldest row of each granularity, in Unix seconds. What is older than our file keeps
    /// that granularity is removed again by the next maintenance.
    ///
    /// # Errors
    ///
    /// The original's file can't be read.
    pub fn oldest(&self) -> Result<Vec<(Granularity, i64)>, ImportError> {
        let source = Source::open(&canonical(&self.from)?)?;
        let mut found = Vec::new();
        for granularity in Granularity::ALL {
            if let Some(oldest) = source.oldest(granularity.as_str())? {
                found.push((granularity, oldest));
            }
        }
        Ok(found)
    }

    /// Imports what is not imported yet. `progress` is called after every commit and says whether to go on.
    ///
    /// # Errors
    ///
    /// A file that can't be read, is none of the original's, or is damaged; ours can't be written. What was
    /// committed before stays.
    pub fn run(
        &self,
        progress: impl FnMut(&ImportReport) -> bool,
    ) -> Result<ImportReport, ImportError> {
        let from = canonical(&self.from)?;
        let source = Source::open(&from)?;
        let to = absolute(&self.to)?;
        let mut target = match self.dry_run {
            true if !to.exists() => None,
            true => Some(Target::look(&to)?),
            false => Some(Target::open(&to)?),
        };
        let name = from.to_string_lossy().into_owned();
        let done = match &target {
            Some(target) => target.progress(&name)?,
            None => None,
        };
        let (start, before) = match done {
            Some(done) if is_same(&source, &done)? => (done.last, done.rows),
            _ => (Position::START, 0),
        };
        let expected = unless_damaged(source.count(start, self.until), 0)?;
        let left = unless_damaged(source.count_from(self.until), 0)?;
        let mut report = ImportReport { before, expected, left, ..ImportReport::default() };
        if start == Position::START {
            let timeless = unless_damaged(source.count_timeless(), 0)?;
            report.read = timeless;
            report.expected += timeless;
            report.skip("the time is no number of seconds since 1970", timeless);
        }
        if self.dry_run {
            target = None;
        }
        let (names, has_steering, seconds) = (Names::new(), HashMap::new(), Vec::new());
        let mut run =
            Run { source: &source, target, name, names, has_steering, seconds, report, progress };
        unless_damaged(run.give_places(), ())?;
        let is_complete = source.read(start, self.until, &mut run)?;
        run.finish(is_complete)
    }
}

/// Reads rows and commits them, a page at a time.
struct Run<'a, F> {
    source: &'a Source,
    /// `None` when nothing is to be written.
    target: Option<Target>,
    /// The original's path, by which its import is found again.
    name: String,
    names: Names,
    /// Whether steering has left rows, by WAN.
    has_steering: HashMap<usize, bool>,
    /// What is read and not committed; the last may not be complete.
    seconds: Vec<Second>,
    report: ImportReport,
    progress: F,
}

impl<F: FnMut(&ImportReport) -> bool> Run<'_, F> {
    /// Gives places to what is recorded each cycle, before intervals that have no labels take them.
    fn give_places(&mut self) -> Result<(), ImportError> {
        if self.target.is_none() {
            return Ok(());
        }
        let mut seconds = Vec::new();
        let names = &mut self.names;
        self.source
            .first_raw(|position, columns| collect(&mut seconds, names, position, &columns))?;
        let settled = self.settle(seconds)?;
        match &mut self.target {
            Some(target) => target.give_places(&settled, &self.names),
            None => Ok(()),
        }
    }

    /// Commits these seconds.
    fn commit(&mut self, seconds: Vec<Second>) -> Result<(), ImportError> {
        let Some(last) = seconds.last() else { return Ok(()) };
        let last = Position { sec: last.sec, id: last.last_id };
        let rows: u64 = seconds.iter().map(|second| second.rows).sum();
        let settled = self.settle(seconds)?;
        let read = self.report.read + rows;
        match &mut self.target {
            Some(target) => {
                let last_row = unless_damaged(self.source.fingerprint(last), None)?;
                let progress = Progress { last, last_row, rows: self.report.before + read };
                self.report.add(target.put(&settled, &self.names, &self.name, &progress)?);
            }
            None => settled.iter().for_each(|second| second.account_as_new(&mut self.report)),
        }
        settled.iter().for_each(|second| second.account(&mut self.report));
        self.report.read = read;
        Ok(())
    }

    fn settle(&mut self, seconds: Vec<Second>) -> Result<Vec<Settled>, ImportError> {
        let Run { source, names, has_steering, .. } = self;
        let mut owner = |series| {
            let name = names.get(series);
            let has_steering = match has_steering.get(&name.wan) {
                Some(known) => *known,
                None => {
                    let found = unless_damaged(source.has_steering(names.wan(name.wan)), true)?;
                    has_steering.insert(name.wan, found);
                    found
                }
            };
            let is_autorate = name.is_original() && !has_steering;
            Ok(if is_autorate { Emitter::Autorate } else { Emitter::Unknown })
        };
        seconds.into_iter().map(|second| second.settle(names, &mut owner)).collect()
    }

    /// Commits the last second too, if it is complete because all others are, and makes longer intervals.
    fn finish(mut self, is_complete: bool) -> Result<ImportReport, ImportError> {
        if is_complete {
            let seconds = std::mem::take(&mut self.seconds);
            self.commit(seconds)?;
            let Run { target, names, name, report, progress, .. } = &mut self;
            report.complete = match target {
                Some(target) => target.fill(names, name, || progress(report))?,
                None => true,
            };
        }
        Ok(self.report)
    }
}

impl<F: FnMut(&ImportReport) -> bool> Reader for Run<'_, F> {
    fn row(&mut self, position: Position, columns: Columns<'_>) {
        collect(&mut self.seconds, &mut self.names, position, &columns);
    }

    fn page(&mut self) -> Result<bool, ImportError> {
        let unfinished = self.seconds.split_off(self.seconds.len().saturating_sub(1));
        let complete = std::mem::replace(&mut self.seconds, unfinished);
        self.commit(complete)?;
        Ok((self.progress)(&self.report))
    }
}

/// Adds a row to its second.
fn collect(
    seconds: &mut Vec<Second>,
    names: &mut Names,
    position: Position,
    columns: &Columns<'_>,
) {
    let row = names.classify(columns);
    if seconds.last().is_none_or(|last| last.sec != position.sec) {
        seconds.push(Second::of(position.sec));
    }
    if let Some(second) = seconds.last_mut() {
        second.add(position.id, row);
    }
}

/// Whether this file is the one that was imported. One whose last imported row is gone is read again, as
/// another one at the same path is: that adds nothing twice.
fn is_same(source: &Source, done: &Progress) -> Result<bool, ImportError> {
    let found = unless_damaged(source.fingerprint(done.last), None)?;
    Ok(found.is_some() && found == done.last_row)
}

/// What is only good to know is not worth giving up for: the rows before the damage come first.
fn unless_damaged<T>(found: Result<T, ImportError>, otherwise: T) -> Result<T, ImportError> {
    match found {
        Err(error) if error.is_damage() => Ok(otherwise),
        found => found,
    }
}

/// The one path that every spelling of a path leads to.
fn canonical(path: &Path) -> Result<PathBuf, ImportError> {
    fs::canonicalize(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => ImportError::Missing { path: path.to_owned() },
        _ => ImportError::Path { path: path.to_owned(), source },
    })
}

fn absolute(path: &Path) -> Result<PathBuf, ImportError> {
    std::path::absolute(path).map_err(|source| ImportError::Path { path: path.to_owned(), source })
}
