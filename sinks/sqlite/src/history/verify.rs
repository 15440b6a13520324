//! Looking for what is wrong with a file, without changing it.
//!
//! Rows and what is made of them are compared an hour at a time, in one short transaction each; only
//! SQLite's own check of its structure is a long one.

use std::sync::Arc;

use rusqlite::{Connection, params};
use wanctl_sink::Rollup;

use super::error::{Read, ReadError};
use super::raw::{Page, Pages, Sealed, Wanted, decode};
use super::series::{self, Bundle, Series, unsigned};
use super::streams::{Interval, RolledRows};
use super::time::{end_of, instant, split};
use super::{Granularity, Order, Problem, Query, Segment, SeriesName};
use crate::places::WIDTH;

/// When so many problems are found, no more are looked for.
const MOST: usize = 1000;

/// How far sums of the same values in another order may differ.
const ROUNDING: f64 = 1e-9;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

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
    pub(super) fn ours(mut self) -> Read<Vec<Problem>> {
        self.structure()?;
        self.chunks()?;
        let series = series::matching(self.db, &Query::default())?;
        self.minutes(&series)?;
        self.intervals(&series)?;
        Ok(self.found())
    }

    /// A file of the original.
    pub(super) fn original(mut self) -> Read<Vec<Problem>> {
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

    fn structure(&mut self) -> Read<()> {
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

    fn chunks(&mut self) -> Read<()> {
        // A damaged one has the negative of its bundle.
        let sql = "SELECT id FROM chunks ORDER BY bundle_id, first_sec";
        let mut ids = self.db.prepare(sql)?;
        let ids: Vec<i64> = ids.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let total = ids.len() as u64;
        let mut before: Option<(i64, i64, i64)> = None;
        for (done, id) in (0..).zip(ids) {
            if self.is_full() {
                return Ok(());
            }
            self.report(VerifyStep::Chunks, done, total);
            let transaction = self.db.unchecked_transaction()?;
            if let Some((bundle, first, last)) = self.chunk(id)? {
                if let Some((other, chunk, end)) = before
                    && bundle == other
                    && first <= end
                {
                    self.problems.push(Problem::ChunksOverlap { chunk, other: id });
                }
                before = Some((bundle, id, last));
            }
            transaction.finish()?;
        }
        self.report(VerifyStep::Chunks, total, total);
        Ok(())
    }

    /// Looks into a chunk, unless it was replaced meanwhile. Returns its bundle and its seconds.
    fn chunk(&mut self, id: i64) -> Read<Option<(i64, i64, i64)>> {
        let mut select = self.db.prepare_cached(
            "SELECT bundle_id, first_sec, last_sec, frames, samples FROM chunks WHERE id = ?1",
        )?;
        let mut rows = select.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let bundle: i64 = row.get(0)?;
        let stored: [i64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [first, last, _, _] = stored;
        let positions: [usize; WIDTH] = std::array::from_fn(|position| position);
        let chunk = match decode(self.db, id, &positions) {
            Err(ReadError::Chunk(chunk, error)) => {
                let reason = error.to_string();
                self.problems.push(Problem::ChunkDamaged { chunk, reason });
                return Ok(Some((bundle, first, last)));
            }
            decoded => decoded?,
        };
        let samples: usize = chunk.columns.iter().flatten().map(|column| column.values.len()).sum();
        let sec = |instant: Option<&i64>| instant.map_or(0, |instant| split(*instant).0);
        let found = [
            sec(chunk.micros.first()),
            sec(chunk.micros.last()),
            chunk.micros.len() as i64,
            samples as i64,
        ];
        let columns = ["first_sec", "last_sec", "frames", "samples"];
        for ((column, stored), found) in columns.into_iter().zip(stored).zip(found) {
            if stored != found {
                self.problems.push(Problem::ChunkMismatch { chunk: id, column, stored, found });
            }
        }
        if !chunk.micros.is_sorted_by(|one, next| one < next) {
            self.problems.push(Problem::ChunkDisordered { chunk: id });
        }
        self.two_values(bundle, Sealed { id, from: instant(first, 0), to: end_of(last) })?;
        Ok(Some((bundle, first, last)))
    }

    /// Looks for rows that are in a chunk and, with other values, in `frames`.
    fn two_values(&mut self, bundle: i64, chunk: Sealed) -> Read<()> {
        let all = series::of_bundle(self.db, bundle)?;
        let hot = Pages::new(bundle, wanted(&all, chunk.from, chunk.to), Order::OldestFirst)
            .late(self.db, chunk)?;
        if hot.instants.is_empty() {
            return Ok(());
        }
        let sealed = chunk.read(self.db, &wanted(&all, chunk.from, chunk.to))?;
        for (column, series) in all.iter().enumerate() {
            let mut sealed = sealed.samples(column, chunk.from, chunk.to).peekable();
            for (at, hot) in hot.samples(column, chunk.from, chunk.to) {
                while sealed.next_if(|(before, _)| *before < at).is_some() {}
                let Some((_, sealed)) = sealed.next_if(|(same, _)| *same == at) else { continue };
                if sealed != hot {
                    let (timestamp, micros) = split(at);
                    let series = Arc::clone(&series.name);
                    self.problems.push(Problem::TwoValues {
                        series,
                        timestamp,
                        micros,
                        sealed,
                        hot,
                    });
                }
            }
        }
        Ok(())
    }

    /// Compares minutes with the raw rows they are made of, where these are still there.
    fn minutes(&mut self, series: &[Series]) -> Read<()> {
        let mut bundles: Vec<i64> = series.iter().map(|series| series.bundle).collect();
        bundles.sort_unstable();
        bundles.dedup();
        let mut hours: Vec<(i64, i64)> = Vec::new();
        for bundle in bundles {
            let Bundle { raw, rolled_to, expired_to } = Bundle::read(self.db, bundle)?;
            let Some((first, last)) = raw else { continue };
            let from = first.max(expired_to).div_euclid(HOUR);
            let to = last.min(rolled_to).div_euclid(HOUR);
            hours.extend((from..=to).map(|hour| (bundle, hour * HOUR)));
        }
        let total = hours.len() as u64;
        for (done, (bundle, hour)) in (0..).zip(hours) {
            if self.is_full() {
                return Ok(());
            }
            self.report(VerifyStep::Minutes, done, total);
            let transaction = self.db.unchecked_transaction()?;
            let compared = self.hour(bundle, hour);
            transaction.finish()?;
            match compared {
                // It was named when the chunks were checked.
                Err(ReadError::Chunk(..)) => {}
                compared => compared?,
            }
        }
        self.report(VerifyStep::Minutes, total, total);
        Ok(())
    }

    fn hour(&mut self, bundle: i64, hour: i64) -> Read<()> {
        let all = series::of_bundle(self.db, bundle)?;
        let all: Vec<Series> =
            all.into_iter().filter(|series| series.rollup != Rollup::None).collect();
        let Bundle { rolled_to, expired_to, .. } = Bundle::read(self.db, bundle)?;
        let mut stale = self.db.prepare_cached(
            "SELECT start FROM stale WHERE bundle_id = ?1 AND start BETWEEN ?2 AND ?3",
        )?;
        let last = hour + HOUR - 1;
        let stale: Vec<i64> =
            stale.query_map([bundle, hour, last], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let (from, to) = (instant(hour, 0), end_of(last));
        let mut pages = Pages::new(bundle, wanted(&all, from, to), Order::OldestFirst);
        let mut rows = Page::new(all.len());
        while let Some(page) = pages.next_within(self.db)? {
            rows.append(page);
        }
        for (column, series) in all.iter().enumerate() {
            let minutes = intervals(self.db, series, Granularity::Minute, hour, last)?;
            for minute in (hour..=last).step_by(MINUTE as usize) {
                let complete = expired_to <= minute && minute + MINUTE <= rolled_to;
                if !complete || stale.contains(&minute) {
                    continue;
                }
                let stored = minutes.iter().find(|interval| interval.start == minute);
                let values = rows.values(column, instant(minute, 0), end_of(minute + MINUTE - 1));
                if let Some(made) = Made::of(values, series.rollup) {
                    self.compare(&series.name, Granularity::Minute, minute, stored, made);
                }
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        series: &Arc<SeriesName>,
        granularity: Granularity,
        start: i64,
        stored: Option<&Interval>,
        made: Made,
    ) {
        let series = Arc::clone(series);
        let Some(stored) = stored else {
            self.problems.push(Problem::IntervalMissing { series, granularity, start });
            return;
        };
        let columns = [
            ("count", stored.rolled.count as f64, made.count as f64, 0.0),
            ("min", stored.rolled.min, made.min, 0.0),
            ("max", stored.rolled.max, made.max, 0.0),
            ("value", stored.value, made.value.unwrap_or(stored.value), ROUNDING),
        ];
        for (column, stored, found, rounding) in columns {
            if (stored - found).abs() > rounding * found.abs().max(1.0) {
                let series = Arc::clone(&series);
                self.problems.push(Problem::IntervalMismatch {
                    series,
                    granularity,
                    start,
                    column,
                    stored,
                    found,
                });
            }
        }
    }

    /// Compares longer intervals with the minutes they are made of, where these are still there.
    fn intervals(&mut self, all: &[Series]) -> Read<()> {
        let total = all.len() as u64;
        for (done, series) in (0..).zip(all) {
            if self.is_full() {
                return Ok(());
            }
            self.report(VerifyStep::Intervals, done, total);
            for granularity in Granularity::ALL.into_iter().skip(1) {
                let mut off = self.db.prepare_cached(
                    "SELECT start FROM rollups
                     WHERE seconds = ?1 AND series_id = ?2 AND start % ?1 <> 0 LIMIT ?3",
                )?;
                let key = params![granularity.seconds(), series.id, MOST as i64];
                for start in off.query_map(key, |row| row.get(0))? {
                    let (series, start) = (Arc::clone(&series.name), start?);
                    self.problems.push(Problem::OffBoundary { series, granularity, start });
                }
            }
            for granularity in [Granularity::FiveMinutes, Granularity::Hour] {
                self.longer(series, granularity)?;
            }
        }
        self.report(VerifyStep::Intervals, total, total);
        Ok(())
    }

    fn longer(&mut self, series: &Series, granularity: Granularity) -> Read<()> {
        let transaction = self.db.unchecked_transaction()?;
        let Bundle { rolled_to, .. } = Bundle::read(self.db, series.bundle)?;
        let seconds = granularity.seconds();
        let first = |seconds: i64| {
            let sql = "SELECT start FROM rollups WHERE seconds = ?1 AND series_id = ?2
                       ORDER BY start LIMIT 1";
            series::value::<i64>(self.db, sql, [seconds, series.id])
        };
        let from = first(MINUTE)?.zip(first(seconds)?).map(|(one, other)| one.max(other));
        let made = match from {
            None => Vec::new(),
            Some(from) => {
                let from = (from + seconds - 1).div_euclid(seconds) * seconds;
                let to = rolled_to.div_euclid(seconds) * seconds;
                let mut made = self.db.prepare_cached(
                    "SELECT start / ?1 * ?1, sum(count), min(min), max(max),
                         sum(value * count) / sum(count)
                     FROM rollups WHERE seconds = 60 AND series_id = ?2 AND start >= ?3 AND start < ?4
                     GROUP BY 1 ORDER BY 1",
                )?;
                let rows = made.query_map([seconds, series.id, from, to], |row| {
                    let mean: f64 = row.get(4)?;
                    Ok((
                        row.get::<_, i64>(0)?,
                        Made {
                            count: unsigned(row, 1)?,
                            min: row.get(2)?,
                            max: row.get(3)?,
                            // Of another value than a mean, minutes say too little.
                            value: (series.rollup == Rollup::Mean).then_some(mean),
                        },
                    ))
                })?;
                rows.collect::<rusqlite::Result<Vec<_>>>()?
            }
        };
        let stored = match (made.first(), made.last()) {
            (Some((first, _)), Some((last, _))) => {
                intervals(self.db, series, granularity, *first, *last)?
            }
            _ => Vec::new(),
        };
        transaction.finish()?;
        let mut stored = stored.iter().peekable();
        for (start, made) in made {
            while stored.next_if(|interval| interval.start < start).is_some() {}
            let same = stored.next_if(|interval| interval.start == start);
            self.compare(&series.name, granularity, start, same, made);
        }
        Ok(())
    }

    fn original_tier(&mut self, granularity: Granularity) -> Read<()> {
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

/// The stored intervals of one length that begin in these seconds, in order.
fn intervals(
    db: &Connection,
    series: &Series,
    granularity: Granularity,
    from: i64,
    to: i64,
) -> rusqlite::Result<Vec<Interval>> {
    let segment = Segment { granularity, from, to };
    let name = (series.id, &series.name);
    let mut rows = RolledRows::new(name, segment, (from, to), Order::OldestFirst);
    let mut all = Vec::new();
    loop {
        let page = rows.next_page(db)?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// What an interval should be.
#[derive(Clone, Copy, Debug)]
struct Made {
    count: u64,
    min: f64,
    max: f64,
    /// `None` if it can't be told.
    value: Option<f64>,
}

impl Made {
    /// Of raw values; `None` if there are none.
    fn of(values: impl Iterator<Item = f64>, rollup: Rollup) -> Option<Made> {
        let mut values: Vec<f64> = values.collect();
        let last = *values.last()?;
        let (min, max) = super::summary::extremes(values.iter().copied())?;
        let count = values.len() as u64;
        let value = match rollup {
            Rollup::Mean => values.iter().sum::<f64>() / count as f64,
            Rollup::Mode => {
                values.sort_unstable_by(f64::total_cmp);
                // The last of equals, which is the greatest.
                let most = values.chunk_by(|one, next| one == next).max_by_key(|same| same.len());
                most.and_then(|same| same.first().copied())?
            }
            _ => last,
        };
        Some(Made { count, min, max, value: Some(value) })
    }
}
