//! Bytes written to disk a sample, as the kernel counts them for this process (`wchar`).

use std::fs;
use std::time::Duration;

use wanctl::sink::{Pipeline, PipelineOptions};

use super::ours::{frame, schema, spec};
use super::plain::Plain;
use super::{START, at_most};
use crate::report::{option, paced};
use crate::signal::{HZ, Signal, Tick, VALUES};

/// What is asked of the sink.
const MOST: f64 = 250.0;

pub(crate) fn run() {
    let ticks = (option("--seconds", 60.0) * HZ as f64) as u32;
    let folder = tempfile::tempdir().unwrap();

    let sinks = vec![spec(&folder.path().join("ours.db"))];
    let options = PipelineOptions { frames_per_second: HZ as f64, report: None };
    let pipeline = Pipeline::start(sinks, options).unwrap();
    let (sink, schema, mut signal) = (pipeline.sink(), schema(), Signal::new(START));
    let before = written();
    let emit = |tick: Tick| {
        let _ = sink.emit(&frame(&schema, &tick));
    };
    paced(ticks, HZ as f64, 0.0, |_| signal.next().unwrap(), emit);
    let accounts = pipeline.shutdown(Duration::from_secs(60));
    let ours = (written() - before) as f64 / (f64::from(ticks) * VALUES as f64);
    assert_eq!(accounts[0].delivered, u64::from(ticks) * VALUES as u64, "{accounts:?}");

    // What it writes does not depend on how fast the cycles come.
    let plain = Plain::open(&folder.path().join("plain.db"));
    let before = written();
    Signal::new(START).take(ticks as usize).for_each(|tick| plain.write(&[tick]));
    drop(plain);
    let plain = (written() - before) as f64 / (f64::from(ticks) * VALUES as f64);
    println!("  original's layout, a transaction a cycle: {plain:.0} bytes a sample");
    at_most("bytes written a sample", ours, MOST);
}

/// Bytes that this process has handed to `write` and its like.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.unwrap().parse().unwrap()
}
