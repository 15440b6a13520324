//! Samples a second, without what it takes to make them.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};

use super::ours::Ours;
use super::plain::Plain;
use super::{START, cpu_time};
use crate::report::verdict;
use crate::signal::{DAY, Signal, Tick, VALUES};

/// What is asked of the sink.
const LEAST: f64 = 1e6;
/// Ticks of a batch: ten thousand samples.
const BATCH: usize = 10_000 / VALUES;

pub(crate) fn run() {
    let folder = tempfile::tempdir().unwrap();
    let mut ours = Ours::open(&folder.path().join("ours.db"));
    let mut signal = Signal::new(START);
    let (mut took, mut computed) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..24 {
        let ticks: Vec<Tick> = signal.by_ref().take(DAY / 24).collect();
        let items = ours.items(&ticks);
        let before = cpu_time();
        took += time(|| items.chunks(BATCH).for_each(|batch| ours.write(batch)));
        computed += cpu_time() - before;
    }
    let rate = show("sqlite sink, a day, 10 000 a transaction", DAY, took);
    show("  by its CPU time, waits for the disk left out", DAY, computed);
    verdict(&format!("samples a second: required >= {LEAST:e}: measured {rate:.0}"), rate >= LEAST);
    ours.close();

    let (few, many): (Vec<Tick>, Vec<Tick>) = {
        let mut signal = Signal::new(START);
        (signal.by_ref().take(DAY / 48).collect(), signal.take(DAY / 8).collect())
    };
    let plain = Plain::open(&folder.path().join("plain.db"));
    let cycles = time(|| few.chunks(1).for_each(|batch| plain.write(batch)));
    let cycles = show("original's layout, 6 a transaction", few.len(), cycles);
    let bulk = time(|| many.chunks(BATCH).for_each(|batch| plain.write(batch)));
    let bulk = show("original's layout, 10 000 a transaction", many.len(), bulk);
    println!("  times as many: {:.1}, {:.1}", rate / cycles, rate / bulk);
}

fn time(run: impl FnOnce()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

/// Prints and returns samples a second.
fn show(what: &str, ticks: usize, took: Duration) -> f64 {
    let rate = (ticks * VALUES) as f64 / took.as_secs_f64();
    println!("  {what:<48} {rate:>10.0} samples/s");
    rate
}
