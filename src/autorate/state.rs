//! What the controller remembers, as plain data: enough to go on after a restart.

use serde::{Deserialize, Serialize};

/// What a controller takes along over a restart.
///
/// The last zones and the count of steps without ICMP are left out on purpose: after a restart they
/// say nothing about the link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Download.
    pub download: DirectionState,
    /// Upload.
    pub upload: DirectionState,
    /// The baseline, in ms; `None` before the first sample of a baseline that is learnt.
    pub baseline_ms: Option<f64>,
    /// The load filter, in ms; likewise.
    pub load_ms: Option<f64>,
}

/// What is remembered of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectionState {
    /// Steps in GREEN in a row.
    pub green_streak: u32,
    /// Steps in SOFT_RED in a row; always 0 with three zones.
    pub soft_red_streak: u32,
    /// Steps in RED in a row.
    pub red_streak: u32,
    /// The rate, in bits a second.
    pub rate_bps: f64,
}
