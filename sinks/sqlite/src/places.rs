//! Where the values of a series stand: a bundle, and a column of the bundle's rows in `frames`.
//!
//! A place is given once and never changes. Series that are new together get places together, so that a
//! cycle is one row for eight of them.

use std::sync::Arc;

use rusqlite::{Connection, Error, OptionalExtension, params};
use wanctl_sink::{Kind, Metric, Rollup, Schema, SchemaCache, Series, Unit};

/// How many series a bundle holds: the columns `v0` to `v7`.
pub(crate) const WIDTH: usize = 8;

/// The place of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) bundle: i64,
    pub(crate) position: usize,
    /// A whole number n in the column stands for n / scale.
    pub(crate) scale: f64,
}

/// What a series is called in the file, and how its values are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Identity<'a> {
    pub(crate) metric: &'a str,
    pub(crate) wan: &'a str,
    pub(crate) source: &'a str,
    /// The text of a JSON object; empty for no labels.
    pub(crate) labels: &'a str,
    pub(crate) scale: f64,
    pub(crate) rollup: &'static str,
}

impl<'a> Identity<'a> {
    fn of(series: &'a Series) -> Self {
        let (scale, rollup) = kept_as(series.metric());
        Identity {
            metric: series.metric().name,
            wan: series.wan(),
            source: series.source(),
            labels: series.labels().json().unwrap_or_default(),
            scale,
            rollup,
        }
    }
}

/// The places found so far. Rows of `series` are never deleted, so a place that is committed stays true;
/// [`forget`](Self::forget) all after a transaction that may not have been.
#[derive(Default)]
pub(crate) struct Places {
    schemas: SchemaCache<Box<[Place]>>,
}

impl Places {
    /// The places of a schema's series, by position in the schema; in the transaction open on `db`.
    pub(crate) fn of(
        &mut self,
        db: &Connection,
        schema: &Arc<Schema>,
    ) -> rusqlite::Result<&[Place]> {
        let places = self.schemas.get_or_insert_with(schema, Box::default);
        if places.is_empty() {
            *places = find_all(db, schema)?;
        }
        Ok(places)
    }

    /// Forgets every place.
    pub(crate) fn forget(&mut self) {
        self.schemas.clear();
    }
}

fn find_all(db: &Connection, schema: &Schema) -> rusqlite::Result<Box<[Place]>> {
    let series: Vec<Identity<'_>> = schema.series().iter().map(Identity::of).collect();
    find_or_add(db, &series)
}

/// The places of series that are written together; those that are new get places together.
///
/// Another process may have made the rows; inside a transaction that can write, they are there to stay.
pub(crate) fn find_or_add(
    db: &Connection,
    series: &[Identity<'_>],
) -> rusqlite::Result<Box<[Place]>> {
    let mut bundle = None;
    let mut place = |series| match find(db, series)? {
        Some(place) => Ok(place),
        None => {
            let (id, position) = match bundle {
                Some((id, last)) if last + 1 < WIDTH => (id, last + 1),
                _ => (new_bundle(db)?, 0),
            };
            bundle = Some((id, position));
            add(db, series, id, position)
        }
    };
    series.iter().map(&mut place).collect()
}

fn find(db: &Connection, series: &Identity<'_>) -> rusqlite::Result<Option<Place>> {
    let mut find = db.prepare_cached(
        "SELECT bundle_id, position, scale FROM series
         WHERE metric_name = ?1 AND wan_name = ?2 AND source = ?3 AND labels = ?4",
    )?;
    let place = |row: &rusqlite::Row<'_>| {
        let position: i64 = row.get(1)?;
        let in_range = usize::try_from(position).ok().filter(|position| *position < WIDTH);
        let position = in_range.ok_or(Error::IntegralValueOutOfRange(1, position))?;
        Ok(Place { bundle: row.get(0)?, position, scale: row.get(2)? })
    };
    let Identity { metric, wan, source, labels, .. } = series;
    find.query_row(params![metric, wan, source, labels], place).optional()
}

fn new_bundle(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT INTO bundles DEFAULT VALUES")?.insert([])
}

fn add(
    db: &Connection,
    series: &Identity<'_>,
    bundle: i64,
    position: usize,
) -> rusqlite::Result<Place> {
    let Identity { metric, wan, source, labels, scale, rollup } = *series;
    db.prepare_cached(
        "INSERT INTO series (bundle_id, position, wan_name, metric_name, source, labels, scale, rollup)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .insert(params![bundle, position as i64, wan, metric, source, labels, scale, rollup])?;
    Ok(Place { bundle, position, scale })
}

/// The scale and the roll-up of a metric's series.
pub(crate) fn kept_as(metric: &Metric) -> (f64, &'static str) {
    (scale(metric.unit, metric.kind), rollup(metric.rollup))
}

/// How finely values are usually rounded: times to 0.01 ms, rates to 1 bit/s, levels without a unit to two
/// decimals. A value that is not is kept as it is, and takes more room.
pub(crate) fn scale(unit: Unit, kind: Kind) -> f64 {
    match (unit, kind) {
        (Unit::Milliseconds, _) => 100.0,
        (Unit::MegabitsPerSecond, _) => 1_000_000.0,
        (Unit::Seconds, _) => 1_000.0,
        (Unit::None, Kind::Gauge) => 100.0,
        _ => 1.0,
    }
}

pub(crate) fn rollup(rollup: Rollup) -> &'static str {
    match rollup {
        Rollup::Mean => "mean",
        Rollup::Mode => "mode",
        Rollup::Last => "last",
        _ => "none",
    }
}

/// What [`rollup`] has named.
pub(crate) fn rollup_named(text: &str) -> Rollup {
    match text {
        "mean" => Rollup::Mean,
        "mode" => Rollup::Mode,
        "last" => Rollup::Last,
        _ => Rollup::None,
    }
}

#[cfg(test)]
mod tests {
    use wanctl_sink::{Kind, Metric};

    use super::*;

    static RTT: Metric = Metric {
        name: "wanctl_test_rtt_ms",
        unit: Unit::Milliseconds,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "Round-trip time",
        states: &[],
    };

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("schema.sql")).unwrap();
        db
    }

    fn schema(wans: impl Iterator<Item = usize>) -> Arc<Schema> {
        let series = |wan| Series::new(&RTT, format!("wan{wan}"), "test");
        Schema::new(wans.map(series).collect()).unwrap()
    }

    #[test]
    fn a_thousand_schemas_in_a_row_leave_bounded_memory_and_right_places() {
        let db = database();
        let mut places = Places::default();
        // Somebody else holds them all, as another sink may.
        let schemas: Vec<_> = (0..1000).map(|wan| schema(wan..wan + 1)).collect();
        let mut all = || -> Vec<Place> {
            schemas.iter().map(|one| places.of(&db, one).unwrap()[0]).collect()
        };
        let first = all();
        assert_eq!(first, all());
        assert_eq!(places.schemas.len(), SchemaCache::<()>::CAPACITY);
        let mut names = db.prepare("SELECT wan_name FROM series ORDER BY id").unwrap();
        let names: Vec<String> =
            names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let expected: Vec<String> = (0..1000).map(|wan| format!("wan{wan}")).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn series_keep_their_places_when_a_schema_grows() {
        let db = database();
        let mut places = Places::default();
        let place = |place: &Place| (place.bundle, place.position);
        let before: Vec<_> = places.of(&db, &schema(0..6)).unwrap().iter().map(place).collect();
        assert_eq!(before, (0..6).map(|position| (1, position)).collect::<Vec<_>>());
        let after: Vec<_> = places.of(&db, &schema(4..16)).unwrap().iter().map(place).collect();
        assert_eq!(after[..2], before[4..]);
        let new: Vec<_> = (0..8).map(|at| (2, at)).chain([(3, 0), (3, 1)]).collect();
        assert_eq!(after[2..], new);
    }
}
