//! What became of the probes, counted; read by any thread without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that the prober adds to.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) duplicate: AtomicU64,
    pub(super) foreign: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// What became of the probes so far. All are counts since the prober started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeCounts {
    /// Echo requests that left, and TCP connects that were started.
    pub sent: u64,
    /// First answers in time.
    pub answered: u64,
    /// Answers after the timeout; ignored. A connect that was given up before is in none of these.
    pub late: u64,
    /// Second echo replies to one request; ignored.
    pub duplicate: u64,
    /// Echo replies to somebody else's requests; ignored.
    pub foreign: u64,
    /// Echo requests the kernel did not send, and connects that failed without an answer.
    pub failed: u64,
}

impl Counters {
    /// Adds one.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts now. They are read one by one, so they may be a probe apart.
    pub(super) fn read(&self) -> ProbeCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProbeCounts {
            sent: read(&self.sent),
            answered: read(&self.answered),
            late: read(&self.late),
            duplicate: read(&self.duplicate),
            foreign: read(&self.foreign),
            failed: read(&self.failed),
        }
    }
}
