//! Our file, into which a second after the other is put.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use wanctl_sink::{Deadline, FaultClass};

use super::ImportError;
use super::names::Names;
use super::report::ImportReport;
use super::second::{Key, Settled};
use super::source::Position;
use crate::bundle::Bundles;
use crate::database;
use crate::fault::{class, failed};
use crate::insert::{ANOTHER_VALUE, Insert, add_event};
use crate::maintenance::{self, Missing};
use crate::places::{Place, find_or_add};

/// How long opening and each commit wait for other processes that write to the file.
const PATIENCE: Duration = Duration::from_secs(60);

/// From how many on no further hour's intervals are made in one transaction: a daemon that records to the
/// file waits for its end. An hour of a bundle has 104 at most.
const SLICE: usize = 200;

/// How long the file is left alone after each of these transactions. Who waits for it looks only now and
/// then whether it is free, and would hardly ever hit upon a moment between two.
const PAUSE: Duration = Duration::from_millis(5);

/// How far a file was imported.
pub(super) struct Progress {
    /// Where the last row stands.
    pub(super) last: Position,
    /// Its fingerprint.
    pub(super) last_row: Option<String>,
    /// How many rows were read.
    pub(super) rows: u64,
}

/// Our file, open for writing.
pub(super) struct Target {
    path: PathBuf,
    db: Connection,
    places: HashMap<Key, Place>,
}

impl Target {
    /// Opens our file at this absolute path; a new one is made.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let opened = database::open(path, Deadline::after(PATIENCE));
        let db = opened.map_err(|source| ImportError::Target { source })?;
        Ok(Target { path: path.to_owned(), db, places: HashMap::new() })
    }

    /// Opens our file at this absolute path to look at it only.
    pub(super) fn look(path: &Path) -> Result<Self, ImportError> {
        let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let doing = format!("can't read {}", path.display());
        let db = opened.map_err(|error| ImportError::Target { source: failed(&doing, error) })?;
        Ok(Target { path: path.to_owned(), db, places: HashMap::new() })
    }

    /// Gives places to the series of these seconds, unless they have some.
    pub(super) fn give_places(
        &mut self,
        seconds: &[Settled],
        names: &Names,
    ) -> Result<(), ImportError> {
        self.transact(names, |work| {
            for second in seconds {
                for (_, rows) in &second.cycles {
                    work.place(second.samples[rows.clone()].iter().map(|(key, _)| *key))?;
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// How far the file at a path was imported.
    pub(super) fn progress(&self, source: &str) -> Result<Option<Progress>, ImportError> {
        let progress = "SELECT last_sec, last_id, last_row, rows FROM imports WHERE path = ?1";
        let progress = self.db.query_row(progress, [source], |row| {
            Ok(Progress {
                last: Position { sec: row.get(0)?, id: row.get(1)? },
                last_row: row.get(2)?,
                rows: row.get::<_, i64>(3)?.unsigned_abs(),
            })
        });
        progress.optional().map_err(|error| self.failed(error))
    }

    /// Puts seconds into the file, and says how far the import is then, in one transaction.
    pub(super) fn put(
        &mut self,
        seconds: &[Settled],
        names: &Names,
        source: &str,
        progress: &Progress,
    ) -> Result<ImportReport, ImportError> {
        self.transact(names, |work| {
            for second in seconds {
                work.samples(second)?;
                work.rolled(second)?;
                work.events(second)?;
            }
            work.have_minutes_made()?;
            let Progress { last, last_row, rows } = progress;
            let unfilled = seconds.iter().find(|second| !second.rolled.is_empty());
            let unfilled = unfilled.map(|second| second.sec);
            work.db.execute(
                "INSERT INTO imports (path, last_sec, last_id, last_row, rows, unfilled)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET last_sec = ?2, last_id = ?3, last_row = ?4, rows = ?5,
                     unfilled = coalesce(min(unfilled, ?6), unfilled, ?6)",
                params![source, last.sec, last.id, last_row, *rows as i64, unfilled],
            )?;
            Ok(())
        })
    }

    /// Makes the longer intervals that the original had no more or not yet: a tier without holes is what
    /// readers count on. `go_on` is asked after every transaction; says whether all are made.
    pub(super) fn fill(
        &mut self,
        names: &Names,
        source: &str,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<bool, ImportError> {
        let todo = self.unfilled(source).map_err(|error| self.failed(error))?;
        let mut known = Bundles::default();
        for (bundle, from) in todo {
            let mut next = Some(from);
            while let Some(from) = next {
                // Looking for them keeps no other process from writing.
                let found = some_missing(&self.db, &mut known, bundle, from);
                let (missing, after) = found.map_err(|error| self.failed(error))?;
                next = after;
                if missing.is_empty() {
                    continue;
                }
                self.transact(names, |work| {
                    missing.iter().try_for_each(|missing| maintenance::fill(work.db, missing))
                })?;
                if !go_on() {
                    return Ok(false);
                }
                thread::park_timeout(PAUSE);
            }
        }
        // The next import looks again at what is not over yet.
        let filled = "UPDATE imports
             SET unfilled = (SELECT min(rolled_to) - 3600 FROM bundles WHERE rolled_to > 0)
             WHERE path = ?1";
        self.transact(names, |work| work.db.execute(filled, [source]).map(drop))?;
        Ok(true)
    }

    /// Every bundle, and the second from which on longer intervals may be missing; nothing if none are.
    fn unfilled(&self, source: &str) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut read = self.db.prepare(
            "SELECT b.id, i.unfilled FROM imports AS i CROSS JOIN bundles AS b
             WHERE i.path = ?1 AND i.unfilled IS NOT NULL ORDER BY b.id",
        )?;
        read.query_map([source], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Works in one transaction, and says what that has added.
    fn transact(
        &mut self,
        names: &Names,
        work: impl FnOnce(&mut Work<'_>) -> rusqlite::Result<()>,
    ) -> Result<ImportReport, ImportError> {
        let Target { path, db, places } = self;
        let done = || -> rusqlite::Result<ImportReport> {
            let transaction = begin(db)?;
            let insert = Insert::into(&transaction);
            let report = ImportReport::default();
            let oldest = HashMap::new();
            let mut all = Work { db: &transaction, names, places, insert, oldest, report };
            work(&mut all)?;
            let report = all.report;
            transaction.commit()?;
            Ok(report)
        };
        done().map_err(|error| {
            let doing = format!("can't import into {}", path.display());
            ImportError::Target { source: failed(&doing, error) }
        })
    }

    fn failed(&self, error: rusqlite::Error) -> ImportError {
        let doing = format!("can't import into {}", self.path.display());
        ImportError::Target { source: failed(&doing, error) }
    }
}

/// One transaction.
struct Work<'a> {
    db: &'a Connection,
    names: &'a Names,
    places: &'a mut HashMap<Key, Place>,
    insert: Insert<'a>,
    /// The oldest second that each bundle got a row for.
    oldest: HashMap<i64, i64>,
    report: ImportReport,
}

impl Work<'_> {
    fn samples(&mut self, second: &Settled) -> rusqlite::Result<()> {
        for (us, rows) in &second.cycles {
            let samples = &second.samples[rows.clone()];
            self.place(samples.iter().map(|(key, _)| *key))?;
            let places = &*self.places;
            let placed =
                samples.iter().filter_map(|(key, value)| Some((*places.get(key)?, *value, 0)));
            for (place, ..) in placed.clone() {
                self.oldest.entry(place.bundle).or_insert(second.sec);
            }
            let added = self.insert.instant(second.sec, *us, placed)?;
            let rejected = self.insert.take_rejected().len();
            self.report.raw += added as u64;
            self.report.already += (samples.len() - added - rejected) as u64;
            self.report.skip(ANOTHER_VALUE, rejected as u64);
        }
        Ok(())
    }

    /// Takes raw rows for expired no more from where there are some again: before they go, their minutes
    /// have to be made. Maintenance makes none from before the time that has expired.
    fn have_minutes_made(&mut self) -> rusqlite::Result<()> {
        let mut begin = self.db.prepare_cached(
            "UPDATE bundles SET raw_from = ?2 - ?2 % 60 WHERE id = ?1 AND raw_from > ?2 - ?2 % 60",
        )?;
        for (bundle, oldest) in &self.oldest {
            begin.execute([bundle, oldest])?;
        }
        Ok(())
    }

    /// Of an interval the original keeps the value only; what is least and greatest isn't known. It counts
    /// as many samples as it is long, or it would weigh nothing beside an interval of ours.
    fn rolled(&mut self, second: &Settled) -> rusqlite::Result<()> {
        self.place(second.rolled.iter().map(|(_, key, _)| *key))?;
        let mut add = self.db.prepare_cached(
            "INSERT INTO rollups (seconds, series_id, start, value, min, max, count, states)
             SELECT ?1, id, ?4, ?5, ?5, ?5, ?6, ?7 FROM series WHERE bundle_id = ?2 AND position = ?3
             ON CONFLICT DO NOTHING",
        )?;
        for (seconds, key, value) in &second.rolled {
            let Some(&Place { bundle, position, .. }) = self.places.get(key) else { continue };
            let count = key.1.cycles_in(*seconds);
            let is_state = self.names.get(key.0).is_state();
            let states = is_state.then(|| format!("{{\"{value}\":{count}}}"));
            let row = params![seconds, bundle, position as i64, second.sec, value, count, states];
            match add.execute(row)? {
                0 => self.report.already += 1,
                _ => *self.report.tier(*seconds) += 1,
            }
        }
        Ok(())
    }

    fn events(&mut self, second: &Settled) -> rusqlite::Result<()> {
        for (us, event) in &second.events {
            let wan = self.names.wan(event.wan);
            let labels = &event.labels;
            let row = params![second.sec, us, wan, event.metric, event.source, event.value, labels];
            match add_event(self.db, row)? {
                false => self.report.already += 1,
                true => self.report.events += 1,
            }
        }
        Ok(())
    }

    /// Finds or gives the places of series; those of one emitter that are new get them together.
    fn place(&mut self, series: impl Iterator<Item = Key>) -> rusqlite::Result<()> {
        let mut new: Vec<Key> = series.filter(|key| !self.places.contains_key(key)).collect();
        while let Some(&(first, emitter)) = new.first() {
            let wan = self.names.get(first).wan;
            let (group, others) = new.into_iter().partition::<Vec<Key>, _>(|(series, other)| {
                *other == emitter && self.names.get(*series).wan == wan
            });
            let identities: Vec<_> = group
                .iter()
                .map(|(series, emitter)| self.names.identity(*series, *emitter))
                .collect();
            let places = find_or_add(self.db, &identities)?;
            self.places.extend(group.into_iter().zip(places));
            new = others;
        }
        Ok(())
    }
}

/// Missing intervals of a bundle from a second on, enough for a transaction if there are so many; and where
/// to go on.
fn some_missing(
    db: &Connection,
    known: &mut Bundles,
    bundle: i64,
    from: i64,
) -> rusqlite::Result<(Vec<Missing>, Option<i64>)> {
    let (mut all, mut next) = (Vec::new(), Some(from));
    while let Some(from) = next.filter(|_| all.len() < SLICE) {
        next = maintenance::missing(db, known, bundle, from)?.map(|(missing, end)| {
            all.extend(missing);
            end
        });
    }
    Ok((all, next))
}

/// Begins a transaction that can write. A daemon that writes to the same file gives way in a moment.
fn begin(db: &Connection) -> rusqlite::Result<Transaction<'_>> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        match database::begin(db, deadline) {
            Err(error) if class(&error) == FaultClass::Transient && !deadline.is_over() => {}
            begun => return begun,
        }
    }
}
