//! The rows of one second, collected and then sorted out: which instant, whose, which of two.

use std::collections::HashSet;
use std::ops::Range;

use super::ImportError;
use super::cycles::{Emitter, cycles, instant};
use super::names::{EventRow, Kept, Names};
use super::report::ImportReport;

/// A series in our file: one of the original's, of one emitter.
pub(super) type Key = (usize, Emitter);

/// The rows of one second, in the order they were recorded in.
#[derive(Default)]
pub(super) struct Second {
    pub(super) sec: i64,
    /// Series and value.
    samples: Vec<(usize, f64)>,
    /// The interval's length, series and value.
    rolled: Vec<(i64, usize, f64)>,
    /// Each with the number of samples before it.
    events: Vec<(usize, EventRow)>,
    skipped: Vec<&'static str>,
    /// How many rows were read, and the last one's id.
    pub(super) rows: u64,
    pub(super) last_id: i64,
}

/// The rows of one second as they are stored.
pub(super) struct Settled {
    pub(super) sec: i64,
    /// Microseconds, and which samples belong to them.
    pub(super) cycles: Vec<(u32, Range<usize>)>,
    pub(super) samples: Vec<(Key, f64)>,
    /// The interval's length, series and value; none twice.
    pub(super) rolled: Vec<(i64, Key, f64)>,
    /// With their microseconds; none twice.
    pub(super) events: Vec<(u32, EventRow)>,
    /// Rows for an interval that has one.
    pub(super) duplicates: u64,
    /// Why rows can't be kept.
    pub(super) skipped: Vec<&'static str>,
}

impl Settled {
    /// Adds to a report what can be told without our file.
    pub(super) fn account(&self, report: &mut ImportReport) {
        report.duplicates += self.duplicates;
        for reason in &self.skipped {
            report.skip(reason, 1);
        }
    }

    /// Adds to a report what would be new in a file that has nothing yet.
    pub(super) fn account_as_new(&self, report: &mut ImportReport) {
        report.raw += self.samples.len() as u64;
        report.events += self.events.len() as u64;
        for (seconds, ..) in &self.rolled {
            *report.tier(*seconds) += 1;
        }
    }
}

impl Second {
    pub(super) fn of(sec: i64) -> Self {
        Second { sec, ..Second::default() }
    }

    /// Adds the next row.
    pub(super) fn add(&mut self, id: i64, row: Kept) {
        self.rows += 1;
        self.last_id = id;
        match row {
            Kept::Sample { series, value } => self.samples.push((series, value)),
            Kept::Rolled { seconds, series, value } => self.rolled.push((seconds, series, value)),
            Kept::Event(event) => self.events.push((self.samples.len(), event)),
            Kept::Skipped(reason) => self.skipped.push(reason),
        }
    }

    /// Sorts the rows out. `owner` says whose a series' rows are that don't tell it themselves.
    pub(super) fn settle(
        self,
        names: &Names,
        mut owner: impl FnMut(usize) -> Result<Emitter, ImportError>,
    ) -> Result<Settled, ImportError> {
        let mut of = |series, emitter| match emitter {
            Emitter::Unknown => owner(series),
            known => Ok(known),
        };
        let found = cycles(self.samples.iter().map(|(series, _)| names.member(*series)));
        let count = found.len();
        let mut cycles = Vec::with_capacity(count);
        let mut samples = Vec::with_capacity(self.samples.len());
        for (number, cycle) in found.into_iter().enumerate() {
            for &(series, value) in &self.samples[cycle.rows.clone()] {
                samples.push(((series, of(series, cycle.emitter)?), value));
            }
            cycles.push((instant(number, count), cycle.rows));
        }
        let events = settle_events(self.events, &cycles);

        let (mut rolled, mut seen) = (Vec::with_capacity(self.rolled.len()), HashSet::new());
        let (mut duplicates, mut skipped) = (0, self.skipped);
        for (seconds, series, value) in self.rolled {
            if self.sec % seconds != 0 {
                skipped.push("the interval begins at no multiple of its length");
            } else if seen.insert((seconds, series)) {
                let emitter = of(series, names.get(series).emitter)?;
                rolled.push((seconds, (series, emitter), value));
            } else {
                duplicates += 1;
            }
        }
        Ok(Settled { sec: self.sec, cycles, samples, rolled, events, duplicates, skipped })
    }
}

/// An event happened in the cycle that was recorded before it; of two equal ones the second came later.
fn settle_events(
    events: Vec<(usize, EventRow)>,
    cycles: &[(u32, Range<usize>)],
) -> Vec<(u32, EventRow)> {
    let mut settled: Vec<(u32, EventRow)> = Vec::with_capacity(events.len());
    for (before, event) in events {
        let cycle = cycles.iter().rev().find(|(_, rows)| rows.start < before);
        let earlier = settled.iter().filter(|(_, other)| *other == event).map(|(us, _)| us + 1);
        let us = earlier.max().unwrap_or(0).max(cycle.map_or(0, |(us, _)| *us));
        settled.push((us.min(999_999), event));
    }
    settled
}
