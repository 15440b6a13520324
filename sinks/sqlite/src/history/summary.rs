//! The usual statistics of a list of values.

use std::sync::Arc;

use super::SeriesName;

/// So few values are sorted; of more, no two percentiles lie between the same two values.
const FEW: u64 = 200;

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
    unordered(&mut values.to_vec())
}

/// The same of values whose order may be changed.
pub(super) fn unordered(values: &mut [f64]) -> Option<Summary> {
    let count = values.len() as u64;
    let (min, max) = extremes(values.iter().copied())?;
    let avg = values.iter().sum::<f64>() / count as f64;
    if count < FEW {
        values.sort_unstable_by(f64::total_cmp);
    }
    // From the greatest down, each is looked for among those below the last one only.
    let mut rest = values;
    let mut at = |position: u64| {
        let position = position as usize;
        if count < FEW || rest.len() <= position {
            return rest.get(position).copied().unwrap_or(f64::NAN);
        }
        let (below, found, _) =
            std::mem::take(&mut rest).select_nth_unstable_by(position, f64::total_cmp);
        rest = below;
        *found
    };
    let [p99, p95, p50] = [99, 95, 50].map(|percent| percentile(count, percent, &mut at));
    Some(Summary { min, max, avg, p50, p95, p99 })
}

/// Statistics of values that occur so many times each.
pub(super) fn weighted(values: &mut [(f64, u64)]) -> Option<Summary> {
    let (min, max) = extremes(values.iter().map(|(value, _)| *value))?;
    let count = values.iter().map(|(_, times)| times).sum::<u64>();
    let sum = values.iter().map(|(value, times)| value * *times as f64).sum::<f64>();
    values.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut ends: Vec<u64> = Vec::with_capacity(values.len());
    for (_, times) in &*values {
        ends.push(ends.last().unwrap_or(&0) + times);
    }
    let at = |position| {
        let at = ends.partition_point(|end| *end <= position);
        values.get(at).map_or(max, |(value, _)| *value)
    };
    let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile(count, percent, at));
    Some(Summary { min, max, avg: sum / count as f64, p50, p95, p99 })
}

/// The least value and the greatest.
pub(super) fn extremes(mut values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(min, max), value| (value.min(min), value.max(max))))
}

/// The percentile of so many values; `at` finds the value that has a position, from 0, when they are
/// sorted. Of one value, that value.
fn percentile(count: u64, percent: u64, mut at: impl FnMut(u64) -> f64) -> f64 {
    if count < 2 {
        return at(0);
    }
    let position = percent * (count + 1);
    let upper = (position / 100).clamp(1, count - 1);
    // Outside 0 to 100 at the ends, where the line through the last two values is prolonged.
    let weight = position as f64 - 100.0 * upper as f64;
    let (above, below) = (at(upper), at(upper - 1));
    (below * (100.0 - weight) + above * weight) / 100.0
}
