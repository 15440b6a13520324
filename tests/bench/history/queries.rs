//! How long queries take; the same reader reads both layouts, and opens the file for each query.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wanctl::telemetry::RTT;
use wanctl_sink_sqlite::{Granularity, History, Query, Record, SeriesSummary, Statistics, Tiers};

use super::ours::Ours;
use super::plain::Plain;
use super::{START, at_most};
use crate::signal::{DAY, HZ, Signal, Tick};

/// Ticks of a transaction: a minute.
const BATCH: usize = 60 * HZ as usize;
/// How often each query is asked.
const TIMES: usize = 7;
const SECONDS_A_DAY: i64 = 86_400;
/// By then the first day of ours is sealed, and the last 24 hours are not.
const OURS: usize = DAY * 9 / 4;

pub(crate) fn run() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::build(folder.path());
    let end = files.end;
    let sealed = (START, START + SECONDS_A_DAY - 1);
    let hot = (end - SECONDS_A_DAY, end - 1);
    let raw = |(from, to)| Query {
        from,
        to,
        metrics: vec![RTT.name.to_owned()],
        tiers: Tiers::Only(Granularity::Raw),
        ..Query::default()
    };
    // The plain file has one day; its last hour and all of it are as far from its end.
    let of_plain = |query: &Query| {
        let (from, to) = if query.to - query.from > 86_000 {
            sealed
        } else {
            (sealed.1 - (query.to - query.from), sealed.1)
        };
        Query { from, to, ..query.clone() }
    };
    println!("  {:<34} {:>10} {:>10} {:>8}", "median of each, ms", "ours", "plain", "ratio");

    let hour = raw((end - 3_600, end - 1));
    let ratio = beside(
        "the last hour, one metric",
        || count(&rows(&files.ours, &hour), 3_600 * HZ as usize),
        || count(&rows(&files.plain, &of_plain(&hour)), 3_600 * HZ as usize),
    );
    at_most("of the plain layout's time", ratio, 1.0 / 5.0);

    for (name, range, limit) in [("sealed", sealed, 15.0), ("hot", hot, 4.0)] {
        let day = raw(range);
        let (ours, plain) = (summary(&files.ours, &day), summary(&files.plain, &of_plain(&day)));
        assert_eq!((ours.samples, plain.samples), (DAY as u64, DAY as u64), "{name}");
        if name == "sealed" {
            assert_same(&ours.statistics, &plain.statistics);
        }
        let ratio = beside(
            &format!("mean, p95, p99 over a {name} day"),
            || drop(summary(&files.ours, &day)),
            || drop(summary(&files.plain, &of_plain(&day))),
        );
        at_most("of the plain layout's time", ratio, 1.0 / limit);
    }

    // The newest minute is not over as long as no row says so.
    let minutes =
        Query { tiers: Tiers::Only(Granularity::Minute), ..raw((hot.0 - 60, hot.1 - 60)) };
    let took = alone("24 h at 1m, one metric", || count(&rows(&files.ours, &minutes), 1_440));
    let plain = median(|| count(&rows(&files.plain, &of_plain(&minutes)), 1_440));
    println!("  {:<34} {:>10} {:>10.3}", "  the plain layout", "", millis(plain));
    at_most("ms", took, 2.0);

    let newest = files.newest;
    let took = alone("the newest timestamp", || {
        let found = History::open(&files.ours).unwrap().newest().unwrap().unwrap();
        assert_eq!(found.0 * 1_000_000 + i64::from(found.1), newest);
    });
    at_most("ms", took, 1.0);
    let took = alone("configuration snapshot, plain SQL", || {
        let db = rusqlite::Connection::open(&files.ours).unwrap();
        let sql = "SELECT labels FROM metrics WHERE metric_name = 'wanctl_config_snapshot'
                   ORDER BY timestamp DESC LIMIT 1";
        let labels: String = db.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(labels.contains("940"), "{labels}");
    });
    at_most("ms", took, 1.0);
}

/// The same signal in both layouts.
struct Files {
    ours: PathBuf,
    plain: PathBuf,
    /// The second after the last one of ours.
    end: i64,
    /// Of ours, in microseconds.
    newest: i64,
}

impl Files {
    fn build(folder: &Path) -> Self {
        let (ours, plain) = (folder.join("ours.db"), folder.join("plain.db"));
        let (mut writer, other) = (Ours::open(&ours), Plain::open(&plain));
        writer.snapshot(START * 1_000_000);
        let mut signal = Signal::new(START);
        let (mut written, mut newest) = (0, 0);
        while written < OURS {
            let ticks: Vec<Tick> = signal.by_ref().take(BATCH).collect();
            writer.write(&writer.items(&ticks));
            if written < DAY {
                other.write(&ticks);
                other.write_minutes(&ticks);
            }
            written += ticks.len();
            newest = ticks.last().map_or(newest, |tick| tick.micros);
        }
        writer.close();
        drop(other);
        Files { ours, plain, end: START + written as i64 / HZ, newest }
    }
}

fn rows(path: &Path, query: &Query) -> Vec<Record> {
    History::open(path).unwrap().query(query).unwrap()
}

fn count(rows: &[Record], expected: usize) {
    assert_eq!(rows.len(), expected);
}

fn summary(path: &Path, query: &Query) -> SeriesSummary {
    History::open(path).unwrap().summary(query).unwrap().remove(0)
}

fn assert_same(one: &Statistics, other: &Statistics) {
    let (Statistics::Numbers(one), Statistics::Numbers(other)) = (one, other) else {
        panic!("{one:?} {other:?}")
    };
    let exact = |of: &wanctl_sink_sqlite::Summary| (of.min, of.max, of.p50, of.p95, of.p99);
    assert_eq!(exact(one), exact(other));
    assert!((one.avg - other.avg).abs() < 1e-9, "{one:?} {other:?}");
}

/// Asks both in turn, prints the medians and returns their ratio.
fn beside(what: &str, mut ours: impl FnMut(), mut plain: impl FnMut()) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        times[0].push(time(&mut ours));
        times[1].push(time(&mut plain));
    }
    let [ours, plain] = times.map(middle);
    let ratio = ours.as_secs_f64() / plain.as_secs_f64();
    println!("  {what:<34} {:>10.2} {:>10.2} {ratio:>8.4}", millis(ours), millis(plain));
    ratio
}

/// Prints and returns a median, in ms.
fn alone(what: &str, ask: impl FnMut()) -> f64 {
    let took = millis(median(ask));
    println!("  {what:<34} {took:>10.3}");
    took
}

fn median(mut ask: impl FnMut()) -> Duration {
    middle((0..TIMES).map(|_| time(&mut ask)).collect())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn time(mut ask: impl FnMut()) -> Duration {
    let began = Instant::now();
    ask();
    began.elapsed()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
