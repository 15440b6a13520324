//! Assessment, smoothing and scoring, each alone.

use serde_json::Value;
use wanctl::steering::{
    CakeState, Confidence, Recent, Route, Scoring, Signals, Thresholds, assess, ewma_update,
};

use super::files::{assert_same, assert_same_option, for_each_file, number, steps};
use super::policies;

#[test]
fn steering_assess_pure() {
    for_each_file("steering_assess_pure", |vector| {
        let config = &vector["config"];
        let limit = |key: &str| number(&config[key]);
        let count = |key: &str| config[key].as_i64().unwrap();
        let thresholds = Thresholds {
            green_rtt_ms: limit("green_rtt"),
            yellow_rtt_ms: limit("yellow_rtt"),
            red_rtt_ms: limit("red_rtt"),
            min_drops_red: count("min_drops_red"),
            min_queue_yellow: count("min_queue_yellow"),
            min_queue_red: count("min_queue_red"),
            ..policies::steering_thresholds(&Value::Null)
        };
        let mut compared = 0;
        for (i, input, out) in steps(vector) {
            let state = assess(
                number(&input["rtt_delta_ewma"]),
                input["cake_drops"].as_i64().unwrap(),
                input["queued_packets"].as_i64().unwrap(),
                &thresholds,
            );
            assert_eq!(state.as_str(), out["state"], "step {i}");
            compared += 1;
        }
        compared
    });
}

#[test]
fn steering_ewma_update() {
    for_each_file("steering_ewma_update", |vector| {
        let mut compared = 0;
        for (i, input, out) in steps(vector) {
            let value = |key: &str| number(&input[key]);
            let result = ewma_update(
                value("current"),
                value("new_value"),
                value("alpha"),
                value("max_value"),
            );
            assert_eq!(result.is_err(), !out["error"].is_null(), "step {i}");
            assert_same_option("result", i, result.ok(), &out["result"]);
            compared += 1;
        }
        compared
    });
}

#[test]
fn steering_confidence() {
    for_each_file("steering_confidence", |vector| {
        let config = &vector["config"];
        let elapsed_seconds = number(&config["cycle_interval"]);
        let mut scoring = Scoring::new(confidence(config));
        let mut compared = 0;
        for (i, input, out) in steps(vector) {
            let route = route(input["current_state"].as_str().unwrap(), config);
            let mono_seconds = number(&input["mono"]);
            let verdict = scoring.evaluate(route, &signals(input), elapsed_seconds, mono_seconds);
            let decision = verdict.change.map(|to| match to {
                Route::Alternate => "ENABLE_STEERING",
                Route::Primary => "DISABLE_STEERING",
            });
            assert_eq!(decision, out["decision"].as_str(), "step {i}");
            assert_same("score", i, verdict.score.points(), &out["confidence"]);
            let contributors: Vec<String> =
                verdict.score.contributors().map(|it| it.to_string()).collect();
            assert_eq!(Value::from(contributors), out["contributors"], "step {i}");
            compare_timers(i, &scoring, out);
            compared += 1;
        }
        compared
    });
}

fn compare_timers(i: u64, scoring: &Scoring, out: &Value) {
    let timers = scoring.timers();
    for (ours, key) in [
        (timers.degrade, "degrade_timer"),
        (timers.hold_down, "hold_down_timer"),
        (timers.recovery, "recovery_timer"),
        (scoring.flaps().penalty_until(), "flap_penalty_expiry"),
    ] {
        assert_same_option(key, i, ours, &out[key]);
    }
    let penalised = scoring.flaps().penalty_until().is_some();
    assert_eq!(penalised, out["flap_penalty_active"], "step {i}");
    let recorded = out["flap_window"].as_array().unwrap();
    let ours: Vec<(Route, f64)> = scoring.flaps().changes().collect();
    assert_eq!(ours.len(), recorded.len(), "step {i}: flap window");
    for ((to, at), recorded) in ours.iter().zip(recorded) {
        let kind = match to {
            Route::Alternate => "ENABLE",
            Route::Primary => "DISABLE",
        };
        assert_eq!(kind, recorded[0], "step {i}");
        assert_same("time of a change", i, *at, &recorded[1]);
    }
}

fn confidence(config: &Value) -> Confidence {
    let flaps = &config["flap_detection"];
    Confidence {
        steer_threshold: number(&config["confidence"]["steer_threshold"]),
        recovery_threshold: number(&config["confidence"]["recovery_threshold"]),
        sustain_seconds: number(&config["confidence"]["sustain_duration_sec"]),
        recovery_sustain_seconds: number(&config["confidence"]["recovery_sustain_sec"]),
        hold_down_seconds: number(&config["timers"]["hold_down_duration_sec"]),
        flap_detection: flaps["enabled"].as_bool().unwrap(),
        flap_window_minutes: number(&flaps["window_minutes"]),
        max_toggles: flaps["max_toggles"].as_i64().unwrap(),
        penalty_seconds: number(&flaps["penalty_duration_sec"]),
        penalty_threshold_add: number(&flaps["penalty_threshold_add"]),
        dry_run: config["dry_run"]["enabled"].as_bool().unwrap(),
    }
}

/// The recorded scoring goes by the ends of names, and leaves other names alone.
fn route(state: &str, config: &Value) -> Option<Route> {
    if state == config["state_good"] || state.ends_with("_GOOD") {
        Some(Route::Primary)
    } else if state.ends_with("_DEGRADED") {
        Some(Route::Alternate)
    } else {
        None
    }
}

fn signals(input: &Value) -> Signals {
    Signals {
        cake: cake_state(&input["cake_state"]),
        cake_history: recent(&input["cake_state_history"], cake_state),
        rtt_delta_ms: number(&input["rtt_delta_ms"]),
        drops: number(&input["drops_per_sec"]),
        drops_history: recent(&input["drops_history"], number),
        queue: number(&input["queue_depth_pct"]),
        queue_history: recent(&input["queue_history"], number),
    }
}

fn recent<T: Copy + Default>(history: &Value, read: impl Fn(&Value) -> T) -> Recent<T> {
    let mut recent = Recent::default();
    for value in history.as_array().unwrap() {
        recent.push(read(value));
    }
    recent
}

fn cake_state(name: &Value) -> CakeState {
    match name.as_str().unwrap() {
        "GREEN" => CakeState::Green,
        "YELLOW" => CakeState::Yellow,
        "SOFT_RED" => CakeState::SoftRed,
        "RED" => CakeState::Red,
        _ => CakeState::Unknown,
    }
}
