//! Where every row went. The law: what was offered is the sum of everything else.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::SinkError;

/// Counters of one sink, in rows. Written by the control thread, which takes no lock, and by the sink's
/// worker.
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
    pub(crate) redelivered: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) replaced: AtomicU64,
    /// The longest call since somebody asked, in µs.
    pub(crate) longest_call: AtomicU64,
    /// When the oldest row in flight was emitted, in milliseconds of the coarse clock.
    pub(crate) oldest: AtomicU64,
    pub(crate) breaker: AtomicU8,
    health: AtomicU8,
    /// Why the sink does not take samples.
    error: Mutex<Option<String>>,
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
    /// Rows that will never be at the destination, by now.
    pub(crate) fn given_up(&self) -> u64 {
        [&self.evicted, &self.expired, &self.rejected, &self.quarantined]
            .map(|counter| counter.load(Relaxed))
            .iter()
            .sum()
    }

    pub(crate) fn set_health(&self, health: Health) {
        self.health.store(health as u8, Relaxed);
    }

    /// Says why the sink does not take samples, or that it does.
    pub(crate) fn tell(&self, error: Option<&SinkError>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error.map(ToString::to_string);
    }

    pub(crate) fn stats(&self, name: &str, kind: &str) -> SinkStats {
        SinkStats {
            name: name.to_owned(),
            kind: kind.to_owned(),
            health: Health::ALL[usize::from(self.health.load(Relaxed)) % Health::ALL.len()],
            error: self.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
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
            redelivered: self.redelivered.load(Relaxed),
            failures: self.failures.load(Relaxed),
            panics: self.panics.load(Relaxed),
            replaced: self.replaced.load(Relaxed),
        }
    }
}

/// How a sink is, from good to bad but for the last two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// Its destination is being opened for the first time.
    #[default]
    Starting = 0,
    /// It takes samples, as far as is known.
    Ok = 1,
    /// Its destination does not take samples; they queue, and it is tried again.
    Failing = 2,
    /// Its code panicked three times within ten minutes; it is tried once a minute.
    Quarantined = 3,
    /// Calls hang, and no more threads are spent on it until one of them returns.
    Stalled = 4,
    /// Its destination can't work, and its `startup` says to go on without it.
    Off = 5,
    /// It was shut down.
    Stopped = 6,
}

impl Health {
    const ALL: [Health; 7] = [
        Health::Starting,
        Health::Ok,
        Health::Failing,
        Health::Quarantined,
        Health::Stalled,
        Health::Off,
        Health::Stopped,
    ];

    /// The names, by code.
    pub(crate) const NAMES: [&'static str; 7] =
        ["starting", "ok", "failing", "quarantined", "stalled", "off", "stopped"];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        Health::NAMES[self as usize]
    }
}

/// What became of the rows offered to one sink.
///
/// Once no emit or write is under way, the law of [`is_balanced`](Self::is_balanced) holds:
/// `offered = filtered + evicted + expired + delivered + rejected + lost_at_shutdown + quarantined + queued + in_flight`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SinkStats {
    /// The sink's name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// How it is.
    pub health: Health,
    /// Why it does not take samples; `None` while it does.
    pub error: Option<String>,
    /// Rows that controllers emitted.
    pub offered: u64,
    /// Rows that `select` keeps from the sink, or that became part of another one by `every`.
    pub filtered: u64,
    /// Rows that a full queue gave up.
    pub evicted: u64,
    /// Rows that waited longer than `retry.max_age`.
    pub expired: u64,
    /// Rows that are at the destination.
    pub delivered: u64,
    /// Rows that can't be recorded: not finite, refused by the destination, or for a sink that is off.
    pub rejected: u64,
    /// Rows that make the sink panic again and again.
    pub quarantined: u64,
    /// Rows that were not written before the shutdown's deadline.
    pub lost_at_shutdown: u64,
    /// Rows in the queue.
    pub queued: u64,
    /// Rows that were taken off the queue and are not at the destination yet.
    pub in_flight: u64,
    /// Of the delivered rows, those that a call before had failed with: a destination that can't tell
    /// may have them twice.
    pub redelivered: u64,
    /// Calls to the destination that failed.
    pub failures: u64,
    /// Panics of the sink's code.
    pub panics: u64,
    /// Threads that were left behind in a call that hung.
    pub replaced: u64,
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
