//! The zone machine and the filters, each alone.

use serde_json::Value;
use wanctl::autorate::{
    Direction, DirectionPolicy, DirectionState, Floors, NOMINAL_CYCLE_SECONDS, ZoneLimits,
    ZoneMachine,
};
use wanctl::signal::{Bounds, IdleGate, alpha_for, ewma};
use wanctl::units::Rate;

use super::files::{assert_same, for_each_file, number, optional_number, steps};
use super::policies::yaml_number;

#[test]
fn autorate_download_4state() {
    for_each_file("autorate_download_4state", |vector| {
        let config = &vector["config"];
        let zones = ZoneLimits {
            target: yaml_number(&config["green_threshold"]),
            warn: yaml_number(&config["soft_red_threshold"]),
            hard_red: Some(yaml_number(&config["hard_red_threshold"])),
        };
        replay_zones(Direction::Download, zones, vector)
    });
}

#[test]
fn autorate_upload_3state() {
    for_each_file("autorate_upload_3state", |vector| {
        let config = &vector["config"];
        let zones = ZoneLimits {
            target: yaml_number(&config["target_delta"]),
            warn: yaml_number(&config["warn_delta"]),
            hard_red: None,
        };
        replay_zones(Direction::Upload, zones, vector)
    });
}

#[test]
fn ewma_baseline() {
    for_each_file("ewma_baseline", |vector| {
        let derived = &vector["config"]["derived"];
        let bounds = Bounds {
            min: number(&derived["baseline_rtt_min"]),
            max: number(&derived["baseline_rtt_max"]),
        };
        let gate = IdleGate { threshold_ms: number(&derived["baseline_update_threshold_ms"]) };
        let alpha = |key: &str| {
            let nominal = number(&derived[key]);
            alpha_for(nominal, NOMINAL_CYCLE_SECONDS, NOMINAL_CYCLE_SECONDS)
        };
        let initial = &vector["config"]["initial"];
        let mut load = number(&initial["load_rtt"]);
        let mut baseline = number(&initial["baseline_rtt"]);
        let mut compared = 0;
        for (i, input, out) in steps(vector) {
            let sample = number(&input["measured_rtt"]);
            let before = baseline;
            load = ewma(load, sample, alpha("alpha_load"));
            baseline = gate.advance_within(bounds, baseline, load, sample, alpha("alpha_baseline"));
            assert_same("load", i, load, &out["load_rtt"]);
            assert_same("baseline", i, baseline, &out["baseline_rtt"]);
            assert_same("delta", i, load - baseline, &out["delta"]);
            let changed = before != baseline;
            assert_eq!(changed, out["baseline_changed"], "step {i}");
            compared += 1;
        }
        compared
    });
}

#[test]
fn baseline_manager() {
    for_each_file("baseline_manager", |vector| {
        let config = &vector["config"];
        let gate = IdleGate { threshold_ms: number(&config["baseline_update_threshold"]) };
        let bounds =
            Bounds { min: number(&config["validator_min"]), max: number(&config["validator_max"]) };
        let alpha = number(&config["alpha_baseline"]);
        let mut baseline = number(&config["initial_baseline"]);
        let mut compared = 0;
        for (i, input, out) in steps(vector) {
            let sample = number(&input["measured_rtt"]);
            baseline = gate.advance(baseline, number(&input["load_rtt"]), sample, alpha);
            assert_same("baseline", i, baseline, &out["baseline_rtt"]);
            let delta = sample - baseline;
            assert_same("delta", i, delta, &out["get_delta_of_measured"]);
            let accepted = bounds.contains(sample);
            assert_eq!(accepted, out["validator_accepts_measured"], "step {i}");
            compared += 1;
        }
        compared
    });
}

fn replay_zones(direction: Direction, zones: ZoneLimits, vector: &Value) -> usize {
    let config = &vector["config"];
    let rate = |key: &str| Rate::from_bps(number(&config[key]));
    let policy = DirectionPolicy {
        floors: Floors {
            green: rate("floor_green"),
            yellow: rate("floor_yellow"),
            soft_red: rate("floor_soft_red"),
            red: rate("floor_red"),
        },
        ceiling: rate("ceiling"),
        step_up: rate("step_up"),
        factor_down: number(&config["factor_down"]),
        factor_down_yellow: number(&config["factor_down_yellow"]),
        green_required: count(&config["green_required"]),
        zones,
    };
    let mut machine = ZoneMachine::new(direction, policy);
    let mut compared = 0;
    for (i, input, out) in steps(vector) {
        if let Some(state) = input.get("restore_before").filter(|state| state.is_object()) {
            machine.restore(&direction_state(state, machine.state()));
        }
        let decision = machine.step(number(&input["baseline_rtt"]), number(&input["load_rtt"]));
        assert_eq!(decision.zone.as_str(), out["zone"], "step {i}");
        assert_same("rate", i, decision.rate.bps(), &out["rate"]);
        let reason = decision.transition.map(|it| it.reason.to_string());
        assert_eq!(reason.as_deref(), out["reason"].as_str(), "step {i}");
        let state = machine.state();
        assert_eq!(state.green_streak, out["green_streak"], "step {i}");
        assert_eq!(state.soft_red_streak, out["soft_red_streak"], "step {i}");
        assert_eq!(state.red_streak, out["red_streak"], "step {i}");
        assert_same("current rate", i, state.rate_bps, &out["current_rate"]);
        compared += 1;
    }
    compared
}

/// A recorded direction; what it lacks is taken from `default`.
pub(crate) fn direction_state(state: &Value, default: DirectionState) -> DirectionState {
    let streak = |key: &str, default| state.get(key).map_or(default, count);
    DirectionState {
        green_streak: streak("green_streak", default.green_streak),
        soft_red_streak: streak("soft_red_streak", default.soft_red_streak),
        red_streak: streak("red_streak", default.red_streak),
        rate_bps: optional_number(&state["current_rate"]).unwrap_or(default.rate_bps),
    }
}

fn count(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}
