//! One direction's zones and rate: the classic law.
//!
//! The same machine serves both directions. Whether there are three zones or four is a matter of its
//! [`ZoneLimits`](super::ZoneLimits), and the filters in front of it are somebody else's.

use super::{
    Comparison, Direction, DirectionDecision, DirectionPolicy, DirectionState, Reason,
    ThresholdName, Transition, Zone,
};
use crate::signal::Bounds;
use crate::units::{Number, Rate};

/// Judges how much load exceeds the baseline, and moves one direction's rate.
#[derive(Clone, Debug)]
pub struct ZoneMachine {
    direction: Direction,
    policy: DirectionPolicy,
    zone: Zone,
    state: DirectionState,
}

impl ZoneMachine {
    /// A machine in GREEN, at the ceiling.
    pub fn new(direction: Direction, policy: DirectionPolicy) -> Self {
        let state = DirectionState {
            green_streak: 0,
            soft_red_streak: 0,
            red_streak: 0,
            rate_bps: policy.ceiling.bps(),
        };
        ZoneMachine { direction, policy, zone: Zone::default(), state }
    }

    /// Takes the filters' values, in ms, and moves zone and rate.
    ///
    /// A delta that is not a number is GREEN: it exceeds nothing.
    pub fn step(&mut self, baseline_ms: f64, load_ms: f64) -> DirectionDecision {
        let delta_ms = load_ms - baseline_ms;
        let before = self.zone;
        self.zone = self.judge(delta_ms);
        self.count();
        self.move_rate();
        let transition = (self.zone != before).then(|| Transition {
            from: before,
            to: self.zone,
            reason: self.reason(delta_ms),
        });
        DirectionDecision { transition, ..self.hold() }
    }

    /// The decision of a step that changes nothing.
    pub fn hold(&self) -> DirectionDecision {
        DirectionDecision {
            direction: self.direction,
            zone: self.zone,
            rate: Rate::from_bps(self.state.rate_bps),
            transition: None,
        }
    }

    /// Starts the count of GREEN steps anew, because load has jumped.
    ///
    /// The jump counts as a first RED step; unless the next [`step`](Self::step) is RED too, that is forgotten.
    pub fn note_spike(&mut self) {
        self.state.green_streak = 0;
        self.state.soft_red_streak = 0;
        self.state.red_streak = 1;
    }

    /// What the machine remembers, but for the last zone.
    pub fn state(&self) -> DirectionState {
        self.state
    }

    /// Goes on from `state`; the rate is brought between the lowest floor and the ceiling, and a rate
    /// that is not a finite number is ignored. The last zone stays.
    pub fn restore(&mut self, state: &DirectionState) {
        let rate_bps = if state.rate_bps.is_finite() {
            let limits = self.limits(self.policy.floors.red);
            limits.nearest(state.rate_bps).trunc()
        } else {
            self.state.rate_bps
        };
        self.state = DirectionState { rate_bps, ..*state };
    }

    fn judge(&self, delta_ms: f64) -> Zone {
        let limits = &self.policy.zones;
        let above = |limit: Number| delta_ms > limit.value();
        match limits.hard_red {
            Some(hard_red) if above(hard_red) => Zone::Red,
            Some(_) if above(limits.warn) => Zone::SoftRed,
            None if above(limits.warn) => Zone::Red,
            _ if above(limits.target) => Zone::Yellow,
            _ => Zone::Green,
        }
    }

    fn count(&mut self) {
        let state = &mut self.state;
        let next = |zone: Zone, streak: u32| {
            if zone == self.zone { streak.saturating_add(1) } else { 0 }
        };
        state.green_streak = next(Zone::Green, state.green_streak);
        state.soft_red_streak = next(Zone::SoftRed, state.soft_red_streak);
        state.red_streak = next(Zone::Red, state.red_streak);
    }

    fn move_rate(&mut self) {
        let policy = &self.policy;
        let rate = self.state.rate_bps;
        let (next, floor) = match self.zone {
            Zone::Red => (rate * policy.factor_down, policy.floors.red),
            Zone::SoftRed => (rate, policy.floors.soft_red),
            Zone::Yellow => (rate * policy.factor_down_yellow, policy.floors.yellow),
            Zone::Green if policy.green_required <= self.state.green_streak => {
                (rate + policy.step_up.bps(), policy.floors.green)
            }
            Zone::Green => (rate, policy.floors.green),
        };
        // With three zones the original knows one floor only.
        let floor = match policy.zones.hard_red {
            Some(_) => floor,
            None => policy.floors.red,
        };
        // Rates are whole bits a second, cut off last.
        self.state.rate_bps = self.limits(floor).nearest(next).trunc();
    }

    fn limits(&self, floor: Rate) -> Bounds {
        Bounds { min: floor.bps(), max: self.policy.ceiling.bps() }
    }

    fn reason(&self, delta_ms: f64) -> Reason {
        let limits = &self.policy.zones;
        let (threshold, limit_ms) = match (self.zone, limits.hard_red) {
            (Zone::Red, Some(hard_red)) => (ThresholdName::HardRed, hard_red),
            (Zone::Red, None) => (ThresholdName::Warn, limits.warn),
            (Zone::SoftRed, _) => (ThresholdName::SoftRed, limits.warn),
            (Zone::Yellow | Zone::Green, Some(_)) => (ThresholdName::Green, limits.target),
            (Zone::Yellow | Zone::Green, None) => (ThresholdName::Target, limits.target),
        };
        let comparison = match self.zone {
            Zone::Green => Comparison::FellBelow,
            _ => Comparison::Exceeded,
        };
        Reason { delta_ms, comparison, threshold, limit_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autorate::fixtures::{download, upload};

    fn zones_at(machine: &ZoneMachine, deltas: &[f64]) -> Vec<Zone> {
        deltas.iter().map(|delta| machine.clone().step(0.0, *delta).zone).collect()
    }

    #[test]
    fn equality_belongs_to_the_better_zone() {
        let deltas = [15.0, 15.1, 45.0, 45.1, 80.0, 80.1];
        assert_eq!(
            zones_at(&ZoneMachine::new(Direction::Download, download()), &deltas),
            [Zone::Green, Zone::Yellow, Zone::Yellow, Zone::SoftRed, Zone::SoftRed, Zone::Red]
        );
        assert_eq!(
            zones_at(&ZoneMachine::new(Direction::Upload, upload()), &deltas),
            [Zone::Green, Zone::Yellow, Zone::Yellow, Zone::Red, Zone::Red, Zone::Red]
        );
    }

    #[test]
    fn delta_that_is_no_number_is_green() {
        let machine = ZoneMachine::new(Direction::Download, download());
        assert_eq!(zones_at(&machine, &[f64::NAN]), [Zone::Green]);
        assert_eq!(zones_at(&machine, &[f64::INFINITY]), [Zone::Red]);
    }

    #[test]
    fn rate_rises_every_step_once_green_is_sustained() {
        let mut machine = ZoneMachine::new(Direction::Upload, upload());
        machine.restore(&DirectionState { rate_bps: 20e6, ..machine.state() });
        let rates: Vec<f64> = (0..5).map(|_| machine.step(20.0, 20.0).rate.mbps()).collect();
        assert_eq!(rates, [20.0, 20.0, 21.0, 22.0, 23.0]);
    }

    #[test]
    fn four_zones_have_a_floor_each() {
        let mut machine = ZoneMachine::new(Direction::Download, download());
        machine.restore(&DirectionState { rate_bps: 0.0, ..machine.state() });
        let rates = [90.0, 60.0, 20.0, 0.0].map(|delta| machine.step(0.0, delta).rate.mbps());
        assert_eq!(rates, [200.0, 275.0, 350.0, 550.0]);
    }

    #[test]
    fn restored_rate_is_brought_between_floor_and_ceiling() {
        let mut machine = ZoneMachine::new(Direction::Download, download());
        let mut restored = |rate_bps| {
            let state = machine.state();
            machine.restore(&DirectionState { rate_bps, ..state });
            machine.state().rate_bps
        };
        assert_eq!(restored(1.0), 200e6);
        assert_eq!(restored(f64::NAN), 200e6);
        assert_eq!(restored(1e12), 940e6);
        assert_eq!(restored(300e6), 300e6);
    }

    #[test]
    fn transition_is_told_once_and_says_why() {
        let mut machine = ZoneMachine::new(Direction::Download, download());
        let mut reason = |delta| {
            let transition = machine.step(0.0, delta).transition?;
            Some(transition.reason.to_string())
        };
        assert_eq!(
            reason(50.0).as_deref(),
            Some("RTT delta 50.0ms exceeded soft_red threshold 45ms")
        );
        assert_eq!(reason(51.0), None);
        assert_eq!(
            reason(1.0).as_deref(),
            Some("RTT delta 1.0ms fell below green threshold 15.0ms")
        );
    }
}
