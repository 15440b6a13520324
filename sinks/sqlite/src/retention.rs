//! Old rows go in small slices, after a commit, on the sink's own thread.
//!
//! The age of a row is its distance from the newest row of the batch just written; no clock is read,
//! and a clock that is wrong for a while removes a few slices, not the history.

use std::time::Duration;

use rusqlite::Connection;
use wanctl_sink::{Deadline, FaultClass};

use crate::fault::class;

/// Events (transitions, configuration snapshots) are kept this many times as long as samples: they are
/// few, and they explain the samples around them.
const EVENT_FACTOR: i64 = 10;

/// A series is touched when this much of it is too old, and then loses it all at once, so that
/// clean-up doesn't write a page of every series with every commit.
const SLICE_SECONDS: i64 = 60;

/// How many events go at once.
const SLICE_EVENTS: i64 = 100;

/// How long clean-up takes after a commit before it leaves the rest to the next one.
const BUDGET: Duration = Duration::from_millis(50);

/// How many free pages (4 KiB) the file keeps for new rows; what is beyond goes back to the disk.
const SPARE_PAGES: i64 = 1024;

/// How many free pages go back at once.
const SLICE_PAGES: i64 = 128;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What goes next.
pub(crate) struct Retention {
    keep_seconds: i64,
    /// The series that was looked at last; clean-up goes round.
    last_series: i64,
    /// The last try failed, which was said.
    failing: bool,
}

impl Retention {
    /// Keeps samples this many days.
    pub(crate) fn new(days: u32) -> Self {
        Retention { keep_seconds: i64::from(days) * DAY_SECONDS, last_series: 0, failing: false }
    }

    /// Deletes some of what is too old at `newest` (Unix seconds), if there is time before the deadline.
    /// What fails is tried again next time, and said the first time.
    pub(crate) fn clean(&mut self, db: &Connection, newest: i64, sink: &str, deadline: Deadline) {
        if deadline.is_over() {
            return;
        }
        match self.try_clean(db, newest, deadline.min(Deadline::after(BUDGET))) {
            // Another process is writing.
            Err(error) if class(&error) == FaultClass::Transient => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(sink, %error, "Old history could not be removed.");
                }
            }
            Ok(()) => self.failing = false,
        }
    }

    fn try_clean(
        &mut self,
        db: &Connection,
        newest: i64,
        budget: Deadline,
    ) -> rusqlite::Result<()> {
        db.busy_timeout(Duration::ZERO)?;
        self.events(db, newest.saturating_sub(self.keep_seconds * EVENT_FACTOR))?;
        self.samples(db, newest.saturating_sub(self.keep_seconds), budget)?;
        if !budget.is_over() {
            return_pages(db)?;
        }
        Ok(())
    }

    fn events(&self, db: &Connection, cutoff: i64) -> rusqlite::Result<()> {
        db.prepare_cached(
            "DELETE FROM events WHERE id IN
             (SELECT id FROM events WHERE sec < ?1 ORDER BY sec LIMIT ?2)",
        )?
        .execute([cutoff, SLICE_EVENTS])
        .map(drop)
    }

    /// A slice of each series, going round until the time is up or each had its turn.
    fn samples(&mut self, db: &Connection, cutoff: i64, budget: Deadline) -> rusqlite::Result<()> {
        let mut next = db.prepare_cached("SELECT min(id) FROM bundles WHERE id > ?1")?;
        let mut oldest = db.prepare_cached("SELECT min(sec) FROM frames WHERE bundle_id = ?1")?;
        let mut delete =
            db.prepare_cached("DELETE FROM frames WHERE bundle_id = ?1 AND sec < ?2")?;
        let mut wrapped = false;
        let first = self.last_series;
        loop {
            let id: Option<i64> = next.query_row([self.last_series], |row| row.get(0))?;
            match id {
                Some(id) => self.last_series = id,
                None if wrapped => return Ok(()),
                None => {
                    wrapped = true;
                    self.last_series = 0;
                    continue;
                }
            }
            let oldest: Option<i64> = oldest.query_row([self.last_series], |row| row.get(0))?;
            if let Some(end) = oldest.map(|oldest| oldest.saturating_add(SLICE_SECONDS))
                && end <= cutoff
            {
                delete.execute([self.last_series, end])?;
            }
            if budget.is_over() || (wrapped && self.last_series >= first) {
                return Ok(());
            }
        }
    }
}

/// Gives free pages back to the disk once there are more than new rows will soon need.
fn return_pages(db: &Connection) -> rusqlite::Result<()> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > SPARE_PAGES {
        db.execute_batch(&format!("PRAGMA incremental_vacuum({SLICE_PAGES})"))?;
    }
    Ok(())
}
