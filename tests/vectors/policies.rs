//! Policies from the YAML that a vector carries as JSON, with the documented defaults.
//!
//! Deliberately not the configuration code of the library: a mistake there must not hide here.

use serde_json::Value;
use wanctl::autorate::{
    DirectionPolicy, Fallback, FallbackMode, Filter, Floors, Law, NOMINAL_CYCLE_SECONDS, Policy,
    ZoneLimits,
};
use wanctl::steering::{self, Thresholds};
use wanctl::units::{Number, Rate};

use super::files::{number, optional_number};

/// A number that remembers whether it was written with a point.
pub(crate) fn yaml_number(value: &Value) -> Number {
    match value.as_i64() {
        Some(whole) => Number::Int(whole),
        None => Number::Float(number(value)),
    }
}

/// The autorate policy of a whole file.
pub(crate) fn autorate(yaml: &Value) -> Policy {
    let monitoring = &yaml["continuous_monitoring"];
    let thresholds = &monitoring["thresholds"];
    let target = yaml_number(&thresholds["target_bloat_ms"]);
    let warn = yaml_number(&thresholds["warn_bloat_ms"]);
    let hard_red = match &thresholds["hard_red_bloat_ms"] {
        Value::Null => Number::Int(80),
        value => yaml_number(value),
    };
    let alpha = |time_constant: &str, alpha: &str| match optional_number(&thresholds[time_constant])
    {
        Some(seconds) => NOMINAL_CYCLE_SECONDS / seconds,
        None => number(&thresholds[alpha]),
    };
    let bounds = &thresholds["baseline_rtt_bounds"];
    let fallback = &monitoring["fallback_checks"];
    Policy {
        law: Law::Classic,
        download: direction(
            &monitoring["download"],
            0.96,
            ZoneLimits { target, warn, hard_red: Some(hard_red) },
        ),
        upload: direction(&monitoring["upload"], 0.94, ZoneLimits { target, warn, hard_red: None }),
        filter: Filter {
            baseline_initial_ms: Some(number(&monitoring["baseline_rtt_initial"])),
            alpha_baseline: alpha("baseline_time_constant_sec", "alpha_baseline"),
            alpha_load: alpha("load_time_constant_sec", "alpha_load"),
            baseline_update_threshold_ms: or(&thresholds["baseline_update_threshold_ms"], 3.0),
            baseline_min_ms: or(&bounds["min"], 10.0),
            baseline_max_ms: or(&bounds["max"], 60.0),
        },
        accel_threshold_ms: or(&thresholds["accel_threshold_ms"], 15.0),
        fallback: Fallback {
            enabled: fallback["enabled"].as_bool().unwrap_or(true),
            mode: match fallback["fallback_mode"].as_str() {
                None | Some("graceful_degradation") => FallbackMode::GracefulDegradation,
                Some("freeze") => FallbackMode::Freeze,
                Some("use_last_rtt") => FallbackMode::UseLastRtt,
                Some(other) => panic!("no such fallback mode: {other}"),
            },
            max_cycles: or(&fallback["max_fallback_cycles"], 3.0) as u32,
        },
    }
}

/// The steering policy of a whole file.
pub(crate) fn steering(yaml: &Value) -> steering::Policy {
    let name = |key: &str| yaml["topology"][key].as_str().unwrap().to_owned();
    let mode = &yaml["mode"];
    let scoring = mode["use_confidence_scoring"].as_bool().unwrap_or(false);
    steering::Policy {
        primary_wan: name("primary_wan"),
        alternate_wan: name("alternate_wan"),
        cake_aware: mode["cake_aware"].as_bool().unwrap_or(true),
        thresholds: steering_thresholds(&yaml["thresholds"]),
        confidence: scoring.then(|| steering_confidence(&yaml["confidence"])),
    }
}

/// The limits of a `thresholds` section.
pub(crate) fn steering_thresholds(thresholds: &Value) -> Thresholds {
    let limit = |key: &str, default: f64| or(&thresholds[key], default);
    let count = |key: &str, default| match &thresholds[key] {
        Value::Null => default,
        value => value.as_i64().unwrap(),
    };
    let bounds = &thresholds["baseline_rtt_bounds"];
    Thresholds {
        bad_threshold_ms: limit("bad_threshold_ms", 25.0),
        recovery_threshold_ms: limit("recovery_threshold_ms", 12.0),
        bad_samples: count("bad_samples", 8),
        good_samples: count("good_samples", 15),
        green_rtt_ms: limit("green_rtt_ms", 5.0),
        yellow_rtt_ms: limit("yellow_rtt_ms", 15.0),
        red_rtt_ms: limit("red_rtt_ms", 15.0),
        min_drops_red: count("min_drops_red", 1),
        min_queue_yellow: count("min_queue_yellow", 10),
        min_queue_red: count("min_queue_red", 50),
        red_samples_required: count("red_samples_required", 2),
        green_samples_required: count("green_samples_required", 15),
        rtt_ewma_alpha: alpha(&thresholds["rtt_ewma_alpha"], 0.3),
        queue_ewma_alpha: alpha(&thresholds["queue_ewma_alpha"], 0.4),
        baseline_min_ms: or(&bounds["min"], 10.0),
        baseline_max_ms: or(&bounds["max"], 60.0),
    }
}

fn steering_confidence(confidence: &Value) -> steering::Confidence {
    let limit = |key: &str, default: f64| or(&confidence[key], default);
    let switch = |key: &str| confidence[key].as_bool().unwrap_or(true);
    steering::Confidence {
        steer_threshold: limit("steer_threshold", 55.0),
        recovery_threshold: limit("recovery_threshold", 20.0),
        sustain_seconds: limit("sustain_duration_sec", 2.0),
        recovery_sustain_seconds: limit("recovery_sustain_sec", 3.0),
        hold_down_seconds: limit("hold_down_duration_sec", 30.0),
        flap_detection: switch("flap_detection_enabled"),
        flap_window_minutes: limit("flap_window_minutes", 5.0),
        max_toggles: confidence["max_toggles"].as_i64().unwrap_or(4),
        penalty_seconds: limit("penalty_duration_sec", 60.0),
        penalty_threshold_add: limit("penalty_threshold_add", 15.0),
        dry_run: switch("dry_run"),
    }
}

fn direction(yaml: &Value, factor_down_yellow: f64, zones: ZoneLimits) -> DirectionPolicy {
    let rate = |key: &str| Rate::from_mbps(number(&yaml[key]));
    let floors = match yaml.get("floor_green_mbps") {
        Some(_) => Floors {
            green: rate("floor_green_mbps"),
            yellow: rate("floor_yellow_mbps"),
            soft_red: match yaml.get("floor_soft_red_mbps") {
                Some(_) => rate("floor_soft_red_mbps"),
                None => rate("floor_yellow_mbps"),
            },
            red: rate("floor_red_mbps"),
        },
        None => {
            let floor = rate("floor_mbps");
            Floors { green: floor, yellow: floor, soft_red: floor, red: floor }
        }
    };
    DirectionPolicy {
        floors,
        ceiling: rate("ceiling_mbps"),
        step_up: rate("step_up_mbps"),
        factor_down: number(&yaml["factor_down"]),
        factor_down_yellow: or(&yaml["factor_down_yellow"], factor_down_yellow),
        green_required: or(&yaml["green_required"], 5.0) as u32,
        zones,
    }
}

/// Smoothing weights may be written as text.
fn alpha(value: &Value, default: f64) -> f64 {
    match value.as_str() {
        Some(text) => text.trim().parse().unwrap(),
        None => or(value, default),
    }
}

fn or(value: &Value, default: f64) -> f64 {
    optional_number(value).unwrap_or(default)
}
