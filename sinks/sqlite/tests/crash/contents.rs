//! What a history has to hold, given the frames that were written to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rusqlite::Connection;
use wanctl_sink_sqlite::{Granularity, History, Order, Query, Record, Tiers};

use crate::frames::{self, NUMBER, RAW, START, TIERS};

/// How far behind maintenance may be, in seconds of the rows, while they come a hundred times as fast as
/// usual: a little is done after each write.
pub(crate) const BUSY: i64 = 3600;
/// And once it had the time.
pub(crate) const IDLE: i64 = 120;

/// The numbers of the frames that the hot rows of a history are of, in order of time.
pub(crate) fn hot(db: &Connection) -> Vec<i64> {
    let sql = "SELECT timestamp, micros, value FROM metrics
               WHERE metric_name = 'wanctl_test_number' AND granularity = 'raw'
               ORDER BY timestamp, micros";
    let mut read = db.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let (sec, us, number): (i64, i64, f64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((sec * 1_000_000 + us, number as i64))
    };
    let rows = read.query_map([], row).unwrap().map(Result::unwrap);
    let at_their_time = |(micros, number): (i64, i64)| {
        assert_eq!(micros, frames::micros(number), "frame {number} is at another time");
        number
    };
    rows.map(at_their_time).collect()
}

/// The last frame that is there.
pub(crate) fn last(db: &Connection) -> Option<i64> {
    hot(db).last().copied()
}

/// Checks that the history holds these frames, each once and in the tiers where it belongs, and no other.
/// Maintenance may be `behind` so many seconds.
#[track_caller]
pub(crate) fn check(path: &Path, written: &[Range<i64>], behind: i64) {
    let db = Connection::open(path).unwrap();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let (Some(first), Some(last)) = (written.first(), written.last()) else {
        assert_eq!(last(&db), None);
        return;
    };
    let [first, newest] = [first.start, last.end - 1].map(|it| frames::micros(it) / 1_000_000);
    let bounds = "SELECT raw_from, rolled_to FROM bundles";
    let (raw_from, rolled_to): (i64, i64) =
        db.query_row(bounds, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    read(path, written, raw_from);
    let oldest_ends = raw(&db, written, raw_from);
    assert!(raw_from <= first.max(newest - RAW + 1), "raw rows since {raw_from}, at {newest}");
    // A chunk goes when all of it is too old.
    assert!(newest - RAW - behind < oldest_ends, "raw rows to {oldest_ends}, at {newest}");
    assert!(rolled_to <= newest, "minutes up to {rolled_to} are there before {newest}");
    assert!(newest - behind < rolled_to.max(first), "no minute since {rolled_to}, at {newest}");
    for (tier, span, age) in TIERS {
        // They expire by whole hours.
        let from = rollups(&db, written, (tier, span), rolled_to);
        let from = from.unwrap_or(first);
        let expired = (newest - age).div_euclid(3600) * 3600;
        // What a kill took leaves minutes without a frame, which may be the first ones.
        let due = frames::within(expired..newest + 1);
        let due = written.iter().map(|one| overlap(one, &due)).find(|one| !one.is_empty());
        let due = due.map_or(expired, |one| frames::micros(one.start) / 1_000_000);
        assert!(from <= first.max(due + span), "{tier} since {from}, at {newest}");
        assert!(expired - behind - 3600 < from, "{tier} since {from}, at {newest}");
    }
}

/// Our own tools read each frame since `raw_from` once, sealed or not.
#[track_caller]
fn read(path: &Path, written: &[Range<i64>], raw_from: i64) {
    let query = Query {
        metrics: vec![NUMBER.name.to_owned()],
        tiers: Tiers::Only(Granularity::Raw),
        order: Order::OldestFirst,
        ..Query::default()
    };
    let history = History::open(path).unwrap();
    let read = history.records(&query).unwrap().map(Result::unwrap);
    let since = frames::first(raw_from.max(START));
    let expected = written.iter().flat_map(|range| overlap(range, &(since..i64::MAX)));
    let expected = expected.map(|number| (frames::micros(number), number as f64));
    let instant = |record: &Record| record.timestamp * 1_000_000 + i64::from(record.micros);
    assert!(
        read.map(|record| (instant(&record), record.value)).eq(expected),
        "rows as they are read"
    );
}

/// How many of the frames have a time in these seconds.
fn count(written: &[Range<i64>], seconds: Range<i64>) -> i64 {
    let asked = frames::within(seconds);
    written.iter().map(|one| overlap(one, &asked)).map(|one| one.end - one.start).sum()
}

fn overlap(one: &Range<i64>, other: &Range<i64>) -> Range<i64> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

/// Raw rows are hot or sealed, and there is one of each frame since `raw_from`. Returns the last second of
/// the oldest chunk.
#[track_caller]
fn raw(db: &Connection, written: &[Range<i64>], raw_from: i64) -> i64 {
    let hot = hot(db);
    let first = hot.first().copied().expect("the newest rows are hot");
    let expected: Vec<i64> =
        written.iter().flat_map(|range| overlap(range, &(first..i64::MAX))).collect();
    assert!(hot == expected, "hot rows: {} of {} frames", hot.len(), expected.len());

    let sql = "SELECT first_sec, last_sec, frames FROM chunks ORDER BY first_sec";
    let mut read = db.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let mut sealed = 0;
    let mut sealed_to = raw_from - 1;
    let mut oldest_ends = None;
    for chunk in read.query_map([], row).unwrap() {
        let (first, last, frames): (i64, i64, i64) = chunk.unwrap();
        assert!(sealed_to < first, "a chunk from {first} after one to {sealed_to}");
        assert_eq!(frames, count(written, first..last + 1), "a chunk from {first} to {last}");
        (sealed, sealed_to) = (sealed + frames, last);
        oldest_ends.get_or_insert(last);
    }
    let hot_from = frames::micros(first) / 1_000_000;
    assert!(sealed_to < hot_from, "rows are hot from {hot_from} and sealed to {sealed_to}");
    assert_eq!(sealed, count(written, raw_from.max(START)..hot_from), "sealed rows");
    oldest_ends.unwrap_or(hot_from)
}

/// The rows of a tier are those of the intervals that are over, and what they say is what the raw rows
/// said. Returns its oldest second.
#[track_caller]
fn rollups(
    db: &Connection,
    written: &[Range<i64>],
    (tier, span): (&str, i64),
    rolled_to: i64,
) -> Option<i64> {
    let sql = "SELECT timestamp, value, min, max, count FROM metrics
               WHERE metric_name = 'wanctl_test_number' AND granularity = ?1 ORDER BY timestamp";
    let mut read = db.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let values: [f64; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
        Ok((row.get::<_, i64>(0)?, (values, row.get::<_, i64>(4)?)))
    };
    let rows: Vec<_> = read.query_map([tier], row).unwrap().map(Result::unwrap).collect();
    let from = rows.first()?.0;
    let found: BTreeMap<i64, _> = rows.iter().copied().collect();
    assert_eq!(found.len(), rows.len(), "{tier}: an interval is there twice");
    let mut expected = BTreeMap::new();
    for start in (from..=rolled_to - span).step_by(span as usize) {
        let asked = frames::within(start..start + span);
        let parts: Vec<Range<i64>> = written
            .iter()
            .map(|one| overlap(one, &asked))
            .filter(|part| !part.is_empty())
            .collect();
        if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
            let count: i64 = parts.iter().map(|part| part.end - part.start).sum();
            let sum: i64 = parts.iter().map(|part| part.clone().sum::<i64>()).sum();
            let mean = sum as f64 / count as f64;
            expected.insert(start, ([mean, first.start as f64, (last.end - 1) as f64], count));
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{tier}");
    for (start, ([mean, min, max], count)) in &expected {
        let ([value, least, most], samples) = found[start];
        assert_eq!((least, most, samples), (*min, *max, *count), "{tier} at {start}");
        assert!(
            (value - mean).abs() < 1e-6 * mean.max(1.0),
            "{tier} at {start}: {value} for {mean}"
        );
    }
    Some(from)
}
