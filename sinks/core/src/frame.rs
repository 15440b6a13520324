//! One control cycle's values. Allocated once, shared by every sink.

use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::{Schema, Series};

/// The most samples one [`Frame`] holds, and the most series one [`Schema`] declares.
pub const MAX_SAMPLES: usize = 32;

/// When something happened, by both clocks.
///
/// The wall clock is for people and files; it may step. The monotonic clock orders and measures; it
/// starts anywhere and never steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_nanos: i64,
    /// Nanoseconds of the monotonic clock.
    pub mono_nanos: u64,
}

impl Timestamp {
    /// Whole seconds since 1970-01-01 UTC, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.unix_nanos.div_euclid(1_000_000_000)
    }

    /// Microseconds within the second of [`unix_seconds`](Self::unix_seconds): 0 to 999 999.
    pub fn subsec_micros(self) -> u32 {
        // The remainder of a division by 10⁹ fits.
        (self.unix_nanos.rem_euclid(1_000_000_000) / 1_000) as u32
    }
}

/// A value of the series at this position of the frame's schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Position in [`Schema::series`].
    pub series: u16,
    /// The value, in the metric's unit; always finite.
    pub value: f64,
}

/// The samples of one cycle, all of the same instant.
///
/// A series has one value an instant, to the microsecond: an emitter takes a new time for each frame.
/// Of two values of a series at one microsecond a destination may refuse the second.
///
/// ```
/// # use wanctl_sink::{Frame, Kind, Metric, Rollup, Schema, Series, Timestamp, Unit};
/// static RTT: Metric = Metric {
///     name: "wanctl_example_rtt_ms",
///     unit: Unit::Milliseconds,
///     kind: Kind::Gauge,
///     rollup: Rollup::Mean,
///     help: "Round-trip time",
///     states: &[],
/// };
/// let schema = Schema::new(vec![Series::new(&RTT, "wan1", "example")])?;
/// let mut frame = Frame::new(Timestamp::default(), &schema);
/// frame.push(0, 23.41);
/// frame.push(0, f64::NAN); // Not a value: counted, not recorded.
/// assert_eq!(frame.samples().len(), 1);
/// assert_eq!(frame.refused(), 1);
/// # Ok::<(), wanctl_sink::SchemaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Frame {
    at: Timestamp,
    schema: Arc<Schema>,
    samples: ArrayVec<Sample, MAX_SAMPLES>,
    refused: u16,
}

impl Frame {
    /// An empty frame for this instant.
    pub fn new(at: Timestamp, schema: &Arc<Schema>) -> Self {
        Frame { at, schema: Arc::clone(schema), samples: ArrayVec::new(), refused: 0 }
    }

    /// Adds a value for the series at `series`, a position in the schema.
    ///
    /// NaN, infinities and positions outside the schema are not recorded; they are counted in
    /// [`refused`](Self::refused), and each sink counts them as rejected.
    pub fn push(&mut self, series: usize, value: f64) {
        let known = series < self.schema.series().len();
        let sample = Sample { series: series as u16, value };
        if !known || !value.is_finite() || self.samples.try_push(sample).is_err() {
            self.refused += 1;
        }
    }

    /// When the cycle took place.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The series the samples refer to.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The samples, in the order they were added.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Each sample with its series.
    pub fn rows(&self) -> impl Iterator<Item = (&Series, f64)> {
        self.samples.iter().map(|s| (&self.schema.series()[usize::from(s.series)], s.value))
    }

    /// How many values [`push`](Self::push) did not record.
    pub fn refused(&self) -> u16 {
        self.refused
    }
}
