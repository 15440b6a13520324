//! Policies for the tests of this area.

use super::{Confidence, Policy, Thresholds};

/// The defaults.
pub(crate) fn thresholds() -> Thresholds {
    Thresholds {
        bad_threshold_ms: 25.0,
        recovery_threshold_ms: 12.0,
        bad_samples: 8,
        good_samples: 15,
        green_rtt_ms: 5.0,
        yellow_rtt_ms: 15.0,
        red_rtt_ms: 15.0,
        min_drops_red: 1,
        min_queue_yellow: 10,
        min_queue_red: 50,
        red_samples_required: 2,
        green_samples_required: 3,
        rtt_ewma_alpha: 0.3,
        queue_ewma_alpha: 0.4,
        baseline_min_ms: 10.0,
        baseline_max_ms: 60.0,
    }
}

/// The defaults, which are a dry run.
pub(crate) fn confidence() -> Confidence {
    Confidence {
        steer_threshold: 55.0,
        recovery_threshold: 20.0,
        sustain_seconds: 2.0,
        recovery_sustain_seconds: 3.0,
        hold_down_seconds: 30.0,
        flap_detection: true,
        flap_window_minutes: 5.0,
        max_toggles: 4,
        penalty_seconds: 60.0,
        penalty_threshold_add: 15.0,
        dry_run: true,
    }
}

/// CAKE-aware, without scoring.
pub(crate) fn policy() -> Policy {
    Policy {
        primary_wan: "wan1".to_owned(),
        alternate_wan: "wan2".to_owned(),
        cake_aware: true,
        thresholds: thresholds(),
        confidence: None,
    }
}
