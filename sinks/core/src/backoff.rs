//! How long to wait before trying a destination again: exponential, with full jitter.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use crate::{FaultClass, SinkError};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);
/// Between tries of something that only a person can mend.
const RARELY: Duration = Duration::from_secs(30);

/// The state of one destination's tries.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

impl Backoff {
    /// A try failed; the next one comes later.
    pub(crate) fn failed(&mut self, error: &SinkError, now: Instant) {
        let exponential = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = match error.class {
            FaultClass::Throttled(pause) => pause.max(jitter(exponential)),
            FaultClass::Auth | FaultClass::Config => jitter(RARELY).max(LONGEST),
            _ => jitter(exponential),
        };
        self.not_before = Some(now + wait);
    }

    /// A try succeeded.
    pub(crate) fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    /// How long to wait before the next try.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// Between nothing and `longest`, evenly, so that many sinks don't try in step.
fn jitter(longest: Duration) -> Duration {
    // A fresh `RandomState` is the standard library's only source of randomness.
    let random = RandomState::new().build_hasher().finish();
    longest.mul_f64(random as f64 / u64::MAX as f64)
}
