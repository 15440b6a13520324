//! Rows of one kind, one after the other: raw rows of a bundle, intervals of a series, or events.
//!
//! A stream reads nothing before its first row is asked for, and then a page at a time.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::filter::Filter;
use super::names::Names;
use super::page::Page;
use super::raw::Pages;
use super::series::{self, unsigned};
use super::time::{Left, end_of, instant, split};
use super::{Granularity, Order, Record, Rolled, Segment, SeriesName};

/// How many intervals or events are read at once.
const PAGE: usize = 1024;

/// A stream of rows in the order of a query; rows of one instant in the order of their series' names.
#[derive(Debug)]
pub(super) enum Stream {
    Raw(RawRows),
    Rolled(RolledRows),
    Events(EventRows),
}

impl Stream {
    /// An instant before which, in the order of reading, there is no further row; `None` at the end.
    pub(super) fn bound(&self) -> Option<i64> {
        match self {
            Stream::Raw(rows) => rows.pages.position(),
            Stream::Rolled(rows) => rows.left.next(),
            Stream::Events(rows) => rows.left.next(),
        }
    }

    pub(super) fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Record>> {
        match self {
            Stream::Raw(rows) => rows.next(db),
            Stream::Rolled(rows) => rows.next(db),
            Stream::Events(rows) => rows.next(db),
        }
    }

    /// Leaves out up to so many rows, if that is quicker than to read them; says how many.
    pub(super) fn skip(&mut self, db: &Connection, most: u64) -> rusqlite::Result<u64> {
        match self {
            Stream::Raw(rows) => rows.skip(db, most),
            Stream::Rolled(_) | Stream::Events(_) => Ok(0),
        }
    }
}

/// The raw rows of some series of a bundle, which are in the order of their names.
#[derive(Debug)]
pub(super) struct RawRows {
    pages: Pages,
    names: Vec<Arc<SeriesName>>,
    order: Order,
    page: Page,
    /// How many rows of the page are done with, and how many columns of the next row.
    row: usize,
    column: usize,
}

impl RawRows {
    pub(super) fn new(pages: Pages, names: Vec<Arc<SeriesName>>, order: Order) -> Self {
        RawRows { pages, names, order, page: Page::default(), row: 0, column: 0 }
    }

    fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Record>> {
        loop {
            if self.row >= self.page.instants.len() {
                let Some(page) = self.pages.next(db)? else { return Ok(None) };
                (self.page, self.row, self.column) = (page, 0, 0);
            }
            if let Some(record) = self.rest_of_row() {
                return Ok(Some(record));
            }
            (self.row, self.column) = (self.row + 1, 0);
        }
    }

    /// Leaves out up to so many rows without reading them; says how many.
    fn skip(&mut self, db: &Connection, most: u64) -> rusqlite::Result<u64> {
        if self.names.len() <= self.column {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let mut skipped = 0;
        while self.page.instants.len() <= self.row
            && let Some(samples) = self.pages.skip_chunk(db, most - skipped)?
        {
            skipped += samples;
        }
        Ok(skipped)
    }

    fn rest_of_row(&mut self) -> Option<Record> {
        let row = match self.order {
            Order::OldestFirst => self.row,
            Order::NewestFirst => self.page.instants.len() - 1 - self.row,
        };
        let at = *self.page.instants.get(row)?;
        let columns = self.page.columns.iter().zip(self.pages.wanted()).zip(&self.names);
        for ((values, wanted), name) in columns.skip(self.column) {
            self.column += 1;
            let Some(&value) = values.get(row) else { continue };
            if !value.is_nan() && wanted.from <= at && at <= wanted.to {
                let (timestamp, micros) = split(at);
                return Some(Record {
                    timestamp,
                    micros,
                    series: Arc::clone(name),
                    value,
                    granularity: Granularity::Raw,
                    rolled: None,
                    is_event: false,
                });
            }
        }
        None
    }
}

/// What is kept of an interval of some length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) start: i64,
    pub(super) value: f64,
    pub(super) rolled: Rolled,
}

/// The intervals of one length of one series.
#[derive(Debug)]
pub(super) struct RolledRows {
    series: i64,
    name: Arc<SeriesName>,
    granularity: Granularity,
    left: Left,
    page: std::vec::IntoIter<Interval>,
}

impl RolledRows {
    /// Those of a segment that begin in the range of a query.
    pub(super) fn new(
        (series, name): (i64, &Arc<SeriesName>),
        segment: Segment,
        (from, to): (i64, i64),
        order: Order,
    ) -> Self {
        let (from, to) = (segment.from.max(from), segment.to.min(to));
        RolledRows {
            series,
            name: Arc::clone(name),
            granularity: segment.granularity,
            left: Left::new(instant(from, 0), end_of(to), order),
            page: Vec::new().into_iter(),
        }
    }

    fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Record>> {
        let interval = match self.page.next() {
            Some(interval) => interval,
            None => {
                self.page = self.next_page(db)?.into_iter();
                let Some(interval) = self.page.next() else { return Ok(None) };
                interval
            }
        };
        Ok(Some(Record {
            timestamp: interval.start,
            micros: 0,
            series: Arc::clone(&self.name),
            value: interval.value,
            granularity: self.granularity,
            rolled: Some(interval.rolled),
            is_event: false,
        }))
    }

    /// The next intervals, in the order of reading; none when all are read.
    pub(super) fn next_page(&mut self, db: &Connection) -> rusqlite::Result<Vec<Interval>> {
        let Some((from, to)) = self.left.range() else { return Ok(Vec::new()) };
        let direction = match self.left.order {
            Order::OldestFirst => "",
            Order::NewestFirst => "DESC",
        };
        let mut select = db.prepare_cached(&format!(
            "SELECT start, value, min, max, count FROM rollups
             WHERE seconds = ?1 AND series_id = ?2 AND start BETWEEN ?3 AND ?4
             ORDER BY start {direction} LIMIT ?5"
        ))?;
        let (seconds, from, to) = (self.granularity.seconds(), ceiling(from), split(to).0);
        let rows =
            select.query_map(params![seconds, self.series, from, to, PAGE as i64], |row| {
                let rolled =
                    Rolled { min: row.get(2)?, max: row.get(3)?, count: unsigned(row, 4)? };
                Ok(Interval { start: row.get(0)?, value: row.get(1)?, rolled })
            })?;
        let page = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        match page.last() {
            Some(last) if page.len() == PAGE => self.left.read_through(instant(last.start, 0)),
            _ => self.left.finish(),
        }
        Ok(page)
    }
}

/// The first whole second from an instant on.
fn ceiling(at: i64) -> i64 {
    let (sec, us) = split(at);
    sec + i64::from(us != 0)
}

/// Events.
#[derive(Debug)]
pub(super) struct EventRows {
    filter: Filter,
    left: Left,
    names: Names,
    page: std::vec::IntoIter<Record>,
}

impl EventRows {
    pub(super) fn new(filter: Filter, (from, to): (i64, i64), order: Order) -> Self {
        EventRows {
            filter,
            left: Left::new(instant(from, 0), end_of(to), order),
            names: Names::default(),
            page: Vec::new().into_iter(),
        }
    }

    fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Record>> {
        if self.page.len() == 0 {
            self.page = self.next_page(db)?.into_iter();
        }
        Ok(self.page.next())
    }

    /// The next events, all of an instant or none.
    fn next_page(&mut self, db: &Connection) -> rusqlite::Result<Vec<Record>> {
        let Some((from, to)) = self.left.range() else { return Ok(Vec::new()) };
        let direction = match self.left.order {
            Order::OldestFirst => "",
            Order::NewestFirst => "DESC",
        };
        let mut select = db.prepare_cached(&format!(
            "SELECT sec, us, value, metric_name, wan_name, labels, source FROM events
             WHERE sec BETWEEN ? AND ?{} ORDER BY sec {direction}, us {direction}, id",
            self.filter.sql
        ))?;
        let mut values: Vec<Value> = vec![split(from).0.into(), split(to).0.into()];
        values.extend(self.filter.values.iter().cloned());
        let mut rows = select.query(params_from_iter(values))?;
        let mut page: Vec<Record> = Vec::new();
        let mut full = false;
        while let Some(row) = rows.next()? {
            let (timestamp, micros) = (row.get(0)?, row.get(1)?);
            let at = instant(timestamp, micros);
            if at < from || to < at {
                continue;
            }
            if let Some(last) = page.last()
                && page.len() >= PAGE
                && (last.timestamp, last.micros) != (timestamp, micros)
            {
                full = true;
                break;
            }
            page.push(Record {
                timestamp,
                micros,
                series: self.names.of_row(row, 3)?,
                value: row.get(2)?,
                granularity: Granularity::Raw,
                rolled: None,
                is_event: true,
            });
        }
        match page.last() {
            Some(last) if full => self.left.read_through(instant(last.timestamp, last.micros)),
            _ => self.left.finish(),
        }
        sort_instants(&mut page);
        Ok(page)
    }

    /// How many are left.
    pub(super) fn count(&self, db: &Connection) -> rusqlite::Result<u64> {
        let Some((from, to)) = self.left.range() else { return Ok(0) };
        let sql =
            format!("SELECT count(*) FROM events WHERE sec BETWEEN ? AND ?{}", self.filter.sql);
        let mut values: Vec<Value> = vec![split(from).0.into(), split(to).0.into()];
        values.extend(self.filter.values.iter().cloned());
        series::count(db, &sql, params_from_iter(values))
    }
}

/// Puts the rows of each instant in the order of their series' names.
pub(super) fn sort_instants(rows: &mut [Record]) {
    let same = |one: &Record, other: &Record| {
        (one.timestamp, one.micros) == (other.timestamp, other.micros)
    };
    for instant in rows.chunk_by_mut(same) {
        if instant.len() > 1 {
            instant.sort_by(|one, other| one.series.cmp(&other.series));
        }
    }
}

/// How many intervals there are of a series in a segment and the range of a query.
pub(super) fn count_rolled(
    db: &Connection,
    series_id: i64,
    segment: Segment,
    (from, to): (i64, i64),
) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM rollups
               WHERE seconds = ?1 AND series_id = ?2 AND start BETWEEN ?3 AND ?4";
    let (from, to) = (segment.from.max(from), segment.to.min(to));
    series::count(db, sql, [segment.granularity.seconds(), series_id, from, to])
}
