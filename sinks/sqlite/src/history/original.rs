//! Files of the original: one table `metrics` with whole seconds, and names in each row.
//!
//! They are read with the original's query, page by page, whole seconds at a time. Nothing in them tells
//! an event from a sample but its labels, and nothing a state from a number but its name.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use wanctl_sink::Rollup;

use super::filter::Filter;
use super::names::Names;
use super::series::{self, value};
use super::streams::sort_instants;
use super::tiers::{Extent, Rolled};
use super::time::Left;
use super::{Granularity, Order, Query, Record, Rows, Segment, SeriesName};

/// The most rows that are read at once; fewer at first, because often few are wanted.
const FIRST_PAGE: usize = 64;
const LARGEST_PAGE: usize = 4096;

/// Labels that only events have: why a transition was made, and what set off a snapshot.
const EVENT: &str = "(coalesce(instr(labels, '\"reason\"'), 0) > 0 OR coalesce(instr(labels, '\"trigger\"'), 0) > 0)";

/// Holds for numbers only: to SQLite, NULL is less than every number and text is more.
const IS_TIME: &str = "timestamp BETWEEN -9223372036854775808 AND 9223372036854775807";

/// The metrics that the original rolls up to the most frequent value.
const STATES: [&str; 2] = ["wanctl_state", "wanctl_steering_enabled"];

pub(super) fn rollup(metric: &str) -> Rollup {
    if STATES.contains(&metric) { Rollup::Mode } else { Rollup::Mean }
}

fn is_event(name: &SeriesName) -> bool {
    let labels = name.labels.as_deref().unwrap_or_default();
    labels.contains("\"reason\"") || labels.contains("\"trigger\"")
}

/// How far the tiers of the file reach: the original ages all series alike.
pub(super) fn extent(db: &Connection) -> rusqlite::Result<Extent> {
    let end = |granularity: Granularity, direction: &str| {
        let sql = format!(
            "SELECT timestamp FROM metrics WHERE granularity = ?1 AND {IS_TIME}
             ORDER BY timestamp {direction} LIMIT 1"
        );
        value::<i64>(db, &sql, [granularity.as_str()])
    };
    let ends = |granularity| Ok(end(granularity, "")?.zip(end(granularity, "DESC")?));
    let raw: rusqlite::Result<Option<(i64, i64)>> = ends(Granularity::Raw);
    let mut extent = Extent { raw: raw?, expired_to: i64::MIN, rolled: [None; 3] };
    for (rolled, granularity) in extent.rolled.iter_mut().zip(Granularity::ALL.into_iter().skip(1))
    {
        *rolled = ends(granularity)?.map(|(start, last): (i64, i64)| Rolled {
            start,
            end: last.saturating_add(granularity.seconds()),
        });
    }
    Ok(extent)
}

/// The first second that has a row, and the last one.
pub(super) fn ends(db: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let end = |direction: &str| {
        let sql = format!(
            "SELECT timestamp FROM metrics WHERE {IS_TIME} ORDER BY timestamp {direction} LIMIT 1"
        );
        value(db, &sql, [])
    };
    Ok(end("")?.zip(end("DESC")?))
}

/// The names of WANs and metrics; labels would have to be looked for in every row.
pub(super) fn all_series(db: &Connection) -> rusqlite::Result<Vec<SeriesName>> {
    // From each pair to the next, along the index that begins with these columns.
    let next = "SELECT wan_name, metric_name FROM metrics WHERE (wan_name, metric_name) > (?1, ?2)
                ORDER BY wan_name, metric_name LIMIT 1";
    let mut next = db.prepare_cached(next)?;
    let mut series = Vec::new();
    let (mut wan, mut metric) = (String::new(), String::new());
    loop {
        let mut rows = next.query([&wan, &metric])?;
        let Some(row) = rows.next()? else { break };
        (wan, metric) = (row.get(0)?, row.get(1)?);
        series.push(SeriesName {
            metric_name: metric.clone(),
            wan_name: wan.clone(),
            source: String::new(),
            labels: None,
        });
    }
    series.sort();
    Ok(series)
}

/// The rows that match.
#[derive(Debug)]
pub(super) struct OriginalRows {
    filter: Filter,
    segments: std::vec::IntoIter<Segment>,
    order: Order,
    range: (i64, i64),
    /// In the current segment, in seconds.
    left: Left,
    granularity: Granularity,
    names: Names,
    page: std::vec::IntoIter<Record>,
    rows: usize,
}

impl OriginalRows {
    pub(super) fn new(query: &Query, mut segments: Vec<Segment>) -> Self {
        let mut filter = Filter::original(query);
        match query.rows {
            Rows::All => {}
            Rows::Samples => filter.and(&format!("NOT {EVENT}"), []),
            Rows::Events => filter.and(EVENT, []),
        }
        // No row of the original says who recorded it.
        if query.source.as_ref().is_some_and(|source| !source.is_empty()) {
            segments.clear();
        }
        if query.order == Order::NewestFirst {
            segments.reverse();
        }
        OriginalRows {
            filter,
            segments: segments.into_iter(),
            order: query.order,
            range: (query.from, query.to),
            left: Left::new(0, -1, query.order),
            granularity: Granularity::Raw,
            names: Names::default(),
            page: Vec::new().into_iter(),
            rows: FIRST_PAGE,
        }
    }

    pub(super) fn next(&mut self, db: &Connection) -> rusqlite::Result<Option<Record>> {
        loop {
            if let Some(record) = self.page.next() {
                return Ok(Some(record));
            }
            let Some((from, to)) = self.left.range() else {
                let Some(segment) = self.segments.next() else { return Ok(None) };
                let (from, to) = (segment.from.max(self.range.0), segment.to.min(self.range.1));
                self.left = Left::new(from, to, self.order);
                self.granularity = segment.granularity;
                continue;
            };
            self.page = self.next_page(db, from, to)?.into_iter();
        }
    }

    fn conditions(&self, from: i64, to: i64) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![from.into(), to.into()];
        values.extend(self.filter.values.iter().cloned());
        values.push(self.granularity.as_str().to_owned().into());
        (
            format!("timestamp >= ? AND timestamp <= ?{} AND granularity = ?", self.filter.sql),
            values,
        )
    }

    /// The next rows, all of a second or none.
    fn next_page(&mut self, db: &Connection, from: i64, to: i64) -> rusqlite::Result<Vec<Record>> {
        let direction = match self.order {
            Order::OldestFirst => "",
            Order::NewestFirst => "DESC",
        };
        let (conditions, values) = self.conditions(from, to);
        let mut select = db.prepare_cached(&format!(
            "SELECT timestamp, wan_name, metric_name, value, labels, granularity FROM metrics
             WHERE {conditions} ORDER BY timestamp {direction}"
        ))?;
        let mut rows = select.query(params_from_iter(values))?;
        let mut page: Vec<Record> = Vec::with_capacity(self.rows);
        let mut full = false;
        while let Some(row) = rows.next()? {
            let timestamp = row.get(0)?;
            if page.len() >= self.rows && page.last().is_some_and(|r| r.timestamp != timestamp) {
                full = true;
                break;
            }
            // The table takes anything; what is no number is nobody's value.
            let value = match row.get_ref(3)? {
                ValueRef::Real(real) => real,
                ValueRef::Integer(whole) => whole as f64,
                _ => continue,
            };
            let series = self.names.original(row)?;
            page.push(Record {
                timestamp,
                micros: 0,
                is_event: self.granularity == Granularity::Raw && is_event(&series),
                series,
                value,
                granularity: self.granularity,
                rolled: None,
            });
        }
        self.rows = (self.rows * 4).min(LARGEST_PAGE);
        match page.last() {
            Some(last) if full => self.left.read_through(last.timestamp),
            _ => self.left.finish(),
        }
        sort_instants(&mut page);
        Ok(page)
    }

    /// How many rows there are in all.
    pub(super) fn count(mut self, db: &Connection) -> rusqlite::Result<u64> {
        let mut count = 0;
        for segment in std::mem::take(&mut self.segments) {
            self.granularity = segment.granularity;
            let (from, to) = (segment.from.max(self.range.0), segment.to.min(self.range.1));
            let (conditions, values) = self.conditions(from, to);
            let sql = format!("SELECT count(*) FROM metrics WHERE {conditions}");
            count += series::count(db, &sql, params_from_iter(values))?;
        }
        Ok(count)
    }
}
