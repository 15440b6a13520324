//! The usual statistics of a list of values.

use std::sync::Arc;

use super::SeriesName;

/// Statistics of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSummary {
    /// Which series.
    pub series: Arc<SeriesName>,
    /// How many rows were summed up.
    pub samples: u64,
    /// What they come to.
    pub statistics: Statistics,
}

/// What the values of a series come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistics {
    /// Of a level.
    Numbers(Summary),
    /// Of a state: each that occurred, in the order of the codes.
    States(Vec<StateShare>),
}

/// How long a state lasted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateShare {
    /// The state's code.
    pub value: f64,
    /// The share of the time for which the state is known, 0 to 1.
    pub share: f64,
    /// How long it lasted, in seconds.
    pub seconds: f64,
}

/// Statistics of some values, in their unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The arithmetic mean.
    pub avg: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Statistics of these finite values; `None` when there are none.
///
/// Percentiles are those of Python's `statistics.quantiles` with its default, exclusive method: the
/// values are taken for a sample of something larger, so with few values the 99th percentile lies
/// beyond the greatest.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let avg = values.iter().sum::<f64>() / values.len() as f64;
    let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile(&sorted, percent));
    Some(Summary { min, max, avg, p50, p95, p99 })
}

/// The percentile of sorted values; of one value, that value.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let count = sorted.len();
    if count < 2 {
        return sorted.first().copied().unwrap_or(f64::NAN);
    }
    let position = percent * (count + 1);
    let upper = (position / 100).clamp(1, count - 1);
    // Outside 0 to 100 at the ends, where the line through the last two values is prolonged.
    let weight = position as f64 - 100.0 * upper as f64;
    (sorted[upper - 1] * (100.0 - weight) + sorted[upper] * weight) / 100.0
}
