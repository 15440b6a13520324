//! The controller: filters in front, one zone machine for each direction behind.
//!
//! It never asks what became of its rates. A shaper that fails, or is told less often, changes no
//! decision.

use super::{
    Decision, Direction, FallbackMode, Filter, NOMINAL_CYCLE_SECONDS, Observation, Outcome, Policy,
    Probe, State, ZoneMachine,
};
use crate::signal::{Bounds, IdleGate, alpha_for, credited_seconds, ewma};

/// A round-trip time above a minute is a broken clock, not a queue.
const MAX_RTT_MS: f64 = 60_000.0;

/// One WAN's autorate controller.
#[derive(Clone, Debug)]
pub struct Controller {
    policy: Policy,
    download: ZoneMachine,
    upload: ZoneMachine,
    baseline_ms: Option<f64>,
    load_ms: Option<f64>,
    previous_load_ms: Option<f64>,
    icmp_silent_steps: u32,
    pending_seconds: f64,
}

impl Controller {
    /// A controller at its first rates, the ceilings.
    pub fn new(policy: Policy) -> Controller {
        let initial_ms = policy.filter.baseline_initial_ms;
        Controller {
            download: ZoneMachine::new(Direction::Download, policy.download.clone()),
            upload: ZoneMachine::new(Direction::Upload, policy.upload.clone()),
            baseline_ms: initial_ms,
            load_ms: initial_ms,
            previous_load_ms: initial_ms,
            icmp_silent_steps: 0,
            pending_seconds: 0.0,
            policy,
        }
    }

    /// Takes one observation and decides. Every observation is accepted, however strange.
    ///
    /// The time of steps that bring no fresh sample ([`Probe::Pending`]) is credited to the next sample.
    pub fn step(&mut self, observation: &Observation) -> Decision {
        let seconds = self.pending_seconds + credited_seconds(observation.elapsed_seconds);
        let sample = self.sample(observation.probe);
        self.pending_seconds = match sample {
            Err(Outcome::Held) => credited_seconds(seconds),
            _ => 0.0,
        };
        match sample {
            Ok(rtt_ms) => self.take(rtt_ms, seconds),
            Err(outcome) => self.unchanged(outcome),
        }
    }

    /// What the controller was configured with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many steps the link was there without ICMP, since ICMP last answered.
    pub fn icmp_silent_steps(&self) -> u32 {
        self.icmp_silent_steps
    }

    /// What to keep over a restart.
    pub fn state(&self) -> State {
        State {
            download: self.download.state(),
            upload: self.upload.state(),
            baseline_ms: self.baseline_ms,
            load_ms: self.load_ms,
        }
    }

    /// Goes on from `state`.
    ///
    /// Rates are brought between the lowest floor and the ceiling. A baseline outside its bounds, and
    /// whatever is not a possible round-trip time, is ignored: a bad value on disk would otherwise
    /// keep itself alive, since the filters never leave the bounds either.
    pub fn restore(&mut self, state: &State) {
        self.download.restore(&state.download);
        self.upload.restore(&state.upload);
        let bounds = bounds(&self.policy.filter);
        if let Some(baseline_ms) = state.baseline_ms.filter(|ms| bounds.contains(*ms)) {
            self.baseline_ms = Some(baseline_ms);
        }
        if let Some(load_ms) = state.load_ms.filter(|ms| is_possible(*ms)) {
            self.load_ms = Some(load_ms);
        }
    }

    /// The sample that the filters take, in ms, or what else becomes of the step.
    fn sample(&mut self, probe: Probe) -> Result<f64, Outcome> {
        match probe {
            Probe::Icmp(rtt_ms) | Probe::Tcp(rtt_ms) if !is_possible(rtt_ms) => {
                Err(Outcome::Refused)
            }
            Probe::Icmp(rtt_ms) => {
                self.icmp_silent_steps = 0;
                Ok(rtt_ms)
            }
            Probe::Pending => Err(Outcome::Held),
            Probe::Lost => Err(Outcome::Lost),
            Probe::Tcp(_) | Probe::GatewayOnly if !self.policy.fallback.enabled => {
                Err(Outcome::Lost)
            }
            Probe::Tcp(rtt_ms) => {
                self.icmp_silent_steps = self.icmp_silent_steps.saturating_add(1);
                Ok(rtt_ms)
            }
            Probe::GatewayOnly => {
                self.icmp_silent_steps = self.icmp_silent_steps.saturating_add(1);
                self.stand_in()
            }
        }
    }

    /// What stands in for a sample when only the gateway answers.
    fn stand_in(&self) -> Result<f64, Outcome> {
        let fallback = &self.policy.fallback;
        let load_ms = self.load_ms.ok_or(Outcome::Lost);
        match fallback.mode {
            FallbackMode::UseLastRtt => load_ms,
            FallbackMode::Freeze => Err(Outcome::Frozen),
            FallbackMode::GracefulDegradation if self.icmp_silent_steps <= 1 => load_ms,
            FallbackMode::GracefulDegradation if self.icmp_silent_steps <= fallback.max_cycles => {
                Err(Outcome::Frozen)
            }
            FallbackMode::GracefulDegradation => Err(Outcome::Lost),
        }
    }

    fn take(&mut self, rtt_ms: f64, seconds: f64) -> Decision {
        let (baseline_ms, load_ms) = self.filter(rtt_ms, seconds);
        if self
            .previous_load_ms
            .is_some_and(|previous_ms| self.policy.accel_threshold_ms < load_ms - previous_ms)
        {
            self.download.note_spike();
        }
        self.previous_load_ms = Some(load_ms);
        Decision {
            outcome: Outcome::Stepped,
            rtt_ms: Some(rtt_ms),
            baseline_ms: Some(baseline_ms),
            load_ms: Some(load_ms),
            download: self.download.step(baseline_ms, load_ms),
            upload: self.upload.step(baseline_ms, load_ms),
        }
    }

    /// Moves the filters; baseline and load, in ms.
    fn filter(&mut self, rtt_ms: f64, seconds: f64) -> (f64, f64) {
        let filter = &self.policy.filter;
        let bounds = bounds(filter);
        let gate = IdleGate { threshold_ms: filter.baseline_update_threshold_ms };
        let alpha = |nominal| alpha_for(nominal, NOMINAL_CYCLE_SECONDS, seconds);
        let load_ms = match self.load_ms {
            Some(load_ms) => ewma(load_ms, rtt_ms, alpha(filter.alpha_load)),
            None => rtt_ms,
        };
        let baseline_ms = match self.baseline_ms {
            Some(baseline_ms) => gate.advance_within(
                bounds,
                baseline_ms,
                load_ms,
                rtt_ms,
                alpha(filter.alpha_baseline),
            ),
            None => bounds.nearest(rtt_ms),
        };
        self.load_ms = Some(load_ms);
        self.baseline_ms = Some(baseline_ms);
        (baseline_ms, load_ms)
    }

    fn unchanged(&self, outcome: Outcome) -> Decision {
        Decision {
            outcome,
            rtt_ms: None,
            baseline_ms: self.baseline_ms,
            load_ms: self.load_ms,
            download: self.download.hold(),
            upload: self.upload.hold(),
        }
    }
}

fn bounds(filter: &Filter) -> Bounds {
    Bounds { min: filter.baseline_min_ms, max: filter.baseline_max_ms }
}

fn is_possible(rtt_ms: f64) -> bool {
    (0.0..=MAX_RTT_MS).contains(&rtt_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autorate::fixtures::policy;
    use crate::autorate::{Fallback, Zone};

    fn observe(probe: Probe) -> Observation {
        Observation { probe, elapsed_seconds: NOMINAL_CYCLE_SECONDS }
    }

    fn outcomes(controller: &mut Controller, probes: &[Probe]) -> Vec<Outcome> {
        probes.iter().map(|probe| controller.step(&observe(*probe)).outcome).collect()
    }

    fn with_fallback(fallback: Fallback) -> Controller {
        Controller::new(Policy { fallback, ..policy() })
    }

    #[test]
    fn graceful_degradation_stands_in_once_then_freezes_then_gives_up() {
        let mut controller = Controller::new(policy());
        assert_eq!(
            outcomes(&mut controller, &[Probe::GatewayOnly; 5]),
            [Outcome::Stepped, Outcome::Frozen, Outcome::Frozen, Outcome::Lost, Outcome::Lost]
        );
        assert_eq!(
            outcomes(&mut controller, &[Probe::Lost, Probe::Icmp(24.0), Probe::GatewayOnly]),
            [Outcome::Lost, Outcome::Stepped, Outcome::Stepped]
        );
    }

    #[test]
    fn other_fallback_modes_go_on_for_ever() {
        for (mode, expected) in
            [(FallbackMode::Freeze, Outcome::Frozen), (FallbackMode::UseLastRtt, Outcome::Stepped)]
        {
            let mut controller = with_fallback(Fallback { mode, ..policy().fallback });
            assert_eq!(outcomes(&mut controller, &[Probe::GatewayOnly; 9]), [expected; 9]);
        }
    }

    #[test]
    fn without_fallback_only_icmp_counts() {
        let mut controller = with_fallback(Fallback { enabled: false, ..policy().fallback });
        assert_eq!(
            outcomes(&mut controller, &[Probe::Tcp(24.0), Probe::GatewayOnly]),
            [Outcome::Lost; 2]
        );
        assert_eq!(controller.icmp_silent_steps(), 0);
    }

    #[test]
    fn pending_step_touches_no_counter() {
        let mut controller = Controller::new(policy());
        controller.step(&observe(Probe::Tcp(200.0)));
        let before = (controller.state(), controller.icmp_silent_steps());
        let decision = controller.step(&observe(Probe::Pending));
        assert_eq!(decision.outcome, Outcome::Held);
        assert_eq!(decision.download.transition, None);
        assert_eq!((controller.state(), controller.icmp_silent_steps()), before);
    }

    #[test]
    fn time_of_pending_steps_is_credited_to_the_next_sample() {
        let mut policy = policy();
        policy.filter.alpha_load = 0.1;
        let mut waited = Controller::new(policy.clone());
        waited.step(&observe(Probe::Pending));
        waited.step(&observe(Probe::Icmp(100.0)));
        let mut at_once = Controller::new(policy);
        at_once.step(&Observation {
            probe: Probe::Icmp(100.0),
            elapsed_seconds: 2.0 * NOMINAL_CYCLE_SECONDS,
        });
        assert_eq!(waited.state(), at_once.state());
    }

    #[test]
    fn impossible_samples_are_refused_and_change_nothing() {
        let mut controller = Controller::new(policy());
        controller.step(&observe(Probe::Tcp(30.0)));
        let before = controller.clone();
        for rtt_ms in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 60_000.1] {
            for probe in [Probe::Icmp(rtt_ms), Probe::Tcp(rtt_ms)] {
                let decision = controller.step(&observe(probe));
                assert_eq!(decision.outcome, Outcome::Refused);
                assert_eq!(controller.state(), before.state());
                assert_eq!(controller.icmp_silent_steps(), before.icmp_silent_steps());
            }
        }
        assert_eq!(
            outcomes(&mut controller, &[Probe::Icmp(0.0), Probe::Icmp(60_000.0)]),
            [Outcome::Stepped; 2]
        );
    }

    #[test]
    fn learnt_baseline_is_the_first_sample_within_its_bounds() {
        let mut policy = policy();
        policy.filter.baseline_initial_ms = None;
        let first = |rtt_ms| {
            let mut controller = Controller::new(policy.clone());
            assert_eq!(controller.step(&observe(Probe::GatewayOnly)).outcome, Outcome::Lost);
            let decision = controller.step(&observe(Probe::Icmp(rtt_ms)));
            (decision.baseline_ms, decision.load_ms)
        };
        assert_eq!(first(33.0), (Some(33.0), Some(33.0)));
        assert_eq!(first(300.0), (Some(60.0), Some(300.0)));
    }

    #[test]
    fn jump_of_the_load_restarts_the_green_streak_of_the_download_only() {
        let mut policy = policy();
        policy.download.zones.target = 50.0.into();
        policy.upload.zones.target = 50.0.into();
        let mut controller = Controller::new(policy);
        for _ in 0..4 {
            controller.step(&observe(Probe::Icmp(24.0)));
        }
        let decision = controller.step(&observe(Probe::Icmp(50.0)));
        assert_eq!(decision.download.zone, Zone::Green);
        let state = controller.state();
        assert_eq!(state.download.green_streak, 1);
        assert_eq!(state.upload.green_streak, 5);
    }

    #[test]
    fn restore_takes_what_state_gave() {
        let mut controller = Controller::new(policy());
        for rtt_ms in [24.0, 90.0, 200.0, 30.0] {
            controller.step(&observe(Probe::Icmp(rtt_ms)));
        }
        let state = controller.state();
        let text = serde_json::to_string(&state).unwrap();
        let mut restarted = Controller::new(policy());
        restarted.restore(&serde_json::from_str(&text).unwrap());
        assert_eq!(restarted.state(), state);
    }

    #[test]
    fn restore_ignores_a_baseline_outside_its_bounds() {
        for baseline_ms in [9.9, 60.1, f64::NAN, f64::INFINITY] {
            let mut controller = Controller::new(policy());
            let state = State {
                baseline_ms: Some(baseline_ms),
                load_ms: Some(f64::NAN),
                ..controller.state()
            };
            controller.restore(&state);
            assert_eq!(controller.state().baseline_ms, Some(24.0));
            assert_eq!(controller.state().load_ms, Some(24.0));
        }
    }
}
