//! Each interval, beside the rows or the shorter intervals it was made of.

use std::sync::Arc;

use rusqlite::{Connection, params};
use wanctl_sink::Rollup;

use super::{Check, MOST, VerifyStep, wanted};
use crate::history::damage::Damage;
use crate::history::page::Page;
use crate::history::raw::Pages;
use crate::history::series::{self, Bundle, Series, unsigned};
use crate::history::streams::{Interval, RolledRows};
use crate::history::summary::extremes;
use crate::history::tiers::Segment;
use crate::history::time::{end_of, instant};
use crate::history::{Granularity, Order, Problem, SeriesName};

/// How far sums of the same values in another order may differ.
const ROUNDING: f64 = 1e-9;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

impl Check<'_> {
    /// Compares minutes with the raw rows they are made of, where these are still there.
    pub(super) fn minutes(&mut self, series: &[Series]) -> rusqlite::Result<()> {
        let mut bundles: Vec<i64> = series.iter().map(|series| series.bundle).collect();
        bundles.sort_unstable();
        bundles.dedup();
        let mut hours: Vec<(i64, i64)> = Vec::new();
        for bundle in bundles {
            let Bundle { raw, rolled_to, expired_to } = Bundle::read(self.db, bundle)?;
            let Some((first, last)) = raw else { continue };
            let mut from = first.max(expired_to);
            // From each hour to the next one that has a row, because years may lie between two.
            while let Some(row) =
                self.next_row(bundle, from)?.filter(|row| *row <= last.min(rolled_to))
            {
                let hour = row.div_euclid(HOUR) * HOUR;
                hours.push((bundle, hour));
                from = hour + HOUR;
            }
        }
        let total = hours.len() as u64;
        for (done, (bundle, hour)) in (0..).zip(hours) {
            if self.is_full() {
                return Ok(());
            }
            self.report(VerifyStep::Minutes, done, total);
            let transaction = self.db.unchecked_transaction()?;
            self.hour(bundle, hour)?;
            transaction.finish()?;
        }
        self.report(VerifyStep::Minutes, total, total);
        Ok(())
    }

    /// The first second from `from` on that may have a raw row of a bundle.
    fn next_row(&self, bundle: i64, from: i64) -> rusqlite::Result<Option<i64>> {
        let hot = "SELECT sec FROM frames WHERE bundle_id = ?1 AND sec >= ?2 ORDER BY sec LIMIT 1";
        let sealed = "SELECT max(first_sec, ?2) FROM chunks
                      WHERE bundle_id = ?1 AND last_sec >= ?2 ORDER BY first_sec LIMIT 1";
        let hot: Option<i64> = series::value(self.db, hot, [bundle, from])?;
        let sealed: Option<i64> = series::value(self.db, sealed, [bundle, from])?;
        Ok(hot.into_iter().chain(sealed).min())
    }

    fn hour(&mut self, bundle: i64, hour: i64) -> rusqlite::Result<()> {
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
        let damage = Damage::default();
        let mut pages = Pages::new(bundle, wanted(&all, from, to), Order::OldestFirst, &damage);
        let mut rows = Page::new(all.len());
        while let Some(page) = pages.next_within(self.db)? {
            rows.append(page);
        }
        // What is damaged was named when the chunks were checked.
        if !damage.seconds().is_empty() || self.is_set_apart(bundle, hour, last)? {
            return Ok(());
        }
        for (column, series) in all.iter().enumerate() {
            let minutes = intervals(self.db, series, Granularity::Minute, hour, last)?;
            // Those before the oldest one were removed by age, while rows of a chunk stay with its last.
            let oldest = "SELECT start FROM rollups WHERE seconds = 60 AND series_id = ?1
                          ORDER BY start LIMIT 1";
            let oldest: i64 = series::value(self.db, oldest, [series.id])?.unwrap_or(i64::MIN);
            for minute in (hour..=last).step_by(MINUTE as usize) {
                let complete = expired_to.max(oldest) <= minute && minute + MINUTE <= rolled_to;
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

    /// Whether rows of these seconds are in a damaged chunk that maintenance has set apart.
    fn is_set_apart(&self, bundle: i64, first: i64, last: i64) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM chunks
                   WHERE bundle_id = -?1 AND first_sec <= ?3 AND last_sec >= ?2 LIMIT 1";
        Ok(series::value::<i64>(self.db, sql, [bundle, first, last])?.is_some())
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
        // Of an imported one nothing but its value is known; how many samples it had is a guess.
        let may_be_imported = stored.rolled.min == stored.rolled.max;
        if may_be_imported && made.min < made.max {
            return;
        }
        let count = if may_be_imported { made.count } else { stored.rolled.count };
        let columns = [
            ("count", count as f64, made.count as f64, 0.0),
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
    pub(super) fn intervals(&mut self, all: &[Series]) -> rusqlite::Result<()> {
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

    fn longer(&mut self, series: &Series, granularity: Granularity) -> rusqlite::Result<()> {
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
        let (min, max) = extremes(values.iter().copied())?;
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
