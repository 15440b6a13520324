//! The series of a file, and how far each tier of them reaches.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row, params_from_iter};
use wanctl_sink::Rollup;

use super::filter::Filter;
use super::tiers::{Extent, Rolled};
use super::{Granularity, Query, SeriesName};
use crate::places::{WIDTH, rollup_named};

/// A row of `series`.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) id: i64,
    pub(super) bundle: i64,
    pub(super) position: usize,
    pub(super) scale: f64,
    pub(super) rollup: Rollup,
    pub(super) name: Arc<SeriesName>,
}

/// The series that match, in the order of their names.
pub(super) fn matching(db: &Connection, query: &Query) -> rusqlite::Result<Vec<Series>> {
    select(db, Filter::names(query))
}

/// The series of a bundle, in the order of their names.
pub(super) fn of_bundle(db: &Connection, bundle: i64) -> rusqlite::Result<Vec<Series>> {
    let mut filter = Filter::default();
    filter.and("bundle_id = ?", [bundle.into()]);
    select(db, filter)
}

fn select(db: &Connection, filter: Filter) -> rusqlite::Result<Vec<Series>> {
    let mut select = db.prepare_cached(&format!(
        "SELECT id, bundle_id, position, scale, rollup, metric_name, wan_name, source, labels
         FROM series WHERE true{}",
        filter.sql
    ))?;
    let rows = select.query_map(params_from_iter(filter.values), |row| {
        let position: i64 = row.get(2)?;
        let in_range = usize::try_from(position).ok().filter(|position| *position < WIDTH);
        let labels: String = row.get(8)?;
        Ok(Series {
            id: row.get(0)?,
            bundle: row.get(1)?,
            position: in_range.ok_or(rusqlite::Error::IntegralValueOutOfRange(2, position))?,
            scale: row.get(3)?,
            rollup: rollup_named(row.get_ref(4)?.as_str()?),
            name: Arc::new(SeriesName {
                metric_name: row.get(5)?,
                wan_name: row.get(6)?,
                source: row.get(7)?,
                labels: (!labels.is_empty()).then_some(labels),
            }),
        })
    })?;
    let mut series = rows.collect::<Result<Vec<_>, _>>()?;
    series.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(series)
}

/// A single value, in one row.
pub(super) fn value<T: FromSql>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
}

/// A count in one row.
pub(super) fn count(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<u64> {
    db.prepare_cached(sql)?.query_row(params, |row| unsigned(row, 0))
}

/// A count.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0).unsigned_abs())
}

/// How far the tiers of each of these series reach.
pub(super) fn extents(db: &Connection, series: &[Series]) -> rusqlite::Result<Vec<Extent>> {
    let mut bundles = HashMap::new();
    let mut of = |series: &Series| {
        let bundle = match bundles.get(&series.bundle) {
            Some(known) => *known,
            None => {
                let read = Bundle::read(db, series.bundle)?;
                bundles.insert(series.bundle, read);
                read
            }
        };
        let mut extent =
            Extent { raw: bundle.raw, expired_to: bundle.expired_to, rolled: [None; 3] };
        for (rolled, granularity) in extent.rolled.iter_mut().zip(Granularity::ALL.iter().skip(1)) {
            *rolled = rolled_extent(db, series.id, granularity.seconds(), bundle.rolled_to)?;
        }
        Ok(extent)
    };
    series.iter().map(&mut of).collect()
}

/// What the series of a bundle have in common.
#[derive(Clone, Copy)]
pub(super) struct Bundle {
    /// The first and the last second of raw rows.
    pub(super) raw: Option<(i64, i64)>,
    pub(super) expired_to: i64,
    pub(super) rolled_to: i64,
}

impl Bundle {
    pub(super) fn read(db: &Connection, id: i64) -> rusqlite::Result<Self> {
        let ends = [
            "SELECT sec FROM frames WHERE bundle_id = ?1 ORDER BY sec LIMIT 1",
            "SELECT first_sec FROM chunks WHERE bundle_id = ?1 ORDER BY first_sec LIMIT 1",
            "SELECT sec FROM frames WHERE bundle_id = ?1 ORDER BY sec DESC LIMIT 1",
            "SELECT last_sec FROM chunks WHERE bundle_id = ?1 ORDER BY first_sec DESC LIMIT 1",
        ];
        let mut found: [Option<i64>; 4] = [None; 4];
        for (found, sql) in found.iter_mut().zip(ends) {
            *found = value(db, sql, [id])?;
        }
        let [first_hot, first_sealed, last_hot, last_sealed] = found;
        let first = [first_hot, first_sealed].into_iter().flatten().min();
        let last = last_hot.max(last_sealed);
        let (expired_to, rolled_to) = db
            .prepare_cached("SELECT raw_from, rolled_to FROM bundles WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .unwrap_or_default();
        Ok(Bundle { raw: first.zip(last), expired_to, rolled_to })
    }
}

/// From the first interval there is to where the tier ends.
fn rolled_extent(
    db: &Connection,
    series: i64,
    seconds: i64,
    rolled_to: i64,
) -> rusqlite::Result<Option<Rolled>> {
    let end = |descending: &str| {
        let sql = format!(
            "SELECT start FROM rollups WHERE seconds = ?1 AND series_id = ?2
             ORDER BY start {descending} LIMIT 1"
        );
        value::<i64>(db, &sql, [seconds, series])
    };
    let Some(start) = end("")? else { return Ok(None) };
    let last = end("DESC")?.unwrap_or(start);
    // Imported intervals may lie beyond what was rolled up here.
    let end = last.saturating_add(seconds).max(rolled_to.div_euclid(seconds) * seconds);
    Ok(Some(Rolled { start, end }))
}
