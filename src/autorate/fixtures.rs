//! Policies for the tests of this area.

use super::{DirectionPolicy, Fallback, FallbackMode, Filter, Floors, Law, Policy, ZoneLimits};
use crate::units::{Number, Rate};

/// Four zones, 200 to 940 Mbit/s.
pub(crate) fn download() -> DirectionPolicy {
    DirectionPolicy {
        floors: Floors {
            green: Rate::from_mbps(550.0),
            yellow: Rate::from_mbps(350.0),
            soft_red: Rate::from_mbps(275.0),
            red: Rate::from_mbps(200.0),
        },
        ceiling: Rate::from_mbps(940.0),
        step_up: Rate::from_mbps(10.0),
        factor_down: 0.85,
        factor_down_yellow: 0.96,
        green_required: 5,
        zones: ZoneLimits {
            target: Number::Float(15.0),
            warn: Number::Int(45),
            hard_red: Some(Number::Int(80)),
        },
    }
}

/// Three zones, 8 to 38 Mbit/s.
pub(crate) fn upload() -> DirectionPolicy {
    let floor = Rate::from_mbps(8.0);
    DirectionPolicy {
        floors: Floors { green: floor, yellow: floor, soft_red: floor, red: floor },
        ceiling: Rate::from_mbps(38.0),
        step_up: Rate::from_mbps(1.0),
        factor_down: 0.9,
        factor_down_yellow: 0.94,
        green_required: 3,
        zones: ZoneLimits { hard_red: None, ..download().zones },
    }
}

/// Both directions, with a baseline of 24 ms.
pub(crate) fn policy() -> Policy {
    Policy {
        law: Law::Classic,
        download: download(),
        upload: upload(),
        filter: Filter {
            baseline_initial_ms: Some(24.0),
            alpha_baseline: 0.001,
            alpha_load: 0.5,
            baseline_update_threshold_ms: 3.0,
            baseline_min_ms: 10.0,
            baseline_max_ms: 60.0,
        },
        accel_threshold_ms: 12.0,
        fallback: Fallback {
            enabled: true,
            mode: FallbackMode::GracefulDegradation,
            max_cycles: 3,
        },
    }
}
