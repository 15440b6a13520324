//! What the controller remembers, as plain data: enough to go on after a restart.

use serde::{Deserialize, Serialize};

use super::{Congestion, Route};

/// What a controller takes along over a restart.
///
/// Confidence timers and the latest drops and queues are left out on purpose: they speak of seconds that
/// have passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Which way traffic goes.
    pub route: Route,
    /// The last baseline that was believed, in ms.
    pub baseline_ms: Option<f64>,
    /// How congested the primary WAN was when last assessed; with RTT alone it stays GREEN.
    pub congestion: Congestion,
    /// CAKE-aware: RED samples in a row while traffic goes by the primary WAN.
    pub red_count: i64,
    /// RTT alone: bad samples in a row while traffic goes by the primary WAN.
    pub bad_count: i64,
    /// Good samples in a row while traffic goes by the alternate WAN.
    pub good_count: i64,
    /// CAKE-aware: the smoothed delta, in ms; 0 before the first sample.
    pub rtt_delta_ewma_ms: f64,
    /// CAKE-aware: the smoothed queue, in packets; 0 before the first sample.
    pub queue_ewma: f64,
    /// CAKE-aware: steps without CAKE's statistics in a row.
    pub cake_read_failures: i64,
}
