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
use wanctl_sink::{Deadline, FaultClass, SinkError};

use crate::bundle::Bundles;
use crate::config::SqliteConfig;
use crate::database::{begin, with_suffix};
use crate::fault::{class, failed};
use expire::Ages;
use horizon::Horizon;
pub(crate) use lock::Lock;
pub(crate) use rollup::{Missing, fill, missing};

/// How long a slice takes before it leaves the rest to the next one. One step more may begin just before.
const SLICE: Duration = Duration::from_millis(20);

/// How much the time of rows has to go on before it is looked whether anything is to be done, in seconds.
const LOOK_EVERY: i64 = 5;

/// How far maintenance may be behind the rows until another process stands in, in seconds. Whoever maintains the
/// file remembers its time more often.
const OVERDUE: i64 = 3 * REMEMBER_EVERY as i64;

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
    /// Somebody else has the lock, and does nothing.
    stands_in: bool,
    /// The file has more bytes than it may have, which was said.
    over_budget: bool,
    /// How many bytes were sealed, and when that was counted.
    sealed: Option<(i64, u64)>,
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
            stands_in: false,
            over_budget: false,
            sealed: None,
            remembered: None,
            failing: false,
            long_log: false,
        }
    }

    /// Forgets what it knows of the file, because there is another one at the path now.
    pub(crate) fn begin_anew(&mut self) {
        self.lock = None;
        self.stands_in = false;
        self.next_try = Deadline::after(Duration::ZERO);
        self.horizon = None;
        self.bundles = Bundles::default();
        self.done_at = None;
        self.remembered = None;
        self.sealed = None;
    }

    /// Does a slice of what there is to do after rows up to `newest` (Unix seconds) were written, if
    /// there is time before the deadline. What fails is tried again next time, and said the first time.
    ///
    /// # Errors
    ///
    /// SQLite calls the file damaged.
    pub(crate) fn run(
        &mut self,
        db: &Connection,
        newest: i64,
        deadline: Deadline,
    ) -> Result<(), SinkError> {
        if deadline.is_over() || !self.is_ours(db, newest) {
            return Ok(());
        }
        match self.try_run(db, newest, deadline) {
            // Another process is writing.
            Err(error) if class(&error) == FaultClass::Transient => {}
            Err(error) if class(&error) == FaultClass::Corrupt => {
                return Err(failed(&format!("can't maintain {}", self.path.display()), error));
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(sink = self.sink, %error, "The history could not be maintained.");
                }
            }
            Ok(()) => self.failing = false,
        }
        Ok(())
    }

    /// Whether this process is to maintain the file: it has the lock, or whoever has it doesn't use it.
    /// Two that do only do some work twice, as each slice is a transaction.
    fn is_ours(&mut self, db: &Connection, newest: i64) -> bool {
        if self.lock.is_none() && self.next_try.is_over() {
            self.next_try = Deadline::after(TAKE_OVER);
            let taken = Lock::take(&self.path);
            self.stands_in = match &taken {
                Ok(Some(_)) => false,
                _ => believed(db).is_ok_and(|then| then.is_none_or(|now| newest - now > OVERDUE)),
            };
            self.lock = taken.unwrap_or_default();
        }
        self.lock.is_some() || self.stands_in
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
        let reached = horizon.reached();
        if self.done_at.is_some_and(|then| (then..then + LOOK_EVERY).contains(&newest)) {
            return Ok(());
        }
        let until = deadline.min(Deadline::after(SLICE));
        // What waits for another process's lock would keep rows waiting.
        let slice = begin(db, Deadline::after(Duration::ZERO))?;
        let before = slice.total_changes();
        rollup::turn_back(&slice, reached)?;
        let (work, error) = self.slice(&slice, now, until)?;
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
        error.map_or(Ok(()), Err)
    }

    /// Some of everything. What was not reached in the last slice is first in this one, so that however fast
    /// rows come, each kind of work has its turn; where one needs the other done, it looks for itself. A
    /// kind that fails is undone, and does not keep the others from their turn; the first error is returned
    /// beside how far the rest came.
    fn slice(
        &mut self,
        db: &Connection,
        now: i64,
        until: Deadline,
    ) -> rusqlite::Result<(Work, Option<rusqlite::Error>)> {
        let mut first_error = None;
        for _ in 0..KINDS {
            let kind = self.turn;
            self.turn = (self.turn + 1) % KINDS;
            db.execute_batch("SAVEPOINT kind")?;
            match self.work(kind, db, now, until) {
                Ok(work) => {
                    db.execute_batch("RELEASE kind")?;
                    if work == Work::Left {
                        return Ok((work, first_error));
                    }
                }
                Err(error) => {
                    // After some errors SQLite has undone the whole transaction.
                    if db.execute_batch("ROLLBACK TO kind; RELEASE kind").is_err() {
                        return Err(error);
                    }
                    first_error.get_or_insert(error);
                }
            }
        }
        Ok((Work::AllDone, first_error))
    }

    fn work(
        &mut self,
        kind: u8,
        db: &Connection,
        now: i64,
        until: Deadline,
    ) -> rusqlite::Result<Work> {
        match kind {
            0 => rollup::work(db, &mut self.bundles, now, until),
            1 => seal::work(db, &mut self.bundles, now - self.hot, self.hot / 4, until),
            2 => expire::work(db, &self.ages, now, until),
            3 => self.within_budget(db, now, until),
            _ => return_pages(db, self.spare_pages()),
        }
    }

    /// How many free pages the file keeps for new rows.
    fn spare_pages(&self) -> i64 {
        // An eighth of a small budget.
        i64::try_from(self.max_bytes / 8 / 4096).map_or(SPARE_PAGES, |pages| pages.min(SPARE_PAGES))
    }

    /// Makes the file fit `max_bytes`. While most of it are rows that are not sealed, sealing more of them
    /// saves more than removing others.
    fn within_budget(
        &mut self,
        db: &Connection,
        now: i64,
        until: Deadline,
    ) -> rusqlite::Result<Work> {
        let used = expire::bytes_in_use(db)?;
        if used <= self.max_bytes {
            self.over_budget = false;
            return Ok(Work::AllDone);
        }
        if !std::mem::replace(&mut self.over_budget, true) {
            tracing::info!(
                sink = self.sink,
                bytes = used,
                max_bytes = self.max_bytes,
                "The history has reached max_bytes; its oldest rows go."
            );
        }
        if self.sealed_bytes(db, now)? < used / 2 {
            let oldest = "SELECT min(sec) FROM (SELECT (SELECT min(sec) FROM frames
                          WHERE bundle_id = b.id) AS sec FROM bundles AS b)";
            let oldest: Option<i64> = db.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
            // The newest hour stays as it is, whatever the budget.
            let before = oldest.map(|oldest| oldest + EARLIER).filter(|sec| *sec < now - 3600);
            if let Some(before) = before {
                seal::work(db, &mut self.bundles, before, 0, until)?;
                return Ok(Work::Left);
            }
        }
        expire::shrink(db, self.max_bytes, until)
    }

    /// About how many bytes are sealed. Counting them takes a look at every chunk, which an answer a minute
    /// old is good enough to spare.
    fn sealed_bytes(&mut self, db: &Connection, now: i64) -> rusqlite::Result<u64> {
        if let Some((then, bytes)) = self.sealed
            && now.abs_diff(then) < 60
        {
            return Ok(bytes);
        }
        let sum = "SELECT coalesce(sum(length(data)), 0) FROM chunks";
        let bytes: i64 = db.prepare_cached(sum)?.query_row([], |row| row.get(0))?;
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.sealed = Some((now, bytes));
        Ok(bytes)
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
        || give_back(&slice, 0, 64 * SLICE_PAGES)? == Work::Left;
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
    give_back(db, spare, SLICE_PAGES)
}

fn give_back(db: &Connection, spare: i64, most: i64) -> rusqlite::Result<Work> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free <= spare {
        return Ok(Work::AllDone);
    }
    // Each step of the statement gives one page back.
    let pages = most.min(free - spare);
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(if free - spare > most { Work::Left } else { Work::AllDone })
}
