//! The rows that checks send: made by a counter, so that each is told from every other, and the same in
//! every run.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Event, Frame, Item, Kind, Metric, Rollup, Schema, Series, Timestamp, Unit};

/// A level.
pub(super) static VALUE: Metric = Metric {
    name: "wanctl_conformance_value",
    unit: Unit::None,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "A number of the conformance kit",
    states: &[],
};

/// A state code.
static STATE: Metric = Metric {
    name: "wanctl_conformance_state",
    kind: Kind::State,
    rollup: Rollup::Mode,
    help: "A state of the conformance kit",
    ..VALUE
};

/// What happened.
static HAPPENED: Metric = Metric {
    name: "wanctl_conformance_event",
    kind: Kind::Event,
    rollup: Rollup::None,
    help: "An event of the conformance kit",
    ..VALUE
};

/// A moment in January 2026, in microseconds.
const START: i64 = 1_769_300_027_050_000;
/// From one frame to the next, in microseconds; not a whole number of milliseconds.
const CYCLE: i64 = 50_001;

/// Makes rows.
pub(super) struct Rows {
    schema: Arc<Schema>,
    micros: i64,
    count: u32,
}

impl Rows {
    /// Frames of three series: one without labels, two that only a label tells apart.
    pub(super) fn new() -> Result<Self, String> {
        let state = |direction| {
            Series::new(&STATE, "wan1", "conformance").with_labels(&[("direction", direction)])
        };
        Rows::of(vec![
            Series::new(&VALUE, "wan1", "conformance"),
            state("download"),
            state("upload"),
        ])
    }

    /// Frames of these series.
    pub(super) fn of(series: Vec<Series>) -> Result<Self, String> {
        let schema = Schema::new(series).map_err(|error| error.to_string())?;
        Ok(Rows { schema, micros: START, count: 0 })
    }

    /// Moves the clock, in microseconds.
    pub(super) fn step(&mut self, micros: i64) {
        self.micros += micros;
    }

    /// The next frame, with a value of its own for each series.
    pub(super) fn frame(&mut self) -> Arc<Frame> {
        let values: Vec<f64> = (0..self.schema.series().len()).map(|_| self.value()).collect();
        self.frame_of(&values)
    }

    /// The next frame, with these values.
    pub(super) fn frame_of(&mut self, values: &[f64]) -> Arc<Frame> {
        let mut frame = Frame::new(self.tick(), &self.schema);
        for (series, value) in values.iter().enumerate() {
            frame.push(series, *value);
        }
        Arc::new(frame)
    }

    /// So many frames.
    pub(super) fn frames(&mut self, count: usize) -> Vec<Item> {
        (0..count).map(|_| Item::Frame(self.frame())).collect()
    }

    /// The next event, with a reason.
    pub(super) fn event(&mut self) -> Arc<Event> {
        let reason = Value::from(format!("reason {}", self.count));
        self.event_of([("reason".to_owned(), reason)].into_iter().collect())
    }

    /// The next event, with these details.
    pub(super) fn event_of(&mut self, details: Map<String, Value>) -> Arc<Event> {
        Arc::new(Event {
            at: self.tick(),
            metric: &HAPPENED,
            wan: "wan1".into(),
            source: "conformance".into(),
            value: self.value(),
            details: Arc::new(details),
        })
    }

    fn value(&mut self) -> f64 {
        self.count += 1;
        f64::from(self.count) + 0.25
    }

    fn tick(&mut self) -> Timestamp {
        self.micros += CYCLE;
        let mono_nanos = u64::from(self.count).saturating_mul(50_000_000);
        Timestamp { unix_nanos: self.micros * 1000, mono_nanos }
    }
}

/// A random number generator (SplitMix64): the same numbers for the same seed, everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
