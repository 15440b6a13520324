//! The frames that are written: each is known by its number, and all that is in it follows from that.
//!
//! Their time is simulated: twenty a second, however fast they are written.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use wanctl_sink::{Frame, Kind, Metric, Rollup, Schema, Series, Timestamp, Unit};

pub(crate) static NUMBER: Metric = Metric {
    name: "wanctl_test_number",
    unit: Unit::Count,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "The number of the frame",
    states: &[],
};
static RTT: Metric = Metric { name: "wanctl_test_rtt_ms", unit: Unit::Milliseconds, ..NUMBER };
static RATE: Metric =
    Metric { name: "wanctl_test_rate_mbps", unit: Unit::MegabitsPerSecond, ..NUMBER };
static STATE: Metric = Metric {
    name: "wanctl_test_state",
    kind: Kind::State,
    rollup: Rollup::Mode,
    unit: Unit::None,
    ..NUMBER
};

/// Unix time of frame 0: a minute, a five minutes and an hour begin.
pub(crate) const START: i64 = 1_769_299_200;

/// Between two frames, in microseconds.
const INTERVAL: i64 = 50_000;

/// How long raw rows stay hot, and how long each tier is kept, in seconds.
pub(crate) const HOT: i64 = 60;
pub(crate) const RAW: i64 = 900;
pub(crate) const TIERS: [(&str, i64, i64); 3] =
    [("1m", 60, 3600), ("5m", 300, 2 * 3600), ("1h", 3600, 4 * 3600)];

/// A sink with a history whose tiers are all that short.
pub(crate) fn settings(path: &Path) -> String {
    let [minute, five_minutes, hour] = TIERS.map(|(tier, _, age)| format!("{tier}: {age}s"));
    format!(
        "{{ path: '{}', hot: {HOT}s, retention: {{ raw: {RAW}s, {minute}, {five_minutes}, {hour} }} }}",
        path.display()
    )
}

pub(crate) fn schema() -> Arc<Schema> {
    let series = |metric| Series::new(metric, "wan1", "test");
    let state = |direction| series(&STATE).with_labels(&[("direction", direction)]);
    let states = ["download", "upload"].map(state);
    Schema::new([&NUMBER, &RTT, &RATE].map(series).into_iter().chain(states).collect()).unwrap()
}

/// Unix time of a frame in microseconds; a cycle is up to a millisecond late.
pub(crate) fn micros(number: i64) -> i64 {
    START * 1_000_000 + number * INTERVAL + noise(number) % 1000
}

/// The first frame whose time is this second or later.
pub(crate) fn first(second: i64) -> i64 {
    // A frame is late by less than an interval, so it stays in the second it begins in.
    (second - START) * 1_000_000 / INTERVAL
}

/// The frames whose time lies in these seconds, if all are written.
pub(crate) fn within(seconds: Range<i64>) -> Range<i64> {
    first(seconds.start)..first(seconds.end)
}

pub(crate) fn frame(number: i64, schema: &Arc<Schema>) -> Arc<Frame> {
    let at = Timestamp { unix_nanos: micros(number) * 1000, mono_nanos: number as u64 };
    let mut frame = Frame::new(at, schema);
    let state = noise(number / 700) % 4;
    let values = [number as f64, rtt(number), 940.0 - (state * 100) as f64, state as f64, 0.0];
    for (series, value) in values.into_iter().enumerate() {
        frame.push(series, value);
    }
    Arc::new(frame)
}

fn rtt(number: i64) -> f64 {
    (2400 + noise(number) % 500) as f64 / 100.0
}

/// A number that looks random, and is always the same.
fn noise(number: i64) -> i64 {
    let mixed = (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as i64
}
