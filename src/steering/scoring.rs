//! How long a confidence score must last before traffic moves.

use super::{CakeState, Confidence, FlapDetector, Route, Score, Signals};

/// Recovery needs a delta below this, in ms.
const RECOVERED_DELTA_MS: f64 = 10.0;

/// Recovery needs fewer drops than this.
const RECOVERED_DROPS: f64 = 0.001;

/// Scores each step, and turns a score that lasts into a wish.
#[derive(Clone, Debug)]
pub struct Scoring {
    policy: Confidence,
    timers: Timers,
    flaps: FlapDetector,
}

/// What is left of each timer, in seconds; `None` while it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timers {
    /// How much longer the score must stay high.
    pub degrade: Option<f64>,
    /// How much longer traffic stays on the alternate WAN at least.
    pub hold_down: Option<f64>,
    /// How much longer the score must stay low.
    pub recovery: Option<f64>,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The score.
    pub score: Score,
    /// Where traffic should go now; `None` for no change, and always in a dry run.
    pub change: Option<Route>,
}

impl Scoring {
    /// Scoring with all timers off.
    pub fn new(policy: Confidence) -> Scoring {
        Scoring { policy, timers: Timers::default(), flaps: FlapDetector::default() }
    }

    /// Scores a step that comes `elapsed_seconds` after the one before, at `mono_seconds`.
    ///
    /// `route` says which way traffic goes. While it is `None`, nobody knows, and the timers stand.
    pub fn evaluate(
        &mut self,
        route: Option<Route>,
        signals: &Signals,
        elapsed_seconds: f64,
        mono_seconds: f64,
    ) -> Verdict {
        let score = Score::of(signals);
        self.flaps.check(&self.policy, mono_seconds);
        // Time never runs backwards here, and what is not a number counts as none.
        let elapsed = elapsed_seconds.max(0.0);
        let change = match route {
            Some(Route::Primary) => self.degrade(&score, elapsed),
            Some(Route::Alternate) => self.recover(&score, signals, elapsed),
            None => None,
        };
        if let Some(to) = change {
            self.flaps.record(&self.policy, to, mono_seconds);
        }
        Verdict { score, change: change.filter(|_| !self.policy.dry_run) }
    }

    /// What is left of the timers.
    pub fn timers(&self) -> Timers {
        self.timers
    }

    /// The changes of mind.
    pub fn flaps(&self) -> &FlapDetector {
        &self.flaps
    }

    fn degrade(&mut self, score: &Score, elapsed: f64) -> Option<Route> {
        let high = self.policy.steer_threshold <= score.points();
        let sustain = self.policy.sustain_seconds;
        if !has_lasted(&mut self.timers.degrade, high, sustain, elapsed) {
            return None;
        }
        self.timers.hold_down = Some(self.policy.hold_down_seconds);
        Some(Route::Alternate)
    }

    fn recover(&mut self, score: &Score, signals: &Signals, elapsed: f64) -> Option<Route> {
        if let Some(left) = self.timers.hold_down {
            let left = left - elapsed;
            self.timers.hold_down = (0.0 < left).then_some(left);
            if self.timers.hold_down.is_some() {
                return None;
            }
        }
        let low = score.points() <= self.policy.recovery_threshold
            && signals.cake == CakeState::Green
            && signals.rtt_delta_ms < RECOVERED_DELTA_MS
            && signals.drops < RECOVERED_DROPS;
        let sustain = self.policy.recovery_sustain_seconds;
        has_lasted(&mut self.timers.recovery, low, sustain, elapsed).then_some(Route::Primary)
    }
}

/// Runs a timer while `holds`, and says whether it ran out. The step that starts it does not count.
fn has_lasted(timer: &mut Option<f64>, holds: bool, duration: f64, elapsed: f64) -> bool {
    let left = match *timer {
        _ if !holds => None,
        None => Some(duration),
        Some(left) => Some(left - elapsed),
    };
    let ran_out = timer.is_some() && left.is_some_and(|left| left <= 0.0);
    *timer = left.filter(|_| !ran_out);
    ran_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::fixtures::confidence;

    fn congested() -> Signals {
        Signals { cake: CakeState::Red, rtt_delta_ms: 100.0, ..Signals::default() }
    }

    fn recovered() -> Signals {
        Signals { cake: CakeState::Green, ..Signals::default() }
    }

    fn live(sustain_seconds: f64) -> Scoring {
        Scoring::new(Confidence {
            sustain_seconds,
            recovery_sustain_seconds: 2.0,
            hold_down_seconds: 3.0,
            dry_run: false,
            ..confidence()
        })
    }

    #[test]
    fn step_that_starts_a_timer_does_not_count() {
        let mut scoring = live(0.0);
        let mut change = || scoring.evaluate(Some(Route::Primary), &congested(), 1.0, 0.0).change;
        assert_eq!([change(), change()], [None, Some(Route::Alternate)]);
    }

    #[test]
    fn low_score_in_between_starts_the_timer_again() {
        let mut scoring = live(2.0);
        let steps = [congested(), congested(), recovered(), congested(), congested(), congested()];
        let changes =
            steps.map(|signals| scoring.evaluate(Some(Route::Primary), &signals, 1.0, 0.0).change);
        assert_eq!(changes, [None, None, None, None, None, Some(Route::Alternate)]);
    }

    #[test]
    fn hold_down_runs_out_before_recovery_starts() {
        let mut scoring = live(1.0);
        for _ in 0..2 {
            scoring.evaluate(Some(Route::Primary), &congested(), 1.0, 0.0);
        }
        let steps = (1..).find(|_| {
            scoring.evaluate(Some(Route::Alternate), &recovered(), 1.0, 0.0).change.is_some()
        });
        // Three to hold, the last of which starts the recovery timer, and two to recover.
        assert_eq!(steps, Some(5));
    }

    #[test]
    fn recovery_needs_every_sign_of_a_healthy_link() {
        let starts = |signals: Signals| {
            let mut scoring = live(1.0);
            scoring.evaluate(Some(Route::Alternate), &signals, 1.0, 0.0);
            scoring.timers().recovery.is_some()
        };
        assert!(starts(Signals { rtt_delta_ms: 9.9, drops: 0.0009, ..recovered() }));
        let unhealthy = [
            Signals { cake: CakeState::Yellow, ..recovered() },
            Signals { rtt_delta_ms: 10.0, ..recovered() },
            Signals { drops: 0.001, ..recovered() },
        ];
        for signals in unhealthy {
            assert!(!starts(signals), "{signals:?}");
        }
    }

    #[test]
    fn timers_follow_the_time_that_passed() {
        let mut scoring = live(30.0);
        scoring.evaluate(Some(Route::Primary), &congested(), 0.05, 0.0);
        let verdict = scoring.evaluate(Some(Route::Primary), &congested(), 30.0, 30.0);
        assert_eq!(verdict.change, Some(Route::Alternate));
    }

    #[test]
    fn dry_run_counts_but_wishes_nothing() {
        let mut scoring = Scoring::new(confidence());
        for _ in 0..200 {
            let verdict = scoring.evaluate(Some(Route::Primary), &congested(), 0.05, 0.0);
            assert_eq!(verdict.change, None);
            assert_eq!(verdict.score.points(), 65.0);
        }
        assert!(0 < scoring.flaps().changes().count());
    }

    #[test]
    fn timers_stand_while_the_route_is_unknown() {
        let mut scoring = live(1.0);
        scoring.evaluate(Some(Route::Primary), &congested(), 0.5, 0.0);
        let before = scoring.timers();
        scoring.evaluate(None, &congested(), 0.5, 0.0);
        assert_eq!(scoring.timers(), before);
    }
}
