//! Minutes, five minutes and hours, made of what was recorded in them.
//!
//! A minute is made from its raw rows when it is over, and again when a row comes late: the same rows
//! always give the same interval, whoever makes it and how often. Longer intervals are made from
//! minutes, which keep all that takes: count, mean, extremes, and how often each state occurred.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use wanctl_sink::{Deadline, Rollup};

use super::Work;
use crate::bundle::{Bundle, Bundles, Member};
use crate::cell::Cell;
use crate::frames;

/// The shortest interval, in seconds; the only one that is made from raw rows.
const MINUTE: i64 = 60;

/// Longer intervals.
const LONGER: [i64; 2] = [300, 3600];

/// How long after its end a minute is made, so that rows on their way are in it, in seconds.
const GRACE: i64 = 2;

fn floor(second: i64, span: i64) -> i64 {
    second.div_euclid(span) * span
}

/// Makes the minutes that are over at `now`, stale ones first, and what ends with them.
pub(super) fn work(
    db: &Connection,
    bundles: &mut Bundles,
    now: i64,
    until: Deadline,
) -> rusqlite::Result<Work> {
    while let Some((bundle, start)) = stale(db, now)? {
        if until.is_over() {
            return Ok(Work::Left);
        }
        again(db, bundles, bundle, start)?;
    }
    let behind = floor(now - GRACE, MINUTE);
    let mut read = db.prepare_cached("SELECT id FROM bundles WHERE rolled_to < ?1")?;
    let ids: Vec<i64> = read.query_map([behind], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for bundle in ids {
        while advance(db, bundles, bundle, behind)? {
            if until.is_over() {
                return Ok(Work::Left);
            }
        }
    }
    Ok(Work::AllDone)
}

/// Bundles that were rolled up to a time which turned out to be wrong: what they record from now on is not
/// late.
pub(super) fn turn_back(db: &Connection, reached: i64) -> rusqlite::Result<()> {
    let mut set = db.prepare_cached("UPDATE bundles SET rolled_to = ?1 WHERE rolled_to > ?2")?;
    set.execute([floor(reached, MINUTE), reached.saturating_add(LONGER[1])]).map(drop)
}

fn stale(db: &Connection, now: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut find =
        db.prepare_cached("SELECT bundle_id, start FROM stale WHERE start <= ?1 LIMIT 1")?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    find.query_row([now - MINUTE - GRACE], row).optional()
}

/// Makes a minute once more, and the longer intervals around it that are over.
fn again(db: &Connection, bundles: &mut Bundles, bundle: i64, start: i64) -> rusqlite::Result<()> {
    let bounds = "SELECT rolled_to, raw_from FROM bundles WHERE id = ?1";
    let (rolled_to, raw_from): (i64, i64) =
        db.prepare_cached(bounds)?.query_row([bundle], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Of a minute whose rows have expired, what was made of them is better than what came late.
    if start >= raw_from {
        let members = bundles.get(db, bundle)?;
        minute(db, &members, bundle, start)?;
        for span in LONGER {
            if floor(start, span) + span <= rolled_to {
                longer(db, &members, floor(start, span), span)?;
            }
        }
    }
    let mut unmark = db.prepare_cached("DELETE FROM stale WHERE bundle_id = ?1 AND start = ?2")?;
    unmark.execute([bundle, start]).map(drop)
}

/// Makes the next minute of a bundle that has rows, if it lies before `behind`, and the longer intervals
/// that end before the minute after it that has rows. Says whether anything was to be done.
fn advance(
    db: &Connection,
    bundles: &mut Bundles,
    bundle: i64,
    behind: i64,
) -> rusqlite::Result<bool> {
    let rolled_to = "SELECT rolled_to FROM bundles WHERE id = ?1";
    let rolled_to: i64 = db.prepare_cached(rolled_to)?.query_row([bundle], |row| row.get(0))?;
    let mut next =
        db.prepare_cached("SELECT min(sec) FROM frames WHERE bundle_id = ?1 AND sec >= ?2")?;
    let mut next = |from: i64| -> rusqlite::Result<Option<i64>> {
        let second: Option<i64> = next.query_row([bundle, from], |row| row.get(0))?;
        Ok(second.map(|second| floor(second, MINUTE)))
    };
    let with_rows = next(rolled_to)?.filter(|minute| *minute < behind);
    let members = bundles.get(db, bundle)?;
    let new = match with_rows {
        Some(start) => {
            // What ended between the last row and this one.
            close(db, &members, rolled_to, start)?;
            minute(db, &members, bundle, start)?;
            close(db, &members, start, start + MINUTE)?;
            start + MINUTE
        }
        // A bundle that gets no rows any more is left alone once its last hour is closed.
        None => {
            let ends = LONGER.map(|span| floor(rolled_to + span - 1, span));
            match ends.into_iter().filter(|end| *end > rolled_to && *end <= behind).max() {
                Some(end) => {
                    close(db, &members, rolled_to, end)?;
                    end
                }
                None => return Ok(false),
            }
        }
    };
    let mut set = db.prepare_cached("UPDATE bundles SET rolled_to = ?2 WHERE id = ?1")?;
    set.execute([bundle, new])?;
    Ok(true)
}

/// Makes the longer intervals that are over at `new` and were not at `old`. Between the two no minute
/// begins that has rows, but for the one that begins at `old`.
fn close(db: &Connection, bundle: &Bundle, old: i64, new: i64) -> rusqlite::Result<()> {
    for span in LONGER {
        if floor(new, span) > floor(old, span) {
            longer(db, bundle, floor(old, span), span)?;
        }
    }
    Ok(())
}

/// What is known of an interval.
#[derive(Clone, Debug, Default, PartialEq)]
struct Interval {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    /// How often each value occurred, by the value's place in the order of numbers; of states only.
    states: BTreeMap<i64, (f64, u64)>,
}

impl Interval {
    fn add(&mut self, value: f64, count: u64, (min, max): (f64, f64)) {
        (self.min, self.max) = match self.count {
            0 => (min, max),
            _ => (self.min.min(min), self.max.max(max)),
        };
        self.count += count;
        self.sum += value * count as f64;
        self.last = value;
    }

    fn state(&mut self, value: f64, count: u64) {
        self.states.entry(order(value)).or_insert((value, 0)).1 += count;
    }

    fn value(&self, rollup: Rollup) -> f64 {
        match rollup {
            Rollup::Mean => self.sum / self.count as f64,
            Rollup::Mode => {
                // The last of equals, and the order is that of the values.
                let most = self.states.values().max_by_key(|(_, count)| *count);
                most.map_or(self.last, |(value, _)| *value)
            }
            _ => self.last,
        }
    }
}

/// A number by which values sort as they do themselves.
fn order(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Makes one minute of all series of a bundle from what was recorded in it.
fn minute(db: &Connection, members: &Bundle, bundle: i64, start: i64) -> rusqlite::Result<()> {
    let seconds = (start, start + MINUTE - 1);
    let Some(frames) = frames::all(db, bundle, seconds, &members.scales)? else {
        // Some of its rows are damaged: what was made of them before is better than what the rest makes.
        return Ok(());
    };
    for member in members.members.iter().filter(|member| member.rollup != Rollup::None) {
        let scale = members.scales.get(member.position).copied().unwrap_or(1.0);
        let mut interval = Interval::default();
        // Whole numbers are summed as such: the mean of equal values is that value.
        let (mut wholes, mut reals) = (0_i64, 0.0);
        for cell in frames.iter().filter_map(|frame| *frame.cells.get(member.position)?) {
            let value = cell.value(scale);
            match cell {
                Cell::Whole(whole) => wholes = wholes.saturating_add(whole),
                Cell::Real(real) => reals += real,
            }
            interval.add(value, 1, (value, value));
            if member.rollup == Rollup::Mode {
                interval.state(value, 1);
            }
        }
        interval.sum = wholes as f64 / scale + reals;
        put(db, member, start, MINUTE, &interval)?;
    }
    Ok(())
}

/// Makes one longer interval of all series of a bundle.
fn longer(db: &Connection, bundle: &Bundle, start: i64, span: i64) -> rusqlite::Result<()> {
    bundle.members.iter().try_for_each(|member| longer_of(db, member, start, span))
}

/// Makes one longer interval of a series from its minutes; of the time without any, from five minutes.
fn longer_of(db: &Connection, member: &Member, start: i64, span: i64) -> rusqlite::Result<()> {
    if member.rollup == Rollup::None {
        return Ok(());
    }
    let mut read = db.prepare_cached(
        "SELECT value, min, max, count, states, start FROM rollups
         WHERE seconds = 60 AND series_id = ?1 AND start >= ?2 AND start < ?3
         UNION ALL
         SELECT value, min, max, count, states, start FROM rollups AS five
         WHERE ?3 - ?2 > 300 AND seconds = 300 AND series_id = ?1 AND start >= ?2 AND start < ?3
         AND NOT EXISTS (SELECT 1 FROM rollups AS minute WHERE minute.seconds = 60
             AND minute.series_id = ?1 AND minute.start >= five.start
             AND minute.start < five.start + 300)
         ORDER BY start",
    )?;
    let mut interval = Interval::default();
    let mut rows = read.query(params![member.id, start, start + span])?;
    while let Some(row) = rows.next()? {
        let count = u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
        interval.add(row.get(0)?, count, (row.get(1)?, row.get(2)?));
        if let Some(states) = row.get_ref(4)?.as_str_or_null()? {
            for (value, count) in parse_states(states) {
                interval.state(value, count);
            }
        }
    }
    put(db, member, start, span, &interval)
}

/// Finds the longer intervals of a bundle that are missing though there are shorter ones in their time and
/// they are over, in the first hour that has shorter ones at or after `from`: and the hour's end. `None` if
/// there is no such hour. The shorter ones came from elsewhere, ready made.
pub(crate) fn missing(
    db: &Connection,
    bundles: &mut Bundles,
    bundle: i64,
    from: i64,
) -> rusqlite::Result<Option<(Vec<Missing>, i64)>> {
    let rolled_to = "SELECT rolled_to FROM bundles WHERE id = ?1";
    let rolled_to: i64 = db.prepare_cached(rolled_to)?.query_row([bundle], |row| row.get(0))?;
    // Nothing is made yet of rows that maintenance has not seen, and nothing is open.
    let over = if rolled_to == 0 { i64::MAX } else { rolled_to };
    let bundle = bundles.get(db, bundle)?;
    // One seek each: of several lengths or series at once, the least start is found by reading them all.
    let mut next = db.prepare_cached(
        "SELECT min(start) FROM rollups WHERE seconds = ?1 AND series_id = ?2 AND start >= ?3",
    )?;
    let mut first: Option<i64> = None;
    for member in &bundle.members {
        for seconds in [MINUTE, 300] {
            let start: Option<i64> =
                next.query_row([seconds, member.id, from], |row| row.get(0))?;
            first = first.into_iter().chain(start).min();
        }
    }
    let Some(hour) = first.map(|first| floor(first, 3600)) else { return Ok(None) };
    let end = hour + 3600;
    let mut find = db.prepare_cached(
        "SELECT start - start % ?1 AS longer FROM rollups
         WHERE seconds IN (60, ?1 / 12) AND series_id = ?2 AND start >= ?3 AND start < ?4
             AND longer + ?1 <= ?5
         EXCEPT SELECT start FROM rollups
         WHERE seconds = ?1 AND series_id = ?2 AND start >= ?3 AND start < ?4",
    )?;
    let mut found = Vec::new();
    for member in bundle.members.iter().filter(|member| member.rollup != Rollup::None) {
        for span in LONGER {
            let starts = find.query_map([span, member.id, hour, end, over], |row| row.get(0))?;
            for start in starts {
                found.push(Missing { member: *member, start: start?, span });
            }
        }
    }
    Ok(Some((found, end)))
}

/// Makes an interval that is [`missing`].
pub(crate) fn fill(db: &Connection, missing: &Missing) -> rusqlite::Result<()> {
    longer_of(db, &missing.member, missing.start, missing.span)
}

/// A longer interval that could be there.
pub(crate) struct Missing {
    member: Member,
    start: i64,
    span: i64,
}

/// Puts an interval in the place of what was known of it before.
fn put(
    db: &Connection,
    member: &Member,
    start: i64,
    span: i64,
    interval: &Interval,
) -> rusqlite::Result<()> {
    if interval.count == 0 {
        return Ok(());
    }
    let states = (member.rollup == Rollup::Mode).then(|| format_states(interval));
    let value = interval.value(member.rollup);
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO rollups (seconds, series_id, start, value, min, max, count, states)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let (min, max, count) = (interval.min, interval.max, interval.count as i64);
    put.execute(params![span, member.id, start, value, min, max, count, states]).map(drop)
}

/// How often each state occurred: `{"0":1180,"1":20}`.
fn format_states(interval: &Interval) -> String {
    let states = interval.states.values();
    let pairs: Vec<String> = states.map(|(value, count)| format!("\"{value}\":{count}")).collect();
    format!("{{{}}}", pairs.join(","))
}

/// What [`format_states`] wrote.
fn parse_states(text: &str) -> Vec<(f64, u64)> {
    let pairs = text.trim_matches(['{', '}']).split(',');
    pairs
        .filter_map(|pair| {
            let (value, count) = pair.split_once(':')?;
            Some((value.trim_matches('"').parse().ok()?, count.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_their_place_in_the_order() {
        let sorted = [f64::MIN, -1.5, -0.0, 0.0, 1e-300, 1.0, 2.0, f64::MAX];
        assert!(sorted.is_sorted_by_key(|value| order(*value)));
    }

    #[test]
    fn states_come_back_as_they_were_written() {
        let mut interval = Interval::default();
        for (value, count) in [(3.0, 20), (0.0, 1180), (-0.5, 1)] {
            interval.state(value, count);
        }
        let text = format_states(&interval);
        assert_eq!(text, r#"{"-0.5":1,"0":1180,"3":20}"#);
        assert_eq!(parse_states(&text), [(-0.5, 1), (0.0, 1180), (3.0, 20)]);
    }

    #[test]
    fn a_tie_goes_to_the_worse_state() {
        let mut interval = Interval::default();
        interval.state(3.0, 5);
        interval.state(0.0, 5);
        interval.state(1.0, 4);
        assert_eq!(interval.value(Rollup::Mode), 3.0);
    }
}
