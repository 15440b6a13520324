//! The values of one series, gathered for a summary.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::summary::{extremes, unordered, weighted};
use super::{Granularity, SeriesName, SeriesSummary, StateShare, Statistics, Summary};

/// A state is taken to last until the next value, but no longer than this (in microseconds), or this
/// many times the series' usual interval: nobody saw what happened in a gap.
const LONGEST_HOLD: i64 = 10_000_000;
const LONGEST_HOLD_INTERVALS: i64 = 5;

const SECOND: f64 = 1e6;

/// What was read of one series; raw values in the order of time.
#[derive(Debug)]
pub(super) enum Gathered {
    Numbers(Numbers),
    States(States),
}

impl Gathered {
    /// The statistics; `None` without any row. `end` is the last instant of the range.
    pub(super) fn finish(self, series: Arc<SeriesName>, end: i64) -> Option<SeriesSummary> {
        let (samples, statistics) = match self {
            Gathered::Numbers(numbers) => (numbers.rows(), Statistics::Numbers(numbers.finish()?)),
            Gathered::States(states) => (states.rows(), Statistics::States(states.finish(end))),
        };
        (samples > 0).then_some(SeriesSummary { series, samples: samples as u64, statistics })
    }
}

/// Of a level.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) raw: Vec<f64>,
    /// Means, and how many samples they are of.
    rolled: Vec<(Granularity, f64, u64)>,
    extremes: Option<(f64, f64)>,
}

impl Numbers {
    /// Adds an interval; one of the original has no least and greatest value, and counts as one sample.
    pub(super) fn rolled(
        &mut self,
        granularity: Granularity,
        value: f64,
        rolled: Option<super::Rolled>,
    ) {
        let (min, max, count) =
            rolled.map_or((value, value, 1), |r| (r.min, r.max, r.count.max(1)));
        self.rolled.push((granularity, value, count));
        let (least, greatest) = self.extremes.unwrap_or((min, max));
        self.extremes = Some((least.min(min), greatest.max(max)));
    }

    fn rows(&self) -> usize {
        self.raw.len() + self.rolled.len()
    }

    /// In one tier, percentiles are of the rows, as they are in the original. Where tiers are mixed, a
    /// row stands for as many values as it has samples, or the few minutes that are still raw would
    /// outweigh the week before. None has more samples than a complete one of its length, even if the
    /// clock was set back and its time came twice.
    fn finish(mut self) -> Option<Summary> {
        if self.rolled.is_empty() {
            return unordered(&mut self.raw);
        }
        let (min, max) = extremes(self.raw.iter().copied())
            .into_iter()
            .chain(self.extremes)
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
        let mut weighed: Vec<(f64, u64)> = Vec::with_capacity(self.rolled.len() + self.raw.len());
        for tier in Granularity::ALL {
            let of_tier = || self.rolled.iter().filter(|(of, ..)| *of == tier);
            let full = complete(of_tier().map(|(_, _, count)| *count));
            weighed.extend(of_tier().map(|(_, value, count)| (*value, *count.min(&full))));
        }
        let mixed = self.rolled.windows(2).any(|pair| matches!(pair, [a, b] if a.0 != b.0));
        let summed = if mixed || !self.raw.is_empty() {
            weighed.extend(self.raw.iter().map(|value| (*value, 1)));
            weighted(&mut weighed)?
        } else {
            let mut values: Vec<f64> = weighed.iter().map(|(value, _)| *value).collect();
            let count: u64 = weighed.iter().map(|(_, count)| count).sum();
            let sum: f64 = weighed.iter().map(|(value, count)| value * *count as f64).sum();
            Summary { avg: sum / count as f64, ..unordered(&mut values)? }
        };
        Some(Summary { min, max, ..summed })
    }
}

/// Of a state.
#[derive(Debug, Default)]
pub(super) struct States {
    /// Instants, and the state from then on.
    pub(super) raw: Vec<(i64, f64)>,
    intervals: usize,
    /// How many samples of an interval had a state.
    rolled: Vec<RolledState>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RolledState {
    pub(super) granularity: Granularity,
    pub(super) start: i64,
    pub(super) state: f64,
    /// How many samples of the interval had it, of how many.
    pub(super) count: u64,
    pub(super) of: u64,
}

impl States {
    /// Adds a state of an interval; states of one interval follow each other.
    pub(super) fn rolled(&mut self, state: RolledState) {
        let key = |state: &RolledState| (state.granularity, state.start);
        if self.rolled.last().is_none_or(|last| key(last) != key(&state)) {
            self.intervals += 1;
        }
        self.rolled.push(state);
    }

    fn rows(&self) -> usize {
        self.raw.len() + self.intervals
    }

    fn finish(mut self, end: i64) -> Vec<StateShare> {
        let mut lasted = Lasted::default();
        for tier in Granularity::ALL {
            let of_tier: Vec<&RolledState> =
                self.rolled.iter().filter(|state| state.granularity == tier).collect();
            let intervals = of_tier.chunk_by(|one, next| one.start == next.start);
            let full = complete(intervals.filter_map(|states| states.first()).map(|one| one.of));
            for state in of_tier {
                // One with more samples than a complete one, because the clock was set back, is no longer
                // for that.
                let share = state.count as f64 / full.max(state.of) as f64;
                lasted.add(state.state, share * tier.seconds() as f64);
            }
        }
        self.raw_time(end, &mut lasted);
        lasted.shares()
    }

    /// How long each raw value lasts.
    fn raw_time(&mut self, end: i64, lasted: &mut Lasted) {
        let mut intervals: Vec<i64> = Vec::with_capacity(self.raw.len());
        let instants = self.raw.chunk_by(|one, other| one.0 == other.0);
        let starts: Vec<i64> =
            instants.filter_map(|same| same.first().map(|first| first.0)).collect();
        intervals.extend(starts.windows(2).map(|pair| match pair {
            [one, next] => next.saturating_sub(*one),
            _ => 0,
        }));
        let usual = match intervals.len() {
            0 => 0,
            count => *intervals.select_nth_unstable(count / 2).1,
        };
        let longest = LONGEST_HOLD.max(usual.saturating_mul(LONGEST_HOLD_INTERVALS));
        // Nobody knows what came after the last value; it lasts as long as usual.
        let end = end.saturating_add(1);
        let after_last = starts.last().map(|last| last.saturating_add(usual).min(end));
        let ends = starts.iter().skip(1).copied().chain(after_last);
        for (same, until) in self.raw.chunk_by(|one, other| one.0 == other.0).zip(ends) {
            // The original's whole seconds have many values; they share the time until the next one.
            let share = 1.0 / same.len() as f64;
            for (at, state) in same {
                let held = until.saturating_sub(*at).clamp(0, longest);
                lasted.add(*state, share * held as f64 / SECOND);
            }
        }
    }
}

/// How many samples a complete interval has, by those of all intervals of its length: as many as the one in
/// the middle. The fullest one may have got its time twice.
fn complete(counts: impl Iterator<Item = u64>) -> u64 {
    let mut counts: Vec<u64> = counts.collect();
    match counts.len() {
        0 => 1,
        len => *counts.select_nth_unstable(len / 2).1,
    }
}

/// How long each state lasted, in seconds, and how often it was met.
#[derive(Default)]
struct Lasted(BTreeMap<StateCode, (f64, u64)>);

impl Lasted {
    fn add(&mut self, state: f64, seconds: f64) {
        let (total, times) = self.0.entry(StateCode(state)).or_default();
        *total += seconds;
        *times += 1;
    }

    fn shares(self) -> Vec<StateShare> {
        let seconds: f64 = self.0.values().map(|(seconds, _)| seconds).sum();
        let times: u64 = self.0.values().map(|(_, times)| times).sum();
        let share = |(StateCode(value), (lasted, met)): (StateCode, (f64, u64))| StateShare {
            value,
            // A single value lasts no time that is known.
            share: if seconds > 0.0 { lasted / seconds } else { met as f64 / times as f64 },
            seconds: lasted,
        };
        self.0.into_iter().map(share).collect()
    }
}

/// A state's code, in order.
struct StateCode(f64);

impl Ord for StateCode {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for StateCode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for StateCode {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for StateCode {}
