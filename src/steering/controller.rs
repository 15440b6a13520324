//! The controller: smooths, assesses, counts, and asks for a change of route.
//!
//! It never assumes that a change took place. Until somebody says what became of a request, no second one
//! is made, and the route is what it was.

use super::{
    CakeSample, Congestion, Decision, EwmaError, Observation, Outcome, Policy, Reason, Recent,
    Route, RouteChange, Score, Scoring, Signals, State, Transition, assess, ewma_update,
};
use crate::signal::Bounds;

/// A delta above this is not believed where it is smoothed, in ms.
const MAX_DELTA_MS: f64 = 1_000.0;

/// A longer queue is not believed where it is smoothed, in packets.
const MAX_QUEUE: f64 = 10_000.0;

/// One steering controller.
#[derive(Clone, Debug)]
pub struct Controller {
    policy: Policy,
    state: State,
    scoring: Option<Scoring>,
    drops: Recent<f64>,
    queues: Recent<f64>,
    pending: Option<Pending>,
}

/// A request that waits for its answer, with the counts before the step that made it.
#[derive(Clone, Copy, Debug)]
struct Pending {
    change: RouteChange,
    bad_count: i64,
    good_count: i64,
}

impl Controller {
    /// A controller whose traffic goes by the primary WAN.
    pub fn new(policy: Policy) -> Controller {
        Controller {
            scoring: policy.confidence.clone().map(Scoring::new),
            policy,
            state: State::default(),
            drops: Recent::default(),
            queues: Recent::default(),
            pending: None,
        }
    }

    /// Takes one observation and decides. Every observation is accepted, however strange.
    ///
    /// A [`request`](Decision::request) in the answer has to be carried out, and its outcome told to
    /// [`route_changed`](Self::route_changed).
    pub fn step(&mut self, observation: &Observation) -> Decision {
        self.note_baseline(observation.baseline_ms);
        let Some(baseline_ms) = self.state.baseline_ms else {
            return self.unchanged(Outcome::NoBaseline);
        };
        let cake = self.note_cake(observation.cake);
        let Some(rtt_ms) = observation.rtt_ms else {
            return self.unchanged(Outcome::Held);
        };
        if !rtt_ms.is_finite() || rtt_ms < 0.0 {
            return self.unchanged(Outcome::Refused);
        }
        let delta_ms = (rtt_ms - baseline_ms).max(0.0);
        if self.smooth(delta_ms, cake).is_err() {
            return self.unchanged(Outcome::Refused);
        }
        let before = self.state;
        let (score, wish) = self.weigh(delta_ms, cake, observation);
        // A wish of the scoring goes first, and the counters rest for that step.
        let change = wish.or_else(|| self.count(delta_ms, cake));
        Decision {
            rtt_ms: Some(rtt_ms),
            delta_ms: Some(delta_ms),
            request: change.and_then(|change| self.ask(change, &before)),
            confidence: score.map(|score| score.points()),
            ..self.unchanged(Outcome::Stepped)
        }
    }

    /// Tells what became of the last request; the transition, or `None` when it failed or there was none.
    ///
    /// After a failure the counts are kept, so the next sample that qualifies asks again.
    pub fn route_changed(&mut self, success: bool) -> Option<Transition> {
        let pending = self.pending.take().filter(|_| success)?;
        let RouteChange { to, reason } = pending.change;
        let from = std::mem::replace(&mut self.state.route, to);
        match reason {
            Reason::SamplesDegraded => *self.degrade_count() = 0,
            Reason::SamplesRecovered => self.state.good_count = 0,
            Reason::ConfidenceHigh | Reason::ConfidenceLow => {}
        }
        Some(Transition {
            from,
            to,
            reason,
            bad_count: pending.bad_count,
            good_count: pending.good_count,
        })
    }

    /// Which way traffic goes, as far as is known.
    pub fn route(&self) -> Route {
        self.state.route
    }

    /// What the controller was configured with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The scoring, unless it is off.
    pub fn scoring(&self) -> Option<&Scoring> {
        self.scoring.as_ref()
    }

    /// What to keep over a restart.
    pub fn state(&self) -> State {
        self.state
    }

    /// Goes on from `state`, with no request pending.
    ///
    /// A baseline outside its bounds is ignored, and so are smoothed values that no step can have made.
    pub fn restore(&mut self, state: &State) {
        let smoothed = |value: f64, max: f64| if value.abs() <= max { value } else { 0.0 };
        self.pending = None;
        self.state = State {
            baseline_ms: state.baseline_ms.filter(|ms| self.is_baseline(*ms)),
            rtt_delta_ewma_ms: smoothed(state.rtt_delta_ewma_ms, MAX_DELTA_MS),
            queue_ewma: smoothed(state.queue_ewma, MAX_QUEUE),
            ..*state
        };
    }

    fn note_baseline(&mut self, baseline_ms: Option<f64>) {
        if let Some(baseline_ms) = baseline_ms.filter(|ms| self.is_baseline(*ms)) {
            self.state.baseline_ms = Some(baseline_ms);
        }
    }

    fn is_baseline(&self, baseline_ms: f64) -> bool {
        let bounds = Bounds {
            min: self.policy.thresholds.baseline_min_ms,
            max: self.policy.thresholds.baseline_max_ms,
        };
        baseline_ms.is_finite() && bounds.contains(baseline_ms)
    }

    /// CAKE's statistics as they count in this step: none without CAKE, none when they are missing.
    fn note_cake(&mut self, cake: Option<CakeSample>) -> CakeSample {
        if !self.policy.cake_aware {
            return CakeSample::default();
        }
        match cake {
            Some(cake) => {
                self.state.cake_read_failures = 0;
                self.drops.push(cake.drops as f64);
                self.queues.push(cake.queued_packets as f64);
                cake
            }
            None => {
                let failures = &mut self.state.cake_read_failures;
                *failures = failures.saturating_add(1);
                CakeSample::default()
            }
        }
    }

    fn smooth(&mut self, delta_ms: f64, cake: CakeSample) -> Result<(), EwmaError> {
        if !self.policy.cake_aware {
            return Ok(());
        }
        let thresholds = &self.policy.thresholds;
        let delta_ewma_ms = ewma_update(
            self.state.rtt_delta_ewma_ms,
            delta_ms,
            thresholds.rtt_ewma_alpha,
            MAX_DELTA_MS,
        )?;
        let queue_ewma = ewma_update(
            self.state.queue_ewma,
            cake.queued_packets as f64,
            thresholds.queue_ewma_alpha,
            MAX_QUEUE,
        )?;
        self.state.rtt_delta_ewma_ms = delta_ewma_ms;
        self.state.queue_ewma = queue_ewma;
        Ok(())
    }

    /// Scores the step, and says what the scoring wishes.
    ///
    /// The congestion that is scored is the last step's: this one's is not assessed yet.
    fn weigh(
        &mut self,
        delta_ms: f64,
        cake: CakeSample,
        observation: &Observation,
    ) -> (Option<Score>, Option<RouteChange>) {
        let Some(scoring) = self.scoring.as_mut() else {
            return (None, None);
        };
        let signals = Signals {
            cake: self.state.congestion.into(),
            // Only SOFT_RED is judged by its history, and steering never says SOFT_RED.
            cake_history: Recent::default(),
            rtt_delta_ms: delta_ms,
            drops: cake.drops as f64,
            drops_history: self.drops,
            queue: cake.queued_packets as f64,
            queue_history: self.queues,
        };
        let verdict = scoring.evaluate(
            Some(self.state.route),
            &signals,
            observation.elapsed_seconds,
            observation.mono_seconds,
        );
        let change = verdict.change.map(|to| RouteChange {
            to,
            reason: match to {
                Route::Alternate => Reason::ConfidenceHigh,
                Route::Primary => Reason::ConfidenceLow,
            },
        });
        (Some(verdict.score), change)
    }

    /// Counts the step towards a change of route, and says when the count is full.
    fn count(&mut self, delta_ms: f64, cake: CakeSample) -> Option<RouteChange> {
        let thresholds = &self.policy.thresholds;
        let (degraded, recovered) = if self.policy.cake_aware {
            self.state.congestion =
                assess(self.state.rtt_delta_ewma_ms, cake.drops, cake.queued_packets, thresholds);
            (self.state.congestion == Congestion::Red, self.state.congestion == Congestion::Green)
        } else {
            (thresholds.bad_threshold_ms < delta_ms, delta_ms < thresholds.recovery_threshold_ms)
        };
        let (to_degrade, to_recover) = self.samples_required();
        match self.state.route {
            Route::Primary => {
                self.state.good_count = 0;
                let full = counted(self.degrade_count(), degraded, to_degrade);
                full.then_some(RouteChange {
                    to: Route::Alternate,
                    reason: Reason::SamplesDegraded,
                })
            }
            Route::Alternate => {
                *self.degrade_count() = 0;
                let full = counted(&mut self.state.good_count, recovered, to_recover);
                full.then_some(RouteChange { to: Route::Primary, reason: Reason::SamplesRecovered })
            }
        }
    }

    /// Makes a request, unless one waits for its answer.
    fn ask(&mut self, change: RouteChange, before: &State) -> Option<RouteChange> {
        if self.pending.is_some() {
            return None;
        }
        self.pending =
            Some(Pending { change, bad_count: before.bad_count, good_count: before.good_count });
        Some(change)
    }

    fn degrade_count(&mut self) -> &mut i64 {
        if self.policy.cake_aware { &mut self.state.red_count } else { &mut self.state.bad_count }
    }

    fn samples_required(&self) -> (i64, i64) {
        let thresholds = &self.policy.thresholds;
        if self.policy.cake_aware {
            (thresholds.red_samples_required, thresholds.green_samples_required)
        } else {
            (thresholds.bad_samples, thresholds.good_samples)
        }
    }

    fn unchanged(&self, outcome: Outcome) -> Decision {
        Decision {
            outcome,
            rtt_ms: None,
            baseline_ms: self.state.baseline_ms,
            delta_ms: None,
            congestion: self.state.congestion,
            request: None,
            confidence: None,
        }
    }
}

/// Counts steps in a row; whether there are enough.
fn counted(count: &mut i64, qualifies: bool, required: i64) -> bool {
    *count = if qualifies { count.saturating_add(1) } else { 0 };
    qualifies && required <= *count
}

#[cfg(test)]
mod tests;
