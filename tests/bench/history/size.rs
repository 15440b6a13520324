//! Bytes a sample in the file, and every sample back.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::path::Path;
use std::time::Instant;

use wanctl_sink_sqlite::{Granularity, History, Order, Query, Tiers};

use super::ours::Ours;
use super::{START, at_most, bytes};
use crate::report::option;
use crate::signal::{DAY, HZ, Signal, Tick, VALUES};

/// Ticks of a transaction: a minute.
const BATCH: usize = 60 * HZ as usize;
const SECONDS_A_DAY: i64 = 86_400;
/// A value's position in a tick, in the order of the metrics' names.
const BY_NAME: [usize; VALUES] = [3, 4, 1, 2, 0, 5];

pub(crate) fn run() {
    let days = option("--days", 7.0) as i64;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.db");
    let mut signal = Signal::new(START);
    write_days(&path, &mut signal, 1);
    let first = bytes(&path) as f64 / samples(1);
    at_most("bytes a sample, the first day", first, 7.0);
    if days > 1 {
        write_days(&path, &mut signal, days - 1);
        let total = bytes(&path) as f64;
        let hot = hot_ticks(&path) * VALUES as f64;
        let sealed = (total - hot * first) / (samples(days) - hot);
        at_most("bytes a sample, sealed", sealed, 1.0);
        println!("  {:.1} % of {days} days are sealed", 100.0 - 100.0 * hot / samples(days));
        at_most(&format!("megabytes, {days} days (a week is asked for)"), total / 1e6, 120.0);
    }
    let began = Instant::now();
    compare(&path, days);
    println!("  read and compared in {:.1} s", began.elapsed().as_secs_f64());
}

/// Goes on with the file for these days, and closes it.
fn write_days(path: &Path, signal: &mut Signal, days: i64) {
    let mut ours = Ours::open(path);
    for _ in 0..days * 24 {
        let ticks: Vec<Tick> = signal.by_ref().take(DAY / 24).collect();
        ours.items(&ticks).chunks(BATCH).for_each(|batch| ours.write(batch));
    }
    ours.close();
}

fn samples(days: i64) -> f64 {
    days as f64 * (DAY * VALUES) as f64
}

fn hot_ticks(path: &Path) -> f64 {
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_row("SELECT count(*) FROM frames", [], |row| row.get(0)).unwrap()
}

/// Reads every sample, and compares its value and its instant with what was written.
fn compare(path: &Path, days: i64) {
    let history = History::open(path).unwrap();
    let mut signal = Signal::new(START);
    let mut different = 0_u64;
    for day in 0..days {
        let from = START + day * SECONDS_A_DAY;
        let query = Query {
            from,
            to: from + SECONDS_A_DAY - 1,
            tiers: Tiers::Only(Granularity::Raw),
            order: Order::OldestFirst,
            ..Query::default()
        };
        let mut records = history.records(&query).unwrap().map(Result::unwrap);
        for tick in signal.by_ref().take(DAY) {
            for position in BY_NAME {
                let same = records.next().is_some_and(|record| {
                    let micros = record.timestamp * 1_000_000 + i64::from(record.micros);
                    let value = tick.values[position];
                    micros == tick.micros && record.value.to_bits() == value.to_bits()
                });
                different += u64::from(!same);
            }
        }
        different += records.count() as u64;
    }
    at_most("samples that are missing, doubled or other than written", different as f64, 0.0);
}
