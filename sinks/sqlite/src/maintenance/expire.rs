//! What is too old goes, tier by tier, a slice at a time; and what is too much, the oldest first.
//!
//! Raw rows go only after the minutes they make are there, so a tier never has a gap before the next one.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use wanctl_sink::Deadline;

use super::Work;
use crate::config::SqliteConfig;

const HOUR: i64 = 3600;

/// How much of the raw rows of a bundle goes at once where they are not sealed, in seconds.
const SLICE_SECONDS: i64 = 60;

/// How many intervals of a series go at once.
const SLICE_INTERVALS: i64 = 1000;

/// How many events go at once.
const SLICE_EVENTS: i64 = 100;

/// How long each tier is kept, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    raw: i64,
    /// By the length of the interval.
    rollups: [(i64, i64); 3],
    events: i64,
}

impl Ages {
    pub(super) fn of(config: &SqliteConfig) -> Self {
        let seconds = |age: Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX / 2);
        let keep = &config.retention;
        Ages {
            raw: seconds(keep.raw),
            rollups: [
                (60, seconds(keep.minute)),
                (300, seconds(keep.five_minutes)),
                (3600, seconds(keep.hour)),
            ],
            events: seconds(keep.events),
        }
    }
}

/// Removes what is too old at `now`.
pub(super) fn work(
    db: &Connection,
    ages: &Ages,
    now: i64,
    until: Deadline,
) -> rusqlite::Result<Work> {
    let mut read = db.prepare_cached("SELECT id FROM bundles")?;
    let bundles: Vec<i64> = read.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for bundle in bundles {
        while sealed(db, bundle, now - ages.raw)? || hot(db, bundle, now - ages.raw)? {
            if until.is_over() {
                return Ok(Work::Left);
            }
        }
    }
    while set_apart(db, now - ages.raw)? {
        if until.is_over() {
            return Ok(Work::Left);
        }
    }
    let mut read = db.prepare_cached("SELECT id FROM series")?;
    let series: Vec<i64> = read.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for (seconds, age) in ages.rollups {
        // Whole hours, so that a longer interval that begins where this tier begins has all of it.
        let cutoff = (now - age).div_euclid(HOUR) * HOUR;
        for one in &series {
            while intervals(db, seconds, *one, cutoff)? {
                if until.is_over() {
                    return Ok(Work::Left);
                }
            }
        }
    }
    while events(db, now - ages.events)? {
        if until.is_over() {
            return Ok(Work::Left);
        }
    }
    Ok(Work::AllDone)
}

/// Removes the oldest of what there is until at most `max_bytes` are in use.
///
/// Raw rows go first, as most of the bytes are theirs and longer tiers cover their time, then minutes,
/// and so on; events are the last, but a quarter of the bytes is all that they may have.
pub(super) fn shrink(db: &Connection, max_bytes: u64, until: Deadline) -> rusqlite::Result<Work> {
    while bytes_in_use(db)? > max_bytes {
        if until.is_over() {
            return Ok(Work::Left);
        }
        if !(bytes_of_events(db)? > max_bytes / 4 && events(db, i64::MAX)?
            || oldest_sealed(db)?
            || oldest_hot(db)?
            || oldest_interval(db)?
            || events(db, i64::MAX)?)
        {
            // What is left is the file's own structure.
            break;
        }
    }
    Ok(Work::AllDone)
}

/// The bytes of pages that hold something. The write-ahead log comes on top.
pub(super) fn bytes_in_use(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or(0))
}

/// About how many bytes the events have, by the newest of them. Their texts are there twice: in the rows
/// and in the key.
fn bytes_of_events(db: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT (SELECT max(id) - min(id) + 1 FROM events) *
               (SELECT 2 * avg(length(labels) + length(metric_name) + 40)
                FROM (SELECT labels, metric_name FROM events ORDER BY id DESC LIMIT 100))";
    let bytes: Option<f64> = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(bytes.unwrap_or(0.0) as u64)
}

/// Removes the oldest chunk of a bundle if all of it is older than `cutoff`, and its minutes are made.
fn sealed(db: &Connection, bundle: i64, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT id, last_sec FROM chunks WHERE bundle_id = ?1 ORDER BY first_sec LIMIT 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    match db.prepare_cached(sql)?.query_row([bundle], row).optional()? {
        Some((id, last)) if last < cutoff.min(first_stale(db, bundle)?) => {
            db.prepare_cached("DELETE FROM chunks WHERE id = ?1")?.execute([id])?;
            begins_after(db, bundle, last)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The first second of the bundle's first minute that has to be made again; beyond all time if there is
/// none.
fn first_stale(db: &Connection, bundle: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT min(start) FROM stale WHERE bundle_id = ?1";
    let first: Option<i64> = db.prepare_cached(sql)?.query_row([bundle], |row| row.get(0))?;
    Ok(first.unwrap_or(i64::MAX))
}

/// Removes a chunk that was set apart, once it is older than `cutoff`.
fn set_apart(db: &Connection, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM chunks WHERE id = (SELECT id FROM chunks
               WHERE bundle_id < 0 AND last_sec < ?1 LIMIT 1)";
    Ok(db.prepare_cached(sql)?.execute([cutoff])? > 0)
}

/// Notes that raw rows up to this second have gone.
fn begins_after(db: &Connection, bundle: i64, last: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE bundles SET raw_from = max(raw_from, ?2) WHERE id = ?1";
    db.prepare_cached(sql)?.execute([bundle, last + 1]).map(drop)
}

/// Removes the oldest rows of a bundle that are not sealed and older than `cutoff`, up to a minute.
fn hot(db: &Connection, bundle: i64, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT (SELECT min(sec) FROM frames WHERE bundle_id = ?1),
                      (SELECT rolled_to FROM bundles WHERE id = ?1)";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (oldest, rolled_to): (Option<i64>, i64) =
        db.prepare_cached(sql)?.query_row([bundle], row)?;
    let cutoff = cutoff.min(rolled_to).min(first_stale(db, bundle)?);
    let Some(oldest) = oldest.filter(|oldest| *oldest < cutoff) else { return Ok(false) };
    let end = cutoff.min(oldest.saturating_add(SLICE_SECONDS));
    let sql = "DELETE FROM frames WHERE bundle_id = ?1 AND sec < ?2";
    db.prepare_cached(sql)?.execute([bundle, end])?;
    begins_after(db, bundle, end - 1)?;
    Ok(true)
}

fn intervals(db: &Connection, seconds: i64, series: i64, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT min(start) FROM rollups WHERE seconds = ?1 AND series_id = ?2";
    let oldest: Option<i64> =
        db.prepare_cached(sql)?.query_row([seconds, series], |row| row.get(0))?;
    let Some(oldest) = oldest.filter(|oldest| *oldest < cutoff) else { return Ok(false) };
    let end = cutoff.min(oldest.saturating_add(SLICE_INTERVALS * seconds));
    let sql = "DELETE FROM rollups WHERE seconds = ?1 AND series_id = ?2 AND start < ?3";
    db.prepare_cached(sql)?.execute([seconds, series, end])?;
    Ok(true)
}

fn events(db: &Connection, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM events WHERE id IN
               (SELECT id FROM events WHERE sec < ?1 ORDER BY sec LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute([cutoff, SLICE_EVENTS])? > 0)
}

/// Removes the oldest chunk there is.
fn oldest_sealed(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT b.id FROM bundles AS b ORDER BY
               (SELECT min(first_sec) FROM chunks WHERE bundle_id = b.id) NULLS LAST";
    let mut read = db.prepare_cached(sql)?;
    let bundles: Vec<i64> = read.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for bundle in bundles {
        if sealed(db, bundle, i64::MAX)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a minute of the bundle whose raw rows reach back furthest.
fn oldest_hot(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT b.id FROM bundles AS b ORDER BY
               (SELECT min(sec) FROM frames WHERE bundle_id = b.id) NULLS LAST";
    let mut read = db.prepare_cached(sql)?;
    let bundles: Vec<i64> = read.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for bundle in bundles {
        if hot(db, bundle, i64::MAX)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the oldest intervals of the series that reaches back furthest in the finest tier that is left.
fn oldest_interval(db: &Connection) -> rusqlite::Result<bool> {
    for seconds in [60, 300, 3600] {
        let sql = "SELECT s.id, (SELECT min(start) FROM rollups
                   WHERE seconds = ?1 AND series_id = s.id) AS first
                   FROM series AS s ORDER BY first NULLS LAST LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let oldest: Option<(i64, Option<i64>)> =
            db.prepare_cached(sql)?.query_row(params![seconds], row).optional()?;
        if let Some((series, Some(_))) = oldest {
            return intervals(db, seconds, series, i64::MAX);
        }
    }
    Ok(false)
}
