//! Maintenance while days pass and somebody reads without a pause.
//!
//! A call to write commits a few seconds of rows and ends with a slice of maintenance, so the thread's CPU time
//! in the longest call is more than the longest slice took.
#![expect(clippy::disallowed_methods, reason = "a reader rests between queries")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use wanctl_sink_sqlite::{Granularity, History, HistoryError, Order, Query, Tiers};

use super::ours::Ours;
use super::{START, at_most, bytes, cpu_time};
use crate::report::option;
use crate::signal::{DAY, HZ, Signal, Tick, VALUES};

/// Ticks of a transaction: twenty seconds, so that little of a call is not maintenance.
const BATCH: usize = 20 * HZ as usize;
/// How long the reader rests between two queries.
const REST: Duration = Duration::from_millis(50);
/// For how many days raw rows are kept by default.
const RAW_DAYS: i64 = 7;
const SECONDS_A_DAY: i64 = 86_400;

pub(crate) fn run() {
    let days = option("--days", 10.0) as i64;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.db");
    let ours = Ours::open(&path);
    let done = AtomicBool::new(false);
    let (longest, asked) = thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&done, &path));
        let longest = write(ours, days);
        done.store(true, Ordering::Release);
        (longest, reader.join().unwrap())
    });
    println!("  {days} days, {:.1} MB at the end", bytes(&path) as f64 / 1e6);
    at_most("ms of CPU time in the longest call, a commit included", longest, 50.0);
    at_most(&format!("readers that erred, of {}", asked.0), asked.1 as f64, 0.0);
    at_most("gaps and doubles in the tiers", check_tiers(&path, days) as f64, 0.0);
    at_most("gaps and doubles in what readers see", check_merged(&path, days) as f64, 0.0);
}

/// Writes the days; returns the CPU time of the longest call in ms.
fn write(mut ours: Ours, days: i64) -> f64 {
    let mut signal = Signal::new(START);
    let mut longest = Duration::ZERO;
    for _ in 0..days * 24 {
        let ticks: Vec<Tick> = signal.by_ref().take(DAY / 24).collect();
        for batch in ours.items(&ticks).chunks(BATCH) {
            let before = cpu_time();
            ours.write(batch);
            longest = longest.max(cpu_time() - before);
        }
    }
    ours.close();
    longest.as_secs_f64() * 1_000.0
}

/// Asks one query after the other; returns how many, and how many erred.
fn read_until(done: &AtomicBool, path: &Path) -> (u64, u64) {
    let (mut asked, mut erred) = (0, 0);
    let mut newest = START;
    while !done.load(Ordering::Acquire) {
        for span in [600, 6 * 3_600, SECONDS_A_DAY, 30 * SECONDS_A_DAY] {
            asked += 1;
            match read(path, newest, span) {
                Ok(now) => newest = now.max(newest),
                Err(error) => {
                    println!("  {error}");
                    erred += 1;
                }
            }
            thread::sleep(REST);
        }
    }
    (asked, erred)
}

/// Reads the last seconds before this one, and returns the newest.
fn read(path: &Path, newest: i64, seconds: i64) -> Result<i64, HistoryError> {
    let history = History::open(path)?;
    let metrics = vec!["wanctl_rtt_ms".to_owned()];
    let query = Query { from: newest - seconds, to: newest, metrics, ..Query::default() };
    history.records(&query)?.try_for_each(|record| record.map(drop))?;
    Ok(history.newest()?.map_or(newest, |(second, _)| second))
}

/// Intervals and frames that are missing or twice in the tables.
fn check_tiers(path: &Path, days: i64) -> u64 {
    let db = Connection::open(path).unwrap();
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let mut wrong = 0;
    let end = START + days * SECONDS_A_DAY;
    for seconds in [60, 300, 3_600] {
        let sql = format!("SELECT count(*) FROM rollups WHERE seconds = {seconds}");
        // The last interval ends when a row after it comes, or a little later.
        let expected = (days * SECONDS_A_DAY / seconds - 1) * VALUES as i64;
        let found = number(&sql);
        wrong += if found >= expected { 0 } else { expected.abs_diff(found) };
        let distinct = format!(
            "SELECT count(*) FROM (SELECT DISTINCT series_id, start FROM rollups WHERE seconds = {seconds}
             AND start % {seconds} = 0 AND start >= {START} AND start < {end})"
        );
        wrong += number(&distinct).abs_diff(found);
        let full = seconds * HZ;
        let partial =
            format!("SELECT count(*) FROM rollups WHERE seconds = {seconds} AND count <> {full}");
        wrong += number(&partial).unsigned_abs();
    }
    let kept = days.min(RAW_DAYS) * DAY as i64;
    let raw = number(
        "SELECT (SELECT count(*) FROM frames) + (SELECT coalesce(sum(frames), 0) FROM chunks)",
    );
    // Rows expire a chunk at a time, and never too early.
    let most = if days > RAW_DAYS { kept + DAY as i64 / 4 } else { kept };
    wrong + if (kept..=most).contains(&raw) { 0 } else { kept.abs_diff(raw) }
}

/// Seconds that no row of a query over all days stands for, and those that two of them do.
fn check_merged(path: &Path, days: i64) -> u64 {
    let history = History::open(path).unwrap();
    let end = START + days * SECONDS_A_DAY;
    let mut wrong = 0;
    for tiers in [Tiers::Auto, Tiers::Finest] {
        let query = Query {
            from: START,
            to: end,
            metrics: vec!["wanctl_rtt_ms".to_owned()],
            tiers,
            order: Order::OldestFirst,
            ..Query::default()
        };
        let mut reached = START * 1_000_000;
        for record in history.records(&query).unwrap().map(Result::unwrap) {
            let micros = record.timestamp * 1_000_000 + i64::from(record.micros);
            let length = match record.granularity {
                Granularity::Raw => 1_000_000 / HZ,
                rolled => rolled.seconds() * 1_000_000,
            };
            // A tick may be late by some milliseconds, and stands for the time to the next.
            if (micros - reached).abs() > 25_000 {
                wrong += 1;
            }
            reached = micros - micros.rem_euclid(1_000_000 / HZ) + length;
        }
        if (end * 1_000_000 - reached).abs() > 25_000 {
            wrong += 1;
        }
    }
    wrong
}
