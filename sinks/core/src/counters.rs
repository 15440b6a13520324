//! Where every row went. The law: what was offered is the sum of everything else.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one sink, in rows. Written by the control thread and the sink's worker.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) offered: AtomicU64,
    pub(crate) filtered: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) lost_at_shutdown: AtomicU64,
    pub(crate) queued: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) panics: AtomicU64,
}

/// Adds rows to a counter.
pub(crate) fn add(counter: &AtomicU64, rows: usize) {
    counter.fetch_add(rows as u64, Relaxed);
}

/// Takes rows from a gauge and gives them to another counter.
pub(crate) fn shift(from: &AtomicU64, to: &AtomicU64, rows: usize) {
    from.fetch_sub(rows as u64, Relaxed);
    add(to, rows);
}

impl Counters {
    pub(crate) fn stats(&self, name: &str, kind: &str) -> SinkStats {
        SinkStats {
            name: name.to_owned(),
            kind: kind.to_owned(),
            offered: self.offered.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            expired: self.expired.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            quarantined: self.quarantined.load(Relaxed),
            lost_at_shutdown: self.lost_at_shutdown.load(Relaxed),
            queued: self.queued.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            failures: self.failures.load(Relaxed),
            panics: self.panics.load(Relaxed),
        }
    }
}

/// What became of the rows offered to one sink.
///
/// Once no emit or write is under way, the law of [`is_balanced`](Self::is_balanced) holds:
/// `offered = filtered + evicted + expired + delivered + rejected + lost_at_shutdown + quarantined + queued + in_flight`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStats {
    /// The sink's name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Rows that controllers emitted.
    pub offered: u64,
    /// Rows that `select` keeps from the sink.
    pub filtered: u64,
    /// Rows that a full queue gave up.
    pub evicted: u64,
    /// Rows that waited longer than `retry.max_age`.
    pub expired: u64,
    /// Rows that are at the destination.
    pub delivered: u64,
    /// Rows that can't be recorded: not finite, refused by the destination, or for a sink that is off.
    pub rejected: u64,
    /// Rows of batches that made the sink panic again and again.
    pub quarantined: u64,
    /// Rows that were not written before the shutdown's deadline.
    pub lost_at_shutdown: u64,
    /// Rows in the queue.
    pub queued: u64,
    /// Rows in the batch that is being written.
    pub in_flight: u64,
    /// Calls to the destination that failed.
    pub failures: u64,
    /// Panics of the sink's code.
    pub panics: u64,
}

impl SinkStats {
    /// Rows that are neither at the destination nor given up for a reason of their own: waiting, being
    /// written, or lost at the shutdown. After a shutdown these are gone.
    pub fn unwritten(&self) -> u64 {
        self.queued + self.in_flight + self.lost_at_shutdown
    }

    /// Whether every offered row is accounted for.
    pub fn is_balanced(&self) -> bool {
        self.offered
            == self.filtered
                + self.evicted
                + self.expired
                + self.delivered
                + self.rejected
                + self.quarantined
                + self.lost_at_shutdown
                + self.queued
                + self.in_flight
    }
}
