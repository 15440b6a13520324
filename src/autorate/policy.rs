//! What the operator decided: everything the controller is configured with.

use crate::units::{Number, Rate};

/// How often the original's filters expect a sample: its constants are per step of this length.
pub const NOMINAL_CYCLE_SECONDS: f64 = 0.05;

/// The configuration of one WAN's autorate controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The control law.
    pub law: Law,
    /// The download direction: four zones.
    pub download: DirectionPolicy,
    /// The upload direction: three zones.
    pub upload: DirectionPolicy,
    /// Load and baseline filters.
    pub filter: Filter,
    /// A load filter that rises by more than this in one step restarts the download's green streak, in ms.
    pub accel_threshold_ms: f64,
    /// What counts as a measurement when ICMP is silent.
    pub fallback: Fallback,
}

/// The control law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// The original's zones and factors.
    #[default]
    Classic,
}

/// One direction's limits and steps.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionPolicy {
    /// The lowest rate, zone by zone.
    pub floors: Floors,
    /// The highest rate, and the first one.
    pub ceiling: Rate,
    /// Added in a sustained GREEN, each step.
    pub step_up: Rate,
    /// The rate is multiplied by this in RED; 0.1 to 1.
    pub factor_down: f64,
    /// The rate is multiplied by this in YELLOW; 0.8 to 1.
    pub factor_down_yellow: f64,
    /// How many GREEN steps in a row make it sustained.
    pub green_required: u32,
    /// Where zones begin.
    pub zones: ZoneLimits,
}

/// The lowest rate of a direction in each zone; red ≤ soft red ≤ yellow ≤ green ≤ ceiling.
///
/// With three zones only `red` is used, as in the original.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floors {
    /// In GREEN.
    pub green: Rate,
    /// In YELLOW.
    pub yellow: Rate,
    /// In SOFT_RED.
    pub soft_red: Rate,
    /// In RED.
    pub red: Rate,
}

/// RTT deltas (load minus baseline, ms) above which a zone begins; equality belongs to the better zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZoneLimits {
    /// Above it: YELLOW.
    pub target: Number,
    /// Above it: SOFT_RED with four zones, RED with three.
    pub warn: Number,
    /// Above it: RED. `None` makes three zones.
    pub hard_red: Option<Number>,
}

/// The filters in front of the zones.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The first baseline, in ms; `None` takes the first sample.
    pub baseline_initial_ms: Option<f64>,
    /// Weight of a sample in the baseline, for a step of [`NOMINAL_CYCLE_SECONDS`]; more than 0, at most 1.
    pub alpha_baseline: f64,
    /// Weight of a sample in the load filter, likewise.
    pub alpha_load: f64,
    /// The baseline moves only while load minus baseline is below this, in ms.
    pub baseline_update_threshold_ms: f64,
    /// The baseline never goes below this, in ms.
    pub baseline_min_ms: f64,
    /// The baseline never goes above this, in ms.
    pub baseline_max_ms: f64,
}

/// What to do when ICMP is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Whether anything but ICMP counts.
    pub enabled: bool,
    /// What to do when only the gateway answers.
    pub mode: FallbackMode,
    /// How many steps `GracefulDegradation` lasts.
    pub max_cycles: u32,
}

/// What to do when the reflectors are silent and only the gateway answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackMode {
    /// The load filter stands in for one step, then rates are held, then the step is lost.
    GracefulDegradation,
    /// Rates are held.
    Freeze,
    /// The load filter stands in for the sample.
    UseLastRtt,
}
