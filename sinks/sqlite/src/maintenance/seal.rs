//! Rows older than the hot window become a chunk, a few minutes of a bundle at a time.

use rusqlite::{Connection, OptionalExtension, params};
use wanctl_sink::Deadline;

use super::Work;
use crate::bundle::Bundles;
use crate::frames::{self, Frame, Sealed, Seconds};
use crate::places::WIDTH;

/// The most rows of a chunk: seven minutes at 20 Hz. More would compress no better, and take longer.
pub(crate) const MOST: usize = 8192;

/// The longest time without rows within a chunk, in seconds: a chunk goes when its last row is too old.
const GAP: i64 = 6 * 3600;

/// Seals what is older than `before`. Rows that are too few for a chunk wait for more, `patience` seconds
/// at most.
pub(super) fn work(
    db: &Connection,
    bundles: &mut Bundles,
    before: i64,
    patience: i64,
    until: Deadline,
) -> rusqlite::Result<Work> {
    let mut read = db.prepare_cached("SELECT id FROM bundles")?;
    let ids: Vec<i64> = read.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for bundle in ids {
        while step(db, bundles, bundle, before, patience)? {
            if until.is_over() {
                return Ok(Work::Left);
            }
        }
    }
    Ok(Work::AllDone)
}

/// Makes one chunk of a bundle, if there is enough to seal.
fn step(
    db: &Connection,
    bundles: &mut Bundles,
    bundle: i64,
    before: i64,
    patience: i64,
) -> rusqlite::Result<bool> {
    let Some(oldest) = oldest(db, bundle)?.filter(|oldest| *oldest < before) else {
        return Ok(false);
    };
    // What is not rolled up yet has to be first: roll-ups are made from what is hot.
    let rolled_to = "SELECT rolled_to FROM bundles WHERE id = ?1";
    let rolled_to: i64 = db.prepare_cached(rolled_to)?.query_row([bundle], |row| row.get(0))?;
    let before = before.min(rolled_to);
    if oldest >= before {
        return Ok(false);
    }
    let previous = frames::sealed_before(db, bundle, oldest)?;
    let covering = previous.filter(|sealed| sealed.seconds.1 >= oldest);
    let next = frames::sealed_within(db, bundle, (oldest + 1, before))?.first().copied();
    let last = match (covering, next) {
        // Rows that came late go into the chunk that has their time.
        (Some(covering), _) => covering.seconds.1,
        (None, Some(next)) => next.seconds.0 - 1,
        (None, None) => before - 1,
    };
    let enough = covering.is_some()
        || next.is_some()
        || oldest < before - patience
        || is_full(db, bundle, before)?;
    if !enough {
        return Ok(false);
    }
    let mut rows = whole_seconds(frames::hot(db, bundle, (oldest, last), MOST + 1)?);
    if covering.is_none() {
        // Of rows far apart, the first go without having to wait for the last.
        let gap = rows.windows(2).position(|two| two[1].sec - two[0].sec > GAP);
        rows.truncate(gap.map_or(rows.len(), |last| last + 1));
    }
    // A chunk that has room takes them; a few rows are not worth one of their own.
    let has_room =
        |sealed: &Sealed| sealed.frames + rows.len() <= MOST && oldest - sealed.seconds.1 <= GAP;
    let into = covering.or(previous.filter(has_room));
    seal(db, bundles, bundle, rows, into)?;
    Ok(true)
}

fn oldest(db: &Connection, bundle: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(sec) FROM frames WHERE bundle_id = ?1";
    db.prepare_cached(sql)?.query_row([bundle], |row| row.get(0))
}

/// Whether there are rows for a full chunk.
fn is_full(db: &Connection, bundle: i64, before: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM frames WHERE bundle_id = ?1 AND sec < ?2
               ORDER BY sec, us LIMIT 1 OFFSET ?3";
    let key = params![bundle, before, MOST as i64];
    let last: Option<i64> = db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
    Ok(last.is_some())
}

/// Without the rows of a second that was cut, unless there is no other.
fn whole_seconds(mut rows: Vec<Frame>) -> Vec<Frame> {
    if rows.len() > MOST
        && let (Some(first), Some(cut)) = (rows.first().map(|r| r.sec), rows.last().map(|r| r.sec))
        && cut > first
    {
        rows.retain(|row| row.sec < cut);
    }
    rows
}

/// Moves rows from `frames` to a chunk, a new one or this.
fn seal(
    db: &Connection,
    bundles: &mut Bundles,
    bundle: i64,
    rows: Vec<Frame>,
    into: Option<Sealed>,
) -> rusqlite::Result<()> {
    let Some(seconds) = span(&rows) else { return Ok(()) };
    let members = bundles.get(db, bundle)?;
    // More rows of the second that was cut, if it is the only one.
    let rows = match rows.len() > MOST {
        true => frames::hot(db, bundle, seconds, usize::MAX)?,
        false => rows,
    };
    let mut delete =
        db.prepare_cached("DELETE FROM frames WHERE bundle_id = ?1 AND sec BETWEEN ?2 AND ?3")?;
    let (rows, replaced) = match into {
        None => (rows, None),
        Some(into) => match frames::unseal(db, into.id, &members.scales)? {
            Some(sealed) => (frames::merge(sealed, rows), Some(into.id)),
            None => return set_apart(db, bundle, into),
        },
    };
    if let Some(id) = replaced {
        db.prepare_cached("DELETE FROM chunks WHERE id = ?1")?.execute([id])?;
    }
    for piece in pieces(&rows) {
        put(db, bundle, piece, &members.scales)?;
    }
    delete.execute(params![bundle, seconds.0, seconds.1]).map(drop)
}

/// A chunk that can't be read stays for `verify` to find, but covers nothing any more: rows of its time
/// are sealed without it.
fn set_apart(db: &Connection, bundle: i64, damaged: Sealed) -> rusqlite::Result<()> {
    tracing::warn!(
        bundle,
        first_second = damaged.seconds.0,
        last_second = damaged.seconds.1,
        "A sealed part of the history is damaged; it is kept apart, and its rows can't be read."
    );
    let mut set = db
        .prepare_cached("UPDATE OR REPLACE chunks SET bundle_id = -abs(bundle_id) WHERE id = ?1")?;
    set.execute([damaged.id]).map(drop)
}

/// Rows as those of full chunks, each of whole seconds.
fn pieces(rows: &[Frame]) -> Vec<&[Frame]> {
    let mut pieces = Vec::new();
    let mut left = rows;
    while !left.is_empty() {
        let cut = left.get(MOST - 1).map_or(i64::MAX, |row| row.sec);
        let (piece, rest) = left.split_at(left.partition_point(|row| row.sec <= cut));
        pieces.push(piece);
        left = rest;
    }
    pieces
}

fn put(
    db: &Connection,
    bundle: i64,
    rows: &[Frame],
    scales: &[f64; WIDTH],
) -> rusqlite::Result<()> {
    let Some((first, last)) = span(rows) else { return Ok(()) };
    let (chunk, samples) = frames::chunk(rows, scales);
    let data = chunk.encode().map_err(|error| {
        // As if SQLite had refused it: the transaction goes back, and the rows stay where they are.
        rusqlite::Error::ToSqlConversionFailure(Box::new(error))
    })?;
    let mut put = db.prepare_cached(
        "INSERT INTO chunks (bundle_id, first_sec, last_sec, frames, samples, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    put.execute(params![bundle, first, last, rows.len() as i64, samples as i64, data]).map(drop)
}

fn span(rows: &[Frame]) -> Option<Seconds> {
    Some((rows.first()?.sec, rows.last()?.sec))
}
