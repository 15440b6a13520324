//! Frames of eight samples, as a controller emits them.

use std::sync::Arc;

use wanctl::sink::{Frame, Kind, Metric, Rollup, Schema, Series, Timestamp, Unit};

/// How many rows a frame becomes.
pub(crate) const ROWS: u32 = 8;

macro_rules! metrics {
    ($($name:literal)*) => {
        [$(&Metric {
            name: concat!("wanctl_bench_", $name, "_ms"),
            unit: Unit::Milliseconds,
            kind: Kind::Gauge,
            rollup: Rollup::Mean,
            help: "A value of a benchmark",
            states: &[],
        }),*]
    };
}

static METRICS: [&Metric; ROWS as usize] = metrics!["a" "b" "c" "d" "e" "f" "g" "h"];

/// Makes frames for one emitter.
#[derive(Clone)]
pub(crate) struct Frames(Arc<Schema>);

impl Frames {
    pub(crate) fn new() -> Self {
        let series = METRICS.iter().map(|metric| Series::new(metric, "wan1", "bench"));
        Frames(Schema::new(series.collect()).unwrap())
    }

    /// The frame of a cycle, of the frames that come 1 ms apart. Its values go on counting from those of
    /// the cycle before: `8 * cycle`, `8 * cycle + 1`, …
    pub(crate) fn make(&self, cycle: u32) -> Arc<Frame> {
        let mono_nanos = u64::from(cycle) * 1_000_000;
        let unix_nanos = 1_769_300_000_000_000_000 + mono_nanos as i64;
        let mut frame = Frame::new(Timestamp { unix_nanos, mono_nanos }, &self.0);
        for row in 0..ROWS {
            frame.push(row as usize, f64::from(cycle) * f64::from(ROWS) + f64::from(row));
        }
        Arc::new(frame)
    }
}
