//! What keeps the file small and quick to read: roll-ups, sealing, retention, free pages.
//!
//! It is done after a commit, on the sink's own thread, in slices, each a transaction of its own in which
//! what is made and what goes for it are one. A slice that fails or is cut off is done again; nothing is
//! lost or there twice. The age of a row is its distance from the rows being written; no clock is read.

mod expire;
mod horizon;
mod lock;
mod rollup;
mod seal;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use wanctl_sink::{Deadline, FaultClass};

use crate::bundle::Bundles;
use crate::config::SqliteConfig;
use crate::database::{begin, with_suffix};
use crate::fault::class;
use expire::Ages;
use horizon::Horizon;
pub(crate) use lock::Lock;
pub(crate) use rollup::{Missing, fill, missing};

/// How long a slice takes before it leaves the rest to the next one. One step more may begin just before.
const SLICE: Duration = Duration::from_millis(20);

/// How much the time of rows has to go on before it is looked whether anything is to be done, in seconds.
const LOOK_EVERY: i64 = 5;

/// How far the believed time goes on until it is put into the file though there was nothing to do.
const REMEMBER_EVERY: u64 = 600;

/// How long to wait before another try to become the one that maintains the file.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// How many free pages (4 KiB) the file keeps for new rows; what is beyond goes back to the disk.
const SPARE_PAGES: i64 = 1024;

/// How many free pages go back at once.
const SLICE_PAGES: i64 = 128;

/// How large the write-ahead log may be before it is said that a reader keeps it from being emptied.
const LONG_LOG: u64 = 64 * 1024 * 1024;

/// How many kinds of work there are.
const KINDS: u8 = 5;

/// Whether a kind of work has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Time was up before the end.
    Left,
    AllDone,
}

/// The upkeep of one file.
pub(crate) struct Maintenance {
    sink: String,
    path: PathBuf,
    ages: Ages,
    hot: i64,
    max_bytes: u64,
    lock: Option<Lock>,
    /// Until then somebody else is taken to maintain the file.
    next_try: Deadline,
    horizon: Option<Horizon>,
    bundles: Bundles,
    /// The second of the rows when there was nothing left to do.
    done_at: Option<i64>,
    /// The kind of work that is next.
    turn: u8,
    /// The believed time that is in the file.
    remembered: Option<i64>,
    /// The last slice failed, which was said.
    failing: bool,
    /// The log is long, which was said.
    long_log: bool,
}

impl Maintenance {
    pub(crate) fn new(sink: &str, path: &Path, config: &SqliteConfig) -> Self {
        Maintenance {
            sink: sink.to_owned(),
            path: path.to_owned(),
            ages: Ages::of(config),
            hot: i64::try_from(config.hot.as_secs()).unwrap_or(i64::MAX / 2),
            max_bytes: config.max_bytes,
            lock: None,
            next_try: Deadline::after(Duration::ZERO),
            horizon: None,
            bundles: Bundles::default(),
            done_at: None,
            turn: 0,
            remembered: None,
            failing: false,
            long_log: false,
        }
    }

    /// Forgets what it knows of the file, because there is another one at the path now.
    pub(crate) fn begin_anew(&mut self) {
        self.lock = None;
        self.next_try = Deadline::after(Duration::ZERO);
        self.horizon = None;
        self.bundles = Bundles::default();
        self.done_at = None;
        self.remembered = None;
    }

    /// Does a slice of what there is to do after rows up to `newest` (Unix seconds) were written, if
    /// there is time before the deadline. What fails is tried again next time, and said the first time.
    pub(crate) fn run(&mut self, db: &Connection, newest: i64, deadline: Deadline) {
        if deadline.is_over() || !self.is_ours() {
            return;
        }
        match self.try_run(db, newest, deadline) {
            // Another process is writing.
            Err(error) if class(&error) == FaultClass::Transient => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(sink = self.sink, %error, "The history could not be maintained.");
                }
            }
            Ok(()) => self.failing = false,
        }
    }

    /// Whether this process is the one that maintains the file.
    fn is_ours(&mut self) -> bool {
        if self.lock.is_none() && self.next_try.is_over() {
            self.next_try = Deadline::after(TAKE_OVER);
            match Lock::take(&self.path) {
                Ok(lock) => self.lock = lock,
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(
                            sink = self.sink,
                            %error,
                            "The history can't be locked for maintenance, and grows."
                        );
                    }
                }
            }
        }
        self.lock.is_some()
    }

    fn try_run(
        &mut self,
        db: &Connection,
        newest: i64,
        deadline: Deadline,
    ) -> rusqlite::Result<()> {
        let horizon = match &mut self.horizon {
            Some(horizon) => horizon,
            none => none.insert(Horizon::new(believed(db)?)),
        };
        let now = horizon.advance(newest);
        if self.done_at.is_some_and(|then| (then..then + LOOK_EVERY).contains(&newest)) {
            return Ok(());
        }
        let until = deadline.min(Deadline::after(SLICE));
        // What waits for another process's lock would keep rows waiting.
        let slice = begin(db, Deadline::after(Duration::ZERO))?;
        let before = slice.total_changes();
        let work = self.slice(&slice, newest, now, until)?;
        let worked = slice.total_changes() > before;
        // A commit costs a write to the disk; without work the time can wait to be remembered.
        if worked || self.remembered.is_none_or(|then| now.abs_diff(then) >= REMEMBER_EVERY) {
            remember(&slice, now)?;
            if deadline.is_over() {
                // Given up meanwhile: another writer is at work on this file.
                return Ok(());
            }
            slice.commit()?;
            self.remembered = Some(now);
        }
        self.done_at = (work == Work::AllDone).then_some(newest);
        self.watch_log(db);
        Ok(())
    }

    /// Some of everything. What was not reached in the last slice is first in this one, so that however fast
    /// rows come, each kind of work has its turn; where one needs the other done, it looks for itself.
    fn slice(
        &mut self,
        db: &Connection,
        newest: i64,
        now: i64,
        until: Deadline,
    ) -> rusqlite::Result<Work> {
        for _ in 0..KINDS {
            let work = match self.turn {
                // An interval is over when the rows say so, whether their time is believed or not.
                0 => rollup::work(db, &mut self.bundles, newest, until)?,
                1 => seal::work(db, &mut self.bundles, now - self.hot, self.hot / 4, until)?,
                2 => expire::work(db, &self.ages, now, until)?,
                3 => self.within_budget(db, newest, until)?,
                _ => return_pages(db, SPARE_PAGES)?,
            };
            self.turn = (self.turn + 1) % KINDS;
            if work == Work::Left {
                return Ok(Work::Left);
            }
        }
        Ok(Work::AllDone)
    }

    /// Makes the file fit `max_bytes`. While most of it are rows that are not sealed, sealing more of them
    /// saves more than removing others.
    fn within_budget(
        &mut self,
        db: &Connection,
        newest: i64,
        until: Deadline,
    ) -> rusqlite::Result<Work> {
        let used = expire::bytes_in_use(db)?;
        if used <= self.max_bytes {
            return Ok(Work::AllDone);
        }
        let sum = "SELECT coalesce(sum(length(data)), 0) FROM chunks";
        let sealed: i64 = db.prepare_cached(sum)?.query_row([], |row| row.get(0))?;
        if u64::try_from(sealed).unwrap_or(0) < used / 2 {
            let oldest = "SELECT min(sec) FROM (SELECT (SELECT min(sec) FROM frames
                          WHERE bundle_id = b.id) AS sec FROM bundles AS b)";
            let oldest: Option<i64> = db.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
            // The newest hour stays as it is, whatever the budget.
            let before = oldest.map(|oldest| oldest + EARLIER).filter(|sec| *sec < newest - 3600);
            if let Some(before) = before {
                seal::work(db, &mut self.bundles, before, 0, until)?;
                return Ok(Work::Left);
            }
        }
        expire::shrink(db, self.max_bytes, until)
    }

    /// Empties a log that grew long because readers were at it, and says so if they still are.
    fn watch_log(&mut self, db: &Connection) {
        let log = with_suffix(&self.path, "-wal");
        let is_long = || fs::metadata(&log).is_ok_and(|metadata| metadata.len() > LONG_LOG);
        if is_long() {
            let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        let is_long = is_long();
        if is_long && !self.long_log {
            tracing::warn!(
                sink = self.sink,
                log = %log.display(),
                "A program that reads the history for long keeps its write-ahead log from being emptied."
            );
        }
        self.long_log = is_long;
    }
}

/// One slice of making a file small, by whoever has its lock; says whether there is more to do. What is
/// older than `hot` seconds before the time that maintenance has reached is sealed, however little it is.
pub(crate) fn compact_step(
    db: &Connection,
    bundles: &mut Bundles,
    hot: i64,
) -> rusqlite::Result<bool> {
    let until = Deadline::after(10 * SLICE);
    let slice = begin(db, Deadline::after(TAKE_OVER))?;
    let newest =
        "SELECT max((SELECT max(sec) FROM frames WHERE bundle_id = b.id)) FROM bundles AS b";
    let newest: Option<i64> = slice.query_row(newest, [], |row| row.get(0))?;
    let now = believed(&slice)?.or(newest).unwrap_or(0);
    let left = rollup::work(&slice, bundles, newest.unwrap_or(0), until)? == Work::Left
        || seal::work(&slice, bundles, now - hot, 0, until)? == Work::Left
        || return_pages(&slice, 0)? == Work::Left;
    slice.commit()?;
    Ok(left)
}

/// How much more than the hot window is sealed at once where bytes are scarce, in seconds.
const EARLIER: i64 = 600;

/// The time that was believed when the file was maintained last.
fn believed(db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT now FROM upkeep", [], |row| row.get(0)).optional()
}

fn remember(db: &Connection, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO upkeep (id, now) VALUES (1, ?1)
               ON CONFLICT DO UPDATE SET now = excluded.now WHERE now <> excluded.now";
    db.prepare_cached(sql)?.execute([now]).map(drop)
}

/// Gives free pages back to the disk once there are more than new rows will soon need.
fn return_pages(db: &Connection, spare: i64) -> rusqlite::Result<Work> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= spare {
        return Ok(Work::AllDone);
    }
    db.execute_batch(&format!("PRAGMA incremental_vacuum({})", SLICE_PAGES.min(free - spare)))?;
    Ok(if free - spare > SLICE_PAGES { Work::Left } else { Work::AllDone })
}
