//! Files of this sink: what a query means for the tables in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use wanctl_sink::Rollup;

use super::damage::Damage;
use super::filter::Filter;
use super::gather::{Gathered, Numbers, RolledState, States};
use super::merge::Merge;
use super::raw::{Pages, Sealed, Wanted, decode};
use super::series::{self, Series, unsigned, value};
use super::streams::{EventRows, RawRows, RolledRows, Stream, count_rolled};
use super::tiers::{self, Extent};
use super::time::{end_of, instant, split};
use super::{Granularity, Order, Query, Rows, Segment, SeriesSummary, Tiers};

/// What a query reads.
#[derive(Debug)]
pub(super) struct Plan {
    series: Vec<Series>,
    /// Of each series, what answers where.
    segments: Vec<Vec<Segment>>,
    /// The tier that is asked for.
    pub(super) wanted: Granularity,
    query: Query,
    damage: Damage,
}

impl Plan {
    /// One short transaction.
    pub(super) fn new(db: &Connection, query: &Query, damage: &Damage) -> rusqlite::Result<Self> {
        let transaction = db.unchecked_transaction()?;
        let series = match query.rows {
            Rows::Events => Vec::new(),
            Rows::All | Rows::Samples => series::matching(db, query)?,
        };
        let extents = match query.tiers {
            Tiers::Only(_) => vec![Extent::default(); series.len()],
            Tiers::Auto | Tiers::Finest => series::extents(db, &series)?,
        };
        transaction.finish()?;
        let wanted = tiers::wanted(query, &extents);
        let segments =
            extents.iter().map(|extent| tiers::plan(query.tiers, wanted, extent)).collect();
        Ok(Plan { series, segments, wanted, query: query.clone(), damage: damage.clone() })
    }

    fn range(&self) -> (i64, i64) {
        (self.query.from, self.query.to)
    }

    /// The segments in the range of the query, with the positions of their series.
    fn segments(&self) -> impl Iterator<Item = (usize, &Series, Segment)> {
        let (from, to) = self.range();
        let of_series = self.series.iter().zip(&self.segments).enumerate();
        of_series
            .flat_map(|(at, (series, segments))| segments.iter().map(move |one| (at, series, *one)))
            .filter(move |(_, _, segment)| segment.from.max(from) <= segment.to.min(to))
    }

    fn rolled(&self) -> impl Iterator<Item = (usize, &Series, Segment)> {
        self.segments().filter(|(_, _, segment)| segment.granularity != Granularity::Raw)
    }

    /// The raw rows of each bundle, with the positions of their series, which are in order.
    fn bundles(&self, order: Order) -> Vec<(Pages, Vec<usize>)> {
        let (from, to) = self.range();
        let mut bundles: BTreeMap<i64, (Vec<Wanted>, Vec<usize>)> = BTreeMap::new();
        for (at, series, segment) in self.segments() {
            if segment.granularity == Granularity::Raw {
                let (wanted, positions) = bundles.entry(series.bundle).or_default();
                wanted.push(Wanted::new(series.position, series.scale, segment, from, to));
                positions.push(at);
            }
        }
        let pages = |(bundle, (wanted, positions))| {
            (Pages::new(bundle, wanted, order, &self.damage), positions)
        };
        bundles.into_iter().map(pages).collect()
    }

    fn events(&self) -> Option<EventRows> {
        let filter = || Filter::names(&self.query);
        (self.query.rows != Rows::Samples)
            .then(|| EventRows::new(filter(), self.range(), self.query.order))
    }

    /// The rows, in order.
    pub(super) fn rows(&self) -> Merge {
        let order = self.query.order;
        let mut streams = Vec::new();
        for (pages, positions) in self.bundles(order) {
            let name = |at: usize| self.series.get(at).map(|series| Arc::clone(&series.name));
            let names = positions.into_iter().filter_map(name).collect();
            streams.push(Stream::Raw(RawRows::new(pages, names, order)));
        }
        for (_, series, segment) in self.rolled() {
            let series = (series.id, &series.name);
            streams.push(Stream::Rolled(RolledRows::new(series, segment, self.range(), order)));
        }
        streams.extend(self.events().map(Stream::Events));
        Merge::new(streams, order)
    }

    /// How many rows there are.
    pub(super) fn count(&self, db: &Connection) -> rusqlite::Result<u64> {
        let mut count = 0;
        for (pages, _) in self.bundles(Order::OldestFirst) {
            count += pages.count(db)?;
        }
        for (_, series, segment) in self.rolled() {
            count += count_rolled(db, series.id, segment, self.range())?;
        }
        match self.events() {
            Some(events) => Ok(count + events.count(db)?),
            None => Ok(count),
        }
    }

    /// The statistics of each series that has rows. Series are gone through one by one, because the raw
    /// values of a single one may be all that memory holds; the sealed ones of others are not decoded.
    pub(super) fn summary(&self, db: &Connection) -> rusqlite::Result<Vec<SeriesSummary>> {
        let end = end_of(self.query.to);
        let mut summaries = Vec::new();
        for (series, segments) in self.series.iter().zip(&self.segments) {
            let mut gathered = match series.rollup {
                Rollup::Mode => Gathered::States(States::default()),
                _ => Gathered::Numbers(Numbers::default()),
            };
            for segment in segments {
                match &mut gathered {
                    _ if segment.granularity == Granularity::Raw => {
                        self.gather_raw(db, series, *segment, &mut gathered)?;
                    }
                    Gathered::Numbers(numbers) => {
                        self.gather_rolled(db, series, *segment, numbers)?;
                    }
                    Gathered::States(states) => {
                        rolled_states(db, series.id, *segment, self.range(), states)?;
                    }
                }
            }
            summaries.extend(gathered.finish(Arc::clone(&series.name), end));
        }
        Ok(summaries)
    }

    fn gather_raw(
        &self,
        db: &Connection,
        series: &Series,
        segment: Segment,
        gathered: &mut Gathered,
    ) -> rusqlite::Result<()> {
        let (from, to) = self.range();
        let wanted = Wanted::new(series.position, series.scale, segment, from, to);
        let order = Order::OldestFirst;
        let mut pages = Pages::new(series.bundle, vec![wanted], order, &self.damage);
        while let Some(page) = pages.next(db)? {
            match gathered {
                Gathered::Numbers(numbers) => {
                    numbers.raw.extend(page.values(0, wanted.from, wanted.to));
                }
                Gathered::States(states) => {
                    states.raw.extend(page.samples(0, wanted.from, wanted.to));
                }
            }
        }
        Ok(())
    }

    fn gather_rolled(
        &self,
        db: &Connection,
        series: &Series,
        segment: Segment,
        numbers: &mut Numbers,
    ) -> rusqlite::Result<()> {
        let name = (series.id, &series.name);
        let mut rows = RolledRows::new(name, segment, self.range(), Order::OldestFirst);
        loop {
            let page = rows.next_page(db)?;
            if page.is_empty() {
                return Ok(());
            }
            for interval in page {
                numbers.rolled(segment.granularity, interval.value, Some(interval.rolled));
            }
        }
    }
}

/// How often each state occurred in the intervals of a segment.
fn rolled_states(
    db: &Connection,
    series: i64,
    segment: Segment,
    (from, to): (i64, i64),
    states: &mut States,
) -> rusqlite::Result<()> {
    // An interval without them (an imported one) had its most frequent state throughout.
    let mut select = db.prepare_cached(
        "SELECT r.start, coalesce(CAST(s.key AS REAL), r.value), coalesce(s.value, r.count), r.count
         FROM rollups AS r LEFT JOIN json_each(r.states) AS s
         WHERE r.seconds = ?1 AND r.series_id = ?2 AND r.start BETWEEN ?3 AND ?4 ORDER BY r.start",
    )?;
    let granularity = segment.granularity;
    let (from, to) = (segment.from.max(from), segment.to.min(to));
    let mut rows = select.query(params![granularity.seconds(), series, from, to])?;
    while let Some(row) = rows.next()? {
        states.rolled(RolledState {
            granularity,
            start: row.get(0)?,
            state: row.get(1)?,
            count: unsigned(row, 2)?,
            of: unsigned(row, 3)?,
        });
    }
    Ok(())
}

/// Which end of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Oldest,
    Newest,
}

/// When the oldest or newest row was recorded.
pub(super) fn end(
    db: &Connection,
    end: End,
    damage: &Damage,
) -> rusqlite::Result<Option<(i64, u32)>> {
    let transaction = db.unchecked_transaction()?;
    let direction = match end {
        End::Oldest => "",
        End::Newest => "DESC",
    };
    let further = |one: Option<i64>, other: Option<i64>| match (one, other) {
        (Some(one), Some(other)) if end == End::Oldest => Some(one.min(other)),
        (one, other) => one.max(other),
    };
    let event =
        format!("SELECT sec, us FROM events ORDER BY sec {direction}, us {direction} LIMIT 1");
    let mut found = at(db, &event, &[])?;
    let mut bundles = db.prepare_cached("SELECT id FROM bundles")?;
    let bundles: Vec<i64> = bundles.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for bundle in bundles {
        let hot = format!(
            "SELECT sec, us FROM frames WHERE bundle_id = ?1
             ORDER BY sec {direction}, us {direction} LIMIT 1"
        );
        let mut raw = at(db, &hot, &[bundle])?;
        let sealed = format!(
            "SELECT id, first_sec, last_sec FROM chunks WHERE bundle_id = ?1
             ORDER BY first_sec {direction}"
        );
        let mut sealed = db.prepare_cached(&sealed)?;
        let mut chunks = sealed.query([bundle])?;
        while let Some(row) = chunks.next()? {
            let chunk = Sealed::of(row)?;
            // Only a chunk that may be further than all else is worth decoding.
            let edge = if end == End::Oldest { chunk.from } else { chunk.to };
            if further(further(found, raw), Some(edge)) != Some(edge) {
                break;
            }
            let Ok(decoded) = decode(db, chunk.id, &[])? else {
                damage.add(chunk);
                continue;
            };
            let instants = decoded.micros;
            let outer = if end == End::Oldest { instants.first() } else { instants.last() };
            raw = further(raw, outer.copied());
            break;
        }
        // Where raw rows are, the newest of them is newer than any interval, and an older interval is one
        // that they are not in.
        if raw.is_none() || end == End::Oldest {
            raw = further(raw, rolled_end(db, bundle, direction, raw)?);
        }
        found = further(found, raw);
    }
    transaction.finish()?;
    Ok(found.map(split))
}

/// The first or last interval of a bundle's series; of those that end before an instant, if there is one.
fn rolled_end(
    db: &Connection,
    bundle: i64,
    direction: &str,
    before: Option<i64>,
) -> rusqlite::Result<Option<i64>> {
    let function = if direction.is_empty() { "min" } else { "max" };
    let sql = format!(
        "SELECT {function}(start) FROM (
             SELECT seconds, (SELECT start FROM rollups WHERE rollups.seconds = tier.seconds
                 AND series_id = series.id ORDER BY start {direction} LIMIT 1) AS start
             FROM series, (SELECT column1 AS seconds FROM (VALUES (60), (300), (3600))) AS tier
             WHERE series.bundle_id = ?1)
         WHERE ?2 IS NULL OR start + seconds <= ?2"
    );
    let before = before.map(|before| split(before).0);
    let start: Option<Option<i64>> = value(db, &sql, params![bundle, before])?;
    Ok(start.flatten().map(|start| instant(start, 0)))
}

fn at(db: &Connection, sql: &str, params: &[i64]) -> rusqlite::Result<Option<i64>> {
    let params = rusqlite::params_from_iter(params);
    let found =
        db.prepare_cached(sql)?.query_row(params, |row| Ok(instant(row.get(0)?, row.get(1)?)));
    rusqlite::OptionalExtension::optional(found)
}
