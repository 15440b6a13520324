//! When a destination that failed is tried again: exponential backoff with full jitter, and a circuit
//! breaker that after several failures in a row lets one small trial through, rarely.

use std::time::{Duration, Instant};

use crate::random::fraction;
use crate::{FaultClass, RetryOptions};

/// After this many failures in a row the breaker is open.
const OPENS_AFTER: u32 = 5;
/// Something that only a person can mend is tried this many times less often.
const RARELY: u32 = 6;
/// No destination can ask for a longer pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The tries of one destination. Time is passed in.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    failed_at: Option<Instant>,
    not_before: Option<Instant>,
    /// The destination asked for a pause, or calls need a person first: haste makes it worse.
    patient: bool,
    throttled: bool,
}

/// Whether calls go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// All of them.
    Closed,
    /// The next one, with a little to do, and more each time that goes well.
    HalfOpen,
    /// None, for now.
    Open,
}

impl Breaker {
    /// A try failed; the next one comes later.
    pub(crate) fn failed(&mut self, class: FaultClass, retry: &RetryOptions, now: Instant) {
        let exponential = retry.initial.saturating_mul(1 << self.failures.min(16)).min(retry.max);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
        let backoff = if self.failures < OPENS_AFTER {
            // Anywhere from now on, so that many sinks don't try in step.
            exponential.mul_f64(fraction())
        } else {
            exponential.mul_f64((1.0 + fraction()) / 2.0)
        };
        self.throttled = matches!(class, FaultClass::Throttled(_));
        self.patient = self.throttled || matches!(class, FaultClass::Auth | FaultClass::Config);
        let wait = match class {
            FaultClass::Throttled(pause) => pause.min(LONGEST_PAUSE).max(backoff),
            FaultClass::Auth | FaultClass::Config => {
                self.failures = self.failures.max(OPENS_AFTER);
                retry.max.saturating_mul(RARELY).mul_f64(fraction()).max(retry.max)
            }
            _ => backoff,
        };
        self.rest(wait, now);
    }

    /// No try before this much time has passed.
    pub(crate) fn rest(&mut self, time: Duration, now: Instant) {
        self.not_before = self.not_before.max(Some(now + time));
    }

    /// A try with a part of what waits succeeded: the next one need not wait.
    pub(crate) fn go_on(&mut self) {
        self.not_before = None;
    }

    /// There is time for one more try only, so a destination that needed a person gets it now. One that
    /// asked for a pause is left alone.
    pub(crate) fn last_try(&mut self) {
        if !self.throttled {
            self.not_before = None;
        }
    }

    /// What waited is through.
    pub(crate) fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    /// How long to wait before the next try.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// The same for somebody in a hurry, who waits this long at most after a failure, where haste does no
    /// harm.
    pub(crate) fn wait_at_most(&self, most: Duration, now: Instant) -> Duration {
        if self.patient {
            return self.wait(now);
        }
        let hurried =
            self.failed_at.map_or(Duration::ZERO, |at| (at + most).saturating_duration_since(now));
        self.wait(now).min(hurried)
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match (self.failures < OPENS_AFTER, self.wait(now).is_zero()) {
            (true, _) => BreakerState::Closed,
            (false, true) => BreakerState::HalfOpen,
            (false, false) => BreakerState::Open,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant to count from")]
mod tests {
    use super::*;

    fn retry() -> RetryOptions {
        RetryOptions {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(2),
            max_age: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_pause_doubles_with_full_jitter_up_to_the_longest() {
        let now = Instant::now();
        for _ in 0..200 {
            let mut breaker = Breaker::default();
            for most in [100, 200, 400, 800] {
                breaker.not_before = None;
                breaker.failed(FaultClass::Transient, &retry(), now);
                assert!(breaker.wait(now) <= Duration::from_millis(most));
                assert_eq!(breaker.state(now), BreakerState::Closed);
            }
            for _ in 0..100 {
                breaker.not_before = None;
                breaker.failed(FaultClass::Transient, &retry(), now);
                assert!(breaker.wait(now) <= retry().max);
            }
        }
    }

    #[test]
    fn the_fifth_failure_opens_it_and_a_success_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.failed(FaultClass::Transient, &retry(), now);
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
        let later = now + breaker.wait(now);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        breaker.succeeded();
        assert_eq!((breaker.state(now), breaker.wait(now)), (BreakerState::Closed, Duration::ZERO));
    }

    #[test]
    fn a_destination_that_asks_for_a_pause_gets_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.failed(FaultClass::Throttled(Duration::from_secs(90)), &retry(), now);
        assert_eq!(breaker.wait(now), Duration::from_secs(90));
        let mut breaker = Breaker::default();
        breaker.failed(FaultClass::Throttled(Duration::MAX), &retry(), now);
        assert_eq!(breaker.wait(now), LONGEST_PAUSE);
    }

    #[test]
    fn what_only_a_person_can_mend_is_tried_rarely() {
        let now = Instant::now();
        for class in [FaultClass::Auth, FaultClass::Config] {
            let mut breaker = Breaker::default();
            breaker.failed(class, &retry(), now);
            let wait = breaker.wait(now);
            assert!((retry().max..=retry().max * RARELY).contains(&wait), "{wait:?}");
            assert_eq!(breaker.state(now), BreakerState::Open);
        }
    }
}
