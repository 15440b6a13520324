//! The raw rows of one bundle, hot and sealed, page after page.
//!
//! A page is read in one short transaction, which begins where the last page ended: by instant, never by
//! table. So rows that are sealed in between are neither lost nor read twice. Ranges, chunks and pages are
//! of whole seconds.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::damage::Damage;
use super::page::Page;
use super::series::{self, value};
use super::time::{Left, end_of, instant, split};
use super::{Order, Segment};
use crate::chunk::{Chunk, ChunkError, ChunkInfo, Column, Values};

/// How many rows are read from `frames` at once, if not for the rest of a second: few at first, because
/// often few are wanted.
const FIRST_PAGE: usize = 64;
const LARGEST_PAGE: usize = 4096;

/// One series of the bundle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) position: usize,
    pub(super) scale: f64,
    /// From which instant to which, both included.
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Wanted {
    /// The part of a segment that lies in a query's range.
    pub(super) fn new(position: usize, scale: f64, segment: Segment, from: i64, to: i64) -> Self {
        let (from, to) = (segment.from.max(from), segment.to.min(to));
        Wanted { position, scale, from: instant(from, 0), to: end_of(to) }
    }
}

/// A row of `chunks`, without its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed {
    pub(super) id: i64,
    /// The first instant of its range, and the last one.
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Sealed {
    /// The chunk of which something is left that is read first. Ranges of a bundle's chunks never overlap.
    pub(super) fn next(db: &Connection, bundle: i64, left: Left) -> rusqlite::Result<Option<Self>> {
        let Some((from, to)) = left.range() else { return Ok(None) };
        let (from, to) = (split(from).0, split(to).0);
        let at_or_before = "first_sec <= ?2 AND last_sec >= ?3 ORDER BY first_sec DESC LIMIT 1";
        let after = "first_sec > ?2 AND first_sec <= ?3 ORDER BY first_sec LIMIT 1";
        match left.order {
            Order::NewestFirst => Sealed::find(db, bundle, at_or_before, to, from),
            Order::OldestFirst => match Sealed::find(db, bundle, at_or_before, from, from)? {
                None => Sealed::find(db, bundle, after, from, to),
                found => Ok(found),
            },
        }
    }

    fn find(
        db: &Connection,
        bundle: i64,
        condition: &str,
        one: i64,
        other: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let mut find = db.prepare_cached(&format!(
            "SELECT id, first_sec, last_sec FROM chunks
             WHERE bundle_id = ?1 AND {condition}"
        ))?;
        let mut rows = find.query([bundle, one, other])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Sealed::of(row).map(Some)
    }

    /// A row with its `id`, its first second and its last one.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Sealed { id: row.get(0)?, from: instant(row.get(1)?, 0), to: end_of(row.get(2)?) })
    }

    /// The wanted columns of its rows; none of a damaged chunk.
    pub(super) fn read(
        self,
        db: &Connection,
        wanted: &[Wanted],
        damage: &Damage,
    ) -> rusqlite::Result<Page> {
        let positions: Vec<usize> = wanted.iter().map(|wanted| wanted.position).collect();
        let Ok(mut chunk) = decode(db, self.id, &positions)? else {
            damage.add(self);
            return Ok(Page::new(wanted.len()));
        };
        let rows = chunk.micros.len();
        let column = |wanted: &Wanted| {
            let column = chunk.columns.get_mut(wanted.position).and_then(Option::take);
            column.map_or_else(|| vec![f64::NAN; rows], |column| numbers(column, wanted.scale))
        };
        let columns = wanted.iter().map(column).collect();
        Ok(Page { instants: chunk.micros, columns })
    }
}

/// The times and these columns of a chunk, if it is not damaged.
pub(super) fn decode(
    db: &Connection,
    id: i64,
    positions: &[usize],
) -> rusqlite::Result<Result<Chunk, ChunkError>> {
    with_data(db, id, |data| Chunk::decode(data, positions))
}

fn with_data<T>(
    db: &Connection,
    id: i64,
    read: impl FnOnce(&[u8]) -> Result<T, ChunkError>,
) -> rusqlite::Result<Result<T, ChunkError>> {
    let mut select = db.prepare_cached("SELECT data FROM chunks WHERE id = ?1")?;
    let mut rows = select.query([id])?;
    let Some(row) = rows.next()? else {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    };
    Ok(read(row.get_ref(0)?.as_blob()?))
}

/// A value for each row; NaN where there is none.
fn numbers(column: Column, scale: f64) -> Vec<f64> {
    let values: Vec<f64> = match column.values {
        Values::Whole(values) => values.into_iter().map(|whole| whole as f64 / scale).collect(),
        Values::Real(values) => values,
    };
    let Some(present) = column.present else { return values };
    let mut values = values.into_iter();
    let mut next = |present: bool| present.then(|| values.next()).flatten().unwrap_or(f64::NAN);
    present.into_iter().map(&mut next).collect()
}

/// The pages of a bundle.
#[derive(Debug)]
pub(super) struct Pages {
    bundle: i64,
    wanted: Vec<Wanted>,
    left: Left,
    sql: String,
    rows: usize,
    damage: Damage,
}

impl Pages {
    pub(super) fn new(bundle: i64, wanted: Vec<Wanted>, order: Order, damage: &Damage) -> Self {
        let from = wanted.iter().map(|wanted| wanted.from).min().unwrap_or(i64::MAX);
        let to = wanted.iter().map(|wanted| wanted.to).max().unwrap_or(i64::MIN);
        let direction = match order {
            Order::OldestFirst => "",
            Order::NewestFirst => "DESC",
        };
        let columns: String =
            wanted.iter().map(|wanted| format!(", v{}", wanted.position)).collect();
        let sql = format!(
            "SELECT sec, us{columns} FROM frames
             WHERE bundle_id = ?1 AND sec BETWEEN ?2 AND ?3
             ORDER BY sec {direction}, us {direction}"
        );
        let (left, damage) = (Left::new(from, to, order), damage.clone());
        Pages { bundle, wanted, left, sql, rows: FIRST_PAGE, damage }
    }

    pub(super) fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// The instant at which reading goes on; `None` when all is read.
    pub(super) fn position(&self) -> Option<i64> {
        self.left.next()
    }

    /// The next rows, in the order of time whatever the order of pages; `None` when all is read.
    pub(super) fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Page>> {
        let transaction = db.unchecked_transaction()?;
        let page = self.next_within(db)?;
        transaction.finish()?;
        Ok(page)
    }

    /// The same in a transaction that is open.
    pub(super) fn next_within(&mut self, db: &Connection) -> rusqlite::Result<Option<Page>> {
        loop {
            let Some((from, to)) = self.left.range() else { return Ok(None) };
            let sealed = Sealed::next(db, self.bundle, self.left)?;
            // What comes before the chunk.
            let (open, rest) = match (sealed, self.left.order) {
                (None, _) => (Some((from, to)), None),
                (Some(chunk), Order::OldestFirst) => {
                    (Some((from, chunk.from - 1)), Some((chunk, chunk.from - 1)))
                }
                (Some(chunk), Order::NewestFirst) => {
                    (Some((chunk.to + 1, to)), Some((chunk, chunk.to + 1)))
                }
            };
            if let Some((from, to)) = open.filter(|(from, to)| from <= to) {
                let (page, more) = self.frames(db, (from, to), self.rows)?;
                self.rows = (self.rows * 4).min(LARGEST_PAGE);
                let read_to = match (more, self.left.order) {
                    (Some(sec), Order::OldestFirst) => Some(end_of(sec)),
                    (Some(sec), Order::NewestFirst) => Some(instant(sec, 0)),
                    (None, _) => rest.map(|(_, edge)| edge),
                };
                match read_to {
                    Some(instant) => self.left.read_through(instant),
                    None => self.left.finish(),
                }
                if !page.instants.is_empty() {
                    return Ok(Some(page));
                }
            }
            if let Some((chunk, _)) = rest {
                let page = self.sealed(db, chunk)?;
                if !page.instants.is_empty() {
                    return Ok(Some(page));
                }
            }
        }
    }

    /// Rows that are not sealed, in the time of a chunk.
    pub(super) fn late(&self, db: &Connection, chunk: Sealed) -> rusqlite::Result<Page> {
        Ok(self.frames(db, (chunk.from, chunk.to), usize::MAX)?.0)
    }

    /// What is left of a chunk, with the rows that came too late for it.
    fn sealed(&mut self, db: &Connection, chunk: Sealed) -> rusqlite::Result<Page> {
        let Some((from, to)) = self.left.range() else { return Ok(Page::default()) };
        let (from, to) = (from.max(chunk.from), to.min(chunk.to));
        let mut page = chunk.read(db, &self.wanted, &self.damage)?;
        page.keep(page.rows(from, to));
        let (late, _) = self.frames(db, (from, to), usize::MAX)?;
        if !late.instants.is_empty() {
            page = page.merge(late);
        }
        self.left.read_through(match self.left.order {
            Order::OldestFirst => to,
            Order::NewestFirst => from,
        });
        Ok(page)
    }

    /// Rows of `frames` in these seconds, whole seconds of them: all, or as many as asked for and a few
    /// more. Says up to which second, in the order of reading, if not all.
    fn frames(
        &self,
        db: &Connection,
        (from, to): (i64, i64),
        enough: usize,
    ) -> rusqlite::Result<(Page, Option<i64>)> {
        let mut select = db.prepare_cached(&self.sql)?;
        let mut rows = select.query([self.bundle, split(from).0, split(to).0])?;
        let mut page = Page::new(self.wanted.len());
        let mut last = None;
        let mut more = None;
        while let Some(row) = rows.next()? {
            let sec = row.get(0)?;
            if last != Some(sec) && enough <= page.instants.len() {
                more = last;
                break;
            }
            last = Some(sec);
            page.instants.push(instant(sec, row.get(1)?));
            for (at, (column, wanted)) in page.columns.iter_mut().zip(&self.wanted).enumerate() {
                column.push(match row.get_ref(2 + at)? {
                    ValueRef::Integer(whole) => whole as f64 / wanted.scale,
                    ValueRef::Real(real) => real,
                    _ => f64::NAN,
                });
            }
        }
        if self.left.order == Order::NewestFirst {
            page.reverse();
        }
        Ok((page, more))
    }

    /// How many samples are left, of all series wanted.
    pub(super) fn count(mut self, db: &Connection) -> rusqlite::Result<u64> {
        let transaction = db.unchecked_transaction()?;
        let mut count = 0;
        while let Some((from, to)) = self.left.range() {
            let sealed = Sealed::next(db, self.bundle, self.left)?;
            let open_to = sealed.map_or(to, |chunk| to.min(chunk.from - 1));
            if from <= open_to {
                count += self.count_frames(db, from, open_to)?;
            }
            let Some(chunk) = sealed else { break };
            if let Some(samples) = self.samples(db, chunk)? {
                count += samples;
                self.left.read_through(chunk.to);
            } else {
                self.left.read_through(chunk.from - 1);
                let page = self.sealed(db, chunk)?;
                for (column, wanted) in self.wanted.iter().enumerate() {
                    count += page.values(column, wanted.from, wanted.to).count() as u64;
                }
            }
        }
        transaction.finish()?;
        Ok(count)
    }

    /// How many samples a chunk has of the series wanted; `None` if that takes more than its head to tell,
    /// or it is damaged.
    fn samples(&self, db: &Connection, chunk: Sealed) -> rusqlite::Result<Option<u64>> {
        let inside = |wanted: &Wanted| wanted.from <= chunk.from && chunk.to <= wanted.to;
        if !self.wanted.iter().all(inside) || self.has_late(db, chunk)? {
            return Ok(None);
        }
        let Ok(info) = with_data(db, chunk.id, ChunkInfo::of)? else { return Ok(None) };
        let samples = |wanted: &Wanted| info.samples.get(wanted.position).copied();
        Ok(Some(self.wanted.iter().filter_map(samples).sum::<usize>() as u64))
    }

    /// Leaves out the next page if it is a chunk of at most so many samples; says of how many.
    pub(super) fn skip_chunk(
        &mut self,
        db: &Connection,
        most: u64,
    ) -> rusqlite::Result<Option<u64>> {
        let transaction = db.unchecked_transaction()?;
        let Some((from, to)) = self.left.range() else { return Ok(None) };
        let Some(chunk) = Sealed::next(db, self.bundle, self.left)? else { return Ok(None) };
        let (before, after) = ((from, chunk.from - 1), (chunk.to + 1, to));
        let (open, edge) = match self.left.order {
            Order::OldestFirst => (before, chunk.to),
            Order::NewestFirst => (after, chunk.from),
        };
        let whole = from <= chunk.from && chunk.to <= to;
        if !whole || self.has_frames(db, open)? {
            return Ok(None);
        }
        let samples = self.samples(db, chunk)?.filter(|samples| *samples <= most);
        if samples.is_some() {
            self.left.read_through(edge);
        }
        transaction.finish()?;
        Ok(samples)
    }

    fn count_frames(&self, db: &Connection, from: i64, to: i64) -> rusqlite::Result<u64> {
        let mut ranges: BTreeMap<(i64, i64), Vec<String>> = BTreeMap::new();
        for wanted in &self.wanted {
            let range = (from.max(wanted.from), to.min(wanted.to));
            ranges.entry(range).or_default().push(format!("count(v{})", wanted.position));
        }
        let mut count = 0;
        for ((from, to), columns) in ranges {
            let sql = format!(
                "SELECT {} FROM frames WHERE bundle_id = ?1 AND sec BETWEEN ?2 AND ?3",
                columns.join(" + ")
            );
            count += series::count(db, &sql, [self.bundle, split(from).0, split(to).0])?;
        }
        Ok(count)
    }

    fn has_late(&self, db: &Connection, chunk: Sealed) -> rusqlite::Result<bool> {
        self.has_frames(db, (chunk.from, chunk.to))
    }

    fn has_frames(&self, db: &Connection, (from, to): (i64, i64)) -> rusqlite::Result<bool> {
        if to < from {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM frames WHERE bundle_id = ?1 AND sec BETWEEN ?2 AND ?3 LIMIT 1";
        Ok(value::<i64>(db, sql, [self.bundle, split(from).0, split(to).0])?.is_some())
    }
}
