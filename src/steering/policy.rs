//! What the operator decided: everything the controller is configured with.

/// The configuration of one steering controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The WAN that is watched (`topology.primary_wan`).
    pub primary_wan: String,
    /// The WAN that traffic moves to.
    pub alternate_wan: String,
    /// Judge by CAKE's drops and queue as well as RTT; otherwise by RTT alone.
    pub cake_aware: bool,
    /// Limits and sample counts.
    pub thresholds: Thresholds,
    /// Confidence scoring; `None` when it is off.
    pub confidence: Option<Confidence>,
}

impl Policy {
    /// The name of the state in which traffic takes the primary WAN (`WAN1_GOOD`).
    pub fn state_good(&self) -> String {
        format!("{}_GOOD", self.primary_wan.to_uppercase())
    }

    /// The name of the state in which traffic takes the alternate WAN (`WAN1_DEGRADED`).
    pub fn state_degraded(&self) -> String {
        format!("{}_DEGRADED", self.primary_wan.to_uppercase())
    }
}

/// Limits and sample counts. RTT deltas in ms; queues in packets.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// RTT alone: a delta above it is bad. Default 25.
    pub bad_threshold_ms: f64,
    /// RTT alone: a delta below it is good. Default 12.
    pub recovery_threshold_ms: f64,
    /// RTT alone: this many bad samples in a row degrade. Default 8.
    pub bad_samples: i64,
    /// RTT alone: this many good samples in a row recover. Default 15.
    pub good_samples: i64,
    /// Kept for the snapshot; the decision does not use it, as in the original. Default 5.
    pub green_rtt_ms: f64,
    /// CAKE-aware: a smoothed delta above it is YELLOW. Default 15.
    pub yellow_rtt_ms: f64,
    /// CAKE-aware: a smoothed delta above it may be RED. Default 15.
    pub red_rtt_ms: f64,
    /// CAKE-aware: RED needs this many drops in the step. Default 1.
    pub min_drops_red: i64,
    /// CAKE-aware: a queue this long is YELLOW. Default 10.
    pub min_queue_yellow: i64,
    /// CAKE-aware: RED needs a queue this long. Default 50.
    pub min_queue_red: i64,
    /// CAKE-aware: this many RED samples in a row degrade. Default 2.
    pub red_samples_required: i64,
    /// CAKE-aware: this many GREEN samples in a row recover. Default 15.
    pub green_samples_required: i64,
    /// Weight of a sample in the smoothed delta, 0 to 1. Default 0.3.
    pub rtt_ewma_alpha: f64,
    /// Weight of a sample in the smoothed queue, 0 to 1. Default 0.4.
    pub queue_ewma_alpha: f64,
    /// A baseline below this is not believed, in ms. Default 10 for files of the original's shape.
    pub baseline_min_ms: f64,
    /// A baseline above this is not believed, in ms. Default 60 for files of the original's shape.
    pub baseline_max_ms: f64,
}

/// Confidence scoring: how sure to be, and for how long, before traffic moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Confidence {
    /// A score of at least this degrades; 0 to 100. Default 55.
    pub steer_threshold: f64,
    /// A score of at most this recovers; 0 to 100, below `steer_threshold`. Default 20.
    pub recovery_threshold: f64,
    /// How long the score must stay high, in seconds. Default 2.
    pub sustain_seconds: f64,
    /// How long the score must stay low, in seconds. Default 3.
    pub recovery_sustain_seconds: f64,
    /// After traffic moved, how long it stays at least, in seconds. Default 30.
    pub hold_down_seconds: f64,
    /// Count changes of mind. Default true.
    pub flap_detection: bool,
    /// Over how long, in minutes. Default 5.
    pub flap_window_minutes: f64,
    /// More changes than this within the window are flapping. Default 4.
    pub max_toggles: i64,
    /// How long a flap penalty lasts, in seconds. Default 60.
    pub penalty_seconds: f64,
    /// What a flap penalty would add to `steer_threshold`. Default 15.
    pub penalty_threshold_add: f64,
    /// Score, but let the thresholds above decide. Default true.
    pub dry_run: bool,
}
