//! What became of the rows.

use std::collections::BTreeMap;

/// What an import has done, or would do.
///
/// `read` is the sum of all that follows it but `left`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// How many rows earlier runs have read, which are not read again.
    pub before: u64,
    /// How many rows there were to read at the start; 0 if the file is too damaged to tell.
    pub expected: u64,
    /// How many were read.
    pub read: u64,
    /// Raw samples that are new in our file.
    pub raw: u64,
    /// Intervals of a minute that are new in our file.
    pub minutes: u64,
    /// Intervals of five minutes.
    pub five_minutes: u64,
    /// Intervals of an hour.
    pub hours: u64,
    /// Transitions and snapshots that are new in our file.
    pub events: u64,
    /// Rows that our file has already.
    pub already: u64,
    /// Second and further rows for one interval of a series; the first is kept.
    pub duplicates: u64,
    /// Rows that can't be kept, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Rows that are too new: the original may still be writing their second. The next run reads them.
    pub left: u64,
    /// Everything was read; otherwise the next run goes on where this one was stopped.
    pub complete: bool,
}

impl ImportReport {
    /// How many rows are new in our file.
    pub fn imported(&self) -> u64 {
        self.raw + self.minutes + self.five_minutes + self.hours + self.events
    }

    pub(super) fn skip(&mut self, reason: &'static str, rows: u64) {
        if rows > 0 {
            *self.skipped.entry(reason).or_default() += rows;
        }
    }

    /// The count of an interval's tier.
    pub(super) fn tier(&mut self, seconds: i64) -> &mut u64 {
        match seconds {
            60 => &mut self.minutes,
            300 => &mut self.five_minutes,
            _ => &mut self.hours,
        }
    }

    /// Adds what a transaction has put into the file.
    pub(super) fn add(&mut self, other: ImportReport) {
        self.raw += other.raw;
        self.minutes += other.minutes;
        self.five_minutes += other.five_minutes;
        self.hours += other.hours;
        self.events += other.events;
        self.already += other.already;
        for (reason, rows) in other.skipped {
            self.skip(reason, rows);
        }
    }
}
