//! A batch as rows: cycles in `frames`, events in `events`, in the transaction that is open.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, ToSql, params};
use wanctl_sink::{Batch, Event, Frame, Item};

use crate::cell::Cell;
use crate::places::{Place, Places, WIDTH};

/// How long the shortest interval is that rows are rolled up to, in seconds.
const MINUTE: i64 = 60;

/// Why a second value of an instant is not stored.
pub(crate) const ANOTHER_VALUE: &str = "the series has another value at this microsecond";

/// One row of `frames` in the making, with the position that each cell's sample has in the batch.
struct Row {
    bundle: i64,
    cells: [Option<Cell>; WIDTH],
    samples: [usize; WIDTH],
}

/// Puts the rows of one batch into the file.
pub(crate) struct Insert<'a> {
    db: &'a Connection,
    /// For each bundle met: minutes before this second are rolled up, and the minute last marked as stale.
    rolled: HashMap<i64, (i64, Option<i64>)>,
    /// The rows of one frame.
    rows: Vec<Row>,
    /// Rows that can't be stored, by their position in the batch.
    rejected: Vec<(usize, String)>,
}

impl<'a> Insert<'a> {
    /// Inserts into the transaction that is open on `db`.
    pub(crate) fn into(db: &'a Connection) -> Self {
        Insert { db, rolled: HashMap::new(), rows: Vec::new(), rejected: Vec::new() }
    }

    /// Inserts all rows but those that can't be stored; returns these. Rows that are there already, from
    /// an earlier try, change nothing.
    pub(crate) fn batch(
        db: &'a Connection,
        places: &mut Places,
        batch: &Batch<'_>,
    ) -> rusqlite::Result<Vec<(usize, String)>> {
        let mut insert = Insert::into(db);
        let mut first = 0;
        for item in batch.items() {
            match item {
                Item::Frame(frame) => insert.frame(places, frame, first)?,
                Item::Event(event) => insert.event(event, first)?,
            }
            first += item.rows();
        }
        Ok(insert.rejected)
    }

    fn frame(&mut self, places: &mut Places, frame: &Frame, first: usize) -> rusqlite::Result<()> {
        let places = places.of(self.db, frame.schema())?;
        let samples = frame.samples().iter().zip(first..).filter_map(|(sample, position)| {
            let place = places.get(usize::from(sample.series))?;
            Some((*place, sample.value, position))
        });
        let (sec, us) = (frame.at().unix_seconds(), frame.at().subsec_micros());
        self.instant(sec, us, samples).map(drop)
    }

    /// Inserts the values of one instant, each with its place and its position in the batch. Returns how
    /// many were not there yet; [`rejected`](Self::take_rejected) are those that can't be.
    pub(crate) fn instant(
        &mut self,
        sec: i64,
        us: u32,
        samples: impl Iterator<Item = (Place, f64, usize)>,
    ) -> rusqlite::Result<usize> {
        self.rows.clear();
        for (Place { bundle, position: column, scale }, value, position) in samples {
            let row = match self.rows.iter().position(|row| row.bundle == bundle) {
                Some(known) => known,
                None => {
                    self.rows.push(Row { bundle, cells: [None; WIDTH], samples: [0; WIDTH] });
                    self.rows.len() - 1
                }
            };
            let row = &mut self.rows[row];
            let cell = Cell::of(value, scale);
            match row.cells[column] {
                Some(other) if other != cell => {
                    self.rejected.push((position, ANOTHER_VALUE.to_owned()))
                }
                _ => {
                    row.cells[column] = Some(cell);
                    row.samples[column] = position;
                }
            }
        }
        let mut added = 0;
        for row in std::mem::take(&mut self.rows) {
            added += self.row(sec, us, &row)?;
            self.mark(row.bundle, sec)?;
        }
        Ok(added)
    }

    /// What could not be stored since the last call, by position, with the reason.
    pub(crate) fn take_rejected(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.rejected)
    }

    fn row(&mut self, sec: i64, us: u32, row: &Row) -> rusqlite::Result<usize> {
        let mut add = self.db.prepare_cached(
            "INSERT INTO frames (bundle_id, sec, us, v0, v1, v2, v3, v4, v5, v6, v7)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
        )?;
        let [v0, v1, v2, v3, v4, v5, v6, v7] = &row.cells;
        let added = add.execute(params![row.bundle, sec, us, v0, v1, v2, v3, v4, v5, v6, v7])?;
        if added == 0 {
            return self.complete(sec, us, row);
        }
        Ok(row.cells.iter().flatten().count())
    }

    /// Adds to a row that is there what it lacks. What it has otherwise stays, and is rejected.
    fn complete(&mut self, sec: i64, us: u32, row: &Row) -> rusqlite::Result<usize> {
        let mut added = 0;
        for (column, cell) in row.cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let key = params![row.bundle, sec, us];
            let stored = format!(
                "SELECT v{column} FROM frames WHERE bundle_id = ?1 AND sec = ?2 AND us = ?3"
            );
            let stored: Option<Cell> =
                self.db.prepare_cached(&stored)?.query_row(key, |row| row.get(0))?;
            match stored {
                None => {
                    let set = format!(
                        "UPDATE frames SET v{column} = ?4
                         WHERE bundle_id = ?1 AND sec = ?2 AND us = ?3"
                    );
                    let mut set = self.db.prepare_cached(&set)?;
                    added += set.execute(params![row.bundle, sec, us, cell])?;
                }
                Some(stored) if stored == *cell => {}
                Some(_) => self.rejected.push((row.samples[column], ANOTHER_VALUE.to_owned())),
            }
        }
        Ok(added)
    }

    /// Has the minute rolled up again if it was already.
    fn mark(&mut self, bundle: i64, sec: i64) -> rusqlite::Result<()> {
        let (rolled_to, marked) = match self.rolled.entry(bundle) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let mut find =
                    self.db.prepare_cached("SELECT rolled_to FROM bundles WHERE id = ?1")?;
                let rolled_to = find.query_row([bundle], |row| row.get(0)).optional()?;
                new.insert((rolled_to.unwrap_or(0), None))
            }
        };
        let minute = sec.div_euclid(MINUTE) * MINUTE;
        if sec < *rolled_to && *marked != Some(minute) {
            let mut mark = self.db.prepare_cached(
                "INSERT INTO stale (bundle_id, start) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?;
            mark.execute([bundle, minute])?;
            *marked = Some(minute);
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, position: usize) -> rusqlite::Result<()> {
        if !event.value.is_finite() {
            // It would be stored as NULL, which the table ignores without a word.
            self.rejected.push((position, format!("{} can't be stored", event.value)));
            return Ok(());
        }
        let (sec, us) = (event.at.unix_seconds(), event.at.subsec_micros());
        let (wan, source): (&str, &str) = (&event.wan, &event.source);
        let labels = event.label_text().unwrap_or_default();
        let row = params![sec, us, wan, event.metric.name, source, event.value, labels];
        add_event(self.db, row).map(drop)
    }
}

/// Inserts an event (second, microsecond, WAN, metric, source, value, labels), and says whether it is new.
pub(crate) fn add_event(db: &Connection, row: &[&dyn ToSql]) -> rusqlite::Result<bool> {
    let mut add = db.prepare_cached(
        "INSERT OR IGNORE INTO events (sec, us, wan_name, metric_name, source, value, labels)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    Ok(add.execute(row)? > 0)
}
