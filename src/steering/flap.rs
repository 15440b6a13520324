//! Counts changes of mind, so that an operator sees a link that can't decide.
//!
//! As in the original, a penalty is known and shown, but changes no decision.

use std::collections::VecDeque;

use super::{Confidence, Route};

/// How many changes are remembered.
const CAPACITY: usize = 20;

/// Remembers the latest changes of mind, and whether there were too many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlapDetector {
    changes: VecDeque<(Route, f64)>,
    penalty_until: Option<f64>,
}

impl FlapDetector {
    /// The latest changes that were recorded: where to, and when in monotonic seconds.
    pub fn changes(&self) -> impl Iterator<Item = (Route, f64)> {
        self.changes.iter().copied()
    }

    /// Until when a penalty lasts, in monotonic seconds; `None` without one.
    pub fn penalty_until(&self) -> Option<f64> {
        self.penalty_until
    }

    /// Starts or ends a penalty. A penalty that ends is not started again in the same step.
    pub(super) fn check(&mut self, policy: &Confidence, now: f64) {
        if !policy.flap_detection {
            return;
        }
        match self.penalty_until {
            Some(until) if now < until => {}
            Some(_) => self.penalty_until = None,
            None => {
                let too_many = i64::try_from(self.changes.len())
                    .is_ok_and(|changes| policy.max_toggles < changes);
                self.penalty_until = too_many.then_some(now + policy.penalty_seconds);
            }
        }
    }

    /// Remembers a change, and forgets those before the window.
    pub(super) fn record(&mut self, policy: &Confidence, to: Route, now: f64) {
        if !policy.flap_detection {
            return;
        }
        let window_start = now - policy.flap_window_minutes * 60.0;
        self.changes.retain(|(_, at)| window_start < *at);
        if self.changes.len() == CAPACITY {
            self.changes.pop_front();
        }
        self.changes.push_back((to, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::fixtures::confidence;

    #[test]
    fn penalty_starts_above_the_limit_and_ends_in_time() {
        let policy = Confidence { max_toggles: 2, penalty_seconds: 5.0, ..confidence() };
        let mut flaps = FlapDetector::default();
        let mut check_after_change = |now| {
            flaps.record(&policy, Route::Alternate, now);
            flaps.check(&policy, now);
            flaps.penalty_until()
        };
        assert_eq!(check_after_change(1.0), None);
        assert_eq!(check_after_change(2.0), None);
        assert_eq!(check_after_change(3.0), Some(8.0));
        flaps.check(&policy, 7.9);
        assert_eq!(flaps.penalty_until(), Some(8.0));
        flaps.check(&policy, 8.0);
        assert_eq!(flaps.penalty_until(), None);
    }

    #[test]
    fn changes_at_the_edge_of_the_window_are_forgotten() {
        let policy = Confidence { flap_window_minutes: 1.0, ..confidence() };
        let mut flaps = FlapDetector::default();
        for now in [0.0, 0.1, 60.0] {
            flaps.record(&policy, Route::Alternate, now);
        }
        let times: Vec<f64> = flaps.changes().map(|(_, at)| at).collect();
        assert_eq!(times, [0.1, 60.0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut flaps = FlapDetector::default();
        for n in 0..50 {
            flaps.record(&confidence(), Route::Alternate, f64::from(n));
        }
        assert_eq!(flaps.changes().count(), CAPACITY);
    }
}
